//! `cargo run --release`: the whole service on this machine, with nothing to set up.

use std::{
    future::{Future, IntoFuture},
    io::{self, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::ExitCode,
};

use clap::Parser;
use local::{
    endpoint,
    gateway::{Connection, Gateway, ORGANISATION, StartError},
};
use service::{http::BASE_PATH, janitor, store::Store, telemetry};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    time::{Duration, timeout},
};

/// A request makes thousands of small allocations, most of them in the AWS SDK.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Requests that are under way when the gateway is stopped get so long to end.
const GRACE: Duration = Duration::from_secs(5);

/// How often what is past is cleared away.
const SWEEP: Duration = Duration::from_mins(10);

/// The SCIM service on this machine: every endpoint, on an embedded DynamoDB.
///
/// Makes the organisation `acme` with a key at the first start, and prints what to type into Okta and Microsoft Entra.
/// Stop it with Ctrl-C.
#[derive(Parser)]
#[command(name = "scim-local", version)]
struct Arguments {
    /// Port of the gateway on 127.0.0.1; 0 takes a free one
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Port of the embedded DynamoDB on 127.0.0.1; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    dynamodb_port: u16,
    /// Directory for everything that is kept
    #[arg(long, value_name = "DIR", default_value = ".scim")]
    data: PathBuf,
    /// Keep resources and keys in memory only: they are gone when the gateway stops
    #[arg(long)]
    memory: bool,
    /// Another file for `SCIM_BASE_URL` and `SCIM_TOKEN`, written with mode 0600 once the gateway answers, beside
    /// connection.env in the data directory
    #[arg(long, value_name = "FILE")]
    env_file: Option<PathBuf>,
}

/// Why the gateway stopped.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(
        "port {port} on 127.0.0.1 cannot be used: {cause}; choose another with {option} PORT, or 0 for a free one"
    )]
    Port { port: u16, option: &'static str, cause: io::Error },
    #[error("cannot write {}: {cause}; choose another place with --env-file FILE", path.display())]
    EnvFile { path: PathBuf, cause: io::Error },
    #[error("the gateway cannot go on: {0}")]
    Serve(#[from] io::Error),
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    telemetry::init(io::stderr);
    match run(arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let _ = writeln!(io::stderr(), "error: {failure}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Failure> {
    // Ports first: a second gateway by mistake is told so before anything is opened.
    let gateway_listener = listen(arguments.port, "--port").await?;
    let dynamodb_listener = listen(arguments.dynamodb_port, "--dynamodb-port").await?;
    let gateway = Gateway::open(&arguments.data, arguments.memory).await?;
    // Always there, so that scimctl and the next start find it; where it is asked for, too.
    let own_file = gateway.data().join("connection.env");
    let known = Connection::token_in(&own_file);
    let connection = Connection {
        base_url: format!("http://{}{BASE_PATH}", gateway_listener.local_addr()?),
        token: gateway.key(known.as_deref()).await.map_err(StartError::from)?,
        dynamodb: dynamodb_listener.local_addr()?,
    };

    let router = gateway.router(connection.base_url.clone());
    let stop = stopped()?;
    let gateway_server = axum::serve(gateway_listener, router).with_graceful_shutdown(stop);
    let dynamodb_server = axum::serve(dynamodb_listener, endpoint::router(gateway.database()));
    let serving = tokio::spawn(gateway_server.into_future());
    let dynamodb_serving = tokio::spawn(dynamodb_server.into_future());

    for file in std::iter::once(&own_file).chain(&arguments.env_file) {
        connection.write(file).map_err(|cause| Failure::EnvFile { path: file.clone(), cause })?;
    }
    let env_file = arguments.env_file.as_ref().unwrap_or(&own_file);
    introduce(&connection, env_file, known.as_deref() == Some(&connection.token))?;
    // Not before: a start that is refused says why, and nothing else.
    tokio::spawn(sweep(gateway.database(), gateway.store()));

    stopped()?.await;
    // A connection that a client keeps open must not keep the gateway from stopping.
    if let Ok(Ok(served)) = timeout(GRACE, serving).await {
        served?;
    }
    dynamodb_serving.abort();
    writeln!(io::stdout(), "stopped; everything acknowledged is kept in {}", gateway.data().display())?;
    Ok(())
}

/// What AWS does by itself and on a schedule: expired items are deleted, and what killed requests left is finished.
async fn sweep(database: dynoxide::Database, store: Store) {
    let mut interval = tokio::time::interval(SWEEP);
    loop {
        interval.tick().await;
        // What is not deleted now is deleted next time; nobody reads it until then.
        let _ = database.sweep_ttl();
        let _ = janitor::sweep(&store).await;
    }
}

async fn listen(port: u16, option: &'static str) -> Result<TcpListener, Failure> {
    let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
    TcpListener::bind(address).await.map_err(|cause| Failure::Port { port, option, cause })
}

/// Ends on Ctrl-C or SIGTERM.
fn stopped() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// The block a person needs.
fn introduce(connection: &Connection, env_file: &std::path::Path, known: bool) -> io::Result<()> {
    let Connection { base_url, token, dynamodb } = connection;
    let whose = if known { "the key from before" } else { "new; kept only in the file below" };
    write!(
        io::stdout(),
        "\
SCIM 2.0 is ready.

  Organisation  {ORGANISATION}
  Base URL      {base_url}
  Key           {token}
                ({whose})

  Okta          Base URL: {base_url}
                Unique identifier field for users: userName
                Authentication mode: HTTP Header, with the key
  Entra ID      Tenant URL: {base_url}?aadOptscim062020
                Secret Token: the key

  Try it        curl -i -H 'Authorization: Bearer {token}' '{base_url}/Users'

  For scripts   {}
  DynamoDB      http://{dynamodb} (AWS_ENDPOINT_URL_DYNAMODB, for scimctl and DynamoDB tools)

Ctrl-C stops it.
",
        env_file.display()
    )?;
    io::stdout().flush()
}
