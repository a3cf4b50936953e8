//! Faults that are planted into the protocol. The checker finds each.

use protocol::{
    action::{Action, Condition, Effect},
    call::{Base, Call},
    item::{Item, Key, Kind},
};

use crate::table::{Items, Members};

/// A planted fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Drafts have neither token nor conditions, and the header says whether a change is committed. This is how the
    /// protocol was before: a late copy of a draft undid an acknowledged change.
    HeaderDecides,
    /// Drafts have neither token nor conditions.
    DraftUnconditional,
    /// Further parts are written although the draft has been taken back.
    MoreUnchecked,
    /// A process that finishes an abandoned change takes it for committed.
    ApplyUnseen,
    /// A draft is taken back without a check of the group.
    TakeBackUnchecked,
    /// A change is committed without a check of its header.
    CommitUnchecked,
    /// A part is applied even if it has been applied.
    ApplyTwice,
    /// The intent is removed, whichever change it names.
    FinishUnchecked,
    /// Parts are deleted before the change is discarded.
    PartsDeletedFirst,
    /// Abandoned changes are removed without a look at the group.
    CleanByAge,
    /// Any process finishes any change at any time, and applies parts even if they have been applied.
    NoLease,
    /// A deletion in one transaction ignores how often the resource was added.
    DeleteWithoutJoins,
    /// A large deletion leaves no tombstone.
    NoTombstone,
    /// A small edit ignores intents.
    EditIgnoresIntent,
    /// A small edit ignores reservations.
    EditIgnoresReservation,
    /// An addition does not check that the member exists.
    MemberUnchecked,
    /// A large edit writes the difference to members that it has read, although it commits in any version.
    EditWritesDifference,
    /// A write under a version ignores reservations.
    VersionIgnoresReservation,
    /// A write under a reservation ignores that the reservation was taken back.
    ReservationUnchecked,
    /// A refusal is acted on while a copy of the write may still be carried out.
    TokenNotBurnt,
    /// Each repeat of a write has another token.
    NewToken,
    /// The count is not in the transaction.
    CountOutside,
    /// The reverse edge is not in the transaction.
    ReverseOutside,
    /// The entry in the list of unfinished changes is not in the transaction.
    ListOutside,
    /// A unique name is read before, instead of being a condition.
    UniqueByRead,
    /// A reader of a group ignores the parts of a committed change.
    GroupPartsIgnored,
    /// A reader of users ignores the parts of a committed change.
    UserPartsIgnored,
    /// Readers take every pending change for committed.
    DraftsShown,
    /// A reader of a group ignores tombstones.
    GroupTombstonesIgnored,
    /// A reader of users ignores tombstones.
    UserTombstonesIgnored,
    /// A reader of users takes a change that has ended since it read the headers for an uncommitted one.
    EndIgnored,
    /// A reader of users reads the header of a change with the group, not after it. The group names only the change that
    /// was finished last.
    HeaderReadWithGroup,
    /// A reader of users takes a change for ended because its parts were not all written when it read them.
    DraftTakenForEnded,
    /// Members that only a part adds are shown although they may not exist.
    AddedUnchecked,
    /// A group is not read again after its members.
    ReadOnce,
    /// A group is not read again after its intent has changed.
    IntentNotCompared,
    /// A reader of a group compares the last finished change instead of the version.
    FinishedCompared,
}

impl Fault {
    /// Returns whether drafts have no token: DynamoDB carries out every copy of them.
    pub(crate) fn drafts_have_no_token(self) -> bool {
        matches!(self, Self::HeaderDecides | Self::DraftUnconditional)
    }
}

