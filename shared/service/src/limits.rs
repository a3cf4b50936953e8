//! The published limits (README.md, "Limits") and the division of a request's time.
//!
//! Limits on JSON, filters, PATCH and attribute values are constants of [`scim`].
//!
//! # Time of a request
//!
//! Each stage ends a fixed reserve before the deadline of the request, so that the later stages still have time:
//!
//! ```text
//! 0 s                            15 s      20 s  23 s 24 s 25 s  28 s 29 s
//! ├──────────────────────────────┼─────────┼─────┼────┼────┼─────┼────┤
//! ├──────────────────────────────┤         │     │    │    │     │    │  BULK_START_RESERVE  starts bulk operations
//! ├────────────────────────────────────────┤     │    │    │     │    │  BODY_RESERVE        reads the body
//! ├────────────────────────────────────────┤     │    │    │     │    │  ANSWER_RESERVE      reads the items of a query
//! ├──────────────────────────────────────────────┤    │    │     │    │  COMMIT_RESERVE      completes its own change
//! ├──────────────────────────────────────────────┤    │    │     │    │  BULK_RUN_RESERVE    runs bulk operations
//! ├───────────────────────────────────────────────────┤    │     │    │  READ_BACK_RESERVE   reads the group it patched
//! ├───────────────────────────────────────────────────┤    │     │    │  BULK_UNDO_RESERVE   deletes incomplete groups
//! ├────────────────────────────────────────────────────────┤     │    │  REQUEST_BUDGET      answers, else 503
//! ├──────────────────────────────────────────────────────────────┤    │  Lambda stops the function (template.yaml)
//! ├───────────────────────────────────────────────────────────────────┤  API Gateway stops waiting
//! ```
//!
//! Each wait for AWS within a stage has its own timeout: [`SECRET_TIMEOUT`], [`LIMIT_TIMEOUT`],
//! [`ATTEMPT_TIMEOUT`] and [`OPERATION_TIMEOUT`].
//!
//! The janitor is not a request. It runs every 300 s and ends after [`OPERATOR_BUDGET`]. Lambda would stop it after 290 s.
//! A run of the sequencer ends after [`SEQUENCER_BUDGET`].

use tokio::time::Duration;

/// The size of the largest payload of a Lambda function, in bytes.
const LAMBDA_PAYLOAD: usize = 6 * 1024 * 1024;

/// The longest body of a user or a search, in bytes.
pub const USER_BODY: usize = 1024 * 1024;
/// The longest body of a group or a bulk request, in bytes: the limit of Lambda less 512 KB for its envelope.
pub const GROUP_BODY: usize = LAMBDA_PAYLOAD - 512 * 1024;
/// The largest body of an answer, in bytes of Lambda's envelope: the limit of Lambda less 64 KB for headers and envelope.
pub const ANSWER_BYTES: usize = LAMBDA_PAYLOAD - 64 * 1024;
/// The largest number of members in an answer, of one group or of all groups on a page, and the largest number of groups of
/// one user or of all users on a page. More ids do not fit into [`ANSWER_BYTES`].
pub const MEMBERS_SHOWN: usize = 115_000;

/// The largest size of the documents that a page reads for its answer, in bytes.
pub const PAGE_BYTES: usize = 8 * 1024 * 1024;
/// The same for a page by cursor, which may be short. Lambda's envelope may double the size of a document, and the answer
/// must fit into [`ANSWER_BYTES`].
pub const SHORT_PAGE_BYTES: usize = 5 * 1024 * 1024 / 2;
/// The number of resources on a page if the client does not give a `count`.
pub const DEFAULT_COUNT: usize = 100;
/// The largest number of resources on a page (`filter.maxResults` of ServiceProviderConfig).
pub const MAX_COUNT: usize = 1_000;
/// The largest number of resources that one page by index reads: resources to which a filter without an index is
/// applied, matches of an index, and resources before a `startIndex` without a bookmark.
pub const SCAN_LIMIT: usize = 100_000;
/// The number of items after which a page by cursor ends early.
pub const MAX_ITEMS_PER_PAGE: usize = 10_000;
/// The lifetime of a cursor in seconds (`pagination.cursorTimeout` of ServiceProviderConfig).
pub const CURSOR_SECONDS: u64 = 3_600;
/// The largest number of operations in a bulk request (`bulk.maxOperations` of ServiceProviderConfig).
pub const MAX_BULK_OPERATIONS: usize = 1_000;

