//! Caseless comparison: how text compares unless an attribute is caseExact (RFC 7643 §2.2).
//!
//! Index entries, filters, sorting and the uniqueness check all use [`fold`], so they always agree on which texts are
//! equal. The fold is NFKC of the full case folding of NFKD, as in Unicode's caseless matching (D146). It works on
//! whole strings. `to_lowercase` would not do: its result depends on context (Σ), and it keeps ß and ſ apart from ss
//! and s. Folding twice gives the same result as folding once. Values are stored and shown as sent.
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

/// Returns the folded form of a text. Texts that differ only in case, width or composition have the same form.
///
/// # Examples
/// ```
/// use scim::fold::fold;
///
/// assert_eq!(fold("STRASSE"), fold("Straße"));
/// assert_ne!(fold("jose"), fold("José"));
/// ```
#[must_use]
pub fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    #[cfg(test)]
    tests::FOLDED.set(tests::FOLDED.get() + 1);
    // Decomposition comes first. Compatibility characters (℡) and composed characters (the iota subscript) hide
    // characters that fold, and the result must not depend on how the text was composed.
    NFKC.normalize(&CASE.fold_string(&NFKD.normalize(text))).into_owned()
}

/// A cache of folded texts. A request may compare one text a thousand times, and folding costs a hundred times as
/// much as comparing.
#[derive(Debug, Default)]
pub(crate) struct FoldCache(HashMap<String, String>);

impl FoldCache {
    /// Folds a text, or returns the cached result.
    pub(crate) fn fold(&mut self, text: &str) -> Cow<'_, str> {
        if text.is_ascii() {
            return text.to_ascii_lowercase().into();
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
/// zero-width joiner, variation selectors and fillers.
#[must_use]
pub fn find_forbidden_in_user_name(text: &str) -> Option<(usize, char)> {
    let ignorable = CodePointSetData::new::<DefaultIgnorableCodePoint>();
    text.chars().enumerate().find(|(_, c)| is_invisible(*c) || ignorable.contains(*c))
}

/// Finds the first character that is not allowed in the name of a group, and its position in characters from 0.
///
/// These are control characters, format characters (including bidirectional marks), and line and paragraph
/// separators. The zero-width joiner is allowed, because emoji use it.
#[must_use]
pub fn find_forbidden_in_display_name(text: &str) -> Option<(usize, char)> {
    text.chars().enumerate().find(|(_, c)| is_invisible(*c) && *c != ZERO_WIDTH_JOINER)
}

const ZERO_WIDTH_JOINER: char = '\u{200D}';

fn is_invisible(c: char) -> bool {
    matches!(
        CodePointMapData::<GeneralCategory>::new().get(c),
        GeneralCategory::Control
            | GeneralCategory::Format
            | GeneralCategory::LineSeparator
            | GeneralCategory::ParagraphSeparator
    )
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

    #[test]
    fn fold_of_every_character_is_idempotent() {
        for c in (0..=0x3_ffff).filter_map(char::from_u32) {
            let once = fold(&c.to_string());
            assert_eq!(fold(&once), once, "U+{:04X}", u32::from(c));
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
            ("a\u{e000}\u{a0}", None),
        ] {
            assert_eq!(find_forbidden_in_user_name(text), found, "{text:?}");
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
        }
    }
}
