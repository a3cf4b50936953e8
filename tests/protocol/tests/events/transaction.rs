//! The transactions of writers: what each requires, what it writes, and the event that it contains.

use protocol::events::LogicalTime;

use crate::{
    faults::{self, Fault},
    scenario::{Exception, Request, Scenario},
    state::{GROUP, Id, Intent, Mask, Pc, SLOTS_EACH, Slot, State, USERS, Writer, bit, bits, id, time},
};

/// The number of parts of each large change of members: one for each user, as if all were added.
const PARTS: u16 = USERS as u16;

/// A transaction.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Transaction {
    pub(crate) slot: Slot,
    pub(crate) id: Id,
    /// Whether it contains an event.
    pub(crate) tells: bool,
    /// Resources that must exist, and that must not.
    pub(crate) exist: Mask,
    pub(crate) absent: Mask,
    /// Resources whose stamp must be less than the id.
    pub(crate) compared: Mask,
    /// A resource that must have a version, and must have been added to groups this number of times.
    pub(crate) unchanged: Option<(usize, u8, Option<u8>)>,
    /// Whether no change may hold the group. With a writer, only its reservation.
    pub(crate) free: bool,
    pub(crate) reserved: Option<u8>,
    /// Resources that are written, and the stamp that they get.
    pub(crate) writes: Mask,
    pub(crate) stamp: Id,
    /// Resources that are deleted.
    pub(crate) deletes: Mask,
    /// New members, which must not be members yet if `strict` is set.
    pub(crate) joins: Mask,
    /// Members that leave, which must be members if `strict` is set.
    pub(crate) leaves: Mask,
    pub(crate) strict: bool,
    /// The parts that must not be applied yet, and are then.
    pub(crate) part: Mask,
    /// The change of members that it commits.
    pub(crate) intent: Option<Intent>,
    pub(crate) tombstone: Option<(u8, u8)>,
    /// The events that the writer has seen before.
    pub(crate) seen: Mask,
    /// The resources that the event is about, if not those that are written or deleted.
    pub(crate) about: Mask,
    /// Whether the resources that it checks do not count as seen: the event belongs to an earlier moment.
    pub(crate) is_part: bool,
}

/// Why a transaction was refused.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Refusal {
    /// Nothing is left to do: a resource does not exist any more, or all is as requested.
    pub(crate) vain: bool,
    /// A change holds the group.
    pub(crate) held: bool,
    /// The version has changed.
    pub(crate) lost_race: bool,
    /// The greatest stamp that is not less than the id, or 0. The refusal carries the item.
    pub(crate) stamp: Id,
}

impl Refusal {
    fn is_some(self) -> bool {
        self.vain || self.held || self.lost_race || self.stamp != 0
    }
}

/// Returns the slot of a writer's transaction.
pub(crate) fn slot(writer: usize, number: usize) -> Slot {
    (writer * SLOTS_EACH + number) as Slot
}

/// Returns the id of a new event.
pub(crate) fn draw(scenario: &Scenario, writer: &Writer, clock: u8, slot: Slot) -> Id {
    let floor = (writer.floor != 0 && !faults::ignores_floor(scenario, writer)).then(|| time(writer.floor));
    id(LogicalTime::after(clock.into(), floor), slot)
}

/// Returns the number of the write under way among the writer's transactions.
pub(crate) fn number_of(pc: Pc, item: usize) -> usize {
    match pc {
        Pc::Part => item + 1,
        Pc::Leave => 1,
        _ => 0,
    }
}

/// Returns the transaction of a writer. `item` is the member of the part.
pub(crate) fn transaction(scenario: &Scenario, writer: &Writer, number: usize, item: usize) -> Transaction {
    let group = bit(GROUP);
    let work = usize::from(writer.work);
    let slot = slot(work, number_of(writer.pc, item));
    let id = writer.id;
    let base = Transaction { slot, id, tells: true, seen: writer.seen, stamp: id, ..Transaction::default() };
    let small =
        Transaction { exist: group, compared: group, writes: group, free: true, strict: true, ..base };
    let mut transaction = match (writer.pc, scenario.requests[work]) {
        (Pc::Part, _) => {
            Transaction { joins: bit(item), part: bit(item), about: group, is_part: true, ..base }
        }
        (Pc::Leave, Request::DeleteLarge(user)) => Transaction { free: false, leaves: bit(user), ..small },
        (_, Request::Create(user)) => Transaction { absent: bit(user), writes: bit(user), ..base },
        (_, Request::Update(resource)) => Transaction {
            unchanged: Some((resource, writer.version, None)),
            writes: bit(resource),
            free: resource == GROUP,
            ..base
        },
        (_, Request::Delete(user) | Request::DeleteLarge(user)) => Transaction {
            unchanged: Some((user, writer.version, Some(writer.joins))),
            deletes: bit(user),
            tombstone: matches!(scenario.requests[work], Request::DeleteLarge(_))
                .then_some((user as u8, number as u8)),
            ..base
        },
        (_, Request::Add(user)) => {
            let member = bit(user);
            Transaction { exist: group | member, compared: group | member, joins: member, ..small }
        }
        (_, Request::Remove(user)) => Transaction { leaves: bit(user), ..small },
        (_, Request::AddLarge(members)) => Transaction {
            stamp: self::id(time(id).stamp_of_commit(PARTS), slot),
            intent: Some(Intent { writer: number as u8, id, unapplied: members }),
            ..small
        },
        (_, Request::PutReserved) => Transaction { free: false, reserved: Some(number as u8), ..small },
        (_, Request::Janitor) => base,
    };
    if let (Pc::Send, Request::Delete(user), true) = (writer.pc, scenario.requests[work], writer.is_member) {
        transaction = Transaction {
            exist: group,
            compared: group,
            writes: group,
            leaves: bit(user),
            strict: true,
            ..transaction
        };
    }
    if let Some(fault) = scenario.fault {
        faults::alter(fault, scenario.requests[work], writer.pc, &mut transaction);
    }
    transaction
}

