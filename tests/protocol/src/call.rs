//! The writes of the protocol, and the actions of each.

use crate::{
    action::{Action, Condition, Effect, Slot, Update},
    item::{
        Change, ChangeKind, Difference, Entry, Header, Id, Item, Key, Kind, Member, Part, Resource, Time,
        Version,
    },
};

/// A write of the protocol.
#[derive(Debug, Clone, PartialEq)]
pub enum Call<D> {
    /// Creates or changes a resource, and commits a change of members.
    Write(Write<D>),
    /// Writes a header and parts, or further parts.
    Draft(Draft<D>),
    /// Writes the edges of a part.
    Apply(Apply<D>),
    /// Removes the intent of a group whose parts are applied, and discards the change. A restored backup may lack the
    /// header.
    Finish { change: Change, group: Id, header: bool },
    /// Discards a change that is not committed. `reserved` says that it is a reservation.
    TakeBack { change: Change, group: Id, reserved: bool },
    /// Deletes parts of a discarded change. Not a transaction.
    DeleteParts { change: Change, parts: Vec<Id> },
    /// Deletes the header of a change that has no part or edge any more.
    Clean { change: Change },
    /// Reserves a group.
    Reserve { change: Change, group: Id, until: Time },
    /// Removes the reservation of a request that writes nothing.
    Release { change: Change, group: Id },
    /// Removes the reservation of a change whose header a restored backup lacks.
    ReleaseLost { change: Change, group: Id },
    /// Deletes an entry of the list of unfinished changes whose change does not exist.
    Unlist { change: Change },
    /// Takes a change over, or extends its time.
    Lease { change: Change, old: Time, new: Time },
    /// Deletes a resource.
    Delete(Delete<D>),
    /// Removes a deleted member from a group. Without a version, the group is deleted too.
    Leave { member: Id, group: Id, version: Option<Version> },
    /// Removes members of a deleted group.
    Empty { group: Id, members: D },
    /// Uses a token up, so that no copy of an earlier attempt has an effect.
    Burn,
}

/// A write of a resource, with its members as far as they fit into one transaction.
#[derive(Debug, Clone, PartialEq)]
pub struct Write<D> {
    /// The resource.
    pub subject: Member,
    /// The state that the write requires.
    pub base: Base,
    /// The resource afterwards. Its intent is the change that the write commits. A write that requires no state changes
    /// only version and intent.
    pub resource: Resource,
    /// The members.
    pub members: D,
    /// Edges that must still exist, or not exist, because they are as requested.
    pub still: Vec<(Id, bool)>,
    /// Index entries that are put.
    pub entries: Vec<Entry>,
    /// Index entries that are deleted.
    pub removed_entries: Vec<Entry>,
    /// Whether the write changes `active` of a user, which the count includes.
    pub flips: bool,
}

/// The state that a write of a resource requires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Base {
    /// The resource is new.
    New,
    /// No change holds the group.
    Free,
    /// The resource has the version that was read.
    Unchanged(Version),
    /// This request has reserved the group.
    Reserved(Change),
    /// This request has reserved the group, and the client requires this version.
    ReservedAt(Change, Version),
}

/// A header with parts.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft<D> {
    /// The change.
    pub change: Change,
    /// The header, or `None` if it exists.
    pub header: Option<Header>,
    /// The parts, each with its lower bound.
    pub parts: Vec<(Id, Part<D>)>,
}

/// The application of a part.
#[derive(Debug, Clone, PartialEq)]
pub struct Apply<D> {
    /// The change.
    pub change: Change,
    /// Its group.
    pub group: Id,
    /// The lower bound of the part.
    pub part: Id,
    /// The operations of the part, without additions of members that do not exist any more.
    pub difference: D,
    /// The version that the group gets if an addition is left out.
    pub bump: Option<Version>,
}

/// A deletion.
#[derive(Debug, Clone, PartialEq)]
pub struct Delete<D> {
    /// The resource.
    pub subject: Member,
    /// The version and the number of additions that were read.
    pub read: (Version, u64),
    /// Its index entries.
    pub entries: Vec<Entry>,
    /// The groups that it leaves in the same transaction, each with its new version.
    pub leaves: Vec<(Id, Version)>,
    /// The members that a group loses in the same transaction.
    pub members: D,
    /// The tombstone, if the memberships are removed later.
    pub tombstone: Option<(Change, Time)>,
}

