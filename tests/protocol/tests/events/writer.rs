//! The steps of writers. Each makes one call and says what the writer does with the answer.

use crate::{
    faults::Fault,
    scenario::{Request, Scenario},
    state::{GROUP, Pc, State, Writer, bit, bits, id, time},
    transaction::{Refusal, draw, execute, number_of, slot, tell, transaction},
};

/// The number of refusals after which a writer answers 503.
const TRIES: u8 = 3;

/// A writer in a state, for the time of a step.
pub(crate) struct Turn<'a> {
    pub(crate) scenario: &'a Scenario,
    pub(crate) state: &'a mut State,
    pub(crate) number: usize,
}

/// Returns the first step of a writer.
pub(crate) fn first(scenario: &Scenario, number: usize) -> Pc {
    match scenario.requests[number] {
        Request::Create(_) | Request::Add(_) | Request::Remove(_) => before_send(scenario),
        Request::PutReserved => Pc::Reserve,
        Request::Janitor => Pc::Idle,
        _ => Pc::Read,
    }
}

fn before_send(scenario: &Scenario) -> Pc {
    if scenario.has(Fault::EventBeforeCommit) { Pc::Tell } else { Pc::Send }
}

impl Turn<'_> {
    fn request(&self) -> Request {
        self.scenario.requests[self.number]
    }

    fn writer(&mut self) -> &mut Writer {
        &mut self.state.writers[self.number]
    }

    /// Ends the writer. It removes its reservation, or others take it back, which the model does not show.
    fn end(&mut self) {
        if self.state.table.reservation == Some(self.number as u8) {
            self.state.table.reservation = None;
        }
        let pc = if self.request() == Request::Janitor { Pc::Idle } else { Pc::End };
        *self.writer() = Writer::new(pc, self.number);
    }

    /// Counts a refusal. Returns whether the writer goes on.
    fn tries_again(&mut self) -> bool {
        let writer = self.writer();
        writer.tries += 1;
        writer.id = 0;
        let goes_on = writer.tries < TRIES;
        if !goes_on {
            self.end();
        }
        goes_on
    }

    /// Reads a resource.
    pub(crate) fn read(&mut self) {
        let number = self.number as u8;
        let (table, ghost) = (&mut self.state.table, &self.state.ghost);
        let writer = &mut self.state.writers[self.number];
        match (self.scenario.requests[self.number], writer.pc) {
            (_, Pc::Reserve) => {
                table.reservation = Some(number);
                writer.pc = Pc::Read;
                return;
            }
            (Request::Delete(user), Pc::ReadEdges) => writer.is_member = table.edges & bit(user) != 0,
            (Request::AddLarge(members), _) => {
                if members & !table.alive != 0 {
                    return self.end();
                }
                writer.seen = bits(members).fold(0, |seen, member| seen | ghost.about[member]);
                writer.floor = bits(members).map(|member| table.stamps[member]).max().unwrap_or(0);
            }
            (request, _) => {
                let resource = request.reads().unwrap_or(GROUP);
                if table.alive & bit(resource) == 0 {
                    return self.end();
                }
                writer.version = table.versions[resource];
                writer.joins = table.joins[resource];
                writer.floor = writer.floor.max(table.stamps[resource]);
                writer.seen = ghost.about[resource];
                if let Request::Delete(_) = request {
                    writer.pc = Pc::ReadEdges;
                    return;
                }
            }
        }
        writer.pc = before_send(self.scenario);
    }

    /// Sends the write and goes on with the answer.
    pub(crate) fn send(&mut self, clock: u8, item: usize) {
        self.choose_id(clock, item);
        let outcome = if self.writer().carried_out { Ok(()) } else { self.attempt(item) };
        let writer = self.writer();
        writer.unsure = false;
        writer.carried_out = false;
        match (writer.pc, outcome) {
            (Pc::Part, _) => {
                writer.todo &= !bit(item);
                writer.id = 0;
                if writer.todo == 0 {
                    writer.pc = Pc::Finish;
                }
            }
            (Pc::Leave, Err(Refusal { vain: false, .. })) => self.refused(outcome.err().unwrap_or_default()),
            (Pc::Leave, _) => {
                self.state.table.tombstone = None;
                self.end();
            }
            (Pc::Finish, _) => self.end(),
            (_, Ok(())) => self.sent(),
            (_, Err(refusal)) => self.refused(refusal),
        }
    }

    /// Sends the write without receiving the answer. The writer sends it again, with the same id and the same token.
    pub(crate) fn lose(&mut self, clock: u8, item: usize, carried_out: bool) {
        self.state.lost -= 1;
        self.choose_id(clock, item);
        let succeeded = carried_out && self.attempt(item).is_ok();
        let writer = self.writer();
        if matches!(writer.pc, Pc::Part | Pc::Finish) {
            // A second attempt finds that nothing is left to do.
            writer.id = 0;
        } else {
            writer.unsure = true;
            writer.carried_out = succeeded;
        }
    }

    fn choose_id(&mut self, clock: u8, item: usize) {
        let writer = self.state.writers[self.number];
        let slot = slot(writer.work.into(), number_of(writer.pc, item));
        let derives = !self.scenario.has(Fault::PartIdsFromClock);
        let id = match (writer.pc, self.state.table.intent) {
            (Pc::Part, Some(intent)) if derives => id(time(intent.id).part(item as u16 + 1), slot),
            _ if writer.id != 0 => writer.id,
            _ => draw(self.scenario, &writer, clock, slot),
        };
        self.writer().id = id;
    }

    fn attempt(&mut self, item: usize) -> Result<(), Refusal> {
        let writer = self.state.writers[self.number];
        if writer.pc == Pc::Finish {
            let is_own = |intent: &crate::state::Intent| intent.writer == writer.work;
            if self.state.table.intent.as_ref().is_some_and(is_own) {
                self.state.table.intent = None;
            }
            return Ok(());
        }
        let transaction = transaction(self.scenario, &writer, self.number, item);
        execute(self.scenario, self.state, &transaction)
    }

    fn sent(&mut self) {
        match self.request() {
            _ if self.scenario.has(Fault::EventAfterCommit) => self.writer().pc = Pc::Tell,
            Request::AddLarge(members) => {
                let writer = self.writer();
                *writer = Writer { todo: members, ..Writer::new(Pc::Part, usize::from(writer.work)) };
            }
            Request::DeleteLarge(_) => {
                let number = self.number;
                *self.writer() = Writer::new(Pc::Leave, number);
            }
            _ => self.end(),
        }
    }

    fn refused(&mut self, refusal: Refusal) {
        if refusal.vain {
            return self.end();
        }
        if !self.tries_again() {
            return;
        }
        let reads_again = refusal.lost_race || self.request() == Request::PutReserved && refusal.held;
        let writer = self.writer();
        writer.floor = writer.floor.max(refusal.stamp);
        if reads_again || writer.is_member && refusal.stamp != 0 {
            let first = first(self.scenario, self.number);
            self.writer().pc = first;
        }
    }

    /// Writes the event outside of the transaction.
    pub(crate) fn tell(&mut self) {
        let is_after = self.scenario.has(Fault::EventAfterCommit);
        self.choose_id(0, 0);
        let writer = *self.writer();
        tell(self.state, slot(self.number, 0), writer.id);
        if is_after {
            self.end();
        } else {
            self.writer().pc = Pc::Send;
        }
    }

    /// Dies.
    pub(crate) fn crash(&mut self) {
        self.state.crashes -= 1;
        self.end();
    }

    /// The janitor takes over what a writer has left.
    pub(crate) fn pick(&mut self, tombstone: bool) {
        let table = &self.state.table;
        let (work, todo, pc) = match (tombstone, table.intent, table.tombstone) {
            (false, Some(intent), _) => (intent.writer, intent.unapplied, Pc::Part),
            (true, _, Some((_, writer))) => (writer, 0, Pc::Leave),
            _ => return,
        };
        let pc = if pc == Pc::Part && todo == 0 { Pc::Finish } else { pc };
        *self.writer() = Writer { todo, ..Writer::new(pc, work.into()) };
    }
}

/// Returns whether a writer waits for the change that holds the group.
pub(crate) fn is_waiting(scenario: &Scenario, state: &State, number: usize) -> bool {
    let writer = &state.writers[number];
    let reservation = state.table.reservation.filter(|holder| usize::from(*holder) != number);
    let is_held = state.table.intent.is_some() || reservation.is_some();
    let begins = matches!(writer.pc, Pc::Send | Pc::Reserve | Pc::Tell);
    begins && !writer.unsure && is_held && scenario.waits(number)
}
