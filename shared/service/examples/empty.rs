//! A Lambda function without content, the baseline of `tests/cold-start.py`.

#![allow(missing_docs, reason = "a program has no callers")]

use lambda_http::{Body, Error, Request, Response, run, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    run(service_fn(async |_: Request| Ok::<_, Error>(Response::new(Body::Empty)))).await
}
