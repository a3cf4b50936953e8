//! The schemas of the discovery documents (RFC 7643 §8.7.2, and RFC 9865 §4 for `pagination`).
//!
//! They are apart from [`SCHEMAS`](crate::schema::SCHEMAS), because no resource type has them: identity providers read
//! the list of `/Schemas` as the attributes that an administrator may map. The service only writes these documents, so
//! every attribute is readOnly.

use crate::discovery::{RESOURCE_TYPE_URN, SCHEMA_URN, SERVICE_PROVIDER_CONFIG_URN};
use crate::schema::{Attribute, Mutability, Schema, Type};

/// Every schema of a discovery document.
pub static DISCOVERY_SCHEMAS: [&Schema; 3] = [&SERVICE_PROVIDER_CONFIG, &RESOURCE_TYPE, &SCHEMA];

const fn attribute(name: &'static str, data_type: Type, description: &'static str) -> Attribute {
    Attribute::new(name, data_type, description).mutability(Mutability::ReadOnly)
}

const fn string(name: &'static str, description: &'static str) -> Attribute {
    attribute(name, Type::String, description)
}

const fn boolean(name: &'static str, description: &'static str) -> Attribute {
    attribute(name, Type::Boolean, description).required()
}

const fn integer(name: &'static str, description: &'static str) -> Attribute {
    attribute(name, Type::Integer, description)
}

