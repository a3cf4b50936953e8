//! Attempts of a transaction: repeated until DynamoDB decides, with one effect at most.
//!
//! An attempt is repeated if its answer is lost, and with back-off until the deadline after conflicts and throttling. The
//! SDK repeats no transaction, so that this file knows whether the outcome of an attempt is unknown. `CancellationReasons`
//! are always read: only `ConditionalCheckFailed` says something about the data.
//!
//! # Late attempts
//!
//! An attempt without an answer may be carried out at any later time, until its signature is five minutes old: then AWS
//! refuses it. All attempts of a transaction carry one `ClientRequestToken`. DynamoDB remembers the token of a transaction
//! that it has carried out for ten minutes, and a late attempt does nothing.
//!
//! AWS does not document that DynamoDB remembers the token of a cancelled transaction. If conditions fail after an attempt
//! without an answer, a late attempt could thus write although the client knows that the write has failed. Before the
//! failure is returned, the token is therefore used up by other actions, which change nothing. DynamoDB refuses the late
//! attempt then, because its actions are not those of the token.

use aws_sdk_dynamodb::{
    config::{Config, http::HttpResponse, retry::RetryConfig},
    error::SdkError,
    operation::transact_write_items::TransactWriteItemsError,
    types::{CancellationReason, Delete, TransactWriteItem},
};
use scim::id::Id;

use super::{
    keys::{Key, PK},
    sdk_error::{failed, is_undecided, malformed, no_answer},
    table::{Backoff, Table},
};
use crate::{Error, error::Reason};

/// The number of attempts without an answer after which a transaction is given up.
const MAX_UNDECIDED: usize = 3;

/// Carries out the actions as one transaction. Returns the reasons if conditions failed: then nothing was written, and
/// nothing will be. `partition` is any partition of the actions.
///
/// # Errors
/// [`Error::Unavailable`], [`Error::Throttled`] if DynamoDB does not answer, or other writers keep winning. The
/// transaction may still be carried out.
pub(super) async fn transact(
    table: &Table,
    partition: &str,
    actions: &[TransactWriteItem],
) -> Result<Result<(), Vec<CancellationReason>>, Error> {
    let token = table.entropy.id(table.clock.now())?;
    let mut attempts = Attempts::new(table, &token);
    let mut token_was_used = false;
    loop {
        let reasons = match attempts.decide(actions).await? {
            Decision::Done => return Ok(Ok(())),
            Decision::Cancelled(reasons) => reasons,
            Decision::OtherActions => {
                return Err(Error::Internal("two transactions have the same token".to_owned()));
            }
        };
        let is_final = attempts.undecided == 0 || token_was_used;
        if is_final || use_up(table, &token, partition).await? {
            return Ok(Err(reasons));
        }
        // DynamoDB has carried out an earlier attempt after it cancelled this one. Another attempt says so.
        token_was_used = true;
    }
}

/// Returns whether the condition of the action failed.
pub(super) fn is_failed_condition(reason: &CancellationReason) -> bool {
    reason.code() == Some("ConditionalCheckFailed")
}

/// Binds a token to other actions. Returns `false` if the token is bound already.
///
/// The other actions are the deletion of an absent item. A condition check of that item would be as harmless, but AWS does
/// not document that DynamoDB accepts a transaction of condition checks alone and remembers its token.
async fn use_up(table: &Table, token: &Id, partition: &str) -> Result<bool, Error> {
    let key = Key { pk: partition.to_owned(), sk: token.as_str().to_owned() };
    let delete = Delete::builder()
        .table_name(&table.name)
        .set_key(Some(key.attributes()))
        .condition_expression(format!("attribute_not_exists({PK})"))
        .build()
        .map_err(|_| malformed())?;
    let action = TransactWriteItem::builder().delete(delete).build();
    match Attempts::new(table, token).decide(&[action]).await? {
        Decision::Done => Ok(true),
        Decision::OtherActions => Ok(false),
        Decision::Cancelled(_) => Err(Error::Internal("an item has the token of a transaction".to_owned())),
    }
}

