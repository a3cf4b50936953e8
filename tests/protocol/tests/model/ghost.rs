//! What the requests should do, in the order in which they take effect.

use crate::{
    scenario::{Request, Scenario},
    state::{Answer, Pc, Process, State, Violation},
    steps::read::ITEM,
    table::{Mask, at, bit, kind},
};
use protocol::item::Kind;

/// Lets a request take effect: its transaction has been carried out.
pub(crate) fn take_effect(scenario: &Scenario, state: &mut State, number: usize, sender: &Process) {
    let ghost = &mut state.ghost;
    let process = &state.processes[number];
    if ghost.effective & (1 << number) != 0 {
        ghost.violation.get_or_insert(Violation::Twice);
    }
    if process.answer == Answer::Refused {
        ghost.violation.get_or_insert(Violation::AfterRefusal);
    }
    ghost.effective |= 1 << number;
    match scenario.requests[number] {
        Request::Edit { group, add, remove } => {
            let members = &mut ghost.members[at(group)];
            *members = (*members | add & ghost.alive) & !remove;
        }
        Request::Put { group, members, if_match } => {
            if if_match && sender.version != 2 {
                ghost.violation.get_or_insert(Violation::Overwritten);
            }
            ghost.members[at(group)] = members & ghost.alive;
        }
        Request::Create { id, members } => {
            ghost.alive |= bit(id);
            if kind(id) == Kind::Group {
                ghost.members[at(id)] = members & ghost.alive;
            }
        }
        Request::Delete { id } => {
            ghost.alive &= !bit(id);
            ghost.members = ghost.members.map(|members| members & !bit(id));
            if kind(id) == Kind::Group {
                ghost.members[at(id)] = 0;
            }
        }
        Request::Modify { .. } | Request::GetGroup { .. } | Request::GetUsers { .. } | Request::Janitor => {}
    }
}

/// Notes that resources have another version. A reader that reads a group then must not show older members: a client that
/// writes under the version would undo what it has not seen.
pub(crate) fn note_versions(scenario: &Scenario, state: &mut State, versions: Mask) {
    for (process, request) in state.processes.iter_mut().zip(&scenario.requests) {
        if let Request::GetGroup { group } = *request
            && versions & bit(group) != 0
            && process.pc == Pc::Gather
            && process.todo & ITEM != 0
        {
            process.seen.possible[at(group)] = 0;
        }
    }
}

/// Notes for each reader what its response may show from now on.
pub(crate) fn observe(scenario: &Scenario, state: &mut State, changed: bool) {
    for (process, request) in state.processes.iter_mut().zip(&scenario.requests) {
        if !request.is_reader() || !process.started || process.pc == Pc::End {
            continue;
        }
        let seen = &mut process.seen;
        seen.changed |= changed;
        for (possible, members) in seen.possible.iter_mut().zip(state.ghost.members) {
            *possible |= 1 << members;
        }
        seen.gone |= state.ghost.alive & bit(request.subject()) == 0;
    }
}
