//! A directory of users and groups. It takes long to make, so it is made once for each size and restored from a file.

use std::sync::atomic::{AtomicI64, Ordering};

use dynoxide::Database;
use local::embedded;
use scim::{resource::Document, schema::USER_TYPE};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use service::{auth::Caller, clock::Clock, config::Tables, entropy::Entropy, store::Store};
use tests::{NOW, ORG, Service, snapshot};
use time::{Duration, OffsetDateTime};

use super::GROUPS;

/// The number of users for each one whose title is `Manager`.
const USERS_PER_MANAGER: usize = 10;
/// The number of users for each team.
const USERS_PER_TEAM: usize = 50;
/// The number of tasks that create users: the engine is serial, but the SDK is not.
const TASKS: usize = 2;

/// The ids in a directory.
///
/// All users but three are named `user-…`. One group has ten members, one has a fifth of all users, and each team has
/// one member.
#[derive(Deserialize, Serialize)]
pub(crate) struct Directory {
    /// Users in the order of creation.
    pub(crate) users: Vec<String>,
    pub(crate) managers: Vec<String>,
    pub(crate) small_group: String,
    pub(crate) large_group: String,
}

impl Directory {
    /// Restores the directory with that number of users to a database of the caller's own.
    pub(crate) async fn restored(size: usize) -> (Database, Self) {
        let make = async |database: &Database| Self::make(database, size).await;
        let name = format!("directory-of-{size}");
        snapshot::restored(env!("CARGO_TARGET_TMPDIR"), &name, include_str!("directory.rs"), make).await
    }

    /// Returns the number of teams.
    pub(crate) fn teams(&self) -> usize {
        self.users.len() / USERS_PER_TEAM
    }

    async fn make(database: &Database, size: usize) -> Self {
        let client = embedded::client(database.clone());
        // The clock advances by a millisecond on each reading, so that all groups have different times after the users.
        let ticks = AtomicI64::new(0);
        let clock = Clock::new(move || {
            created_at(size) + Duration::milliseconds(ticks.fetch_add(1, Ordering::Relaxed))
        });
        let service = Service::on_with_clock(client.clone(), clock).await;
        let caller = Caller::operator(ORG.parse().expect("an organisation"));
        let tasks: Vec<_> = (0..TASKS)
            .zip(2..)
            .map(|(task, seed)| {
                let (client, caller, entropy) = (client.clone(), caller.clone(), Entropy::seeded(seed));
                tokio::spawn(async move {
                    let mut created = Vec::new();
                    for number in (task..size).step_by(TASKS) {
                        // Costs depend on positions in the indexes, so the number of a user decides its position.
                        let clock = Clock::fixed(created_at(number));
                        let store = Store::new(&client, Tables::default(), clock, entropy.clone());
                        let document = Document::from_request(&USER_TYPE, &user(number)).expect("a user");
                        let stored = store.directory(&caller).create_user(document).await.expect("created");
                        created.push((stored.id.to_string(), number));
                    }
                    created
                })
            })
            .collect();
        let mut created = Vec::new();
        for task in tasks {
            created.extend(task.await.expect("a task that creates users"));
        }
        created.sort_unstable();
        let is_manager = |number: &usize| number.is_multiple_of(USERS_PER_MANAGER);
        let managers =
            created.iter().filter(|(_, number)| is_manager(number)).map(|(id, _)| id.clone()).collect();
        let users: Vec<String> = created.into_iter().map(|(id, _)| id).collect();
        let members = |from: usize, to: usize| users[from..to].iter().map(String::as_str).collect::<Vec<_>>();
        let small_group = service.group("small", &members(0, 10)).await;
        let large_group = service.group("large", &members(10, 10 + size / 5)).await;
        for (number, member) in users.iter().enumerate().take(size / USERS_PER_TEAM) {
            let team = json!({
                "displayName": format!("team-{number:05}"), "externalId": format!("team-{number:05}"),
                "members": [{ "value": member }],
            });
            assert_eq!(service.post(GROUPS, team).await.status, 201);
        }
        Self { users, managers, small_group, large_group }
    }
}

/// Returns the body of the user with that number.
pub(crate) fn user(number: usize) -> Value {
    let name = match number {
        1..=3 => format!("special-{number}@example.com"),
        _ => format!("user-{number:05}@example.com"),
    };
    json!({
        "userName": name, "externalId": format!("external-{number:05}"), "active": true,
        "name": { "givenName": "Given", "familyName": "Family" }, "displayName": "Given Family",
        "title": if number.is_multiple_of(USERS_PER_MANAGER) { "Manager" } else { "Worker" },
        "emails": [{ "value": format!("mail-{number:05}@example.com"), "type": "work", "primary": true }],
    })
}

fn created_at(number: usize) -> OffsetDateTime {
    NOW + Duration::milliseconds(i64::try_from(number).expect("a number"))
}
