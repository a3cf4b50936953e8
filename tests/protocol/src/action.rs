//! Actions of a transaction, and how they change a table.

use crate::item::{Change, Id, Item, Key, Resource, Time, Version};

/// One action of a transaction.
#[derive(Debug, Clone, PartialEq)]
pub struct Action<D> {
    /// The item.
    pub key: Key,
    /// The condition for the whole transaction to be carried out.
    pub condition: Condition,
    /// The change of the item.
    pub effect: Effect<D>,
}

/// A condition on an item. The conditions of the protocol are few, and each has a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// Nothing is required.
    Always,
    /// The item does not exist.
    Absent,
    /// The item exists.
    Exists,
    /// The group exists, and no change holds it.
    Free,
    /// The resource has this version, and is not reserved.
    Unchanged(Version),
    /// The resource has this version, is not reserved, and was added to groups this number of times.
    Untouched(Version, u64),
    /// The group is reserved for this change.
    Reserved(Change),
    /// The group is reserved for this change and has this version.
    ReservedAt(Change, Version),
    /// The group names this change as its intent.
    Intends(Change),
    /// The group names this change neither as its intent nor as its reservation, or does not exist.
    NotHeldBy(Change),
    /// The header exists and is not discarded.
    Open,
    /// The header has this end.
    Until(Time),
    /// The part exists and is not applied.
    Unapplied,
}

/// The effect of an action on an item.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect<D> {
    /// Only checks the condition.
    Check,
    /// Replaces the item.
    Put(Item<D>),
    /// Deletes the item.
    Delete,
    /// Changes attributes.
    Update(Update),
}

/// Changes of attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Update {
    /// The new version.
    pub version: Option<Version>,
    /// Whether the resource is added to a group once more.
    pub joins: bool,
    /// The change of the intent.
    pub intent: Slot,
    /// The change of the reservation.
    pub reservation: Slot,
    /// The change that is finished.
    pub finished: Option<Change>,
    /// Whether the header is discarded.
    pub discarded: bool,
    /// The new end of the header.
    pub until: Option<Time>,
    /// Whether the part is applied.
    pub applied: bool,
    /// The number that is added to a count.
    pub count: i64,
}

/// A change of an attribute that names a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Slot {
    /// It stays as it is.
    #[default]
    Keep,
    /// It is removed.
    Remove,
    /// It names this change.
    Set(Change),
}

/// A table.
pub trait Table<D> {
    /// Returns an item.
    fn get(&self, key: Key) -> Option<Item<D>>;
    /// Puts or deletes an item.
    fn set(&mut self, key: Key, item: Option<Item<D>>);
}

/// Carries the actions out as one.
///
/// # Errors
/// The positions of the actions whose condition fails, in which case nothing is written.
pub fn transact<D: Clone>(table: &mut impl Table<D>, actions: &[Action<D>]) -> Result<(), Vec<usize>> {
    let fails = |(index, action): (usize, &Action<D>)| {
        (action.condition != Condition::Always
            && !action.condition.holds(table.get(action.key).as_ref(), action.key))
        .then_some(index)
    };
    let failed: Vec<usize> = actions.iter().enumerate().filter_map(fails).collect();
    if !failed.is_empty() {
        return Err(failed);
    }
    for Action { key, effect, .. } in actions {
        match effect {
            Effect::Check => {}
            Effect::Put(item) => table.set(*key, Some(item.clone())),
            Effect::Delete => table.set(*key, None),
            Effect::Update(update) => {
                let item = update.of(table.get(*key));
                table.set(*key, Some(item));
            }
        }
    }
    Ok(())
}

impl Condition {
    /// Returns whether the condition holds for an item, or for its absence.
    #[must_use]
    pub fn holds<D>(self, item: Option<&Item<D>>, key: Key) -> bool {
        let resource = match item {
            Some(Item::Resource(resource)) => Some(resource),
            _ => None,
        };
        let is = |test: &dyn Fn(&Resource) -> bool| resource.is_some_and(test);
        match self {
            Self::Always => true,
            Self::Absent => item.is_none() || key == Key::Nothing,
            Self::Exists => item.is_some(),
            Self::Free => is(&|group| group.intent.is_none() && group.reservation.is_none()),
            Self::Unchanged(version) => is(&|it| it.version == version && it.reservation.is_none()),
            Self::Untouched(version, joins) => {
                is(&|it| it.version == version && it.reservation.is_none() && it.joins == joins)
            }
            Self::Reserved(change) => is(&|group| group.reservation == Some(change)),
            Self::ReservedAt(change, version) => {
                is(&|group| group.reservation == Some(change) && group.version == version)
            }
            Self::Intends(change) => is(&|group| group.intent == Some(change)),
            Self::NotHeldBy(change) => {
                let holders = resource.map_or([None; 2], |group| [group.intent, group.reservation]);
                !holders.contains(&Some(change))
            }
            Self::Open => matches!(item, Some(Item::Header(header)) if !header.discarded),
            Self::Until(time) => matches!(item, Some(Item::Header(header)) if header.until == time),
            Self::Unapplied => matches!(item, Some(Item::Part(part)) if !part.applied),
        }
    }
}

impl Update {
    /// Returns the item after the changes. As in DynamoDB, an update creates an item that does not exist.
    fn of<D>(&self, item: Option<Item<D>>) -> Item<D> {
        match item {
            Some(Item::Resource(mut it)) => {
                it.version = self.version.unwrap_or(it.version);
                it.joins += u64::from(self.joins);
                it.intent = self.intent.of(it.intent);
                it.reservation = self.reservation.of(it.reservation);
                it.finished = self.finished.or(it.finished);
                Item::Resource(it)
            }
            Some(Item::Header(mut header)) => {
                header.discarded |= self.discarded;
                header.until = self.until.unwrap_or(header.until);
                Item::Header(header)
            }
            Some(Item::Part(mut part)) => {
                part.applied |= self.applied;
                Item::Part(part)
            }
            Some(Item::Count(count)) => Item::Count(count + self.count),
            None if self.count != 0 => Item::Count(self.count),
            Some(Item::Plain) | None => Item::Plain,
        }
    }
}

impl Slot {
    fn of(self, current: Option<Change>) -> Option<Change> {
        match self {
            Self::Keep => current,
            Self::Remove => None,
            Self::Set(change) => Some(change),
        }
    }
}

impl<D> Action<D> {
    /// Makes an action.
    pub fn new(key: Key, condition: Condition, effect: Effect<D>) -> Self {
        Self { key, condition, effect }
    }

    /// Makes an update.
    #[must_use]
    pub fn update(key: Key, condition: Condition, update: Update) -> Self {
        Self::new(key, condition, Effect::Update(update))
    }

    /// Makes a deletion.
    pub fn delete(key: Key, condition: Condition) -> Self {
        Self::new(key, condition, Effect::Delete)
    }

    /// Makes the two actions that put an edge and its reverse.
    pub fn join(group: Id, member: Id, condition: Condition) -> [Self; 2] {
        [
            Self::new(Key::Edge { group, member }, condition, Effect::Put(Item::Plain)),
            Self::new(Key::Reverse { group, member }, Condition::Always, Effect::Put(Item::Plain)),
        ]
    }

    /// Makes the two actions that delete an edge and its reverse.
    #[must_use]
    pub fn part(group: Id, member: Id, condition: Condition) -> [Self; 2] {
        [
            Self::delete(Key::Edge { group, member }, condition),
            Self::delete(Key::Reverse { group, member }, Condition::Always),
        ]
    }
}
