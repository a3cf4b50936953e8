//! A conditional update of one item, outside of a transaction. It takes half the capacity of a transaction.

use aws_sdk_dynamodb::{
    config::{Config, retry::RetryConfig},
    error::ProvideErrorMetadata,
    operation::update_item::UpdateItemError,
    types::{AttributeValue, ReturnValuesOnConditionCheckFailure},
};
use tokio::time::timeout_at;

use super::{items::Item, keys::Key, sdk_error::failed, table::Table, transaction::Condition};
use crate::{
    Error,
    error::{CallFailure, Reason},
};

/// The time after which DynamoDB deletes an item that is not used, in seconds.
const UNUSED_SECONDS: u64 = 24 * 3_600;

/// Updates an item if the condition holds. Returns whether it held. The SDK repeats the call after a lost answer, so the
/// condition must allow the update to be made twice, or the caller must not depend on the result.
pub(super) async fn update_if(
    table: &Table,
    key: &Key,
    expression: String,
    values: Vec<(&'static str, AttributeValue)>,
    condition: Condition,
) -> Result<bool, Error> {
    let (condition, condition_values) = condition.into_parts();
    let values = values.into_iter().chain(condition_values);
    let update = table
        .db
        .update_item()
        .table_name(&table.name)
        .set_key(Some(key.attributes()))
        .update_expression(expression)
        .condition_expression(condition)
        .set_expression_attribute_values(Some(
            values.map(|(name, value)| (name.to_owned(), value)).collect(),
        ));
    match Box::pin(update.send()).await {
        Ok(_) => Ok(true),
        Err(error) if error.code() == Some("ConditionalCheckFailedException") => Ok(false),
        Err(error) => Err(failed(&error)),
    }
}

/// An update of an item that is worth one attempt.
pub(super) struct Attempt {
    pub(super) expression: String,
    pub(super) condition: String,
    pub(super) values: Vec<(&'static str, AttributeValue)>,
}

impl Attempt {
    /// Adds the time at which DynamoDB may delete the item, to an expression that sets attributes. `used` is the time of
    /// the last use, in seconds since 1970.
    pub(super) fn expiring(mut self, used: u64) -> Self {
        self.expression.push_str(", expires = :expires");
        self.values.push((":expires", AttributeValue::N((used + UNUSED_SECONDS).to_string())));
        self
    }
}

/// Makes one attempt of an update, which ends at the deadline of the table. Returns the item if the condition fails.
///
/// # Errors
/// [`Error::Unavailable`], [`Error::Throttled`] if DynamoDB does not answer. The update may still be carried out.
pub(super) async fn attempt(
    table: &Table,
    key: &Key,
    update: Attempt,
) -> Result<Result<(), Option<Item>>, Error> {
    let values = update.values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let update = table
        .db
        .update_item()
        .table_name(&table.name)
        .set_key(Some(key.attributes()))
        .update_expression(update.expression)
        .condition_expression(update.condition)
        .set_expression_attribute_values(Some(values))
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
        .customize()
        .config_override(Config::builder().retry_config(RetryConfig::disabled()));
    match timeout_at(table.deadline, Box::pin(update.send())).await {
        Ok(Ok(_)) => Ok(Ok(())),
        Ok(Err(error)) => match error.as_service_error() {
            Some(UpdateItemError::ConditionalCheckFailedException(failed)) => Ok(Err(failed.item().cloned())),
            _ => Err(failed(&error)),
        },
        Err(_) => Err(Error::Unavailable(Reason::DynamoDb(CallFailure::Timeout))),
    }
}
