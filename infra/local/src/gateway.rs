//! The gateway without its sockets: its data directory, database, store and routers.
//!
//! The data directory contains `scim.db` (the database), `pepper` (for the digests of keys), `lock` (locked while a
//! gateway runs) and `connection.env` (the connection of the first organisation). Only their owner can read them. Every
//! acknowledged write is on disk: SQLite uses a write-ahead log and synchronous writes.

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

use crate::{embedded, realistic::Realistic};

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
    store: Store,
    peppers: Peppers,
    entropy: Entropy,
    data: PathBuf,
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
            // The file is created here for its mode. SQLite gives the same mode to the files it creates beside it.
            private_file(&file).map_err(unusable(&file))?;
        }
        let database = embedded::open((!memory).then_some(file.as_path()))
            .map_err(|_| StartError::Database(data.to_owned()))?;
        let entropy = Entropy::system();
        let client = match realistic {
            Some(seed) => Realistic::new(database.clone(), seed).client(),
            None => embedded::client(database.clone()),
        };
        let store = Store::new(&client, Tables::default(), Clock::system(), entropy.clone());
        store.create_tables().await?;
        let pepper_path = data.join("pepper");
        let pepper = pepper(&pepper_path, &entropy).map_err(unusable(&pepper_path))?;
        let peppers = Peppers { current: Secret::new(pepper), previous: None };
        Ok(Self { database, store, peppers, entropy, data: data.to_owned(), _lock: lock })
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

    /// Returns the data directory.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Returns the router with the routes of all functions.
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

    /// Returns a key of the first organisation: the known key if it is still valid, or a new key. Creates the
    /// organisation if it does not exist.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn key(&self, known: Option<&str>) -> Result<String, Error> {
        let org: Org = ORGANISATION
            .parse()
            .map_err(|_| Error::Internal("the name of the first organisation is invalid".to_owned()))?;
        self.store.create_org(&org).await?;
        if let Some(key) = known.and_then(ApiKey::parse)
            && self.store.authenticate(&key, &self.peppers, Instant::now() + REQUEST_BUDGET).await?.is_ok()
        {
            return Ok(key.reveal().to_owned());
        }
        let (key, _) = self.store.create_key(&org, &[Scope::Scim].into(), &self.peppers).await?;
        Ok(key.reveal().to_owned())
    }

    /// Returns the source of random bytes.
    #[must_use]
    pub fn entropy(&self) -> &Entropy {
        &self.entropy
    }
}

/// The connection settings of a client, as they are written for scripts.
pub struct Connection {
    /// The base URL of the service.
    pub base_url: String,
    /// The API key.
    pub token: String,
    /// The address of the embedded DynamoDB.
    pub dynamodb: SocketAddr,
}

impl Connection {
    /// Reads the token from a file that [`Self::write`] wrote. Returns `None` if there is no such file or token.
    #[must_use]
    pub fn token_in(file: &Path) -> Option<String> {
        let text = fs::read_to_string(file).ok()?;
        text.lines().find_map(|line| line.strip_prefix("SCIM_TOKEN=")).map(str::to_owned)
    }

    /// Writes the file, readable by its owner only. The file is renamed into place, so that no script reads a part of
    /// it.
    ///
    /// # Errors
    /// The error of the file system.
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

/// Reads the pepper from a file, or creates the file with a new pepper.
fn pepper(path: &Path, entropy: &Entropy) -> io::Result<Vec<u8>> {
    match fs::read(path) {
        Ok(pepper) if pepper.len() >= 32 => return Ok(pepper),
        Ok(_) => return Err(io::Error::other("the pepper is too short")),
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
