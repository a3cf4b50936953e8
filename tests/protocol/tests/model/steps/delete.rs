//! Deletions.

use super::Turn;
use crate::{
    state::{Answer, NONE, Pc, Refusal},
    table::{GROUP, Members, at, bit, kind},
};
use protocol::item::Kind;

/// The reads before a deletion in one transaction.
const GROUPS: u8 = 1;
const MEMBERS: u8 = 2;

impl Turn<'_> {
    /// Reads the memberships, unless the deletion leaves a tombstone.
    pub(crate) fn plan_deletion(&mut self) {
        let subject = self.request().subject();
        if self.process().tombstone {
            return self.leave_tombstone();
        }
        self.process().todo = GROUPS | if kind(subject) == Kind::Group { MEMBERS } else { 0 };
        self.go(Pc::ReadRest);
    }

    fn leave_tombstone(&mut self) {
        self.process().tombstone = true;
        self.process().todo = 0;
        if self.process().change != NONE || self.next_change() {
            self.go(Pc::Write);
        }
    }

    pub(crate) fn read_before_deletion(&mut self, read: u8) {
        let subject = self.request().subject();
        let items = self.state.items;
        let process = self.process();
        process.todo &= !read;
        if read == GROUPS {
            let is_member = |group: &u16| items.reverse[at(*group)] & bit(subject) != 0;
            process.seen.edges[0] =
                (GROUP..GROUP + 2).filter(is_member).fold(0, |mask, group| mask | bit(group));
        } else {
            process.members = Members { add: 0, remove: items.edges[at(subject)] };
        }
        if process.todo != 0 {
            return;
        }
        process.todo = std::mem::take(&mut process.seen.edges[0]);
        let size = process.todo.count_ones() + process.members.len();
        if size <= self.scenario.fits {
            self.go(Pc::Write);
        } else {
            self.process().members = Members::default();
            self.leave_tombstone();
        }
    }

    pub(crate) fn deleted(&mut self, outcome: Result<(), Refusal>) {
        let process = self.process();
        match outcome {
            Ok(()) if process.tombstone => {
                *process = crate::state::Process {
                    started: true,
                    change: process.change,
                    work: process.change,
                    verdict: Answer::Done,
                    tries: process.tries,
                    ..crate::state::Process::new(Pc::ReadGroups)
                };
            }
            Ok(()) => self.answer(Answer::Done),
            Err(refusal) if refusal.gone => self.answer(Answer::Refused),
            Err(refusal) => {
                // If only a group of it has changed, a tombstone does not depend on that group.
                process.tombstone = !refusal.subject;
                process.members = Members::default();
                process.todo = 0;
                self.read_again();
            }
        }
    }
}
