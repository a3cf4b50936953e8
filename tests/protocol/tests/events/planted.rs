//! Where the checker finds each planted fault.

use std::time::Instant;

use stateright::{Checker, HasDiscoveries, Model};

use crate::{bounds, faults::Fault, scenario::Scenario};

/// The number of states after which the search for a fault continues with the next scenario.
const MOST_STATES: usize = 300_000;

/// Every fault, with the scenario that finds it after few states.
const PLANTED: [(Fault, &str); 27] = [
    (Fault::ClockOnly, ""),
    (Fault::ReadStampIgnored, ""),
    (Fault::GroupNotCompared, ""),
    (Fault::MemberNotCompared, ""),
    (Fault::StampNotSet, ""),
    (Fault::LeftGroupNotCompared, ""),
    (Fault::ReservedNotCompared, ""),
    (Fault::StampBehindParts, ""),
    (Fault::NewMembersIgnored, ""),
    (Fault::PartIdsFromClock, ""),
    (Fault::PartAppliedTwice, ""),
    (Fault::EventAfterCommit, ""),
    (Fault::EventBeforeCommit, ""),
    (Fault::SingleReading, ""),
    (Fault::LastIdCompared, ""),
    (Fault::UnconfirmedMoved, ""),
    (Fault::OrderOfArrival, ""),
    (Fault::HeadUnchecked, ""),
    (Fault::HeadReadLast, ""),
    (Fault::ReleaseUnchecked, ""),
    (Fault::DeletedLater, ""),
    (Fault::GateIgnored, ""),
    (Fault::ReviewIgnored, ""),
    (Fault::HeldOvertaken, ""),
    (Fault::BrakeCountsAfter, ""),
    (Fault::ReleasedAhead, ""),
    (Fault::EndOfReviewUnchecked, ""),
];

/// Returns the property that finds the fault in the scenario.
fn find(fault: Fault, scenario: Scenario) -> Option<&'static str> {
    let planted = scenario.with(|it| it.fault = Some(fault));
    let checker = planted.checker().finish_when(HasDiscoveries::Any).target_state_count(MOST_STATES);
    checker.spawn_dfs().join().discoveries().keys().next().copied()
}

/// Returns every scenario that finds the fault.
fn search(fault: Fault) -> Vec<String> {
    let find = |scenario: Scenario| {
        let name = scenario.name;
        find(fault, scenario).map(|property| format!("{name}: {property}"))
    };
    bounds::all().into_iter().filter_map(find).take(40).collect()
}

#[test]
fn every_planted_fault_is_found() {
    let began = Instant::now();
    let mut missed = Vec::new();
    for (fault, name) in PLANTED {
        let scenario = bounds::all().into_iter().find(|scenario| scenario.name == name);
        match scenario.and_then(|scenario| find(fault, scenario)) {
            Some(property) => println!("{fault:?}: {name}: {property}"),
            None => missed.push(format!("{fault:?} is not found in '{name}', but in {:?}", search(fault))),
        }
    }
    println!("planted faults: {:.0} s", began.elapsed().as_secs_f64());
    assert!(missed.is_empty(), "{missed:#?}");
}
