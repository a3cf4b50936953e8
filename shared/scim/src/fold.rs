//! The one fold: how text compares wherever case does not matter (RFC 7643 §2.2 `caseExact`).
//!
//! Index entries, filters, sorting and the check for uniqueness all use [`fold`], so that they cannot disagree about
//! who is the same. It is NFKC of the full case folding of NFKD, in the manner of Unicode's caseless matching (D146): of
//! whole strings, never `to_lowercase`, which depends on context (Σ) and leaves ß, ſ and K (kelvin) apart.
//! Folding twice changes nothing more. Values are stored and shown as sent; only comparisons fold.
//!
//! Absent on purpose: language rules (the Turkish i) and look-alikes of other scripts.

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

/// The form of a text in which equal means the same but for case, width and composition.
#[must_use]
pub fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    #[cfg(test)]
    tests::FOLDED.set(tests::FOLDED.get() + 1);
    // Decomposed first: what folds is hidden in compatibility characters (℡ has capitals) and in composed ones (the
    // iota subscript becomes a letter), and how the text was composed must not matter.
    NFKC.normalize(&CASE.fold_string(&NFKD.normalize(text))).into_owned()
}

/// What has been folded already. A request may compare one text a thousand times, and folding costs a hundred times
/// what comparing does.
#[derive(Debug, Default)]
pub(crate) struct FoldCache(HashMap<String, String>);

impl FoldCache {
    /// [`fold`], once for each text.
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

/// The first character that has no place in a name people sign in with, and its position in characters from 0: all that
/// [`find_forbidden_in_display_name`] finds, and whatever else is not seen (the zero-width joiner, variation selectors, fillers).
#[must_use]
pub fn find_forbidden_in_user_name(text: &str) -> Option<(usize, char)> {
    let ignorable = CodePointSetData::new::<DefaultIgnorableCodePoint>();
    text.chars().enumerate().find(|(_, c)| is_invisible(*c) || ignorable.contains(*c))
}

/// The first character that has no place in a name people tell apart by eye: control, format (which takes in the
/// bidirectional marks), line and paragraph separators. Not what emoji are joined with.
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
        /// How many texts this thread has folded that are more than ASCII.
        pub(super) static FOLDED: Cell<usize> = const { Cell::new(0) };
    }

    /// How many texts beyond ASCII that folds.
    pub(crate) fn folded_by<R>(run: impl FnOnce() -> R) -> (usize, R) {
        let before = FOLDED.get();
        let result = run();
        (FOLDED.get() - before, result)
    }

    #[test]
    fn text_that_means_the_same_folds_to_the_same() {
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
    fn what_differs_stays_apart() {
        for (a, b) in [("ı", "i"), ("İ", "i"), ("е", "e"), ("a", "á")] {
            assert_ne!(fold(a), fold(b), "{a} {b}");
        }
    }

    #[test]
    fn folding_any_one_character_twice_changes_nothing_more() {
        for c in (0..=0x3_ffff).filter_map(char::from_u32) {
            let once = fold(&c.to_string());
            assert_eq!(fold(&once), once, "U+{:04X}", u32::from(c));
        }
    }

    #[test]
    fn invisible_characters_are_found_with_their_position() {
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

    /// Characters that fold, decompose, compose or reorder, close together.
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
        fn folding_twice_changes_nothing_more(text in awkward()) {
            let once = fold(&text);
            prop_assert_eq!(fold(&once), once);
        }

        #[test]
        fn neither_case_nor_composition_matters(text in awkward()) {
            let composed = NFKC.normalize(&text);
            prop_assert_eq!(fold(&composed), fold(&text));
            let decomposed = NFKD.normalize(&text);
            prop_assert_eq!(fold(&decomposed), fold(&text));
            prop_assert_eq!(fold(&CASE.fold_string(&decomposed)), fold(&text));
        }
    }
}
