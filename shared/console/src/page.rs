//! The frame of every page, and the pages of refusals.

use std::convert::Infallible;

use askama::Template;
use axum::{
    extract::FromRequestParts,
    http::{
        Method, StatusCode,
        header::{ACCEPT_LANGUAGE, CONTENT_TYPE, RETRY_AFTER},
        request::Parts,
    },
    response::{IntoResponse, Response},
};
use service::{
    Error,
    http::{PublicBase, token_url},
    store::KeyRecord,
};
use texts::{Language, Texts, fill};
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

use crate::{
    Console, PATH,
    access::{Viewer, cookie},
    clock::{Moment, Zone},
};

/// The name of the product if the vendor has set none.
const PRODUCT: &str = "SCIM";

/// The time before an end in which pages warn of it.
const SOON: Duration = Duration::days(30);

/// The name, the text and the hint of a scope.
type ScopeTexts = (&'static str, &'static str, &'static str);

/// The parts that every page has. Handlers take it as an extractor, and [`Frame::of`] adds the viewer.
#[derive(Clone)]
pub(crate) struct Frame {
    /// The texts in the viewer's language.
    pub(crate) t: &'static Texts,
    pub(crate) language: Language,
    pub(crate) zone: Zone,
    /// The path of the console, without a slash at its end.
    pub(crate) base: String,
    /// The base URL of SCIM, for identity providers.
    pub(crate) scim_url: String,
    /// The URL of the token endpoint.
    pub(crate) token_url: String,
    /// The path of the assets.
    pub(crate) assets: String,
    pub(crate) product: String,
    pub(crate) logo: Option<String>,
    /// The viewer, if the page needs a session.
    pub(crate) viewer: Option<Viewer>,
    /// The path of the page in the navigation.
    pub(crate) current: &'static str,
    /// The path and the query of this page, if a browser can open it again.
    pub(crate) here: Option<String>,
    /// Whether the page answers a form.
    pub(crate) is_answer: bool,
    /// Whether htmx asks for a part of a page.
    pub(crate) is_part: bool,
}

impl FromRequestParts<Console> for Frame {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, console: &Console) -> Result<Self, Infallible> {
        let of_gateway = parts.extensions.get::<PublicBase>().map(|base| base.0.clone());
        let portal = &console.app.portal;
        let configured = portal.url.as_deref().and_then(path_of).map(str::to_owned);
        let base = configured.or_else(|| of_gateway.as_deref().and_then(path_of_console));
        let base = base.unwrap_or_else(|| PATH.to_owned());
        let header =
            |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let language = cookie(&parts.headers, "scim_language").and_then(Language::parse);
        let language = language.unwrap_or_else(|| Language::accepted(header(ACCEPT_LANGUAGE.as_str())));
        let scim_url = console.app.base_url.clone().or_else(|| of_gateway.clone()).unwrap_or_default();
        let path = parts.uri.path_and_query().and_then(|path| path.as_str().strip_prefix(PATH));
        // The path of a set-up link has a secret.
        let path = path.filter(|path| !path.starts_with("/enter"));
        Ok(Self {
            here: path.filter(|_| parts.method == Method::GET).map(|rest| format!("{base}{rest}")),
            is_answer: parts.method == Method::POST,
            is_part: header("hx-request") == "true",
            token_url: token_url(&scim_url, of_gateway.is_some()),
            t: language.texts(),
            language,
            zone: cookie(&parts.headers, "scim_zone").map_or_else(Zone::utc, Zone::parse),
            assets: format!("{base}/assets/{}", console.assets.version),
            base,
            scim_url,
            product: portal.name.clone().unwrap_or_else(|| PRODUCT.to_owned()),
            logo: portal.logo.clone(),
            viewer: None,
            current: "",
        })
    }
}

impl Frame {
    /// Returns the frame of a page of this viewer. `current` is the path of the page in the navigation.
    pub(crate) fn of(self, viewer: Viewer, current: &'static str) -> Self {
        Self { viewer: Some(viewer), current, ..self }
    }

    /// Returns whether this page of the navigation is shown.
    pub(crate) fn is_current(&self, path: &str) -> bool {
        self.current == path
    }

