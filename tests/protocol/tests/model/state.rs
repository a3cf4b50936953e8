//! The state of the model: the table, the processes, copies under way, and what should be there.

use std::hash::{Hash, Hasher};

use protocol::item::{Change, Id};

use crate::{
    scenario::Scenario,
    table::{CHANGES, Items, Mask, Members},
};

/// The largest number of processes.
pub(crate) const PROCESSES: usize = 4;
/// No change.
pub(crate) const NONE: u8 = u8::MAX;
/// The number of changes that one process may begin.
pub(crate) const CHANGES_EACH: usize = 2;

/// A state.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct State {
    pub(crate) items: Items,
    pub(crate) processes: [Process; PROCESSES],
    pub(crate) copy: Option<Copy>,
    pub(crate) ghost: Ghost,
    /// The faults that may still happen.
    pub(crate) left: Left,
    /// The process that holds the lease of each change, + 1. 0 is the process that began it.
    pub(crate) lessee: [u8; CHANGES],
    /// Changes that are taken for abandoned although their process is alive.
    pub(crate) slow: u8,
}

/// The faults that may still happen in a history.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Left {
    pub(crate) crashes: u8,
    pub(crate) lost: u8,
    pub(crate) deadlines: u8,
    pub(crate) slow: u8,
}

/// A copy of an attempt that may be carried out at any later moment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Copy {
    pub(crate) process: u8,
    /// The process when it made the attempt.
    pub(crate) sender: Process,
    /// Whether the process still repeats the attempt.
    pub(crate) current: bool,
}

/// The expected contents, as an observer knows who sees every call.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Ghost {
    pub(crate) alive: Mask,
    pub(crate) members: [Mask; 2],
    /// The requests that have taken effect, as bits.
    pub(crate) effective: u8,
    /// The violation.
    pub(crate) violation: Option<Violation>,
}

/// A violation of what is promised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Violation {
    /// A request took effect twice.
    Twice,
    /// A request took effect after it was refused.
    AfterRefusal,
    /// A request was answered with success and has not taken effect.
    Unacknowledged,
    /// A request changed nothing, and the members are not as it asked.
    Unchanged,
    /// A response shows what never was.
    Response,
    /// A reader reads all again although nothing has changed.
    Stuck,
    /// A request with `If-Match` overwrote another version.
    Overwritten,
}

/// The step of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) enum Pc {
    /// Reads the resource that the request is about.
    #[default]
    ReadSubject,
    /// Reads what the write depends on.
    ReadRest,
    /// Writes in one transaction.
    Write,
    /// Writes header and parts.
    Draft,
    /// Writes further parts.
    More,
    /// Commits the change.
    Commit,
    /// Reserves the group.
    Reserve,
    /// Removes the reservation.
    Release,
    /// Waits for the end of the change that holds the group.
    Wait,
    /// Takes the change over.
    Lease,
    /// Reads the group of the change.
    Look,
    /// Reads the parts.
    ReadParts,
    /// Applies a part.
    Apply,
    /// Removes the intent.
    Finish,
    /// Takes the change back.
    TakeBack,
    /// Reads the parts that are left.
    ReadLeft,
    /// Deletes parts.
    DeleteParts,
    /// Deletes the header.
    Clean,
    /// Deletes an entry of the list without a header.
    Unlist,
    /// Removes a reservation without a header.
    ReleaseLost,
    /// Reads the groups of a deleted resource.
    ReadGroups,
    /// Leaves a group.
    Leave,
    /// Leaves a group that does not exist any more.
    LeaveDeleted,
    /// Reads the members of a deleted group.
    ReadMembers,
    /// Removes members of a deleted group.
    Empty,
    /// Reads for a response.
    Gather,
    /// Reads what the pending changes do to the response.
    Resolve,
    /// Reads once more.
    Confirm,
    /// The janitor between two changes.
    Idle,
    /// The end.
    End,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) enum Answer {
    /// There is no answer yet.
    #[default]
    None,
    /// Success.
    Done,
    /// An error that says that nothing was changed.
    Refused,
    /// 503: the request may have taken effect.
    Unavailable,
    /// The process died.
    Dead,
}

/// A process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pc: Pc,
    /// Where the process goes on after it worked on a change.
    pub(crate) back: Pc,
    pub(crate) answer: Answer,
    /// The answer that the process gives after its work. [`Answer::None`] if it goes on.
    pub(crate) verdict: Answer,
    pub(crate) started: bool,
    /// The number of the change that the process began last, and whether it reserves the group.
    pub(crate) change: u8,
    pub(crate) reserved: bool,
    /// The change that it works on or waits for, and the end of its lease.
    pub(crate) work: u8,
    pub(crate) until: u8,
    /// The number of refused writes and repeated reads, and of lost races.
    pub(crate) tries: u8,
    pub(crate) lost: u8,
    /// The version (0: none, 1: another one by now, 2: still the version) and the number of joins that were read.
    pub(crate) version: u8,
    pub(crate) joins: u8,
    /// The difference to write.
    pub(crate) members: Members,
    /// The operations of the change that the process applies.
    pub(crate) operations: Members,
    /// The ids that are left to read, or to write.
    pub(crate) todo: u8,
    /// The part, group or member of the write under way.
    pub(crate) item: u8,
    /// Members that do not exist any more.
    pub(crate) missing: Mask,
    /// Whether a deletion leaves a tombstone, and whether the change that the process works on is one.
    pub(crate) tombstone: bool,
    pub(crate) works_on_tombstone: bool,
    /// Whether the outcome of an earlier attempt is unknown, and whether it was carried out.
    pub(crate) unsure: bool,
    pub(crate) carried_out: bool,
    /// The refusal that the process acts on once the token is used up.
    pub(crate) refusal: Option<Refusal>,
    pub(crate) seen: Seen,
}

