//! The lines of a file, with bounded memory.

use std::io::{self, BufRead, Read};

/// The longest line in bytes: that of a user in a request, with room for the rest of a record.
const MAX_LINE: u64 = 1024 * 1024 + 4 * 1024;

/// A line of a file.
pub(crate) enum Line<'a> {
    Text(&'a [u8]),
    /// The line is longer than 1 MB.
    TooLong,
}

/// A reader of lines.
pub(crate) struct Lines<R> {
    input: R,
    line: Vec<u8>,
    number: u64,
    bytes: u64,
}

impl<R: BufRead> Lines<R> {
    pub(crate) fn new(input: R) -> Self {
        Self { input, line: Vec::new(), number: 0, bytes: 0 }
    }

    /// Returns the number of bytes that were read.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Reads the next line that is not blank. Returns it with its number, counted from 1.
    pub(crate) fn next(&mut self) -> io::Result<Option<(u64, Line<'_>)>> {
        loop {
            self.line.clear();
            let read = self.input.by_ref().take(MAX_LINE).read_until(b'\n', &mut self.line)?;
            if read == 0 {
                return Ok(None);
            }
            self.number += 1;
            self.bytes += read as u64;
            if read as u64 == MAX_LINE && !self.line.ends_with(b"\n") {
                self.skip()?;
                return Ok(Some((self.number, Line::TooLong)));
            }
            if !self.line.trim_ascii().is_empty() {
                break;
            }
        }
        Ok(Some((self.number, Line::Text(self.line.trim_ascii()))))
    }

    /// Skips the rest of a line.
    fn skip(&mut self) -> io::Result<()> {
        loop {
            let buffer = self.input.fill_buf()?;
            let end = buffer.iter().position(|byte| *byte == b'\n');
            let used = end.map_or(buffer.len(), |end| end + 1);
            let is_done = end.is_some() || buffer.is_empty();
            self.input.consume(used);
            self.bytes += used as u64;
            if is_done {
                return Ok(());
            }
        }
    }
}
