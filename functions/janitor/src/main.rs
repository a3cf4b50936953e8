//! The Lambda function that a schedule calls to finish what requests left unfinished.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), service::lambda::Error> {
    service::lambda::run_janitor().await
}
