//! Databases that take long to make. Each is made once and kept as a file in the target directory.

use std::{
    fs::{self, File},
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
};

use dynoxide::Database;
use serde::{Serialize, de::DeserializeOwned};

/// The sources that decide what is written to a database, from the root of the workspace.
const SOURCES: [&str; 5] =
    ["Cargo.lock", "infra/local/src", "shared/scim/src", "shared/service/src", "tests/src"];

/// Restores a database for one test from a file. Returns the database and the description that `make` returned.
///
/// Calls `make` with an empty database if the file does not exist or if a source has changed: `SOURCES` or `maker`, the
/// source of `make`. Other processes wait until the file exists. `directory` is `CARGO_TARGET_TMPDIR`.
///
/// # Panics
/// If a file cannot be read or written.
pub async fn restored<T: Serialize + DeserializeOwned>(
    directory: &str,
    name: &str,
    maker: &str,
    make: impl AsyncFnOnce(&Database) -> T,
) -> (Database, T) {
    let directory = Path::new(directory);
    let lock = File::create(directory.join(format!("{name}.lock"))).expect("a lock file");
    lock.lock().expect("a lock");
    let prefix = format!("{name}-");
    let key = format!("{prefix}{:016x}", hash(maker));
    let [snapshot, description] = ["db", "json"].map(|kind| directory.join(format!("{key}.{kind}")));
    if !snapshot.exists() {
        for old in files_of(directory) {
            let old_name = old.file_name().unwrap_or_default().to_string_lossy();
            if old_name.starts_with(&prefix) {
                fs::remove_file(&old).expect("an old file is removed");
            }
        }
        let database = Database::memory().expect("a database in memory");
        let content = make(&database).await;
        fs::write(&description, serde_json::to_vec(&content).expect("JSON")).expect("a description");
        // The snapshot is renamed last, so that an interrupted process leaves none.
        let unfinished = directory.join(format!("{key}.unfinished"));
        database.vacuum_into(&unfinished.to_string_lossy()).expect("a snapshot");
        fs::rename(&unfinished, &snapshot).expect("a snapshot");
    }
    let database = Database::memory().expect("a database in memory");
    database.restore_from(&snapshot.to_string_lossy()).expect("a restored database");
    let description = fs::read(&description).expect("a description");
    (database, serde_json::from_slice(&description).expect("JSON"))
}

/// Returns a hash of the sources and of the maker.
fn hash(maker: &str) -> u64 {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut hasher = DefaultHasher::new();
    maker.hash(&mut hasher);
    for source in SOURCES {
        for file in files_of(&root.join(source)) {
            file.hash(&mut hasher);
            fs::read(&file).expect("a source file").hash(&mut hasher);
        }
    }
    hasher.finish()
}

/// Lists the files below a path, sorted; the path itself if it is a file.
fn files_of(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    let entries = fs::read_dir(path).expect("a directory");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths.iter().flat_map(|path| files_of(path)).collect()
}
