//! Requests that create and change resources.

use super::Turn;
use crate::{
    calls::bounds,
    faults::Fault,
    scenario::Request,
    state::{Answer, CHANGES_EACH, NONE, Pc, Refusal, Violation, first_change},
    table::{Members, at, bit},
};

/// The number of lost races after which a request reserves the group. The service has one more.
const LOST_RACES: u8 = 1;

impl Turn<'_> {
    /// Begins a request.
    pub(crate) fn begin(&mut self) {
        let request = self.request();
        match request {
            Request::Edit { add, remove, .. } => self.plan(Members { add, remove }),
            Request::Create { .. } if self.scenario.has(Fault::UniqueByRead) => {}
            Request::Create { members, .. } => self.plan(Members { add: members, remove: 0 }),
            Request::GetGroup { .. } | Request::GetUsers { .. } => self.begin_reading(),
            Request::Put { .. } | Request::Modify { .. } | Request::Delete { .. } | Request::Janitor => {}
        }
    }

    /// Writes a difference in one transaction if it fits, and by a draft if not.
    fn plan(&mut self, members: Members) {
        let fits = members.len() <= self.scenario.fits;
        let process = self.process();
        process.members = members;
        match (fits, process.reserved) {
            (true, _) => process.pc = Pc::Write,
            (false, true) => {
                process.todo = bounds(members);
                process.pc = Pc::More;
            }
            (false, false) => {
                process.todo = bounds(members);
                if self.next_change() {
                    self.go(Pc::Draft);
                }
            }
        }
    }

    /// Reads the members, and leaves out of the draft what is as requested already.
    pub(crate) fn write_difference(&mut self) {
        let edges = self.state.items.edges[at(self.request().subject())];
        let process = self.process();
        let Members { add, remove } = process.members;
        process.members = Members { add: add & !edges, remove: remove & edges };
        process.todo = bounds(process.members);
    }

    /// Chooses the id of a new change. Answers 503 if there is none left.
    pub(crate) fn next_change(&mut self) -> bool {
        let first = first_change(self.number);
        let process = self.process();
        process.change = if process.change == NONE { first } else { process.change + 1 };
        process.work = NONE;
        let exists = usize::from(process.change - first) < CHANGES_EACH;
        if !exists {
            process.change = NONE;
            self.answer(Answer::Unavailable);
        }
        exists
    }

    /// Reads the group or user that the request changes.
    pub(crate) fn read_subject(&mut self) {
        let subject = self.request().subject();
        if let Request::Create { .. } = self.request() {
            let name = self.scenario.entry(subject).number;
            let taken = self.state.items.names & (1 << name) != 0;
            return if taken { self.answer(Answer::Refused) } else { self.go(Pc::Write) };
        }
        if self.state.items.alive & bit(subject) == 0 {
            return self.give_up(Answer::Refused);
        }
        let index = usize::from(subject);
        self.state.items.version[index] = 2;
        let joins = self.state.items.joins[index];
        let is_group = crate::table::kind(subject) == protocol::item::Kind::Group;
        let holder = is_group.then(|| self.state.items.holder(subject)).flatten();
        let finished = if is_group { self.state.items.finished[at(subject)] } else { 0 };
        let process = self.process();
        let is_own = process.reserved && holder == Some(process.change.into());
        // Another process has taken the reservation back.
        process.reserved &= is_own;
        if let (Some(holder), false) = (holder, is_own) {
            return self.wait(holder as u8, Pc::ReadSubject);
        }
        process.version = 2;
        process.joins = joins;
        process.seen.finished = finished;
        match self.request() {
            Request::Put { .. } => {
                self.process().todo = self.reads_before_put();
                self.go(Pc::ReadRest);
            }
            Request::Delete { .. } => self.plan_deletion(),
            _ => self.go(Pc::Write),
        }
    }

    /// Decides what a PUT has to write, after it has read members and headers.
    pub(crate) fn plan_put(&mut self) {
        let Request::Put { group, members, .. } = self.request() else { return };
        let process = self.process();
        let current = process.seen.edges[at(group)] & !process.seen.deleted;
        process.seen.edges = [0; 2];
        process.seen.deleted = 0;
        let difference = Members { add: members & !current, remove: current & !members };
        if difference.len() > 0 {
            return self.plan(difference);
        }
        // The request takes effect between the writes of others: it changes nothing there.
        self.state.ghost.effective |= 1 << self.number;
        self.give_up(Answer::Done);
    }

    /// Gives an answer without writing, and removes the reservation before.
    pub(crate) fn give_up(&mut self, answer: Answer) {
        let process = self.process();
        if process.reserved {
            process.verdict = answer;
            process.pc = Pc::Release;
        } else {
            self.answer(answer);
        }
    }

    pub(crate) fn released(&mut self) {
        let verdict = self.process().verdict;
        self.answer(verdict);
    }

    /// Goes on after a write in one transaction.
    pub(crate) fn written(&mut self, outcome: Result<(), Refusal>) {
        let Err(refusal) = outcome else { return self.answer(Answer::Done) };
        match self.request() {
            Request::Edit { .. } => self.edit_refused(refusal),
            Request::Create { .. } => self.answer(Answer::Refused),
            Request::Put { .. } if !refusal.subject => self.give_up(Answer::Refused),
            Request::Put { .. } => self.lost_race(refusal),
            _ if refusal.gone => self.answer(Answer::Refused),
            _ => self.read_again(),
        }
    }

    pub(crate) fn read_again(&mut self) {
        if self.tries_again() {
            self.process().version = 0;
            self.process().joins = NONE;
            self.go(Pc::ReadSubject);
        }
    }

    /// Checks that the members are as requested when DynamoDB says so: a request that changes nothing takes effect then.
    pub(crate) fn check_unchanged(&mut self, refusal: Refusal) {
        let Request::Edit { group, add, remove } = self.request() else { return };
        let members = self.state.ghost.members[at(group)];
        let left = self.process().members.only(!refusal.edges);
        let is_unchanged = !refusal.subject && refusal.missing == 0 && left.len() == 0;
        let dropped = (add | remove) & !(self.process().members.add | self.process().members.remove);
        if is_unchanged && refusal.edges & dropped == 0 && (Members { add, remove }).of(members) != members {
            self.violate(Violation::Unchanged);
        }
    }

    fn edit_refused(&mut self, refusal: Refusal) {
        let Request::Edit { add, remove, .. } = self.request() else { return };
        if refusal.gone {
            return self.answer(Answer::Refused);
        }
        if refusal.holder != NONE {
            return self.wait(refusal.holder, Pc::Write);
        }
        let process = self.process();
        let dropped = (add | remove) & !(process.members.add | process.members.remove);
        if refusal.edges & dropped != 0 {
            process.members = Members { add, remove };
            self.tries_again();
        } else if refusal.missing & process.members.add != 0 {
            self.answer(Answer::Refused);
        } else {
            process.members = process.members.only(!refusal.edges);
            if process.members.len() == 0 {
                self.state.ghost.effective |= 1 << self.number;
                self.answer(Answer::Done);
            }
        }
    }

    /// Goes on after a write under a version or a reservation that another writer has changed.
    fn lost_race(&mut self, refusal: Refusal) {
        let request = self.request();
        let process = self.process();
        process.reserved = false;
        process.lost += 1;
        process.version = 0;
        process.joins = NONE;
        if refusal.gone || matches!(request, Request::Put { if_match: true, .. }) {
            return self.answer(Answer::Refused);
        }
        if self.tries_again() {
            self.after_lost_race();
        }
    }

    /// Reads again, or reserves the group first.
    pub(crate) fn after_lost_race(&mut self) {
        if self.process().lost < LOST_RACES {
            self.go(Pc::ReadSubject);
        } else if self.next_change() {
            self.go(Pc::Reserve);
        }
    }

    pub(crate) fn reserved(&mut self, outcome: Result<(), Refusal>) {
        match outcome {
            Ok(()) => {
                self.process().reserved = true;
                self.go(Pc::ReadSubject);
            }
            Err(refusal) if refusal.gone => self.answer(Answer::Refused),
            Err(refusal) if refusal.holder != NONE => self.wait(refusal.holder, Pc::Reserve),
            Err(_) => self.answer(Answer::Unavailable),
        }
    }

    /// Goes on after parts were written.
    pub(crate) fn drafted(&mut self, outcome: Result<(), Refusal>) {
        if outcome.is_err() {
            // Another process has taken the change back.
            return self.answer(Answer::Unavailable);
        }
        let parts = self.scenario.parts;
        let process = self.process();
        for _ in 0..parts {
            process.todo &= process.todo.wrapping_sub(1);
        }
        let pc = if process.todo == 0 { Pc::Commit } else { Pc::More };
        self.go(pc);
    }

    /// Goes on after the transaction that commits.
    pub(crate) fn committed(&mut self, outcome: Result<(), Refusal>) {
        let own = self.process().change;
        let refusal = match outcome {
            Ok(()) => return self.carry_on(),
            Err(refusal) => refusal,
        };
        // A copy of an earlier attempt has committed the change.
        if refusal.holder == own && self.state.items.intent(self.request().subject()) == Some(own.into()) {
            return self.carry_on();
        }
        match self.request() {
            Request::Edit { .. } if refusal.subject && !refusal.gone && !refusal.header => {
                if refusal.holder != NONE {
                    self.wait(refusal.holder, Pc::Commit);
                }
            }
            Request::Put { if_match: false, .. } if refusal.subject && !refusal.gone => {
                let process = self.process();
                process.lost += 1;
                self.take_back_own(Answer::None);
            }
            Request::Edit { .. } | Request::Put { .. } if !refusal.subject => {
                self.take_back_own(Answer::Unavailable);
            }
            Request::Create { .. } if !refusal.entry => self.take_back_own(Answer::Unavailable),
            _ => self.take_back_own(Answer::Refused),
        }
    }

    /// Applies the change that this request has committed.
    pub(super) fn carry_on(&mut self) {
        let process = self.process();
        process.verdict = Answer::Done;
        process.reserved = false;
        process.version = 0;
        process.joins = NONE;
        process.work = process.change;
        process.operations = process.members;
        process.todo = bounds(process.members);
        process.pc = Pc::Apply;
    }

    fn take_back_own(&mut self, verdict: Answer) {
        let process = self.process();
        process.verdict = verdict;
        process.back = Pc::ReadSubject;
        process.work = process.change;
        process.item = u8::from(process.reserved);
        process.version = 0;
        process.joins = NONE;
        process.pc = Pc::TakeBack;
    }
}
