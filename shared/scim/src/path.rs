//! Attribute names and PATCH paths (RFC 7644 §3.10, §3.5.2 figure 7): text → syntax → place in the schema table.
//!
//! A name is looked up once, here; what comes out ([`Located`], [`Target`]) is all that later steps use.
//! Where a URN ends and the attribute begins needs no table: an attribute name holds no colon, so the last colon
//! divides them. A whole extension, `urn:…:2.0:User`, therefore reads as an attribute `User` of `urn:…:2.0` first, and
//! [`Path::resolve`] puts the two together again.
//!
//! Absent on purpose: paths deeper than `attribute.sub`, because complex attributes do not nest (RFC 7643 §2.3.8).

use std::fmt;

use serde_json::{Map, Value};

use crate::error::{Invalid, ScimType};
use crate::filter::{Filter, Predicate};
use crate::parser::{Parser, Token};
use crate::schema::{Attribute, COMMON, CUSTOM, ResourceType, Type};

/// An attribute name as written, `[urn:]attribute[.sub]`, not yet looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// The schema URN before the name, as written.
    pub urn: Option<String>,
    /// The attribute.
    pub attribute: String,
    /// The sub-attribute after the dot.
    pub sub: Option<String>,
    /// Where it begins in the text, in characters from 0.
    pub position: usize,
}

/// A PATCH path as written: `name`, `name[filter]`, `name[filter].sub`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    /// The attribute before the bracket. Holds the sub-attribute where there is no bracket.
    pub name: Name,
    /// What is between the brackets.
    pub filter: Option<Filter>,
    /// The sub-attribute after the bracket.
    pub sub: Option<String>,
}

/// An attribute found in the schema table, and the key of a document it is kept under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// The key of the extension object that holds it: the canonical URN, or, of a custom extension, the URN as
    /// written. `None` for core and common attributes, which are at the top of the document.
    pub extension: Option<String>,
    /// The key, in canonical case (as written for [`CUSTOM`]).
    pub name: String,
    /// Its characteristics.
    pub attribute: &'static Attribute,
}

/// What a PATCH path selects.
#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    /// An extension as a whole: the key of its object in a document, as in [`Located::extension`].
    Extension(String),
    /// An attribute, or part of one.
    Attribute {
        /// The attribute.
        located: Located,
        /// Which elements of it. Only where it is complex and multi-valued.
        filter: Option<Predicate>,
        /// Which part of it, or of each element.
        sub: Option<&'static Attribute>,
    },
}

impl Name {
    /// Reads one word; `None` if it is not `[urn:]attribute[.sub]`.
    pub(crate) fn from_word(word: &str, position: usize) -> Option<Self> {
        let (urn, rest) = match word.rsplit_once(':') {
            Some((urn, rest)) => (Some(urn), rest),
            None => (None, word),
        };
        let (attribute, sub) = match rest.split_once('.') {
            Some((attribute, sub)) => (attribute, Some(sub)),
            None => (rest, None),
        };
        let sound = urn != Some("") && is_attribute_name(attribute) && sub.is_none_or(is_attribute_name);
        sound.then(|| Self {
            urn: urn.map(str::to_owned),
            attribute: attribute.to_owned(),
            sub: sub.map(str::to_owned),
            position,
        })
    }

    /// Looks the name up: the attribute and, where the name has one, the sub-attribute. Case does not matter, neither
    /// in names nor in URNs (RFC 7643 §2.1). A name without a URN is common, core, or else of an extension: Microsoft
    /// Entra filters by `manager` alone.
    #[must_use]
    pub fn locate(
        &self,
        resource_type: &'static ResourceType,
    ) -> Option<(Located, Option<&'static Attribute>)> {
        let located = match &self.urn {
            None => self.locate_core(resource_type).or_else(|| {
                resource_type
                    .extensions
                    .iter()
                    .find_map(|schema| Some(Located::of(Some(schema.id), schema.attribute(&self.attribute)?)))
            }),
            Some(urn) if urn.eq_ignore_ascii_case(resource_type.schema.id) => self.locate_core(resource_type),
            Some(urn) => self.locate_in_extension(urn, resource_type),
        }?;
        match &self.sub {
            None => Some((located, None)),
            Some(sub) => located.attribute.sub(sub).map(|sub| (located, Some(sub))),
        }
    }

