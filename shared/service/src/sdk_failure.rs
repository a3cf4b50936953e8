//! Failed calls to AWS, as words. The messages of the SDK echo items and secrets, so they are dropped.

use std::{error::Error, iter};

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_dynamodb::{
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
};

use crate::error::CallFailure;

/// Returns why a call failed.
pub(crate) fn call_failure<E>(error: &SdkError<E, HttpResponse>) -> CallFailure
where
    E: ProvideErrorMetadata + Error + 'static,
{
    match error {
        SdkError::TimeoutError(_) => CallFailure::Timeout,
        SdkError::DispatchFailure(failure) if failure.is_timeout() => CallFailure::Timeout,
        SdkError::DispatchFailure(_) if lacks_credentials(error) => CallFailure::Credentials,
        SdkError::DispatchFailure(_) => CallFailure::Connect,
        SdkError::ServiceError(service) if service.raw().status().is_server_error() => {
            CallFailure::ServerError
        }
        SdkError::ServiceError(service) => of_code(service.err().code().unwrap_or_default()),
        SdkError::ResponseError(_) => CallFailure::ServerError,
        _ => CallFailure::Other,
    }
}

fn of_code(code: &str) -> CallFailure {
    match code {
        "AccessDeniedException" => CallFailure::AccessDenied,
        "ResourceNotFoundException" => CallFailure::NotFound,
        "InvalidRequestException" => CallFailure::Deleted,
        "DecryptionFailure" => CallFailure::Decryption,
        "ThrottlingException" | "Throttling" | "RequestLimitExceeded" => CallFailure::Throttled,
        "ExpiredTokenException" | "InvalidSignatureException" | "UnrecognizedClientException" => {
            CallFailure::Credentials
        }
        _ => CallFailure::Other,
    }
}

/// Returns whether a call was not sent because the SDK has no credentials.
fn lacks_credentials(error: &(dyn Error + 'static)) -> bool {
    iter::successors(error.source(), |&cause| cause.source()).any(<dyn Error>::is::<CredentialsError>)
}
