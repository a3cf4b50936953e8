//! `org import`: a file as an organisation, or as users of one.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, Write},
    path::{Path, PathBuf},
};

use scim::json;
use serde_json::Value;
use service::{
    auth::Org,
    store::transfer::{Import, ImportError, Imported, PeopleImport, Refused},
};

use super::{
    LifecycleError,
    lines::{Line, Lines},
    people::{Header, placed},
    progress::Progress,
};
use crate::{Failure, found, output::Output, stack::Stack};

const TOO_LONG: &str = "The line is longer than 1 MB.";
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";
/// The beginnings of the records of an export. No user begins so.
const RECORDS: [&[u8]; 5] =
    [b"{\"organisation\":", b"{\"user\":", b"{\"group\":", b"{\"member\":", b"{\"end\":"];

/// The input, and how much of it there is.
struct Source {
    input: Box<dyn BufRead>,
    path: PathBuf,
    size: Option<u64>,
}

/// The report of refused lines, and the progress.
struct Sink {
    org: Org,
    report: Option<(PathBuf, BufWriter<File>)>,
    progress: Progress,
    size: Option<u64>,
}

/// Imports a file into an organisation. The format is found from the first line.
pub(crate) async fn import(
    stack: &Stack,
    org: Org,
    file: Option<PathBuf>,
    report: Option<PathBuf>,
) -> Result<Output, Failure> {
    let mut source = Source::open(file)?;
    let start = source.start()?.to_vec();
    let mut sink = Sink::new(&org, report, source.size)?;
    let imported = if RECORDS.iter().any(|record| start.starts_with(record)) {
        import_export(stack, &org, source, &mut sink).await
    } else if start.is_empty() {
        Err(LifecycleError::Empty.into())
    } else {
        found(stack, &org).await?;
        if start.starts_with(b"{") {
            import_lines(stack, &org, source, &mut sink).await
        } else {
            import_table(stack, &org, source, &mut sink).await
        }
    };
    sink.progress.clear();
    let imported = imported?;
    sink.finish()?;
    Ok(Output::Imported { org, imported })
}

/// Imports an export, with its ids.
async fn import_export(
    stack: &Stack,
    org: &Org,
    source: Source,
    sink: &mut Sink,
) -> Result<Imported, Failure> {
    let failed = |error| match error {
        ImportError::Store(error) => stack.failure(error),
        ImportError::NoExport(reason) => LifecycleError::NoExport(reason).into(),
        ImportError::Enabled => LifecycleError::Enabled(org.clone()).into(),
        ImportError::Busy(work) => LifecycleError::Busy { org: org.clone(), work }.into(),
        ImportError::Incomplete => LifecycleError::Incomplete(org.clone()).into(),
    };
    let mut import = Import::new(&stack.store, org, &stack.actor);
    sink.progress.show_now(|| format!("{org}: waiting up to 35 s for requests that began before"));
    let mut lines = Lines::new(source.input);
    while let Some((number, line)) = lines.next().map_err(|cause| unreadable(&source.path, cause))? {
        let refused = match line {
            Line::Text(text) => import.line(number, text).await,
            Line::TooLong => import.refuse(number, TOO_LONG),
        };
        sink.refuse(&refused.map_err(failed)?)?;
        sink.show(import.imported(), lines.bytes());
    }
    let (refused, imported) = import.finish().await.map_err(failed)?;
    sink.refuse(&refused)?;
    Ok(imported)
}

/// Imports users, each a line of JSON.
async fn import_lines(
    stack: &Stack,
    org: &Org,
    source: Source,
    sink: &mut Sink,
) -> Result<Imported, Failure> {
    let mut import = PeopleImport::new(&stack.store, org);
    let mut lines = Lines::new(source.input);
    while let Some((number, line)) = lines.next().map_err(|cause| unreadable(&source.path, cause))? {
        let refused = match line {
            Line::TooLong => import.refuse(number, TOO_LONG.to_owned()),
            Line::Text(text) => match json::parse(text) {
                Ok(Value::Object(user)) => {
                    stack.done(import.body(number, text.len(), &placed(user)).await)?
                }
                Ok(_) => import.refuse(number, "The line is not a JSON object.".to_owned()),
                Err(invalid) => import.refuse(number, invalid.detail),
            },
        };
        sink.refuse(&refused)?;
        sink.show(import.imported(), lines.bytes());
    }
    let (refused, imported) = stack.done(import.finish().await)?;
    sink.refuse(&refused)?;
    Ok(imported)
}

