//! Calls to DynamoDB and the capacity that they consume, measured by an interceptor of the SDK.
//!
//! Every [`super::Store`] has the interceptor in its client, so it counts each call without the caller's help. Each
//! request that is sent counts as a call, so a repeat by the SDK counts again. A call that fails consumes capacity too,
//! and a cancelled transaction all of it, but DynamoDB does not report how much: of a failed call only the call is
//! counted.

use std::{cell::Cell, future::Future};

use aws_sdk_dynamodb::{
    Client,
    config::{
        ConfigBag, Intercept, RuntimeComponents, SharedInterceptor,
        interceptors::{
            AfterDeserializationInterceptorContextRef, BeforeSerializationInterceptorContextMut,
            BeforeTransmitInterceptorContextRef,
        },
    },
    error::BoxError,
    operation::{
        batch_get_item::{BatchGetItemInput, BatchGetItemOutput},
        batch_write_item::{BatchWriteItemInput, BatchWriteItemOutput},
        get_item::{GetItemInput, GetItemOutput},
        put_item::{PutItemInput, PutItemOutput},
        query::{QueryInput, QueryOutput},
        scan::{ScanInput, ScanOutput},
        transact_write_items::{TransactWriteItemsInput, TransactWriteItemsOutput},
        update_item::{UpdateItemInput, UpdateItemOutput},
    },
    types::{ConsumedCapacity, ReturnConsumedCapacity},
};

/// Calls and capacity units.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Consumed {
    pub(crate) calls: u64,
    pub(crate) read: f64,
    pub(crate) write: f64,
}

tokio::task_local! {
    static CONSUMED: Cell<Consumed>;
}

/// Runs the work, and returns its result and the calls and capacity that it consumed.
pub(crate) async fn measured<T>(work: impl Future<Output = T>) -> (T, Consumed) {
    let measured = async {
        let value = work.await;
        (value, CONSUMED.with(Cell::get))
    };
    CONSUMED.scope(Cell::default(), measured).await
}

/// Returns the client with the interceptor.
pub(super) fn metered(client: &Client) -> Client {
    let mut config = client.config().to_builder();
    config.push_interceptor(SharedInterceptor::permanent(Meter));
    Client::from_conf(config.build())
}

/// Adds to the totals of the enclosing [`measured`] call. Does nothing outside one.
fn add(calls: u64, read: f64, write: f64) {
    let _ = CONSUMED.try_with(|consumed| {
        let sum = consumed.get();
        consumed.set(Consumed { calls: sum.calls + calls, read: sum.read + read, write: sum.write + write });
    });
}

fn add_read<'a>(answered: impl IntoIterator<Item = &'a ConsumedCapacity>) {
    for capacity in answered {
        add(0, capacity.capacity_units.unwrap_or_default(), 0.0);
    }
}

/// Adds the capacity of writes. A transaction that is repeated with its token only reads, and reports read capacity.
fn add_write<'a>(answered: impl IntoIterator<Item = &'a ConsumedCapacity>) {
    for capacity in answered {
        let read = capacity.read_capacity_units.unwrap_or_default();
        add(0, read, capacity.capacity_units.unwrap_or_default() - read);
    }
}

#[derive(Debug)]
struct Meter;

macro_rules! request_capacity {
    ($input:ident, $($of:ty),+ $(,)?) => {
        $(if let Some(input) = $input.downcast_mut::<$of>() {
            input.return_consumed_capacity = Some(ReturnConsumedCapacity::Total);
        })+
    };
}

macro_rules! add_capacity {
    ($output:ident, $add:ident, $($of:ty),+ $(,)?) => {
        $(if let Some(output) = $output.downcast_ref::<$of>() {
            $add(output.consumed_capacity());
        })+
    };
}

impl Intercept for Meter {
    fn name(&self) -> &'static str {
        "Meter"
    }

    fn modify_before_serialization(
        &self,
        context: &mut BeforeSerializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let input = context.input_mut();
        request_capacity!(input, BatchGetItemInput, GetItemInput, QueryInput, ScanInput);
        request_capacity!(input, BatchWriteItemInput, PutItemInput, TransactWriteItemsInput, UpdateItemInput);
        Ok(())
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        add(1, 0.0, 0.0);
        Ok(())
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Ok(output) = context.output_or_error() {
            add_capacity!(output, add_read, BatchGetItemOutput, GetItemOutput, QueryOutput, ScanOutput);
            add_capacity!(output, add_write, BatchWriteItemOutput, PutItemOutput);
            add_capacity!(output, add_write, TransactWriteItemsOutput, UpdateItemOutput);
        }
        Ok(())
    }
}
