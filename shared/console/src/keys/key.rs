//! Changes of a key: rotation in steps, and revocation. Each has a page that says what will happen.

use axum::{
    Router,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
    routing,
};
use serde::Deserialize;
use service::{Error, store::KeyRecord};
use texts::fill;
use tokio::time::Duration;

use crate::{
    Console,
    access::{Change, Viewer},
    once::{new_form, repeatable},
    page::{Frame, Refusal, key_text, refusal},
    review::{Review, Shown},
};

use super::{
    list::{Extra, page},
    rotation::rotations,
    view::{last_use, name_of},
};

/// The overlap of a rotation in days, if the person does not choose.
const OVERLAP: &str = "7";
/// The longest overlap in days.
const MAX_OVERLAP: u64 = 90;

pub(super) fn routes() -> Router<Console> {
    Router::new().route("/console/keys/{id}/{action}", routing::get(review).post(act))
}

/// A change of a key. The key of [`Self::Complete`] and [`Self::Cancel`] is the old one of the rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Rotate,
    Complete,
    Cancel,
    Revoke,
}

impl Action {
    fn parse(text: &str) -> Result<Self, Refusal> {
        match text {
            "rotate" => Ok(Self::Rotate),
            "complete" => Ok(Self::Complete),
            "cancel" => Ok(Self::Cancel),
            "revoke" => Ok(Self::Revoke),
            _ => Err(Refusal::NotFound),
        }
    }
}

/// The fields of all changes.
#[derive(Deserialize)]
struct Fields {
    days: Option<String>,
    #[serde(default)]
    form: String,
}

/// The page of one request.
struct Request<'a> {
    console: &'a Console,
    frame: &'a Frame,
    viewer: &'a Viewer,
    id: &'a str,
}

async fn review(
    State(console): State<Console>,
    viewer: Viewer,
    frame: Frame,
    Path((id, action)): Path<(String, String)>,
) -> Response {
    let frame = frame.of(viewer.clone(), "keys");
    let request = Request { console: &console, frame: &frame, viewer: &viewer, id: &id };
    let page = match Action::parse(&action) {
        Ok(Action::Rotate) => request.rotation_page(OVERLAP, None).await,
        Ok(action) => request.review(action).await,
        Err(why) => Err(why),
    };
    page.unwrap_or_else(|why| refusal(&frame, why))
}

async fn act(
    State(console): State<Console>,
    frame: Frame,
    Path((id, action)): Path<(String, String)>,
    Change { viewer, form }: Change<Fields>,
) -> Response {
    let frame = frame.of(viewer.clone(), "keys");
    let request = Request { console: &console, frame: &frame, viewer: &viewer, id: &id };
    let page = match Action::parse(&action) {
        Ok(Action::Rotate) => request.rotate(&form).await,
        Ok(Action::Revoke) => request.revoke().await,
        Ok(action) => request.end_rotation(action).await,
        Err(why) => Err(why),
    };
    page.unwrap_or_else(|why| refusal(&frame, why))
}

