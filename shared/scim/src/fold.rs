//! Comparison: how text compares unless an attribute is caseExact (RFC 7643 §2.2), and the characters of names.
//!
//! Index entries, filters, sorting and the uniqueness check all use [`fold`], so they always agree on which texts are
//! equal. The fold is `NFKC_Casefold`, as in Unicode's caseless matching of identifiers (D147): NFKC of the full case
//! folding of NFKD, without default-ignorable code points. Blanks at both ends are then removed, and each sequence of
//! blanks becomes one. The fold works on whole strings. `to_lowercase` would not do: its result depends on context (Σ),
//! and it keeps ß and ſ apart from ss and s. Folding twice gives the same result as folding once. Values are stored and
//! shown as sent.
//!
//! The fold does not handle rules of single languages (the Turkish i) or look-alikes of other scripts.

use std::borrow::Cow;
use std::collections::HashMap;

use icu_casemap::{CaseMapper, CaseMapperBorrowed};
use icu_normalizer::{
    ComposingNormalizer, ComposingNormalizerBorrowed, DecomposingNormalizer, DecomposingNormalizerBorrowed,
};
use icu_properties::props::{DefaultIgnorableCodePoint, GeneralCategory};
use icu_properties::{CodePointMapData, CodePointSetData};

const CASE: CaseMapperBorrowed<'static> = CaseMapper::new();
const NFKD: DecomposingNormalizerBorrowed<'static> = DecomposingNormalizer::new_nfkd();
const NFKC: ComposingNormalizerBorrowed<'static> = ComposingNormalizer::new_nfkc();

/// Characters that are drawn as a blank, although Unicode does not class them as white space: the empty Braille
/// pattern, the filler of Khitan, and the empty note head.
const BLANK_SYMBOLS: [char; 3] = ['\u{2800}', '\u{16FE4}', '\u{1D159}'];

/// Returns the folded form of a text. Texts that differ only in case, width, composition, invisible characters or
/// blanks have the same form. A text that consists of blanks and invisible characters folds to one blank, because
/// index entries cannot be empty.
///
/// # Examples
/// ```
/// use scim::fold::fold;
///
/// assert_eq!(fold("STRASSE"), fold("Straße"));
/// assert_eq!(fold(" Site  Admins\u{3164}"), fold("site admins"));
/// assert_ne!(fold("jose"), fold("José"));
/// ```
#[must_use]
pub fn fold(text: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
    if text.is_ascii() {
        return without_extra_blanks(text.to_ascii_lowercase());
    }
    #[cfg(test)]
    tests::FOLDED.set(tests::FOLDED.get() + 1);
    let folded: String = case_folded(text).chars().filter(|c| !is_ignorable(*c)).collect();
    without_extra_blanks(NFKC.normalize(&folded).into_owned())
}

/// Returns the folded form by which releases up to 0.2 compared texts and made index entries. It keeps extra blanks and
/// ignorable characters.
#[must_use]
pub fn fold_of_0_2(text: &str) -> String {
    if text.is_ascii() { text.to_ascii_lowercase() } else { NFKC.normalize(&case_folded(text)).into_owned() }
}

/// Folds the beginning of a text: at most so many bytes, without those that [`fold`] removes.
pub(crate) fn fold_beginning(text: &str, bytes: usize) -> String {
    let (mut counted, mut after_blank) = (0, true);
    for (at, c) in text.char_indices().filter(|(_, c)| !is_ignorable(*c)) {
        let is_blank = is_blank(c);
        counted += if is_blank && after_blank { 0 } else { c.len_utf8() };
        after_blank = is_blank;
        if counted > bytes {
            return fold(&text[..at]);
        }
    }
    fold(text)
}

/// Returns the full case folding of NFKD. Decomposition comes first, because compatibility characters (℡) and composed
/// characters (the iota subscript) hide characters that fold, and the result must not depend on how the text was
/// composed.
fn case_folded(text: &str) -> Cow<'_, str> {
    match NFKD.normalize(text) {
        Cow::Borrowed(text) => CASE.fold_string(text),
        Cow::Owned(text) => CASE.fold_string(&text).into_owned().into(),
    }
}

const BLANK: &str = " ";

fn without_extra_blanks(text: String) -> String {
    let is_extra = |c| c != ' ' && is_blank(c);
    let has_extra = text.starts_with(BLANK) || text.ends_with(BLANK) || text.contains("  ");
    if !text.is_empty() && !has_extra && !text.contains(is_extra) {
        return text;
    }
    let words: Vec<_> = text.split(is_blank).filter(|word| !word.is_empty()).collect();
    if words.is_empty() { BLANK.to_owned() } else { words.join(BLANK) }
}

/// Returns whether a text has no visible character.
pub(crate) fn is_blank_text(text: &str) -> bool {
    text.chars().all(|c| is_blank(c) || is_ignorable(c))
}

fn is_blank(c: char) -> bool {
    c.is_whitespace() || BLANK_SYMBOLS.contains(&c)
}

fn is_ignorable(c: char) -> bool {
    !c.is_ascii() && CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
}