/// The attempts of one transaction, all with the same token.
struct Attempts<'a> {
    table: &'a Table,
    token: &'a Id,
    /// The number of attempts without an answer.
    undecided: usize,
    conflicts: Backoff<'a>,
    losses: Backoff<'a>,
}

/// The final answer of DynamoDB to a transaction.
enum Decision {
    /// The transaction has been carried out, by this attempt or an earlier one.
    Done,
    /// Conditions failed.
    Cancelled(Vec<CancellationReason>),
    /// A transaction of other actions with this token has been carried out.
    OtherActions,
}

/// The meaning of an answer to an attempt.
enum Answer {
    Decided(Decision),
    /// DynamoDB has not carried the attempt out, because of another writer or a limit of throughput. The error is the
    /// answer to the client if no time is left.
    Repeat(Error),
    /// DynamoDB may have carried the attempt out, or may do so later. The error is the answer to the client after the last
    /// attempt.
    Undecided(Error),
    Failed(Error),
}

impl<'a> Attempts<'a> {
    fn new(table: &'a Table, token: &'a Id) -> Self {
        let (conflicts, losses) = (Backoff::new(table), Backoff::after_lost_answer(table));
        Self { table, token, undecided: 0, conflicts, losses }
    }

    /// Repeats the transaction until DynamoDB decides.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Throttled`]: the transaction may still be carried out.
    async fn decide(&mut self, actions: &[TransactWriteItem]) -> Result<Decision, Error> {
        loop {
            let write = self.table.db.transact_write_items().client_request_token(self.token.as_str());
            // The SDK repeats the other calls of the same client. This override takes less than 10 microseconds.
            let once = Config::builder().retry_config(RetryConfig::disabled());
            let write = write.set_transact_items(Some(actions.to_vec())).customize().config_override(once);
            let Err(error) = write.send().await else { return Ok(Decision::Done) };
            match answer(&error) {
                Answer::Decided(decision) => return Ok(decision),
                Answer::Repeat(exhausted) => self.conflicts.wait().await.map_err(|_| exhausted)?,
                Answer::Undecided(no_answer) => {
                    self.undecided += 1;
                    if self.undecided == MAX_UNDECIDED {
                        return Err(no_answer);
                    }
                    self.losses.wait().await.map_err(|_| no_answer)?;
                }
                Answer::Failed(error) => return Err(error),
            }
        }
    }
}

/// Interprets an attempt that was not successful.
fn answer(error: &SdkError<TransactWriteItemsError, HttpResponse>) -> Answer {
    if is_undecided(error) {
        return Answer::Undecided(no_answer(error));
    }
    match error.as_service_error() {
        Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
            of_reasons(cancelled.cancellation_reasons())
        }
        Some(TransactWriteItemsError::IdempotentParameterMismatchException(_)) => {
            Answer::Decided(Decision::OtherActions)
        }
        // An earlier attempt that is still in progress counts as a conflict.
        _ => match failed(error) {
            exhausted @ (Error::Unavailable(_) | Error::Throttled) => Answer::Repeat(exhausted),
            error => Answer::Failed(error),
        },
    }
}

/// Interprets the reasons of a cancellation.
fn of_reasons(reasons: &[CancellationReason]) -> Answer {
    if reasons.iter().any(is_failed_condition) {
        return Answer::Decided(Decision::Cancelled(reasons.to_vec()));
    }
    let mut exhausted = Error::Unavailable(Reason::Conflicts);
    for code in reasons.iter().filter_map(|reason| reason.code()) {
        match code {
            "None" | "TransactionConflict" => {}
            "ThrottlingError" | "ProvisionedThroughputExceeded" => exhausted = Error::Throttled,
            _ => {
                return Answer::Failed(Error::Internal(format!(
                    "DynamoDB cancelled a transaction with {code}"
                )));
            }
        }
    }
    Answer::Repeat(exhausted)
}