impl Request<'_> {
    /// Returns all keys, and the position of the key of the request.
    async fn keys(&self) -> Result<(Vec<KeyRecord>, usize), Refusal> {
        let keys = self.console.app.store.keys(&self.viewer.org).await?;
        let index = keys.iter().position(|key| key.id == self.id).ok_or(Refusal::NotFound)?;
        Ok((keys, index))
    }

    fn now(&self) -> Result<String, Refusal> {
        Ok(self.console.app.store.clock().timestamp()?)
    }

    /// Returns the list with the notice that the key is not as the page has shown it.
    async fn stale(&self, text: &str, key: &KeyRecord) -> Result<Response, Refusal> {
        let notice = fill(text, &[("text", &key_text(key))]);
        let extra = Extra::refused(StatusCode::CONFLICT, notice);
        page(self.console, self.frame, self.viewer, extra).await
    }

    fn done(&self, done: &str) -> Response {
        Redirect::to(&format!("{}/keys?done={done}", self.frame.base)).into_response()
    }

    /// Returns the page before the revocation of a key, or before the end of a rotation.
    async fn review(&self, action: Action) -> Result<Response, Refusal> {
        let (keys, index) = self.keys().await?;
        let (key, now, texts) = (&keys[index], self.now()?, &self.frame.t.keys);
        let name = name_of(self.frame, key);
        let filled = |text| fill(text, &[("name", name.as_str()), ("text", &key_text(key))]);
        let mut review = Review { class: "danger", back: "keys", ..Review::default() };
        if action == Action::Revoke {
            if !key.is_live(&now) {
                return self.stale(texts.stale, key).await;
            }
            review.title = filled(texts.revoke_title);
            review.lines = vec![filled(texts.revoke_review)];
            review.used = last_use(self.frame, key, texts.revoke_used);
            if review.used.is_none() {
                review.lines.push(texts.revoke_unused.to_owned());
            }
            review.action = format!("keys/{}/revoke", key.id);
            review.button = texts.revoke;
            return Ok(review.respond(self.frame, StatusCode::OK));
        }
        let Some(pair) = rotations(&keys, &now).into_iter().find(|pair| pair.old.id == key.id) else {
            return self.stale(texts.stale_rotation, key).await;
        };
        let client = pair.new.last_used_by.as_deref().map(|client| self.frame.client(client));
        if action == Action::Complete {
            review.class = "primary";
            review.title = filled(texts.complete_title);
            review.lines = vec![filled(texts.complete_review)];
            review.used = last_use(self.frame, key, texts.rotation_old_used);
            review.warning = client.is_none().then(|| texts.complete_unused.to_owned());
            review.action = format!("keys/{}/complete", key.id);
            review.button = texts.complete;
        } else {
            review.title = filled(texts.cancel_title);
            review.lines = vec![fill(texts.cancel_review, &[("text", &key_text(pair.new))])];
            review.warning = client.map(|client| fill(texts.cancel_used, &[("client", client)]));
            review.action = format!("keys/{}/cancel", key.id);
            review.button = texts.cancel_rotation;
        }
        Ok(review.respond(self.frame, StatusCode::OK))
    }

    async fn revoke(&self) -> Result<Response, Refusal> {
        let (keys, index) = self.keys().await?;
        if keys[index].revoked.is_some() {
            return self.stale(self.frame.t.keys.stale, &keys[index]).await;
        }
        self.console.app.store.revoke_key(&self.viewer.org, self.id, &self.viewer.actor()).await?;
        Ok(self.done("revoked"))
    }

    /// Ends the old key or the new key of a rotation.
    async fn end_rotation(&self, action: Action) -> Result<Response, Refusal> {
        let (keys, index) = self.keys().await?;
        let now = self.now()?;
        let Some(pair) = rotations(&keys, &now).into_iter().find(|pair| pair.old.id == self.id) else {
            return self.stale(self.frame.t.keys.stale_rotation, &keys[index]).await;
        };
        let (store, org, actor) = (&self.console.app.store, &self.viewer.org, self.viewer.actor());
        if action == Action::Complete {
            store.revoke_key(org, &pair.old.id, &actor).await?;
            return Ok(self.done("completed"));
        }
        pair.cancel(store, org, &actor).await?;
        Ok(self.done("cancelled"))
    }

    async fn rotation_page(&self, days: &str, fault: Option<&'static str>) -> Result<Response, Refusal> {
        let (keys, index) = self.keys().await?;
        let (key, texts) = (&keys[index], &self.frame.t.keys);
        let now = self.now()?;
        if !key.is_live(&now) {
            return self.stale(texts.stale, key).await;
        }
        if rotations(&keys, &now).iter().any(|pair| pair.old.id == self.id) {
            return self.stale(texts.rotation_runs, key).await;
        }
        let name = name_of(self.frame, key);
        let review = Review {
            title: fill(texts.rotate_title, &[("name", &name)]),
            lines: vec![texts.rotate_review.to_owned()],
            used: last_use(self.frame, key, texts.revoke_used),
            action: format!("keys/{}/rotate", key.id),
            hidden: vec![("form", new_form(&self.console.app)?)],
            days: Some((days.to_owned(), fault)),
            class: "primary",
            button: texts.rotate,
            back: "keys",
            ..Review::default()
        };
        let status = if fault.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
        Ok(review.respond(self.frame, status))
    }

    async fn rotate(&self, fields: &Fields) -> Result<Response, Refusal> {
        let (frame, texts, app) = (self.frame, &self.frame.t.keys, &self.console.app);
        let entered = fields.days.as_deref().unwrap_or(OVERLAP);
        let days = entered.trim().parse::<u64>().ok().filter(|days| *days <= MAX_OVERLAP);
        let Some(days) = days else {
            return self.rotation_page(entered, Some(texts.days_fault)).await;
        };
        let (before, index) = self.keys().await?;
        let repeatable = repeatable(app, self.viewer, &fields.form).await?;
        let overlap = Duration::from_hours(days * 24);
        let (org, actor) = (&self.viewer.org, self.viewer.actor());
        let rotated = app.store.rotate_key_once(org, self.id, overlap, repeatable, &app.pepper, &actor).await;
        let (key, record) = match rotated {
            Ok(rotated) => rotated.ok_or(Refusal::NotFound)?,
            Err(Error::Conflict(_)) => return self.stale(texts.stale, &before[index]).await,
            Err(error) => return Err(error.into()),
        };
        if before.iter().any(|known| known.id == record.id) {
            return page(self.console, frame, self.viewer, Extra::repeated(frame)).await;
        }
        let old = app.store.key(org, self.id).await?;
        let now = self.now()?;
        let is_live = old.as_ref().is_some_and(|old| old.is_live(&now));
        let rotation = old.filter(|_| is_live).and_then(|old| old.ends).map(|ends| frame.moment(&ends));
        let values = vec![("secret", texts.key, key.reveal().to_owned())];
        Ok(Shown { frame, title: texts.shown_key, values, rotation }.respond())
    }
}