impl<D: Difference> Call<D> {
    /// Returns the actions.
    pub fn actions(&self) -> Vec<Action<D>> {
        match self {
            Self::Write(write) => write.actions(),
            Self::Draft(draft) => draft.actions(),
            Self::Apply(apply) => apply.actions(),
            Self::Finish { change, group, header } => {
                let update = Update { intent: Slot::Remove, finished: Some(*change), ..Update::default() };
                let mut actions =
                    vec![Action::update(group_key(*group), Condition::Intends(*change), update)];
                actions.extend(header.then(|| discard(*change)));
                actions
            }
            Self::TakeBack { change, group, reserved: true } => {
                vec![unreserve(*change, *group), discard(*change)]
            }
            Self::TakeBack { change, group, reserved: false } => {
                vec![
                    Action::new(group_key(*group), Condition::NotHeldBy(*change), Effect::Check),
                    discard(*change),
                ]
            }
            Self::DeleteParts { change, parts } => {
                let delete = |part: &Id| Action::delete(Key::Part(*change, *part), Condition::Always);
                parts.iter().map(delete).collect()
            }
            Self::Clean { change } => end(*change).into(),
            Self::Reserve { change, group, until } => {
                let update = Update { reservation: Slot::Set(*change), ..Update::default() };
                let mut actions = vec![Action::update(group_key(*group), Condition::Free, update)];
                actions.extend(begin(*change, ChangeKind::Members, *group, *until));
                actions
            }
            Self::Release { change, group } => {
                let mut actions = vec![unreserve(*change, *group)];
                actions.extend(end(*change));
                actions
            }
            Self::ReleaseLost { change, group } => vec![unreserve(*change, *group), check_lost(*change)],
            Self::Unlist { change } => {
                vec![check_lost(*change), Action::delete(Key::Listed(*change), Condition::Always)]
            }
            Self::Lease { change, old, new } => {
                let update = Update { until: Some(*new), ..Update::default() };
                vec![Action::update(Key::Header(*change), Condition::Until(*old), update)]
            }
            Self::Delete(delete) => delete.actions(),
            Self::Leave { member, group, version: Some(version) } => leave(*member, *group, *version),
            Self::Leave { member, group, version: None } => {
                Action::part(*group, *member, Condition::Always).into()
            }
            Self::Empty { group, members } => {
                let part = |member| Action::part(*group, member, Condition::Always);
                members.removes().flat_map(part).collect()
            }
            Self::Burn => vec![Action::delete(Key::Nothing, Condition::Absent)],
        }
    }
}

impl<D: Difference> Write<D> {
    fn actions(&self) -> Vec<Action<D>> {
        let key = Key::Resource(self.subject.kind, self.subject.id);
        let put = |condition| Action::new(key, condition, Effect::Put(Item::Resource(self.resource)));
        let mut actions = vec![match self.base {
            Base::New => put(Condition::Absent),
            Base::Free => {
                let intent = self.resource.intent.map_or(Slot::Keep, Slot::Set);
                let update = Update { version: Some(self.resource.version), intent, ..Update::default() };
                Action::update(key, Condition::Free, update)
            }
            Base::Unchanged(version) => put(Condition::Unchanged(version)),
            Base::Reserved(change) => put(Condition::Reserved(change)),
            Base::ReservedAt(change, version) => put(Condition::ReservedAt(change, version)),
        }];
        let strict = |condition| if self.base == Base::Free { condition } else { Condition::Always };
        for member in self.members.adds() {
            // The transaction names the group already, and may name an item once only.
            actions.extend((member != self.subject).then(|| count_join(member)));
            actions.extend(Action::join(self.subject.id, member.id, strict(Condition::Absent)));
        }
        for member in self.members.removes() {
            actions.extend(Action::part(self.subject.id, member, strict(Condition::Exists)));
        }
        for (member, is_member) in &self.still {
            let edge = Key::Edge { group: self.subject.id, member: *member };
            let condition = if *is_member { Condition::Exists } else { Condition::Absent };
            actions.push(Action::new(edge, condition, Effect::Check));
        }
        for entry in &self.entries {
            let condition = if entry.unique { Condition::Absent } else { Condition::Always };
            actions.push(Action::new(Key::Index(*entry), condition, Effect::Put(Item::Plain)));
        }
        let remove = |entry: &Entry| Action::delete(Key::Index(*entry), Condition::Always);
        actions.extend(self.removed_entries.iter().map(remove));
        actions.extend((self.base == Base::New).then(|| count(self.subject.kind, 1)));
        actions.extend(self.flips.then(|| count(self.subject.kind, 0)));
        match (self.resource.intent, self.base) {
            (Some(change), _) => {
                actions.push(Action::new(Key::Header(change), Condition::Open, Effect::Check));
            }
            (None, Base::Reserved(change) | Base::ReservedAt(change, _)) => actions.extend(end(change)),
            (None, _) => {}
        }
        actions
    }
}

