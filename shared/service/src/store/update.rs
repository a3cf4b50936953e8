//! A conditional update of one item, outside of a transaction. It takes half the capacity of a transaction.

use aws_sdk_dynamodb::{error::ProvideErrorMetadata, types::AttributeValue};

use super::{keys::Key, sdk_error::failed, table::Table, transaction::Condition};
use crate::Error;

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
