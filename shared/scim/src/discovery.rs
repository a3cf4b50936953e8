//! The discovery documents: `/ServiceProviderConfig`, `/ResourceTypes` and `/Schemas` (RFC 7643 §5-§7; RFC 7644 §4).
//!
//! The documents are rendered from the schema table and the limits in force, so they always match the service. They
//! list neither extensions without a schema here nor common attributes, which belong to no schema (RFC 7643 §3.1),
//! except `externalId` ([`Schema::shown_attributes`]).

use serde_json::{Map, Value, json};

use crate::schema::{Attribute, Mutability, ResourceType, Returned, Schema, Type, Uniqueness};

/// URN of `/ServiceProviderConfig`.
pub const SERVICE_PROVIDER_CONFIG_URN: &str = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig";
/// URN of a resource type.
pub const RESOURCE_TYPE_URN: &str = "urn:ietf:params:scim:schemas:core:2.0:ResourceType";
/// URN of a schema.
pub const SCHEMA_URN: &str = "urn:ietf:params:scim:schemas:core:2.0:Schema";

/// The limits that `/ServiceProviderConfig` publishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The maximum number of resources in a page.
    pub max_results: u64,
    /// The number of resources in a page for a request without a `count`.
    pub default_results: u64,
    /// The lifetime of a cursor, in seconds (RFC 9865 §4).
    pub cursor_seconds: u64,
    /// The limits of a bulk request, or `None` if bulk is not offered.
    pub bulk: Option<Bulk>,
}

/// The limits of a bulk request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bulk {
    /// The maximum number of operations.
    pub max_operations: u64,
    /// The maximum size of the body, in bytes.
    pub max_payload_size: u64,
}

/// Renders `/ServiceProviderConfig` (RFC 7643 §5). `base` is the public URL of the service, without a trailing slash.
#[must_use]
pub fn service_provider_config(base: &str, limits: &Limits) -> Value {
    let bulk = limits.bulk.unwrap_or(Bulk { max_operations: 0, max_payload_size: 0 });
    json!({
        "schemas": [SERVICE_PROVIDER_CONFIG_URN],
        "patch": { "supported": true },
        "bulk": {
            "supported": limits.bulk.is_some(),
            "maxOperations": bulk.max_operations,
            "maxPayloadSize": bulk.max_payload_size,
        },
        "filter": { "supported": true, "maxResults": limits.max_results },
        "changePassword": { "supported": false },
        "sort": { "supported": true },
        "etag": { "supported": true },
        "pagination": {
            "cursor": true,
            "index": true,
            "defaultPaginationMethod": "index",
            "defaultPageSize": limits.default_results,
            "maxPageSize": limits.max_results,
            "cursorTimeout": limits.cursor_seconds,
        },
        "authenticationSchemes": [{
            "type": "oauthbearertoken",
            "name": "Bearer token",
            "description": "A SCIM API key of the organisation, sent as a bearer token",
            "specUri": "https://www.rfc-editor.org/info/rfc6750",
            "primary": true,
        }],
        "meta": {
            "resourceType": "ServiceProviderConfig",
            "location": format!("{base}/ServiceProviderConfig"),
        },
    })
}

/// Renders a resource type (RFC 7643 §6).
#[must_use]
pub fn resource_type(base: &str, resource_type: &ResourceType) -> Value {
    let extension = |schema: &&Schema| json!({ "schema": schema.id, "required": false });
    json!({
        "schemas": [RESOURCE_TYPE_URN],
        "id": resource_type.name,
        "name": resource_type.name,
        "description": resource_type.description,
        "endpoint": resource_type.endpoint,
        "schema": resource_type.schema.id,
        "schemaExtensions": resource_type.extensions.iter().map(extension).collect::<Vec<_>>(),
        "meta": {
            "resourceType": "ResourceType",
            "location": format!("{base}/ResourceTypes/{}", resource_type.name),
        },
    })
}

/// Renders a schema (RFC 7643 §7).
#[must_use]
pub fn schema(base: &str, schema: &Schema) -> Value {
    json!({
        "schemas": [SCHEMA_URN],
        "id": schema.id,
        "name": schema.name,
        "description": schema.description,
        "attributes": schema.shown_attributes().map(attribute).collect::<Vec<_>>(),
        "meta": {
            "resourceType": "Schema",
            "location": format!("{base}/Schemas/{}", schema.id),
        },
    })
}

