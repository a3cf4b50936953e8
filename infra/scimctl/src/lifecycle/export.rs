//! `org export`: an organisation as a file.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use service::{
    auth::Org,
    store::transfer::{ExportError, Tally},
};

use super::{LifecycleError, progress::Progress};
use crate::{Failure, output::Output, stack::Stack};

/// The number of attempts to write a file. An attempt fails if two resources exchange a name meanwhile.
const ATTEMPTS: usize = 3;

/// Writes an organisation to a file or to standard output. A file appears only if it is complete.
pub(crate) async fn export(stack: &Stack, org: Org, file: Option<PathBuf>) -> Result<Output, Failure> {
    let Some(path) = file else {
        let mut out = BufWriter::new(io::stdout());
        let tally = write(stack, &org, &mut out, Path::new("standard output")).await?;
        return Ok(Output::Exported { org, file: None, tally });
    };
    let mut partial = OsString::from(&path);
    partial.push(".part");
    let partial = PathBuf::from(partial);
    let failed = |cause| LifecycleError::Write { path: path.clone(), cause };
    for attempt in 1.. {
        let mut out = BufWriter::new(create(&partial).map_err(failed)?);
        let written = write(stack, &org, &mut out, &path).await;
        if attempt < ATTEMPTS && matches!(written, Err(Failure::Lifecycle(LifecycleError::Renamed(_)))) {
            continue;
        }
        let outcome = match written {
            Ok(tally) => {
                out.get_ref().sync_all().and_then(|()| fs::rename(&partial, &path)).map_err(failed)?;
                Ok(Output::Exported { org, file: Some(path), tally })
            }
            Err(failure) => {
                let _ = fs::remove_file(&partial);
                Err(failure)
            }
        };
        return outcome;
    }
    Err(LifecycleError::Renamed(org).into())
}

/// Writes an organisation.
pub(super) async fn write(
    stack: &Stack,
    org: &Org,
    out: &mut impl Write,
    path: &Path,
) -> Result<Tally, Failure> {
    let mut progress = Progress::new();
    let show = |tally: Tally| {
        progress.show(|| {
            format!("{org}: {} users, {} groups, {} memberships", tally.users, tally.groups, tally.members)
        });
    };
    let written = stack.store.export(org, out, show).await;
    progress.clear();
    written.map_err(|error| match error {
        ExportError::Store(service::Error::NotFound(_)) => Failure::NoOrg(org.clone()),
        ExportError::Store(error) => stack.failure(error),
        ExportError::Output(cause) => LifecycleError::Write { path: path.to_owned(), cause }.into(),
        ExportError::Renamed => LifecycleError::Renamed(org.clone()).into(),
    })
}

/// Creates a file that only its owner may read: it contains personal data.
fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
