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
//! ├──────────────────────────────┤         │     │    │    │     │    │  OWN_WORK_RESERVE    completes changes of others
//! ├──────────────────────────────┤         │     │    │    │     │    │  BULK_START_RESERVE  starts bulk operations
//! ├────────────────────────────────────────┤     │    │    │     │    │  ANSWER_RESERVE      reads the items of a query
//! ├──────────────────────────────────────────────┤    │    │     │    │  COMMIT_RESERVE      completes its own change
//! ├──────────────────────────────────────────────┤    │    │     │    │  BULK_RUN_RESERVE    runs bulk operations
//! ├───────────────────────────────────────────────────┤    │     │    │  READ_BACK_RESERVE   reads the group it wrote
//! ├───────────────────────────────────────────────────┤    │     │    │  BULK_UNDO_RESERVE   deletes incomplete groups
//! ├────────────────────────────────────────────────────────┤     │    │  REQUEST_BUDGET      answers, else 503
//! ├──────────────────────────────────────────────────────────────┤    │  Lambda stops the function (template.yaml)
//! ├───────────────────────────────────────────────────────────────────┤  API Gateway stops waiting
//! ```
//!
//! Each wait for AWS within a stage has its own timeout: [`SECRET_TIMEOUT`], [`ATTEMPT_TIMEOUT`] and
//! [`OPERATION_TIMEOUT`].
//!
//! The janitor is not a request. It runs every 300 s, works on each organisation for [`OPERATOR_BUDGET`], and Lambda stops
//! it after 290 s.

use tokio::time::Duration;

/// The size of the largest payload of a Lambda function, in bytes.
const LAMBDA_PAYLOAD: usize = 6 * 1024 * 1024;

/// The longest body of a user or a search, in bytes.
pub const USER_BODY: usize = 1024 * 1024;
/// The longest body of a group or a bulk request, in bytes: the limit of Lambda less 512 KB for its envelope.
pub const GROUP_BODY: usize = LAMBDA_PAYLOAD - 512 * 1024;
/// The largest body of an answer, in bytes of Lambda's envelope: the limit of Lambda less 64 KB for headers and envelope.
pub const ANSWER_BYTES: usize = LAMBDA_PAYLOAD - 64 * 1024;
/// The largest number of members in an answer, of one group or of all groups on a page. More ids do not fit into
/// [`ANSWER_BYTES`].
pub const MEMBERS_SHOWN: usize = 115_000;

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

/// The time after which a request is answered with 503.
pub const REQUEST_BUDGET: Duration = Duration::from_secs(25);
/// The reserve for a request's own work. A read that meets pending changes of other requests completes them until then.
/// Afterwards it answers with the memberships as they are, for example while another request adds hundreds of thousands
/// of members to a group.
pub const OWN_WORK_RESERVE: Duration = Duration::from_secs(10);
/// The reserve of a bulk request from which it starts no operation.
pub const BULK_START_RESERVE: Duration = Duration::from_secs(10);
/// The reserve of a query for its answer. The query reads no items afterwards.
pub const ANSWER_RESERVE: Duration = Duration::from_secs(5);
/// The reserve of a write for its answer once its change is committed. A change that is not complete by then stays pending.
pub const COMMIT_RESERVE: Duration = Duration::from_secs(2);
/// The reserve of a bulk request for its answer. It abandons each operation that still runs.
pub const BULK_RUN_RESERVE: Duration = Duration::from_secs(2);
/// The reserve of a write to answer without the group that it wrote.
pub const READ_BACK_RESERVE: Duration = Duration::from_secs(1);
/// The reserve of a bulk request from which it no longer deletes a group that lacks members.
pub const BULK_UNDO_RESERVE: Duration = Duration::from_secs(1);

/// The longest wait for Secrets Manager.
pub const SECRET_TIMEOUT: Duration = Duration::from_secs(5);
/// The timeout of one attempt of an AWS call. The SDK then repeats the call on another connection.
pub const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(3);
/// The timeout of an AWS call with its repeats.
pub const OPERATION_TIMEOUT: Duration = Duration::from_secs(8);

/// The time for an operator's work on one organisation.
pub const OPERATOR_BUDGET: Duration = Duration::from_secs(280);
/// The age from which a draft counts as abandoned. No request lives so long.
pub const ABANDONED_AFTER: Duration = Duration::from_mins(2);
