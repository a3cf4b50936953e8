//! The properties that must hold in every state.

use stateright::{Model, Property};

use crate::{
    scenario::{Release, Scenario},
    state::{Mask, Pc, State, Violation, bit, bits},
};

/// The properties. The checker reports the first history that violates one.
pub(crate) fn all() -> Vec<Property<Scenario>> {
    vec![
        Property::always("an effect follows its causes", |_, state: &State| {
            state.ghost.violation != Some(Violation::OutOfOrder)
        }),
        Property::always("an event is in the feed once", |_, state: &State| is_told_once(state)),
        Property::always("the sequence has no gap", |_, state: &State| {
            is_gapless(state) && state.ghost.violation != Some(Violation::Gap)
        }),
        Property::always("nothing is told that is not committed", |_, state: &State| {
            (state.table.outbox | told(state)) & !state.ghost.committed == 0
        }),
        Property::always("a committed change is in the outbox or the feed", |_, state: &State| {
            state.ghost.committed & !(state.table.outbox | told(state)) == 0
        }),
        Property::always("the feed is never rewritten", |_, state: &State| {
            !matches!(state.ghost.violation, Some(Violation::Rewritten | Violation::WentBack))
        }),
        Property::always("nothing is shown that is not released", |_, state: &State| {
            let top = state.table.top;
            top.released <= top.sequence && state.ghost.violation != Some(Violation::Unreleased)
        }),
        Property::always("review shows what the owner has released", |_, state: &State| {
            !state.table.top.review || state.table.top.released <= state.ghost.allowed
        }),
        Property::always("the brake stops before one event too many", brake_holds),
        Property::always("every change is told at the end", ends_well),
    ]
}

fn told(state: &State) -> Mask {
    state.told().fold(0, |mask, slot| mask | bit(slot))
}

fn is_told_once(state: &State) -> bool {
    state.told().count() == told(state).count_ones() as usize
}

fn is_gapless(state: &State) -> bool {
    let sequence = usize::from(state.table.top.sequence);
    let (before, after) = state.table.feed.split_at(sequence.min(state.table.feed.len()));
    before.iter().all(|slot| *slot != 0) && after.iter().all(|slot| *slot == 0)
}

fn brake_holds(scenario: &Scenario, state: &State) -> bool {
    let (allowed, released) = (state.ghost.allowed.into(), state.table.top.released.into());
    scenario.brake.is_none_or(|limit| {
        let passed = state.told().take(released).skip(allowed);
        passed.filter(|slot| scenario.is_destructive(*slot)).count() <= limit
    })
}

fn ends_well(scenario: &Scenario, state: &State) -> bool {
    let mut steps = Vec::new();
    scenario.actions(state, &mut steps);
    if !steps.is_empty() || state.ghost.violation.is_some() {
        return true;
    }
    let (table, top) = (&state.table, state.table.top);
    let has_ended = |pc| matches!(pc, Pc::End | Pc::Idle);
    let is_held = top.review || scenario.brake.is_some() && scenario.release == Release::Never;
    state.writers.iter().all(|writer| has_ended(writer.pc))
        && table.intent.is_none()
        && table.tombstone.is_none()
        && table.edges & !table.alive == 0
        && table.outbox == 0
        && told(state) == state.ghost.committed
        && usize::from(top.sequence) == bits(state.ghost.committed).count()
        && (is_held || top.released == top.sequence)
        && (!scenario.reader || state.cursor == top.released)
}
