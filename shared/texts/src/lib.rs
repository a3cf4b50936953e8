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
mod sentence;

pub use sentence::{Event, Named, visible};

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
        copy, copied, cancel, next_page, first_page, search, all, none, never,
    }
}

area! {
    /// Texts of refusals and errors.
    Errors {
        title, link_title, link_detail, session_title, session_detail, ended_title, ended_detail,
        switch_title, switch_detail, switch_button,
        csrf_title, csrf_detail, role_title, role_detail, not_found_title, not_found_detail,
        form_title, form_detail, conflict_title, conflict_detail, unavailable_title, unavailable_detail,
        internal_title, internal_detail, back,
    }
}

area! {
    /// Texts of the overview.
    Overview {
        title, health, in_step, failing, silent, never, off, in_step_detail, entra_cycle, okta_events,
        next_due, last_request, credential_refused, not_permitted, newest_failed, most_failed,
        cycles_missed, quarantine, off_detail, never_detail, connect, see_activity, people, teams, requests,
        errors, attention, no_key, key_ends, secret_ends, rotate_hint, secret_hint, chart_requests,
        chart_requests_text, chart_people, chart_people_text, chart_requests_empty, chart_people_empty,
        legend_requests, legend_errors, as_table, hour, column_requests, column_errors, column_active,
        key_ended, client_without_secret,
    }
}

area! {
    /// Texts of the connection pages.
    Connection {
        title, intro, scim, scim_on, scim_off, scim_on_detail, scim_off_detail, turn_on, turn_off,
        off_title, off_review_requests, off_review_data, off_review_entra, already_off, done_on, done_off,
        busy, choose, choose_okta, choose_okta_detail, choose_entra, choose_entra_detail, other_detail,
        other_title, create_key_link, base_url, state, last_request, no_request, credentials,
        credentials_count, wizard_off, okta_title, entra_title, okta_open, okta_open_own, okta_open_test,
        okta_values, okta_values_detail, okta_values_test, okta_actions, okta_mode, okta_key,
        okta_key_detail, okta_test,
        okta_test_detail, okta_people, okta_people_detail, create_key, create_key_again, key, key_exists,
        key_exists_hint, shown_once, client_exists, secret_exists, secret_exists_hint, entra_open, entra_open_detail, entra_url, entra_url_detail,
        entra_choose, entra_choose_detail, way_federation, recommended, way_federation_detail,
        way_federation_open, tenant, tenant_hint, tenant_fault, subject, subject_hint, audience,
        audience_hint, identifier_fault, create_federation, federation_done, way_secret, way_secret_detail,
        create_secret, secret_done, way_key, way_key_detail, key_done, other_way, client_identifier,
        client_secret, token_endpoint, tenant_url, secret_token, okta_base_url, okta_unique, okta_token,
        entra_test, entra_test_detail, entra_people, entra_people_detail, too_many_clients, verify,
        verify_wait, verify_person, verify_done, verify_now, verify_now_hint, verify_slow, slow_test,
        slow_url, slow_key, slow_network, see_people, wrong_url,     }
}

area! {
    /// Texts of the page of keys and clients.
    Keys {
        title, intro, keys, clients, no_keys, no_clients, create_key, create_client, label, label_hint,
        scopes, scim, scim_hint, read, read_hint, write, write_hint, expiry, expiry_none, expiry_90,
        expiry_365, expiry_date, date, date_hint, faults, label_fault, scopes_fault, expiry_fault,
        date_fault, date_key_fault, date_secret_fault, days_fault, no_label, text, created, ends,
        never_ends, used, never_used, used_by, live, soon, ended, revoked, revoked_at, old_keys, rotate,
        revoke, complete, cancel_rotation, rotation, rotation_unused, rotation_used, rotation_old_used,
        rotation_old_unused, old_key, new_key, rotate_title, rotate_review, days, days_hint, complete_title,
        complete_review, complete_unused, cancel_title, cancel_review, cancel_used, revoke_title,
        revoke_review, revoke_used, revoke_unused, stale, stale_rotation, stale_client, full_client,
        full_clients, repeated, done_revoked, done_completed, done_cancelled, done_deleted, done_ended,
        shown_key, shown_secret, shown_once, shown_rotation, key, client_id, client_secret, token_url,
        back_to_keys, issuer, audience, subject, tenant, secrets, no_secrets, secret_name, add_secret,
        end_secret, delete, add_title, add_review, end_title, end_review, delete_title, delete_review,
        rotation_runs,
    }
}

