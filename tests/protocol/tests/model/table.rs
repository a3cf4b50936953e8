//! A small table in few bytes: three users, two groups, six pending changes.

use protocol::{
    action::Table,
    item::{Change, ChangeKind, Difference, Header, Id, Item, Key, Kind, Member, Part, Resource},
};

/// The number of users. Their ids are `0..USERS`.
pub(crate) const USERS: Id = 3;
/// The number of groups. Their ids follow those of the users.
pub(crate) const GROUPS: Id = 2;
/// The number of ids.
pub(crate) const IDS: usize = 5;
/// The number of pending changes.
pub(crate) const CHANGES: usize = 6;
/// The id of the first group.
pub(crate) const GROUP: Id = USERS;
/// The id of the second group.
pub(crate) const OTHER_GROUP: Id = USERS + 1;

/// Resources, each as the bit at its id.
pub(crate) type Mask = u8;

/// Returns the mask of one resource.
pub(crate) const fn bit(id: Id) -> Mask {
    1 << id
}

/// Returns the ids in a mask.
pub(crate) fn ids(mask: Mask) -> impl Iterator<Item = Id> + Clone {
    (0..8).filter(move |id| mask & bit(*id) != 0)
}

/// Returns the position of a group in arrays.
pub(crate) const fn at(group: Id) -> usize {
    (group - USERS) as usize
}

/// Returns the kind of a resource.
pub(crate) const fn kind(id: Id) -> Kind {
    if id < USERS { Kind::User } else { Kind::Group }
}

/// Returns a resource as a member.
pub(crate) const fn member(id: Id) -> Member {
    Member { kind: kind(id), id }
}

/// Members that a change adds and removes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Members {
    pub(crate) add: Mask,
    pub(crate) remove: Mask,
}

impl Difference for Members {
    fn adds(&self) -> impl Iterator<Item = Member> {
        ids(self.add).map(member)
    }

    fn removes(&self) -> impl Iterator<Item = Id> {
        ids(self.remove)
    }
}

impl Members {
    pub(crate) const fn len(self) -> u32 {
        (self.add | self.remove).count_ones()
    }

    pub(crate) const fn only(self, mask: Mask) -> Self {
        Self { add: self.add & mask, remove: self.remove & mask }
    }

    /// Returns these operations followed by others.
    pub(crate) const fn then(self, next: Self) -> Self {
        Self { add: next.of(self.add), remove: self.remove & !next.add | next.remove }
    }

    /// Returns the mask after the operations.
    pub(crate) const fn of(self, members: Mask) -> Mask {
        (members | self.add) & !self.remove
    }
}

/// The table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Items {
    /// The resources that exist.
    pub(crate) alive: Mask,
    pub(crate) version: [u8; IDS],
    pub(crate) joins: [u8; IDS],
    /// The holders of groups: change + 1, or 0.
    pub(crate) intent: [u8; 2],
    pub(crate) reservation: [u8; 2],
    pub(crate) finished: [u8; 2],
    pub(crate) edges: [Mask; 2],
    pub(crate) reverse: [Mask; 2],
    /// The names that are taken, as bits.
    pub(crate) names: u8,
    pub(crate) counts: [i8; 2],
    /// Pending changes, as bits.
    pub(crate) headers: u8,
    pub(crate) listed: u8,
    pub(crate) discarded: u8,
    /// The subject and the end of each header. Members and tombstones are told apart by `tombstones`.
    pub(crate) subject: [u8; CHANGES],
    pub(crate) until: [u8; CHANGES],
    pub(crate) tombstones: u8,
    /// Changes whose header says that they are committed. Only a planted fault looks at it.
    pub(crate) committed: u8,
    pub(crate) parts: [Parts; CHANGES],
}

/// The parts of one change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Parts {
    /// The lower bounds of the parts that exist, as bits.
    pub(crate) exist: Mask,
    pub(crate) applied: Mask,
    /// The bounds between parts.
    bounds: Mask,
    operations: Members,
}

impl Parts {
    /// Returns the ids that the part at the lower bound covers.
    pub(crate) fn range(self, lower: Id) -> Mask {
        let from = !(bit(lower) - 1);
        let next = self.bounds & from & !bit(lower);
        if next == 0 { from } else { from & ((1 << next.trailing_zeros()) - 1) }
    }

    /// Returns the operations of the parts that exist.
    pub(crate) fn stored(self) -> Members {
        self.operations
    }

    /// Returns the lower bound of the part that covers the id.
    pub(crate) fn covering(self, id: Id) -> Option<Id> {
        ids(self.exist).find(|lower| self.range(*lower) & bit(id) != 0)
    }
}

impl Items {
    /// Returns the change that holds a group.
    pub(crate) fn holder(&self, group: Id) -> Option<Change> {
        change(self.intent[at(group)]).or(change(self.reservation[at(group)]))
    }

    pub(crate) fn intent(&self, group: Id) -> Option<Change> {
        change(self.intent[at(group)])
    }

    pub(crate) fn reservation(&self, group: Id) -> Option<Change> {
        change(self.reservation[at(group)])
    }

    pub(crate) fn has_header(&self, change: Change) -> bool {
        self.headers & (1 << change) != 0
    }

