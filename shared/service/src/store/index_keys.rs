//! Sort keys of index entries: the value, or value, separator and id.

use scim::id::Id;

/// Separates a value that is not unique from the id of its resource. Indexed values contain no control characters, so
/// the separator sorts before every character that a longer value continues with: entries sort by value, then by id.
const SEPARATOR: char = '\u{1}';
/// The character after [`SEPARATOR`]: the open end of the range of one value's entries.
const PAST_SEPARATOR: char = '\u{2}';

/// Returns the sort key of an index entry.
pub(super) fn index_entry(value: &str, unique: bool, id: &Id) -> String {
    if unique { value.to_owned() } else { format!("{value}{SEPARATOR}{id}") }
}

/// Returns the range of sort keys of the entries of exactly this value, both ends included.
pub(super) fn index_range(value: &str) -> (String, String) {
    (value.to_owned(), past_entries(value))
}

/// Returns a sort key after every entry of this value, and before the entries of every larger value.
pub(super) fn past_entries(value: &str) -> String {
    format!("{value}{PAST_SEPARATOR}")
}

/// Returns a sort key after every entry of the values with this prefix: filled up with the largest character.
pub(super) fn past_prefix(prefix: &str) -> String {
    let room = MAX_KEY.saturating_sub(prefix.len()) / MAX.len_utf8();
    prefix.chars().chain(std::iter::repeat_n(MAX, room)).collect()
}

/// A sort key before every entry of an index.
pub(super) const LOWEST: &str = "\u{2}";
/// The length of the longest sort key that DynamoDB accepts, in bytes.
pub(super) const MAX_KEY: usize = 1_024;
/// The largest character.
const MAX: char = '\u{10FFFF}';
