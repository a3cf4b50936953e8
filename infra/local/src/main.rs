//! `cargo run --release` starts the whole service on this machine, without any setup.

use std::{
    future::Future,
    io::{self, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::ExitCode,
};

use clap::Parser;
use local::{
    gateway::{Connection, Gateway, ORGANISATION, StartError},
    serve::serve,
};
use service::{
    admin, announcements,
    http::{BASE_PATH, TOKEN_PATH},
    janitor,
    oauth::Reach,
    sequencing,
    store::Store,
    telemetry,
};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    time::{Duration, timeout},
};

/// A request makes thousands of small allocations, most of them in the AWS SDK.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The time that open requests have to end after the gateway is stopped.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// The time between two sweeps.
const SWEEP_INTERVAL: Duration = Duration::from_mins(10);
/// The longest time between two runs of the sequencer.
const SEQUENCE_INTERVAL: Duration = Duration::from_secs(5);

/// Runs the SCIM service on this machine, with an embedded DynamoDB.
///
/// The first start creates the organisation `acme` with an API key. Each start prints the settings for Okta and
/// Microsoft Entra ID, and a set-up link of the owner console. Press Ctrl-C to stop the gateway.
#[derive(Parser)]
#[command(name = "scim-local", version)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of the command")]
struct Arguments {
    /// Port of the gateway on 127.0.0.1; 0 selects a free port
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Port of the embedded DynamoDB on 127.0.0.1; 0 selects a free port
    #[arg(long, default_value_t = 0)]
    dynamodb_port: u16,
    /// Directory of the database, the pepper and connection.env
    #[arg(long, value_name = "DIR", default_value = ".scim")]
    data: PathBuf,
    /// Keep all data in memory only; it is lost when the gateway stops
    #[arg(long)]
    memory: bool,
    /// Second file for `SCIM_BASE_URL` and `SCIM_TOKEN`, in addition to connection.env; written with mode 0600 once the
    /// gateway answers
    #[arg(long, value_name = "FILE")]
    env_file: Option<PathBuf>,
    /// Apply the limits of each organisation, as in the cloud: requests over a limit are answered with 429
    #[arg(long)]
    limits: bool,
    /// Do not record requests in the request log
    #[arg(long)]
    no_request_log: bool,
    /// Read the keys of OAuth issuers from this machine too, also by http; for tests
    #[arg(long)]
    allow_loopback_issuers: bool,
    /// Seed of the times of DynamoDB's calls, which then take 4 to 12 ms and conflict as on AWS
    #[arg(long, value_name = "SEED", num_args = 0..=1, require_equals = true, default_missing_value = "1", hide = true)]
    realistic_dynamodb: Option<u64>,
}

/// Why the gateway stopped.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(
        "cannot use port {port} on 127.0.0.1: {cause}. Choose another port with {option} PORT, or 0 for a free port."
    )]
    Port { port: u16, option: &'static str, cause: io::Error },
    #[error("cannot write {}: {cause}. Choose another file with --env-file FILE.", path.display())]
    EnvFile { path: PathBuf, cause: io::Error },
    #[error("the gateway cannot continue: {0}")]
    Serve(#[from] io::Error),
    #[error(
        "cannot write the database to the disk: {0}. All acknowledged changes are on the disk. Check the disk, then \
         start the gateway again."
    )]
    Flush(String),
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
    // The ports come first: a second gateway on the same port fails before it opens any file.
    let gateway_listener = listen(arguments.port, "--port").await?;
    let dynamodb_listener = listen(arguments.dynamodb_port, "--dynamodb-port").await?;
    let reach = if arguments.allow_loopback_issuers { Reach::InternetAndLoopback } else { Reach::Internet };
    let gateway = Gateway::open(&arguments.data, arguments.memory, arguments.realistic_dynamodb).await?;
    let gateway = gateway.reaching(reach).with_limits(arguments.limits);
    let gateway = gateway.with_request_log(!arguments.no_request_log);
    tokio::select! {
        outcome = serve_until_stopped(&arguments, &gateway, gateway_listener, dynamodb_listener) => outcome,
        cause = gateway.log().failed() => Err(Failure::Flush(cause)),
    }
}