/// The facts that a reader has read, and the answers that it may give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Seen {
    /// The members that the group of a reader of a group may have, each as a bit.
    pub(crate) possible: u32,
    /// The users in each group that a reader of users may show.
    pub(crate) may_show: [MayShow; 2],
    /// Whether the subject did not exist at some time.
    pub(crate) gone: bool,
    /// Whether the table has changed since the reader began to read.
    pub(crate) changed: bool,
    /// The edges.
    pub(crate) edges: [Mask; 2],
    /// Deleted resources, by their tombstones.
    pub(crate) deleted: Mask,
    /// Headers of changes of members, and the changes that have ended while the reader read.
    pub(crate) headers: u8,
    pub(crate) ended: u8,
    /// Committed changes with a part that was not there. They have ended if it is not there the next time.
    pub(crate) uncovered: u8,
    /// The group when it was read first.
    pub(crate) intent: u8,
    pub(crate) finished: u8,
    pub(crate) version: u8,
    /// Headers of changes that have ended.
    pub(crate) discarded: u8,
    /// The knowledge of the reader about a pending change.
    pub(crate) is_open: bool,
    pub(crate) covers: bool,
    pub(crate) part: Members,
    /// The members that the parts name.
    pub(crate) parts: [Members; 2],
    /// Members that only parts add, and that do not exist.
    pub(crate) absent: Mask,
}

/// The users in a group that a response may show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct MayShow {
    /// The users that may be shown as members, and those that may be left out.
    pub(crate) members: Mask,
    pub(crate) others: Mask,
    /// The operations of the committed changes whose headers or groups the reader has read. All of them are shown.
    pub(crate) committed: Members,
}

/// Why a transaction was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Refusal {
    /// Whether the condition on the subject failed, and the change that holds it.
    pub(crate) subject: bool,
    pub(crate) gone: bool,
    pub(crate) holder: u8,
    /// Members that do not exist.
    pub(crate) missing: Mask,
    /// Edges that are as requested already, or not there.
    pub(crate) edges: Mask,
    /// Whether the header, the part or the index entry failed.
    pub(crate) header: bool,
    pub(crate) part: bool,
    pub(crate) entry: bool,
}

/// Most processes have ended or are no readers, and hashing takes much of the time.
impl Hash for Process {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        (self.pc, self.answer).hash(hasher);
        if self.pc == Pc::End {
            return;
        }
        let flags = [
            self.started,
            self.reserved,
            self.tombstone,
            self.works_on_tombstone,
            self.unsure,
            self.carried_out,
            self.seen != Seen::default(),
        ];
        let flags = flags.iter().fold(0, |flags: u8, flag| flags << 1 | u8::from(*flag));
        let numbers = [
            flags,
            self.change,
            self.work,
            self.until,
            self.tries,
            self.lost,
            self.version,
            self.joins,
            self.members.add,
            self.members.remove,
            self.operations.add,
            self.operations.remove,
            self.todo,
            self.item,
            self.missing,
        ];
        numbers.hash(hasher);
        (self.back, self.verdict, self.refusal).hash(hasher);
        if self.seen != Seen::default() {
            self.seen.hash(hasher);
        }
    }
}

impl Process {
    pub(crate) fn new(pc: Pc) -> Self {
        Self {
            pc,
            back: Pc::End,
            answer: Answer::None,
            verdict: Answer::None,
            started: false,
            change: NONE,
            reserved: false,
            work: NONE,
            until: 0,
            tries: 0,
            lost: 0,
            version: 0,
            joins: NONE,
            members: Members::default(),
            operations: Members::default(),
            todo: 0,
            item: 0,
            missing: 0,
            tombstone: false,
            works_on_tombstone: false,
            unsure: false,
            carried_out: false,
            refusal: None,
            seen: Seen::default(),
        }
    }

    pub(crate) fn work(&self) -> Change {
        self.work.into()
    }

    /// Ends the process.
    pub(crate) fn end(&mut self, answer: Answer) {
        *self = Self { answer, ..Self::new(Pc::End) };
        self.started = true;
    }
}

impl State {
    /// Returns the process that works on a change.
    pub(crate) fn owner(&self, change: Change) -> usize {
        match self.lessee[usize::from(change)] {
            0 => usize::from(change) / CHANGES_EACH,
            lessee => usize::from(lessee) - 1,
        }
    }

    /// Returns whether a change is taken for abandoned: its time has passed.
    pub(crate) fn is_abandoned(&self, change: Change) -> bool {
        let owner = &self.processes[self.owner(change)];
        let works_on_it = u16::from(owner.change) == change || u16::from(owner.work) == change;
        self.slow & (1 << change) != 0 || owner.pc == Pc::End || !works_on_it
    }
}

/// Returns the first change of a process.
pub(crate) fn first_change(process: usize) -> u8 {
    (process * CHANGES_EACH) as u8
}

/// Returns the group whose members the change of a process changes.
pub(crate) fn subject_of(scenario: &Scenario, change: Change) -> Id {
    scenario.requests[usize::from(change) / CHANGES_EACH].subject()
}
