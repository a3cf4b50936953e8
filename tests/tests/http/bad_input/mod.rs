//! Bad input: a table of requests and verdicts for each class of attack on SCIM servers.
//!
//! A line of a table is a name, a verdict (status and `scimType`) and a request. After each table the data of both
//! organisations must be unchanged and healthy.

mod bodies;
mod conditions;
mod errors;
mod filters;
mod ids;
mod names;
mod organisations;
mod parameters;
mod patch;

use std::fmt::Display;

use serde_json::json;
use service::auth::Scope;
use tests::{Request, Service, form_violations};

use crate::{assert_no_failures, contents};

const OTHER: &str = "beta";

/// A service with two organisations, each with users and a group.
struct TwoOrgs {
    service: Service,
    /// The paths of a user and a group, `/Users/<id>` and `/Groups/<id>`.
    user: String,
    group: String,
    /// The key and the ids of the other organisation.
    other_key: String,
    other_user: String,
    other_group: String,
    before: [String; 2],
}

impl TwoOrgs {
    async fn new() -> Self {
        let service = Service::new().await;
        let ada = json!({
            "userName": "ada@example.com",
            "externalId": "ext-1",
            "emails": [{ "type": "work", "value": "ada@example.com", "primary": true }],
            "active": true,
        });
        let ada = service.post("/Users", ada).await.id();
        let bob = service.user("bob@example.com").await;
        let group = service.group("Staff", &[&ada, &bob]).await;
        let other_key = service.organisation(OTHER, &[Scope::Scim]).await;
        let create = async |path, body| {
            let answer = Request::post(path, &body).bearer(&other_key).send(&service).await;
            assert_eq!(answer.status, 201, "{:#}", answer.body);
            answer.id()
        };
        let other_user = create("/Users", json!({ "userName": "zoe@example.com" })).await;
        let members = json!([{ "value": other_user }]);
        let other_group = create("/Groups", json!({ "displayName": "Others", "members": members })).await;
        let (user, group) = (format!("/Users/{ada}"), format!("/Groups/{group}"));
        let before = [const { String::new() }; 2];
        let mut orgs = Self { service, user, group, other_key, other_user, other_group, before };
        orgs.before = orgs.contents().await;
        orgs
    }

    async fn contents(&self) -> [String; 2] {
        [
            contents(&self.service, &self.service.org, &self.service.key).await,
            contents(&self.service, OTHER, &self.other_key).await,
        ]
    }

    /// Sends each request of a table. Fails unless each response has its verdict and a valid form, and no data changes.
    async fn assert_verdicts<N: Display>(&self, table: impl IntoIterator<Item = (N, &str, Request)>) {
        let mut failures = Vec::new();
        for (name, verdict, request) in table {
            let line = format!(
                "{name} ({} {})",
                request.method,
                request.target.chars().take(60).collect::<String>()
            );
            let answer = request.send(&self.service).await;
            if answer.verdict() != verdict {
                failures.push(format!(
                    "{line}: {}, not {verdict}: {}",
                    answer.verdict(),
                    answer.body["detail"]
                ));
            }
            failures.extend(form_violations(&answer).into_iter().map(|fault| format!("{line}: {fault}")));
        }
        assert_no_failures(&failures);
        for (before, after) in self.before.iter().zip(self.contents().await) {
            let new: Vec<_> = after.lines().filter(|line| !before.lines().any(|old| old == *line)).collect();
            assert!(*before == after, "the data changed. New lines:\n{}", new.join("\n"));
        }
    }

    /// Returns valid requests that change nothing.
    async fn no_op_requests(&self) -> Vec<Request> {
        let mut requests = Vec::new();
        for path in [&self.user, &self.group] {
            let shown = self.service.get(path).await.body;
            requests.push(Request::put(path, &shown));
            requests.push(Request::patch(path, json!([{ "op": "add", "value": {} }])));
        }
        requests
    }
}
