//! The search for the planted faults.

use std::time::Instant;

use stateright::{Checker, HasDiscoveries, Model};

use crate::{
    bounds::{self, LARGEST},
    faults::Fault,
    scenario::Scenario,
};

/// The number of states after which the search for a fault continues with the next scenario.
const MOST_STATES: usize = 300_000;

/// Numbers of crashes, of lost answers and of suspended requests.
type Failures = [u8; 3];

const NONE: Failures = [0, 0, 0];
const CRASH: Failures = [1, 0, 0];
const LOST: Failures = [0, 1, 0];
const SLOW: Failures = [0, 0, 1];

/// The order in which a fault is searched that is not found where [`PLANTED`] says.
const SEARCHED: [Failures; 6] = [NONE, CRASH, LOST, SLOW, [0, 1, 1], [1, 1, 0]];

/// Every fault, with the scenario and the failures that find it after few states.
const PLANTED: [(Fault, &str, Failures); 37] = [
    (Fault::HeaderDecides, "create groups of one name", LOST),
    (Fault::DraftUnconditional, "create groups of one name", LOST),
    (Fault::MoreUnchecked, "put, one", SLOW),
    (Fault::ApplyUnseen, "create groups of one name", CRASH),
    (Fault::TakeBackUnchecked, "create groups of one name", SLOW),
    (Fault::CommitUnchecked, "create groups of one name", SLOW),
    (Fault::ApplyTwice, "many, one", SLOW),
    (Fault::FinishUnchecked, "put, many", SLOW),
    (Fault::PartsDeletedFirst, "get group, many", NONE),
    (Fault::CleanByAge, "create groups of one name", CRASH),
    (Fault::NoLease, "many, one", NONE),
    (Fault::DeleteWithoutJoins, "delete user, add it", NONE),
    (Fault::NoTombstone, "delete member group at once", NONE),
    (Fault::EditIgnoresIntent, "many, one", NONE),
    (Fault::EditIgnoresReservation, "put, one, one", NONE),
    (Fault::MemberUnchecked, "delete user, add it", NONE),
    (Fault::EditWritesDifference, "many, many", NONE),
    (Fault::VersionIgnoresReservation, "put, put, one", NONE),
    (Fault::ReservationUnchecked, "put, put, one", SLOW),
    (Fault::TokenNotBurnt, "one, one", LOST),
    (Fault::NewToken, "one, one", LOST),
    (Fault::CountOutside, "create users of one name", NONE),
    (Fault::ReverseOutside, "one, one", NONE),
    (Fault::ListOutside, "delete member group at once", NONE),
    (Fault::UniqueByRead, "create group, edit it", NONE),
    (Fault::GroupPartsIgnored, "get group, many", NONE),
    (Fault::UserPartsIgnored, "get users, many", NONE),
    (Fault::DraftsShown, "get users, many", NONE),
    (Fault::GroupTombstonesIgnored, "get group, delete user", NONE),
    (Fault::UserTombstonesIgnored, "get user, delete it", NONE),
    (Fault::EndIgnored, "get users, many", NONE),
    (Fault::HeaderReadWithGroup, "get users, many, remove many", NONE),
    (Fault::DraftTakenForEnded, "get users, many in several drafts", NONE),
    (Fault::AddedUnchecked, "get group, many, delete user", NONE),
    (Fault::ReadOnce, "get group, many", NONE),
    (Fault::IntentNotCompared, "get group, many", NONE),
    (Fault::FinishedCompared, "get group, small put", NONE),
];

/// Returns the property that finds the fault in the scenario.
fn find(fault: Fault, scenario: Scenario, [crashes, lost, slow]: Failures) -> Option<&'static str> {
    let planted = scenario.crashes(crashes).lost(lost).slow(slow).with(|it| it.fault = Some(fault));
    let checker = planted.checker().finish_when(HasDiscoveries::Any).target_state_count(MOST_STATES);
    checker.spawn_dfs().join().discoveries().keys().next().copied()
}

/// Returns the first scenario that finds the fault.
fn search(fault: Fault) -> Option<String> {
    SEARCHED.into_iter().find_map(|failures| {
        let mut scenarios = bounds::all().into_iter().filter(|scenario| scenario.name != LARGEST);
        scenarios.find_map(|scenario| {
            let name = scenario.name;
            find(fault, scenario, failures).map(|property| format!("{name}, {failures:?}: {property}"))
        })
    })
}

#[test]
fn every_planted_fault_is_found() {
    let began = Instant::now();
    let mut missed = Vec::new();
    for (fault, name, failures) in PLANTED {
        let scenario = bounds::all().into_iter().find(|scenario| scenario.name == name);
        match scenario.and_then(|scenario| find(fault, scenario, failures)) {
            Some(property) => println!("{fault:?}: {name}: {property}"),
            None => missed.push(format!("{fault:?} is not found in {name}, but in {:?}", search(fault))),
        }
    }
    println!("planted faults: {:.0} s", began.elapsed().as_secs_f64());
    assert!(missed.is_empty(), "{missed:#?}");
}
