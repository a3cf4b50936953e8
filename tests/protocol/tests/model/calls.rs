//! The write that a process makes in its step.

use protocol::{
    action::{Action, Effect, Table, Update, transact},
    call::{Apply, Base, Call, Delete, Draft, Write},
    item::{Change, ChangeKind, Header, Id, Key, Kind, Part, Resource},
};

use crate::{
    faults,
    scenario::{Request, Scenario},
    state::{NONE, Pc, Process, Refusal, subject_of},
    table::{Items, Mask, Members, at, bit, ids, kind, member},
};

/// The version that a write gives. No process knows it before it reads it.
const NEW: u16 = 0;

/// Returns the write of a process.
pub(crate) fn call(scenario: &Scenario, process: &Process, number: usize) -> Call<Members> {
    let request = scenario.requests[number];
    let (own, work) = (Change::from(process.change), process.work());
    match process.pc {
        Pc::Write if matches!(request, Request::Delete { .. }) => {
            Call::Delete(delete(scenario, process, request))
        }
        Pc::Write => Call::Write(write(scenario, process, request, None)),
        Pc::Commit => Call::Write(write(scenario, process, request, Some(own))),
        Pc::Draft => {
            let header =
                Header { kind: ChangeKind::Members, subject: request.subject(), until: 0, discarded: false };
            Call::Draft(Draft { change: own, header: Some(header), parts: next_parts(scenario, process) })
        }
        Pc::More => Call::Draft(Draft { change: own, header: None, parts: next_parts(scenario, process) }),
        Pc::Reserve => Call::Reserve { change: own, group: request.subject(), until: 0 },
        Pc::Release => Call::Release { change: own, group: request.subject() },
        Pc::Lease => {
            let old = process.until.into();
            Call::Lease { change: work, old, new: old + 1 }
        }
        Pc::Apply => {
            let stored = process.operations.only(range(process.operations, process.item.into()));
            Call::Apply(Apply {
                change: work,
                group: subject_of(scenario, work),
                part: process.item.into(),
                difference: Members { add: stored.add & !process.missing, remove: stored.remove },
                bump: (process.missing != 0).then_some(NEW),
            })
        }
        Pc::Finish => {
            Call::Finish { change: work, group: subject_of(scenario, work), header: process.item == 0 }
        }
        Pc::TakeBack => {
            let group = subject_of(scenario, work);
            Call::TakeBack { change: work, group, reserved: process.item != 0 }
        }
        Pc::DeleteParts => Call::DeleteParts { change: work, parts: vec![process.item.into()] },
        Pc::Clean => Call::Clean { change: work },
        Pc::Unlist => Call::Unlist { change: work },
        Pc::ReleaseLost => Call::ReleaseLost { change: work, group: subject_of(scenario, work) },
        Pc::Leave | Pc::LeaveDeleted => Call::Leave {
            member: subject_of(scenario, work),
            group: process.item.into(),
            version: (process.pc == Pc::Leave).then_some(NEW),
        },
        Pc::Empty => Call::Empty {
            group: subject_of(scenario, work),
            members: Members { add: 0, remove: bit(process.item.into()) },
        },
        pc => unreachable!("{pc:?} is not a write"),
    }
}

/// Returns whether the write makes the request of its process take effect.
pub(crate) fn takes_effect(pc: Pc) -> bool {
    matches!(pc, Pc::Write | Pc::Commit)
}

fn write(scenario: &Scenario, process: &Process, request: Request, intent: Option<Change>) -> Write<Members> {
    let mut write = Write {
        subject: member(request.subject()),
        base: Base::Free,
        resource: Resource { version: NEW, intent, ..Resource::default() },
        members: if intent.is_some() { Members::default() } else { process.members },
        still: Vec::new(),
        entries: Vec::new(),
        removed_entries: Vec::new(),
        flips: false,
    };
    let (version, own) = (process.version.into(), Change::from(process.change));
    match request {
        Request::Edit { add, remove, .. } if intent.is_none() => {
            let dropped =
                Members { add: add & !process.members.add, remove: remove & !process.members.remove };
            let still = |mask, is_member| ids(mask).map(move |id| (id, is_member));
            write.still = still(dropped.add, true).chain(still(dropped.remove, false)).collect();
        }
        Request::Create { id, .. } => {
            write.base = Base::New;
            write.entries = vec![scenario.entry(id)];
        }
        Request::Put { .. } | Request::Modify { .. } => {
            write.base = match request {
                Request::Put { if_match: true, .. } if process.reserved => Base::ReservedAt(own, version),
                _ if process.reserved => Base::Reserved(own),
                _ => Base::Unchanged(version),
            };
            write.resource.joins = process.joins.into();
            write.resource.finished = process.seen.finished.checked_sub(1).map(Change::from);
        }
        _ => {}
    }
    write
}