/// A cache of folded texts. A request may compare one text a thousand times, and folding costs a hundred times as
/// much as comparing.
#[derive(Debug, Default)]
pub(crate) struct FoldCache(HashMap<String, String>);

impl FoldCache {
    /// Folds a text, or returns the cached result.
    pub(crate) fn fold(&mut self, text: &str) -> Cow<'_, str> {
        if text.is_ascii() {
            return fold(text).into();
        }
        if !self.0.contains_key(text) {
            self.0.insert(text.to_owned(), fold(text));
        }
        Cow::Borrowed(&self.0[text])
    }
}

/// Finds the first character that is not allowed in a `userName`, and its position in characters from 0.
///
/// These are the characters that [`find_forbidden_in_display_name`] finds, and the default-ignorable characters: the
/// zero-width joiners, variation selectors and fillers.
#[must_use]
pub fn find_forbidden_in_user_name(text: &str) -> Option<(usize, char)> {
    text.chars().enumerate().find(|(_, c)| is_invisible(*c) || is_unassigned(*c) || is_ignorable(*c))
}

/// Finds the first character that is not allowed in the name of a group, and its position in characters from 0.
///
/// These are control characters, format characters (including bidirectional marks), line and paragraph separators,
/// and unassigned code points. The zero-width joiner and non-joiner are allowed, because emoji, Persian and the
/// languages of India use them. Other invisible characters are allowed, because the fold removes them.
#[must_use]
pub fn find_forbidden_in_display_name(text: &str) -> Option<(usize, char)> {
    let is_joiner = |c| matches!(c, '\u{200C}' | '\u{200D}');
    text.chars().enumerate().find(|(_, c)| is_invisible(*c) && !is_joiner(*c) || is_unassigned(*c))
}

/// Finds the first character that is not allowed in an e-mail address, and its position in characters from 0: control
/// characters, and unassigned code points.
#[must_use]
pub fn find_forbidden_in_email(text: &str) -> Option<(usize, char)> {
    text.chars().enumerate().find(|(_, c)| c.is_control() || is_unassigned(*c))
}

fn is_invisible(c: char) -> bool {
    matches!(
        category(c),
        GeneralCategory::Control
            | GeneralCategory::Format
            | GeneralCategory::LineSeparator
            | GeneralCategory::ParagraphSeparator
    )
}

/// Returns whether Unicode has not assigned a code point. A later release of Unicode may define how it folds. The index
/// entries of a text with such a code point would then no longer be found.
pub(crate) fn is_unassigned(c: char) -> bool {
    category(c) == GeneralCategory::Unassigned
}