/// Carries a transaction out, or refuses it.
pub(crate) fn execute(scenario: &Scenario, state: &mut State, it: &Transaction) -> Result<(), Refusal> {
    let refusal = refusal(state, it);
    if refusal.is_some() {
        return Err(refusal);
    }
    let mut it = *it;
    if it.is_part {
        // A member that was deleted after the commit is left out, and a part without members tells nothing.
        it.joins &= state.table.alive;
        it.tells = it.joins != 0;
        if let Some(intent) = &mut state.table.intent {
            intent.unapplied &= !it.part;
        }
    }
    note(scenario, state, &it);
    let table = &mut state.table;
    for resource in bits(it.writes) {
        if !scenario.has(Fault::StampNotSet) {
            table.stamps[resource] = it.stamp;
        }
        table.versions[resource] += 1;
    }
    table.alive = (table.alive | it.absent) & !it.deletes;
    bits(it.joins).for_each(|member| table.joins[member] += 1);
    table.edges = (table.edges | it.joins) & !it.leaves;
    table.intent = it.intent.or(table.intent);
    table.tombstone = it.tombstone.or(table.tombstone);
    if it.reserved.is_some() {
        table.reservation = None;
    }
    if it.tells && !scenario.has(Fault::EventAfterCommit) {
        tell(state, it.slot, it.id);
    }
    Ok(())
}

/// Puts an event into the outbox.
pub(crate) fn tell(state: &mut State, slot: Slot, id: Id) {
    state.table.outbox |= bit(slot.into());
    state.table.ids[usize::from(slot)] = id;
}

fn refusal(state: &State, it: &Transaction) -> Refusal {
    let table = &state.table;
    let strict = |edges: Mask| if it.strict { edges } else { 0 };
    let unapplied = table.intent.map_or(0, |intent| intent.unapplied);
    let is_changed = |(resource, version, joins): (usize, u8, Option<u8>)| {
        table.versions[resource] != version || joins.is_some_and(|joins| table.joins[resource] != joins)
    };
    let required = it.exist | it.unchanged.map_or(0, |(resource, ..)| bit(resource));
    let stamps = bits(it.compared & table.alive).map(|resource| table.stamps[resource]);
    Refusal {
        vain: required & !table.alive != 0
            || it.absent & table.alive != 0
            || strict(it.joins) & table.edges != 0
            || strict(it.leaves) & !table.edges != 0
            || it.part & !unapplied != 0,
        held: it.free && (table.intent.is_some() || table.reservation.is_some())
            || it.reserved.is_some_and(|writer| table.reservation != Some(writer)),
        lost_race: it.unchanged.is_some_and(is_changed),
        stamp: stamps.filter(|stamp| *stamp >= it.id).max().unwrap_or(0),
    }
}

/// Notes that a change is committed, and which events it has seen.
fn note(scenario: &Scenario, state: &mut State, it: &Transaction) {
    if !it.tells {
        return;
    }
    let ghost = &mut state.ghost;
    let slot = usize::from(it.slot);
    let is_promised = |exception| scenario.promised == Some(exception);
    let meets_joined = !it.is_part || is_promised(Exception::ChangeDuringLargeChange);
    let met = it.exist | it.writes | it.deletes | if meets_joined { it.joins } else { 0 };
    let mut saw = bits(met).fold(it.seen, |saw, resource| saw | ghost.about[resource]);
    if it.is_part {
        let commit = slot - slot % SLOTS_EACH;
        saw |= ghost.saw[commit] | bit(commit);
    }
    ghost.saw[slot] = saw & !bit(slot);
    ghost.committed |= bit(slot);
    let is_about_joined = is_promised(Exception::DeletionAfterAddition);
    let about = it.about | it.writes | it.deletes | if is_about_joined { it.joins } else { 0 };
    bits(about).for_each(|resource| ghost.about[resource] |= bit(slot));
}
