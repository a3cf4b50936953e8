//! The trust of a client in an identity provider: which assertions prove the client (RFC 7523), and whose keys sign them.

use std::net::IpAddr;

use axum::http::Uri;
use scim::Invalid;
use serde::{Deserialize, Serialize};

/// The longest URL or identifier of a trust, in bytes.
const MAX_TEXT: usize = 512;
/// The end of the audience that Entra displays. Its tokens name the audience without it.
const DEFAULT_SCOPE: &str = "/.default";

/// The claims that an assertion must have, and the source of the keys that sign it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Trust {
    /// `iss`: the URL of the identity provider.
    pub issuer: String,
    /// `aud`.
    pub audience: String,
    /// `sub`.
    pub subject: String,
    /// `tid`: the tenant, if it is checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tid: Option<String>,
    /// `azp`: the application that requested the assertion, if it is checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub azp: Option<String>,
    /// The URL of the keys. Without it, the discovery document of the issuer names the URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks_uri: Option<String>,
}

impl Trust {
    /// Returns the trust if its texts are valid. Removes the end `/.default` of the audience, because Entra displays it and
    /// its tokens do not have it.
    ///
    /// # Errors
    /// [`Invalid`] names the text that is not valid.
    pub fn checked(mut self) -> Result<Self, Invalid> {
        let resource = self.audience.strip_suffix(DEFAULT_SCOPE).unwrap_or(&self.audience).to_owned();
        self.audience = resource;
        let texts = [
            ("issuer", Some(&self.issuer)),
            ("audience", Some(&self.audience)),
            ("subject", Some(&self.subject)),
            ("tid", self.tid.as_ref()),
            ("azp", self.azp.as_ref()),
            ("jwks_uri", self.jwks_uri.as_ref()),
        ];
        for (name, text) in texts {
            if text.is_some_and(|text| !is_identifier(text)) {
                return Err(Invalid::value(format!(
                    "The {name} has characters that are not visible ASCII, or is empty or longer than {MAX_TEXT} \
                     characters. Copy it from the identity provider."
                )));
            }
        }
        let issuer = checked_url("issuer", &self.issuer)?;
        if self.issuer.contains('?') {
            return Err(Invalid::value("The issuer has a query. Enter the URL without it."));
        }
        if let Some(keys) = &self.jwks_uri
            && checked_url("jwks_uri", keys)?.origin != issuer.origin
        {
            return Err(Invalid::value(
                "The jwks_uri is on another host than the issuer. Keys are read from the host of the issuer only.",
            ));
        }
        Ok(self)
    }
}

fn is_identifier(text: &str) -> bool {
    (1..=MAX_TEXT).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Parses a URL that keys may be read from: https, or http on a loopback address, which only a local gateway reads.
fn checked_url(name: &str, text: &str) -> Result<Url, Invalid> {
    let url = Url::parse(text).ok_or_else(|| {
        Invalid::value(format!(
            "The {name} is not a URL of the form https://host/path, without user name and fragment."
        ))
    })?;
    if url.origin.is_secure || url.origin.names_loopback() {
        Ok(url)
    } else {
        Err(Invalid::value(format!("The {name} does not begin with https://. Use https.")))
    }
}

/// A URL, parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Url {
    /// The scheme, host and port.
    pub(crate) origin: Origin,
    /// The path and the query.
    pub(crate) target: String,
}

/// The scheme, host and port of a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    /// Whether the scheme is https.
    pub(crate) is_secure: bool,
    /// The name or the address, in lower case and without the brackets of IPv6.
    pub(crate) host: String,
    /// The port.
    pub(crate) port: u16,
}