area! {
    /// Texts of the pages of people and teams.
    Directory {
        people_title, teams_title, search_people, search_people_hint, search_teams, search_teams_hint,
        shown, shown_of, shown_more, name, state, managed, active, inactive, managed_provider,
        not_managed, managed_detail, unmanaged_detail, no_people_title, no_people_detail, no_teams_title,
        no_teams_detail, connect, no_match_title, no_match_detail, show_all, long_search_title,
        long_search_detail, bad_page_title, bad_page_detail, section_name, section_work, section_contact,
        section_enterprise, section_more, section_entry, teams, no_teams_of_person, latest, no_latest,
        all_activity, members, no_members, is_team, created, changed, id, back_people, back_teams,
        preferred, type_work, type_home, type_mobile, type_fax, type_other, user_name, full_name,
        family_name, given_name, middle_name, name_prefix, name_suffix, display_name, nick_name, profile,
        job_title, user_type, language, locale, time_zone, emails, phones, messengers, photos, addresses,
        entitlements, roles, certificates, employee_number, cost_center, organization, division, department,
        manager, external_id,
    }
}

area! {
    /// Texts of the activity pages.
    Activity {
        title, entry_title, filters, person, team, outcome, succeeded, failed, client, day, apply,
        person_hint, team_hint, remove, no_person, no_team, several_people, several_teams, remove_filters, time, what, older, newest, one_new, new, many_new, empty_title, empty_detail,
        no_match_title, no_match_detail, no_match_so_far, bad_filter_title, bad_filter_detail, credential,
        endpoint, status, duration, milliseconds, request, attributes, added, removed, others,
        what_happened, what_to_do, detail, about, of_person, of_team, back,
    }
}

area! {
    /// Sentences about the requests of the request log.
    Sentences {
        okta, entra, other, unknown_person, some_person, unknown_team, and, others, one_other, one_member,
        members_count, failed,
        user_created, user_changed, user_same, user_deactivated, user_reactivated, user_deleted, user_read,
        user_found, user_not_found, users_listed, tested, group_created, group_created_with, group_changed,
        group_members, group_same, members_added, members_removed, group_deleted, group_read, group_found,
        group_not_found, groups_listed, bulk, discovery_read, token_issued, something, not_user_created,
        not_user_changed, not_user_deactivated, not_user_reactivated, not_user_deleted, not_user_read,
        not_users_listed, not_group_created, not_group_changed, not_members_added, not_members_removed,
        not_group_deleted, not_group_read, not_groups_listed, not_bulk, not_discovery_read,
        not_token_issued, not_something,
    }
}

area! {
    /// The causes of failed requests, and their remedies.
    Causes {
        name_taken, name_taken_remedy, member_unknown, member_unknown_remedy, resource_unknown,
        resource_unknown_remedy, endpoint_unknown, endpoint_unknown_remedy, not_supported,
        not_supported_remedy, version_conflict, version_conflict_remedy, request_too_large,
        request_too_large_remedy, request_incomplete, request_incomplete_remedy, bulk_malformed,
        bulk_malformed_remedy, bulk_reference, bulk_reference_remedy, media_type, media_type_remedy,
        service_busy, service_busy_remedy, limited, limited_remedy, unavailable, unavailable_remedy,
        internal, internal_remedy, key_malformed, key_malformed_remedy, key_invalid, key_invalid_remedy,
        key_expired, key_expired_remedy, token_expired, token_expired_remedy, scim_disabled,
        scim_disabled_remedy, scope_missing, scope_missing_remedy, client_unknown, client_unknown_remedy,
        secret_ended, secret_ended_remedy, other_proof, other_proof_remedy, assertion_refused,
        assertion_refused_remedy, issuer_unreachable, issuer_unreachable_remedy, token_request_malformed,
        token_request_malformed_remedy, token_scope, token_scope_remedy, filter_malformed,
        filter_malformed_remedy, filter_unsupported, filter_unsupported_remedy, unknown_attribute,
        unknown_attribute_remedy, no_target, no_target_remedy, value_missing, value_missing_remedy,
        wrong_type, wrong_type_remedy, value_too_long, value_too_long_remedy, too_many_values,
        too_many_values_remedy, forbidden_character, forbidden_character_remedy, several_primary,
        several_primary_remedy, read_only, read_only_remedy, name_twice, name_twice_remedy, patch_malformed,
        patch_malformed_remedy, too_many_operations, too_many_operations_remedy, body_malformed,
        body_malformed_remedy, parameter_invalid, parameter_invalid_remedy, cursor_invalid,
        cursor_invalid_remedy, answer_too_large, answer_too_large_remedy, search_too_large,
        search_too_large_remedy, group_too_large, group_too_large_remedy, unknown, unknown_remedy,
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
    /// The causes of failed requests, and their remedies.
    pub causes: Causes,
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
            self.causes.entries(),
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
