//! A Lambda function of nothing, which `tests/cold-start.py` compares the others with.

#![allow(missing_docs, reason = "nobody calls it")]

use lambda_http::{Body, Error, Request, Response, run, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    run(service_fn(async |_: Request| Ok::<_, Error>(Response::new(Body::Empty)))).await
}
