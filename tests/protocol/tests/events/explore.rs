//! The model that the checker explores.

use stateright::{Model, Property};

use crate::{
    gate, properties,
    scenario::Scenario,
    sequencer,
    state::{
        FEED, Ghost, Mask, Owner, Pass, Pc, RESOURCES, SEQUENCERS, SLOTS, SLOTS_EACH, Sequencer, State,
        Table, Top, WRITERS, Writer, bit, bits,
    },
    writer::{Turn, first, is_waiting},
};

/// One step of a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// A writer reads.
    Read(usize),
    /// A writer sends its write and receives the answer. `item` is the member of a part.
    Send { writer: usize, clock: u8, item: usize },
    /// A writer sends its write, and the answer is lost.
    Lose { writer: usize, clock: u8, item: usize, carried_out: bool },
    /// A writer writes its event outside of the transaction.
    Tell(usize),
    /// The janitor takes over what a writer has left: a tombstone, or a change of members.
    Pick { writer: usize, tombstone: bool },
    /// A writer dies.
    Crash(usize),
    /// A sequencer reads the next event of the outbox, or the head.
    Look(usize),
    /// A sequencer moves events and receives the answer.
    Move(usize),
    /// A sequencer moves events, and the answer is lost.
    LoseMove { sequencer: usize, carried_out: bool },
    /// A sequencer dies. The bell starts another one.
    Stop(usize),
    /// A late copy of a move is carried out.
    Land,
    /// The owner reads or writes the head.
    Own,
    /// A reader reads the head or the feed.
    ReadFeed,
}

impl Model for Scenario {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        let mut writers = [Writer::new(Pc::End, 0); WRITERS];
        for (number, writer) in writers.iter_mut().enumerate().take(self.requests.len()) {
            *writer = Writer::new(first(self, number), number);
        }
        let table = Table {
            alive: self.alive,
            edges: self.edges,
            top: Top { review: self.review, ..Top::default() },
            ..Table::default()
        };
        let mut state = State {
            table,
            writers,
            sequencers: [Sequencer::default(); SEQUENCERS],
            owner: Owner::Idle,
            reader: None,
            cursor: 0,
            copy: None,
            ghost: Ghost::default(),
            crashes: self.crashes,
            lost: self.lost,
        };
        normalise(self, &mut state);
        vec![state]
    }

    fn actions(&self, state: &State, steps: &mut Vec<Step>) {
        if state.ghost.violation.is_some() {
            return;
        }
        for number in 0..self.requests.len() {
            self.writer_steps(state, number, steps);
        }
        for number in 0..self.sequencers {
            self.sequencer_steps(state, number, steps);
        }
        steps.extend(state.copy.is_some().then_some(Step::Land));
        steps.extend(gate::owner_acts(self, state).then_some(Step::Own));
        steps.extend(gate::reader_acts(self, state).then_some(Step::ReadFeed));
    }

    fn next_state(&self, state: &State, step: Step) -> Option<State> {
        let mut state = state.clone();
        let it = &mut state;
        match step {
            Step::Read(number) => self.turn(it, number).read(),
            Step::Send { writer, clock, item } => self.turn(it, writer).send(clock, item),
            Step::Lose { writer, clock, item, carried_out } => {
                self.turn(it, writer).lose(clock, item, carried_out);
            }
            Step::Tell(number) => self.turn(it, number).tell(),
            Step::Pick { writer, tombstone } => self.turn(it, writer).pick(tombstone),
            Step::Crash(number) => self.turn(it, number).crash(),
            Step::Look(number) => sequencer::read(self, it, number),
            Step::Move(number) => sequencer::send(self, it, number),
            Step::LoseMove { sequencer, carried_out } => sequencer::lose(self, it, sequencer, carried_out),
            Step::Stop(number) => it.sequencers[number] = Sequencer::default(),
            Step::Land => sequencer::land(self, it),
            Step::Own => gate::own(self, it),
            Step::ReadFeed => gate::read(self, it),
        }
        normalise(self, it);
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all()
    }
}

impl Scenario {
    fn turn<'a>(&'a self, state: &'a mut State, number: usize) -> Turn<'a> {
        Turn { scenario: self, state, number }
    }

