//! The Lambda function of the management API, `/admin/v1`.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), service::lambda::Error> {
    service::lambda::run_admin().await
}
