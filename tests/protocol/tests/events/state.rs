//! The state of the model: a small table, the processes, a late copy, and what an observer knows who sees every call.

use protocol::events::{Head, LogicalTime};

/// The number of users. Their numbers are `0..USERS`.
pub(crate) const USERS: usize = 2;
/// The group.
pub(crate) const GROUP: usize = USERS;
/// The number of resources.
pub(crate) const RESOURCES: usize = USERS + 1;
/// The largest number of writers, the janitor among them.
pub(crate) const WRITERS: usize = 4;
/// The number of transactions with an event that one writer makes at most.
pub(crate) const SLOTS_EACH: usize = 3;
/// The number of transactions with an event.
pub(crate) const SLOTS: usize = WRITERS * SLOTS_EACH;
/// The largest number of events in one history.
pub(crate) const FEED: usize = 8;
/// The largest number of sequencers.
pub(crate) const SEQUENCERS: usize = 2;
/// The largest number of events that a sequencer moves at once.
pub(crate) const BATCH: usize = 3;

/// The number of a transaction with an event: writer × [`SLOTS_EACH`] + its number.
pub(crate) type Slot = u8;
/// Resources, or transactions, each as the bit at its number.
pub(crate) type Mask = u16;
/// An event id or a stamp: a logical time, and the slot as that which is random. 0 is before all ids.
pub(crate) type Id = u16;

/// Counters of one millisecond. The model derives fewer.
const COUNTERS: u16 = 16;
const SLOT_BITS: u16 = 4;

pub(crate) const fn bit(number: usize) -> Mask {
    1 << number
}

pub(crate) fn bits(mask: Mask) -> impl Iterator<Item = usize> + Clone {
    (0..16).filter(move |number| mask & bit(*number) != 0)
}

/// Returns the id of an event.
pub(crate) fn id(time: LogicalTime, slot: Slot) -> Id {
    ((time.millis as u16 * COUNTERS + time.counter + 1) << SLOT_BITS) | u16::from(slot)
}

/// Returns the time of an id.
pub(crate) fn time(id: Id) -> LogicalTime {
    let number = (id >> SLOT_BITS) - 1;
    LogicalTime { millis: (number / COUNTERS).into(), counter: number % COUNTERS }
}

/// A state.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct State {
    pub(crate) table: Table,
    pub(crate) writers: [Writer; WRITERS],
    pub(crate) sequencers: [Sequencer; SEQUENCERS],
    pub(crate) owner: Owner,
    /// The part of the head that a reader has read, and the sequence up to which it has read the feed.
    pub(crate) reader: Option<u8>,
    pub(crate) cursor: u8,
    /// A move of events whose answer was lost. DynamoDB may carry it out at any later moment.
    pub(crate) copy: Option<Move>,
    pub(crate) ghost: Ghost,
    /// Writers that may still die, and answers that may still be lost.
    pub(crate) crashes: u8,
    pub(crate) lost: u8,
}

/// The table.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Table {
    pub(crate) alive: Mask,
    pub(crate) stamps: [Id; RESOURCES],
    pub(crate) versions: [u8; RESOURCES],
    pub(crate) joins: [u8; RESOURCES],
    /// The members of the group.
    pub(crate) edges: Mask,
    pub(crate) intent: Option<Intent>,
    /// The writer that has reserved the group.
    pub(crate) reservation: Option<u8>,
    /// The user that is deleted and may still be a member, and the writer that deleted it.
    pub(crate) tombstone: Option<(u8, u8)>,
    /// The outbox: slots, and the id of each.
    pub(crate) outbox: Mask,
    pub(crate) ids: [Id; SLOTS],
    pub(crate) top: Top,
    /// The feed: slot + 1 by sequence - 1, or 0.
    pub(crate) feed: [u8; FEED],
}

/// A committed large change of members. Each member is a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Intent {
    pub(crate) writer: u8,
    /// The id of the commit's event.
    pub(crate) id: Id,
    pub(crate) unapplied: Mask,
}

/// The head of the feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct Top {
    pub(crate) sequence: u8,
    pub(crate) released: u8,
    pub(crate) review: bool,
    /// The number of destructive events that have passed since the owner released something.
    pub(crate) passed: u8,
}

impl Top {
    pub(crate) fn head(self) -> Head {
        Head { sequence: self.sequence.into(), released: self.released.into(), review: self.review }
    }

