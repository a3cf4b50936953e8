//! Replacement of the stored peppers, by an operator.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

#[cfg(feature = "cloud")]
use aws_sdk_secretsmanager::error::ProvideErrorMetadata;

#[cfg(feature = "cloud")]
use super::source::unavailable;
use super::{
    Peppers,
    source::{Pepper, read},
};
use crate::Error;
#[cfg(feature = "cloud")]
use crate::{error::CallFailure, sdk_failure::call_failure};

/// Peppers as they are stored, and the version of the secret that holds them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPeppers {
    /// The peppers.
    pub peppers: Peppers,
    /// The id of the secret's version. A file has none.
    version: Option<String>,
}

impl Pepper {
    /// Reads the stored peppers, without the cache.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if Secrets Manager does not answer, [`Error::Internal`] if the peppers cannot be read.
    #[cfg_attr(
        not(feature = "cloud"),
        expect(clippy::unused_async, reason = "only Secrets Manager is awaited")
    )]
    pub async fn stored(&self) -> Result<StoredPeppers, Error> {
        match self {
            Self::Fixed(peppers) => Ok(StoredPeppers { peppers: peppers.clone(), version: None }),
            Self::File(file) => {
                let peppers = read(&file.path).map_err(|_| unreadable())?;
                Ok(StoredPeppers { peppers, version: None })
            }
            #[cfg(feature = "cloud")]
            Self::SecretsManager(secret) => {
                let read = async |stage| {
                    let request = secret.client.get_secret_value().secret_id(&secret.id).version_stage(stage);
                    request.send().await
                };
                let current = read("AWSCURRENT").await.map_err(|error| unavailable(call_failure(&error)))?;
                let text = current.secret_string.ok_or_else(unreadable)?;
                // A secret that was never rotated has no such version.
                let previous = match read("AWSPREVIOUS").await {
                    Ok(version) => version.secret_string,
                    Err(error) if error.code() == Some("ResourceNotFoundException") => None,
                    Err(error) => return Err(unavailable(call_failure(&error))),
                };
                let peppers = Peppers::parse(text.as_bytes(), previous.as_ref().map(String::as_bytes))?;
                Ok(StoredPeppers { peppers, version: current.version_id })
            }
        }
    }

    /// Makes other rotations of this source fail until the returned value is dropped. Secrets Manager needs no lock, because
    /// it moves the label of a version only from the version that was read.
    ///
    /// # Errors
    /// [`Error::Conflict`] if another rotation is in progress, [`Error::Internal`] if the lock cannot be created.
    pub fn lock(&self) -> Result<Option<File>, Error> {
        let Self::File(file) = self else { return Ok(None) };
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(file.path.with_extension("lock"))
            .map_err(|_| Error::Internal("the lock of the peppers cannot be created".to_owned()))?;
        match lock.try_lock() {
            Ok(()) => Ok(Some(lock)),
            Err(_) => Err(Error::Conflict(
                "another rotation of the pepper has begun. Run the command again when it is done.".to_owned(),
            )),
        }
    }

    /// Stores new peppers in place of those that were read. Returns `None` if another operator has replaced them first.
    /// A new version of the secret becomes the current one only if the version that was read still is.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if Secrets Manager does not answer, [`Error::Internal`] if the file cannot be written.
    #[cfg_attr(
        not(feature = "cloud"),
        expect(clippy::unused_async, reason = "only Secrets Manager is awaited")
    )]
    pub async fn replace(
        &self,
        before: &StoredPeppers,
        peppers: Peppers,
    ) -> Result<Option<StoredPeppers>, Error> {
        let text = peppers.to_stored()?;
        match self {
            Self::Fixed(_) => Err(Error::Internal("these peppers cannot be replaced".to_owned())),
            Self::File(file) => {
                if read(&file.path).map_err(|_| unreadable())? != before.peppers {
                    return Ok(None);
                }
                write(&file.path, &text)
                    .map_err(|_| Error::Internal("the file with the peppers cannot be written".to_owned()))?;
                Ok(Some(StoredPeppers { peppers, version: None }))
            }
            #[cfg(feature = "cloud")]
            Self::SecretsManager(secret) => {
                let (client, id) = (&secret.client, &secret.id);
                let put = client.put_secret_value().secret_id(id).secret_string(text);
                let put = put.version_stages("AWSPENDING").send().await;
                let put = put.map_err(|error| unavailable(call_failure(&error)))?;
                let version = put.version_id.ok_or_else(unreadable)?;
                let promoted = client
                    .update_secret_version_stage()
                    .secret_id(id)
                    .version_stage("AWSCURRENT")
                    .move_to_version_id(&version)
                    .set_remove_from_version_id(before.version.clone())
                    .send()
                    .await;
                match promoted {
                    Ok(_) => Ok(Some(StoredPeppers { peppers, version: Some(version) })),
                    Err(error) => match call_failure(&error) {
                        // Secrets Manager refuses the move because the label is on another version.
                        CallFailure::Other => Ok(None),
                        failure => Err(unavailable(failure)),
                    },
                }
            }
        }
    }
}

/// Replaces a file that only its owner can read. A reader sees the old or the new contents.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let new = path.with_extension("new");
    let _ = fs::remove_file(&new);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

fn unreadable() -> Error {
    Error::Internal("the peppers cannot be read".to_owned())
}
