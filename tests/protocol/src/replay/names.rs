//! Numbers for the texts of recorded calls.

use std::collections::BTreeMap;

/// Numbers for texts. The same text has the same number.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    texts: BTreeMap<String, u16>,
}

impl Names {
    /// Returns the number of a text.
    pub(super) fn number(&mut self, text: &str) -> u16 {
        if let Some(number) = self.texts.get(text) {
            return *number;
        }
        let number = u16::try_from(self.texts.len()).unwrap_or(u16::MAX);
        self.texts.insert(text.to_owned(), number);
        number
    }
}
