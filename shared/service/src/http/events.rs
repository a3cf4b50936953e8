//! The feed of an organisation's events, for the product: `/events/v1`, beside `/v2`.
//!
//! A key with the scope `read` reads the feed, the snapshot from which a product begins, and acknowledges events.

use axum::{
    body::Body,
    extract::State,
    http::{
        HeaderValue, Method, StatusCode,
        header::{CONTENT_TYPE, LINK},
    },
    response::{IntoResponse, Response},
    routing,
};
use scim::Invalid;
use serde_json::{Map, Value, json};
use tokio::time::{Duration, Instant, sleep};

use super::{
    base_path::root_url,
    parameters::Parameters,
    request::{BaseUrl, Json, PublicBase, ReadCaller},
    response::with_body,
    route::Route,
};
use crate::{
    App, Error,
    event::{Event, FEED_PATH},
    limits::COMMIT_RESERVE,
    store::{Directory, FEED_PAGE, FeedPage, SnapshotPosition},
};

const SNAPSHOT_PATH: &str = "/events/v1/snapshot";
const ACKNOWLEDGEMENT_PATH: &str = "/events/v1/ack";

/// The number of events in a page if the client does not give a `limit`.
const DEFAULT_LIMIT: i64 = 100;
/// The longest time that a request waits for an event.
const LONGEST_WAIT: Duration = Duration::from_secs(20);
/// The time between two readings while a request waits: one read unit each.
const BETWEEN_READINGS: Duration = Duration::from_millis(500);
/// The longest body of an acknowledgement, in bytes.
const ACKNOWLEDGEMENT_BODY: usize = 64 * 1024;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::new(Method::GET, FEED_PATH, routing::get(feed)),
        Route::new(Method::GET, SNAPSHOT_PATH, routing::get(snapshot)),
        Route::new(Method::POST, ACKNOWLEDGEMENT_PATH, routing::post(acknowledge)),
    ]
}

async fn feed(
    State(app): State<App>,
    ReadCaller(caller): ReadCaller,
    BaseUrl(base): BaseUrl,
    gateway: Option<axum::Extension<PublicBase>>,
    parameters: Parameters,
) -> Result<Response, Error> {
    let after = parameters.whole_number("after")?.unwrap_or(0);
    let after = u64::try_from(after).map_err(|_| {
        Invalid::value("The query parameter 'after' is negative. Send 0 to begin at the first event.")
    })?;
    let limit = parameters.whole_number("limit")?.unwrap_or(DEFAULT_LIMIT);
    let limit = usize::try_from(limit).unwrap_or_default().clamp(1, FEED_PAGE);
    let wait = parameters.whole_number("wait")?.unwrap_or(0);
    let wait = Duration::from_secs(u64::try_from(wait).unwrap_or_default()).min(LONGEST_WAIT);
    let until = (Instant::now() + wait).min(caller.deadline() - COMMIT_RESERVE);
    let directory = app.store.directory(&caller);
    match read_until(&directory, after, limit, until).await? {
        FeedPage::Events { events, last } => Ok(page(&events, last)),
        FeedPage::Gone => {
            let snapshot = format!("{}{SNAPSHOT_PATH}", root_url(&base, gateway.is_some()));
            let mut response = Error::Gone(
                "The events after this sequence number are not kept any more. Read the snapshot at \
                 /events/v1/snapshot, and continue from its sequence number."
                    .to_owned(),
            )
            .into_response();
            if let Ok(link) = HeaderValue::from_str(&format!("<{snapshot}>; rel=\"snapshot\"")) {
                response.headers_mut().insert(LINK, link);
            }
            Ok(response)
        }
    }
}

/// Reads the feed until it has an event, or until that time.
async fn read_until(
    directory: &Directory,
    after: u64,
    limit: usize,
    until: Instant,
) -> Result<FeedPage, Error> {
    loop {
        let page = directory.feed(after, limit).await?;
        let is_empty = matches!(&page, FeedPage::Events { events, .. } if events.is_empty());
        if !is_empty || Instant::now() + BETWEEN_READINGS > until {
            return Ok(page);
        }
        sleep(BETWEEN_READINGS).await;
    }
}

fn page(events: &[Event], last: u64) -> Response {
    with_type("application/json", json!({ "events": events, "last": last }).to_string())
}

async fn snapshot(
    State(app): State<App>,
    ReadCaller(caller): ReadCaller,
    parameters: Parameters,
) -> Result<Response, Error> {
    let position = parameters.one("cursor")?.map(str::parse::<SnapshotPosition>).transpose();
    let position = position.map_err(|_| {
        Invalid::value(
            "The query parameter 'cursor' is not one of a snapshot. Read the snapshot from the beginning.",
        )
    })?;
    let page = app.store.directory(&caller).snapshot(position).await?;
    let mut end = json!({ "type": "snapshot", "sequence": page.sequence });
    if let Some(next) = &page.next {
        end["next"] = json!(next.to_string());
    }
    let lines: Vec<String> = page.lines.iter().chain([&end]).map(|line| format!("{line}\n")).collect();
    Ok(with_type("application/x-ndjson", lines.concat()))
}

async fn acknowledge(
    State(app): State<App>,
    ReadCaller(caller): ReadCaller,
    Json(body): Json<ACKNOWLEDGEMENT_BODY>,
) -> Result<Response, Error> {
    let (sequence, ended) = acknowledgement(&body)?;
    let acknowledged = app.store.directory(&caller).acknowledge(sequence, ended).await?;
    Ok(with_type("application/json", json!({ "acknowledged": acknowledged }).to_string()))
}

/// The sequence number of an acknowledgement, and what the product has ended.
type Acknowledgement<'a> = (u64, Option<&'a Map<String, Value>>);

fn acknowledgement(body: &Value) -> Result<Acknowledgement<'_>, Invalid> {
    let sequence = body.get("seq").and_then(Value::as_u64).ok_or_else(|| {
        Invalid::value(
            "The attribute 'seq' is not a sequence number. Send that of the last event that was applied.",
        )
    })?;
    let ended = match body.get("ended") {
        None | Some(Value::Null) => None,
        Some(Value::Object(ended)) => Some(ended),
        Some(_) => {
            return Err(Invalid::value(
                "The attribute 'ended' is not an object. Send the numbers of sessions, tokens and keys that were ended.",
            ));
        }
    };
    Ok((sequence, ended))
}

fn with_type(content_type: &'static str, body: String) -> Response {
    let mut response = with_body(StatusCode::OK, Body::from(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acknowledgement_needs_a_sequence_number() {
        for body in
            [json!({}), json!({"seq": -1}), json!({"seq": "1"}), json!([]), json!({"seq": 1, "ended": 3})]
        {
            assert!(acknowledgement(&body).is_err(), "{body}");
        }
        let body = json!({"seq": 7, "ended": {"sessions": 2}});
        let (sequence, ended) = acknowledgement(&body).expect("a valid body");
        assert_eq!((sequence, ended.map(Map::len)), (7, Some(1)));
    }
}
