//! Faults that are planted into the rules. The checker finds each.

use crate::{
    scenario::{Request, Scenario},
    state::{GROUP, Pc, Writer, bit},
    transaction::Transaction,
};

/// A planted fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// An id comes from the clock alone, and no stamp is compared.
    ClockOnly,
    /// An id is not later than the stamps that were read.
    ReadStampIgnored,
    /// A write of the group that has not read it does not compare its stamp.
    GroupNotCompared,
    /// An addition does not compare the stamp of the new member.
    MemberNotCompared,
    /// A write does not set the stamp.
    StampNotSet,
    /// A deletion does not compare the stamps of the groups that the user leaves.
    LeftGroupNotCompared,
    /// A write under a reservation does not compare the stamp of the group. The deletion of a member may have changed it.
    ReservedNotCompared,
    /// The commit sets the stamp of the group to its own id.
    StampBehindParts,
    /// The commit is not later than the stamps of the members that the request has read.
    NewMembersIgnored,
    /// The events of parts have ids from the clock.
    PartIdsFromClock,
    /// A part is applied even if it has been applied.
    PartAppliedTwice,
    /// The event is written after the transaction.
    EventAfterCommit,
    /// The event is written before the transaction.
    EventBeforeCommit,
    /// The outbox is read once.
    SingleReading,
    /// Two readings agree if the second has found the last event of the first.
    LastIdCompared,
    /// Events are moved that only the second reading has found, after the last of the first.
    UnconfirmedMoved,
    /// The events of a transaction get their sequence in the wrong order.
    OrderOfArrival,
    /// The head is moved, and the feed written, without a condition.
    HeadUnchecked,
    /// The move does not require that the outbox has the events.
    OutboxUnchecked,
    /// The condition on the head says nothing about the release.
    ReleaseUnchecked,
    /// Events are deleted from the outbox in a second transaction.
    DeletedLater,
    /// A reader reads the feed up to the last sequence.
    GateIgnored,
    /// The sequencer releases events of an organisation in review.
    ReviewIgnored,
    /// Events after held ones are released.
    HeldOvertaken,
    /// The brake counts the event after it has let it pass.
    BrakeCountsAfter,
    /// The owner releases a sequence that does not exist yet.
    ReleasedAhead,
    /// The owner ends the review without a condition on the head.
    EndOfReviewUnchecked,
}

/// Returns whether the writer ignores the stamps that it has read, for its next id.
pub(crate) fn ignores_floor(scenario: &Scenario, writer: &Writer) -> bool {
    match scenario.fault {
        Some(Fault::ClockOnly | Fault::ReadStampIgnored) => true,
        Some(Fault::NewMembersIgnored) => {
            matches!(scenario.requests[usize::from(writer.work)], Request::AddLarge(_)) && writer.tries == 0
        }
        _ => false,
    }
}

/// Changes a transaction.
pub(crate) fn alter(fault: Fault, request: Request, pc: Pc, it: &mut Transaction) {
    let is_small = matches!(request, Request::Add(_) | Request::Remove(_));
    match fault {
        Fault::ClockOnly => it.compared = 0,
        Fault::GroupNotCompared if is_small => it.compared &= !bit(GROUP),
        Fault::MemberNotCompared => it.compared &= bit(GROUP),
        Fault::LeftGroupNotCompared if matches!(request, Request::Delete(_) | Request::DeleteLarge(_)) => {
            it.compared = 0;
        }
        Fault::ReservedNotCompared if request == Request::PutReserved => it.compared = 0,
        Fault::StampBehindParts if it.intent.is_some() => it.stamp = it.id,
        Fault::PartAppliedTwice if pc == Pc::Part => it.part = 0,
        _ => {}
    }
}
