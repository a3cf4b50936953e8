//! The outcome of each line of an import.

/// A line that an import refuses.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Refused {
    /// The number of the line, counted from 1.
    pub line: u64,
    /// Why the line is refused, without values of the line.
    pub reason: String,
}

/// The number of lines by their outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Imported {
    /// The lines that were written.
    pub written: u64,
    /// The lines that were there already.
    pub skipped: u64,
    /// The lines that were refused.
    pub refused: u64,
}

/// The outcome of one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    Written,
    Skipped,
    Refused(String),
}

/// The outcomes of lines, by their numbers.
pub(super) type Outcomes = Vec<(u64, Outcome)>;

impl Imported {
    /// Counts outcomes. Returns the refused lines, sorted.
    pub(super) fn count(&mut self, mut outcomes: Outcomes) -> Vec<Refused> {
        outcomes.sort_unstable_by_key(|(line, _)| *line);
        let mut refused = Vec::new();
        for (line, outcome) in outcomes {
            match outcome {
                Outcome::Written => self.written += 1,
                Outcome::Skipped => self.skipped += 1,
                Outcome::Refused(reason) => {
                    self.refused += 1;
                    refused.push(Refused { line, reason });
                }
            }
        }
        refused
    }
}
