//! The snapshot: all users and groups with their members, in the form of events, page by page.
//!
//! The first page reads the position of the feed, and then the resources. A change that is committed later has its event
//! after that position. A product that applies the snapshot and then the feed from there has every change, and some of them
//! twice.

use std::{fmt, str::FromStr};

use scim::{ResourceKind, id::Id};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    acknowledgement::set_acknowledged,
    changes::View,
    directory::Directory,
    edges::edge_member,
    feed::{FeedHead, read_head},
    items::Stored,
    key_range::KeyRange,
    memberships::members_page,
};
use crate::{
    Error,
    event::{Change, Subject},
    limits::ANSWER_RESERVE,
};

/// The number of members in a line.
const MEMBERS_OF_LINE: usize = 1_000;
/// The number of bytes of a page after which it ends.
const PAGE_BYTES: usize = 1024 * 1024;
/// The number of resources that are read at once.
const READ: usize = 100;

/// A position in a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotPosition {
    /// The sequence number from which the feed continues.
    sequence: u64,
    /// The kind of the resources that follow.
    kind: ResourceKind,
    /// The last resource that was returned.
    after: Option<Id>,
    /// The last member of that group that was returned, if more members may follow.
    member: Option<Id>,
}

/// A page of a snapshot.
#[derive(Debug, Clone, PartialEq)]
pub struct SnapshotPage {
    /// The lines: changes that lead from nothing to the snapshot.
    pub lines: Vec<Value>,
    /// The sequence number from which the feed continues.
    pub sequence: u64,
    /// The position of the next page, or `None` at the end.
    pub next: Option<SnapshotPosition>,
}

impl fmt::Display for SnapshotPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = |id: &Option<Id>| id.as_ref().map(Id::to_string).unwrap_or_default();
        write!(f, "{}.{}.{}.{}", self.sequence, self.kind.as_str(), id(&self.after), id(&self.member))
    }
}

/// The error of a text that is not the position of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the text is not a position in a snapshot")]
pub struct ParsePositionError;

impl FromStr for SnapshotPosition {
    type Err = ParsePositionError;

    fn from_str(text: &str) -> Result<Self, ParsePositionError> {
        let [sequence, kind, after, member] =
            text.split('.').collect::<Vec<_>>().try_into().map_err(|_| ParsePositionError)?;
        let id = |text: &str| match text {
            "" => Ok(None),
            text => Id::parse(text).map(Some).ok_or(ParsePositionError),
        };
        Ok(Self {
            sequence: sequence.parse().map_err(|_| ParsePositionError)?,
            kind: ResourceKind::ALL
                .into_iter()
                .find(|known| known.as_str() == kind)
                .ok_or(ParsePositionError)?,
            after: id(after)?,
            member: id(member)?,
        })
    }
}

/// The lines of a page that is being read.
struct Lines {
    all: Vec<Value>,
    bytes: usize,
    /// The time at which the page ends.
    until: Instant,
}

impl Lines {
    fn push(&mut self, change: Change) {
        let Change { event_type, resource, after, members, .. } = change;
        let mut line = json!({ "type": event_type, "resource": resource });
        if let Some(after) = after {
            line["after"] = after;
        }
        if !members.is_empty() {
            line["members"] = json!(members);
        }
        self.bytes += line.to_string().len();
        self.all.push(line);
    }

    fn is_full(&self) -> bool {
        self.bytes >= PAGE_BYTES || Instant::now() >= self.until
    }
}

impl Directory {
    /// Returns a page of the snapshot: the first one, or the one at a position.
    ///
    /// # Errors
    /// [`Error::Conflict`] if events are held, because their changes are not to be told. [`Error::Unavailable`],
    /// [`Error::Throttled`].
    pub async fn snapshot(&self, position: Option<SnapshotPosition>) -> Result<SnapshotPage, Error> {
        let mut position = match position {
            Some(position) => position,
            None => self.start().await?,
        };
        let mut lines = Lines { all: Vec::new(), bytes: 0, until: self.table.deadline - ANSWER_RESERVE };
        let view = View::new(self);
        loop {
            let at_end = match position.kind {
                ResourceKind::User => self.users_of_snapshot(&mut position, &mut lines).await?,
                ResourceKind::Group => self.groups_of_snapshot(&view, &mut position, &mut lines).await?,
            };
            let next = match (at_end, position.kind) {
                (true, ResourceKind::Group) => None,
                (true, ResourceKind::User) => {
                    position = SnapshotPosition { kind: ResourceKind::Group, after: None, ..position };
                    Some(position.clone())
                }
                (false, _) => Some(position.clone()),
            };
            if next.is_none() || lines.is_full() {
                return Ok(SnapshotPage { lines: lines.all, sequence: position.sequence, next });
            }
        }
    }