impl Url {
    /// Parses a URL with the scheme http or https. Refuses user names and fragments.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        // The parser drops fragments.
        if text.len() > MAX_TEXT || text.contains('#') {
            return None;
        }
        let uri: Uri = text.parse().ok()?;
        let is_secure = match uri.scheme_str()? {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let authority = uri.authority()?;
        let port = match authority.port() {
            Some(port) => port.as_u16(),
            // A user name is part of the authority and not of the host.
            None if authority.as_str() == authority.host() => {
                if is_secure {
                    443
                } else {
                    80
                }
            }
            None => return None,
        };
        if authority.as_str().contains('@') {
            return None;
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        let target = uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
        (!host.is_empty()).then_some(Self { origin: Origin { is_secure, host, port }, target })
    }
}

impl Origin {
    /// Returns whether the host is `localhost` or a loopback address.
    fn names_loopback(&self) -> bool {
        self.host == "localhost" || self.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trust() -> Trust {
        Trust {
            issuer: "https://login.microsoftonline.com/t/v2.0".to_owned(),
            audience: "api://scim".to_owned(),
            subject: "s".to_owned(),
            tid: None,
            azp: None,
            jwks_uri: None,
        }
    }

    #[test]
    fn url_has_a_scheme_a_host_and_a_port() {
        let origin = |is_secure, host: &str, port| Origin { is_secure, host: host.to_owned(), port };
        for (text, expected, target) in [
            ("https://Issuer.example/a?b", origin(true, "issuer.example", 443), "/a?b"),
            ("https://issuer.example:8443", origin(true, "issuer.example", 8443), "/"),
            ("http://[::1]:80/x", origin(false, "::1", 80), "/x"),
        ] {
            let target = target.to_owned();
            assert_eq!(Url::parse(text), Some(Url { origin: expected, target }), "{text}");
        }
        for text in [
            "",
            "issuer.example",
            "/path",
            "ftp://issuer.example",
            "https://",
            "https://user@issuer.example",
            "https://issuer.example@evil.example/",
            "https://issuer.example:99999/",
            "https://issuer.example:/",
            "https://issuer.example/#fragment",
            "https://issuer.example/a b",
            "https:///path",
        ] {
            assert_eq!(Url::parse(text), None, "{text}");
        }
    }

    #[test]
    fn valid_trust_is_accepted() {
        assert_eq!(trust().checked(), Ok(trust()));
        let keys = Some("https://LOGIN.microsoftonline.com/t/discovery/v2.0/keys".to_owned());
        assert!(Trust { jwks_uri: keys, ..trust() }.checked().is_ok());
        for issuer in ["http://127.0.0.1:9000", "http://localhost:9000", "http://[::1]:9000"] {
            assert!(Trust { issuer: issuer.to_owned(), ..trust() }.checked().is_ok(), "{issuer}");
        }
    }

    #[test]
    fn audience_loses_the_scope_that_entra_displays() {
        let displayed = Trust { audience: "api://scim/.default".to_owned(), ..trust() };
        assert_eq!(displayed.checked(), Ok(trust()));
    }

    #[test]
    fn invalid_trust_is_refused() {
        let long = "s".repeat(MAX_TEXT + 1);
        let keys = |keys: &str| Trust { jwks_uri: Some(keys.to_owned()), ..trust() };
        let issuer = |issuer: &str| Trust { issuer: issuer.to_owned(), ..trust() };
        for invalid in [
            issuer("http://issuer.example"),
            issuer("issuer.example"),
            issuer("https://issuer.example?x=1"),
            issuer(""),
            keys("https://evil.example/keys"),
            keys("https://login.microsoftonline.com:444/keys"),
            keys("http://login.microsoftonline.com/keys"),
            keys("https://login.microsoftonline.com.evil.example/keys"),
            Trust { audience: String::new(), ..trust() },
            Trust { audience: "/.default".to_owned(), ..trust() },
            Trust { subject: long, ..trust() },
            Trust { subject: "a\nb".to_owned(), ..trust() },
            Trust { tid: Some(String::new()), ..trust() },
            Trust { azp: Some("é".to_owned()), ..trust() },
        ] {
            assert!(invalid.clone().checked().is_err(), "{invalid:?}");
        }
    }
}
