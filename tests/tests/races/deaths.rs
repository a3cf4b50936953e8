//! Death of the process at many moments of a write, on the realistic DynamoDB. Calls in progress go on.
//!
//! A process that starts at once sees the data as before the write or as after it, although it overlaps with the calls
//! of the dead one. After the janitor's time, a repeated request succeeds, and nothing is left of the first.

use std::collections::BTreeSet;

use local::realistic::Realistic;
use tests::Request;
use tokio::time::{Duration, Instant, sleep, timeout};

use super::{
    crashes::Repeat,
    late::later,
    world::{Seen, World, assert_healthy, difference, sweep, visible},
};

/// The number of moments.
const MOMENTS: u32 = 16;
/// The time after which no call is in progress.
const LONGEST_CALL: Duration = Duration::from_millis(13);

/// Lets the process die at each moment of a write. Returns the number of moments.
pub(super) async fn check_deaths(world: &World, request: &Request, repeat: Repeat) -> usize {
    let client = dynamodb(world).client();
    let process = |seed| world.process_on(client.clone(), seed, time::Duration::ZERO);
    let before = visible(&process(5)).await;
    let began = Instant::now();
    let answer = request.send(&process(3)).await;
    assert!((200..300).contains(&answer.status), "{:#}", answer.body);
    let took = began.elapsed();
    let outcomes = [&before, &visible(&process(5)).await];
    let moments: BTreeSet<_> = (0..MOMENTS).map(|number| (took * number / MOMENTS).as_millis()).collect();
    for moment in &moments {
        let moment = Duration::from_millis(u64::try_from(*moment).expect("a short time"));
        check(world, request, repeat, outcomes, moment).await;
    }
    moments.len()
}

/// Returns a DynamoDB with the data of the world. Its times are the same in each case.
fn dynamodb(world: &World) -> Realistic {
    Realistic::new(world.database(), 1)
}

async fn check(
    world: &World,
    request: &Request,
    repeat: Repeat,
    [before, after]: [&Seen; 2],
    moment: Duration,
) {
    let client = dynamodb(world).client();
    let dying = world.process_on(client.clone(), 3, time::Duration::ZERO);
    let answer = timeout(moment, request.send(&dying)).await.ok();
    drop(dying);

    let other = world.process_on(client.clone(), 7, time::Duration::ZERO);
    let unrelated = other.get(&world.unrelated_user()).await;
    assert_eq!(unrelated.status, 200, "{moment:?}: {:#}", unrelated.body);
    sleep(LONGEST_CALL).await;
    let seen = visible(&other).await;
    let happened = seen == *after;
    assert!(
        happened || seen == *before,
        "{moment:?}: neither before\n{}nor after\n{}",
        difference(before, &seen),
        difference(after, &seen)
    );
    if let Some(answer) = answer {
        assert!((200..300).contains(&answer.status) && happened, "{moment:?}: {answer:?}");
    }

    let later = world.process_on(client, 9, later());
    sweep(&later).await;
    let again = request.send(&later).await;
    let is_allowed = (200..300).contains(&again.status) || happened && repeat.allows(again.status);
    assert!(is_allowed, "{moment:?}: repeated, {again:?}");
    let seen = visible(&later).await;
    assert!(seen == *after, "{moment:?}: {}", difference(after, &seen));
    assert_healthy(&later, &format!("{moment:?}")).await;
}
