//! The write protocol as a model: every interleaving of a few requests, with crashes, lost answers and late copies.
//!
//! - [`scenario`] says which requests run at once, on which data, and how much may go wrong. [`bounds`] lists them.
//! - [`table`] is the table. [`calls`] are the writes of the processes, by the rules of the library.
//! - [`steps`] are the processes: each step makes one call to DynamoDB. [`explore`] is the model that the checker explores.
//! - [`ghost`] knows which members there should be, and [`properties`] compare.
//! - [`faults`] are planted into the protocol. The properties find each of them.
//!
//! `SCIM_MODEL_WIDE=1` explores wider bounds, which takes an hour. `-- --nocapture` prints the states of each scenario.

#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "a test fails by panicking")]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the numbers of the model are small"
)]
#![allow(clippy::struct_excessive_bools, clippy::match_same_arms, reason = "a state is a list of facts")]

mod bounds;
mod calls;
mod explore;
mod faults;
mod ghost;
mod properties;
mod scenario;
mod state;
mod steps;
mod table;

use std::time::Instant;

use scenario::Scenario;
use stateright::{Checker, HasDiscoveries, Model};

/// The number of threads of a checker.
const THREADS: usize = 2;
/// The number of states after which the search for a planted fault continues with the next scenario.
const MOST_STATES: usize = 100_000;

/// Returns every scenario without the restored tables.
fn scenarios() -> Vec<Scenario> {
    use bounds::{creations, deletions, edits, group_readers, puts, user_readers};
    [edits(), puts(), deletions(), creations(), group_readers(), user_readers()].concat()
}

/// The scenario with the most states. One of its processes dies at most.
const LARGEST: &str = "get user, many, many";

/// Returns every scenario but the largest.
fn smaller_scenarios() -> impl Iterator<Item = Scenario> {
    scenarios().into_iter().filter(|scenario| is_wide() || scenario.name != LARGEST)
}

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
                let actions = path.into_actions().into_iter().map(|action| format!("{action:?}\n"));
                format!("{property}\n{}", actions.collect::<String>())
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

#[test]
fn crashes_and_lost_answers_violate_no_property() {
    let (crashes, lost) = if is_wide() { (2, 2) } else { (1, 1) };
    let bounded = smaller_scenarios().map(|scenario| scenario.crashes(crashes).lost(lost));
    assert_hold(&format!("{crashes} crash, {lost} lost answer"), bounded);
}

#[test]
fn suspended_requests_violate_no_property() {
    let (slow, deadlines) = if is_wide() { (2, 1) } else { (1, 0) };
    let bounded = smaller_scenarios().map(|scenario| scenario.slow(slow).deadlines(deadlines));
    assert_hold(&format!("{slow} suspended, {deadlines} out of time"), bounded);
}

#[test]
fn requests_out_of_time_violate_no_property() {
    let deadlines = |name| u8::from(is_wide() || name != LARGEST);
    let bounded = scenarios().into_iter().map(|scenario| {
        let deadlines = deadlines(scenario.name);
        scenario.crashes(1).deadlines(deadlines)
    });
    assert_hold("1 crash, 1 out of time", bounded);
}

#[test]
fn lost_headers_violate_no_property() {
    // A crash would leave parts without a header, which only `doctor --finish` removes.
    assert_hold("restored", bounds::restored().into_iter().map(|scenario| scenario.lost(1)));
}

/// Numbers of crashes, of lost answers and of suspended requests, in the order in which faults are searched.
const SEARCHED: [[u8; 3]; 6] = [[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 1, 1], [1, 1, 0]];

/// Faults that these bounds do not find. They need a reservation beside two further writers.
const BEYOND_BOUNDS: [faults::Fault; 2] =
    [faults::Fault::VersionIgnoresReservation, faults::Fault::ReservationUnchecked];

#[test]
fn every_planted_fault_is_found() {
    let began = Instant::now();
    let mut missed = Vec::new();
    for fault in faults::Fault::ALL {
        let planted = SEARCHED.into_iter().flat_map(|[crashes, lost, slow]| {
            let bounded = smaller_scenarios().map(move |it| it.crashes(crashes).lost(lost).slow(slow));
            bounded.map(|scenario| scenario.with(|it| it.fault = Some(fault)))
        });
        let found = planted.into_iter().find_map(|scenario| {
            let name = scenario.name;
            let checker = scenario.checker().threads(THREADS).finish_when(HasDiscoveries::Any);
            let checker = checker.target_state_count(MOST_STATES).spawn_dfs().join();
            checker.discoveries().keys().next().map(|property| format!("{name}: {property}"))
        });
        match found {
            Some(found) => println!("{fault:?}: {found}"),
            None if BEYOND_BOUNDS.contains(&fault) => {}
            None => missed.push(fault),
        }
    }
    println!("planted faults: {:.0} s", began.elapsed().as_secs_f64());
    assert!(missed.is_empty(), "{missed:?}");
}
