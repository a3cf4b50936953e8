//! The write protocol as a model: every interleaving of a few requests, with crashes, lost answers and late copies.
//!
//! - [`scenario`] says which requests run at once, on which data, and how much may go wrong. [`bounds`] lists them.
//! - [`table`] is the table. [`calls`] are the writes of the processes, by the rules of the library.
//! - [`steps`] are the processes: each step makes one call to DynamoDB. [`explore`] is the model that the checker explores.
//! - [`ghost`] knows which members there should be, and [`properties`] compare.
//! - [`faults`] are planted into the protocol. [`planted`] says where the properties find each of them.
//!
//! Events have a model of their own in `tests/events/`.
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
mod planted;
mod properties;
mod scenario;
mod state;
mod steps;
mod table;

use std::time::Instant;

use bounds::LARGEST;
use scenario::Scenario;
use stateright::{Checker, HasDiscoveries, Model};

/// The number of threads of a checker.
const THREADS: usize = 2;

/// Returns every scenario but the largest.
fn smaller_scenarios() -> impl Iterator<Item = Scenario> {
    bounds::all().into_iter().filter(|scenario| is_wide() || scenario.name != LARGEST)
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
    let bounded = bounds::all().into_iter().map(|scenario| {
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
