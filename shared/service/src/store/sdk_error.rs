//! Errors of DynamoDB. Their messages echo items, so only their codes are kept.

use aws_sdk_dynamodb::{
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
};

use crate::{Error, error::Reason, sdk_failure::call_failure};

/// Returns the error for a request that the SDK's builders refuse: a defect of this service.
pub(super) fn malformed() -> Error {
    Error::Internal("a DynamoDB request lacks a required field".to_owned())
}

/// Returns whether a failed call may have been carried out, or may still be: its answer is lost, or DynamoDB does not know
/// the outcome itself.
pub(super) fn is_undecided<E>(error: &SdkError<E, HttpResponse>) -> bool {
    match error {
        SdkError::ConstructionFailure(_) => false,
        SdkError::ServiceError(service) => service.raw().status().is_server_error(),
        _ => true,
    }
}

/// Returns the error for a call whose outcome is unknown, after the last repeat.
pub(super) fn no_answer<E>(error: &SdkError<E, HttpResponse>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    Error::Unavailable(Reason::DynamoDb(call_failure(error)))
}

/// Translates a failed call, after the last repeat.
pub(super) fn failed<E>(error: &SdkError<E, HttpResponse>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
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
        Some("TransactionConflictException" | "TransactionInProgressException") => {
            Error::Unavailable(Reason::Conflicts)
        }
        None => no_answer(error),
        Some(code) => Error::Internal(format!("DynamoDB answered {code}")),
    }
}
