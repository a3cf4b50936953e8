//! The overview: whether the identity provider works, and its requests.

use askama::Template;
use axum::{Router, response::Response, routing};

use crate::{
    Console,
    access::Viewer,
    page::{Frame, show},
};

pub(crate) fn routes() -> Router<Console> {
    Router::new().route("/console/overview", routing::get(overview))
}

#[derive(Template)]
#[template(path = "overview.html")]
struct OverviewPage {
    frame: Frame,
}

async fn overview(viewer: Viewer, frame: Frame) -> Response {
    let frame = frame.of(viewer, "overview");
    show(&OverviewPage { frame })
}
