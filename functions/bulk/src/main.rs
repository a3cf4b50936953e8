//! The Lambda function of `/Bulk`.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), service::lambda::Error> {
    service::lambda::run(service::http::bulk()).await
}