/// The longest method, `bulkId`, version and path of a bulk operation, in bytes. The answer repeats these texts.
pub const BULK_TEXT_BYTES: usize = 128;
/// The longest error detail of a bulk operation, in bytes of Lambda's envelope. With this limit and the one above, the answer
/// to [`MAX_BULK_OPERATIONS`] fits into [`ANSWER_BYTES`].
pub const BULK_DETAIL_BYTES: usize = 2_048;

/// The time after which a request is answered with 503.
pub const REQUEST_BUDGET: Duration = Duration::from_secs(25);
/// The reserve of a bulk request for the operations that still run. It starts no operation afterwards.
pub const BULK_START_RESERVE: Duration = Duration::from_secs(10);
/// The reserve of a request for its work once its body is complete. A body that is not complete by then is answered 408.
pub const BODY_RESERVE: Duration = Duration::from_secs(5);
/// The reserve of a query for its answer. The query reads no items afterwards.
pub const ANSWER_RESERVE: Duration = Duration::from_secs(5);
/// The reserve of a write for its answer once its change is committed. A change that is not complete by then stays pending.
pub const COMMIT_RESERVE: Duration = Duration::from_secs(2);
/// The reserve of a bulk request for its answer. It abandons each operation that still runs.
pub const BULK_RUN_RESERVE: Duration = Duration::from_secs(2);
/// The reserve of a PATCH to answer without the group that it changed.
pub const READ_BACK_RESERVE: Duration = Duration::from_secs(1);
/// The reserve of a bulk request for its answer if it still deletes a group that lacks members.
pub const BULK_UNDO_RESERVE: Duration = Duration::from_secs(1);

/// The longest body of a token request, in bytes.
pub const TOKEN_BODY: usize = 64 * 1024;
/// The longest form of the owner console, in bytes.
pub const CONSOLE_FORM: usize = 64 * 1024;
/// The longest assertion of a client, in bytes.
pub const MAX_ASSERTION: usize = 16 * 1024;
/// The largest document of an issuer (its keys, or its discovery document), in bytes.
pub const KEYS_BYTES: usize = 64 * 1024;
/// The longest wait for the keys of an issuer, with the discovery document.
pub const KEYS_TIMEOUT: Duration = Duration::from_secs(3);

/// The longest wait for Secrets Manager.
pub const SECRET_TIMEOUT: Duration = Duration::from_secs(5);
/// The timeout of one attempt of an AWS call. The SDK then repeats the call on another connection.
pub const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(3);
/// The timeout of an AWS call with its repeats.
pub const OPERATION_TIMEOUT: Duration = Duration::from_secs(8);

/// The timeout of the calls that check a limit of an organisation. The request then passes.
pub const LIMIT_TIMEOUT: Duration = Duration::from_secs(1);

/// The time of a run of the janitor, and of a command of the operator.
pub const OPERATOR_BUDGET: Duration = Duration::from_secs(280);
/// The time of a run of the sequencer. Lambda would stop it after 60 s.
pub const SEQUENCER_BUDGET: Duration = Duration::from_secs(45);
/// The time for which a change belongs to the request that began it, or to the one that continues it. No request lives so
/// long: Lambda stops it after 28 seconds. Afterwards another request may finish the change.
pub const ABANDONED_AFTER: Duration = Duration::from_secs(35);

#[cfg(test)]
mod tests {
    use scim::{extension, json, parser, patch, projection, validate};