async fn serve_until_stopped(
    arguments: &Arguments,
    gateway: &Gateway,
    gateway_listener: TcpListener,
    dynamodb_listener: TcpListener,
) -> Result<(), Failure> {
    // scimctl and the next start read this file, so it is always written.
    let own_file = gateway.data().join("connection.env");
    let known = Connection::token_in(&own_file);
    let address = gateway_listener.local_addr()?;
    let base_url = format!("http://{address}{BASE_PATH}");
    let connection = Connection {
        token: gateway.key(known.as_deref()).await.map_err(StartError::from)?,
        admin_url: format!("http://{address}{}", admin::PATH),
        admin_token: gateway.operator_token().to_owned(),
        console_url: gateway.link(&base_url).await.map_err(StartError::from)?,
        dynamodb: dynamodb_listener.local_addr()?,
        dynamodb_key: gateway.dynamodb_key().to_owned(),
        base_url,
    };
    gateway.log().flushed().await;

    // Scripts may stop the gateway as soon as they see its connection file.
    let (stop_serving, stop) = (stopped()?, stopped()?);
    let router = gateway.router(&connection.base_url);
    let serving = tokio::spawn(serve(gateway_listener, router, stop_serving));
    let dynamodb_serving = tokio::spawn(serve(dynamodb_listener, gateway.endpoint(), std::future::pending()));

    for file in std::iter::once(&own_file).chain(&arguments.env_file) {
        connection.write(file).map_err(|cause| Failure::EnvFile { path: file.clone(), cause })?;
    }
    let env_file = arguments.env_file.as_ref().unwrap_or(&own_file);
    introduce(&connection, env_file, known.as_deref() == Some(&connection.token))?;
    // The first sweep logs a line, so it comes last: a failed start prints its error only.
    tokio::spawn(sweep(gateway.database(), gateway.store()));

    tokio::select! {
        () = stop => {}
        () = sequence(gateway) => {}
    }
    // A client that keeps its connection open must not prevent the stop.
    let _ = timeout(SHUTDOWN_TIMEOUT, serving).await;
    let _ = timeout(SHUTDOWN_TIMEOUT, gateway.store().flush_request_log()).await;
    gateway.log().flushed().await;
    dynamodb_serving.abort();
    if arguments.memory {
        writeln!(io::stdout(), "Stopped. Resources and keys were in memory, and are lost.")?;
    } else {
        writeln!(io::stdout(), "Stopped. All acknowledged changes are in {}.", gateway.data().display())?;
    }
    Ok(())
}

/// Moves events to the feeds, as the events function does: after each request that may write, and from time to time for
/// the writes of scimctl.
async fn sequence(gateway: &Gateway) {
    let store = gateway.store();
    loop {
        let _ = timeout(SEQUENCE_INTERVAL, gateway.bell()).await;
        // The next run moves what this one did not.
        let _ = sequencing::sequence_all(&store).await;
    }
}

/// Deletes expired items, as DynamoDB does on AWS, and finishes changes that interrupted requests left, as the janitor
/// function does.
async fn sweep(database: dynoxide::Database, store: Store) {
    let mut interval = tokio::time::interval(SWEEP_INTERVAL);
    loop {
        interval.tick().await;
        // The next sweep deletes what this one did not. Reads ignore expired items.
        let _ = database.sweep_ttl();
        janitor::sweep(&store).await;
        // The next sweep announces what this one did not.
        let _ = announcements::announce(&store).await;
    }
}

async fn listen(port: u16, option: &'static str) -> Result<TcpListener, Failure> {
    let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
    TcpListener::bind(address).await.map_err(|cause| Failure::Port { port, option, cause })
}

/// Returns a future that completes on Ctrl-C or SIGTERM.
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

/// Prints the settings for identity providers.
fn introduce(connection: &Connection, env_file: &std::path::Path, known: bool) -> io::Result<()> {
    let Connection { base_url, token, admin_url, console_url, dynamodb, .. } = connection;
    let token_url = format!("{}{TOKEN_PATH}", base_url.trim_end_matches(BASE_PATH));
    let origin = if known { "unchanged since the last start" } else { "new, stored in the file below" };
    write!(
        io::stdout(),
        "\
SCIM 2.0 is ready.

  Organisation  {ORGANISATION}
  Base URL      {base_url}
  Key           {token}
                ({origin})

  Okta          SCIM connector base URL: {base_url}
                Unique identifier field for users: userName
                Authentication mode: HTTP Header, with the key as token
  Entra ID      Tenant URL: {base_url}?aadOptscim062020
                Token URL: {token_url}
                Without a secret, with the values that Entra displays:
                  scimctl client create --org {ORGANISATION} --scope scim --issuer URL --audience A --subject S
                With a client secret: scimctl client create --org {ORGANISATION} --scope scim
                With a key: Secret Token: the key

  Console       {console_url}
                (for an owner: opens once, within 5 minutes)

  Try it        curl -i -H 'Authorization: Bearer {token}' '{base_url}/Users'

  For scripts   {}
  Management    {admin_url}, with the operator token in that file
  DynamoDB      http://{dynamodb}, with the access key in that file

Press Ctrl-C to stop.
",
        env_file.display()
    )?;
    io::stdout().flush()
}
