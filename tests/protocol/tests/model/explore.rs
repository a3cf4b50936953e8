//! The model that the checker explores.

use protocol::item::Change;
use stateright::{Model, Property};

use crate::{
    calls::visible,
    ghost, properties,
    scenario::{Request, Scenario},
    state::{Answer, Copy, Ghost, Left, NONE, PROCESSES, Pc, Process, State},
    steps::{
        Turn, carry_out,
        work::{choices, may_go_on},
    },
    table::{CHANGES, GROUP, IDS, Items, OTHER_GROUP, ids},
};

/// One step of a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// A process makes its read, or one of several that it makes at the same time.
    Read(usize, u8),
    /// A process sends its write and receives the answer. The number is the part, group or member.
    Send(usize, u16),
    /// A process sends its write, and the answer is lost. The attempt is carried out now, or perhaps later.
    Lose { process: usize, item: u16, carried_out: bool },
    /// A process uses the token of a refused write up.
    Burn(usize),
    /// The wait of a process is over.
    Wake(usize),
    /// The janitor takes a change over.
    Pick(usize, Change),
    /// A copy of an earlier attempt is carried out.
    Land,
    /// A process dies.
    Crash(usize),
    /// A request ends because its time is over.
    Deadline(usize),
    /// A change is taken for abandoned while its process is alive.
    Slow(Change),
}

impl Model for Scenario {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        let mut processes = [Process::new(Pc::End); PROCESSES];
        for (process, request) in processes.iter_mut().zip(&self.requests) {
            *process = Process::new(first_pc(*request));
        }
        let bounds = self.bounds;
        let mut state = State {
            items: self.items,
            processes,
            copy: None,
            ghost: Ghost {
                alive: self.items.alive,
                members: [GROUP, OTHER_GROUP].map(|group| visible(&self.items, group)),
                effective: 0,
                violation: None,
            },
            left: Left {
                crashes: bounds.crashes,
                lost: bounds.lost,
                deadlines: bounds.deadlines,
                slow: bounds.slow,
            },
            lessee: [0; CHANGES],
            slow: 0,
        };
        for number in 0..self.requests.len() {
            Turn { scenario: self, state: &mut state, number }.begin();
        }
        normalise(self, &mut state);
        vec![state]
    }

    fn actions(&self, state: &State, steps: &mut Vec<Step>) {
        if state.ghost.violation.is_some() {
            return;
        }
        for number in 0..self.requests.len() {
            self.process_steps(state, number, steps);
        }
        if state.copy.is_some() {
            steps.push(Step::Land);
        }
        if state.left.slow > 0 {
            let live = |change: &Change| !state.is_abandoned(*change);
            steps.extend(ids(state.items.headers).filter(live).map(Step::Slow));
        }
    }

    fn next_state(&self, state: &State, step: Step) -> Option<State> {
        let before = &state.items;
        let mut state = state.clone();
        self.take(&mut state, step);
        // A read may note the version.
        let after = Items { version: before.version, ..state.items };
        ghost::observe(self, &mut state, after != *before);
        normalise(self, &mut state);
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all()
    }
}

fn first_pc(request: Request) -> Pc {
    match request {
        Request::Janitor => Pc::Idle,
        Request::GetGroup { .. } | Request::GetUsers { .. } => Pc::Gather,
        _ => Pc::ReadSubject,
    }
}

impl Scenario {
    fn process_steps(&self, state: &State, number: usize, steps: &mut Vec<Step>) {
        let process = &state.processes[number];
        let left = &state.left;
        let has_begun = process.started && process.pc != Pc::End && process.pc != Pc::Idle;
        if has_begun && !self.requests[number].is_reader() {
            if left.crashes > 0 {
                steps.push(Step::Crash(number));
            }
            // A request that has written nothing leaves nothing.
            if left.deadlines > 0 && process.change != NONE && self.requests[number] != Request::Janitor {
                steps.push(Step::Deadline(number));
            }
        }
        if process.refusal.is_some() {
            steps.push(Step::Burn(number));
            return;
        }
        match process.pc {
            Pc::End => {}
            Pc::Idle => {
                let abandoned = |change: &Change| state.is_abandoned(*change);
                steps.extend(
                    ids(state.items.listed).filter(abandoned).map(|change| Step::Pick(number, change)),
                );
            }
            Pc::Wait if may_go_on(self, state, number) => steps.push(Step::Wake(number)),
            Pc::Wait => {}
            Pc::ReadRest | Pc::Gather | Pc::Resolve | Pc::Confirm if process.todo != 0 => {
                steps.extend(ids(process.todo).map(|read| Step::Read(number, 1 << read)));
            }
            pc if pc.is_read() => steps.push(Step::Read(number, 0)),
            _ => {
                for item in choices(process) {
                    steps.push(Step::Send(number, item));
                    if left.lost > 0 && !process.unsure {
                        steps.push(Step::Lose { process: number, item, carried_out: true });
                        if state.copy.is_none() {
                            steps.push(Step::Lose { process: number, item, carried_out: false });
                        }
                    }
                }
            }
        }
    }

