//! The known worst cases.

use std::iter;

use axum::http::Method;
use dynoxide::Database;
use serde_json::{Value, json};
use tests::{
    Request, encode,
    load::{fill, import, member_id},
};

use crate::stored::{count_item, group, group_id, join, unknown_names, users, wide};

/// A worst case.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// Prepares the stored data, and returns the request.
    pub(crate) prepare: fn(&Database) -> Request,
    /// The possible statuses of the answer.
    pub(crate) statuses: &'static [u16],
}

/// The sizes of the bodies, just below the limits.
const GROUP_BODY: usize = 5_700_000;
const USER_BODY: usize = 1_000_000;
/// The largest number of members of a body.
const MEMBERS: usize = 114_000;

/// Every case.
pub(crate) const CASES: &[Case] = &[
    Case { name: "group_of_numbers", prepare: |_| group_with("0", GROUP_BODY), statuses: &[400] },
    Case { name: "group_of_lists", prepare: |_| group_with("[0]", GROUP_BODY), statuses: &[400] },
    Case { name: "group_of_objects", prepare: |_| group_with(r#"{"a":"b"}"#, GROUP_BODY), statuses: &[400] },
    Case { name: "members_of_objects", prepare: |_| members_of(r#"{"a":"b"}"#), statuses: &[400] },
    Case { name: "members_of_lists", prepare: |_| members_of("[[0]]"), statuses: &[400] },
    Case { name: "members_of_wide_objects", prepare: |_| wide_member(), statuses: &[400] },
    Case { name: "user_of_numbers", prepare: |_| user_with("0"), statuses: &[400] },
    Case { name: "patch_of_numbers", prepare: patch_of_numbers, statuses: &[400] },
    Case { name: "bulk_of_objects", prepare: |_| bulk_of(r#"{"":0}"#), statuses: &[400] },
    Case { name: "bulk_of_lists", prepare: |_| bulk_of("[0]"), statuses: &[400] },
    Case { name: "bulk_of_many_lists", prepare: |_| bulk_within_values(), statuses: &[200] },
    Case { name: "bulk_of_users", prepare: |_| bulk_of_users(), statuses: &[200] },
    Case { name: "bulk_of_waiting_users", prepare: |_| bulk_of_waiting_users(), statuses: &[200] },
    Case { name: "group_of_members", prepare: group_of_members, statuses: &[201] },
    Case { name: "group_of_unknown_members", prepare: |_| members_body(0), statuses: &[400] },
    Case { name: "bulk_of_unknown_members", prepare: |_| bulk_of_members(), statuses: &[200] },
    Case { name: "put_of_no_members", prepare: put_of_no_members, statuses: &[200] },
    Case { name: "put_of_same_members", prepare: put_of_same_members, statuses: &[200] },
    Case { name: "get_group", prepare: get_group, statuses: &[200] },
    Case { name: "delete_group", prepare: delete_group, statuses: &[204] },
    Case { name: "page_of_wide_users", prepare: |db| wide_page(db, 28_000, "?count=200"), statuses: &[400] },
    Case {
        name: "page_of_wide_users_by_cursor",
        prepare: |db| wide_page(db, 28_000, "?cursor&count=200&attributes=userName"),
        statuses: &[200],
    },
    Case {
        name: "page_of_wide_users_projected",
        prepare: |db| wide_page(db, 28_000, "?count=200&attributes=userName"),
        statuses: &[400],
    },
    Case {
        name: "page_of_wide_users_sorted",
        prepare: |db| wide_page(db, 28_000, "?cursor&count=200&sortBy=userName&attributes=userName"),
        statuses: &[200],
    },
    Case {
        name: "filter_of_wide_users",
        prepare: |db| wide_page(db, 28_000, "?filter=title%20pr&count=200"),
        statuses: &[200],
    },
    Case {
        name: "range_of_wide_users",
        prepare: |db| {
            wide_page(db, 28_000, "?filter=userName%20sw%20%22user%22%20and%20not%20(title%20pr)&count=200")
        },
        statuses: &[400],
    },
    Case { name: "search_of_unknown_names", prepare: search_of_unknown_names, statuses: &[200] },
    Case { name: "sort_by_long_title", prepare: sort_by_long_title, statuses: &[200] },
    Case {
        name: "page_of_memberships",
        prepare: |db| page_of_memberships(db, "?count=1000"),
        statuses: &[400],
    },
    Case {
        name: "page_of_memberships_by_cursor",
        prepare: |db| page_of_memberships(db, "?cursor&count=1000"),
        statuses: &[200],
    },
    Case {
        name: "filter_of_memberships",
        prepare: |db| page_of_memberships(db, "?count=10&filter=not%20(groups.type%20eq%20%22x%22)"),
        statuses: &[200],
    },
    Case { name: "page_of_large_groups", prepare: |db| large_groups(db, "?count=10"), statuses: &[400] },
    Case {
        name: "page_of_large_groups_by_cursor",
        prepare: |db| large_groups(db, "?cursor&count=10"),
        statuses: &[200],
    },
    Case {
        name: "filter_of_large_groups",
        prepare: |db| large_groups(db, "?filter=members.type%20eq%20%22Group%22"),
        statuses: &[200],
    },
    Case { name: "get_user_of_many_groups", prepare: |db| many_groups(db, false), statuses: &[400] },
    Case { name: "patch_user_of_many_groups", prepare: |db| many_groups(db, true), statuses: &[200] },
    Case { name: "patch_of_one_address_often", prepare: patch_of_one_address, statuses: &[200] },
];

fn many(element: &str, bytes: usize) -> String {
    let count = bytes / (element.len() + 1);
    let mut text = String::with_capacity(bytes);
    for number in 0..count {
        if number > 0 {
            text.push(',');
        }
        text.push_str(element);
    }
    text
}

fn post(path: &str, body: String) -> Request {
    Request::bytes(Method::POST, path, body)
}

fn group_with(element: &str, bytes: usize) -> Request {
    post("/Groups", format!(r#"{{"displayName":"m","x":[{}]}}"#, many(element, bytes)))
}

fn members_of(element: &str) -> Request {
    post("/Groups", format!(r#"{{"displayName":"m","members":[{}]}}"#, many(element, GROUP_BODY)))
}

fn wide_member() -> Request {
    let names: Vec<String> = (0..390_000).map(|number| format!("\"{number:x}\":0")).collect();
    post("/Groups", format!(r#"{{"displayName":"m","members":[{{{}}}]}}"#, names.join(",")))
}

fn user_with(element: &str) -> Request {
    post("/Users", format!(r#"{{"userName":"m","x":[{}]}}"#, many(element, USER_BODY)))
}

fn patch_of_numbers(database: &Database) -> Request {
    users(database, 1, &json!({}));
    let path = "urn:ietf:params:scim:schemas:extension:Wide:2.0:User:a";
    let operation = format!(r#"{{"op":"add","path":"{path}","value":[[{}]]}}"#, many("0", USER_BODY * 3 / 4));
    let target = format!("/Users/{}", member_id(0));
    Request::bytes(Method::PATCH, target, format!(r#"{{"Operations":[{operation}]}}"#))
}

fn bulk(operations: &[String]) -> Request {
    post("/Bulk", format!(r#"{{"Operations":[{}]}}"#, operations.join(",")))
}

fn creation(path: &str, bulk_id: usize, data: &str) -> String {
    format!(r#"{{"method":"POST","path":"{path}","bulkId":"{bulk_id}","data":{data}}}"#)
}

fn bulk_of(element: &str) -> Request {
    bulk(&[creation("/Groups", 0, &format!(r#"{{"displayName":"m","x":[{}]}}"#, many(element, GROUP_BODY)))])
}

fn bulk_within_values() -> Request {
    bulk(&[creation("/Groups", 0, &format!(r#"{{"displayName":"m","x":[{}]}}"#, many("[0]", 195_000 * 4)))])
}

fn bulk_of_users() -> Request {
    let operations = (0..1_000).map(|number| {
        let emails: Vec<Value> = (0..20)
            .map(|email| json!({ "value": format!("user-{number}-{email}-{}@example.com", "x".repeat(100)), "type": "work" }))
            .collect();
        let user = json!({ "userName": format!("user-{number}"), "emails": emails, "title": "t".repeat(400) });
        creation("/Users", number, &user.to_string())
    });
    bulk(&operations.collect::<Vec<_>>())
}

fn bulk_of_waiting_users() -> Request {
    let operations = (0..1_000).map(|number| {
        let user = json!({
            "userName": format!("{number}{}", "é".repeat(2_500)),
            "manager": format!("bulkId:{}", number + 1),
        });
        creation("/Users", number, &user.to_string())
    });
    bulk(&operations.collect::<Vec<_>>())
}

fn members_body(first: usize) -> Request {
    let members: Vec<String> =
        (first..first + MEMBERS).map(|number| format!(r#"{{"value":"{}"}}"#, member_id(number))).collect();
    post("/Groups", format!(r#"{{"displayName":"m","members":[{}]}}"#, members.join(",")))
}

fn group_of_members(database: &Database) -> Request {
    users(database, MEMBERS, &json!({}));
    members_body(0)
}

/// Puts a group with [`MEMBERS`] members. Returns its path.
fn large_group(database: &Database) -> String {
    group(database, &group_id(0), "m");
    fill(database, &group_id(0), 0..MEMBERS);
    format!("/Groups/{}", group_id(0))
}

fn put_of_same_members(database: &Database) -> Request {
    let path = large_group(database);
    Request { method: Method::PUT, ..Request::bytes(Method::PUT, path, members_body(0).body) }
}

fn put_of_no_members(database: &Database) -> Request {
    Request::put(large_group(database), json!({ "displayName": "m" }))
}

fn bulk_of_members() -> Request {
    let body = members_body(0).body;
    bulk(&[creation("/Groups", 0, std::str::from_utf8(&body).unwrap_or_default())])
}

fn get_group(database: &Database) -> Request {
    Request::get(large_group(database))
}

fn delete_group(database: &Database) -> Request {
    group(database, &group_id(0), "m");
    fill(database, &group_id(0), 0..20_000);
    Request::delete(format!("/Groups/{}", group_id(0)))
}

fn wide_page(database: &Database, attributes: usize, query: &str) -> Request {
    users(database, 200, &wide(attributes));
    Request::get(format!("/Users{query}"))
}

fn search_of_unknown_names(database: &Database) -> Request {
    users(database, 25, &wide(28_000));
    post(
        "/Users/.search",
        json!({ "count": 1000, "attributes": [unknown_names(200).trim_end_matches(',')] }).to_string(),
    )
}

fn sort_by_long_title(database: &Database) -> Request {
    users(database, 99_000, &json!({ "title": "t".repeat(600) }));
    Request::get("/Users?sortBy=title&count=1")
}

fn page_of_memberships(database: &Database, query: &str) -> Request {
    users(database, 1_000, &json!({}));
    join(database, 1_000, 500);
    Request::get(format!("/Users{query}"))
}

fn large_groups(database: &Database, query: &str) -> Request {
    import(database, iter::once(count_item("GROUP", 6)));
    for number in 0..6 {
        group(database, &group_id(number), &format!("group {number}"));
        fill(database, &group_id(number), 0..60_000);
    }
    Request::get(format!("/Groups{query}"))
}

fn many_groups(database: &Database, patches: bool) -> Request {
    users(database, 1, &json!({ "title": "t" }));
    join(database, 1, 120_000);
    let path = format!("/Users/{}", member_id(0));
    if patches {
        Request::patch(path, json!([{ "op": "replace", "path": "title", "value": encode("u") }]))
    } else {
        Request::get(path)
    }
}

fn patch_of_one_address(database: &Database) -> Request {
    let roles: Vec<Value> =
        (0..98).map(|number| json!({ "value": format!("role-{number}"), "type": "x" })).collect();
    users(database, 1, &json!({ "roles": roles }));
    let role = json!([{ "value": "role", "type": "y" }]);
    let operations: Vec<Value> = (0..500)
        .flat_map(|_| {
            [
                json!({ "op": "add", "path": "roles", "value": role }),
                json!({ "op": "remove", "path": "roles[value eq \"role\"]" }),
            ]
        })
        .collect();
    Request::patch(format!("/Users/{}", member_id(0)), Value::from(operations))
}
