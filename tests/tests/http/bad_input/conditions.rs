//! `If-Match` and `If-None-Match`.

use serde_json::json;
use tests::Request;

use super::TwoOrgs;
use crate::UNKNOWN_ID;

#[tokio::test]
async fn malformed_etag_condition_is_400_and_stale_one_is_412() {
    let orgs = TwoOrgs::new().await;
    let mut table = Vec::new();
    for path in [&orgs.user, &orgs.group] {
        let current = orgs.service.get(path).await.header("etag").to_owned();
        let strong = current.trim_start_matches("W/").to_owned();
        let token = strong.trim_matches('"').to_owned();
        let carried_out = if path == &orgs.user { "200" } else { "204" };
        let over = "x".repeat(8000);
        for (value, verdict) in [
            ("", "400 invalidValue"),
            ("x", "400 invalidValue"),
            (token.as_str(), "400 invalidValue"),
            ("\"", "400 invalidValue"),
            ("W/", "400 invalidValue"),
            ("W/\"", "400 invalidValue"),
            ("W/x", "400 invalidValue"),
            ("\"x\",", "400 invalidValue"),
            (",", "400 invalidValue"),
            ("*, \"x\"", "400 invalidValue"),
            ("**", "400 invalidValue"),
            ("'x'", "400 invalidValue"),
            ("w/\"x\"", "400 invalidValue"),
            ("\u{e9}", "400 invalidValue"),
            ("\"\"", "412"),
            ("W/\"\"", "412"),
            ("W/\"x\"", "412"),
            ("\"x\"", "412"),
            ("W/\"x\", \"y\", W/\"z\"", "412"),
            ("\"*\"", "412"),
            ("W/\"1\"", "412"),
            (&format!("\"{over}\""), "412"),
            (&format!("W/\"{}\"", token.to_uppercase()), "412"),
            ("*", carried_out),
            (" * ", carried_out),
            (current.as_str(), carried_out),
            (strong.as_str(), carried_out),
            (&format!("\"x\", {current}"), carried_out),
            (&format!("{strong},W/\"y\""), carried_out),
        ] {
            let name: String = value.chars().take(40).collect();
            let nothing = json!([{ "op": "add", "value": {} }]);
            table.push((name.clone(), verdict, Request::patch(path, &nothing).header("if-match", value)));
            if verdict.starts_with('4') {
                let change = json!([{ "op": "replace", "path": "displayName", "value": "x" }]);
                table.push((name.clone(), verdict, Request::patch(path, &change).header("if-match", value)));
                let remove = json!([{ "op": "remove", "path": "members" }]);
                if path == &orgs.group {
                    table.push((
                        name.clone(),
                        verdict,
                        Request::patch(path, &remove).header("if-match", value),
                    ));
                }
                let body = json!({ "userName": "x", "displayName": "x" });
                table.push((name.clone(), verdict, Request::put(path, &body).header("if-match", value)));
                table.push((name, verdict, Request::delete(path).header("if-match", value)));
            }
        }
        let twice = Request::delete(path).header("if-match", "\"x\"").header("if-match", &current);
        table.push(("twice".to_owned(), "400 invalidValue", twice));
        let missing = format!("{}/{UNKNOWN_ID}", &path[..path.rfind('/').unwrap()]);
        table.push(("unknown id".to_owned(), "404", Request::delete(&missing).header("if-match", "*")));
        for (value, verdict) in [
            ("x", "400 invalidValue"),
            ("\"x\"", "200"),
            ("*", "304"),
            (current.as_str(), "304"),
            (strong.as_str(), "304"),
        ] {
            table.push((value.to_owned(), verdict, Request::get(path).header("if-none-match", value)));
        }
    }
    orgs.assert_verdicts(table).await;
}

#[tokio::test]
async fn etags_without_commas_are_rejected() {
    let orgs = TwoOrgs::new().await;
    let mut table = Vec::new();
    for value in ["\"x\" \"y\"", "\"x\"y\"", "\"\"\"", "W/\"x\" W/\"y\""] {
        let change = json!([{ "op": "replace", "path": "displayName", "value": "x" }]);
        table.push((
            value,
            "400 invalidValue",
            Request::patch(&orgs.user, &change).header("if-match", value),
        ));
    }
    orgs.assert_verdicts(table).await;
}
