//! The Lambda function of `/events/v1`.

use service::{http, lambda};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda::Error> {
    lambda::run(http::events()).await
}
