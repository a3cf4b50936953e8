//! Where the checker finds each planted fault.

use std::time::Instant;

use stateright::{Checker, HasDiscoveries, Model};

use crate::{
    bounds,
    faults::Fault,
    scenario::{Exception, Scenario},
};

/// The number of states after which the search for a fault continues with the next scenario.
const MOST_STATES: usize = 300_000;

/// Every fault, with the scenario that finds it after few states.
const PLANTED: [(Fault, &str); 27] = [
    (Fault::ClockOnly, "create, add"),
    (Fault::ReadStampIgnored, "update, update, delete"),
    (Fault::GroupNotCompared, "add, remove, update group"),
    (Fault::MemberNotCompared, "create, add"),
    (Fault::StampNotSet, "create, add"),
    (Fault::LeftGroupNotCompared, "add, delete"),
    (Fault::ReservedNotCompared, "put, delete large"),
    (Fault::StampBehindParts, "add large, remove"),
    (Fault::NewMembersIgnored, "create, add large"),
    (Fault::PartIdsFromClock, "add large, killed"),
    (Fault::PartAppliedTwice, "add large, suspended"),
    (Fault::EventAfterCommit, "create, add"),
    (Fault::EventBeforeCommit, "create, add"),
    (Fault::SingleReading, "add, delete"),
    (Fault::LastIdCompared, "add, delete"),
    (Fault::UnconfirmedMoved, "add, delete"),
    (Fault::OrderOfArrival, "create, add"),
    (Fault::HeadUnchecked, "two sequencers, one by one"),
    (Fault::OutboxUnchecked, "two sequencers"),
    (Fault::ReleaseUnchecked, "review, begun"),
    (Fault::DeletedLater, "two sequencers"),
    (Fault::GateIgnored, "review"),
    (Fault::ReviewIgnored, "review"),
    (Fault::HeldOvertaken, "brake"),
    (Fault::BrakeCountsAfter, "brake"),
    (Fault::ReleasedAhead, "review"),
    (Fault::EndOfReviewUnchecked, "review, ended"),
];

/// Every order that the rules do not promise, with the scenario that shows it.
const EXCEPTIONS: [(Exception, &str); 2] = [
    (Exception::DeletionAfterAddition, "add, delete large"),
    (Exception::ChangeDuringLargeChange, "add large, delete"),
];

/// Returns the property that the scenario violates after few states.
fn find(scenario: Scenario) -> Option<&'static str> {
    let checker = scenario.checker().finish_when(HasDiscoveries::Any).target_state_count(MOST_STATES);
    checker.spawn_dfs().join().discoveries().keys().next().copied()
}

fn named(name: &str) -> Option<Scenario> {
    bounds::all().into_iter().find(|scenario| scenario.name == name)
}

/// Returns every scenario that finds the fault.
fn search(fault: Fault) -> Vec<String> {
    let find = |scenario: Scenario| {
        let name = scenario.name;
        find(scenario.with(|it| it.fault = Some(fault))).map(|property| format!("{name}: {property}"))
    };
    bounds::all().into_iter().filter_map(find).collect()
}

#[test]
fn every_planted_fault_is_found() {
    let began = Instant::now();
    let mut missed = Vec::new();
    for (fault, name) in PLANTED {
        match named(name).and_then(|scenario| find(scenario.with(|it| it.fault = Some(fault)))) {
            Some(property) => println!("{fault:?}: {name}: {property}"),
            None => missed.push(format!("{fault:?} is not found in '{name}', but in {:?}", search(fault))),
        }
    }
    println!("planted faults: {:.0} s", began.elapsed().as_secs_f64());
    assert!(missed.is_empty(), "{missed:#?}");
}

#[test]
fn orders_that_are_not_promised_do_occur() {
    for (exception, name) in EXCEPTIONS {
        let scenario = named(name).map(|scenario| scenario.with(|it| it.promised = Some(exception)));
        let violated = scenario.and_then(find);
        assert_eq!(violated, Some("an effect follows its causes"), "{exception:?}");
    }
}