    /// Returns the path of a page to which a form leads back.
    pub(crate) fn return_path(&self) -> String {
        self.here.clone().unwrap_or_else(|| format!("{}/{}", self.base, self.current))
    }

    /// Returns the frame of a page that answers a form, and has this path below the base.
    pub(crate) fn at(self, path: &str) -> Self {
        Self { here: Some(format!("{}/{path}", self.base)), ..self }
    }

    /// Returns whether the viewer may make changes.
    pub(crate) fn is_owner(&self) -> bool {
        self.viewer.as_ref().is_some_and(Viewer::is_owner)
    }

    /// Returns the token that each form needs.
    pub(crate) fn csrf(&self) -> &str {
        self.viewer.as_ref().map(|viewer| viewer.csrf.as_str()).unwrap_or_default()
    }

    /// Returns a stored time for a template.
    pub(crate) fn moment(&self, stored: &str) -> Moment {
        Moment::new(stored, &self.zone, self.language)
    }

    /// Returns the sentence with the zone of the times of the page.
    pub(crate) fn zone_hint(&self) -> String {
        fill(self.t.common.time_zone_hint, &[("zone", self.zone.name())])
    }

    /// Returns the name of a client, in words.
    pub(crate) fn client(&self, client: &str) -> &'static str {
        match client {
            "okta" => self.t.common.okta,
            "entra" => self.t.common.entra,
            _ => self.t.common.other_client,
        }
    }

    /// Returns the scopes of keys and clients.
    pub(crate) fn scopes(&self) -> [ScopeTexts; 3] {
        let texts = &self.t.keys;
        [
            ("scim", texts.scim, texts.scim_hint),
            ("read", texts.read, texts.read_hint),
            ("write", texts.write, texts.write_hint),
        ]
    }

    /// Returns the values and the texts of the ends that a form offers. A secret has an end.
    pub(crate) fn expiries(&self, is_key: bool) -> Vec<(&'static str, &'static str)> {
        let texts = &self.t.keys;
        let none = is_key.then_some(("none", texts.expiry_none));
        let ends = [("90", texts.expiry_90), ("365", texts.expiry_365), ("date", texts.expiry_date)];
        none.into_iter().chain(ends).collect()
    }

    /// Returns every language.
    #[expect(clippy::unused_self, reason = "templates call methods of the frame")]
    pub(crate) fn languages(&self) -> &'static [Language] {
        &Language::ALL
    }

    /// Returns the path and the name of each page.
    pub(crate) fn navigation(&self) -> [(&'static str, &'static str); 6] {
        let common = &self.t.common;
        [
            ("overview", common.nav_overview),
            ("connection", common.nav_connection),
            ("keys", common.nav_keys),
            ("people", common.nav_people),
            ("teams", common.nav_teams),
            ("activity", common.nav_activity),
        ]
    }

    /// Returns the text of the link to the product.
    pub(crate) fn back_to_product(&self) -> String {
        fill(self.t.common.back_to_product, &[("name", &self.product)])
    }
}

/// Returns whether an end is near.
pub(crate) fn is_soon(ends: &str, now: OffsetDateTime) -> bool {
    OffsetDateTime::parse(ends, &Rfc3339).is_ok_and(|ends| ends - now < SOON)
}

/// Returns the start and the end of the text of a key. Keys of release 0.2 lack the end.
pub(crate) fn key_text(key: &KeyRecord) -> String {
    format!("{}…{}", key.prefix, key.last_four.as_deref().unwrap_or_default())
}

/// Returns the path of the console that belongs to a public base URL of SCIM: `https://host/scim/v2` gives `/scim/console`.
fn path_of_console(base: &str) -> Option<String> {
    let path = path_of(base)?;
    Some(format!("{}{PATH}", path.strip_suffix("/v2").unwrap_or(path)))
}

/// Returns the path of a URL, which is empty without one.
fn path_of(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    Some(rest.find('/').map_or("", |start| &rest[start..]))
}

/// Returns the response with a page.
pub(crate) fn show(page: &impl Template) -> Response {
    show_as(StatusCode::OK, page)
}

