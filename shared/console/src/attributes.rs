//! Attributes of people in words, and values that are safe to show.

use serde_json::{Map, Value};
use service::store::Stored;
use texts::{Directory, visible};

use scim::{id::Id, schema::ENTERPRISE_USER_URN};

/// The length from which a value is folded up, in characters.
const LONG: usize = 240;
/// The number of characters of a value that is folded up.
const BEGINNING: usize = 120;

/// A group of attributes.
pub(crate) struct Section {
    pub(crate) title: &'static str,
    pub(crate) facts: Vec<Fact>,
}

/// An attribute with its values.
pub(crate) struct Fact {
    pub(crate) label: String,
    pub(crate) values: Vec<Shown>,
}

/// A value of an attribute. It comes from the identity provider and may have any content.
pub(crate) struct Shown {
    pub(crate) text: String,
    /// The type of the value in words, such as `work`.
    pub(crate) note: String,
    /// The id of the person that the value names.
    pub(crate) person: Option<String>,
}

impl Shown {
    fn new(text: &str) -> Self {
        Self { text: visible(text), note: String::new(), person: None }
    }

    /// Returns the id that the identity provider gave a person or team.
    pub(crate) fn external_id(of: &Stored) -> Option<Self> {
        of.document.external_id().map(Self::new)
    }

    /// Returns the address if the value is a plain e-mail address, which is safe in a link.
    pub(crate) fn mail(&self) -> Option<&str> {
        let (local, domain) = self.text.split_once('@')?;
        let is_plain = |part: &str, also: &[u8]| {
            !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || also.contains(&byte))
        };
        let is_mail = self.text.len() <= 254
            && is_plain(local, b"._+-")
            && is_plain(domain, b".-")
            && domain.contains('.');
        is_mail.then_some(self.text.as_str())
    }

    /// Returns the beginning of a long value.
    pub(crate) fn beginning(&self) -> Option<String> {
        let is_long = self.text.chars().nth(LONG).is_some();
        is_long.then(|| self.text.chars().take(BEGINNING).chain(['…']).collect())
    }
}

/// The attributes of each section, in the order in which they are shown.
const NAME: [&str; 9] = [
    "userName",
    "displayName",
    "name.formatted",
    "name.givenName",
    "name.middleName",
    "name.familyName",
    "name.honorificPrefix",
    "name.honorificSuffix",
    "nickName",
];
const WORK: [&str; 7] =
    ["title", "userType", "roles", "entitlements", "preferredLanguage", "locale", "timezone"];
const CONTACT: [&str; 6] = ["emails", "phoneNumbers", "ims", "addresses", "photos", "profileUrl"];
const ENTERPRISE: [&str; 6] =
    ["employeeNumber", "organization", "division", "department", "costCenter", "manager"];
/// Attributes that the page shows elsewhere.
const ELSEWHERE: [&str; 4] = ["schemas", "active", "externalId", "name"];

/// Returns the attributes of a person in sections. Sections without attributes are left out.
pub(crate) fn sections(texts: &Directory, person: &Stored) -> Vec<Section> {
    let document = person.document.as_map();
    let none = Map::new();
    let enterprise = document.get(ENTERPRISE_USER_URN).and_then(Value::as_object).unwrap_or(&none);
    let section = |title, names: &[&str], of: &Map<String, Value>| {
        let facts = names.iter().filter_map(|name| fact(texts, name, lookup(of, name)?));
        Section { title, facts: facts.collect() }
    };
    let is_known = |name: &str| {
        [&NAME[..], &WORK, &CONTACT, &ELSEWHERE, &[ENTERPRISE_USER_URN]].concat().contains(&name)
    };
    let mut more: Vec<Fact> = Vec::new();
    for (name, value) in document.iter().filter(|(name, _)| !is_known(name)) {
        match value.as_object().filter(|_| name.contains(':')) {
            Some(extension) => {
                more.extend(extension.iter().filter_map(|(name, value)| fact(texts, name, value)));
            }
            None => more.extend(fact(texts, name, value)),
        }
    }
    let unknown = enterprise.iter().filter(|(name, _)| !ENTERPRISE.contains(&name.as_str()));
    more.extend(unknown.filter_map(|(name, value)| fact(texts, name, value)));
    let mut sections = vec![
        section(texts.section_name, &NAME, document),
        section(texts.section_contact, &CONTACT, document),
        section(texts.section_work, &WORK, document),
        section(texts.section_enterprise, &ENTERPRISE, enterprise),
        Section { title: texts.section_more, facts: more },
    ];
    sections.retain(|section| !section.facts.is_empty());
    sections
}

fn lookup<'a>(of: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    match name.split_once('.') {
        Some((name, sub)) => of.get(name)?.get(sub),
        None => of.get(name),
    }
}

fn fact(texts: &Directory, name: &str, value: &Value) -> Option<Fact> {
    let values: Vec<Shown> = match value {
        Value::Array(values) => values.iter().filter_map(|value| shown(texts, value)).collect(),
        value => shown(texts, value).into_iter().collect(),
    };
    (!values.is_empty()).then(|| Fact { label: label(texts, name), values })
}

