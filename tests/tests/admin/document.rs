//! The OpenAPI document: the file in the repository, the served one, and the routes.

use std::{fs, path::Path};

use expect_test::expect_file;
use serde_json::Value;
use service::admin;

use axum::http::Method;
use tests::ORG;

use super::Management;

/// An operation of the document.
pub(crate) struct Operation {
    pub(crate) id: String,
    pub(crate) method: Method,
    /// The path below `/admin/v1`, with [`ORG`] and ids of nothing as its parameters.
    pub(crate) path: String,
    pub(crate) has_body: bool,
}

/// Returns the operations of the document.
pub(crate) fn operations() -> Vec<Operation> {
    let document: Value = serde_json::from_str(&admin::document()).expect("JSON");
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        let path = path.strip_prefix("/admin/v1").expect("a path of the API").replace("{org}", ORG);
        // Ids have the form of those of the service.
        let path = path.replace("{key}", "0000000000000000");
        let path = path.replace("{client}", "acme.0000000000000000").replace("{secret}", "0000000000000000");
        let path = path.replace("{session}", "0000000000000000");
        assert!(!path.contains('{'), "{path} has a new parameter");
        for (method, operation) in item.as_object().expect("operations") {
            operations.push(Operation {
                id: operation["operationId"].as_str().expect("an id").to_owned(),
                method: method.to_ascii_uppercase().parse().expect("a method"),
                path: path.clone(),
                has_body: operation["requestBody"].is_object(),
            });
        }
    }
    operations
}

#[test]
fn kept_document_is_the_generated_one() {
    expect_file!["../../../shared/service/openapi.json"].assert_eq(&admin::document());
}

#[tokio::test]
async fn served_document_is_the_kept_one() {
    let answer = Management::new().await.get("/openapi.json").await;
    assert_eq!(answer.status, 200);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/service/openapi.json");
    let kept: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(answer.body, kept);
    assert_eq!(kept["openapi"], "3.1.0");
}

/// Every object that a request sends refuses unknown members, and every operation documents its errors.
#[test]
fn document_is_strict() {
    let document: Value = serde_json::from_str(&admin::document()).unwrap();
    let mut operations = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            operations += 1;
            let name = format!("{method} {path}");
            assert!(operation["summary"].is_string(), "{name} has no summary");
            assert!(operation["operationId"].is_string(), "{name} has no id");
            for status in ["400", "401", "403", "404", "409", "413", "415", "422", "429", "500", "503"] {
                let content = &operation["responses"][status]["content"]["application/problem+json"];
                assert_eq!(content["schema"]["$ref"], "#/components/schemas/Problem", "{name} {status}");
            }
            if let Some(reference) =
                operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].as_str()
            {
                let name = reference.rsplit('/').next().unwrap();
                assert_eq!(document["components"]["schemas"][name]["additionalProperties"], false, "{name}");
            }
        }
    }
    assert!(operations >= 17, "{operations}");
    assert!(document["security"].as_array().is_some_and(|schemes| schemes.len() == 2));
}
