//! The steps of the processes. Each makes one call and says what the process does with the answer.

pub(crate) mod delete;
pub(crate) mod read;
pub(crate) mod work;
pub(crate) mod write;

use protocol::item::Id;

use crate::{
    calls::{call, execute, takes_effect},
    faults::Fault,
    ghost,
    scenario::{Request, Scenario},
    state::{Answer, NONE, Pc, Process, Refusal, State, Violation, subject_of},
};

/// A process in a state, for the time of a step.
pub(crate) struct Turn<'a> {
    pub(crate) scenario: &'a Scenario,
    pub(crate) state: &'a mut State,
    pub(crate) number: usize,
}

impl Turn<'_> {
    pub(crate) fn request(&self) -> Request {
        self.scenario.requests[self.number]
    }

    pub(crate) fn process(&mut self) -> &mut Process {
        &mut self.state.processes[self.number]
    }

    pub(crate) fn go(&mut self, pc: Pc) {
        self.process().pc = pc;
    }

    /// Answers the request.
    pub(crate) fn answer(&mut self, answer: Answer) {
        let effective = self.state.ghost.effective & (1 << self.number) != 0;
        let is_write = !self.request().is_reader();
        if is_write && answer == Answer::Done && !effective {
            self.violate(Violation::Unacknowledged);
        }
        if answer == Answer::Refused && effective {
            self.violate(Violation::AfterRefusal);
        }
        self.process().end(answer);
    }

    pub(crate) fn violate(&mut self, violation: Violation) {
        self.state.ghost.violation.get_or_insert(violation);
    }

    /// Counts a repeat. Answers 503 after too many, and returns whether the process goes on.
    pub(crate) fn tries_again(&mut self) -> bool {
        let limit = self.scenario.bounds.tries;
        let process = self.process();
        process.tries += 1;
        if process.tries <= limit {
            return true;
        }
        match self.request() {
            Request::Janitor => self.rest(),
            _ => self.answer(Answer::Unavailable),
        }
        false
    }

    /// Ends the work of the janitor on a change.
    pub(crate) fn rest(&mut self) {
        *self.process() = Process { started: true, ..Process::new(Pc::Idle) };
    }

    /// Sends the write, and goes on with the answer.
    pub(crate) fn send(&mut self) {
        if self.scenario.has(Fault::EditWritesDifference) && self.process().pc == Pc::Draft {
            self.write_difference();
        }
        let outcome = self.attempt();
        if let Err(refusal) = outcome
            && self.process().pc == Pc::Write
        {
            self.check_unchanged(refusal);
        }
        self.receive(outcome);
    }

    /// Carries the write out. If its token has succeeded before, only the answer is repeated.
    pub(crate) fn attempt(&mut self) -> Result<(), Refusal> {
        let process = self.state.processes[self.number];
        if process.carried_out && !self.scenario.has(Fault::NewToken) {
            return Ok(());
        }
        carry_out(self.scenario, self.state, self.number, &process)
    }

    /// Goes on with the answer to the write, once it is certain.
    fn receive(&mut self, outcome: Result<(), Refusal>) {
        match outcome {
            Err(refusal) if self.process().unsure => {
                self.process().refusal = Some(refusal);
                if self.scenario.has(Fault::TokenNotBurnt) {
                    self.settle(false);
                    self.dispatch(Err(refusal));
                }
            }
            outcome => {
                self.settle(true);
                self.dispatch(outcome);
            }
        }
    }

    /// Uses the token up, and acts on the refusal. If a copy was carried out meanwhile, the write has succeeded.
    pub(crate) fn burn(&mut self) {
        let process = *self.process();
        self.settle(true);
        match process.refusal {
            Some(refusal) if !process.carried_out => self.dispatch(Err(refusal)),
            _ => self.dispatch(Ok(())),
        }
    }

    /// Goes on to the next token. `dropped` says that DynamoDB drops copies of this one.
    fn settle(&mut self, dropped: bool) {
        let number = self.number as u8;
        let is_own = |copy: &crate::state::Copy| copy.process == number && copy.current;
        let has_token = match self.process().pc {
            Pc::DeleteParts => false,
            Pc::Draft | Pc::More => !self.scenario.fault.is_some_and(Fault::drafts_have_no_token),
            _ => true,
        };
        if self.state.copy.as_ref().is_some_and(is_own) {
            if dropped && has_token {
                self.state.copy = None;
            } else if let Some(copy) = &mut self.state.copy {
                copy.current = false;
            }
        }
        let process = self.process();
        process.unsure = false;
        process.carried_out = false;
        process.refusal = None;
    }

    fn dispatch(&mut self, outcome: Result<(), Refusal>) {
        let pc = self.process().pc;
        match pc {
            Pc::Write if matches!(self.request(), Request::Delete { .. }) => self.deleted(outcome),
            Pc::Write => self.written(outcome),
            Pc::Draft | Pc::More => self.drafted(outcome),
            Pc::Commit => self.committed(outcome),
            Pc::Reserve => self.reserved(outcome),
            Pc::Release => self.released(),
            Pc::Lease => self.leased(outcome),
            Pc::Apply => self.applied(outcome),
            Pc::Finish => self.finished(outcome),
            Pc::TakeBack => self.taken_back(outcome),
            Pc::DeleteParts => self.part_deleted(),
            Pc::Clean | Pc::Unlist => self.work_done(),
            Pc::ReleaseLost => self.reservation_released(outcome),
            Pc::Leave => self.left(outcome),
            Pc::LeaveDeleted => self.left(Ok(())),
            Pc::Empty => self.emptied(),
            pc => unreachable!("{pc:?} is not a write"),
        }
    }
}

/// Carries out the write of a process as it was when it sent the attempt.
pub(crate) fn carry_out(
    scenario: &Scenario,
    state: &mut State,
    number: usize,
    sender: &Process,
) -> Result<(), Refusal> {
    let call = call(scenario, sender, number);
    let result = execute(scenario, &mut state.items, &call, subject(scenario, sender, number));
    if let Ok(versions) = result {
        if takes_effect(sender.pc) {
            ghost::take_effect(scenario, state, number, sender);
        }
        if sender.pc == Pc::Lease {
            state.lessee[usize::from(sender.work)] = number as u8 + 1;
            state.slow &= !(1 << sender.work);
        }
        ghost::note_versions(scenario, state, versions);
    }
    result.map(|_| ())
}

/// Returns the resource that the refusals of a write are about.
fn subject(scenario: &Scenario, sender: &Process, number: usize) -> Id {
    match sender.pc {
        Pc::Write | Pc::Draft | Pc::More | Pc::Commit | Pc::Reserve | Pc::Release => {
            scenario.requests[number].subject()
        }
        _ if sender.work == NONE => 0,
        _ => subject_of(scenario, sender.work()),
    }
}
