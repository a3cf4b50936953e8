//! The gateway without its sockets: its data directory, database, store and routers.
//!
//! The data directory contains `scim.db` (the database), `pepper` (for the digests of keys), `lock` (locked while a
//! gateway runs) and `connection.env` (the connection of the first organisation). Only their owner can read them. Every
//! acknowledged write is on the disk (see [`Log`]).

use std::{
    fs::{self, File, TryLockError},
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use aws_sdk_dynamodb::Client;
use aws_smithy_runtime_api::client::http::SharedHttpConnector;
use axum::{
    Router,
    extract::{Request, State},
    middleware::{Next, from_fn_with_state},
    response::Response,
};
use dynoxide::Database;
use service::{
    App, Error,
    auth::{Org, Scope},
    clock::Clock,
    config::Tables,
    credential::Credential,
    entropy::Entropy,
    error::Refusal,
    http::{self, BASE_PATH},
    limits::REQUEST_BUDGET,
    oauth::{Assertions, Reach},
    pepper::{Pepper, PepperFile},
    portal::{Intent, Portal, Role},
    store::{Actor, NewKey, NewLink, RefusedKey, Store},
};

use tokio::{sync::Notify, time::Instant};

use crate::{
    admin,
    embedded::{self, Connector},
    endpoint,
    log::Log,
    private,
    realistic::Realistic,
    served::Served,
    turns::Turns,
};

/// The organisation that the first start creates.
pub const ORGANISATION: &str = "acme";

/// Why the gateway does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory, or a file in it, cannot be used.
    #[error("cannot use {}: {cause}. Choose another data directory with --data DIR.", path.display())]
    Data {
        /// The path of the file or directory.
        path: PathBuf,
        /// The error of the operating system.
        cause: io::Error,
    },
    /// Another gateway uses the data directory.
    #[error(
        "another gateway uses the data directory {}. Stop that gateway, or choose another data directory with \
         --data DIR.",
        .0.display()
    )]
    Locked(PathBuf),
    /// The database cannot be opened.
    #[error(
        "scim.db in {} is damaged, or is no database of this gateway. It was not changed. Move it away, or choose \
         another data directory with --data DIR.",
        .0.display()
    )]
    Database(PathBuf),
    /// The store fails.
    #[error("cannot prepare the store: {}", cause(.0))]
    Store(#[from] Error),
}

/// Returns the text of an error with its inner cause, which is hidden from SCIM clients.
fn cause(error: &Error) -> String {
    match error {
        Error::Internal(cause) => cause.clone(),
        other => other.to_string(),
    }
}

/// A gateway without its sockets.
pub struct Gateway {
    database: Database,
    log: Log,
    turns: Turns,
    /// Rung by each request that may write.
    bell: Arc<Notify>,
    store: Store,
    dynamodb_key: String,
    operator_token: String,
    pepper: Pepper,
    entropy: Entropy,
    data: PathBuf,
    reach: Reach,
    // Keeps the data directory locked until the gateway is dropped.
    _lock: File,
}

impl Gateway {
    /// Opens the data directory and the database in it, and creates both if they do not exist. With `memory`, the
    /// database is in memory. With a seed in `realistic`, the store uses a realistic DynamoDB.
    ///
    /// # Errors
    /// If the directory or the database cannot be used.
    pub async fn open(data: &Path, memory: bool, realistic: Option<u64>) -> Result<Self, StartError> {
        Self::open_with(data, memory, realistic, File::sync_data).await
    }

    /// Opens the gateway like [`Self::open`]. The function flushes the log, as [`File::sync_data`] does.
    ///
    /// # Errors
    /// If the directory or the database cannot be used.
    pub async fn open_with(
        data: &Path,
        memory: bool,
        realistic: Option<u64>,
        flush: impl Fn(&File) -> io::Result<()> + Send + Sync + 'static,
    ) -> Result<Self, StartError> {
        let unusable = |path: &Path| {
            let path = path.to_owned();
            move |cause| StartError::Data { path, cause }
        };
        private::directory(data).map_err(unusable(data))?;
        let lock_path = data.join("lock");
        let lock = private::open(&lock_path).map_err(unusable(&lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StartError::Locked(data.to_owned())),
            Err(TryLockError::Error(cause)) => return Err(StartError::Data { path: lock_path, cause }),
        }
        let entropy = Entropy::system();
        let file = data.join("scim.db");
        let has_keys = fs::metadata(&file).is_ok_and(|file| file.len() > 0);
        let pepper_path = data.join("pepper");
        let pepper = pepper(&pepper_path, has_keys, &entropy).map_err(unusable(&pepper_path))?;
        if !memory {
            // The file is created here for its mode. SQLite gives the same mode to the files it creates beside it.
            private::open(&file).map_err(unusable(&file))?;
            for end in ["-journal", "-shm", "-wal"] {
                let beside = data.join(format!("scim.db{end}"));
                private::check(&beside).map_err(unusable(&beside))?;
            }
        }
        let damaged = || StartError::Database(data.to_owned());
        let database = embedded::open((!memory).then_some(file.as_path())).map_err(|_| damaged())?;
        // On a realistic DynamoDB, SQLite flushes in each transaction.
        let log = if memory || realistic.is_some() {
            Log::none()
        } else {
            // The only setter of `synchronous = NORMAL` that the engine has.
            database.disable_bulk_loading().map_err(|_| damaged())?;
            Log::open(&file, flush).map_err(unusable(&file))?
        };
        let client = match realistic {
            Some(seed) => Realistic::new(database.clone(), seed).client(),
            None => client(Connector::new(database.clone()), log.clone()),
        };
        let store = Store::new(&client, Tables::default(), Clock::system(), entropy.clone())
            .with_limits(false)
            .with_request_log(true);
        store.create_tables().await?;
        let dynamodb_key: [u8; 16] = entropy.bytes()?;
        let operator_token: [u8; 32] = entropy.bytes()?;
        Ok(Self {
            database,
            log,
            turns: Turns::default(),
            bell: Arc::default(),
            store,
            dynamodb_key: hex::encode(dynamodb_key),
            operator_token: format!("scimadmin_{}", hex::encode(operator_token)),
            pepper,
            entropy,
            data: data.to_owned(),
            reach: Reach::Internet,
            _lock: lock,
        })
    }