/// Renders an attribute. `caseExact` and `uniqueness` of a complex attribute mean nothing, because its sub-attributes
/// have their own. Validators of clients still expect both.
fn attribute(shown: &Attribute) -> Value {
    let mut characteristics = Map::new();
    let mut says = |name: &str, value: Value| characteristics.insert(name.to_owned(), value);
    says("name", shown.name.into());
    says("type", type_name(shown.data_type).into());
    says("multiValued", shown.multi_valued.into());
    says("description", shown.description.into());
    says("required", shown.required.into());
    if !shown.canonical_values.is_empty() {
        says("canonicalValues", json!(shown.canonical_values));
    }
    says("caseExact", shown.case_exact.into());
    says("mutability", mutability(shown.mutability).into());
    says("returned", returned(shown.returned).into());
    says("uniqueness", uniqueness(shown.uniqueness).into());
    if !shown.reference_types.is_empty() {
        says("referenceTypes", json!(shown.reference_types));
    }
    if !shown.sub_attributes.is_empty() {
        says("subAttributes", shown.sub_attributes.iter().map(attribute).collect());
    }
    characteristics.into()
}

const fn type_name(data_type: Type) -> &'static str {
    match data_type {
        // No schema has an attribute of type `Any`. Microsoft Entra sends text for such attributes.
        Type::String | Type::Any => "string",
        Type::Boolean => "boolean",
        Type::Decimal => "decimal",
        Type::Integer => "integer",
        Type::DateTime => "dateTime",
        Type::Binary => "binary",
        Type::Reference => "reference",
        Type::Complex => "complex",
    }
}

const fn mutability(mutability: Mutability) -> &'static str {
    match mutability {
        Mutability::ReadOnly => "readOnly",
        Mutability::ReadWrite => "readWrite",
        Mutability::Immutable => "immutable",
        Mutability::WriteOnly => "writeOnly",
    }
}

const fn returned(returned: Returned) -> &'static str {
    match returned {
        Returned::Always => "always",
        Returned::Never => "never",
        Returned::Default => "default",
        Returned::Request => "request",
    }
}

