//! The steps of the sequencers. A reading of the outbox takes a step for each event that it finds.
//!
//! A move also requires that the feed lacks its events. The condition on the head implies this, so the model leaves it out.

use protocol::events::{Brake, Coming, agree};

use crate::{
    faults::Fault,
    scenario::Scenario,
    state::{BATCH, Id, Mask, Move, Pass, Sequencer, State, Violation, bit, bits},
};

/// Reads the next event of the outbox, or the head.
pub(crate) fn read(scenario: &Scenario, state: &mut State, number: usize) {
    let mut it = state.sequencers[number];
    match it.pass {
        Pass::Idle => it.pass = Pass::First,
        Pass::First => match next(state, it.at) {
            Some(slot) if it.first.count_ones() < scenario.page => {
                it.first |= bit(slot);
                it.at = state.table.ids[slot];
            }
            _ if it.first == 0 => it = Sequencer::default(),
            _ if scenario.has(Fault::SingleReading) => it.pass = Pass::Head,
            _ => (it.pass, it.at) = (Pass::Second, 0),
        },
        Pass::Second => {
            let last = state.ids(it.first).last().copied().unwrap_or_default();
            let is_left = |id: Id| id <= last || scenario.has(Fault::UnconfirmedMoved);
            match next(state, it.at) {
                Some(slot) if is_left(state.table.ids[slot]) => {
                    it.second |= bit(slot);
                    it.at = state.table.ids[slot];
                }
                _ => it = compared(scenario, state, it),
            }
        }
        Pass::Head => (it.pass, it.top, it.at) = (Pass::Move, state.table.top, 0),
        Pass::Move | Pass::Forget => {}
    }
    state.sequencers[number] = it;
}

/// Returns the first event of the outbox after an id.
fn next(state: &State, after: Id) -> Option<usize> {
    let ids = &state.table.ids;
    bits(state.table.outbox).filter(|slot| ids[*slot] > after).min_by_key(|slot| ids[*slot])
}

/// Compares the readings. The sequencer starts again if they do not agree.
fn compared(scenario: &Scenario, state: &State, it: Sequencer) -> Sequencer {
    let (first, second) = (state.ids(it.first), state.ids(it.second));
    let agrees = match scenario.fault {
        Some(Fault::LastIdCompared) => second.contains(&first[first.len() - 1]),
        _ => agree(&first, &second),
    };
    if !agrees {
        return Sequencer::default();
    }
    let moved = if scenario.has(Fault::UnconfirmedMoved) { it.second } else { it.first };
    Sequencer { pass: Pass::Head, first: moved, second: 0, at: 0, ..it }
}

/// Returns the transaction of a sequencer.
fn transaction(scenario: &Scenario, state: &State, it: &Sequencer) -> Move {
    let mut slots: Vec<usize> = bits(it.first).collect();
    slots.sort_by_key(|slot| state.table.ids[*slot]);
    if scenario.has(Fault::OrderOfArrival) {
        slots.reverse();
    }
    let mut moved = [0; BATCH];
    for (place, slot) in moved.iter_mut().zip(slots.iter().take(scenario.batch)) {
        *place = *slot as u8 + 1;
    }
    Move { top: it.top, slots: moved }
}

/// Moves events and receives the answer. Then the sequencer starts again, or moves the next events that it has read.
pub(crate) fn send(scenario: &Scenario, state: &mut State, number: usize) {
    let it = state.sequencers[number];
    let next = if it.pass == Pass::Forget {
        state.table.outbox &= !it.first;
        Sequencer::default()
    } else {
        let read = it.first;
        let it = transaction(scenario, state, &it);
        let moved = execute(scenario, state, it);
        if moved && scenario.has(Fault::DeletedLater) {
            Sequencer { pass: Pass::Forget, first: slots(it), ..Sequencer::default() }
        } else if moved && scenario.keeps_reading && read & !slots(it) != 0 {
            let first = read & !slots(it);
            Sequencer { pass: Pass::Move, first, top: state.table.top, ..Sequencer::default() }
        } else {
            Sequencer::default()
        }
    };
    state.sequencers[number] = next;
}

/// Loses the answer to a move, which is carried out now or perhaps later. The sequencer starts again.
pub(crate) fn lose(scenario: &Scenario, state: &mut State, number: usize, carried_out: bool) {
    state.lost -= 1;
    let it = transaction(scenario, state, &state.sequencers[number]);
    if carried_out {
        execute(scenario, state, it);
    } else {
        state.copy = Some(it);
    }
    state.sequencers[number] = Sequencer::default();
}

/// Carries a late copy out.
pub(crate) fn land(scenario: &Scenario, state: &mut State) {
    if let Some(it) = state.copy.take() {
        execute(scenario, state, it);
    }
}

fn slots(it: Move) -> Mask {
    it.slots.iter().filter_map(|slot| slot.checked_sub(1)).fold(0, |mask, slot| mask | bit(slot.into()))
}

/// Carries a move out. Returns whether its condition held.
fn execute(scenario: &Scenario, state: &mut State, it: Move) -> bool {
    let current = state.table.top;
    let head_holds = match scenario.fault {
        Some(Fault::HeadUnchecked) => true,
        Some(Fault::ReleaseUnchecked) => current.sequence == it.top.sequence,
        _ => current == it.top,
    };
    let is_in_outbox = self::slots(it) & !state.table.outbox == 0;
    if !head_holds || !is_in_outbox && !scenario.has(Fault::OutboxUnchecked) {
        return false;
    }
    let slots = || it.slots.iter().filter_map(|slot| slot.checked_sub(1));
    let coming =
        slots().map(|slot| Coming { millis: 0, is_destructive: scenario.is_destructive(slot.into()) });
    let coming: Vec<Coming> = coming.collect();
    let mut head = it.top.head();
    match scenario.fault {
        Some(Fault::ReviewIgnored) => head.review = false,
        Some(Fault::HeldOvertaken) => head.released = head.sequence,
        _ => {}
    }
    let passed = vec![0; it.top.passed.into()];
    let late = usize::from(scenario.has(Fault::BrakeCountsAfter));
    let brake = scenario.brake.map(|limit| Brake { limit: limit + late, window: 1 });
    let moved = head.moved(brake, &passed, &coming);
    let released = moved.released.saturating_sub(it.top.sequence.into()) as usize;
    let destructive = coming.iter().take(released).filter(|event| event.is_destructive).count() as u8;
    let mut top = it.top.with(moved);
    top.review = current.review;
    top.passed += destructive;
    if top.sequence < current.sequence || top.released < current.released {
        state.violate(Violation::WentBack);
    }
    for (index, slot) in slots().enumerate() {
        let before = state.told().fold(0, |mask, slot| mask | bit(slot));
        if state.ghost.saw[usize::from(slot)] & !before != 0 {
            state.violate(Violation::OutOfOrder);
        }
        match state.table.feed.get_mut(usize::from(it.top.sequence) + index) {
            Some(place) if *place == 0 => *place = slot + 1,
            // Only a planted fault moves events twice, so that there are too many.
            _ => state.violate(Violation::Rewritten),
        }
    }
    state.table.top = top;
    if !scenario.has(Fault::DeletedLater) {
        state.table.outbox &= !self::slots(it);
    }
    true
}
