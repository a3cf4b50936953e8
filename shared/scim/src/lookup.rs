//! Name lookup: from a name to the attribute in the schema table and to the value in a document.
//!
//! A name is looked up once. Later stages use only the [`AttributeRef`].

use serde_json::{Map, Value};

use crate::extension::{extension_key, is_schema_urn, known};
use crate::schema::{Attribute, COMMON, CUSTOM, ResourceType, Type};
use crate::syntax::Name;
use crate::value::{Label, get_ignore_case};

/// An attribute in the schema table, and its key in a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttributeRef {
    /// The key of the extension's object: the canonical URN, or the URN as written for a custom extension. `None` for
    /// core and common attributes, which are at the top of the document.
    pub extension: Option<String>,
    /// The key of the attribute, in canonical case. For [`CUSTOM`], the key is as written.
    pub name: String,
    /// The definition of the attribute.
    pub definition: &'static Attribute,
}

impl Name {
    /// Looks up the attribute and, if the name has one, the sub-attribute.
    ///
    /// Names and URNs are case-insensitive (RFC 7643 §2.1). A name without a URN is looked up among the common, the
    /// core, and then the extension attributes, because Microsoft Entra filters by `manager` alone. The URN of a schema
    /// alone names no attribute.
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
            Some(urn) if is_schema_urn(&format!("{urn}:{}", self.attribute)) => None,
            Some(urn) if urn.eq_ignore_ascii_case(resource_type.schema.id) => self.lookup_core(resource_type),
            Some(urn) => AttributeRef::in_extension(urn, &self.attribute, resource_type),
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
        AttributeRef::in_core(&self.attribute, resource_type)
    }
}

impl AttributeRef {
    fn of(extension: Option<&str>, definition: &'static Attribute) -> Self {
        Self { extension: extension.map(str::to_owned), name: definition.name.to_owned(), definition }
    }

    /// Looks up a common or core attribute.
    pub(crate) fn in_core(name: &str, resource_type: &'static ResourceType) -> Option<Self> {
        COMMON
            .iter()
            .find(|attribute| attribute.name.eq_ignore_ascii_case(name))
            .or_else(|| resource_type.schema.attribute(name))
            .map(|attribute| Self::of(None, attribute))
    }

    /// Looks up an attribute of an extension. A custom extension has an attribute of every name.
    pub(crate) fn in_extension(urn: &str, name: &str, resource_type: &'static ResourceType) -> Option<Self> {
        if let Some(schema) = known(resource_type, urn) {
            return Some(Self::of(Some(schema.id), schema.attribute(name)?));
        }
        let extension = extension_key(urn, resource_type)?;
        Some(Self { extension: Some(extension), name: name.to_owned(), definition: &CUSTOM })
    }

    /// Returns the value of the attribute in a canonical document. A custom extension is stored as sent, so its URN
    /// and names compare in any case.
    #[must_use]
    pub fn value_in<'a>(&self, document: &'a Map<String, Value>) -> Option<&'a Value> {
        let holder = match &self.extension {
            None => document,
            Some(urn) => self.get(document, urn)?.as_object()?,
        };
        self.get(holder, &self.name)
    }

    /// Returns the name of the attribute for error details.
    pub(crate) fn label(&self) -> Label<'_> {
        Label::new(self.extension.as_deref(), &self.name)
    }

    fn get<'a>(&self, map: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
        if self.definition.data_type == Type::Any { get_ignore_case(map, key) } else { map.get(key) }
    }
}