    fn writer_steps(&self, state: &State, number: usize, steps: &mut Vec<Step>) {
        let it = &state.writers[number];
        if state.crashes > 0 && !matches!(it.pc, Pc::End | Pc::Idle) {
            steps.push(Step::Crash(number));
        }
        if is_waiting(self, state, number) {
            return;
        }
        match it.pc {
            Pc::Reserve | Pc::Read | Pc::ReadEdges => steps.push(Step::Read(number)),
            Pc::Tell => steps.push(Step::Tell(number)),
            Pc::Part => bits(it.todo).for_each(|item| self.send_steps(state, number, item, steps)),
            Pc::Send | Pc::Finish | Pc::Leave => self.send_steps(state, number, 0, steps),
            Pc::Idle => {
                let is_left = |writer: u8| self.slow || state.writers[usize::from(writer)].pc == Pc::End;
                let intent = state.table.intent.is_some_and(|intent| is_left(intent.writer));
                let tombstone = state.table.tombstone.is_some_and(|(_, writer)| is_left(writer));
                steps.extend(intent.then_some(Step::Pick { writer: number, tombstone: false }));
                steps.extend(tombstone.then_some(Step::Pick { writer: number, tombstone: true }));
            }
            Pc::End => {}
        }
    }

    fn send_steps(&self, state: &State, number: usize, item: usize, steps: &mut Vec<Step>) {
        let it = &state.writers[number];
        let derives = it.id != 0 || matches!(it.pc, Pc::Part | Pc::Finish);
        for clock in 0..if derives { 1 } else { self.clocks } {
            steps.push(Step::Send { writer: number, clock, item });
            if state.lost > 0 && !it.unsure {
                for carried_out in [false, true] {
                    steps.push(Step::Lose { writer: number, clock, item, carried_out });
                }
            }
        }
    }

    fn sequencer_steps(&self, state: &State, number: usize, steps: &mut Vec<Step>) {
        let it = &state.sequencers[number];
        match it.pass {
            Pass::Idle if state.table.outbox == 0 => return,
            Pass::Idle => return steps.push(Step::Look(number)),
            Pass::First | Pass::Second | Pass::Head => steps.push(Step::Look(number)),
            Pass::Forget => steps.push(Step::Move(number)),
            Pass::Move => {
                steps.push(Step::Move(number));
                if state.lost > 0 {
                    steps.push(Step::LoseMove { sequencer: number, carried_out: true });
                    steps.extend(
                        state
                            .copy
                            .is_none()
                            .then_some(Step::LoseMove { sequencer: number, carried_out: false }),
                    );
                }
            }
        }
        if self.crashes > 0 {
            steps.push(Step::Stop(number));
        }
    }
}

/// Makes states equal that no process tells apart.
fn normalise(scenario: &Scenario, state: &mut State) {
    // The sequencers are alike.
    if scenario.sequencers == SEQUENCERS {
        state.sequencers.sort_unstable();
    }
    // The order in the feed is checked when an event is put there. Only the brake looks at it later.
    let sequence = usize::from(state.table.top.sequence).min(FEED);
    if scenario.brake.is_none() {
        state.table.feed[..sequence].sort_unstable();
    }
    let told: Mask = state.told().fold(0, |mask, slot| mask | bit(slot));
    let commit = state.table.intent.map_or(0, |intent| bit(usize::from(intent.writer) * SLOTS_EACH));
    let read = state.sequencers.iter().fold(0, |mask, it| mask | it.first | it.second);
    for slot in 0..SLOTS {
        if (told & !commit) & bit(slot) != 0 {
            state.ghost.saw[slot] = 0;
        }
        if (state.table.outbox | read) & bit(slot) == 0 {
            state.table.ids[slot] = 0;
        }
    }
    for resource in 0..RESOURCES {
        compare_versions(scenario, state, resource);
        if state.table.alive & bit(resource) == 0 {
            state.table.stamps[resource] = 0;
            state.ghost.about[resource] = 0;
        }
    }
}

/// Replaces the version of a resource, and what writers have read of it, by whether they are equal.
fn compare_versions(scenario: &Scenario, state: &mut State, resource: usize) {
    let (version, joins) = (&mut state.table.versions[resource], &mut state.table.joins[resource]);
    for (writer, request) in state.writers.iter_mut().zip(&scenario.requests) {
        if request.reads() == Some(resource) {
            writer.version = u8::from(writer.version == *version);
            writer.joins = u8::from(writer.joins == *joins);
        }
    }
    (*version, *joins) = (1, 1);
}
