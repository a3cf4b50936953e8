//! The expected effects of the requests, in the order in which they take effect.

use crate::{
    scenario::{Request, Scenario},
    state::{Answer, Ghost, MayShow, Pc, Process, Seen, State, Violation},
    steps::read::ITEM,
    table::{GROUP, GROUPS, Items, Mask, at, bit, ids, kind},
};
use protocol::item::{Change, Id, Kind};

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
            process.seen.possible = 0;
        }
    }
}

/// Notes for each reader what its response may show from now on.
pub(crate) fn observe(scenario: &Scenario, state: &mut State, changed: bool) {
    for (process, request) in state.processes.iter_mut().zip(&scenario.requests) {
        if !request.is_reader() || !process.started || process.pc == Pc::End {
            continue;
        }
        // A reader of a group compares what it reads.
        process.seen.changed |= changed && matches!(request, Request::GetUsers { .. });
        note_now(*request, &state.ghost, &mut process.seen);
    }
}

/// Lets the response of a reader show what there is now.
fn note_now(request: Request, ghost: &Ghost, seen: &mut Seen) {
    seen.gone |= ghost.alive & bit(request.subject()) == 0;
    match request {
        Request::GetGroup { group } => seen.possible |= 1 << ghost.members[at(group)],
        Request::GetUsers { users } => {
            for (shown, members) in seen.may_show.iter_mut().zip(ghost.members) {
                shown.members |= users & members;
                shown.others |= users & !members;
            }
        }
        _ => {}
    }
}

/// Notes that a reader begins to read. A reader of users may have read the edges of a change before they are written, and
/// the headers after the change has ended. It then shows the edges as they are now, each on its own.
pub(crate) fn begin_reading(request: Request, items: &Items, ghost: &Ghost, seen: &mut Seen) {
    note_now(request, ghost, seen);
    if let Request::GetUsers { users } = request {
        for (shown, edges) in seen.may_show.iter_mut().zip(items.reverse) {
            shown.members |= users & edges;
            shown.others |= users & !edges;
        }
    }
}

/// Notes that a reader of users reads the headers. It must show the committed changes among them, and hide the deleted
/// resources.
pub(crate) fn note_headers(users: Mask, items: &Items, seen: &mut Seen) {
    let open = items.headers & !items.discarded;
    for change in ids(items.headers & items.tombstones) {
        let subject = items.subject[usize::from(change)].into();
        for (group, shown) in (GROUP..).zip(&mut seen.may_show) {
            let hidden = if subject == group { users } else { users & bit(subject) };
            shown.members &= !hidden;
            shown.others |= hidden;
        }
    }
    for group in GROUP..GROUP + GROUPS {
        if let Some(change) = items.intent(group).filter(|change| open & (1 << change) != 0) {
            note_committed(users, items, group, change, seen);
        }
    }
}

/// Notes that a reader of users reads that a change is committed. It must show all of the change.
pub(crate) fn note_committed(users: Mask, items: &Items, group: Id, change: Change, seen: &mut Seen) {
    let committed = &mut seen.may_show[at(group)].committed;
    *committed = committed.then(items.parts[usize::from(change)].stored().only(users));
}

/// Returns whether a response may show these users as members of a group.
pub(crate) fn may_show(ghost: &Ghost, users: Mask, shown: MayShow, members: Mask) -> bool {
    let MayShow { committed, .. } = shown;
    // A user that is deleted before the commit or after it may be shown as a member or not.
    let deleted = committed.add & !ghost.alive;
    members & !shown.members & !deleted == 0
        && users & !members & !shown.others == 0
        && committed.add & ghost.alive & !members == 0
        && committed.remove & members == 0
}