    use super::*;
    use crate::{
        portal::{LINK_LIFETIME, SESSION_LIFETIME},
        request_log::RETENTION,
        settings::Settings,
        store::{MAX_CLIENTS, MAX_SECRETS},
    };

    /// Formats a number as README does: `1,000`.
    fn grouped(number: usize) -> String {
        if number < 1_000 {
            return number.to_string();
        }
        format!("{},{:03}", grouped(number / 1_000), number % 1_000)
    }

    /// Formats a size as README does: `5.5 MB`, `300 KB`.
    fn size(bytes: usize) -> String {
        match bytes / 1024 {
            kilobytes if kilobytes < 1024 => format!("{kilobytes} KB"),
            kilobytes if kilobytes % 1024 == 0 => format!("{} MB", kilobytes / 1024),
            kilobytes => format!("{}.{} MB", kilobytes / 1024, kilobytes % 1024 * 10 / 1024),
        }
    }

    fn seconds(time: Duration) -> String {
        format!("{} s", time.as_secs())
    }

    /// Returns the time of a request at which a stage with this reserve ends.
    fn end(reserve: Duration) -> Duration {
        REQUEST_BUDGET.checked_sub(reserve).expect("a part of the budget")
    }

    /// The rows of README's table: the name of a limit and the beginning of its value.
    fn published() -> Vec<(&'static str, String)> {
        let bytes = |bytes: usize| format!("{} bytes", grouped(bytes));
        let characters = |characters: usize| format!("{} characters", grouped(characters));
        vec![
            ("Body of a user or a search", size(USER_BODY)),
            ("Body of a group", size(GROUP_BODY)),
            ("Body of a bulk request", size(GROUP_BODY)),
            ("Body of a token request", size(TOKEN_BODY)),
            ("Assertion of an OAuth client", size(MAX_ASSERTION)),
            ("OAuth clients of an organisation", grouped(MAX_CLIENTS)),
            ("Live secrets of an OAuth client", grouped(MAX_SECRETS)),
            ("Time to send a body", seconds(end(BODY_RESERVE))),
            ("Operations in a bulk request", grouped(MAX_BULK_OPERATIONS)),
            ("Length of `method`, `bulkId`, `version` and path of a bulk operation", bytes(BULK_TEXT_BYTES)),
            ("Time to start a bulk operation", seconds(end(BULK_START_RESERVE))),
            ("Time to finish a bulk operation", seconds(end(BULK_RUN_RESERVE))),
            ("Depth of JSON", grouped(json::MAX_DEPTH)),
            ("Values in a body", grouped(json::MAX_VALUES)),
            ("Values in a body outside of `members`, or in a resource", grouped(json::MAX_RESOURCE_VALUES)),
            ("Length of a filter or PATCH path", characters(parser::MAX_LENGTH)),
            ("Depth of a filter or PATCH path", grouped(parser::MAX_DEPTH)),
            ("Terms in a filter or PATCH path", grouped(parser::MAX_NODES)),
            ("Operations in a PATCH", grouped(patch::MAX_OPERATIONS)),
            ("Comparisons in the paths of a PATCH", grouped(patch::MAX_OPERATIONS)),
            (
                "Comparisons in a PATCH that select members by anything but their ids",
                grouped(patch::MAX_MEMBER_COMPARISONS),
            ),
            ("Names in `attributes` or `excludedAttributes`", grouped(projection::MAX_NAMES)),
            ("Values of a multi-valued attribute", grouped(validate::MAX_VALUES)),
            ("E-mail addresses of a user", grouped(validate::MAX_EMAILS)),
            ("Extensions of a resource", grouped(extension::MAX_EXTENSIONS)),
            ("Attributes of an extension", grouped(extension::MAX_ATTRIBUTES)),
            ("Keys of a body that are paths, such as `name.givenName`", grouped(patch::MAX_OPERATIONS)),
            ("Length of `userName`", characters(validate::MAX_USER_NAME)),
            ("Size of a `userName` or group name after case folding", bytes(validate::MAX_UNIQUE_BYTES)),
            (
                "Size of an `externalId`, or of an e-mail address after case folding",
                bytes(validate::MAX_INDEXED_BYTES),
            ),
            ("Size of a resource, without members", size(validate::MAX_DOCUMENT)),
            ("Members of a group", "No limit.".to_owned()),
            ("Resources in a page by default", grouped(DEFAULT_COUNT)),
            ("Resources in a page", grouped(MAX_COUNT)),
            ("Matches of a filter on indexed attributes", grouped(SCAN_LIMIT)),
            ("Resources read for any other filter or sort", grouped(SCAN_LIMIT)),
            ("Resources before a `startIndex` that does not continue an earlier page", grouped(SCAN_LIMIT)),
            ("Time for the reads of a query", seconds(end(ANSWER_RESERVE))),
            ("Resources that a page by cursor reads", format!("About {}", grouped(MAX_ITEMS_PER_PAGE))),
            ("Documents of a page", size(PAGE_BYTES)),
            ("Members, or groups of users, in an answer", grouped(MEMBERS_SHOWN)),
            ("Size of an answer", size(LAMBDA_PAYLOAD)),
            ("Lifetime of a cursor", format!("{} hour", CURSOR_SECONDS / 3_600)),
            ("Duration of a request", seconds(REQUEST_BUDGET)),
            (
                "Life of a set-up link of the owner console",
                format!("{} minutes", LINK_LIFETIME.whole_minutes()),
            ),
            ("Life of a session of the owner console", format!("{} hours", SESSION_LIFETIME.whole_hours())),
            ("Form of the owner console", size(CONSOLE_FORM)),
            ("Entries of the request log", format!("{} days", RETENTION.whole_days())),
            ("Requests of an organisation", format!("{} a second", Settings::default().rate)),
            ("Requests of an organisation at once", Settings::default().burst.to_string()),
            (
                "Expensive requests of an organisation at the same time",
                Settings::default().at_once.to_string(),
            ),
        ]
    }

