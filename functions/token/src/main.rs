//! The Lambda function of `/oauth2/token` and of the metadata of the authorization server.

use service::{
    clock::Clock,
    http, lambda,
    oauth::{Assertions, Reach},
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda::Error> {
    lambda::run(http::token(&Assertions::new(Clock::system(), Reach::Internet))).await
}
