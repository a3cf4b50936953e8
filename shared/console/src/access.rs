//! Access: set-up links, sessions, and the tokens of forms.
//!
//! A session is in a cookie that no script can read. Its CSRF token is a MAC of the session, so the store has no more than a
//! digest of the session. Every change needs the token and the role of an owner.

use axum::{
    Router,
    body::Bytes,
    extract::{
        Form as AxumForm, FromRequest, FromRequestParts, Query, Request, State, rejection::QueryRejection,
    },
    http::{
        HeaderMap, HeaderValue, Method,
        header::{COOKIE, SET_COOKIE},
        request::Parts,
    },
    response::{IntoResponse, Redirect, Response},
    routing,
};
use serde::{Deserialize, de::DeserializeOwned};
use service::{
    App, Error,
    auth::{Caller, Org},
    credential::Credential,
    limits::{CONSOLE_FORM, REQUEST_BUDGET},
    portal::{CSRF, Role, SESSION_LIFETIME},
    store::{Actor, Organisation, SessionRecord},
};
use sha2::{Digest, Sha256};
use texts::{Language, fill};
use tokio::time::Instant;

use crate::{
    Console,
    page::{EndedPage, Frame, Refusal, SwitchPage, refusal, show},
};

/// The name of the cookie with the session. Over http, which the local gateway has, no cookie can be `Secure`.
const SESSION: &str = "__Host-scim_session";
const SESSION_OVER_HTTP: &str = "scim_session";
/// The longest path to which a form leads back, in bytes.
const MAX_PATH: usize = 2_048;

pub(crate) fn routes() -> Router<Console> {
    Router::new()
        .route("/console/enter", routing::get(enter).post(switch))
        .route("/console/leave", routing::post(leave))
        .route("/console/language", routing::post(language))
}

/// A person with a session, who may see one organisation.
#[derive(Clone)]
pub(crate) struct Viewer {
    pub(crate) org: Org,
    pub(crate) organisation: Organisation,
    /// The token that each form needs.
    pub(crate) csrf: String,
    pub(crate) return_url: Option<String>,
    role: Role,
    id: String,
}

impl Viewer {
    fn new(record: SessionRecord, organisation: Organisation, csrf: String) -> Self {
        let SessionRecord { id, role, return_url, .. } = record;
        Self { org: organisation.org.clone(), organisation, csrf, return_url, role, id }
    }

    /// Returns whether the person may make changes.
    pub(crate) fn is_owner(&self) -> bool {
        self.role == Role::Owner
    }

    /// Returns the name of the person in the audit log.
    pub(crate) fn actor(&self) -> Actor {
        Actor::new(&format!("console:{}", self.id))
    }

    /// Returns a caller that may read the directory of the organisation.
    pub(crate) fn caller(&self) -> Caller {
        Caller::operator(self.org.clone()).until(Instant::now() + REQUEST_BUDGET)
    }
}

/// The page of a refused request.
pub(crate) struct Refused(Response);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        self.0
    }
}

impl FromRequestParts<Console> for Viewer {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, console: &Console) -> Result<Self, Refused> {
        match viewer(&parts.headers, &console.app).await {
            Ok(viewer) => Ok(viewer),
            Err(why) => {
                let frame =
                    Frame::from_request_parts(parts, console).await.unwrap_or_else(|never| match never {});
                let mut response = refusal(&frame, why);
                // htmx would show nothing. The whole page says that the session has ended.
                if why == Refusal::Session && frame.is_part {
                    response.headers_mut().insert("hx-refresh", HeaderValue::from_static("true"));
                }
                Err(Refused(response))
            }
        }
    }
}

async fn viewer(headers: &HeaderMap, app: &App) -> Result<Viewer, Refusal> {
    let text = cookie(headers, session_cookie(app)).ok_or(Refusal::Session)?;
    let session = Credential::parse(text).ok_or(Refusal::Session)?;
    let peppers = app.pepper.peppers().await?;
    let deadline = Instant::now() + REQUEST_BUDGET;
    let found = app.store.session(&session, &peppers, deadline).await?;
    let (record, organisation) = found.ok_or(Refusal::Session)?;
    let csrf = hex::encode(peppers.derive(CSRF).hmac(session.reveal().as_bytes()));
    Ok(Viewer::new(record, organisation, csrf))
}