    /// Returns whether a value begins with the expected number and unit, and not with a longer one.
    fn begins_with(value: &str, expected: &str) -> bool {
        let rest = value.strip_prefix(expected);
        rest.is_some_and(|rest| {
            !rest.trim_start_matches([',', '.']).starts_with(|next: char| next.is_ascii_alphanumeric())
        })
    }

    #[test]
    fn readme_publishes_these_limits() {
        let readme = include_str!("../../../README.md");
        let (_, section) = readme.split_once("\n## Limits\n").expect("README has a section 'Limits'");
        let section = section.split("\n## ").next().expect("a section");
        let rows = section.lines().filter(|line| line.starts_with('|')).skip(2);
        let rows: Vec<(&str, &str)> = rows
            .map(|row| {
                let mut cells = row.split('|').skip(1).map(str::trim);
                (cells.next().expect("a name"), cells.next().expect("a value"))
            })
            .collect();
        let expected = published();
        let names = |rows: &mut dyn Iterator<Item = &str>| rows.map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(
            names(&mut rows.iter().map(|(name, _)| *name)),
            names(&mut expected.iter().map(|(name, _)| *name)),
        );
        for ((name, value), (_, expected)) in rows.iter().zip(&expected) {
            assert!(begins_with(value, expected), "{name}: README has '{value}', the code has '{expected}'");
        }
    }

    #[test]
    fn stages_of_a_request_end_in_the_drawn_order() {
        let ends = [
            (BULK_START_RESERVE, 15),
            (BODY_RESERVE, 20),
            (ANSWER_RESERVE, 20),
            (COMMIT_RESERVE, 23),
            (BULK_RUN_RESERVE, 23),
            (READ_BACK_RESERVE, 24),
            (BULK_UNDO_RESERVE, 24),
        ];
        for (reserve, drawn) in ends {
            assert_eq!(end(reserve).as_secs(), drawn);
        }
        assert!(ABANDONED_AFTER > REQUEST_BUDGET);
    }
}