const fn uri(name: &'static str, types: &'static [&'static str], description: &'static str) -> Attribute {
    attribute(name, Type::Reference, description).refers_to(types)
}

const fn complex(
    name: &'static str,
    sub_attributes: &'static [Attribute],
    description: &'static str,
) -> Attribute {
    Attribute::complex(name, sub_attributes, description).mutability(Mutability::ReadOnly)
}

const SUPPORTED: Attribute = boolean("supported", "Whether the service supports the feature");

/// The schema of `/ServiceProviderConfig`.
static SERVICE_PROVIDER_CONFIG: Schema = Schema {
    id: SERVICE_PROVIDER_CONFIG_URN,
    name: "Service Provider Configuration",
    description: "The features and limits of the service",
    attributes: &[
        uri("documentationUri", &["external"], "The documentation of the service"),
        complex("patch", &[SUPPORTED], "PATCH").required(),
        complex(
            "bulk",
            &[
                SUPPORTED,
                integer("maxOperations", "The maximum number of operations").required(),
                integer("maxPayloadSize", "The maximum size of the body, in bytes").required(),
            ],
            "Bulk requests",
        )
        .required(),
        complex(
            "filter",
            &[SUPPORTED, integer("maxResults", "The maximum number of resources in a response").required()],
            "Filters",
        )
        .required(),
        complex("changePassword", &[SUPPORTED], "Changes of passwords").required(),
        complex("sort", &[SUPPORTED], "Sorting").required(),
        complex("etag", &[SUPPORTED], "ETags").required(),
        complex(
            "pagination",
            &[
                boolean("cursor", "Whether the service supports paging by cursor"),
                boolean("index", "Whether the service supports paging by index"),
                string("defaultPaginationMethod", "The paging of a request that names none")
                    .canonical(&["cursor", "index"]),
                integer("defaultPageSize", "The number of resources in a page without a count"),
                integer("maxPageSize", "The maximum number of resources in a page"),
                integer("cursorTimeout", "The lifetime of a cursor, in seconds"),
            ],
            "Paging",
        ),
        complex(
            "authenticationSchemes",
            &[
                string("type", "The kind of authentication").required().canonical(&[
                    "oauth",
                    "oauth2",
                    "oauthbearertoken",
                    "httpbasic",
                    "httpdigest",
                ]),
                string("name", "The name of the scheme").required(),
                string("description", "The description of the scheme").required(),
                uri("specUri", &["external"], "The specification of the scheme"),
                uri("documentationUri", &["external"], "The documentation of the scheme"),
                attribute("primary", Type::Boolean, "Whether this is the preferred scheme"),
            ],
            "How clients authenticate",
        )
        .multi()
        .required(),
    ],
};

/// The schema of a resource type.
static RESOURCE_TYPE: Schema = Schema {
    id: RESOURCE_TYPE_URN,
    name: "ResourceType",
    description: "A resource type: its endpoint and its schemas",
    attributes: &[
        string("id", "The id of the resource type, which is its name"),
        string("name", "The name of the resource type").required().case_exact().unique(),
        string("description", "The description of the resource type"),
        uri("endpoint", &["uri"], "The path of the endpoint below the base URL").required().unique(),
        uri("schema", &["uri"], "The URN of the core schema").required().case_exact(),
        complex(
            "schemaExtensions",
            &[
                uri("schema", &["uri"], "The URN of the extension").required().case_exact(),
                boolean("required", "Whether every resource has the extension"),
            ],
            "The extensions of the core schema",
        )
        .multi()
        .required(),
    ],
};

const NAME: Attribute = string("name", "The name of the attribute").required().case_exact();
const TYPE: Attribute = string("type", "The data type").required().canonical(&[
    "string",
    "complex",
    "boolean",
    "decimal",
    "integer",
    "dateTime",
    "reference",
    "binary",
]);
const MULTI_VALUED: Attribute = boolean("multiValued", "Whether the attribute has a list of values");
const DESCRIPTION: Attribute = string("description", "The description of the attribute").case_exact();
const REQUIRED: Attribute =
    attribute("required", Type::Boolean, "Whether a resource must have the attribute");
const CANONICAL_VALUES: Attribute =
    string("canonicalValues", "Values that a client may expect").case_exact().multi();
const CASE_EXACT: Attribute = attribute("caseExact", Type::Boolean, "Whether comparison is case-sensitive");
const MUTABILITY: Attribute = string("mutability", "The right to write the attribute")
    .case_exact()
    .canonical(&["readOnly", "readWrite", "immutable", "writeOnly"]);
const RETURNED: Attribute = string("returned", "When a response has the attribute")
    .case_exact()
    .canonical(&["always", "never", "default", "request"]);
const UNIQUENESS: Attribute = string("uniqueness", "The scope in which a value is unique")
    .case_exact()
    .canonical(&["none", "server", "global"]);
const REFERENCE_TYPES: Attribute =
    string("referenceTypes", "What a reference refers to").case_exact().multi();

/// The schema of a schema.
static SCHEMA: Schema = Schema {
    id: SCHEMA_URN,
    name: "Schema",
    description: "A schema: a URN and the attributes it defines",
    attributes: &[
        string("id", "The URN of the schema").required(),
        string("name", "The name of the schema").required(),
        string("description", "The description of the schema"),
        complex(
            "attributes",
            &[
                NAME,
                TYPE,
                MULTI_VALUED,
                DESCRIPTION,
                REQUIRED,
                CANONICAL_VALUES,
                CASE_EXACT,
                MUTABILITY,
                RETURNED,
                UNIQUENESS,
                REFERENCE_TYPES,
                complex(
                    "subAttributes",
                    &[
                        NAME,
                        TYPE,
                        MULTI_VALUED,
                        DESCRIPTION,
                        REQUIRED,
                        CANONICAL_VALUES,
                        CASE_EXACT,
                        MUTABILITY,
                        RETURNED,
                        UNIQUENESS,
                        REFERENCE_TYPES,
                    ],
                    "The sub-attributes of a complex attribute",
                )
                .multi(),
            ],
            "The attributes of the schema",
        )
        .multi()
        .required(),
    ],
};

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value};

    use super::*;
    use crate::discovery::{Bulk, Limits, resource_type, schema, service_provider_config};
    use crate::schema::{RESOURCE_TYPES, SCHEMAS};

    const BASE: &str = "https://scim.example/scim/v2";

    /// Asserts that an object has only attributes of a table, of their types, and every required one.
    fn conforms(attributes: &[Attribute], object: &Map<String, Value>, place: &str) {
        for attribute in attributes.iter().filter(|attribute| attribute.required) {
            assert!(object.contains_key(attribute.name), "{place} has no {}", attribute.name);
        }
        for (name, value) in object {
            let place = format!("{place}.{name}");
            let attribute = attributes.iter().find(|attribute| attribute.name == *name);
            let attribute = attribute.unwrap_or_else(|| panic!("{place} is in no schema"));
            assert_eq!(value.is_array(), attribute.multi_valued, "{place}");
            for value in value.as_array().unwrap_or(&vec![value.clone()]) {
                let has_type = match attribute.data_type {
                    Type::String | Type::Reference => value.is_string(),
                    Type::Boolean => value.is_boolean(),
                    Type::Integer => value.is_u64(),
                    Type::Complex => value.is_object(),
                    _ => false,
                };
                assert!(has_type, "{place} is {value}");
                if let Value::Object(object) = value {
                    conforms(attribute.sub_attributes, object, &place);
                }
                if let (Value::String(text), false) = (value, attribute.canonical_values.is_empty()) {
                    assert!(attribute.canonical_values.contains(&text.as_str()), "{place} is {text}");
                }
            }
        }
    }

    #[test]
    fn discovery_documents_conform_to_their_schemas() {
        let bulk = Some(Bulk { max_operations: 1, max_payload_size: 1 });
        let limits = Limits { max_results: 1, default_results: 1, cursor_seconds: 1, bulk };
        // The schema of schemas describes one level of sub-attributes, as in the RFC. It has two.
        let schemas = SCHEMAS.into_iter().chain(DISCOVERY_SCHEMAS).filter(|listed| listed.id != SCHEMA_URN);
        let schemas = schemas.map(|listed| schema(BASE, listed));
        let documents: Vec<Value> = [service_provider_config(BASE, &limits)]
            .into_iter()
            .chain(RESOURCE_TYPES.into_iter().map(|listed| resource_type(BASE, listed)))
            .chain(schemas)
            .collect();
        for document in documents {
            let Value::Object(mut document) = document else { panic!("{document}") };
            let urn = document.remove("schemas").unwrap()[0].clone();
            document.remove("meta").unwrap();
            let schema = DISCOVERY_SCHEMAS.into_iter().find(|schema| urn == schema.id).unwrap();
            conforms(schema.attributes, &document, schema.name);
        }
    }
}
