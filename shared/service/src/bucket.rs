//! The token bucket of an organisation, without I/O. `store/leases.rs` makes the calls.
//!
//! A bucket holds at most `burst` tokens and receives `rate` tokens a second. A request takes one. The bucket is one number
//! in an item: the time at which it is full again (GCRA, the generic cell rate algorithm). An instance of a function does
//! not write the item on each request:
//!
//! - **Free requests.** An instance admits a tenth of the rate without a call, with a burst of one second.
//! - **Leases.** Above that rate, an instance takes a fifth of the rate from the item at once, and admits as many requests
//!   without a call.
//! - **Debts.** A lease also takes the tokens of the free requests of the second before it. An instance that takes leases
//!   at least once a second therefore pays for each request.
//! - **Refusals.** An instance that receives no lease refuses requests without a call until the bucket has the tokens of a
//!   lease. Until it receives one, it admits no free requests either.
//!
//! # The bound of the error
//!
//! In `t` seconds, `i` instances admit at most `burst + rate × t + i × 2/5 × rate` requests if each instance takes leases
//! at least once a second, and additionally a tenth of `rate × t` for each instance that does not. (`2/5` is a lease, and
//! two seconds of free requests. With a rate below 10, a lease is one token, and so is each second of free requests.) The
//! clocks of the instances differ, which adds `rate` times the difference.
//!
//! No request is refused if the requests of all instances stay within the rate, and within a burst that is smaller than
//! `burst` by a fifth of the rate for each instance and by 1.2 seconds of the rate.

use crate::settings::Settings;

/// Microseconds, and times in microseconds since 1970.
type Micros = u64;

const SECOND: Micros = 1_000_000;
/// The time in which free requests become a debt.
const WINDOW: Micros = SECOND;
/// The largest rate. The interval between two tokens is a whole number of microseconds.
const MAX_RATE: u32 = 1_000_000;

/// The limits of requests.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Requests a second. 0 counts as 1.
    rate: u32,
    /// Requests at once. 0 counts as 1.
    burst: u32,
}

impl From<Settings> for Limits {
    fn from(Settings { rate, burst, .. }: Settings) -> Self {
        Self { rate, burst }
    }
}

impl Limits {
    fn rate(self) -> u64 {
        u64::from(self.rate.clamp(1, MAX_RATE))
    }

    fn burst(self) -> u64 {
        u64::from(self.burst.max(1))
    }

    /// Returns the time in which the bucket receives these tokens.
    fn time_of(self, tokens: u64) -> Micros {
        tokens * (SECOND / self.rate())
    }

    /// Returns the time between two free requests.
    fn free_interval(self) -> Micros {
        10 * self.time_of(1)
    }

    /// Returns the number of free requests at once.
    fn free_burst(self) -> u64 {
        (self.rate() / 10).max(1)
    }

    /// Returns the number of tokens of a lease.
    fn lease(self) -> u64 {
        (self.rate() / 5).clamp(1, self.burst())
    }

    /// Returns the longest time after which the bucket may be full again: an empty bucket, and the debts of a lease.
    fn longest(self) -> Micros {
        self.time_of(self.burst() + 2 * self.free_burst() + self.lease()) + SECOND
    }
}

/// The account of an organisation in one instance of a function.
#[derive(Debug, Clone, Default)]
pub(crate) struct Account {
    /// When all free requests are available again.
    free: Micros,
    /// The free requests since `owed_since`.
    owed: u64,
    owed_since: Micros,
    /// The tokens of the lease that are left.
    held: u64,
    /// Until when the bucket has no lease, if the last attempt to take one was refused.
    refused_until: Option<Micros>,
    /// When the bucket is full again, as far as this instance knows.
    full: Option<Micros>,
    /// The time of the last request.
    last: Micros,
}

/// The decision on a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The request is admitted.
    Admitted,
    /// The instance needs a lease.
    NeedsLease,
    /// The request is refused. The bucket has a lease after this time.
    Refused(Micros),
}

/// An attempt to take a lease of these tokens by a change of the item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Attempt {
    tokens: u64,
    pub(crate) change: Change,
}

