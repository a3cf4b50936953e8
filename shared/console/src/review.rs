//! The page that shows a new secret once, and the page before a change.

use askama::Template;
use axum::{http::StatusCode, response::Response};

use crate::{
    clock::Moment,
    fields::{Entered, Faults},
    page::{Frame, show, show_as},
};

/// The page with a new secret.
#[derive(Template)]
#[template(path = "secret.html")]
pub(crate) struct Shown<'a> {
    pub(crate) frame: &'a Frame,
    pub(crate) title: &'static str,
    /// The id, the label and the text of each value.
    pub(crate) values: Vec<(&'static str, &'static str, String)>,
    /// The end of the old key, after a rotation.
    pub(crate) rotation: Option<Moment>,
}

impl Shown<'_> {
    pub(crate) fn respond(&self) -> Response {
        show(self)
    }
}

/// A change that a person reviews before it happens.
#[derive(Default)]
pub(crate) struct Review {
    pub(crate) title: String,
    /// The consequences of the change.
    pub(crate) lines: Vec<String>,
    /// A sentence about the last use, which ends with the time.
    pub(crate) used: Option<(String, Moment)>,
    pub(crate) warning: Option<String>,
    /// The path of the form below the base.
    pub(crate) action: String,
    pub(crate) hidden: Vec<(&'static str, String)>,
    /// The overlap of a rotation in days, and what is wrong with it.
    pub(crate) days: Option<(String, Option<&'static str>)>,
    /// The end of a secret.
    pub(crate) expiry: Option<(Entered, Faults)>,
    pub(crate) class: &'static str,
    pub(crate) button: &'static str,
    /// The path below the base to which the person goes back without a change.
    pub(crate) back: &'static str,
}

#[derive(Template)]
#[template(path = "review.html")]
struct ReviewPage<'a> {
    frame: &'a Frame,
    review: &'a Review,
}

impl Review {
    /// Returns the page of the review. The status says whether the form was refused.
    pub(crate) fn respond(&self, frame: &Frame, status: StatusCode) -> Response {
        show_as(status, &ReviewPage { frame, review: self })
    }
}
