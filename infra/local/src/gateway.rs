//! The gateway as a value: opened on a data directory or in memory, then served.
//!
//! The data directory holds `scim.db` (everything), `pepper` (what key digests are made with), `lock` (held while a
//! gateway runs) and `connection.env` (the connection of the first organisation), all readable by their owner only. Every acknowledged write is on disk: SQLite with a write-ahead log, synchronous.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Write},
    net::SocketAddr,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use axum::Router;
use dynoxide::Database;
use service::{
    App, Error,
    auth::{ApiKey, Org, Scope},
    clock::Clock,
    config::Tables,
    entropy::Entropy,
    http,
    limits::REQUEST_BUDGET,
    pepper::{Pepper, Peppers, Secret},
    store::Store,
};

use tokio::time::Instant;

use crate::embedded;

/// The organisation that is there from the first start.
pub const ORGANISATION: &str = "acme";

/// Why the gateway does not start. The text is for the person at the terminal.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory, or something in it, cannot be used.
    #[error("cannot use {}: {cause}; choose another place with --data DIR", path.display())]
    Data {
        /// Which file or directory.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// Another gateway has it.
    #[error("the data directory {} is in use by another gateway; stop that one, or choose another with --data DIR", .0.display())]
    Locked(PathBuf),
    /// The database cannot be opened.
    #[error(
        "scim.db in {} is not a database of this gateway, or is damaged; it was left as it is. Move it away, or choose \
         another place with --data DIR",
        .0.display()
    )]
    Database(PathBuf),
    /// The store refuses.
    #[error("cannot prepare the store: {0}")]
    Store(#[from] Error),
}

/// Everything of one gateway but its sockets.
pub struct Gateway {
    database: Database,
    store: Store,
    peppers: Peppers,
    entropy: Entropy,
    data: PathBuf,
    // Held, and with it the directory, until the gateway is dropped.
    _lock: File,
}

impl Gateway {
    /// Opens the data directory, which is made if it is not there, and what is in it.
    ///
    /// # Errors
    /// When the directory or the database cannot be used.
    pub async fn open(data: &Path, memory: bool) -> Result<Self, StartError> {
        let unusable = |path: &Path| {
            let path = path.to_owned();
            move |cause| StartError::Data { path, cause }
        };
        DirBuilder::new().recursive(true).mode(0o700).create(data).map_err(unusable(data))?;
        let lock_path = data.join("lock");
        let lock = private_file(&lock_path).map_err(unusable(&lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StartError::Locked(data.to_owned())),
            Err(TryLockError::Error(cause)) => return Err(StartError::Data { path: lock_path, cause }),
        }
        let file = data.join("scim.db");
        if !memory {
            // Made here, for its mode: SQLite gives the same one to the files it puts beside it.
            private_file(&file).map_err(unusable(&file))?;
        }
        let database = embedded::open((!memory).then_some(file.as_path()))
            .map_err(|_| StartError::Database(data.to_owned()))?;
        let entropy = Entropy::system();
        let store = Store::new(
            &embedded::client(database.clone()),
            Tables::default(),
            Clock::system(),
            entropy.clone(),
        );
        store.create_tables().await?;
        let pepper_path = data.join("pepper");
        let pepper = pepper(&pepper_path, &entropy).map_err(unusable(&pepper_path))?;
        let peppers = Peppers { current: Secret::new(pepper), previous: None };
        Ok(Self { database, store, peppers, entropy, data: data.to_owned(), _lock: lock })
    }

    /// The embedded database, to be served on a port of its own.
    #[must_use]
    pub fn database(&self) -> Database {
        self.database.clone()
    }

    /// The store in it.
    #[must_use]
    pub fn store(&self) -> Store {
        self.store.clone()
    }

    /// The data directory.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The router of every function.
    pub fn router(&self, base_url: String) -> Router {
        http::router(self.app(base_url), http::all())
    }

    fn app(&self, base_url: String) -> App {
        App {
            store: self.store.clone(),
            pepper: Pepper::File(self.peppers.clone()),
            base_url: Some(base_url),
        }
    }

    /// A key of the first organisation: the one given, if it still is one, or else a new one. Makes the organisation
    /// if it is not there.
    ///
    /// # Errors
    /// When the store refuses.
    pub async fn key(&self, known: Option<&str>) -> Result<String, Error> {
        let org: Org =
            ORGANISATION.parse().map_err(|_| Error::Internal("the organisation's name".to_owned()))?;
        self.store.create_org(&org).await?;
        if let Some(key) = known.and_then(ApiKey::parse)
            && self.store.authenticate(&key, &self.peppers, Instant::now() + REQUEST_BUDGET).await.is_ok()
        {
            return Ok(key.reveal().to_owned());
        }
        let (key, _) = self.store.create_key(&org, &[Scope::Scim].into(), &self.peppers).await?;
        Ok(key.reveal().to_owned())
    }

    /// Random bytes, for what needs some beside the store.
    #[must_use]
    pub fn entropy(&self) -> &Entropy {
        &self.entropy
    }
}

/// What a client needs to connect, as it is written for scripts.
pub struct Connection {
    /// The base URL for clients.
    pub base_url: String,
    /// The key.
    pub token: String,
    /// Where the embedded DynamoDB answers.
    pub dynamodb: SocketAddr,
}

impl Connection {
    /// The token in a file that [`Self::write`] wrote, if there is one.
    #[must_use]
    pub fn token_in(file: &Path) -> Option<String> {
        let text = fs::read_to_string(file).ok()?;
        text.lines().find_map(|line| line.strip_prefix("SCIM_TOKEN=")).map(str::to_owned)
    }

    /// Writes the file, readable by its owner only, in one step: no script ever sees half of it.
    ///
    /// # Errors
    /// What the file system says.
    pub fn write(&self, file: &Path) -> io::Result<()> {
        let draft = file.with_extension("draft");
        let _ = fs::remove_file(&draft);
        let mut out = private_file(&draft)?;
        writeln!(out, "SCIM_BASE_URL={}", self.base_url)?;
        writeln!(out, "SCIM_TOKEN={}", self.token)?;
        writeln!(out, "AWS_ENDPOINT_URL_DYNAMODB=http://{}", self.dynamodb)?;
        out.sync_all()?;
        fs::rename(&draft, file)
    }
}

fn private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).write(true).truncate(false).mode(0o600).open(path)
}

/// The pepper in the file; made at the first start.
fn pepper(path: &Path, entropy: &Entropy) -> io::Result<Vec<u8>> {
    match fs::read(path) {
        Ok(pepper) if pepper.len() >= 32 => return Ok(pepper),
        Ok(_) => return Err(io::Error::other("it is too short to be a pepper")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let bytes: [u8; 32] = entropy.bytes().map_err(io::Error::other)?;
    let text = hex::encode(bytes);
    let draft = path.with_extension("draft");
    let _ = fs::remove_file(&draft);
    let mut file = private_file(&draft)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&draft, path)?;
    Ok(text.into_bytes())
}
