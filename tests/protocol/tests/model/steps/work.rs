//! Work on pending changes: a request on its own, a writer on one that stands in its way, the janitor on any.

use super::Turn;
use crate::{
    calls::bounds,
    faults::Fault,
    scenario::{Request, Scenario},
    state::{Answer, NONE, Pc, Process, Refusal, State, subject_of},
    table::{GROUP, Members, at, bit, ids, kind},
};
use protocol::item::Kind;

impl Turn<'_> {
    /// Waits until a change does not hold the group any more, and goes on at `back`.
    pub(crate) fn wait(&mut self, holder: u8, back: Pc) {
        let process = self.process();
        process.work = holder;
        process.back = back;
        process.pc = Pc::Wait;
    }

    pub(crate) fn waited(&mut self) {
        let change = self.process().work();
        let held = self.state.items.holder(self.request().subject()) == Some(change);
        match (held, self.state.items.has_header(change)) {
            (true, true) => self.pick(change as u8),
            // A restored backup lacks the header.
            (true, false) => self.go(Pc::Look),
            (false, _) => self.work_done(),
        }
    }

    /// Takes an abandoned change over.
    pub(crate) fn pick(&mut self, change: u8) {
        let until = self.state.items.until[usize::from(change)];
        let has_header = self.state.items.has_header(change.into());
        let is_tombstone = self.state.items.tombstones & (1 << change) != 0;
        let has_lease = !self.scenario.has(Fault::NoLease);
        let process = self.process();
        process.started = true;
        process.work = change;
        process.until = until;
        process.works_on_tombstone = is_tombstone;
        match (has_header, has_lease) {
            (true, true) => self.go(Pc::Lease),
            (true, false) => self.leased(Ok(())),
            (false, _) => self.go(Pc::Unlist),
        }
    }

    pub(crate) fn leased(&mut self, outcome: Result<(), Refusal>) {
        self.process().until = 0;
        if outcome.is_err() {
            if self.tries_again() {
                self.work_done();
            }
            return;
        }
        let is_tombstone = self.process().works_on_tombstone;
        self.go(if is_tombstone { Pc::ReadGroups } else { Pc::Look });
    }

    /// Reads the group of the change. The group alone says whether the change is committed.
    pub(crate) fn look(&mut self) {
        let change = self.process().work();
        let group = subject_of(self.scenario, change);
        let items = &self.state.items;
        let committed = match self.scenario.fault {
            Some(Fault::HeaderDecides) => items.committed & (1 << change) != 0,
            Some(Fault::ApplyUnseen) => true,
            _ => items.intent(group) == Some(change),
        };
        let reserved = items.reservation(group) == Some(change);
        let clean_by_age = self.scenario.has(Fault::CleanByAge);
        let process = self.process();
        process.item = u8::from(reserved);
        if clean_by_age {
            return self.delete_parts();
        }
        process.pc = if committed { Pc::ReadParts } else { Pc::TakeBack };
    }

    pub(crate) fn read_parts(&mut self) {
        let parts = self.state.items.parts[usize::from(self.process().work)];
        let process = self.process();
        process.operations = parts.stored();
        process.todo = parts.exist & !parts.applied;
        process.pc = Pc::Apply;
        self.after_part();
    }

    pub(crate) fn applied(&mut self, outcome: Result<(), Refusal>) {
        let process = self.process();
        match outcome {
            // The part is sent again without members that were deleted after the commit.
            Err(refusal) if !refusal.part => process.missing |= refusal.missing,
            _ => {
                process.todo &= !bit(process.item.into());
                process.missing = 0;
                self.after_part();
            }
        }
    }

    fn after_part(&mut self) {
        if self.process().todo == 0 {
            if let Some(Fault::PartsDeletedFirst) = self.scenario.fault {
                self.delete_parts();
            } else {
                self.process().item = 0;
                self.go(Pc::Finish);
            }
        }
    }

    pub(crate) fn finished(&mut self, outcome: Result<(), Refusal>) {
        if let Err(Refusal { header: true, subject: false, .. }) = outcome {
            // A restored backup lacks the header.
            self.process().item = 1;
            return;
        }
        match self.scenario.fault {
            Some(Fault::PartsDeletedFirst) => self.go(Pc::Clean),
            _ => self.delete_parts(),
        }
    }

    /// Deletes the parts. A request knows those of its own change.
    fn delete_parts(&mut self) {
        let process = self.process();
        if process.work == process.change {
            process.todo = bounds(process.members);
            process.pc = Pc::DeleteParts;
        } else {
            process.pc = Pc::ReadLeft;
        }
    }

    pub(crate) fn read_left(&mut self) {
        let parts = self.state.items.parts[usize::from(self.process().work)];
        let process = self.process();
        process.todo = parts.exist;
        process.pc = if parts.exist == 0 { Pc::Clean } else { Pc::DeleteParts };
    }

    pub(crate) fn part_deleted(&mut self) {
        let first = self.scenario.has(Fault::PartsDeletedFirst);
        let process = self.process();
        process.todo &= !bit(process.item.into());
        if process.todo == 0 {
            let intends = process.verdict == Answer::Done;
            process.pc = if first && intends { Pc::Finish } else { Pc::Clean };
        }
    }

    pub(crate) fn taken_back(&mut self, outcome: Result<(), Refusal>) {
        let own = self.process().work == self.process().change;
        match outcome {
            Ok(()) => self.delete_parts(),
            Err(refusal) if refusal.subject && own => {
                let work = self.process().work();
                if self.state.items.intent(subject_of(self.scenario, work)) == Some(work) {
                    // An attempt to commit it was carried out after all.
                    self.carry_on();
                } else {
                    self.work_done();
                }
            }
            Err(refusal) if refusal.subject => {
                if self.tries_again() {
                    self.go(Pc::Look);
                }
            }
            Err(_) if self.process().item != 0 => self.go(Pc::ReleaseLost),
            // Another process has removed the change.
            Err(_) => self.work_done(),
        }
    }

    pub(crate) fn reservation_released(&mut self, outcome: Result<(), Refusal>) {
        match outcome {
            Ok(()) => self.delete_parts(),
            Err(_) => self.work_done(),
        }
    }

    /// Goes on after the work on a change.
    pub(crate) fn work_done(&mut self) {
        if self.request() == Request::Janitor {
            return self.rest();
        }
        let process = self.process();
        if process.verdict != Answer::None {
            let verdict = process.verdict;
            return self.answer(verdict);
        }
        let lost_race = process.pc != Pc::Wait && process.work == process.change;
        process.pc = process.back;
        process.back = Pc::End;
        process.work = NONE;
        process.todo = 0;
        process.item = 0;
        process.works_on_tombstone = false;
        process.operations = Members::default();
        if lost_race && self.tries_again() {
            self.process().reserved = false;
            self.after_lost_race();
        }
    }

    /// Reads the groups that a deleted resource still has.
    pub(crate) fn read_groups(&mut self) {
        let subject = subject_of(self.scenario, self.process().work());
        let is_member = |group: &u16| self.state.items.reverse[at(*group)] & bit(subject) != 0;
        let groups = (GROUP..GROUP + 2).filter(is_member).fold(0, |mask, group| mask | bit(group));
        self.process().todo = groups;
        self.after_leave();
    }

    pub(crate) fn left(&mut self, outcome: Result<(), Refusal>) {
        if outcome.is_err() {
            // The group is deleted too, or another process has removed the edge.
            return self.go(Pc::LeaveDeleted);
        }
        let process = self.process();
        process.todo &= !bit(process.item.into());
        self.after_leave();
    }

    fn after_leave(&mut self) {
        let subject = subject_of(self.scenario, self.process().work());
        let pc = match (self.process().todo, kind(subject)) {
            (0, Kind::User) => Pc::Clean,
            (0, Kind::Group) => Pc::ReadMembers,
            _ => Pc::Leave,
        };
        self.go(pc);
    }

    pub(crate) fn read_members(&mut self) {
        let subject = subject_of(self.scenario, self.process().work());
        self.process().todo = self.state.items.edges[at(subject)];
        self.after_empty();
    }

    pub(crate) fn emptied(&mut self) {
        let process = self.process();
        process.todo &= !bit(process.item.into());
        self.after_empty();
    }

    fn after_empty(&mut self) {
        let pc = if self.process().todo == 0 { Pc::Clean } else { Pc::Empty };
        self.go(pc);
    }
}

/// Returns whether the wait of a process is over: the group is free, or the change is abandoned.
pub(crate) fn may_go_on(scenario: &Scenario, state: &State, number: usize) -> bool {
    let change = state.processes[number].work();
    let group = scenario.requests[number].subject();
    scenario.has(Fault::NoLease)
        || state.items.holder(group) != Some(change)
        || !state.items.has_header(change)
        || state.is_abandoned(change)
}

/// Returns the parts, groups or members that the next write of a process may be about.
pub(crate) fn choices(process: &Process) -> impl Iterator<Item = u16> + use<> {
    let todo = match process.pc {
        // The write is repeated.
        _ if process.unsure => 1 << process.item,
        // Parts are applied at the same time, so in any order.
        Pc::Apply => process.todo,
        Pc::DeleteParts | Pc::Leave | Pc::LeaveDeleted | Pc::Empty => {
            process.todo & process.todo.wrapping_neg()
        }
        _ => 1 << process.item,
    };
    ids(todo)
}
