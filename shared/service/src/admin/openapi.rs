//! The OpenAPI document: `/admin/v1/openapi.json`.
//!
//! The document is generated from the handlers and their types. A test compares it with `shared/service/openapi.json`.

use utoipa::{
    OpenApi,
    openapi::{
        self, ComponentsBuilder,
        security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
    },
};

use super::problem::{Fault, Problem};

/// The document without the operations.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Management API of the SCIM service",
        version = "1",
        description = "Organisations, API keys, OAuth clients, the audit log and the request log. On AWS, requests are signed with Signature \
                       Version 4 (service `lambda`). On the local gateway, requests have the operator token of \
                       connection.env.",
        license(name = "MIT", identifier = "MIT"),
    ),
    components(schemas(Problem, Fault))
)]
struct Document;

/// The name of the scheme of the local gateway.
const TOKEN: &str = "operatorToken";
/// The name of the scheme of AWS.
const SIGNATURE: &str = "signatureVersion4";

/// Completes the document of the routes.
pub(super) fn document(of_routes: openapi::OpenApi) -> openapi::OpenApi {
    let mut document = Document::openapi();
    document.merge(of_routes);
    let token = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
    let signature = ApiKeyValue::with_description("authorization", "AWS Signature Version 4.");
    let components = document.components.get_or_insert_with(|| ComponentsBuilder::new().build());
    components.add_security_scheme(TOKEN, SecurityScheme::Http(token));
    components.add_security_scheme(SIGNATURE, SecurityScheme::ApiKey(ApiKey::Header(signature)));
    let none: [&str; 0] = [];
    document.security = Some([TOKEN, SIGNATURE].map(|scheme| SecurityRequirement::new(scheme, none)).into());
    document
}