/// Imports users, each a line of a table.
async fn import_table(
    stack: &Stack,
    org: &Org,
    source: Source,
    sink: &mut Sink,
) -> Result<Imported, Failure> {
    let mut import = PeopleImport::new(&stack.store, org);
    let mut reader = csv::ReaderBuilder::new().flexible(true).has_headers(false).from_reader(source.input);
    let mut row = csv::ByteRecord::new();
    let mut header = None;
    let unreadable = |error: csv::Error| unreadable(&source.path, io::Error::other(error));
    while reader.read_byte_record(&mut row).map_err(unreadable)? {
        let Some(header) = &header else {
            header = Some(Header::parse(row.iter()).map_err(LifecycleError::Header)?);
            continue;
        };
        let (number, bytes) = (row.position().map_or(0, csv::Position::line), row.as_slice().len());
        let refused = match Header::body(header, row.iter()) {
            Ok(body) => stack.done(import.body(number, bytes, &body).await)?,
            Err(reason) => import.refuse(number, reason),
        };
        sink.refuse(&refused)?;
        sink.show(import.imported(), reader.position().byte());
    }
    let (refused, imported) = stack.done(import.finish().await)?;
    sink.refuse(&refused)?;
    Ok(imported)
}

impl Source {
    fn open(file: Option<PathBuf>) -> Result<Self, Failure> {
        let Some(path) = file else {
            let input = Box::new(BufReader::new(io::stdin()));
            return Ok(Self { input, path: PathBuf::from("standard input"), size: None });
        };
        let open = || {
            let file = File::open(&path)?;
            let size = file.metadata()?.len();
            Ok((BufReader::with_capacity(64 * 1024, file), size))
        };
        let (input, size) = open().map_err(|cause| unreadable(&path, cause))?;
        Ok(Self { input: Box::new(input), path, size: Some(size) })
    }

    /// Returns the beginning of the input, without a byte order mark, which is skipped.
    fn start(&mut self) -> Result<&[u8], Failure> {
        let failed = |cause| unreadable(&self.path, cause);
        if self.input.fill_buf().map_err(failed)?.starts_with(BYTE_ORDER_MARK) {
            self.input.consume(BYTE_ORDER_MARK.len());
        }
        let start = self.input.fill_buf().map_err(|cause| unreadable(&self.path, cause))?;
        let start = start.trim_ascii_start();
        Ok(&start[..start.len().min(32)])
    }
}

impl Sink {
    fn new(org: &Org, report: Option<PathBuf>, size: Option<u64>) -> Result<Self, Failure> {
        let create = |path: PathBuf| match File::create(&path) {
            Ok(file) => Ok((path, BufWriter::new(file))),
            Err(cause) => Err(LifecycleError::Write { path, cause }),
        };
        let report = report.map(create).transpose()?;
        Ok(Self { org: org.clone(), report, progress: Progress::new(), size })
    }

    /// Reports refused lines: as JSON lines in the report, or as text on standard error.
    fn refuse(&mut self, refused: &[Refused]) -> Result<(), Failure> {
        for line in refused {
            if let Some((path, out)) = &mut self.report {
                let written = serde_json::to_writer(&mut *out, line).map_err(io::Error::from);
                written
                    .and_then(|()| out.write_all(b"\n"))
                    .map_err(|cause| LifecycleError::Write { path: path.clone(), cause })?;
            } else {
                self.progress.clear();
                let _ = writeln!(io::stderr(), "line {}: {}", line.line, line.reason);
            }
        }
        Ok(())
    }

    fn show(&mut self, imported: Imported, bytes: u64) {
        let Self { org, size, .. } = self;
        self.progress.show(|| {
            let share = size.filter(|size| *size > 0).map(|size| format!("{} %, ", bytes * 100 / size));
            let Imported { written, skipped, refused } = imported;
            format!(
                "{org}: {}{written} written, {skipped} there already, {refused} refused",
                share.unwrap_or_default()
            )
        });
    }

    fn finish(self) -> Result<(), Failure> {
        if let Some((path, mut out)) = self.report {
            out.flush().map_err(|cause| LifecycleError::Write { path, cause })?;
        }
        Ok(())
    }
}

fn unreadable(path: &Path, cause: io::Error) -> Failure {
    LifecycleError::Read { path: path.to_owned(), cause }.into()
}
