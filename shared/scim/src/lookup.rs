//! The place of an attribute: where a name leads in the schema table and in a document.

use serde_json::{Map, Value};

use crate::schema::{Attribute, COMMON, CUSTOM, ResourceType, Type};
use crate::syntax::Name;
use crate::value::Label;

/// An attribute found in the schema table, and the key of a document it is kept under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttributeRef {
    /// The key of the extension object that holds it: the canonical URN, or, of a custom extension, the URN as
    /// written. `None` for core and common attributes, which are at the top of the document.
    pub extension: Option<String>,
    /// The key, in canonical case (as written for [`CUSTOM`]).
    pub name: String,
    /// Its characteristics.
    pub definition: &'static Attribute,
}

impl Name {
    /// Looks the name up: the attribute and, where the name has one, the sub-attribute. Case does not matter, neither
    /// in names nor in URNs (RFC 7643 §2.1). A name without a URN is common, core, or else of an extension: Microsoft
    /// Entra filters by `manager` alone.
    #[must_use]
    pub fn lookup(
        &self,
        resource_type: &'static ResourceType,
    ) -> Option<(AttributeRef, Option<&'static Attribute>)> {
        let attribute = match &self.urn {
            None => self.lookup_core(resource_type).or_else(|| {
                resource_type.extensions.iter().find_map(|schema| {
                    Some(AttributeRef::of(Some(schema.id), schema.attribute(&self.attribute)?))
                })
            }),
            Some(urn) if urn.eq_ignore_ascii_case(resource_type.schema.id) => self.lookup_core(resource_type),
            Some(urn) => self.lookup_in_extension(urn, resource_type),
        }?;
        match &self.sub {
            None => Some((attribute, None)),
            Some(sub) => attribute.definition.sub(sub).map(|sub| (attribute, Some(sub))),
        }
    }

    /// Looks the name up among the sub-attributes of a complex attribute.
    pub(crate) fn lookup_in(&self, attribute: &'static Attribute) -> Option<AttributeRef> {
        match self {
            Self { urn: None, attribute: name, sub: None, .. } => {
                attribute.sub(name).map(|sub| AttributeRef::of(None, sub))
            }
            _ => None,
        }
    }

    fn lookup_core(&self, resource_type: &'static ResourceType) -> Option<AttributeRef> {
        COMMON
            .iter()
            .find(|attribute| attribute.name.eq_ignore_ascii_case(&self.attribute))
            .or_else(|| resource_type.schema.attribute(&self.attribute))
            .map(|attribute| AttributeRef::of(None, attribute))
    }

    fn lookup_in_extension(&self, urn: &str, resource_type: &'static ResourceType) -> Option<AttributeRef> {
        if let Some(schema) =
            resource_type.extensions.iter().find(|schema| schema.id.eq_ignore_ascii_case(urn))
        {
            return Some(AttributeRef::of(Some(schema.id), schema.attribute(&self.attribute)?));
        }
        let extension = extension_key(urn, resource_type)?;
        Some(AttributeRef { extension: Some(extension), name: self.attribute.clone(), definition: &CUSTOM })
    }
}

impl AttributeRef {
    fn of(extension: Option<&str>, definition: &'static Attribute) -> Self {
        Self { extension: extension.map(str::to_owned), name: definition.name.to_owned(), definition }
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

    /// How errors name it.
    pub(crate) fn label(&self) -> Label<'_> {
        Label::new(self.extension.as_deref(), &self.name)
    }

    fn get<'a>(&self, map: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
        if self.definition.data_type == Type::Any {
            map.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| value)
        } else {
            map.get(key)
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
