//! A fake identity provider for README's "Let Entra in without a secret". It serves its keys, and at `/assertion` a new
//! assertion, as Entra makes one for its provisioning service. It runs until Ctrl-C.

#![allow(clippy::print_stdout, reason = "the program prints its settings")]

use service::clock::Clock;
use tests::issuer::{AUDIENCE, Issuer, SUBJECT, TENANT};

#[tokio::main]
async fn main() {
    let issuer = Issuer::start(9000, Clock::system()).await;
    println!("Issuer     {}", issuer.url);
    println!("Audience   {AUDIENCE}");
    println!("Subject    {SUBJECT}");
    println!("Tenant     {TENANT}");
    println!("Assertion  {}/assertion", issuer.url);
    std::future::pending::<()>().await;
}
