//! Scenarios: which writers run at once, on which data, and how much may go wrong.

use crate::{
    faults::Fault,
    state::{BATCH, GROUP, Mask, RESOURCES, SEQUENCERS, SLOTS_EACH, bit},
};

/// The request of a writer. The group is always the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Request {
    /// Creates a user, without a read.
    Create(usize),
    /// Reads a user or the group, and changes its document under the version that was read.
    Update(usize),
    /// Deletes a user with its membership, in one transaction.
    Delete(usize),
    /// Deletes a user, and its membership in a second transaction.
    DeleteLarge(usize),
    /// Adds a user to the group, without a read.
    Add(usize),
    /// Removes a user from the group, without a read.
    Remove(usize),
    /// Adds users by a draft, a commit and a part for each.
    AddLarge(Mask),
    /// Reserves the group, reads it and writes it in whatever version.
    PutReserved,
    /// Finishes what dead writers have left.
    Janitor,
}

impl Request {
    /// Returns the resource whose version the writer compares.
    pub(crate) fn reads(self) -> Option<usize> {
        match self {
            Self::Update(resource) => Some(resource),
            Self::Delete(user) | Self::DeleteLarge(user) => Some(user),
            _ => None,
        }
    }
}

/// The action of the organisation's owner on held events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Release {
    /// Nothing.
    #[default]
    Never,
    /// Releases what is held, as often as something is.
    Always,
    /// Begins a review.
    BeginningOfReview,
    /// Ends the review.
    EndOfReview,
}

/// An order of two events that the rules do not promise, within the difference of two clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exception {
    /// The deletion of a user follows its addition to a group just before. Its removal from the group follows always.
    DeletionAfterAddition,
    /// The event of a part follows the changes that its new members have seen since the commit. Its place is at the commit.
    ChangeDuringLargeChange,
}

/// A model to explore.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// The resources that exist, and the members of the group.
    pub(crate) alive: Mask,
    pub(crate) edges: Mask,
    pub(crate) requests: Vec<Request>,
    /// Each reading of a clock is any number below this one, so that clocks differ and jump.
    pub(crate) clocks: u8,
    pub(crate) sequencers: usize,
    /// The number of events that a reading finds at most, and that a transaction moves.
    pub(crate) page: u32,
    pub(crate) batch: usize,
    /// Whether a sequencer goes on with what it has read after it has moved a part of it.
    pub(crate) keeps_reading: bool,
    /// The number of destructive events that the brake lets pass.
    pub(crate) brake: Option<usize>,
    pub(crate) review: bool,
    pub(crate) release: Release,
    pub(crate) reader: bool,
    pub(crate) crashes: u8,
    pub(crate) lost: u8,
    /// Whether the janitor takes changes of live writers for abandoned.
    pub(crate) slow: bool,
    pub(crate) fault: Option<Fault>,
    /// An order that is demanded although the rules do not promise it.
    pub(crate) promised: Option<Exception>,
}

impl Scenario {
    /// Makes a scenario with both users, the group and these members.
    pub(crate) fn new(name: &'static str, members: &[usize], requests: &[Request]) -> Self {
        Self {
            name,
            alive: bit(RESOURCES) - 1,
            edges: mask(members),
            requests: requests.to_vec(),
            clocks: 2,
            sequencers: 1,
            page: BATCH as u32,
            batch: BATCH,
            keeps_reading: false,
            brake: None,
            review: false,
            release: Release::Never,
            reader: false,
            crashes: 0,
            lost: 0,
            slow: false,
            fault: None,
            promised: None,
        }
    }

    pub(crate) fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    pub(crate) fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    /// Returns whether an event takes something from a person.
    pub(crate) fn is_destructive(&self, slot: usize) -> bool {
        matches!(
            self.requests[slot / SLOTS_EACH],
            Request::Delete(_) | Request::DeleteLarge(_) | Request::Remove(_)
        )
    }

    /// Returns whether a writer waits for the change that holds the group.
    pub(crate) fn waits(&self, number: usize) -> bool {
        matches!(
            self.requests[number],
            Request::Add(_)
                | Request::Remove(_)
                | Request::AddLarge(_)
                | Request::PutReserved
                | Request::Update(GROUP)
        )
    }
}

/// Makes a scenario with two sequencers.
pub(crate) fn two_sequencers(scenario: &mut Scenario) {
    scenario.sequencers = SEQUENCERS;
}

/// Returns the mask of some resources.
pub(crate) fn mask(of: &[usize]) -> Mask {
    of.iter().fold(0, |mask, number| mask | bit(*number))
}
