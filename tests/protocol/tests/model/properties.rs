//! The properties of every state.

use stateright::{Model, Property};

use crate::{
    calls::visible,
    scenario::{Request, Scenario},
    state::{Pc, State, Violation},
    table::{GROUP, GROUPS, USERS, at, bit, ids},
};

/// The properties. The checker reports the first history that violates one.
pub(crate) fn all() -> Vec<Property<Scenario>> {
    vec![
        Property::always("a request takes effect at most once", |_, state: &State| {
            state.ghost.violation != Some(Violation::Twice)
        }),
        Property::always("a refused request has no effect", |_, state: &State| {
            state.ghost.violation != Some(Violation::AfterRefusal)
        }),
        Property::always("a successful request has taken effect", |_, state: &State| {
            !matches!(state.ghost.violation, Some(Violation::Unacknowledged | Violation::Unchanged))
        }),
        Property::always("If-Match overwrites no other version", |_, state: &State| {
            state.ghost.violation != Some(Violation::Overwritten)
        }),
        Property::always("a response shows each change as before or after it", |_, state: &State| {
            state.ghost.violation != Some(Violation::Response)
        }),
        Property::always("a reader repeats its reads only after a change", |_, state: &State| {
            state.ghost.violation != Some(Violation::Stuck)
        }),
        Property::always("members are those of the requests that took effect", members_are_right),
        Property::always("resources, names and counts are right", resources_are_right),
        Property::always("edges agree in both directions", |_, state: &State| {
            state.items.edges == state.items.reverse
        }),
        Property::always("edges have both ends unless a tombstone is there", edges_have_ends),
        Property::always("a group has one holder, which has a header", holders_are_right),
        Property::always("every header is in the list of unfinished changes", |_, state: &State| {
            state.items.headers == state.items.listed
        }),
        Property::always("every request ends, and nothing is left over", ends_well),
    ]
}

fn members_are_right(_: &Scenario, state: &State) -> bool {
    (GROUP..GROUP + GROUPS).all(|group| visible(&state.items, group) == state.ghost.members[at(group)])
}

fn resources_are_right(scenario: &Scenario, state: &State) -> bool {
    let alive = state.ghost.alive;
    let users = alive & (bit(USERS) - 1);
    let counts = [users.count_ones(), (alive & !users).count_ones()];
    let names = ids(alive).fold(0_u8, |names, id| names | 1 << scenario.names[usize::from(id)]);
    state.items.alive == alive
        && state.items.counts.map(i64::from) == counts.map(i64::from)
        && state.items.names == names
        // No two resources have one name.
        && names.count_ones() == alive.count_ones()
}

fn edges_have_ends(_: &Scenario, state: &State) -> bool {
    let items = &state.items;
    let deleted = ids(items.headers & items.tombstones)
        .fold(0, |mask, change| mask | bit(items.subject[usize::from(change)].into()));
    (GROUP..GROUP + GROUPS).all(|group| {
        let edges = items.edges[at(group)];
        let members_exist = edges & !items.alive & !deleted == 0;
        let group_exists = (items.alive | deleted) & bit(group) != 0;
        // The edges of a deleted group are those of its tombstone.
        if deleted & bit(group) != 0 { true } else { members_exist && (group_exists || edges == 0) }
    })
}

fn holders_are_right(scenario: &Scenario, state: &State) -> bool {
    (GROUP..GROUP + GROUPS).all(|group| {
        let items = &state.items;
        let one = items.intent(group).is_none() || items.reservation(group).is_none();
        let open = |change: u16| items.has_header(change) && items.discarded & (1 << change) == 0;
        one && (scenario.is_restored || items.holder(group).is_none_or(open))
    })
}

fn ends_well(scenario: &Scenario, state: &State) -> bool {
    let may_rest = |pc| matches!(pc, Pc::End | Pc::Idle | Pc::Wait);
    if state.ghost.violation.is_some() || !state.processes.iter().all(|process| may_rest(process.pc)) {
        return true;
    }
    let mut steps = Vec::new();
    scenario.actions(state, &mut steps);
    if !steps.is_empty() {
        return true;
    }
    let has_ended = |(request, pc): (&Request, Pc)| match request {
        Request::Janitor => pc == Pc::Idle,
        _ => pc == Pc::End,
    };
    let pcs = state.processes.iter().map(|process| process.pc);
    let items = &state.items;
    scenario.requests.iter().zip(pcs).all(has_ended)
        && (items.headers, items.listed) == (0, 0)
        && items.intent == [0; 2]
        && items.reservation == [0; 2]
        && items.parts.iter().all(|parts| parts.exist == 0)
        && (GROUP..GROUP + GROUPS).all(|group| items.edges[at(group)] == state.ghost.members[at(group)])
}
