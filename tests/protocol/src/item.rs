//! Items of the table of resources, without the attributes that the protocol does not depend on.
//!
//! Ids, versions and names are numbers. The model chooses them, and the replay numbers the texts that it meets.

use std::fmt::Debug;

/// The id of a resource, or a bound between ids.
pub type Id = u16;
/// The id of a pending change.
pub type Change = u16;
/// The version of a resource.
pub type Version = u16;
/// A time in milliseconds.
pub type Time = u64;

/// The kind of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A user.
    User,
    /// A group.
    Group,
}

/// A resource that is added to a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Member {
    /// Its kind.
    pub kind: Kind,
    /// Its id.
    pub id: Id,
}

/// The key of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// A user or group.
    Resource(Kind, Id),
    /// An index entry.
    Index(Entry),
    /// The number of resources of a kind.
    Count(Kind),
    /// A member of a group.
    Edge {
        /// The group.
        group: Id,
        /// The member.
        member: Id,
    },
    /// A group of a member.
    Reverse {
        /// The group.
        group: Id,
        /// The member.
        member: Id,
    },
    /// The header of a pending change.
    Header(Change),
    /// The entry of a pending change in the list of unfinished changes.
    Listed(Change),
    /// The part of a pending change that begins at this bound.
    Part(Change, Id),
    /// A key that no item has. Its deletion does nothing but use a token up.
    Nothing,
}

/// An index entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Entry {
    /// The number of the entry.
    pub number: u16,
    /// Whether only one resource may have it.
    pub unique: bool,
}

/// The members that a change adds and removes.
pub trait Difference: Debug + Clone + PartialEq {
    /// Returns the members that are added.
    fn adds(&self) -> impl Iterator<Item = Member>;
    /// Returns the members that are removed.
    fn removes(&self) -> impl Iterator<Item = Id>;
}

/// An item.
#[derive(Debug, Clone, PartialEq)]
pub enum Item<D> {
    /// A user or group.
    Resource(Resource),
    /// The header of a pending change.
    Header(Header),
    /// A part of a pending change.
    Part(Part<D>),
    /// A number of resources.
    Count(i64),
    /// An item whose key says everything: an edge, an index entry, an entry of the list of unfinished changes.
    Plain,
}

/// A user or group. A user has neither intent, reservation nor finished change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Resource {
    /// Changes with every write of the resource, and of a group's members.
    pub version: Version,
    /// How many times the resource was added to a group.
    pub joins: u64,
    /// The committed change that is not finished.
    pub intent: Option<Change>,
    /// The change for which a request reserves the group.
    pub reservation: Option<Change>,
    /// The last change that was finished.
    pub finished: Option<Change>,
}

/// The kind of a pending change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChangeKind {
    /// A change of a group's members.
    Members,
    /// The tombstone of a resource.
    Deleted(Kind),
}

/// The header of a pending change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The kind.
    pub kind: ChangeKind,
    /// The group whose members change, or the deleted resource.
    pub subject: Id,
    /// When the change stops belonging to the process that works on it.
    pub until: Time,
    /// Whether the parts have no effect any more.
    pub discarded: bool,
}

/// A part of a change of members: the operations on the members from its lower bound, which is in its key.
#[derive(Debug, Clone, PartialEq)]
pub struct Part<D> {
    /// The lower bound of the next part.
    pub up_to: Option<Id>,
    /// The operations.
    pub difference: D,
    /// Whether the edges have been written.
    pub applied: bool,
}
