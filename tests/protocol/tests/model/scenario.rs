//! Scenarios: which requests run at once, on which data, and how much may go wrong.

use protocol::{
    action::Table,
    item::{Entry, Id, Item, Key, Part},
};

use crate::{
    faults::Fault,
    table::{IDS, Items, Mask, Members, bit, ids, kind},
};

/// A process: a client's request, or the janitor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Request {
    /// Adds and removes members by id.
    Edit { group: Id, add: Mask, remove: Mask },
    /// Replaces the members of a group. With `if_match`, only in the version that the request reads first.
    Put { group: Id, members: Mask, if_match: bool },
    /// Creates a user, or a group with members.
    Create { id: Id, members: Mask },
    /// Changes the document of a user.
    Modify { id: Id },
    /// Deletes a user or group.
    Delete { id: Id },
    /// Reads a group with its members.
    GetGroup { group: Id },
    /// Reads users with their groups.
    GetUsers { users: Mask },
    /// Finishes what others have left.
    Janitor,
}

impl Request {
    /// Returns the resource that the request is about.
    pub(crate) const fn subject(self) -> Id {
        match self {
            Self::Edit { group, .. } | Self::Put { group, .. } | Self::GetGroup { group } => group,
            Self::Create { id, .. } | Self::Modify { id } | Self::Delete { id } => id,
            Self::GetUsers { users } => users.trailing_zeros() as Id,
            Self::Janitor => 0,
        }
    }

    pub(crate) const fn is_reader(self) -> bool {
        matches!(self, Self::GetGroup { .. } | Self::GetUsers { .. })
    }
}

/// The bounds of an exploration. Each number is how often something happens in one history.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// Processes that die.
    pub(crate) crashes: u8,
    /// Answers that are lost. The attempt is carried out, or delayed, or never arrives.
    pub(crate) lost: u8,
    /// Requests that end early and leave their change to others.
    pub(crate) deadlines: u8,
    /// Changes that are taken for abandoned while their request is alive: clocks apart, or a suspended process.
    pub(crate) slow: u8,
    /// Refused writes and repeated reads of one request. After that it answers 503.
    pub(crate) tries: u8,
}

/// A model to explore.
#[derive(Debug, Clone)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) items: Items,
    pub(crate) requests: Vec<Request>,
    pub(crate) bounds: Bounds,
    /// The number of members that fit into one transaction beside the group.
    pub(crate) fits: u32,
    /// The number of parts that fit into one transaction.
    pub(crate) parts: usize,
    /// The name of each resource, as the number of its index entry.
    pub(crate) names: [u16; IDS],
    /// Whether a page of edges may show a transaction in part.
    pub(crate) torn: bool,
    /// Whether the table is a restored backup, which may lack headers.
    pub(crate) is_restored: bool,
    pub(crate) fault: Option<Fault>,
}

impl Scenario {
    /// Makes a scenario on a table with these resources and members.
    pub(crate) fn new(name: &'static str, alive: Mask, edges: [Mask; 2], requests: &[Request]) -> Self {
        let mut items = Items { alive, edges, reverse: edges, ..Items::default() };
        for id in ids(alive) {
            items.counts[kind(id) as usize] += 1;
            items.names |= 1 << id;
            items.joins[usize::from(id)] = edges.iter().map(|members| members >> id & 1).sum();
        }
        Self {
            name,
            items,
            requests: requests.to_vec(),
            bounds: Bounds { tries: 4, ..Bounds::default() },
            fits: 1,
            parts: 4,
            names: [0, 1, 2, 3, 4],
            torn: false,
            is_restored: false,
            fault: None,
        }
    }

    pub(crate) fn crashes(mut self, crashes: u8) -> Self {
        self.bounds.crashes = crashes;
        self
    }

    pub(crate) fn lost(mut self, lost: u8) -> Self {
        self.bounds.lost = lost;
        self
    }

    pub(crate) fn deadlines(mut self, deadlines: u8) -> Self {
        self.bounds.deadlines = deadlines;
        self
    }

    pub(crate) fn slow(mut self, slow: u8) -> Self {
        self.bounds.slow = slow;
        self
    }

    pub(crate) fn fits(mut self, fits: u32) -> Self {
        self.fits = fits;
        self
    }

    pub(crate) fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// Lets the first group name a change whose header is lost: a committed one that adds users 0 and 1, or a reservation.
    pub(crate) fn restore(&mut self, change: u8, committed: bool) {
        if committed {
            self.items.intent[0] = change + 1;
            for (lower, up_to) in [(0, Some(1)), (1, None)] {
                let difference = Members { add: bit(lower), remove: 0 };
                let part = Part { up_to, difference, applied: false };
                self.items.set(Key::Part(change.into(), lower), Some(Item::Part(part)));
            }
        } else {
            self.items.reservation[0] = change + 1;
        }
        self.is_restored = true;
    }

    /// Returns the index entry of a resource.
    pub(crate) fn entry(&self, id: Id) -> Entry {
        Entry { number: self.names[usize::from(id)], unique: true }
    }

    pub(crate) fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }
}

/// Returns the mask of some ids.
pub(crate) fn mask(of: &[Id]) -> Mask {
    of.iter().fold(0, |mask, id| mask | bit(*id))
}