/// Returns the response with a page, with this status.
pub(crate) fn show_as(status: StatusCode, page: &impl Template) -> Response {
    match page.render() {
        Ok(html) => (status, [(CONTENT_TYPE, "text/html; charset=utf-8")], html).into_response(),
        Err(error) => {
            tracing::error!(cause = %error, "a page cannot be rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// Why a page is not shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The link is unknown, used or expired.
    Link,
    /// There is no valid session.
    Session,
    /// The form has no token of the session.
    Csrf,
    /// A viewer sends a change.
    Role,
    /// There is no such page or entry.
    NotFound,
    /// The form cannot be read.
    Form,
    /// The state has changed since the page was loaded.
    Conflict,
    /// A dependency does not answer.
    Unavailable,
    /// A defect.
    Internal,
}

impl Refusal {
    fn status(self) -> StatusCode {
        match self {
            Self::Link => StatusCode::GONE,
            Self::Session => StatusCode::UNAUTHORIZED,
            Self::Csrf | Self::Role => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Form => StatusCode::BAD_REQUEST,
            Self::Conflict => StatusCode::CONFLICT,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn texts(self, texts: &'static Texts) -> (&'static str, &'static str) {
        let errors = &texts.errors;
        match self {
            Self::Link => (errors.link_title, errors.link_detail),
            Self::Session => (errors.session_title, errors.session_detail),
            Self::Csrf => (errors.csrf_title, errors.csrf_detail),
            Self::Role => (errors.role_title, errors.role_detail),
            Self::NotFound => (errors.not_found_title, errors.not_found_detail),
            Self::Form => (errors.form_title, errors.form_detail),
            Self::Conflict => (errors.conflict_title, errors.conflict_detail),
            Self::Unavailable => (errors.unavailable_title, errors.unavailable_detail),
            Self::Internal => (errors.internal_title, errors.internal_detail),
        }
    }
}

/// The status is the whole response where no frame can be made.
impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (title, detail) = self.texts(Language::En.texts());
        (self.status(), format!("{title}. {detail}\n")).into_response()
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        if let Some(cause) = error.cause() {
            tracing::error!(cause, "a page is not shown");
        }
        match error {
            Error::NotFound(_) => Self::NotFound,
            Error::Conflict(_) | Error::PreconditionFailed | Error::IdempotencyKeyUsed => Self::Conflict,
            Error::Throttled | Error::Limited(..) | Error::Unavailable(_) => Self::Unavailable,
            Error::Invalid(_) | Error::TooLarge(_) | Error::BodyTimeout => Self::Form,
            _ => Self::Internal,
        }
    }
}

#[derive(Template)]
#[template(path = "refusal.html")]
struct RefusalPage<'a> {
    frame: &'a Frame,
    title: &'static str,
    detail: &'static str,
}

/// The refusal of a part of a page, which htmx puts in its place.
#[derive(Template)]
#[template(path = "refusal_part.html")]
struct RefusalPart {
    title: &'static str,
    detail: &'static str,
}

/// The page after the end of a session. A form may not redirect to the product, because the policy allows forms of this site
/// alone.
#[derive(Template)]
#[template(path = "ended.html")]
pub(crate) struct EndedPage {
    pub(crate) frame: Frame,
    pub(crate) return_url: Option<String>,
}

/// The question before a link ends the session of another organisation.
#[derive(Template)]
#[template(path = "switch.html")]
pub(crate) struct SwitchPage {
    pub(crate) frame: Frame,
    pub(crate) detail: String,
    pub(crate) button: String,
    pub(crate) link: String,
}

/// Returns the page of a refusal.
pub(crate) fn refusal(frame: &Frame, refusal: Refusal) -> Response {
    let (title, detail) = refusal.texts(frame.t);
    let page = RefusalPage { frame, title, detail };
    let mut response = if frame.is_part {
        show_as(refusal.status(), &RefusalPart { title, detail })
    } else {
        show_as(refusal.status(), &page)
    };
    if refusal == Refusal::Unavailable {
        response.headers_mut().insert(RETRY_AFTER, axum::http::HeaderValue::from_static("2"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn console_is_beside_the_base_url_of_scim() {
        for (base, path) in [
            ("https://abc.execute-api.us-east-1.amazonaws.com/scim/v2", "/scim/console"),
            ("https://scim.example.com/v2", "/console"),
            ("https://scim.example.com", "/console"),
        ] {
            assert_eq!(path_of_console(base).as_deref(), Some(path), "{base}");
        }
    }
}
