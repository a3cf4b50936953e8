//! The scenarios that are explored, and their bounds.

use crate::{
    scenario::{Release, Request, Scenario, mask, two_sequencers},
    state::GROUP,
};

use Request::{Add, Create, Delete, DeleteLarge, Janitor, PutReserved, Remove, Update};

fn add_large() -> Request {
    Request::AddLarge(mask(&[0, 1]))
}

/// The scenarios with the most states. They are explored as listed only, unless the bounds are wide.
pub(crate) const LARGEST: [&str; 2] = ["add large, delete", "add large, delete large"];

/// A user that does not exist at first.
fn without_first(scenario: &mut Scenario) {
    scenario.alive &= !1;
}

/// Returns every scenario.
pub(crate) fn all() -> Vec<Scenario> {
    [orders(), large_changes(), sequencers(), gates()].concat()
}

/// Small writes of the same resources by writers whose clocks differ.
fn orders() -> Vec<Scenario> {
    vec![
        Scenario::new("create, add", &[], &[Create(0), Add(0)]).with(without_first),
        Scenario::new("create, update, add", &[], &[Create(0), Update(0), Add(0)]).with(without_first),
        Scenario::new("update, update, delete", &[], &[Update(0), Update(0), Delete(0)]),
        Scenario::new("add, remove, update group", &[], &[Add(0), Remove(0), Update(GROUP)]),
        Scenario::new("add, remove, add", &[1], &[Add(0), Remove(1), Add(1)]),
        Scenario::new("add, delete", &[], &[Add(0), Delete(0), Update(0)]),
        Scenario::new("remove, delete", &[0, 1], &[Remove(1), Delete(0), Update(GROUP)]),
        Scenario::new("add, delete large", &[], &[Add(0), DeleteLarge(0), Janitor])
            .with(|scenario| scenario.crashes = 1),
        Scenario::new("put, delete large", &[0], &[PutReserved, DeleteLarge(0), Janitor]),
        Scenario::new("put, put, delete large", &[0], &[PutReserved, PutReserved, DeleteLarge(0), Janitor]),
        Scenario::new("answers lost", &[1], &[Add(0), Remove(1), Update(0)])
            .with(|scenario| (scenario.crashes, scenario.lost) = (1, 1)),
    ]
}

/// Large changes of members.
fn large_changes() -> Vec<Scenario> {
    let slow = |scenario: &mut Scenario| scenario.slow = true;
    let crash = |scenario: &mut Scenario| (scenario.crashes, scenario.lost) = (1, 1);
    vec![
        Scenario::new("create, add large", &[], &[Create(0), add_large(), Janitor]).with(without_first),
        Scenario::new("add large, remove", &[], &[add_large(), Remove(0), Janitor]),
        Scenario::new("add large, killed", &[], &[add_large(), Janitor]).with(crash),
        Scenario::new("add large, suspended", &[], &[add_large(), Janitor]).with(slow),
        Scenario::new("add large, delete", &[], &[add_large(), Delete(0), Update(1), Janitor]),
        Scenario::new("add large, delete large", &[0], &[add_large(), DeleteLarge(0), Janitor]).with(crash),
    ]
}

/// Sequencers at once.
fn sequencers() -> Vec<Scenario> {
    let crash = |scenario: &mut Scenario| (scenario.crashes, scenario.lost) = (1, 1);
    let one_by_one = |scenario: &mut Scenario| (scenario.page, scenario.batch) = (2, 1);
    vec![
        Scenario::new("two sequencers", &[], &[Create(0), Add(0)])
            .with(without_first)
            .with(two_sequencers)
            .with(crash),
        Scenario::new("two sequencers, three writers", &[], &[Create(0), Add(0), Update(1)])
            .with(without_first)
            .with(two_sequencers),
        Scenario::new("two sequencers, reading kept", &[1], &[Add(0), Remove(1), Update(0)])
            .with(one_by_one)
            .with(|scenario| scenario.keeps_reading = true)
            .with(two_sequencers),
        Scenario::new("two sequencers, one by one", &[1], &[Add(0), Remove(1), Update(0)])
            .with(one_by_one)
            .with(two_sequencers),
    ]
}

/// The gate, its owner and a reader.
fn gates() -> Vec<Scenario> {
    let read = |scenario: &mut Scenario| scenario.reader = true;
    let brake = |scenario: &mut Scenario| scenario.brake = Some(1);
    let own = |release| move |scenario: &mut Scenario| scenario.release = release;
    let review = |scenario: &mut Scenario| scenario.review = true;
    vec![
        Scenario::new("reader", &[], &[Create(0), Add(0)])
            .with(without_first)
            .with(two_sequencers)
            .with(read),
        Scenario::new("brake", &[0], &[Remove(0), Delete(1), Update(GROUP)]).with(brake).with(read),
        Scenario::new("brake, released", &[0], &[Remove(0), Delete(1)])
            .with(brake)
            .with(own(Release::Always))
            .with(two_sequencers)
            .with(read),
        Scenario::new("review", &[], &[Update(0), Update(1)])
            .with(review)
            .with(own(Release::Always))
            .with(two_sequencers)
            .with(read),
        Scenario::new("review, begun", &[], &[Update(0), Update(1)])
            .with(own(Release::BeginningOfReview))
            .with(two_sequencers)
            .with(read),
        Scenario::new("review, ended", &[], &[Update(0), Update(1)])
            .with(review)
            .with(own(Release::EndOfReview))
            .with(two_sequencers)
            .with(read),
    ]
}