/// Changes the actions of a call.
pub(crate) fn alter(
    fault: Fault,
    call: &Call<Members>,
    actions: &mut Vec<Action<Members>>,
    items: &mut Items,
) {
    let is_draft = matches!(call, Call::Draft(_));
    match fault {
        Fault::HeaderDecides => {
            header_decides(call, items, actions);
            drop_conditions(actions, is_draft, |_| true);
        }
        Fault::DraftUnconditional => drop_conditions(actions, is_draft, |_| true),
        Fault::MoreUnchecked => drop_conditions(actions, is_draft, |key| matches!(key, Key::Header(_))),
        Fault::TakeBackUnchecked => {
            drop_conditions(actions, matches!(call, Call::TakeBack { reserved: false, .. }), |_| true);
        }
        Fault::CommitUnchecked => {
            drop_conditions(actions, matches!(call, Call::Write(_)), |key| matches!(key, Key::Header(_)));
        }
        Fault::ApplyTwice | Fault::NoLease => {
            drop_conditions(actions, matches!(call, Call::Apply(_)), |key| matches!(key, Key::Part(..)));
            // An update creates an item that does not exist.
            if let Call::Apply(apply) = call
                && items.parts[usize::from(apply.change)].exist & (1 << apply.part) == 0
            {
                actions.remove(0);
            }
        }
        Fault::FinishUnchecked => drop_conditions(actions, matches!(call, Call::Finish { .. }), |_| true),
        Fault::DeleteWithoutJoins => replace(actions, |condition| match condition {
            Condition::Untouched(version, _) => Condition::Unchanged(version),
            other => other,
        }),
        Fault::NoTombstone => actions.retain(|action| {
            !(matches!(call, Call::Delete(_)) && matches!(action.key, Key::Header(_) | Key::Listed(_)))
        }),
        Fault::EditIgnoresIntent | Fault::EditIgnoresReservation => {
            ignore_holder(fault, call, items, actions);
        }
        Fault::MemberUnchecked => {
            let is_join = |action: &Action<Members>| matches!(action.effect, Effect::Update(it) if it.joins);
            actions.retain(|action| !is_join(action));
        }
        Fault::VersionIgnoresReservation => ignore_holder(fault, call, items, actions),
        Fault::ReservationUnchecked => {
            if matches!(call, Call::Write(write) if write.resource.intent.is_none()) {
                replace(actions, |condition| match condition {
                    Condition::Reserved(_) => Condition::Exists,
                    other => other,
                });
            }
        }
        Fault::CountOutside => actions.retain(|action| !matches!(action.key, Key::Count(_))),
        Fault::ReverseOutside => actions.retain(|action| !matches!(action.key, Key::Reverse { .. })),
        Fault::ListOutside => actions.retain(|action| !matches!(action.key, Key::Listed(_))),
        Fault::UniqueByRead => drop_conditions(actions, true, |key| matches!(key, Key::Index(_))),
        _ => {}
    }
}

fn drop_conditions(actions: &mut [Action<Members>], applies: bool, on: impl Fn(Key) -> bool) {
    for action in actions.iter_mut().filter(|action| applies && on(action.key)) {
        action.condition = Condition::Always;
    }
}

fn replace(actions: &mut [Action<Members>], by: impl Fn(Condition) -> Condition) {
    for action in actions {
        action.condition = by(action.condition);
    }
}

/// Keeps whether a change is committed in its header.
fn header_decides(call: &Call<Members>, items: &mut Items, actions: &[Action<Members>]) {
    match call {
        Call::Draft(draft) => items.committed &= !(1 << draft.change),
        Call::Write(write) => {
            let carried_out = |items: &Items| protocol::action::transact(&mut items.clone(), actions).is_ok();
            if let Some(change) = write.resource.intent
                && carried_out(items)
            {
                items.committed |= 1 << change;
            }
        }
        _ => {}
    }
}

/// Lets a write through although a change holds the group.
fn ignore_holder(fault: Fault, call: &Call<Members>, items: &Items, actions: &mut [Action<Members>]) {
    let Call::Write(write) = call else { return };
    let group = write.subject.id;
    if write.subject.kind == Kind::User {
        return;
    }
    let action = &mut actions[0];
    let is_small_edit = write.base == Base::Free && write.resource.intent.is_none();
    match (fault, action.condition) {
        (Fault::EditIgnoresIntent, Condition::Free)
            if is_small_edit && items.reservation(group).is_none() =>
        {
            action.condition = Condition::Exists;
        }
        (Fault::EditIgnoresReservation, Condition::Free)
            if is_small_edit && items.intent(group).is_none() =>
        {
            action.condition = Condition::Exists;
        }
        (Fault::VersionIgnoresReservation, Condition::Unchanged(version))
            if u16::from(items.version[usize::from(group)]) == version =>
        {
            action.condition = Condition::Exists;
            if let Effect::Put(Item::Resource(resource)) = &mut action.effect {
                resource.reservation = items.reservation(group);
            }
        }
        _ => {}
    }
}
