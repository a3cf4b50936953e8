//! The Lambda function of the sequencer, which the stream of the table of resources and a schedule invoke.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), service::lambda::Error> {
    service::lambda::run_sequencer().await
}