fn category(c: char) -> GeneralCategory {
    CodePointMapData::<GeneralCategory>::new().get(c)
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use std::cell::Cell;

    use super::*;

    thread_local! {
        /// The number of texts other than ASCII that this thread has folded.
        pub(super) static FOLDED: Cell<usize> = const { Cell::new(0) };
    }

    /// Returns how many texts other than ASCII a closure folds.
    pub(crate) fn folded_by<R>(run: impl FnOnce() -> R) -> (usize, R) {
        let before = FOLDED.get();
        let result = run();
        (FOLDED.get() - before, result)
    }

    #[test]
    fn equivalent_texts_fold_to_the_same_text() {
        for (text, folded) in [
            ("Babs.Jensen@Example.COM", "babs.jensen@example.com"),
            ("İ", "i\u{307}"),
            ("Straße", "strasse"),
            ("STRAẞE", "strasse"),
            ("STRASSE", "strasse"),
            ("\u{212a}elvin", "kelvin"),
            ("me\u{17f}\u{17f}age", "message"),
            ("ﬁnn", "finn"),
            ("ＡＤＭＩＮ", "admin"),
            ("ΣΑΣ", "σασ"),
            ("σας", "σασ"),
            ("Jos\u{e9}", "jos\u{e9}"),
            ("Jose\u{301}", "jos\u{e9}"),
            ("℡", "tel"),
            ("ᾳ", "αι"),
            ("  Bob\t", "bob"),
            ("Site\u{a0}\u{3000} Admins", "site admins"),
            ("Ad\u{200d}mins\u{fe0f}\u{3164}\u{34f}", "admins"),
            ("a\u{2800}b\u{1680}", "a b"),
            ("e\u{34f}\u{301}", "\u{e9}"),
            ("\u{115f}\u{ffa0}", " "),
            ("\u{2800} ", " "),
            ("", ""),
        ] {
            assert_eq!(fold(text), folded, "{text}");
        }
    }

    #[test]
    fn different_letters_fold_to_different_texts() {
        for (a, b) in [("ı", "i"), ("İ", "i"), ("е", "e"), ("a", "á")] {
            assert_ne!(fold(a), fold(b), "{a} {b}");
        }
    }

    /// Returns every character, except ideographs and those for private use beyond the first planes. Only the
    /// compatibility ideographs among them fold to others.
    fn every_character() -> impl Iterator<Item = char> {
        (0..=0x1_ffff).chain(0x2_f800..=0x2_fa1f).chain(0xe_0000..=0xe_0fff).filter_map(char::from_u32)
    }

    #[test]
    fn fold_of_every_character_is_idempotent() {
        for c in every_character() {
            let once = fold(&c.to_string());
            assert_eq!(fold(&once), once, "U+{:04X}", u32::from(c));
            assert!(!once.is_empty(), "U+{:04X}", u32::from(c));
        }
    }

    /// Every invisible character and every blank, at each place of a name.
    #[test]
    fn invisible_characters_and_extra_blanks_make_no_other_name() {
        let ignorable = CodePointSetData::new::<DefaultIgnorableCodePoint>();
        for c in every_character() {
            let at_the_ends = [format!("{c}Admins"), format!("Admins{c}"), format!(" {c} Admins {c}")];
            let alike = if ignorable.contains(c) {
                let inside = [format!("Ad{c}mins"), format!("A{c}{c}dmins")];
                at_the_ends.into_iter().chain(inside).collect()
            } else if c.is_whitespace() || matches!(c, '\u{2800}' | '\u{16fe4}' | '\u{1d159}') {
                assert_eq!(fold(&format!("site{c}{c} admins")), "site admins", "U+{:04X}", u32::from(c));
                at_the_ends.to_vec()
            } else {
                continue;
            };
            for name in alike {
                assert_eq!(fold(&name), "admins", "U+{:04X} {name:?}", u32::from(c));
            }
        }
    }

    #[test]
    fn fold_keeps_what_it_did_before_except_blanks_and_ignorable_characters() {
        for c in every_character() {
            let (text, code) = (format!("a{c}b"), u32::from(c));
            let before = fold_of_0_2(&text);
            let unchanged = before == fold(&text);
            let changes = is_ignorable(c) || before.contains(|c| c != ' ' && is_blank(c));
            assert!(unchanged || changes, "U+{code:04X}: {before:?}");
            assert_eq!(fold(&before), fold(&text), "U+{code:04X}");
        }
    }

    #[test]
    fn invisible_characters_are_found_with_position() {
        for (text, found) in [
            ("Zoë O'Neil-42 李", None),
            ("a\u{0}", Some((1, '\u{0}'))),
            ("é\u{200b}", Some((1, '\u{200b}'))),
            ("ab\u{202e}c", Some((2, '\u{202e}'))),
            ("\u{feff}a", Some((0, '\u{feff}'))),
            ("a\u{2028}", Some((1, '\u{2028}'))),
            ("a\u{2029}", Some((1, '\u{2029}'))),
            ("a\u{85}", Some((1, '\u{85}'))),
            ("a\u{fe0f}", Some((1, '\u{fe0f}'))),
            ("a\u{378}", Some((1, '\u{378}'))),
            ("a\u{ffff}", Some((1, '\u{ffff}'))),
            ("a\u{e000}\u{a0}", None),
        ] {
            assert_eq!(find_forbidden_in_user_name(text), found, "{text:?}");
        }
    }

    #[test]
    fn display_names_of_persian_hindi_and_emoji_are_allowed() {
        for text in
            ["می\u{200c}خواهم", "क्\u{200d}ष", "\u{1f469}\u{200d}\u{1f4bb} \u{2764}\u{fe0f}", "a\u{3164}"]
        {
            assert_eq!(find_forbidden_in_display_name(text), None, "{text:?}");
        }
        for text in ["a\u{200b}", "a\u{202e}", "a\u{feff}", "a\u{e0041}", "a\u{378}", "a\u{10ffff}"] {
            assert!(find_forbidden_in_display_name(text).is_some(), "{text:?}");
        }
    }

    /// Generates text of characters that fold, decompose, compose or reorder.
    pub(crate) fn awkward() -> impl Strategy<Value = String> {
        let c = prop_oneof![
            any::<char>(),
            prop::char::range('\u{300}', '\u{345}'),
            prop::char::range('\u{370}', '\u{3ff}'),
            prop::char::range('\u{1e00}', '\u{1fff}'),
            prop::char::range('\u{1100}', '\u{11ff}'),
            prop::char::range('\u{fb00}', '\u{ffef}'),
            prop::char::range('A', 'z'),
            prop::char::range('\u{2000}', '\u{2010}'),
            prop::sample::select(vec![' ', '\t', '\u{a0}', '\u{34f}', '\u{2800}', '\u{3164}', '\u{fe0f}']),
        ];
        prop::collection::vec(c, 0..12).prop_map(String::from_iter)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn fold_is_idempotent(text in awkward()) {
            let once = fold(&text);
            prop_assert_eq!(fold(&once), once);
        }

        #[test]
        fn fold_ignores_case_and_composition(text in awkward()) {
            let composed = NFKC.normalize(&text);
            prop_assert_eq!(fold(&composed), fold(&text));
            let decomposed = NFKD.normalize(&text);
            prop_assert_eq!(fold(&decomposed), fold(&text));
            prop_assert_eq!(fold(&CASE.fold_string(&decomposed)), fold(&text));
            prop_assert_eq!(fold(&fold_of_0_2(&text)), fold(&text));
        }
    }
}