/// A change of the time in the item, on a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// Sets the time, if there is none or it is not after `now`: the bucket is full.
    Full { now: Micros, time: Micros },
    /// Adds to the time, if it is after `now` and not after `latest`.
    Partial { now: Micros, cost: Micros, latest: Micros },
    /// Sets the time, if it is `seen`. No lease at this rate makes such a time: the rate was lower, or a clock was wrong.
    Stale { seen: Micros, time: Micros },
}

impl Account {
    /// Decides on a request.
    pub(crate) fn take(&mut self, limits: Limits, now: Micros) -> Verdict {
        self.last = now;
        // A lease of another rate is at most one of this rate.
        self.held = self.held.min(limits.lease());
        if self.held > 0 {
            self.held -= 1;
            return Verdict::Admitted;
        }
        if let Some(until) = self.refused_until {
            let wait = until.saturating_sub(now);
            // A longer wait is that of another rate, or the clock was set back.
            let is_over = wait == 0 || wait > limits.longest();
            return if is_over { Verdict::NeedsLease } else { Verdict::Refused(wait) };
        }
        let free = self.free.max(now) + limits.free_interval();
        if free > now + limits.free_burst() * limits.free_interval() {
            return Verdict::NeedsLease;
        }
        self.free = free;
        if now.saturating_sub(self.owed_since) >= WINDOW {
            (self.owed, self.owed_since) = (0, now);
        }
        self.owed += 1;
        Verdict::Admitted
    }

    /// Returns the change of the item to attempt first.
    pub(crate) fn first_attempt(&self, limits: Limits, now: Micros) -> Result<Attempt, Micros> {
        self.attempt(limits, now, self.full)
    }

    /// Returns the change of the item that has the time `full`, or how long the bucket has no lease.
    pub(crate) fn attempt(
        &self,
        limits: Limits,
        now: Micros,
        full: Option<Micros>,
    ) -> Result<Attempt, Micros> {
        let lease = limits.lease();
        let cost = |tokens: u64| limits.time_of(tokens + self.owed);
        let Some(full) = full.filter(|full| *full > now) else {
            return Ok(Attempt { tokens: lease, change: Change::Full { now, time: now + cost(lease) } });
        };
        if full - now > limits.longest() {
            let time = now + limits.time_of(limits.burst());
            return Ok(Attempt { tokens: lease, change: Change::Stale { seen: full, time } });
        }
        let left = (now + limits.time_of(limits.burst())).saturating_sub(full) / limits.time_of(1);
        if left == 0 {
            return Err(full - (now + limits.time_of(limits.burst() - lease)));
        }
        let tokens = left.min(lease);
        let latest = now + limits.time_of(limits.burst() - tokens);
        Ok(Attempt { tokens, change: Change::Partial { now, cost: cost(tokens), latest } })
    }

    /// Records a lease that the item has granted.
    pub(crate) fn granted(&mut self, now: Micros, attempt: Attempt) {
        self.full = match attempt.change {
            Change::Full { time, .. } | Change::Stale { time, .. } => Some(time),
            Change::Partial { cost, .. } => Some(self.full.unwrap_or_default().max(now) + cost),
        };
        (self.owed, self.owed_since) = (0, now);
        self.held = attempt.tokens;
        self.refused_until = None;
    }

    /// Records that the item has the time `full`.
    pub(crate) fn seen(&mut self, full: Option<Micros>) {
        self.full = full;
    }

    /// Records that the bucket has no lease for this time.
    pub(crate) fn refused(&mut self, now: Micros, wait: Micros) {
        self.refused_until = Some(now + wait);
    }

    /// Admits as many requests as a lease although no lease was taken, because DynamoDB does not answer.
    pub(crate) fn passed(&mut self, limits: Limits) {
        self.held = limits.lease();
        self.refused_until = None;
    }

    /// Returns whether the organisation has sent no request for a minute.
    pub(crate) fn is_idle(&self, now: Micros) -> bool {
        now.saturating_sub(self.last) > 60 * SECOND
    }
}

