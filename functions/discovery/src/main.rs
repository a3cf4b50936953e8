//! The Lambda function of `/ServiceProviderConfig`, `/ResourceTypes`, `/Schemas` and of every unknown path.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), service::lambda::Error> {
    service::lambda::run(service::http::discovery()).await
}
