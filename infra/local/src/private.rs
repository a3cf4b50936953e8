//! Files that only their owner can read.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use tempfile::NamedTempFile;

/// The permissions of a group and of others to write.
const OTHERS_WRITE: u32 = 0o022;
/// All permissions of a group and of others.
const OTHERS: u32 = 0o077;

/// Creates a directory, or takes an existing one whose owner is the user of this process. The permissions of others to
/// write are removed, because others could put files into it.
///
/// # Errors
/// If the directory belongs to another user, and the errors of the file system.
pub(crate) fn directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    let metadata = fs::metadata(path)?;
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(io::Error::other("it belongs to another user"));
    }
    if metadata.mode() & OTHERS_WRITE != 0 {
        fs::set_permissions(path, Permissions::from_mode(metadata.mode() & !OTHERS_WRITE))?;
    }
    Ok(())
}

/// Checks that a file, if it exists, is a regular file that only the user of this process can read and write.
///
/// # Errors
/// An error that says what is wrong with the file.
pub(crate) fn check(path: &Path) -> io::Result<()> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if metadata.is_dir() {
        return Err(rustix::io::Errno::ISDIR.into());
    }
    if !metadata.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(io::Error::other("it belongs to another user"));
    }
    if metadata.mode() & OTHERS != 0 {
        let (mode, path) = (metadata.mode() & 0o777, path.display());
        return Err(io::Error::other(format!(
            "other users may use it (mode {mode:o}): run chmod 600 {path}"
        )));
    }
    Ok(())
}

/// Opens a file for writing, and creates it if it does not exist.
///
/// # Errors
/// Those of [`check`], and the errors of the file system.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    check(path)?;
    OpenOptions::new().create(true).write(true).truncate(false).mode(0o600).open(path)
}

/// Replaces a file. The new content is renamed into place, so that no reader sees a part of it.
///
/// # Errors
/// The errors of the file system.
pub(crate) fn replace(path: &Path, content: &str) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let directory = directory.map_or_else(|| PathBuf::from("."), Path::to_owned);
    // The errors of `tempfile` name the draft, which is of no use to a reader.
    fs::metadata(&directory)?;
    // Its name is random, and its mode is 0600.
    let mut draft = NamedTempFile::new_in(&directory)?;
    draft.write_all(content.as_bytes())?;
    draft.as_file().sync_all()?;
    draft.persist(path)?;
    // The rename is on the disk once the directory is.
    File::open(directory)?.sync_all()
}