    /// Returns the first position. A product that begins here knows all earlier events, so its first acknowledgement begins
    /// here too.
    async fn start(&self) -> Result<SnapshotPosition, Error> {
        let FeedHead { last, released, acknowledged } = read_head(self).await?;
        if released < last {
            return Err(Error::Conflict(
                "Events of this organisation are held, so there is no snapshot of what is released. Release the events, \
                 and repeat the request."
                    .to_owned(),
            ));
        }
        if acknowledged.is_none() && last > 0 {
            set_acknowledged(self, released).await?;
        }
        Ok(SnapshotPosition { sequence: released, kind: ResourceKind::User, after: None, member: None })
    }

    /// Adds users after the position. Returns whether there are no more.
    async fn users_of_snapshot(
        &self,
        position: &mut SnapshotPosition,
        lines: &mut Lines,
    ) -> Result<bool, Error> {
        let (users, at_end) = self.resources_after(ResourceKind::User, position.after.as_ref()).await?;
        for user in users {
            lines.push(Change::created(ResourceKind::User, &user.id, &user.document));
            position.after = Some(user.id);
            if lines.is_full() {
                return Ok(false);
            }
        }
        Ok(at_end)
    }

    /// Adds groups after the position with their members. Returns whether there are no more.
    async fn groups_of_snapshot(
        &self,
        view: &View<'_>,
        position: &mut SnapshotPosition,
        lines: &mut Lines,
    ) -> Result<bool, Error> {
        if let (Some(group), Some(_)) = (position.after.clone(), &position.member) {
            self.members_of_snapshot(view, &group, position, lines).await?;
            if lines.is_full() {
                return Ok(false);
            }
        }
        let (groups, at_end) = self.resources_after(ResourceKind::Group, position.after.as_ref()).await?;
        for group in groups {
            lines.push(Change::created(ResourceKind::Group, &group.id, &group.document));
            position.after = Some(group.id.clone());
            self.members_of_snapshot(view, &group.id, position, lines).await?;
            if lines.is_full() {
                return Ok(false);
            }
        }
        Ok(at_end)
    }

    /// Adds members of a group after the position, until the page is full or there are no more.
    async fn members_of_snapshot(
        &self,
        view: &View<'_>,
        group: &Id,
        position: &mut SnapshotPosition,
        lines: &mut Lines,
    ) -> Result<(), Error> {
        let after = position.member.take();
        let mut start = after.map(|member| self.keys.edge(group.as_str(), member.as_str()).attributes());
        let subject = Subject::unread(ResourceKind::Group, group);
        loop {
            let page = members_page(view, group, start, false, Some(MEMBERS_OF_LINE)).await?;
            let members = page.members.iter().map(|edge| &edge.member);
            for change in Change::members(&subject, members, std::iter::empty()) {
                lines.push(change);
            }
            let Some(next) = page.next else { return Ok(()) };
            if lines.is_full() {
                position.member = Some(edge_member(&next)?);
                return Ok(());
            }
            start = Some(next);
        }
    }

    async fn resources_after(
        &self,
        kind: ResourceKind,
        after: Option<&Id>,
    ) -> Result<(Vec<Stored>, bool), Error> {
        let partition = self.keys.resources(kind);
        let after = after.map(|id| partition.key(id.as_str()).attributes());
        let page = self.table.query(KeyRange::all(&partition).limit(READ).after(after)).await?;
        let resources = page.items.iter().map(Stored::from_item).collect::<Result<_, _>>()?;
        Ok((resources, page.next.is_none()))
    }
}
