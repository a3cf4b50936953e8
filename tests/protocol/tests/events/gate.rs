//! The steps of those who look at the feed from outside: the owner, who releases held events, and a reader.

use crate::{
    faults::Fault,
    scenario::{Release, Scenario},
    state::{FEED, Owner, State, Top, Violation},
};

/// Returns whether the owner has something to do.
pub(crate) fn owner_acts(scenario: &Scenario, state: &State) -> bool {
    let top = state.table.top;
    match (scenario.release, state.owner) {
        (Release::Never, _) | (_, Owner::Done) => false,
        (Release::Always, Owner::Idle) => top.released < top.sequence,
        (_, Owner::Decides(_)) | (Release::BeginningOfReview | Release::EndOfReview, Owner::Idle) => true,
    }
}

/// The owner reads the head, or writes it on condition that it is as it was read.
pub(crate) fn own(scenario: &Scenario, state: &mut State) {
    let current = state.table.top;
    let Owner::Decides(read) = state.owner else {
        state.owner = Owner::Decides(current);
        return;
    };
    state.owner = Owner::Idle;
    if current != read && !scenario.has(Fault::EndOfReviewUnchecked) {
        return;
    }
    let head = match scenario.release {
        _ if scenario.has(Fault::ReleasedAhead) => {
            let mut head = read.head();
            head.released = head.sequence + 1;
            head
        }
        Release::BeginningOfReview => read.head().begin_review(),
        Release::EndOfReview => read.head().end_review(),
        _ => read.head().release(read.sequence.into()).unwrap_or(read.head()),
    };
    let top = Top { passed: 0, sequence: current.sequence, ..current.with(head) };
    state.table.top = top;
    state.ghost.allowed = top.released;
    if scenario.release != Release::Always {
        state.owner = Owner::Done;
    }
}

/// Returns whether the reader has something to read.
pub(crate) fn reader_acts(scenario: &Scenario, state: &State) -> bool {
    scenario.reader && (state.reader.is_some() || visible(scenario, state) > state.cursor)
}

/// Returns the sequence up to which the reader reads.
fn visible(scenario: &Scenario, state: &State) -> u8 {
    let top = state.table.top;
    if scenario.has(Fault::GateIgnored) { top.sequence } else { top.released }
}

/// The reader reads the head, or the feed up to what the head has released.
pub(crate) fn read(scenario: &Scenario, state: &mut State) {
    let Some(up_to) = state.reader.take() else {
        state.reader = Some(visible(scenario, state));
        return;
    };
    for sequence in state.cursor..up_to {
        if state.table.feed.get(usize::from(sequence)).is_none_or(|slot| *slot == 0) {
            state.violate(Violation::Gap);
        }
    }
    if up_to > state.table.top.released {
        state.violate(Violation::Unreleased);
    }
    state.cursor = up_to.min(FEED as u8);
}
