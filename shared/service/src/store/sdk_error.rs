//! Errors of the SDK. Their messages echo items, so only their codes are kept.

use aws_sdk_dynamodb::{
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
};

use crate::Error;

/// Returns the error for a request that the SDK's builders refuse: a defect of this service.
pub(super) fn malformed() -> Error {
    Error::Internal("a DynamoDB request lacks a required field".to_owned())
}

/// Translates a failed call. The SDK has made its own repeats by then.
pub(super) fn failed<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> Error {
    let code = match error {
        SdkError::ServiceError(service) if service.raw().status().is_server_error() => None,
        SdkError::ServiceError(service) => service.err().code(),
        SdkError::ConstructionFailure(_) => return malformed(),
        _ => None,
    };
    match code {
        Some(
            "ProvisionedThroughputExceededException"
            | "ThrottlingException"
            | "RequestLimitExceeded"
            | "Throttling",
        ) => Error::Throttled,
        None | Some("TransactionConflictException" | "TransactionInProgressException") => Error::Unavailable,
        Some(code) => Error::Internal(format!("DynamoDB answered {code}")),
    }
}