    /// Looks the name up among the sub-attributes of a complex attribute.
    pub(crate) fn locate_in(&self, attribute: &'static Attribute) -> Option<Located> {
        match self {
            Self { urn: None, attribute: name, sub: None, .. } => {
                attribute.sub(name).map(|sub| Located::of(None, sub))
            }
            _ => None,
        }
    }

    fn locate_core(&self, resource_type: &'static ResourceType) -> Option<Located> {
        COMMON
            .iter()
            .find(|attribute| attribute.name.eq_ignore_ascii_case(&self.attribute))
            .or_else(|| resource_type.schema.attribute(&self.attribute))
            .map(|attribute| Located::of(None, attribute))
    }

    fn locate_in_extension(&self, urn: &str, resource_type: &'static ResourceType) -> Option<Located> {
        if let Some(schema) =
            resource_type.extensions.iter().find(|schema| schema.id.eq_ignore_ascii_case(urn))
        {
            return Some(Located::of(Some(schema.id), schema.attribute(&self.attribute)?));
        }
        let extension = extension_key(urn, resource_type)?;
        Some(Located { extension: Some(extension), name: self.attribute.clone(), attribute: &CUSTOM })
    }
}

impl Located {
    fn of(extension: Option<&str>, attribute: &'static Attribute) -> Self {
        Self { extension: extension.map(str::to_owned), name: attribute.name.to_owned(), attribute }
    }

    /// The attribute's value in a canonical document. What a custom extension holds is kept as the client sent it, so
    /// its URN and names are compared in any case.
    #[must_use]
    pub fn value_in<'a>(&self, document: &'a Map<String, Value>) -> Option<&'a Value> {
        let holder = match &self.extension {
            None => document,
            Some(urn) => self.get(document, urn)?.as_object()?,
        };
        self.get(holder, &self.name)
    }

    fn get<'a>(&self, map: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
        if self.attribute.kind == Type::Any {
            map.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| value)
        } else {
            map.get(key)
        }
    }
}

impl Path {
    /// Reads a path.
    ///
    /// # Errors
    /// `invalidPath` for whatever does not follow figure 7, between the brackets too, with the position and what was
    /// expected there.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        Self::read(text).map_err(|invalid| Invalid { scim_type: ScimType::InvalidPath, ..invalid })
    }

    fn read(text: &str) -> Result<Self, Invalid> {
        let mut parser = Parser::new("path", text)?;
        let name = parser.name()?;
        let mut path = Self { name, filter: None, sub: None };
        if parser.take(&Token::OpenBracket) {
            if path.name.sub.is_some() {
                return Err(Invalid::path(format!(
                    "The path cannot be read: the brackets belong after '{}', not after '{}'.",
                    path.name.attribute, path.name
                )));
            }
            path.filter = Some(parser.bracketed(1)?);
            path.sub = parser.sub()?;
        }
        parser.end()?;
        Ok(path)
    }

    /// Looks everything up.
    ///
    /// # Errors
    /// `invalidPath` for an unknown attribute; `invalidFilter` for a filter that makes no sense (RFC 7644 §3.12 table 9).
    pub fn resolve(&self, resource_type: &'static ResourceType) -> Result<Target, Invalid> {
        let Some((located, mut sub)) = self.name.locate(resource_type) else {
            return self.resolve_extension(resource_type).ok_or_else(|| {
                Invalid::path(format!(
                    "{} has no attribute '{}', which the path names.",
                    resource_type.name, self.name
                ))
            });
        };
        let attribute = located.attribute;
        let filter = match &self.filter {
            None => None,
            Some(_) if !attribute.multi_valued || attribute.kind != Type::Complex => {
                return Err(Invalid::path(format!(
                    "'{}' is not a list of complex values: write the path without brackets.",
                    self.name
                )));
            }
            Some(filter) => Some(filter.resolve_in(attribute)?),
        };
        if let Some(name) = &self.sub {
            sub = Some(attribute.sub(name).ok_or_else(|| {
                Invalid::path(format!("'{}' has no sub-attribute '{name}', which the path names.", self.name))
            })?);
        }
        Ok(Target::Attribute { located, filter, sub })
    }

    fn resolve_extension(&self, resource_type: &'static ResourceType) -> Option<Target> {
        match self {
            Self { name: Name { urn: Some(urn), attribute, sub: None, .. }, filter: None, sub: None } => {
                extension_key(&format!("{urn}:{attribute}"), resource_type).map(Target::Extension)
            }
            _ => None,
        }
    }
}

