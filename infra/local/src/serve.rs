//! The HTTP server: HTTP/1.1 without TLS.

use std::{future::Future, io::ErrorKind};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use tokio::{
    net::TcpListener,
    pin, select,
    time::{Duration, sleep},
};

/// The time in which a client sends the head of a request. A connection without a request in this time is closed.
const HEAD_TIMEOUT: Duration = Duration::from_mins(1);
/// The pause after the process has run out of file descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves the router until the future completes. Then returns once all requests have ended.
pub async fn serve(listener: TcpListener, router: Router, stop: impl Future<Output = ()>) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    let graceful = GracefulShutdown::new();
    pin!(stop);
    loop {
        let accepted = select! {
            accepted = listener.accept() => accepted,
            () = &mut stop => break,
        };
        match accepted {
            Ok((stream, _)) => {
                let service = TowerToHyperService::new(router.clone());
                let connection = graceful.watch(http.serve_connection(TokioIo::new(stream), service));
                // An error ends the connection. The client sees it.
                tokio::spawn(async { drop(connection.await) });
            }
            Err(error) if is_of_the_client(error.kind()) => {}
            Err(_) => sleep(PAUSE).await,
        }
    }
    // No further client may connect.
    drop(listener);
    graceful.shutdown().await;
}

fn is_of_the_client(error: ErrorKind) -> bool {
    matches!(error, ErrorKind::ConnectionAborted | ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset)
}