    /// Returns the gateway with or without the limits of organisations. A new gateway has none.
    #[must_use]
    pub fn with_limits(mut self, is_limited: bool) -> Self {
        self.store = self.store.with_limits(is_limited);
        self
    }

    /// Returns the gateway with or without the request log. A new gateway has it.
    #[must_use]
    pub fn with_request_log(mut self, is_recorded: bool) -> Self {
        self.store = self.store.with_request_log(is_recorded);
        self
    }

    /// Returns the embedded database.
    #[must_use]
    pub fn database(&self) -> Database {
        self.database.clone()
    }

    /// Returns the store.
    #[must_use]
    pub fn store(&self) -> Store {
        self.store.clone()
    }

    /// Waits for the next request that may have written an event.
    pub async fn bell(&self) {
        self.bell.notified().await;
    }

    /// Returns the data directory.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Returns the log of the database.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Returns the access key that the endpoint of the embedded DynamoDB requires.
    #[must_use]
    pub fn dynamodb_key(&self) -> &str {
        &self.dynamodb_key
    }

    /// Reads the keys of OAuth issuers from these hosts. The default is the public internet.
    #[must_use]
    pub fn reaching(self, reach: Reach) -> Self {
        Self { reach, ..self }
    }

    /// Returns the router with the routes of all functions. The management API requires the operator token, and the host and
    /// port of the base URL.
    pub fn router(&self, base_url: &str) -> Router {
        let state = (self.turns.clone(), self.log.clone(), self.bell.clone());
        let assertions = Assertions::new(self.store.clock().clone(), self.reach);
        let routes = [http::all(), http::token(&assertions), http::events()].concat();
        let app = self.app(base_url);
        let admin = admin::router(app.clone(), &self.operator_token, base_url);
        let console = console::router(app.clone());
        admin::beside(admin, console, http::router(app, routes)).layer(from_fn_with_state(state, serve))
    }

    /// Returns the router of the endpoint of the embedded DynamoDB.
    pub fn endpoint(&self) -> Router {
        let engine = Connector::new(self.database.clone()).honouring_tokens();
        endpoint::router(Served::new(engine, self.log.clone()), self.dynamodb_key.clone())
    }

    fn app(&self, base_url: &str) -> App {
        let portal = Arc::new(Portal { url: Some(console_url(base_url)), ..Portal::from_env() });
        App {
            store: self.store.clone(),
            pepper: self.pepper.clone(),
            base_url: Some(base_url.to_owned()),
            portal,
        }
    }

