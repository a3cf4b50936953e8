//! The Lambda function of `/Groups`.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), service::lambda::Error> {
    service::lambda::run(service::http::groups()).await
}