    fn take(&self, state: &mut State, step: Step) {
        match step {
            Step::Land => return self.land(state),
            Step::Slow(change) => {
                state.left.slow -= 1;
                state.slow |= 1 << change;
                return;
            }
            _ => {}
        }
        let (Step::Read(number, _)
        | Step::Send(number, _)
        | Step::Lose { process: number, .. }
        | Step::Burn(number)
        | Step::Wake(number)
        | Step::Pick(number, _)
        | Step::Crash(number)
        | Step::Deadline(number)) = step
        else {
            return;
        };
        let mut turn = Turn { scenario: self, state, number };
        match step {
            Step::Read(_, read) => turn.read(read),
            Step::Send(_, item) => {
                turn.process().item = item as u8;
                turn.process().started = true;
                turn.send();
            }
            Step::Lose { item, carried_out, .. } => {
                turn.process().item = item as u8;
                turn.process().started = true;
                turn.lose(carried_out);
            }
            Step::Burn(_) => turn.burn(),
            Step::Wake(_) => turn.waited(),
            Step::Pick(_, change) => turn.pick(change as u8),
            Step::Crash(_) => {
                turn.state.left.crashes -= 1;
                turn.crash();
            }
            Step::Deadline(_) => {
                turn.state.left.deadlines -= 1;
                let committed = turn.process().verdict == Answer::Done;
                turn.crash();
                turn.process().answer = if committed { Answer::Done } else { Answer::Unavailable };
            }
            Step::Land | Step::Slow(_) => {}
        }
    }

    /// Carries a late copy out. DynamoDB drops it if its token has succeeded.
    fn land(&self, state: &mut State) {
        let Some(Copy { process, sender, current }) = state.copy.take() else { return };
        let number = usize::from(process);
        let landed = carry_out(self, state, number, &sender).is_ok();
        if landed && current {
            state.processes[number].carried_out = true;
        }
    }
}

impl Turn<'_> {
    fn read(&mut self, read: u8) {
        if !self.process().started && self.request().is_reader() {
            self.begin();
        }
        self.process().started = true;
        let pc = self.process().pc;
        match pc {
            Pc::ReadSubject => self.read_subject(),
            Pc::ReadRest if matches!(self.request(), Request::Delete { .. }) => {
                self.read_before_deletion(read);
            }
            Pc::ReadRest => self.read_before_put(read),
            Pc::Look => self.look(),
            Pc::ReadParts => self.read_parts(),
            Pc::ReadLeft => self.read_left(),
            Pc::ReadGroups => self.read_groups(),
            Pc::ReadMembers => self.read_members(),
            Pc::Gather => self.gather(read),
            Pc::Resolve => self.resolve(read),
            Pc::Confirm => self.confirm(read),
            pc => unreachable!("{pc:?} is not a read"),
        }
    }

    /// Sends the write without receiving the answer. The process sends it again with the same token.
    fn lose(&mut self, carried_out: bool) {
        self.state.left.lost -= 1;
        let sender = *self.process();
        if carried_out {
            let succeeded = self.attempt().is_ok();
            self.process().carried_out = succeeded;
        } else {
            self.state.copy = Some(Copy { process: self.number as u8, sender, current: true });
        }
        self.process().unsure = true;
    }

    fn crash(&mut self) {
        if let Some(copy) = &mut self.state.copy
            && usize::from(copy.process) == self.number
        {
            copy.current = false;
        }
        match self.request() {
            Request::Janitor => self.rest(),
            _ => self.process().end(Answer::Dead),
        }
    }
}

impl Pc {
    pub(crate) fn is_read(self) -> bool {
        matches!(
            self,
            Self::ReadSubject
                | Self::ReadRest
                | Self::Look
                | Self::ReadParts
                | Self::ReadLeft
                | Self::ReadGroups
                | Self::ReadMembers
                | Self::Gather
                | Self::Resolve
                | Self::Confirm
        )
    }
}

/// Makes states equal that differ only in versions and counts that no process compares.
fn normalise(scenario: &Scenario, state: &mut State) {
    for id in 0..IDS {
        let is_about = |number: usize| usize::from(scenario.requests[number].subject()) == id;
        let (mut version, mut joins) = (false, false);
        let current = state.items.version[id] == 2;
        let mut look_at = |process: &mut Process| {
            for held in [&mut process.version, &mut process.seen.version] {
                if *held == 2 && !current {
                    *held = 1;
                }
                version |= *held == 2;
            }
            joins |= process.joins != NONE;
        };
        for number in 0..scenario.requests.len() {
            if is_about(number) {
                look_at(&mut state.processes[number]);
            }
        }
        if let Some(copy) = &mut state.copy
            && is_about(copy.process.into())
        {
            look_at(&mut copy.sender);
        }
        if !version {
            state.items.version[id] = 0;
        }
        if !joins {
            state.items.joins[id] = 0;
        }
    }
}