    fn resource(&self, id: Id) -> Resource {
        let index = usize::from(id);
        let mut resource = Resource {
            version: self.version[index].into(),
            joins: self.joins[index].into(),
            ..Resource::default()
        };
        if kind(id) == Kind::Group {
            resource.intent = self.intent(id);
            resource.reservation = self.reservation(id);
            resource.finished = change(self.finished[at(id)]);
        }
        resource
    }

    fn set_resource(&mut self, id: Id, resource: Option<Resource>) {
        set(&mut self.alive, id, resource.is_some());
        let resource = resource.unwrap_or_default();
        self.version[usize::from(id)] = small(resource.version);
        self.joins[usize::from(id)] = resource.joins as u8;
        if kind(id) == Kind::Group {
            self.intent[at(id)] = stored(resource.intent);
            self.reservation[at(id)] = stored(resource.reservation);
            self.finished[at(id)] = stored(resource.finished);
        }
    }

    fn header(&self, change: Change) -> Header {
        let (index, bit) = (usize::from(change), 1 << change);
        let subject = self.subject[index].into();
        Header {
            kind: if self.tombstones & bit == 0 {
                ChangeKind::Members
            } else {
                ChangeKind::Deleted(kind(subject))
            },
            subject,
            until: self.until[index].into(),
            discarded: self.discarded & bit != 0,
        }
    }

    fn set_header(&mut self, change: Change, header: Option<Header>) {
        set(&mut self.headers, change, header.is_some());
        set(&mut self.discarded, change, header.is_some_and(|header| header.discarded));
        let is_tombstone = |header: Header| header.kind != ChangeKind::Members;
        set(&mut self.tombstones, change, header.is_some_and(is_tombstone));
        self.subject[usize::from(change)] = header.map_or(0, |header| small(header.subject));
        self.until[usize::from(change)] = header.map_or(0, |header| header.until as u8);
    }

    fn set_part(&mut self, change: Change, lower: Id, part: Option<Part<Members>>) {
        let parts = &mut self.parts[usize::from(change)];
        set(&mut parts.exist, lower, part.is_some());
        set(&mut parts.applied, lower, part.as_ref().is_some_and(|part| part.applied));
        match part {
            Some(part) => {
                parts.bounds |= bit(lower) | part.up_to.map_or(0, bit);
                let range = parts.range(lower);
                let others = parts.operations.only(!range);
                let Members { add, remove } = part.difference;
                parts.operations = Members { add: others.add | add, remove: others.remove | remove };
            }
            None => parts.operations = parts.operations.only(!parts.range(lower)),
        }
        if parts.exist == 0 {
            *parts = Parts::default();
        }
    }
}

impl Table<Members> for Items {
    fn get(&self, key: Key) -> Option<Item<Members>> {
        let plain = |mask: u8, position: u16| (mask & (1 << position) != 0).then_some(Item::Plain);
        match key {
            Key::Resource(_, id) => plain(self.alive, id).map(|_| Item::Resource(self.resource(id))),
            Key::Index(entry) => plain(self.names, entry.number),
            Key::Count(kind) => Some(Item::Count(self.counts[kind as usize].into())),
            Key::Edge { group, member } => plain(self.edges[at(group)], member),
            Key::Reverse { group, member } => plain(self.reverse[at(group)], member),
            Key::Header(change) => plain(self.headers, change).map(|_| Item::Header(self.header(change))),
            Key::Listed(change) => plain(self.listed, change),
            Key::Part(change, lower) => {
                let parts = self.parts[usize::from(change)];
                let range = parts.range(lower);
                let end = ids(range).last().filter(|last| *last < 7);
                plain(parts.exist, lower).map(|_| {
                    Item::Part(Part {
                        up_to: end.map(|last| last + 1),
                        difference: parts.operations.only(range),
                        applied: parts.applied & bit(lower) != 0,
                    })
                })
            }
            Key::Nothing => None,
        }
    }

    fn set(&mut self, key: Key, item: Option<Item<Members>>) {
        let exists = item.is_some();
        match (key, item) {
            (Key::Resource(_, id), Some(Item::Resource(resource))) => self.set_resource(id, Some(resource)),
            (Key::Resource(_, id), _) => self.set_resource(id, None),
            (Key::Index(entry), _) => set(&mut self.names, entry.number, exists),
            (Key::Count(kind), Some(Item::Count(count))) => self.counts[kind as usize] = count as i8,
            (Key::Count(_) | Key::Nothing, _) => {}
            (Key::Edge { group, member }, _) => set(&mut self.edges[at(group)], member, exists),
            (Key::Reverse { group, member }, _) => set(&mut self.reverse[at(group)], member, exists),
            (Key::Header(change), Some(Item::Header(header))) => self.set_header(change, Some(header)),
            (Key::Header(change), _) => self.set_header(change, None),
            (Key::Listed(change), _) => set(&mut self.listed, change, exists),
            (Key::Part(change, lower), Some(Item::Part(part))) => self.set_part(change, lower, Some(part)),
            (Key::Part(change, lower), _) => self.set_part(change, lower, None),
        }
    }
}

fn change(stored: u8) -> Option<Change> {
    stored.checked_sub(1).map(Change::from)
}

fn stored(change: Option<Change>) -> u8 {
    change.map_or(0, |change| small(change) + 1)
}

fn small(number: u16) -> u8 {
    number as u8
}

fn set(mask: &mut u8, position: u16, value: bool) {
    let bit = 1 << position;
    *mask = if value { *mask | bit } else { *mask & !bit };
}