/// The key under which a document keeps the extension of that URN: the canonical URN of a known extension, the URN as
/// written of a custom one, `None` if the resource type has no such extension. A custom extension is one without a
/// table, of the form Microsoft Entra demands:
/// `urn:ietf:params:scim:schemas:extension:<Name>:2.0:<resource type>`.
#[must_use]
pub fn extension_key(urn: &str, resource_type: &ResourceType) -> Option<String> {
    if let Some(schema) = resource_type.extensions.iter().find(|schema| schema.id.eq_ignore_ascii_case(urn)) {
        return Some(schema.id.to_owned());
    }
    let lower = urn.to_ascii_lowercase();
    let name = lower
        .strip_prefix("urn:ietf:params:scim:schemas:extension:")?
        .strip_suffix(&resource_type.name.to_ascii_lowercase())?
        .strip_suffix(":2.0:")?;
    (!name.is_empty()).then(|| urn.to_owned())
}

/// `ATTRNAME = ALPHA *(nameChar)` (RFC 7643 §2.1), and `$ref`.
pub(crate) fn is_attribute_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '$')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '$'))
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(urn) = &self.urn {
            write!(f, "{urn}:")?;
        }
        f.write_str(&self.attribute)?;
        match &self.sub {
            Some(sub) => write!(f, ".{sub}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)?;
        if let Some(filter) = &self.filter {
            write!(f, "[{filter}]")?;
        }
        match &self.sub {
            Some(sub) => write!(f, ".{sub}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::filter::tests::{any_filter, any_name, placeless};
    use crate::schema::{ENTERPRISE_USER_URN, GROUP_TYPE, USER_TYPE};

    /// What a path selects of a User, in short: `extension|name.sub?` with `[]` where it is filtered.
    fn target(path: &str) -> String {
        match Path::parse(path).unwrap().resolve(&USER_TYPE).unwrap() {
            Target::Extension(urn) => urn,
            Target::Attribute { located, filter, sub } => {
                let extension = located.extension.map(|urn| format!("{urn}|")).unwrap_or_default();
                let filter = if filter.is_some() { "[]" } else { "" };
                let sub = sub.map(|sub| format!(".{}", sub.name)).unwrap_or_default();
                format!("{extension}{}{filter}{sub}", located.name)
            }
        }
    }

    fn refused(path: &str, scim_type: ScimType, detail: &str) {
        let error = Path::parse(path).and_then(|path| path.resolve(&USER_TYPE)).unwrap_err();
        assert_eq!(error.scim_type, scim_type, "{path}: {}", error.detail);
        assert!(error.detail.contains(detail), "{path}: {}", error.detail);
    }

    #[test]
    fn paths_select_attributes_parts_and_elements() {
        let enterprise = |rest: &str| format!("{ENTERPRISE_USER_URN}{rest}");
        for (path, expected) in [
            ("userName", "userName"),
            (" EXTERNALID ", "externalId"),
            ("name.GivenName", "name.givenName"),
            ("emails", "emails"),
            ("emails.value", "emails.value"),
            ("Emails[Type eq \"work\"]", "emails[]"),
            ("emails[type eq \"work\"].Value", "emails[].value"),
            ("roles[primary eq \"True\"].display", "roles[].display"),
            ("urn:ietf:params:scim:schemas:core:2.0:User:name.familyName", "name.familyName"),
            ("URN:ietf:params:scim:schemas:core:2.0:User:emails[type eq \"work\"].value", "emails[].value"),
            (&enterprise(":Manager"), &enterprise("|manager")),
            (&enterprise(":manager.value"), &enterprise("|manager.value")),
            (&enterprise(":manager.$REF"), &enterprise("|manager.$ref")),
            (&enterprise(""), &enterprise("")),
            (&enterprise("").to_ascii_uppercase(), &enterprise("")),
            ("department", &enterprise("|department")),
            (
                "urn:ietf:params:scim:schemas:extension:Acme:2.0:User:Tag",
                "urn:ietf:params:scim:schemas:extension:Acme:2.0:User|Tag",
            ),
            (
                "urn:ietf:params:scim:schemas:extension:Acme:2.0:user",
                "urn:ietf:params:scim:schemas:extension:Acme:2.0:user",
            ),
        ] {
            assert_eq!(target(path), expected, "{path}");
        }
    }

    #[test]
    fn malformed_paths_are_invalid_with_their_position() {
        for (path, detail) in [
            ("", "ends too early: at position 1 the name of an attribute"),
            ("emails[", "at position 8 the name of an attribute"),
            ("emails[type eq \"work\"", "at position 22 'and', 'or' or ']'"),
            ("emails[type eq work]", "at position 16 a value"),
            ("emails[type eq \"work\"]value", "at position 23 the end of the path"),
            ("emails[type eq \"work\"].value.x", "at position 23 the name of a sub-attribute"),
            ("emails[type eq \"work\"].value pr", "at position 30 the end of the path"),
            ("emails.value[type pr]", "the brackets belong after 'emails', not after 'emails.value'"),
            ("userName eq \"x\"", "at position 10 the end of the path"),
            ("name.a.b", "at position 1"),
            ("members[((((((((((((((((((((((((((((((((", "more than 32 deep"),
            ("__proto__", "at position 1"),
        ] {
            refused(path, ScimType::InvalidPath, detail);
        }
        refused(&"a".repeat(4097), ScimType::InvalidPath, "longer than 4096 characters");
        refused(&"emails[".repeat(500), ScimType::InvalidPath, "more than 32 deep");
    }

    #[test]
    fn paths_without_meaning_are_invalid() {
        for (path, detail) in [
            ("foo", "User has no attribute 'foo'"),
            ("toString", "User has no attribute 'toString'"),
            ("name.foo", "User has no attribute 'name.foo'"),
            ("emails[type eq \"work\"].foo", "'emails' has no sub-attribute 'foo'"),
            ("userName[value pr]", "'userName' is not a list of complex values"),
            ("manager[value pr]", "'manager' is not a list"),
            ("schemas[value pr]", "'schemas' is not a list of complex values"),
            ("urn:ietf:params:scim:schemas:core:2.0:User", "has no attribute 'urn:"),
            ("urn:ietf:params:scim:schemas:core:2.0:Group:displayName", "has no attribute"),
            ("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:foo", "has no attribute"),
            ("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User[value pr]", "has no attribute"),
            ("urn:ietf:params:scim:schemas:extension:Acme:2.0:User:tag.sub", "has no attribute"),
        ] {
            refused(path, ScimType::InvalidPath, detail);
        }
        refused("emails[foo pr]", ScimType::InvalidFilter, "no sub-attribute 'foo'");
        refused("emails[primary gt true]", ScimType::InvalidFilter, "eq, ne and pr only");
    }

    #[test]
    fn extensions_belong_to_their_resource_type() {
        let acme = "urn:ietf:params:scim:schemas:extension:Acme:2.0:Group";
        assert_eq!(extension_key(acme, &GROUP_TYPE).as_deref(), Some(acme));
        for foreign in
            [acme, "urn:ietf:params:scim:schemas:extension:2.0:User", "urn:x:Acme:2.0:User", "", "meta"]
        {
            assert_eq!(extension_key(foreign, &USER_TYPE), None, "{foreign}");
        }
    }

    fn any_path() -> impl Strategy<Value = Path> {
        let plain = any_name().prop_map(|name| Path { name, filter: None, sub: None });
        let filter = any_filter(any_name().boxed());
        let filtered = (any_name(), filter, prop::option::of("[a-z$][a-zA-Z0-9]{0,5}")).prop_map(
            |(name, filter, sub)| Path { name: Name { sub: None, ..name }, filter: Some(filter), sub },
        );
        prop_oneof![plain, filtered]
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(path in any_path()) {
            let text = path.to_string();
            prop_assume!(text.chars().count() <= crate::filter::MAX_LENGTH);
            let read = Path::parse(&text).unwrap();
            let name = Name { position: 0, ..read.name };
            prop_assert_eq!(Path { name, filter: read.filter.map(placeless), sub: read.sub }, path);
        }

        #[test]
        fn no_text_makes_it_panic(text in any::<String>(), words in "([.:\\[\\]\" ]|urn|User|2.0|emails|value|pr){0,20}") {
            for text in [text, words] {
                for resource_type in crate::schema::RESOURCE_TYPES {
                    let _ = Path::parse(&text).and_then(|path| path.resolve(resource_type));
                }
            }
        }
    }
}