const fn uniqueness(uniqueness: Uniqueness) -> &'static str {
    match uniqueness {
        Uniqueness::None => "none",
        Uniqueness::Server => "server",
        Uniqueness::Global => "global",
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;
    use crate::schema::{GROUP, RESOURCE_TYPES, SCHEMAS, USER_TYPE};

    const BASE: &str = "https://scim.example/scim/v2";

    fn shows(document: &Value, expected: &Expect) {
        expected.assert_eq(&serde_json::to_string_pretty(document).unwrap());
    }

    #[test]
    fn service_provider_config_has_all_of_rfc_7643_section_5() {
        shows(
            &service_provider_config(
                BASE,
                &Limits { max_results: 1000, default_results: 100, cursor_seconds: 3600, bulk: None },
            ),
            &expect![[r#"
                {
                  "schemas": [
                    "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"
                  ],
                  "patch": {
                    "supported": true
                  },
                  "bulk": {
                    "supported": false,
                    "maxOperations": 0,
                    "maxPayloadSize": 0
                  },
                  "filter": {
                    "supported": true,
                    "maxResults": 1000
                  },
                  "changePassword": {
                    "supported": false
                  },
                  "sort": {
                    "supported": true
                  },
                  "etag": {
                    "supported": true
                  },
                  "pagination": {
                    "cursor": true,
                    "index": true,
                    "defaultPaginationMethod": "index",
                    "defaultPageSize": 100,
                    "maxPageSize": 1000,
                    "cursorTimeout": 3600
                  },
                  "authenticationSchemes": [
                    {
                      "type": "oauthbearertoken",
                      "name": "Bearer token",
                      "description": "A SCIM API key of the organisation, sent as a bearer token",
                      "specUri": "https://www.rfc-editor.org/info/rfc6750",
                      "primary": true
                    }
                  ],
                  "meta": {
                    "resourceType": "ServiceProviderConfig",
                    "location": "https://scim.example/scim/v2/ServiceProviderConfig"
                  }
                }"#]],
        );
    }

    #[test]
    fn service_provider_config_has_limits_of_bulk() {
        let bulk = Some(Bulk { max_operations: 10, max_payload_size: 20 });
        let config = service_provider_config(
            BASE,
            &Limits { max_results: 1, default_results: 1, cursor_seconds: 1, bulk },
        );
        assert_eq!(config["bulk"], json!({"supported": true, "maxOperations": 10, "maxPayloadSize": 20}));
    }

    #[test]
    fn resource_type_names_schema_and_extensions() {
        shows(
            &resource_type(BASE, &USER_TYPE),
            &expect![[r#"
            {
              "schemas": [
                "urn:ietf:params:scim:schemas:core:2.0:ResourceType"
              ],
              "id": "User",
              "name": "User",
              "description": "A person of the organisation",
              "endpoint": "/Users",
              "schema": "urn:ietf:params:scim:schemas:core:2.0:User",
              "schemaExtensions": [
                {
                  "schema": "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
                  "required": false
                }
              ],
              "meta": {
                "resourceType": "ResourceType",
                "location": "https://scim.example/scim/v2/ResourceTypes/User"
              }
            }"#]],
        );
    }

    #[test]
    fn schema_lists_attributes_with_all_characteristics() {
        shows(
            &schema(BASE, &GROUP),
            &expect![[r#"
                {
                  "schemas": [
                    "urn:ietf:params:scim:schemas:core:2.0:Schema"
                  ],
                  "id": "urn:ietf:params:scim:schemas:core:2.0:Group",
                  "name": "Group",
                  "description": "Group",
                  "attributes": [
                    {
                      "name": "externalId",
                      "type": "string",
                      "multiValued": false,
                      "description": "The identifier the identity provider gave the resource",
                      "required": false,
                      "caseExact": true,
                      "mutability": "readWrite",
                      "returned": "default",
                      "uniqueness": "none"
                    },
                    {
                      "name": "displayName",
                      "type": "string",
                      "multiValued": false,
                      "description": "The name of the group, unique in the organisation",
                      "required": true,
                      "caseExact": false,
                      "mutability": "readWrite",
                      "returned": "default",
                      "uniqueness": "server"
                    },
                    {
                      "name": "members",
                      "type": "complex",
                      "multiValued": true,
                      "description": "The members of the group",
                      "required": false,
                      "caseExact": false,
                      "mutability": "readWrite",
                      "returned": "default",
                      "uniqueness": "none",
                      "subAttributes": [
                        {
                          "name": "value",
                          "type": "string",
                          "multiValued": false,
                          "description": "The id of the member",
                          "required": false,
                          "caseExact": true,
                          "mutability": "immutable",
                          "returned": "default",
                          "uniqueness": "none"
                        },
                        {
                          "name": "$ref",
                          "type": "reference",
                          "multiValued": false,
                          "description": "The URI of the member",
                          "required": false,
                          "caseExact": true,
                          "mutability": "immutable",
                          "returned": "default",
                          "uniqueness": "none",
                          "referenceTypes": [
                            "User",
                            "Group"
                          ]
                        },
                        {
                          "name": "type",
                          "type": "string",
                          "multiValued": false,
                          "description": "The resource type of the member",
                          "required": false,
                          "canonicalValues": [
                            "User",
                            "Group"
                          ],
                          "caseExact": false,
                          "mutability": "immutable",
                          "returned": "default",
                          "uniqueness": "none"
                        }
                      ]
                    }
                  ],
                  "meta": {
                    "resourceType": "Schema",
                    "location": "https://scim.example/scim/v2/Schemas/urn:ietf:params:scim:schemas:core:2.0:Group"
                  }
                }"#]],
        );
    }

    #[test]
    fn schemas_are_those_of_the_resource_types() {
        let mut pointed_at = Vec::new();
        for shown in RESOURCE_TYPES.iter().map(|resource_type| super::resource_type(BASE, resource_type)) {
            pointed_at.push(shown["schema"].clone());
            pointed_at
                .extend(shown["schemaExtensions"].as_array().unwrap().iter().map(|it| it["schema"].clone()));
        }
        let listed: Vec<_> = SCHEMAS.iter().map(|listed| schema(BASE, listed)["id"].clone()).collect();
        assert_eq!(pointed_at, listed);
    }

    #[test]
    fn schema_documents_agree_with_the_table() {
        for listed in SCHEMAS {
            let shown = schema(BASE, listed);
            agree(&listed.shown_attributes().copied().collect::<Vec<_>>(), &shown["attributes"]);
        }
    }

    fn agree(attributes: &[Attribute], shown: &Value) {
        assert_eq!(attributes.len(), shown.as_array().unwrap().len());
        for (attribute, shown) in attributes.iter().zip(shown.as_array().unwrap()) {
            assert_eq!(shown["name"], attribute.name);
            assert_eq!(shown["multiValued"], attribute.multi_valued);
            assert_eq!(shown["required"], attribute.required);
            assert_eq!(shown["caseExact"], attribute.case_exact);
            assert_eq!(shown["type"] == "reference", !shown["referenceTypes"].is_null());
            assert_eq!(shown.get("canonicalValues").is_some(), !attribute.canonical_values.is_empty());
            if attribute.data_type == Type::Complex {
                agree(attribute.sub_attributes, &shown["subAttributes"]);
            }
        }
    }
}