/// A form with a change, of an owner who has sent the token of the session.
pub(crate) struct Change<T> {
    pub(crate) viewer: Viewer,
    pub(crate) form: T,
}

impl<T: DeserializeOwned> FromRequest<Console> for Change<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, console: &Console) -> Result<Self, Refused> {
        let Sent { viewer, form, frame } = Sent::<T>::from_request(request, console).await?;
        if viewer.is_owner() {
            Ok(Self { viewer, form })
        } else {
            Err(Refused(refusal(&frame.of(viewer, ""), Refusal::Role)))
        }
    }
}

/// A form of a viewer who has sent the token of the session.
struct Sent<T> {
    viewer: Viewer,
    form: T,
    frame: Frame,
}

/// The member that each form has.
#[derive(Deserialize)]
struct Token {
    #[serde(default)]
    csrf: String,
}

impl<T: DeserializeOwned> FromRequest<Console> for Sent<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, console: &Console) -> Result<Self, Refused> {
        let (mut parts, body) = request.into_parts();
        let frame =
            Frame::from_request_parts(&mut parts, console).await.unwrap_or_else(|never| match never {});
        let viewer = Viewer::from_request_parts(&mut parts, console).await?;
        let refused = async |why| {
            // The page of the refusal has the navigation, and is not the answer to a form if it is loaded again.
            let mut parts = parts.clone();
            let frame =
                Frame::from_request_parts(&mut parts, console).await.unwrap_or_else(|never| match never {});
            Refused(refusal(&frame.of(viewer.clone(), ""), why))
        };
        let Ok(body) = axum::body::to_bytes(body, CONSOLE_FORM).await else {
            return Err(refused(Refusal::Form).await);
        };
        let Some(Token { csrf }) = form(&parts, &body).await else {
            return Err(refused(Refusal::Form).await);
        };
        // The time of a comparison of digests tells nothing about the token.
        if Sha256::digest(csrf) != Sha256::digest(&viewer.csrf) {
            return Err(refused(Refusal::Csrf).await);
        }
        let Some(form) = form(&parts, &body).await else { return Err(refused(Refusal::Form).await) };
        Ok(Self { viewer, form, frame })
    }
}

async fn form<T: DeserializeOwned>(parts: &Parts, body: &Bytes) -> Option<T> {
    let mut request = Request::new(body.clone().into());
    *request.method_mut() = Method::POST;
    *request.headers_mut() = parts.headers.clone();
    AxumForm::from_request(request, &()).await.ok().map(|AxumForm(form)| form)
}

#[derive(Deserialize)]
struct Enter {
    #[serde(default)]
    link: String,
}

/// Uses a link, and leads to its page without the link in the URL.
async fn enter(
    State(console): State<Console>,
    method: Method,
    headers: HeaderMap,
    frame: Frame,
    query: Result<Query<Enter>, QueryRejection>,
) -> Response {
    // A program that looks at a link before a person opens it must not use it.
    if method != Method::GET {
        return refusal(&frame, Refusal::NotFound);
    }
    let Some(link) = query.ok().and_then(|Query(enter)| Credential::parse(&enter.link)) else {
        return refusal(&frame, Refusal::Link);
    };
    // A link of a stranger must not move a person into another organisation unnoticed.
    if let Ok(viewer) = viewer(&headers, &console.app).await
        && viewer.org != *link.org()
    {
        let frame = frame.of(viewer.clone(), "");
        let names = [("from", viewer.org.as_str()), ("to", link.org().as_str())];
        let detail = fill(frame.t.errors.switch_detail, &names);
        let button = fill(frame.t.errors.switch_button, &names);
        return show(&SwitchPage { frame, detail, button, link: link.reveal().to_owned() });
    }
    begin(&console.app, &frame, &link).await
}