fn shown(texts: &Directory, value: &Value) -> Option<Shown> {
    match value {
        Value::Null => None,
        Value::String(text) => (!text.is_empty()).then(|| Shown::new(text)),
        Value::Object(object) => element(texts, object),
        other => Some(Shown::new(&other.to_string())),
    }
}

/// Returns a complex value, with its type.
fn element(texts: &Directory, object: &Map<String, Value>) -> Option<Shown> {
    let text = |name: &str| object.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let value = text("displayName").or_else(|| text("value")).or_else(|| text("formatted"));
    let value = value.map_or_else(|| parts_of(object), str::to_owned);
    let kind = text("type").map(|kind| match kind {
        "work" => texts.type_work,
        "home" => texts.type_home,
        "mobile" => texts.type_mobile,
        "fax" => texts.type_fax,
        "other" => texts.type_other,
        kind => kind,
    });
    let preferred = (object.get("primary") == Some(&Value::Bool(true))).then_some(texts.preferred);
    let note = kind.into_iter().chain(preferred).collect::<Vec<_>>().join(", ");
    let person = text("$ref").and(text("value")).filter(|id| Id::parse(id).is_some()).map(str::to_owned);
    (!value.is_empty()).then(|| Shown { text: visible(&value), note: visible(&note), person })
}

/// Returns the parts of a complex value in one text.
fn parts_of(object: &Map<String, Value>) -> String {
    let parts = object.iter().filter(|(name, _)| !matches!(name.as_str(), "type" | "primary" | "$ref"));
    let parts = parts.map(|(_, value)| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    parts.collect::<Vec<_>>().join(", ")
}

/// Returns the name of an attribute in words. An attribute that the console does not know keeps its name.
pub(crate) fn label(texts: &Directory, name: &str) -> String {
    let known = match name.strip_prefix("name.").unwrap_or(name) {
        "userName" => texts.user_name,
        "name" => texts.name,
        "formatted" => texts.full_name,
        "givenName" => texts.given_name,
        "middleName" => texts.middle_name,
        "familyName" => texts.family_name,
        "honorificPrefix" => texts.name_prefix,
        "honorificSuffix" => texts.name_suffix,
        "displayName" => texts.display_name,
        "nickName" => texts.nick_name,
        "profileUrl" => texts.profile,
        "title" => texts.job_title,
        "userType" => texts.user_type,
        "preferredLanguage" => texts.language,
        "locale" => texts.locale,
        "timezone" => texts.time_zone,
        "active" => texts.state,
        "emails" => texts.emails,
        "phoneNumbers" => texts.phones,
        "ims" => texts.messengers,
        "photos" => texts.photos,
        "addresses" => texts.addresses,
        "entitlements" => texts.entitlements,
        "roles" => texts.roles,
        "x509Certificates" => texts.certificates,
        "employeeNumber" => texts.employee_number,
        "costCenter" => texts.cost_center,
        "organization" => texts.organization,
        "division" => texts.division,
        "department" => texts.department,
        "manager" => texts.manager,
        "externalId" => texts.external_id,
        "members" => texts.members,
        other => match other.split_once('.') {
            Some(("manager", _)) => texts.manager,
            _ => return visible(other),
        },
    };
    known.to_owned()
}

/// Returns the name of a person: the displayed name, the parts of the name, or the user name.
pub(crate) fn name_of(person: &Stored) -> String {
    let document = &person.document;
    let part = |name: &str| document.get("name").and_then(|it| it.get(name)).and_then(Value::as_str);
    let is_text = |text: &&str| !text.trim().is_empty();
    if let Some(name) = document.display_name().or_else(|| part("formatted")).filter(is_text) {
        return visible(name);
    }
    let parts: Vec<&str> =
        [part("givenName"), part("familyName")].into_iter().flatten().filter(is_text).collect();
    visible(&if parts.is_empty() {
        document.user_name().unwrap_or_default().to_owned()
    } else {
        parts.join(" ")
    })
}

/// Returns the preferred e-mail address, or else the first one.
pub(crate) fn mail_of(person: &Stored) -> Option<Shown> {
    let emails = person.document.get("emails").and_then(Value::as_array)?;
    let preferred = emails.iter().find(|email| email.get("primary") == Some(&Value::Bool(true)));
    let email = preferred.or_else(|| emails.first())?;
    email.get("value").and_then(Value::as_str).map(Shown::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_addresses_become_links() {
        for (text, is_mail) in [
            ("ada@example.com", true),
            ("ada.l+scim@mail.example.com", true),
            ("ada@localhost", false),
            ("ada@example.com?bcc=eve@example.com", false),
            ("javascript:alert(1)@example.com", false),
            ("ada@example.com,eve@example.com", false),
            ("\"ada\"@example.com", false),
            ("ada", false),
        ] {
            assert_eq!(Shown::new(text).mail().is_some(), is_mail, "{text}");
        }
    }

    #[test]
    fn long_value_is_folded_up() {
        assert_eq!(Shown::new(&"a".repeat(LONG)).beginning(), None);
        let beginning = Shown::new(&"ä".repeat(LONG + 1)).beginning().unwrap_or_default();
        assert_eq!(beginning.chars().count(), BEGINNING + 1);
    }
}
