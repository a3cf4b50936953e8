//! The Lambda function of the owner console, `/console`.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), service::lambda::Error> {
    service::lambda::run_router(console::router).await
}
