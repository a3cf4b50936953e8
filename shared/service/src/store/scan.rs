//! Scans of a table for operators.

use aws_sdk_dynamodb::types::AttributeValue;

use super::{items::Item, key_range::PAGE, keys::SK, sdk_error::failed, table::Table};
use crate::Error;

/// Reads up to `limit` items with this sort key, in the order of the table, and says whether there may be more.
pub(super) async fn scan_sort_key(
    table: &Table,
    sk: &str,
    limit: usize,
    mut after: Option<Item>,
) -> Result<(Vec<Item>, bool), Error> {
    let mut items = Vec::new();
    loop {
        let scan = table
            .db
            .scan()
            .table_name(&table.name)
            .consistent_read(true)
            .limit(i32::try_from(PAGE).unwrap_or(i32::MAX))
            .filter_expression("#sk = :sk")
            .expression_attribute_names("#sk", SK)
            .expression_attribute_values(":sk", AttributeValue::S(sk.to_owned()))
            .set_exclusive_start_key(after);
        let answer = scan.send().await.map_err(|error| failed(&error))?;
        items.extend(answer.items.unwrap_or_default());
        let is_full = items.len() > limit;
        items.truncate(limit);
        match answer.last_evaluated_key {
            Some(next) if items.len() < limit => after = Some(next),
            next => return Ok((items, is_full || next.is_some())),
        }
    }
}