    /// Returns the URL of a new set-up link of the first organisation, for its owner.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn link(&self, base_url: &str) -> Result<String, Error> {
        let new = NewLink { role: Role::Owner, intent: Intent::Connection, return_url: None };
        let actor = Actor::new("gateway");
        let created = self.store.create_link(&first_org()?, new, &self.pepper, &actor).await?;
        let (link, _) =
            created.ok_or_else(|| Error::Internal("the first organisation does not exist".to_owned()))?;
        Ok(format!("{}/enter?link={}", console_url(base_url), link.reveal()))
    }

    /// Returns a key of the first organisation: the known key if it is still valid, or a new key. Creates the
    /// organisation if it does not exist.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn key(&self, known: Option<&str>) -> Result<String, Error> {
        let org = first_org()?;
        let actor = Actor::new("gateway");
        self.store.create_org(&org, &actor).await?;
        let peppers = self.pepper.peppers().await?;
        if let Some(key) = known.and_then(Credential::parse) {
            let deadline = Instant::now() + REQUEST_BUDGET;
            // A valid key of an organisation that is disabled, or held by a deletion or an import, stays.
            match self.store.authenticate(&key, &peppers, deadline).await? {
                Ok(_) | Err(RefusedKey { refusal: Refusal::Off(_), .. }) => {
                    return Ok(key.reveal().to_owned());
                }
                Err(_) => {}
            }
        }
        let held = self.store.org(&org).await?.is_some_and(|organisation| organisation.work.is_some());
        if held {
            // The command that deletes or imports the organisation has to be run again, and needs the gateway.
            return Ok("none".to_owned());
        }
        let new = NewKey { scopes: [Scope::Scim].into(), ..NewKey::default() };
        let (key, _) = self.store.create_key(&org, &new, &self.pepper, &actor).await?;
        Ok(key.reveal().to_owned())
    }

    /// Returns the token that the management API requires. It is valid until the gateway stops.
    #[must_use]
    pub fn operator_token(&self) -> &str {
        &self.operator_token
    }

    /// Returns the source of random bytes.
    #[must_use]
    pub fn entropy(&self) -> &Entropy {
        &self.entropy
    }
}

fn first_org() -> Result<Org, Error> {
    ORGANISATION
        .parse()
        .map_err(|_| Error::Internal("the name of the first organisation is invalid".to_owned()))
}

/// Returns the URL of the owner console, which has the origin of the base URL.
fn console_url(base_url: &str) -> String {
    format!("{}{}", base_url.trim_end_matches(BASE_PATH), console::PATH)
}

/// The connection settings of a client, as they are written for scripts.
pub struct Connection {
    /// The base URL of the service.
    pub base_url: String,
    /// The API key.
    pub token: String,
    /// The URL of the management API.
    pub admin_url: String,
    /// The operator token, which the management API requires.
    pub admin_token: String,
    /// A set-up link of the owner console, which can be used once.
    pub console_url: String,
    /// The address of the embedded DynamoDB.
    pub dynamodb: SocketAddr,
    /// The access key that the embedded DynamoDB requires.
    pub dynamodb_key: String,
}

impl Connection {
    /// Reads the token from a file that [`Self::write`] wrote. Returns `None` if there is no such file or token.
    #[must_use]
    pub fn token_in(file: &Path) -> Option<String> {
        let text = fs::read_to_string(file).ok()?;
        text.lines().find_map(|line| line.strip_prefix("SCIM_TOKEN=")).map(str::to_owned)
    }

    /// Replaces the file, which only its owner can read.
    ///
    /// # Errors
    /// The error of the file system.
    pub fn write(&self, file: &Path) -> io::Result<()> {
        let Self { base_url, token, admin_url, admin_token, console_url, dynamodb, dynamodb_key } = self;
        private::replace(
            file,
            &format!(
                "SCIM_BASE_URL={base_url}\nSCIM_TOKEN={token}\nSCIM_ADMIN_URL={admin_url}\nSCIM_ADMIN_TOKEN={admin_token}\n\
                 SCIM_CONSOLE_LINK={console_url}\n\
                 AWS_ENDPOINT_URL_DYNAMODB=http://{dynamodb}\nAWS_ACCESS_KEY_ID={dynamodb_key}\nAWS_SECRET_ACCESS_KEY=local\n"
            ),
        )
    }
}

/// Returns a client of the database whose calls take turns and whose writes count in the log.
fn client(engine: Connector, log: Log) -> Client {
    embedded::client_over(SharedHttpConnector::new(Served::new(engine, log)))
}

/// Serves a request, and returns its response once all writes before it are on the disk.
async fn serve(
    State((turns, log, bell)): State<(Turns, Log, Arc<Notify>)>,
    request: Request,
    next: Next,
) -> Response {
    let writes = !request.method().is_safe();
    // The key is not verified here. A request without a valid key makes one call at most.
    let key = http::presented_key(request.headers());
    let organisation = key.as_ref().map(|key| key.org().as_str()).unwrap_or_default();
    let response = turns.serve(organisation, next.run(request)).await;
    log.flushed().await;
    if writes {
        bell.notify_one();
    }
    response
}

/// Reads the pepper from a file. Creates the file with a new pepper if the database has no keys.
fn pepper(path: &Path, has_keys: bool, entropy: &Entropy) -> io::Result<Pepper> {
    private::check(path)?;
    match fs::read(path) {
        Ok(pepper) if pepper.len() >= 32 => return PepperFile::open(path).map(Pepper::File),
        Ok(_) => return Err(io::Error::other("the pepper is too short")),
        Err(error) if error.kind() == io::ErrorKind::NotFound && has_keys => {
            return Err(io::Error::other("the file is missing, and no key in scim.db is valid without it"));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let bytes: [u8; 32] = entropy.bytes().map_err(io::Error::other)?;
    let text = hex::encode(bytes);
    private::replace(path, &text)?;
    PepperFile::open(path).map(Pepper::File)
}
