//! The Lambda function of discovery (`/ServiceProviderConfig`, `/ResourceTypes`, `/Schemas`) and of every path that is none.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), service::lambda::Error> {
    service::lambda::run(service::http::discovery()).await
}