/// Returns the time as the whole seconds of `Retry-After`, at least one.
pub(crate) fn whole_seconds(wait: Micros) -> u64 {
    wait.div_ceil(SECOND).max(1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DEFAULT: Limits = Limits { rate: 50, burst: 200 };

    /// Instances that share an item, on one clock.
    struct World {
        limits: Limits,
        instances: Vec<Account>,
        item: Option<Micros>,
        /// The number of changes of the item, and of those that were refused.
        calls: usize,
    }

    impl World {
        fn new(limits: Limits, instances: usize) -> Self {
            Self { limits, instances: vec![Account::default(); instances], item: None, calls: 0 }
        }

        /// Carries out a change of the item as DynamoDB does.
        fn update(&mut self, change: Change) -> bool {
            self.calls += 1;
            let (holds, time) = match (change, self.item) {
                (Change::Full { now, time }, item) => (item.is_none_or(|full| full <= now), time),
                (Change::Partial { now, cost, latest }, Some(full)) => {
                    (full > now && full <= latest, full + cost)
                }
                (Change::Stale { seen, time }, item) => (item == Some(seen), time),
                (Change::Partial { .. }, None) => (false, 0),
            };
            if holds {
                self.item = Some(time);
            }
            holds
        }

        /// Sends a request to an instance. Returns how long it has to wait, or `None` if it is admitted.
        fn send(&mut self, instance: usize, now: Micros) -> Option<Micros> {
            let limits = self.limits;
            loop {
                match self.instances[instance].take(limits, now) {
                    Verdict::Admitted => return None,
                    Verdict::Refused(wait) => return Some(wait),
                    Verdict::NeedsLease => {}
                }
                let mut attempt = self.instances[instance].first_attempt(limits, now);
                loop {
                    match attempt {
                        Ok(granted) if self.update(granted.change) => {
                            self.instances[instance].granted(now, granted);
                            break;
                        }
                        Ok(_) => {
                            self.instances[instance].seen(self.item);
                            attempt = self.instances[instance].attempt(limits, now, self.item);
                        }
                        Err(wait) => {
                            self.instances[instance].refused(now, wait);
                            break;
                        }
                    }
                }
            }
        }
    }

    /// Returns the largest excess of admitted requests over `rate × time` in any period.
    fn largest_burst(admitted: &[Micros], per_second: f64) -> f64 {
        // The excess over all periods that end now: it grows by one, and shrinks with time.
        let mut last = 0;
        let mut excess: f64 = 0.0;
        let mut largest: f64 = 0.0;
        for time in admitted {
            excess = (excess - per_second * seconds(time - last)).max(0.0) + 1.0;
            largest = largest.max(excess);
            last = *time;
        }
        largest
    }

    #[expect(clippy::cast_precision_loss, reason = "the times of a test are short")]
    fn seconds(micros: Micros) -> f64 {
        micros as f64 / 1e6
    }

    /// Returns the part of the documented bound that depends on the number of instances.
    fn error_of(limits: Limits, instances: usize) -> f64 {
        f64::from(u32::try_from(limits.lease() + 2 * limits.free_burst()).unwrap())
            * f64::from(u32::try_from(instances).unwrap())
    }

    fn any_limits() -> impl Strategy<Value = Limits> {
        (1_u32..300, 1_u32..600).prop_map(|(rate, burst)| Limits { rate, burst })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn flood_admits_no_more_than_the_bound(
            limits in any_limits(),
            instances in 1_usize..12,
            gaps in prop::collection::vec(1_u64..4_000, 3_000),
            seed in any::<u64>(),
        ) {
            let mut world = World::new(limits, instances);
            let (mut now, mut admitted, mut random) = (SECOND, Vec::new(), seed);
            for gap in gaps {
                now += gap;
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let instance = usize::try_from(random >> 33).unwrap() % instances;
                if world.send(instance, now).is_none() {
                    admitted.push(now);
                }
            }
            let bound = f64::from(limits.burst) + error_of(limits, instances);
            let rate = f64::from(limits.rate);
            // Instances that take leases pay in full. One that does not admits a tenth of the rate.
            let quiet = rate / 10.0 * f64::from(u32::try_from(instances).unwrap());
            prop_assert!(largest_burst(&admitted, rate + quiet) <= bound);
        }

        #[test]
        fn steady_flood_pays_for_each_request(
            rate in 10_u32..300,
            burst in 1_u32..600,
            instances in 1_usize..6,
        ) {
            let limits = Limits { rate, burst };
            let mut world = World::new(limits, instances);
            let mut admitted = Vec::new();
            for millis in 1_000..11_000 {
                for instance in 0..instances {
                    if world.send(instance, millis * 1_000).is_none() {
                        admitted.push(millis * 1_000);
                    }
                }
            }
            let bound = f64::from(burst) + error_of(limits, instances);
            // The interval between tokens is rounded down to a microsecond.
            prop_assert!(largest_burst(&admitted, f64::from(rate) * 1.001) <= bound);
        }

        #[test]
        fn organisation_within_its_rate_is_never_refused(
            instances in 1_usize..9,
            gaps in prop::collection::vec((0_u64..60_000, any::<u8>()), 2_000),
        ) {
            let mut world = World::new(DEFAULT, instances);
            // The requests stay within the rate and a burst of 50.
            let (mut now, mut full) = (SECOND, 0);
            for (gap, random) in gaps {
                now += gap;
                if full > now + 49 * DEFAULT.time_of(1) {
                    now = full - 49 * DEFAULT.time_of(1);
                }
                full = full.max(now) + DEFAULT.time_of(1);
                // Runs of requests reach the same instance.
                let instance = usize::from(random / 32) % instances;
                prop_assert_eq!(world.send(instance, now), None);
            }
        }

        #[test]
        fn refusal_says_when_the_next_request_is_admitted(
            limits in any_limits(),
            requests in 1_usize..2_000,
        ) {
            let mut world = World::new(limits, 1);
            for _ in 0..requests {
                if let Some(wait) = world.send(0, SECOND) {
                    prop_assert!(wait <= limits.longest());
                    prop_assert!(world.send(0, SECOND + wait - 1).is_some());
                    prop_assert_eq!(world.send(0, SECOND + wait), None);
                    break;
                }
            }
        }
    }

    #[test]
    fn tenth_of_the_rate_makes_no_call() {
        let mut world = World::new(DEFAULT, 1);
        for number in 0..1_000 {
            assert_eq!(world.send(0, SECOND + number * 200_000), None);
        }
        assert_eq!(world.calls, 0);
    }

    #[test]
    fn half_of_the_rate_makes_two_calls_a_second() {
        let mut world = World::new(DEFAULT, 1);
        for number in 0..25 * 60 {
            assert_eq!(world.send(0, SECOND + number * 40_000), None);
        }
        assert!((100..=120).contains(&world.calls), "{}", world.calls);
    }

    #[test]
    fn burst_is_admitted_at_once_and_no_more() {
        let mut world = World::new(DEFAULT, 1);
        let admitted = (0..1_000).filter(|_| world.send(0, SECOND).is_none()).count();
        assert_eq!(admitted, 200, "the burst, of which the first lease pays for the free requests");
        assert_eq!(world.send(0, SECOND).map(whole_seconds), Some(1));
    }

    #[test]
    fn flood_of_one_instance_makes_few_calls() {
        let mut world = World::new(DEFAULT, 1);
        let admitted = (0..10_000).filter(|millis| world.send(0, SECOND + millis * 1_000).is_none()).count();
        assert!((695..=705).contains(&admitted), "{admitted}");
        assert!(world.calls <= 120, "{}", world.calls);
    }

    #[test]
    fn smallest_limits_admit_one_request_a_second() {
        for limits in [Limits { rate: 0, burst: 0 }, Limits { rate: 1, burst: 1 }] {
            let mut world = World::new(limits, 1);
            let admitted = (0..60_000).filter(|millis| world.send(0, SECOND + millis * 1_000).is_none());
            assert!((55..=65).contains(&admitted.count()));
        }
    }

    #[test]
    fn time_in_the_far_future_is_replaced() {
        let mut world = World::new(DEFAULT, 1);
        world.item = Some(3_600 * SECOND);
        let admitted = (0..10_000).filter(|millis| world.send(0, SECOND + millis * 1_000).is_none()).count();
        assert!(admitted > 400, "{admitted}");
    }

    #[test]
    fn clock_that_was_set_back_refuses_nothing_for_long() {
        let mut world = World::new(DEFAULT, 1);
        while world.send(0, 3_600 * SECOND).is_none() {}
        assert_eq!(world.send(0, SECOND), None);
    }

    #[test]
    fn retry_after_is_at_least_a_second() {
        assert_eq!([0, 1, SECOND, SECOND + 1].map(whole_seconds), [1, 1, 1, 2]);
    }
}
