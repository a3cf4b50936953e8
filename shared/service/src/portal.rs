//! The owner console as the vendor's back end and the console see it: set-up links, sessions, and the settings of the
//! vendor.
//!
//! The back end requests a link from the management API and redirects the owner's browser to it. The link is valid once, for
//! [`LINK_LIFETIME`]. Using it starts a session of one organisation, which lasts for [`SESSION_LIFETIME`].

use time::Duration;

/// The time in which a link can be used.
pub const LINK_LIFETIME: Duration = Duration::minutes(5);
/// The time for which a session is valid.
pub const SESSION_LIFETIME: Duration = Duration::hours(8);

/// The label of the secret that digests links and sessions.
pub(crate) const DIGESTS: &str = "portal";
/// The label of the secret that makes the CSRF tokens of sessions.
pub const CSRF: &str = "portal csrf";

/// The rights of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reads and changes.
    Owner,
    /// Reads.
    Viewer,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 2] = [Self::Owner, Self::Viewer];

    /// Returns the name of the role.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Viewer => "viewer",
        }
    }

    /// Returns the role of that name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }
}

/// The page that a link opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Intent {
    /// The state of the connection.
    Overview,
    /// The choice of the identity provider.
    Connection,
    /// The steps for Okta.
    Okta,
    /// The steps for Microsoft Entra ID.
    Entra,
    /// API keys and OAuth clients.
    Keys,
    /// Users.
    People,
    /// Groups.
    Teams,
    /// The request log.
    Activity,
}

impl Intent {
    /// Every intent.
    pub const ALL: [Self; 8] = [
        Self::Overview,
        Self::Connection,
        Self::Okta,
        Self::Entra,
        Self::Keys,
        Self::People,
        Self::Teams,
        Self::Activity,
    ];

    /// Returns the name of the intent.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Overview => "overview",
            Self::Connection => "connection",
            Self::Okta => "okta",
            Self::Entra => "entra",
            Self::Keys => "keys",
            Self::People => "people",
            Self::Teams => "teams",
            Self::Activity => "activity",
        }
    }

    /// Returns the intent of that name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|intent| intent.as_str() == text)
    }

    /// Returns the path of the page below the path of the console.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::Okta => "connection/okta",
            Self::Entra => "connection/entra",
            other => other.as_str(),
        }
    }
}

/// The settings of the vendor for the console.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Portal {
    /// The public URL of the console (`https://…/scim/console`), without a slash at its end. Without it there are no links.
    /// The function of the console may lack it: the address of the API is not known when the function is created.
    pub url: Option<String>,
    /// The URLs to which a link may lead back, and with each the URLs below it.
    pub return_urls: Vec<String>,
    /// The origins of the pages that may embed the console. Without any, no page may.
    pub frame_ancestors: Vec<String>,
    /// The name of the vendor's product.
    pub name: Option<String>,
    /// The URL of the vendor's logo.
    pub logo: Option<String>,
    /// The accent colour, as `#rrggbb`.
    pub accent: Option<String>,
}

impl Portal {
    /// Returns whether browsers reach the console by https. Only the local gateway has a URL with http.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.url.as_deref().is_none_or(|url| url.starts_with("https://"))
    }

    /// Returns whether a link may lead back to this URL: it is an allowed URL, or is below one.
    #[must_use]
    pub fn may_return_to(&self, url: &str) -> bool {
        let is_plain =
            url.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'\\' | b'"' | b'<' | b'>'));
        is_plain
            && self.return_urls.iter().any(|allowed| {
                let rest = url.strip_prefix(allowed.trim_end_matches('/'));
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?', '#']))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn return_url_is_an_allowed_url_or_below_one() {
        let return_urls = vec!["https://app.example.com/settings/".to_owned()];
        let portal = Portal { return_urls, ..Portal::default() };
        for allowed in ["", "/", "/scim", "?tab=1", "#top"] {
            assert!(portal.may_return_to(&format!("https://app.example.com/settings{allowed}")), "{allowed}");
        }
        for refused in [
            "https://app.example.com/settings.evil.example",
            "https://app.example.com/",
            "http://app.example.com/settings",
            "https://app.example.com@evil.example/settings",
            "javascript:alert(1)",
            "https://app.example.com/settings/\n",
            "https://app.example.com/settings/\"",
            "",
        ] {
            assert!(!portal.may_return_to(refused), "{refused}");
        }
        assert!(!Portal::default().may_return_to("https://app.example.com/settings"));
    }
}
