//! Reads before a PUT, and requests that only read.

use protocol::item::Id;

use super::Turn;
use crate::{
    faults::Fault,
    ghost,
    scenario::Request,
    state::{Answer, Pc, Seen, Violation, subject_of},
    table::{GROUP, GROUPS, Mask, Members, at, bit, ids},
};

/// A resource, or the users of a page.
pub(crate) const ITEM: u8 = 1;
const HEADERS: u8 = 2;
/// Edges of the first user, and of all others: a query may show a transaction in part. Together if it does not.
const EDGES: u8 = 4;
const OTHER_EDGES: u8 = 8;
const PARTS: u8 = 16;
const AGAIN: u8 = 32;
const ADDED: u8 = 64;
const FIRST: Mask = 1;

impl Turn<'_> {
    fn edges(&self) -> u8 {
        if self.scenario.torn { EDGES | OTHER_EDGES } else { EDGES }
    }

    pub(crate) fn reads_before_put(&self) -> u8 {
        HEADERS | self.edges()
    }

    pub(crate) fn read_before_put(&mut self, read: u8) {
        self.read_edges_or_headers(read);
        if self.process().todo == 0 {
            self.plan_put();
        }
    }

    fn read_edges_or_headers(&mut self, read: u8) {
        self.process().todo &= !read;
        match read {
            EDGES if self.scenario.torn => self.read_edges(FIRST),
            EDGES => self.read_edges(Mask::MAX),
            OTHER_EDGES => self.read_edges(!FIRST),
            _ => self.read_headers(),
        }
    }

    fn read_edges(&mut self, rows: Mask) {
        let (groups, rows) = match self.request() {
            Request::GetUsers { users } => (GROUP..GROUP + GROUPS, rows & users),
            request => (request.subject()..request.subject() + 1, rows),
        };
        for group in groups {
            let edges = self.state.items.edges[at(group)];
            self.process().seen.edges[at(group)] |= edges & rows;
        }
    }

    fn read_headers(&mut self) {
        let items = self.state.items;
        let (request, fault) = (self.request(), self.scenario.fault);
        let seen = &mut self.process().seen;
        let subjects = ids(items.headers & items.tombstones).map(|change| items.subject[usize::from(change)]);
        seen.deleted = subjects.fold(0, |mask, subject| mask | bit(subject.into()));
        let Request::GetUsers { users } = request else {
            // The group names its change.
            if fault == Some(Fault::GroupTombstonesIgnored) {
                seen.deleted = 0;
            }
            return;
        };
        if fault == Some(Fault::UserTombstonesIgnored) {
            seen.deleted = 0;
        }
        ghost::note_headers(users, &items, seen);
        let changes = items.headers & !items.tombstones & !seen.ended;
        seen.headers = changes & !items.discarded;
        seen.discarded = changes & items.discarded;
    }

    /// Begins, or begins again.
    pub(crate) fn begin_reading(&mut self) {
        let Seen { ended, uncovered, .. } = self.process().seen;
        let mut seen = Seen { ended, uncovered, ..Seen::default() };
        ghost::begin_reading(self.request(), &self.state.items, &self.state.ghost, &mut seen);
        let subject = self.request().subject();
        let todo = match self.request() {
            Request::GetGroup { .. } => ITEM | HEADERS,
            // The read of a user finds the same at any time unless a request deletes it.
            _ if !self.scenario.requests.contains(&Request::Delete { id: subject }) => HEADERS | self.edges(),
            _ => ITEM | HEADERS | self.edges(),
        };
        let process = self.process();
        process.seen = seen;
        process.todo = todo;
        process.pc = Pc::Gather;
    }

    /// Reads the memberships of users again after other processes have changed what was read. Without a change, and without
    /// a change that is now known to have ended, the reader would find the same for ever.
    fn begin_again(&mut self, ended: u8) {
        let seen = &mut self.process().seen;
        let is_stuck = !seen.changed && ended & !seen.ended == 0;
        seen.ended |= ended;
        if is_stuck {
            self.violate(Violation::Stuck);
        }
        if self.tries_again() {
            self.begin_reading();
        }
    }

    pub(crate) fn gather(&mut self, read: u8) {
        if read == ITEM {
            let subject = self.request().subject();
            self.process().todo &= !ITEM;
            if self.state.items.alive & bit(subject) == 0 {
                return self.respond_gone();
            }
            if let Request::GetGroup { group } = self.request() {
                self.read_group(group);
            }
        } else {
            self.read_edges_or_headers(read);
        }
        if self.process().todo != 0 {
            return;
        }
        if let Request::GetGroup { .. } = self.request() {
            let parts = if self.process().seen.intent == 0 { 0 } else { PARTS };
            self.process().todo = self.edges() | parts;
            self.process().seen.edges = [0; 2];
            self.go(Pc::Resolve);
        } else {
            self.after_headers();
        }
    }

    /// Reads the group first. The version of the response is never newer than its members.
    fn read_group(&mut self, group: Id) {
        let compares_finished = self.scenario.has(Fault::FinishedCompared);
        let items = &mut self.state.items;
        items.version[usize::from(group)] = 2;
        let (intent, finished) = (items.intent[at(group)], items.finished[at(group)]);
        let seen = &mut self.process().seen;
        seen.intent = intent;
        seen.finished = if compares_finished { finished } else { 0 };
        seen.version = 2;
    }

    pub(crate) fn resolve(&mut self, read: u8) {
        match self.request() {
            Request::GetGroup { group } => self.resolve_group(group, read),
            _ => self.resolve_change(read),
        }
    }

    fn resolve_group(&mut self, group: Id, read: u8) {
        if read == PARTS {
            let intent = self.process().seen.intent - 1;
            let parts = self.state.items.parts[usize::from(intent)];
            let ignored = self.scenario.has(Fault::GroupPartsIgnored);
            self.process().seen.parts[0] = if ignored { Members::default() } else { parts.stored() };
            self.process().todo &= !PARTS;
        } else {
            self.read_edges_or_headers(read);
        }
        if self.process().todo == 0 {
            let checks = !self.scenario.has(Fault::AddedUnchecked);
            let process = self.process();
            let added = process.seen.parts[0].add & !process.seen.edges[at(group)];
            process.todo = AGAIN | if checks && added != 0 { ADDED } else { 0 };
            process.pc = Pc::Confirm;
        }
    }

    pub(crate) fn confirm(&mut self, read: u8) {
        let Request::GetGroup { group } = self.request() else { return };
        let items = self.state.items;
        let fault = self.scenario.fault;
        let process = self.process();
        process.todo &= !read;
        if read == ADDED {
            process.seen.absent = process.seen.parts[0].add & !items.alive;
        } else if items.alive & bit(group) == 0 {
            return self.respond_gone();
        } else {
            let seen = process.seen;
            let same = [
                seen.intent == items.intent[at(group)] || fault == Some(Fault::IntentNotCompared),
                if fault == Some(Fault::FinishedCompared) {
                    seen.finished == items.finished[at(group)]
                } else {
                    seen.version == items.version[usize::from(group)]
                },
            ];
            if same.contains(&false) && fault != Some(Fault::ReadOnce) {
                if self.tries_again() {
                    self.begin_reading();
                }
                return;
            }
        }
        let process = self.process();
        if process.todo == 0 {
            let Seen { edges, parts, deleted, absent, possible, .. } = process.seen;
            let members = parts[0].of(edges[at(group)]) & !deleted & !absent;
            if possible & (1 << members) == 0 {
                self.violate(Violation::Response);
            }
            self.answer(Answer::Done);
        }
    }

    fn after_headers(&mut self) {
        let subject = self.request().subject();
        let Seen { deleted, headers, discarded, .. } = self.process().seen;
        if deleted & bit(subject) != 0 {
            return self.respond_gone();
        }
        if discarded != 0 {
            return self.begin_again(discarded);
        }
        if headers == 0 {
            return self.respond_users();
        }
        self.process().todo = self.reads_of_change();
        self.go(Pc::Resolve);
    }

    fn reads_of_change(&self) -> u8 {
        if self.scenario.has(Fault::HeaderReadWithGroup) { ITEM | HEADERS | PARTS } else { ITEM | PARTS }
    }

    /// Reads group and parts of the next pending change at the same time. If the group does not name the change, it reads
    /// the header afterwards.
    fn resolve_change(&mut self, read: u8) {
        let change = u16::from(self.process().seen.headers.trailing_zeros() as u8);
        let group = subject_of(self.scenario, change);
        let is_change = |holder: u8| u16::from(holder) == change + 1;
        let items = self.state.items;
        let fault = self.scenario.fault;
        let Request::GetUsers { users } = self.request() else { return };
        let reads = self.reads_of_change();
        let seen = &mut self.process().seen;
        match read {
            ITEM => {
                let is_committed = is_change(items.intent[at(group)]);
                if is_committed {
                    ghost::note_committed(users, &items, group, change, seen);
                }
                seen.intent = match fault {
                    Some(Fault::UserPartsIgnored) => 0,
                    Some(Fault::DraftsShown) => 1,
                    _ => u8::from(is_committed),
                };
                let is_finished = is_change(items.finished[at(group)]);
                seen.finished = u8::from(is_finished && fault == Some(Fault::HeaderReadWithGroup));
            }
            HEADERS => {
                let is_open = items.headers & !items.discarded & (1 << change) != 0;
                seen.is_open = is_open || fault == Some(Fault::EndIgnored);
            }
            _ => {
                let parts = items.parts[usize::from(change)];
                seen.covers = ids(users).all(|user| parts.covering(user).is_some());
                seen.part = parts.stored().only(users);
            }
        }
        let process = self.process();
        process.todo &= !read;
        if process.todo != 0 {
            return;
        }
        if process.seen.intent == 0 && read != HEADERS && reads & HEADERS == 0 {
            process.todo = HEADERS;
        } else {
            self.change_resolved(change, group);
        }
    }

    fn change_resolved(&mut self, change: u16, group: Id) {
        let draft_ends = self.scenario.has(Fault::DraftTakenForEnded);
        let reads = self.reads_of_change();
        let process = self.process();
        let Seen { intent, finished, is_open, covers, part, .. } = process.seen;
        process.seen = Seen {
            intent: 0,
            finished: 0,
            is_open: false,
            covers: false,
            part: Members::default(),
            ..process.seen
        };
        let has_ended = finished != 0 || !(is_open || intent != 0);
        let is_uncovered = intent != 0 && !covers;
        if has_ended || is_uncovered {
            // The parts were read before all of them were written, or after they were deleted.
            let is_first = is_uncovered && !has_ended && process.seen.uncovered & (1 << change) == 0;
            process.seen.uncovered |= u8::from(is_first) << change;
            return self.begin_again(u8::from(!is_first || draft_ends) << change);
        }
        if intent != 0 {
            process.seen.parts[at(group)] = process.seen.parts[at(group)].then(part);
        }
        process.todo = reads;
        process.seen.headers &= process.seen.headers - 1;
        if process.seen.headers == 0 {
            self.respond_users();
        }
    }

    fn respond_users(&mut self) {
        let Request::GetUsers { users } = self.request() else { return };
        let Seen { edges, parts, deleted, may_show, .. } = self.process().seen;
        for group in GROUP..GROUP + GROUPS {
            let deleted = if deleted & bit(group) == 0 { deleted } else { Mask::MAX };
            let members = parts[at(group)].of(edges[at(group)]) & users & !deleted;
            if !ghost::may_show(&self.state.ghost, users, may_show[at(group)], members) {
                self.violate(Violation::Response);
            }
        }
        self.answer(Answer::Done);
    }

    fn respond_gone(&mut self) {
        if !self.process().seen.gone {
            self.violate(Violation::Response);
        }
        self.answer(Answer::Done);
    }
}
