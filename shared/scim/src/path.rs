//! PATCH paths (RFC 7644 §3.5.2): resolving a [`Path`] against the schema.
//!
//! The parser reads a whole extension, `urn:…:2.0:User`, as an attribute `User` of `urn:…:2.0`. [`Path::resolve`]
//! joins the two again if they are the URN of a schema. Any other URN ends at the last colon of the path. Paths are
//! never deeper than `attribute.sub`, because complex attributes do not nest (RFC 7643 §2.3.8).

use crate::error::Invalid;
use crate::extension::{extension_key, is_schema_urn};
use crate::filter::Predicate;
use crate::lookup::AttributeRef;
use crate::schema::{Attribute, ResourceType, Type};
use crate::syntax::{Name, Path};

/// The target of a PATCH path.
#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    /// A whole extension: the key of its object in a document, as in [`AttributeRef::extension`].
    Extension(String),
    /// An attribute or a sub-attribute.
    Attribute {
        /// The attribute.
        attribute: AttributeRef,
        /// The filter of its elements. Only multi-valued complex attributes have one.
        filter: Option<Predicate>,
        /// The sub-attribute of the value, or of each element.
        sub: Option<&'static Attribute>,
    },
}

impl Path {
    /// Resolves the path for a resource type.
    ///
    /// # Errors
    /// `invalidPath` for an unknown attribute, and `invalidFilter` for a filter without a meaning (RFC 7644 §3.12,
    /// table 9).
    pub fn resolve(&self, resource_type: &'static ResourceType) -> Result<Target, Invalid> {
        let Some((attribute, mut sub)) = self.name.lookup(resource_type) else {
            return self.resolve_extension(resource_type).ok_or_else(|| {
                Invalid::path(format!(
                    "{} has no attribute '{}'. Correct the path.",
                    resource_type.name, self.name
                ))
            });
        };
        let definition = attribute.definition;
        let filter = match &self.filter {
            None => None,
            Some(_) if !definition.multi_valued || definition.data_type != Type::Complex => {
                return Err(Invalid::path(format!(
                    "Attribute '{}' is not a list of complex values. Write the path without brackets.",
                    self.name
                )));
            }
            Some(filter) => Some(filter.resolve_in(definition)?),
        };
        if let Some(name) = &self.sub {
            sub = Some(definition.sub(name).ok_or_else(|| {
                Invalid::path(format!(
                    "Attribute '{}' has no sub-attribute '{name}'. Correct the path.",
                    self.name
                ))
            })?);
        }
        Ok(Target::Attribute { attribute, filter, sub })
    }

    fn resolve_extension(&self, resource_type: &'static ResourceType) -> Option<Target> {
        match self {
            Self { name: Name { urn: Some(urn), attribute, sub: None, .. }, filter: None, sub: None } => {
                let whole = format!("{urn}:{attribute}");
                let is_whole = is_schema_urn(&whole) || urn.eq_ignore_ascii_case("urn");
                if is_whole { extension_key(&whole, resource_type).map(Target::Extension) } else { None }
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::error::ScimType;
    use crate::schema::{ENTERPRISE_USER_URN, USER_TYPE};

    /// Formats the target of a path as `extension|name.sub`, with `[]` after the name if it has a filter.
    fn target(path: &str) -> String {
        match Path::parse(path).unwrap().resolve(&USER_TYPE).unwrap() {
            Target::Extension(urn) => urn,
            Target::Attribute { attribute, filter, sub } => {
                let extension = attribute.extension.map(|urn| format!("{urn}|")).unwrap_or_default();
                let filter = if filter.is_some() { "[]" } else { "" };
                let sub = sub.map(|sub| format!(".{}", sub.name)).unwrap_or_default();
                format!("{extension}{}{filter}{sub}", attribute.name)
            }
        }
    }

    fn refused(path: &str, scim_type: ScimType, detail: &str) {
        let error = Path::parse(path).and_then(|path| path.resolve(&USER_TYPE)).unwrap_err();
        assert_eq!(error.scim_type, scim_type, "{path}: {}", error.detail);
        assert!(error.detail.contains(detail), "{path}: {}", error.detail);
    }

    #[test]
    fn paths_select_attributes_sub_attributes_and_elements() {
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
            ("urn:okta:acme:1.0:user:custom:Colour", "urn:okta:acme:1.0:user:custom|Colour"),
            ("urn:custom", "urn:custom"),
            (&enterprise(".department"), &enterprise("|department")),
            (&enterprise(".manager.value"), &enterprise("|manager.value")),
            ("urn:ietf:params:scim:schemas:core:2.0:user.userName", "userName"),
            ("urn:ietf:params:scim:schemas:core:2.0:User.name.givenName", "name.givenName"),
            ("urn:ietf:params:scim:schemas:core:2.0:User.emails[type eq \"work\"].value", "emails[].value"),
            (
                "urn:ietf:params:scim:schemas:extension:Acme:2.0:User.Tag",
                "urn:ietf:params:scim:schemas:extension:Acme:2.0:User|Tag",
            ),
        ] {
            assert_eq!(target(path), expected, "{path}");
        }
    }

    #[test]
    fn meaningless_paths_are_refused() {
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
            ("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:foo:bar", "has no attribute"),
            ("urn:ietf:params:scim:schemas:extension:Acme:2.0:User:tag.sub", "has no attribute"),
            ("urn:okta:acme:1.0:user:custom.colour", "has no attribute"),
            ("urn:ietf:params:scim:schemas:core:2.0:Users:active", "has no attribute"),
            ("URN:ietf:params:scim:schemas:core:1.0:User:active", "has no attribute"),
            ("urn:ietf:params:scim:schemas:core:active", "has no attribute"),
            ("urn:ietf:params:scim:api:messages:2.0:PatchOp:active", "has no attribute"),
            ("urn:scim:schemas:core:1.0:active", "has no attribute"),
            ("urn:ietf:params:scim:schemas:extension:enterprise:1.0:User:department", "has no attribute"),
            ("urn:ietf:params:scim:schemas:extension:enterprise:2.0:Users:department", "has no attribute"),
        ] {
            refused(path, ScimType::InvalidPath, detail);
        }
        refused("emails[foo pr]", ScimType::InvalidFilter, "no sub-attribute 'foo'");
        refused("emails[primary gt true]", ScimType::InvalidFilter, "Use eq, ne or pr");
    }

    proptest! {
        #[test]
        fn path_parser_does_not_panic(text in any::<String>(), words in "([.:\\[\\]\" ]|urn|User|2.0|emails|value|pr){0,20}") {
            for text in [text, words] {
                for resource_type in crate::schema::RESOURCE_TYPES {
                    let _ = Path::parse(&text).and_then(|path| path.resolve(resource_type));
                }
            }
        }
    }
}
