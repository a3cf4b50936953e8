//! The rules of events: ids, the sequencer's decisions and the gate, as pure functions.
//!
//! The model of events (`tests/events/`) makes all of its decisions by these functions. They know neither DynamoDB nor a
//! clock nor randomness, so the service may call or mirror them. The rules in short:
//!
//! - The id of an event is a [`LogicalTime`] and something random. It is greater than the stamp of each resource that the
//!   transaction writes or checks. The transaction sets the stamp of each resource that it writes to the id.
//! - A large change of members has its place in the order at its commit. The events of its parts have ids of
//!   [`LogicalTime::part`], and the commit sets the stamp of the group to the id of the last part. The parts compare no
//!   stamps: the commit's id is greater than the stamps of the members that the request has read before.
//! - The sequencer reads the outbox until two readings [`agree`], and then the head. It moves events on condition that the
//!   outbox has them, and that the head is as it was read: sequence, release and review.
//! - The gate is [`Head::moved`], [`Head::release`] and [`Head::end_review`].

/// The largest counter of one millisecond.
const MAX_COUNTER: u16 = u16::MAX;

/// A hybrid logical time: milliseconds, then a counter. The order of derivation is that of comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct LogicalTime {
    /// Milliseconds since 1970, by the clock of any writer.
    pub millis: u64,
    /// The number of the time within its millisecond.
    pub counter: u16,
}

impl LogicalTime {
    /// Returns the time of a new event: the clock's, or the next after the greatest stamp if that is not past.
    ///
    /// `stamps` are those of the resources that the transaction writes or checks, as far as they have been read or a
    /// refusal has returned them.
    #[must_use]
    pub fn after(clock: u64, stamps: impl IntoIterator<Item = Self>) -> Self {
        let now = Self { millis: clock, counter: 0 };
        match stamps.into_iter().max() {
            Some(latest) if latest >= now => latest.plus(1),
            _ => now,
        }
    }

    /// Returns the time of a part of a large change of members. Parts are numbered from 1, in the order of their keys, so
    /// that each process that applies a part gives it the same id.
    #[must_use]
    pub fn part(self, number: u16) -> Self {
        self.plus(number)
    }

    /// Returns the stamp of the group after the commit: no later event of the group has an id before those of the parts.
    #[must_use]
    pub fn stamp_of_commit(self, parts: u16) -> Self {
        self.part(parts)
    }

    /// Returns the time that is `steps` later. The counter carries over into the milliseconds.
    fn plus(self, steps: u16) -> Self {
        match self.counter.checked_add(steps) {
            Some(counter) => Self { counter, ..self },
            None => Self { millis: self.millis + 1, counter: steps - (MAX_COUNTER - self.counter) - 1 },
        }
    }
}

/// Returns whether two readings of the outbox agree up to the last id of the first. Both are in the order of ids.
///
/// A Query is no snapshot. An event that the first reading has passed by was committed before each event that it causes,
/// so the second reading finds it if the first has found its effect.
#[must_use]
pub fn agree<T: Ord>(first: &[T], second: &[T]) -> bool {
    let Some(last) = first.last() else { return true };
    second.iter().take_while(|id| *id <= last).eq(first)
}

/// The head of the feed of an organisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Head {
    /// The last sequence. The first event has the sequence 1.
    pub sequence: u64,
    /// The last sequence that readers see.
    pub released: u64,
    /// Whether the organisation is in review: nothing is released without its owner.
    pub review: bool,
}

/// An event that the sequencer is about to move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Coming {
    /// When it happened, in milliseconds since 1970.
    pub millis: u64,
    /// Whether it takes something from a person: deactivated, deleted, taken out of a group.
    pub is_destructive: bool,
}

/// The brake: no more than `limit` destructive events are released within `window`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Brake {
    /// The number of destructive events that pass.
    pub limit: usize,
    /// The window in milliseconds.
    pub window: u64,
}

impl Brake {
    /// Returns how many of the events pass: all before the first that would be one too many.
    ///
    /// `passed` are the times of the destructive events that have passed since the owner released something last.
    #[must_use]
    pub fn passing(self, passed: &[u64], events: &[Coming]) -> usize {
        let mut passed = passed.to_vec();
        let is_too_many = |event: &Coming| {
            if !event.is_destructive {
                return false;
            }
            let recent = passed.iter().filter(|time| event.millis.abs_diff(**time) < self.window).count();
            passed.push(event.millis);
            recent >= self.limit
        };
        events.iter().position(is_too_many).unwrap_or(events.len())
    }
}

