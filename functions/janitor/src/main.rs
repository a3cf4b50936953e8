//! The Lambda function of the janitor, which a schedule invokes.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), service::lambda::Error> {
    service::lambda::run_janitor().await
}