    pub(crate) fn with(self, head: Head) -> Self {
        let Head { sequence, released, review } = head;
        Self { sequence: sequence as u8, released: released as u8, review, ..self }
    }
}

/// The step of a writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Pc {
    /// Reserves the group.
    Reserve,
    /// Reads the resource, or the new members.
    Read,
    /// Reads the groups of a user that it deletes.
    ReadEdges,
    /// Writes the resource, or commits the change of members.
    Send,
    /// Writes the event outside of the transaction. Only planted faults do so.
    Tell,
    /// Applies a part.
    Part,
    /// Removes the intent.
    Finish,
    /// Takes a deleted user out of its group.
    Leave,
    /// The janitor between two changes.
    Idle,
    /// The end.
    End,
}

/// A writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Writer {
    pub(crate) pc: Pc,
    pub(crate) tries: u8,
    /// The id of the event of the write under way, or 0.
    pub(crate) id: Id,
    /// The greatest stamp that was read or returned by a refusal.
    pub(crate) floor: Id,
    pub(crate) version: u8,
    pub(crate) joins: u8,
    pub(crate) is_member: bool,
    /// The events of the resources that were read.
    pub(crate) seen: Mask,
    /// Whether the outcome of an earlier attempt is unknown, and whether it was carried out.
    pub(crate) unsure: bool,
    pub(crate) carried_out: bool,
    /// The writer whose change is worked on, and the parts that are left.
    pub(crate) work: u8,
    pub(crate) todo: Mask,
}

impl Writer {
    pub(crate) fn new(pc: Pc, number: usize) -> Self {
        Self {
            pc,
            tries: 0,
            id: 0,
            floor: 0,
            version: 0,
            joins: 0,
            is_member: false,
            seen: 0,
            unsure: false,
            carried_out: false,
            work: number as u8,
            todo: 0,
        }
    }
}

/// The step of a sequencer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) enum Pass {
    /// Waits for the bell.
    #[default]
    Idle,
    /// Reads the outbox.
    First,
    /// Reads the outbox again.
    Second,
    /// Reads the head.
    Head,
    /// Moves events.
    Move,
    /// Deletes moved events from the outbox. Only a planted fault does so.
    Forget,
}

/// A sequencer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct Sequencer {
    pub(crate) pass: Pass,
    pub(crate) top: Top,
    /// The last id that the reading has come to.
    pub(crate) at: Id,
    /// The slots that each reading has found.
    pub(crate) first: Mask,
    pub(crate) second: Mask,
}

/// A transaction that moves events from the outbox to the feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Move {
    /// The head that the sequencer has read.
    pub(crate) top: Top,
    /// Slot + 1, or 0.
    pub(crate) slots: [u8; BATCH],
}

/// The owner of the organisation, who releases held events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) enum Owner {
    /// Does nothing, or nothing yet.
    #[default]
    Idle,
    /// Has read the head.
    Decides(Top),
    /// Has ended the review.
    Done,
}

/// The knowledge of an observer.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Ghost {
    /// The transactions that changed something.
    pub(crate) committed: Mask,
    /// The events that each transaction saw: those of the resources that it has read, written or checked.
    pub(crate) saw: [Mask; SLOTS],
    /// The events of each resource.
    pub(crate) about: [Mask; RESOURCES],
    /// The last sequence that the owner released.
    pub(crate) allowed: u8,
    pub(crate) violation: Option<Violation>,
}

/// A violation that a later state does not show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Violation {
    /// An effect came into the feed before a cause.
    OutOfOrder,
    /// An event of the feed was overwritten.
    Rewritten,
    /// The head went back.
    WentBack,
    /// A reader was shown an event that was not released.
    Unreleased,
    /// A reader found no event at a sequence.
    Gap,
}

impl State {
    pub(crate) fn violate(&mut self, violation: Violation) {
        self.ghost.violation.get_or_insert(violation);
    }

    /// Returns the slots of the feed in their order.
    pub(crate) fn told(&self) -> impl Iterator<Item = usize> + Clone + '_ {
        self.table.feed.iter().filter_map(|slot| slot.checked_sub(1)).map(usize::from)
    }

    /// Returns the ids of events in their order.
    pub(crate) fn ids(&self, slots: Mask) -> Vec<Id> {
        let mut ids: Vec<Id> = bits(slots).map(|slot| self.table.ids[slot]).collect();
        ids.sort_unstable();
        ids
    }
}