impl Head {
    /// Returns the head after the sequencer has moved these events.
    ///
    /// The release follows the sequence, unless events are held already: by the review, or because the release is behind
    /// the sequence. An event never overtakes a held one.
    #[must_use]
    pub fn moved(self, brake: Option<Brake>, passed: &[u64], events: &[Coming]) -> Self {
        let sequence = self.sequence + events.len() as u64;
        if self.is_holding() {
            return Self { sequence, ..self };
        }
        let passing = brake.map_or(events.len(), |brake| brake.passing(passed, events));
        Self { sequence, released: self.sequence + passing as u64, ..self }
    }

    /// Returns whether the next event is held.
    #[must_use]
    pub fn is_holding(self) -> bool {
        self.review || self.released < self.sequence
    }

    /// Returns the head after the owner has released the events up to a sequence, or `None` if there is no such event or it
    /// is released already. A review goes on.
    #[must_use]
    pub fn release(self, up_to: u64) -> Option<Self> {
        (self.released < up_to && up_to <= self.sequence).then_some(Self { released: up_to, ..self })
    }

    /// Returns the head after the owner has begun a review. What is released stays so.
    #[must_use]
    pub fn begin_review(self) -> Self {
        Self { review: true, ..self }
    }

    /// Returns the head after the owner has ended the review, which releases everything. A release that stayed behind
    /// would hold the next events although no request asked for it.
    #[must_use]
    pub fn end_review(self) -> Self {
        Self { released: self.sequence, review: false, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(millis: u64, counter: u16) -> LogicalTime {
        LogicalTime { millis, counter }
    }

    #[test]
    fn event_is_later_than_all_stamps() {
        assert_eq!(LogicalTime::after(5, []), time(5, 0));
        assert_eq!(LogicalTime::after(5, [time(4, 9), time(3, 0)]), time(5, 0));
        assert_eq!(LogicalTime::after(5, [time(4, 9), time(5, 0)]), time(5, 1));
        assert_eq!(LogicalTime::after(5, [time(7, 2), time(7, 1)]), time(7, 3));
        assert_eq!(LogicalTime::after(5, [time(7, u16::MAX)]), time(8, 0));
    }

    #[test]
    fn parts_follow_their_commit_and_precede_the_next_event() {
        let commit = time(7, u16::MAX - 1);
        let parts: Vec<_> = (1..=3).map(|number| commit.part(number)).collect();
        assert_eq!(parts, [time(7, u16::MAX), time(8, 0), time(8, 1)]);
        assert!(LogicalTime::after(0, [commit.stamp_of_commit(3)]) > parts[2]);
    }

    #[test]
    fn readings_agree_up_to_the_last_of_the_first() {
        assert!(agree(&[1, 3], &[1, 3]));
        assert!(agree(&[1, 3], &[1, 3, 4]));
        assert!(!agree(&[1, 3], &[1, 2, 3]));
        assert!(!agree(&[1, 3], &[3]));
        assert!(!agree(&[1, 3], &[1]));
        assert!(agree(&[], &[1]));
    }

    fn events(destructive: &[u64], of: u64) -> Vec<Coming> {
        (0..of).map(|millis| Coming { millis, is_destructive: destructive.contains(&millis) }).collect()
    }

    #[test]
    fn brake_stops_before_the_first_that_is_too_many() {
        let brake = Brake { limit: 2, window: 10 };
        assert_eq!(brake.passing(&[], &events(&[0, 1], 4)), 4);
        assert_eq!(brake.passing(&[], &events(&[0, 1, 3], 5)), 3);
        assert_eq!(brake.passing(&[0, 0], &events(&[2], 3)), 2);
        assert_eq!(brake.passing(&[0, 0], &events(&[12], 13)), 13);
        assert_eq!(Brake { limit: 0, window: 1 }.passing(&[], &events(&[0], 1)), 0);
    }

    #[test]
    fn held_events_hold_the_next_ones() {
        let brake = Some(Brake { limit: 1, window: 10 });
        let head = Head::default().moved(brake, &[], &events(&[0, 1], 3));
        assert_eq!(head, Head { sequence: 3, released: 1, review: false });
        let head = head.moved(brake, &[], &events(&[], 1));
        assert_eq!((head.sequence, head.released), (4, 1));
        assert_eq!(head.release(5), None);
        assert_eq!(head.release(1), None);
        let head = head.release(4).expect("a release");
        assert_eq!(head.moved(brake, &[], &events(&[], 2)).released, 6);
    }

    #[test]
    fn review_holds_everything_until_its_end() {
        let head = Head { review: true, ..Head::default() }.moved(None, &[], &events(&[], 2));
        assert_eq!((head.sequence, head.released), (2, 0));
        let head = head.release(2).expect("a release").moved(None, &[], &events(&[], 1));
        assert_eq!((head.sequence, head.released), (3, 2));
        let head = head.begin_review().end_review();
        assert_eq!(head.moved(None, &[], &events(&[], 1)), Head { sequence: 4, released: 4, review: false });
    }
}
