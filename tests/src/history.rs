//! A check of linearizability (Herlihy and Wing): whether some order of concurrent operations explains their history.
//!
//! The search is that of Wing and Gong. It selects one of the remaining operations as the next one if no other remaining
//! operation ended before its start and the state allows its answer.

use std::collections::BTreeSet;

/// An operation with its answer.
#[derive(Debug, Clone)]
pub struct Operation<O> {
    /// The start, by a counting clock.
    pub began: u64,
    /// The end. `None` if the outcome is unknown: the operation took effect at any time after its start, or never.
    pub over: Option<u64>,
    /// The request and the answer.
    pub what: O,
}

/// Returns whether some order explains the history. `step` returns the state after an operation if the state allows its
/// answer.
///
/// # Panics
/// If the history has more than 128 operations.
pub fn is_explained<S: Ord + Clone, O>(
    initial: &S,
    history: &[Operation<O>],
    step: impl Fn(&S, &Operation<O>) -> Option<S>,
) -> bool {
    assert!(history.len() <= 128, "too many operations to search");
    let mut seen = BTreeSet::new();
    let mut open = vec![(0_u128, initial.clone())];
    while let Some((done, state)) = open.pop() {
        let left = || (0..history.len()).filter(move |index| done & (1 << index) == 0);
        if left().all(|index| history[index].over.is_none()) {
            return true;
        }
        let first_over = left().filter_map(|index| history[index].over).min().unwrap_or(u64::MAX);
        for index in left().filter(|index| history[*index].began < first_over) {
            let Some(next) = step(&state, &history[index]) else { continue };
            let next = (done | (1 << index), next);
            if seen.insert(next.clone()) {
                open.push(next);
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::{Operation, is_explained};

    /// An operation on one member.
    #[derive(Debug, Clone, Copy)]
    enum Asked {
        Add,
        Remove,
        Read(bool),
    }
    use Asked::{Add, Read, Remove};

    fn explained(history: &[(u64, u64, Asked)]) -> bool {
        let operation =
            |&(began, over, what)| Operation { began, over: (over != NEVER).then_some(over), what };
        let history: Vec<_> = history.iter().map(operation).collect();
        is_explained(&false, &history, |is_in, operation| match operation.what {
            Add => Some(true),
            Remove => Some(false),
            Read(seen) => (seen == *is_in).then_some(*is_in),
        })
    }

    const NEVER: u64 = u64::MAX;

    #[test]
    fn sequential_operations_keep_their_order() {
        assert!(explained(&[(0, 1, Add), (2, 3, Read(true)), (4, 5, Remove), (6, 7, Read(false))]));
        assert!(!explained(&[(0, 1, Add), (2, 3, Read(false))]), "a stale read");
        assert!(!explained(&[(0, 1, Add), (2, 3, Remove), (4, 5, Read(true))]), "a lost removal");
        assert!(!explained(&[(0, 1, Read(true)), (2, 3, Add)]), "a read of the future");
    }

    #[test]
    fn overlapping_operations_have_either_order() {
        for seen in [true, false] {
            assert!(explained(&[(0, 3, Add), (1, 2, Read(seen))]));
            assert!(explained(&[(0, 3, Add), (1, 4, Remove), (5, 6, Read(seen))]));
        }
        let history = [(0, 9, Add), (1, 2, Read(true)), (3, 4, Read(false))];
        assert!(!explained(&history), "a member that was read does not disappear");
    }

    #[test]
    fn unknown_outcome_allows_any_later_time_or_never() {
        for seen in [true, false] {
            assert!(explained(&[(0, NEVER, Add), (1, 2, Read(false)), (3, 4, Read(seen))]));
        }
        assert!(!explained(&[(0, NEVER, Add), (1, 2, Read(true)), (3, 4, Read(false))]));
        assert!(!explained(&[(0, 1, Read(true)), (2, NEVER, Add)]), "an effect before the start");
    }

    #[test]
    fn readers_agree_on_one_order() {
        let twice =
            [(0, 9, Add), (0, 9, Remove), (1, 2, Read(true)), (3, 4, Read(false)), (5, 6, Read(true))];
        assert!(!explained(&twice), "one addition takes effect once");
    }
}