/// Uses a link after the person has agreed to leave the other organisation.
async fn switch(State(console): State<Console>, Sent { form, frame, .. }: Sent<Enter>) -> Response {
    match Credential::parse(&form.link) {
        Some(link) => begin(&console.app, &frame, &link).await,
        None => refusal(&frame, Refusal::Link),
    }
}

async fn begin(app: &App, frame: &Frame, link: &Credential) -> Response {
    match start(app, link).await {
        Ok((intent, text)) => {
            let mut response = Redirect::to(&format!("{}/{intent}", frame.base)).into_response();
            set_cookie(&mut response, &session_of(app, &text, SESSION_LIFETIME.whole_seconds()));
            response
        }
        Err(why) => refusal(frame, why),
    }
}

async fn start(app: &App, link: &Credential) -> Result<(&'static str, String), Refusal> {
    let peppers = app.pepper.peppers().await?;
    let deadline = Instant::now() + REQUEST_BUDGET;
    let started = app.store.start_session(link, &peppers, deadline).await?.ok_or(Refusal::Link)?;
    Ok((started.record.intent.path(), started.text.reveal().to_owned()))
}

#[derive(Deserialize)]
struct Leave {}

async fn leave(
    State(console): State<Console>,
    Sent { viewer, frame, .. }: Sent<Leave>,
) -> Result<Response, Refused> {
    let ended: Result<bool, Error> =
        console.app.store.end_session(&viewer.org, &viewer.id, &viewer.actor()).await;
    if let Err(error) = ended {
        return Err(Refused(refusal(&frame, error.into())));
    }
    let mut response = show(&EndedPage { frame, return_url: viewer.return_url });
    set_cookie(&mut response, &session_of(&console.app, "", 0));
    Ok(response)
}

#[derive(Deserialize)]
struct Choice {
    language: String,
    /// The path of the page that the form was on.
    #[serde(default)]
    page: String,
}

async fn language(
    State(console): State<Console>,
    Sent { form: Choice { language, page }, frame, .. }: Sent<Choice>,
) -> Response {
    let Some(language) = Language::parse(&language) else { return refusal(&frame, Refusal::Form) };
    let page = if is_page(&frame.base, &page) { page } else { format!("{}/overview", frame.base) };
    let mut response = Redirect::to(&page).into_response();
    let flags = flags(&console.app);
    set_cookie(
        &mut response,
        &format!("scim_language={}; Path=/; HttpOnly; Max-Age=31536000{flags}", language.tag()),
    );
    response
}

/// Returns whether a form may lead back to this path: it is below the base, so it is a page of this console.
pub(crate) fn is_page(base: &str, path: &str) -> bool {
    path.len() <= MAX_PATH
        && path.strip_prefix(base).is_some_and(|rest| rest.starts_with('/'))
        && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
}

/// Returns the value of a cookie.
pub(crate) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find_map(|(known, value)| (known == name).then_some(value))
}

fn session_cookie(app: &App) -> &'static str {
    if app.portal.is_https() { SESSION } else { SESSION_OVER_HTTP }
}

/// Returns the flags of a cookie. A page in a frame of another site needs `SameSite=None; Partitioned`.
fn flags(app: &App) -> &'static str {
    match (app.portal.is_https(), app.portal.frame_ancestors.is_empty()) {
        (true, true) => "; Secure; SameSite=Lax",
        (true, false) => "; Secure; SameSite=None; Partitioned",
        (false, _) => "; SameSite=Lax",
    }
}

/// Returns the `Set-Cookie` of a session.
fn session_of(app: &App, text: &str, seconds: i64) -> String {
    let (name, flags) = (session_cookie(app), flags(app));
    format!("{name}={text}; Path=/; HttpOnly; Max-Age={seconds}{flags}")
}

fn set_cookie(response: &mut Response, cookie: &str) {
    if let Ok(value) = HeaderValue::from_str(cookie) {
        response.headers_mut().append(SET_COOKIE, value);
    }
}
