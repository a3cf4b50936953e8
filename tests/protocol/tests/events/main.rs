//! Events as a model: ids, outbox, sequencers, gate and feed, by the rules of [`protocol::events`].
//!
//! It is a model of its own beside that of the write protocol (`tests/model/`), whose states it would multiply. The other
//! model covers drafts, tokens, reservations, leases, readers and what is stored after each request. This one covers the
//! order and the number of events. Of a write it has the reads, the transaction with its conditions, the parts of a large
//! change and the second transaction of a large deletion.
//!
//! Absent on purpose: late copies of the writers' transactions (their tokens make them equal to a delay), names, deletions
//! of groups, deliveries, the end of kept events, and times within the window of the brake. A unit test of the rule has
//! such times.
//!
//! - [`scenario`] says which writers run at once, on which data, and how much may go wrong. [`bounds`] lists them.
//! - [`transaction`] and [`writer`] are the writers. Each reading of a clock is any of a few numbers, so clocks differ
//!   and jump.
//! - [`sequencer`] reads the outbox in one step for each event, and moves events. [`gate`] is the owner and a reader.
//! - [`state`] also knows what an observer knows: which changes are committed, and which events each of them has seen.
//! - [`faults`] are planted into the rules. [`planted`] says where the properties find each of them.
//!
//! `SCIM_MODEL_WIDE=1` explores wider bounds. `-- --nocapture` prints the states of each scenario.

#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "a test fails by panicking")]
#![allow(clippy::cast_possible_truncation, reason = "the numbers of the model are small")]
#![allow(clippy::struct_excessive_bools, reason = "a state is a list of facts")]

mod bounds;
mod explore;
mod faults;
mod gate;
mod planted;
mod properties;
mod scenario;
mod sequencer;
mod state;
mod transaction;
mod writer;

use std::time::Instant;

use bounds::LARGEST;
use scenario::Scenario;
use stateright::{Checker, HasDiscoveries, Model};

/// The number of threads of a checker.
const THREADS: usize = 2;

/// Explores the scenarios. Fails with the shortest history that violates a property.
fn assert_hold(bounds: &str, scenarios: impl IntoIterator<Item = Scenario>) {
    let (mut states, began) = (0, Instant::now());
    for scenario in scenarios {
        let name = scenario.name;
        let again = scenario.clone();
        let checker = scenario.checker().threads(THREADS).finish_when(HasDiscoveries::Any).spawn_dfs().join();
        println!("{name}: {} states", checker.unique_state_count());
        states += checker.unique_state_count();
        if !checker.discoveries().is_empty() {
            let shortest = again.checker().finish_when(HasDiscoveries::Any).spawn_bfs().join();
            let histories = shortest.discoveries().into_iter().map(|(property, path)| {
                let last = path.last_state().clone();
                let actions = path.into_actions().into_iter().map(|action| format!("{action:?}\n"));
                format!("{property}\n{}{last:#?}", actions.collect::<String>())
            });
            panic!("{name}: violated: {}", histories.collect::<String>());
        }
    }
    println!("{bounds}: {states} states in {:.0} s", began.elapsed().as_secs_f64());
}

#[expect(clippy::disallowed_methods, reason = "tests read their options from the environment")]
fn is_wide() -> bool {
    std::env::var_os("SCIM_MODEL_WIDE").is_some()
}

/// Returns every scenario but the largest, with other bounds. Those that have these bounds already are left out.
fn smaller(change: fn(&mut Scenario)) -> impl Iterator<Item = Scenario> {
    let smaller = bounds::all().into_iter().filter(|it| is_wide() || !LARGEST.contains(&it.name));
    smaller.filter_map(move |scenario| {
        let changed = scenario.clone().with(change);
        (changed != scenario).then_some(changed)
    })
}

#[test]
fn events_violate_no_property() {
    assert_hold("as listed", bounds::all());
}

#[test]
fn crashes_and_lost_answers_violate_no_property() {
    assert_hold("crashes and lost answers", smaller(|it| (it.crashes, it.lost) = (1, 1)));
}

#[test]
fn two_sequencers_violate_no_property() {
    assert_hold("two sequencers", smaller(scenario::two_sequencers));
}

#[test]
fn clocks_further_apart_violate_no_property() {
    assert_hold("three readings of a clock", smaller(|it| it.clocks = 3));
}
