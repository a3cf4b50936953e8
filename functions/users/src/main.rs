//! The Lambda function of `/Users` and `/.search`.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), service::lambda::Error> {
    service::lambda::run(service::http::users()).await
}
