//! The texts that owners of organisations read, in each language.
//!
//! A language is a file with one [`Texts`]. A text that is missing in a language does not compile. A text may have
//! placeholders such as `{name}`, which [`fill`] replaces.
//!
//! ```
//! use texts::{Language, fill};
//!
//! assert_eq!(fill("{who} created {name}.", &[("who", "Okta"), ("name", "ada")]), "Okta created ada.");
//! assert_eq!(Language::En.texts().common.language_name, "English");
//! ```

mod de;
mod en;

/// A language.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Language {
    /// English.
    #[default]
    En,
    /// German.
    De,
}

impl Language {
    /// Every language.
    pub const ALL: [Self; 2] = [Self::En, Self::De];

    /// Returns the language tag (RFC 5646).
    #[must_use]
    pub const fn tag(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::De => "de",
        }
    }

    /// Returns the language of that tag.
    #[must_use]
    pub fn parse(tag: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|language| language.tag() == tag)
    }

    /// Returns the first known language of an `Accept-Language` header, in the order of the header, or English.
    #[must_use]
    pub fn accepted(header: &str) -> Self {
        let mut tags = header.split(',').filter_map(|range| range.split([';', '-']).next());
        tags.find_map(|tag| Self::parse(&tag.trim().to_ascii_lowercase())).unwrap_or_default()
    }

    /// Returns the texts.
    #[must_use]
    pub const fn texts(self) -> &'static Texts {
        match self {
            Self::En => &en::TEXTS,
            Self::De => &de::TEXTS,
        }
    }
}

/// Replaces each `{name}` of the text by its value. A placeholder without a value stays.
#[must_use]
pub fn fill(text: &str, values: &[(&str, &str)]) -> String {
    let mut filled = String::with_capacity(text.len() + 32);
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let value = after.split_once('}').and_then(|(name, after)| {
            values.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value, after))
        });
        let (value, after) = value.unwrap_or(("{", after));
        filled.push_str(value);
        rest = after;
    }
    filled.push_str(rest);
    filled
}

/// Defines a struct of texts, and a method that lists them.
macro_rules! area {
    ($(#[$doc:meta])* $name:ident { $($field:ident),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug)]
        #[allow(missing_docs, reason = "the English text says what the text is for")]
        pub struct $name { $(pub $field: &'static str),* }

        impl $name {
            /// Returns the name and the text of each member.
            #[must_use]
            pub fn entries(&self) -> Vec<(&'static str, &'static str)> {
                vec![$((stringify!($field), self.$field)),*]
            }
        }
    };
}

area! {
    /// Texts of all pages.
    Common {
        language_name, language_choice, change_language, skip, navigation,
        nav_overview, nav_connection, nav_keys, nav_people, nav_teams, nav_activity,
        leave, back_to_product, viewer_hint, time_zone_hint,
        okta, entra, other_client,
        copy, copied, close, cancel, next_page, first_page, more, search, all, yes, no, none, never, now,
    }
}

area! {
    /// Texts of refusals and errors.
    Errors {
        title, link_title, link_detail, session_title, session_detail, org_title, org_detail,
        csrf_title, csrf_detail, role_title, role_detail, not_found_title, not_found_detail,
        form_title, form_detail, conflict_title, conflict_detail, unavailable_title, unavailable_detail,
        internal_title, internal_detail, back,
    }
}

area! {
    /// Texts of the overview.
    Overview {
        title,
    }
}

area! {
    /// Texts of the connection pages.
    Connection {
        title,
    }
}

area! {
    /// Texts of the page of keys and clients.
    Keys {
        title,
    }
}

area! {
    /// Texts of the pages of people and teams.
    Directory {
        people_title, teams_title,
    }
}

area! {
    /// Texts of the activity pages.
    Activity {
        title,
    }
}

area! {
    /// Sentences about the requests of the request log.
    Sentences {
        unknown_person,
    }
}

/// The texts of a language.
#[derive(Debug)]
pub struct Texts {
    /// Texts of all pages.
    pub common: Common,
    /// Texts of refusals and errors.
    pub errors: Errors,
    /// Texts of the overview.
    pub overview: Overview,
    /// Texts of the connection pages.
    pub connection: Connection,
    /// Texts of the page of keys and clients.
    pub keys: Keys,
    /// Texts of the pages of people and teams.
    pub directory: Directory,
    /// Texts of the activity pages.
    pub activity: Activity,
    /// Sentences about the requests of the request log.
    pub sentences: Sentences,
}

impl Texts {
    /// Returns the name and the text of each member.
    #[must_use]
    pub fn entries(&self) -> Vec<(&'static str, &'static str)> {
        [
            self.common.entries(),
            self.errors.entries(),
            self.overview.entries(),
            self.connection.entries(),
            self.keys.entries(),
            self.directory.entries(),
            self.activity.entries(),
            self.sentences.entries(),
        ]
        .concat()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Returns the placeholders of a text.
    fn placeholders(text: &str) -> BTreeSet<&str> {
        text.split('{').skip(1).filter_map(|rest| rest.split_once('}').map(|(name, _)| name)).collect()
    }

    #[test]
    fn languages_have_the_same_placeholders() {
        for language in Language::ALL {
            let texts = language.texts().entries();
            for ((name, english), (_, text)) in Language::En.texts().entries().into_iter().zip(texts) {
                assert!(!text.trim().is_empty(), "{name} in {language:?}");
                assert_eq!(placeholders(text), placeholders(english), "{name} in {language:?}");
            }
        }
    }

    #[test]
    fn fill_replaces_known_placeholders_once() {
        assert_eq!(fill("{a}{b} {c}", &[("a", "{b}"), ("b", "2")]), "{b}2 {c}");
        assert_eq!(fill("no { end", &[]), "no { end");
    }

    #[test]
    fn first_known_language_of_the_header_wins() {
        for (header, language) in [
            ("de-CH, en;q=0.8", Language::De),
            ("fr, de;q=0.5", Language::De),
            ("EN-us", Language::En),
            ("fr", Language::En),
            ("", Language::En),
        ] {
            assert_eq!(Language::accepted(header), language, "{header}");
        }
    }
}