impl<D: Difference> Draft<D> {
    fn actions(&self) -> Vec<Action<D>> {
        let mut actions = match self.header {
            Some(header) => Vec::from(begin(self.change, header.kind, header.subject, header.until)),
            None => vec![Action::new(Key::Header(self.change), Condition::Open, Effect::Check)],
        };
        for (lower, part) in &self.parts {
            let put = Effect::Put(Item::Part(part.clone()));
            actions.push(Action::new(Key::Part(self.change, *lower), Condition::Absent, put));
        }
        actions
    }
}

impl<D: Difference> Apply<D> {
    fn actions(&self) -> Vec<Action<D>> {
        let mark = Update { applied: true, ..Update::default() };
        let mut actions = vec![Action::update(Key::Part(self.change, self.part), Condition::Unapplied, mark)];
        for member in self.difference.adds() {
            actions.extend((member != group_member(self.group)).then(|| count_join(member)));
            actions.extend(Action::join(self.group, member.id, Condition::Always));
        }
        for member in self.difference.removes() {
            actions.extend(Action::part(self.group, member, Condition::Always));
        }
        actions.extend(self.bump.map(|version| bump(self.group, version)));
        actions
    }
}

impl<D: Difference> Delete<D> {
    fn actions(&self) -> Vec<Action<D>> {
        let Member { kind, id } = self.subject;
        let (version, joins) = self.read;
        let mut actions = vec![
            Action::delete(Key::Resource(kind, id), Condition::Untouched(version, joins)),
            count(kind, -1),
        ];
        let remove = |entry: &Entry| Action::delete(Key::Index(*entry), Condition::Always);
        actions.extend(self.entries.iter().map(remove));
        for (group, version) in &self.leaves {
            actions.extend(leave(id, *group, *version));
        }
        for member in self.members.removes() {
            actions.extend(Action::part(id, member, Condition::Always));
        }
        if let Some((change, until)) = self.tombstone {
            actions.extend(begin(change, ChangeKind::Deleted(kind), id, until));
        }
        actions
    }
}

fn group_member(group: Id) -> Member {
    Member { kind: Kind::Group, id: group }
}

fn group_key(group: Id) -> Key {
    Key::Resource(Kind::Group, group)
}

fn count<D>(kind: Kind, number: i64) -> Action<D> {
    Action::update(Key::Count(kind), Condition::Always, Update { count: number, ..Update::default() })
}

fn count_join<D>(member: Member) -> Action<D> {
    let key = Key::Resource(member.kind, member.id);
    Action::update(key, Condition::Exists, Update { joins: true, ..Update::default() })
}

fn bump<D>(group: Id, version: Version) -> Action<D> {
    let update = Update { version: Some(version), ..Update::default() };
    Action::update(group_key(group), Condition::Exists, update)
}

fn leave<D>(member: Id, group: Id, version: Version) -> Vec<Action<D>> {
    let mut actions = Vec::from(Action::part(group, member, Condition::Exists));
    actions.push(bump(group, version));
    actions
}

/// Puts a header and its entry in the list of unfinished changes.
fn begin<D>(change: Change, kind: ChangeKind, subject: Id, until: Time) -> [Action<D>; 2] {
    let header = Item::Header(Header { kind, subject, until, discarded: false });
    [
        Action::new(Key::Header(change), Condition::Absent, Effect::Put(header)),
        Action::new(Key::Listed(change), Condition::Always, Effect::Put(Item::Plain)),
    ]
}

fn end<D>(change: Change) -> [Action<D>; 2] {
    [
        Action::delete(Key::Header(change), Condition::Always),
        Action::delete(Key::Listed(change), Condition::Always),
    ]
}

fn check_lost<D>(change: Change) -> Action<D> {
    Action::new(Key::Header(change), Condition::Absent, Effect::Check)
}

fn discard<D>(change: Change) -> Action<D> {
    Action::update(Key::Header(change), Condition::Exists, Update { discarded: true, ..Update::default() })
}

fn unreserve<D>(change: Change, group: Id) -> Action<D> {
    let update = Update { reservation: Slot::Remove, ..Update::default() };
    Action::update(group_key(group), Condition::Reserved(change), update)
}
