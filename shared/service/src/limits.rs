//! The published limits (README.md, "Limits") and the division of a request's time.
//!
//! # Time of a request
//!
//! Each stage ends a fixed reserve before the request's deadline, so that the later stages still fit:
//!
//! ```text
//! 0 s                       15 s     20 s  23 s 24 s 25 s    28 s 29 s
//! ├─────────────────────────┼────────┼─────┼────┼────┼───────┼────┤
//! │                         │        │     │    │    │       │    └ API Gateway gives up
//! │                         │        │     │    │    │       └ Lambda stops the function (template.yaml)
//! ╞══════════════════════════════════════════════════╡ REQUEST_BUDGET: the request is answered, else with 503
//! ╞═════════════════════════╡ BULK_START_RESERVE: a bulk request starts operations
//! ╞════════════════════════════════════════╡ BULK_RUN_RESERVE: a bulk request runs operations
//! ╞═════════════════════════════════════════════╡ BULK_UNDO_RESERVE: a bulk request deletes incomplete groups
//! ```
//!
//! Waiting for AWS is bounded within each stage: [`SECRET_TIMEOUT`], [`ATTEMPT_TIMEOUT`] and [`OPERATION_TIMEOUT`].
//!
//! The janitor is not a request. It runs every 300 s, an organisation gets [`OPERATOR_BUDGET`], and Lambda stops the
//! function after 290 s.

use tokio::time::Duration;

/// The longest body of a user or a search, in bytes.
pub const USER_BODY: usize = 1024 * 1024;
/// The longest body of a group or a bulk request, in bytes: the limit of Lambda, less its envelope.
pub const GROUP_BODY: usize = 5 * 1024 * 1024 + 512 * 1024;
/// The number of resources on a page if the client does not give a `count`.
pub const DEFAULT_COUNT: usize = 100;
/// The largest number of resources on a page (`filter.maxResults` of ServiceProviderConfig).
pub const MAX_COUNT: usize = 1_000;
/// The largest number of operations in a bulk request (`bulk.maxOperations` of ServiceProviderConfig).
pub const MAX_BULK_OPERATIONS: usize = 1_000;

/// The time before the deadline from which a bulk request starts no operation.
pub const BULK_START_RESERVE: Duration = Duration::from_secs(10);
/// The time before the deadline at which a bulk request abandons its running operations, each on its own, to send an
/// answer.
pub const BULK_RUN_RESERVE: Duration = Duration::from_secs(2);
/// The time before the deadline from which a bulk request no longer deletes a group that lacks members.
pub const BULK_UNDO_RESERVE: Duration = Duration::from_secs(1);

/// The longest wait for Secrets Manager.
pub const SECRET_TIMEOUT: Duration = Duration::from_secs(5);
/// The timeout of one attempt of an AWS call. The SDK then repeats the call on another connection.
pub const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(3);
/// The timeout of an AWS call with its repeats.
pub const OPERATION_TIMEOUT: Duration = Duration::from_secs(8);

/// The time for an operator's work on one organisation. It fits into the janitor function's timeout of 290 s.
pub const OPERATOR_BUDGET: Duration = Duration::from_secs(280);
/// The age from which a pending change counts as abandoned by its request. It exceeds [`REQUEST_BUDGET`] by far.
pub const ABANDONED_AFTER: Duration = Duration::from_mins(2);
