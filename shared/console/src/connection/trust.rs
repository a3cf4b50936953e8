//! The form with which a person trusts a tenant of Entra.

use serde::Deserialize;
use service::trust::Trust;

use crate::page::Frame;

/// The host of Entra's issuers.
const AUTHORITY: &str = "https://login.microsoftonline.com";

/// Returns whether a trust is in a tenant of Entra.
pub(super) fn is_of_entra(trust: &Trust) -> bool {
    trust.issuer.strip_prefix(AUTHORITY).is_some_and(|rest| rest.starts_with('/'))
}

/// Values that a person has entered to trust a tenant. The forms of the other ways have no more than the id.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Federation {
    tenant: String,
    subject: String,
    audience: String,
    /// The id of the form.
    pub(super) form: String,
    #[serde(skip)]
    faults: Faults,
}

/// Which texts are wrong.
#[derive(Debug, Clone, Copy, Default)]
struct Faults {
    tenant: bool,
    subject: bool,
    audience: bool,
}

/// The name, the label, the hint, the value and the fault of a field.
type Field<'a> = (&'static str, &'static str, &'static str, &'a str, Option<&'static str>);

impl Federation {
    /// Returns whether a person has entered a value.
    pub(super) fn is_entered(&self) -> bool {
        ![&self.tenant, &self.subject, &self.audience].iter().all(|value| value.is_empty())
    }

    /// Returns whether there are faults.
    pub(super) fn any(&self) -> bool {
        let Faults { tenant, subject, audience } = self.faults;
        tenant || subject || audience
    }

    pub(super) fn fields(&self, frame: &Frame) -> [Field<'_>; 3] {
        let texts = &frame.t.connection;
        let fault = |is_wrong: bool, text| is_wrong.then_some(text);
        let Faults { tenant, subject, audience } = self.faults;
        let identifier = texts.identifier_fault;
        [
            ("tenant", texts.tenant, texts.tenant_hint, &self.tenant, fault(tenant, texts.tenant_fault)),
            ("subject", texts.subject, texts.subject_hint, &self.subject, fault(subject, identifier)),
            ("audience", texts.audience, texts.audience_hint, &self.audience, fault(audience, identifier)),
        ]
    }

    /// Returns the trust, or the form with its faults.
    pub(super) fn trust(mut self) -> Result<Trust, Self> {
        // A trust that is valid but for one text says whether this text is valid.
        let valid = Trust {
            issuer: AUTHORITY.to_owned(),
            audience: "audience".to_owned(),
            subject: "subject".to_owned(),
            tid: None,
            azp: None,
            jwks_uri: None,
        };
        let is_wrong = |trust: Trust| trust.checked().is_err();
        let [audience, subject] = [&self.audience, &self.subject].map(|text| text.trim().to_owned());
        let issuer = issuer(self.tenant.trim());
        self.faults = Faults {
            tenant: issuer
                .as_ref()
                .is_none_or(|(issuer, ..)| is_wrong(Trust { issuer: issuer.clone(), ..valid.clone() })),
            subject: is_wrong(Trust { subject: subject.clone(), ..valid.clone() }),
            audience: is_wrong(Trust { audience: audience.clone(), ..valid }),
        };
        match issuer {
            Some((issuer, tid, jwks_uri)) if !self.any() => {
                Ok(Trust { issuer, audience, subject, tid, azp: None, jwks_uri })
            }
            _ => Err(self),
        }
    }
}

/// The hosts of issuers of Entra.
const ENTRA: [&str; 2] = ["https://login.microsoftonline.com/", "https://sts.windows.net/"];

/// Returns the issuer, the tenant and the URL of the keys that belong to a tenant id or an issuer. Each issuer of Entra gives
/// that of version 2.0, whose tokens Entra sends. Other issuers name the URL of their keys in their discovery document.
fn issuer(tenant: &str) -> Option<(String, Option<String>, Option<String>)> {
    let of_issuer = ENTRA.into_iter().find_map(|host| tenant.strip_prefix(host));
    let id = of_issuer.map_or(tenant, |path| path.split('/').next().unwrap_or_default()).to_ascii_lowercase();
    if is_tenant_id(&id) {
        let keys = format!("{AUTHORITY}/{id}/discovery/v2.0/keys");
        return Some((format!("{AUTHORITY}/{id}/v2.0"), Some(id), Some(keys)));
    }
    if of_issuer.is_some() || !tenant.contains("://") {
        return None;
    }
    let tid = tenant.rsplit('/').nth(1).filter(|id| is_tenant_id(id)).map(str::to_owned);
    Some((tenant.to_owned(), tid, None))
}

/// Returns whether the text has the form of a tenant id: 32 hexadecimal digits in five groups.
fn is_tenant_id(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12])
        && groups.concat().bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TENANT: &str = "0f1e2d3c-4b5a-4697-8877-665544332211";

    #[test]
    fn tenant_id_and_issuer_of_entra_are_the_same() {
        let expected = (
            format!("{AUTHORITY}/{TENANT}/v2.0"),
            Some(TENANT.to_owned()),
            Some(format!("{AUTHORITY}/{TENANT}/discovery/v2.0/keys")),
        );
        for text in [
            TENANT.to_owned(),
            TENANT.to_uppercase(),
            format!("{AUTHORITY}/{TENANT}/v2.0"),
            format!("{AUTHORITY}/{TENANT}/v2.0/"),
            format!("{AUTHORITY}/{TENANT}"),
            format!("https://sts.windows.net/{TENANT}/"),
        ] {
            assert_eq!(issuer(&text), Some(expected.clone()), "{text}");
        }
    }

    #[test]
    fn other_issuer_names_its_keys_itself() {
        let url = format!("http://127.0.0.1:9000/{TENANT}/v2.0");
        assert_eq!(issuer(&url), Some((url.clone(), Some(TENANT.to_owned()), None)));
        let url = "http://127.0.0.1:9000".to_owned();
        assert_eq!(issuer(&url), Some((url.clone(), None, None)));
        let common = format!("{AUTHORITY}/common/v2.0");
        for refused in
            ["", &common, "contoso.onmicrosoft.com", "0f1e2d3c", "zf1e2d3c-4b5a-4697-8877-665544332211"]
        {
            assert_eq!(issuer(refused), None, "{refused}");
        }
    }
}