fn delete(scenario: &Scenario, process: &Process, request: Request) -> Delete<Members> {
    let subject = request.subject();
    let fits = !process.tombstone;
    Delete {
        subject: member(subject),
        read: (process.version.into(), process.joins.into()),
        entries: vec![scenario.entry(subject)],
        leaves: if fits { ids(process.todo).map(|group| (group, NEW)).collect() } else { Vec::new() },
        members: if fits { process.members } else { Members::default() },
        tombstone: process.tombstone.then_some((process.change.into(), 0)),
    }
}

/// Returns the lower bounds of the parts of a difference: each part has one operation. The first begins below every id.
pub(crate) fn bounds(members: Members) -> u8 {
    let all = members.add | members.remove;
    (all & all.wrapping_sub(1)) | 1
}

/// Returns the ids that the part at the lower bound covers.
fn range(members: Members, lower: Id) -> u8 {
    let from = !(bit(lower) - 1);
    let next = bounds(members) & from & !bit(lower);
    if next == 0 { from } else { from & ((1 << next.trailing_zeros()) - 1) }
}

fn next_parts(scenario: &Scenario, process: &Process) -> Vec<(Id, Part<Members>)> {
    let part = |lower| {
        let range = range(process.members, lower);
        let end = ids(range).last().filter(|last| *last < 7);
        let part =
            Part { up_to: end.map(|last| last + 1), difference: process.members.only(range), applied: false };
        (lower, part)
    };
    ids(process.todo).take(scenario.parts).map(part).collect()
}

/// Carries a call out. Returns the resources that have another version then.
pub(crate) fn execute(
    scenario: &Scenario,
    items: &mut Items,
    call: &Call<Members>,
    subject: Id,
) -> Result<Mask, Refusal> {
    let mut actions = call.actions();
    if let Some(fault) = scenario.fault {
        faults::alter(fault, call, &mut actions, items);
    }
    transact(items, &actions).map_err(|failed| refusal(items, &actions, &failed, subject))?;
    Ok(actions.iter().fold(0, |mask, action| mask | gets_version(action)))
}

fn gets_version(action: &Action<Members>) -> Mask {
    match (action.key, &action.effect) {
        (Key::Resource(_, id), Effect::Put(_) | Effect::Update(Update { version: Some(_), .. })) => bit(id),
        _ => 0,
    }
}

/// Returns what the failed conditions mean.
fn refusal(items: &Items, actions: &[Action<Members>], failed: &[usize], subject: Id) -> Refusal {
    let mut refusal = Refusal { holder: NONE, ..Refusal::default() };
    for index in failed {
        match actions[*index].key {
            Key::Resource(_, id) if id == subject => {
                refusal.subject = true;
                refusal.gone = items.get(Key::Resource(kind(id), id)).is_none();
                if kind(id) == Kind::Group {
                    refusal.holder = items.holder(id).map_or(NONE, |change| change as u8);
                }
            }
            Key::Resource(_, id) => refusal.missing |= bit(id),
            Key::Edge { group, member } if group == subject => refusal.edges |= bit(member),
            Key::Edge { group, .. } => refusal.edges |= bit(group),
            Key::Header(_) => refusal.header = true,
            Key::Part(..) => refusal.part = true,
            Key::Index(_) => refusal.entry = true,
            Key::Count(_) | Key::Reverse { .. } | Key::Listed(_) | Key::Nothing => {}
        }
    }
    refusal
}

/// Returns the members that an observer sees who reads everything at once.
pub(crate) fn visible(items: &Items, group: Id) -> u8 {
    if items.alive & bit(group) == 0 {
        return 0;
    }
    let edges = items.edges[at(group)];
    let parts = items.intent(group).map(|change| items.parts[usize::from(change)].stored());
    parts.unwrap_or_default().of(edges) & items.alive
}
