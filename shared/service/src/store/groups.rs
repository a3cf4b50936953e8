//! Groups and their members.
//!
//! A membership is two items, the edge and the reverse edge, written together; a group's item holds no member. Adding
//! or removing members reads nothing of the group, so what it costs does not depend on the group's size, and writers
//! of different members do not undo one another: each transaction holds, for every member added, a check that the
//! member exists, and conditions that say whether anything changed at all.
//!
//! A request that sees the members (PUT, replace, removal by filter) or changes the document too reads first and
//! writes under the version it read. What does not fit one transaction becomes a pending change ([`super::changes`]).

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::types::AttributeValue;
use scim::{
    Invalid, ResourceKind, ScimType,
    id::Id,
    members::{self, Member, MemberEdit, MemberOperation},
    resource::Document,
};

use super::{
    Directory, Expected, Extra,
    changes::SHOW_TIME,
    items::{Item, Stored, name, sort_key, text},
    keys::{self, Key, Kind},
    resources::{Meaning, check_expected, lost_race, not_found, string, taken},
    transaction::{Condition, MAX_ACTIONS, Refusal, Transaction},
    wire::{Backoff, Range},
};
use crate::Error;

/// Members that an answer shows, of one group or of all on a page: more would not fit into the 6 MB of a Lambda answer,
/// each by nothing but its id.
pub const MEMBERS_SHOWN: usize = 115_000;

/// A member of a group, as the edge has it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Edge {
    pub(super) member: Id,
    pub(super) kind: Kind,
}

/// What is to change of a group's members: who exactly comes and who goes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Difference {
    pub(super) add: Vec<Edge>,
    pub(super) remove: Vec<Id>,
}

impl Difference {
    fn is_empty(&self) -> bool {
        self.add.is_empty() && self.remove.is_empty()
    }

    /// Actions it takes: a check, an edge and a reverse edge for who comes, two edges for who goes.
    pub(super) fn actions(&self) -> usize {
        3 * self.add.len() + 2 * self.remove.len()
    }
}

/// How a transaction on edges treats those that are as they should be already.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Edges {
    /// It is refused: the caller wants to know.
    MustChange,
    /// It writes them again.
    MayBeThere,
}

impl Kind {
    fn member_type(self) -> ResourceKind {
        match self {
            Self::User => ResourceKind::User,
            Self::Group => ResourceKind::Group,
        }
    }

    fn of_member(kind: ResourceKind) -> Self {
        match kind {
            ResourceKind::User => Self::User,
            ResourceKind::Group => Self::Group,
        }
    }
}

impl Edge {
    pub(super) fn from_item(item: &Item) -> Result<Self, Error> {
        let damaged = || Error::Internal("a member edge that cannot be read".to_owned());
        Ok(Self {
            member: Id::parse(sort_key(item)?).ok_or_else(damaged)?,
            kind: Kind::from_word(text(item, name::KIND)?).ok_or_else(damaged)?,
        })
    }

    pub(super) fn to_member(&self) -> Member {
        Member { value: self.member.to_string(), member_type: Some(self.kind.member_type()) }
    }
}

impl Directory {
    /// The group of that id and its members, by id; none are read where they are not wanted.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is none in this organisation, `tooMany` if the members are more than
    /// [`MEMBERS_SHOWN`].
    pub async fn group(&self, id: &str, with_members: bool) -> Result<(Stored, Extra), Error> {
        let id = Id::parse(id).ok_or_else(|| not_found(Kind::Group))?;
        if !with_members {
            return Ok((self.read(Kind::Group, &id).await?, Extra::None));
        }
        let mut backoff = Backoff::until(self.deadline);
        loop {
            // The group first: its version is then never newer than the members shown with it, and who writes under it
            // undoes nothing it has not seen. And the group again: a change that takes several transactions, or a
            // deletion, was not under way in between.
            let before = self.settled(|| self.read_settled(Kind::Group, &id)).await?;
            let members = self.shown_members(&id).await?;
            let after = self.read(Kind::Group, &id).await?;
            if after.intent.is_none() && after.finished == before.finished {
                return Ok((before, Extra::Members(members)));
            }
            backoff.wait(&self.store).await?;
        }
    }

    /// A group that was just written, as it is now: members too many to be shown are left out, not refused. `None` if it
    /// was deleted since, or cannot be read in the time that is left: what was written is done, so neither is an error.
    pub async fn written_group(&self, id: &str, with_members: bool) -> Option<(Stored, Extra)> {
        let read = async {
            match self.group(id, with_members).await {
                Err(Error::Invalid(Invalid { scim_type: ScimType::TooMany, .. })) => {
                    self.group(id, false).await
                }
                outcome => outcome,
            }
        };
        tokio::time::timeout_at(self.deadline - SHOW_TIME, read).await.ok()?.ok()
    }

    /// Creates a group with its members.
    ///
    /// # Errors
    /// `uniqueness` if the displayName is taken, `invalidValue` if a member does not exist.
    pub async fn create_group(
        &self,
        document: Document,
        members: &[Member],
    ) -> Result<(Stored, Vec<Member>), Error> {
        let stored = self.fresh(document)?;
        let difference = Difference { add: self.resolve(members).await?, remove: Vec::new() };
        let head = |intent: Option<&str>| {
            let intent = intent.map(str::to_owned);
            self.creation(Kind::Group, &Stored { intent, ..stored.clone() })
        };
        match self.write_members(&stored.id, &difference, head).await? {
            Ok(()) => Ok((stored, difference.add.iter().map(Edge::to_member).collect())),
            Err(refusals) => Err(refused(&difference, &refusals)),
        }
    }

    /// Changes a group: its document, its members, or both. `change` may be called again if another writer was faster.
    /// `lastModified` and the version change only if something did.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::PreconditionFailed`], `uniqueness`, `invalidValue` if a member to be added does
    /// not exist, and whatever `change` says.
    pub async fn update_group(
        &self,
        id: &str,
        expected: Option<&Expected>,
        change: impl Fn(&Document) -> Result<Document, Invalid>,
        operations: &[MemberOperation],
    ) -> Result<Stored, Error> {
        let id = Id::parse(id).ok_or_else(|| not_found(Kind::Group))?;
        let mut backoff = Backoff::until(self.deadline);
        loop {
            let stored = self.read_settled(Kind::Group, &id).await?;
            check_expected(expected, &stored)?;
            let document = change(&stored.document)?;
            let difference = self.difference(&id, operations).await?;
            if document == stored.document && difference.is_empty() {
                return Ok(stored);
            }
            let next = self.successor(&stored, document)?;
            let head = |intent: Option<&str>| {
                let intent = intent.map(str::to_owned);
                self.replacement(Kind::Group, &stored, &Stored { intent, ..next.clone() })
            };
            match self.write_members(&id, &difference, head).await? {
                Ok(()) => return Ok(next),
                Err(refusals) if lost_race(&id, &refusals) => backoff.wait(&self.store).await?,
                Err(refusals) => return Err(refused(&difference, &refusals)),
            }
        }
    }

    /// Adds and removes members, and nothing else, without reading anything: one transaction however large the group
    /// is. Gives the group's new version, or `None` where the members were as asked already, or where the operations
    /// are not of that kind: see the members first, or are too many for one transaction.
    ///
    /// # Errors
    /// [`Error::NotFound`], `invalidValue` if a member to be added does not exist.
    pub async fn edit_members(&self, id: &str, operations: &[MemberOperation]) -> Result<Edited, Error> {
        let id = Id::parse(id).ok_or_else(|| not_found(Kind::Group))?;
        let Some(MemberEdit { clear: false, add, remove }) = members::combine(operations) else {
            return Ok(Edited::SeesMembers);
        };
        // A member whose type the client does not say is a user until that proves wrong: identity providers say
        // nothing of the type and send users.
        let add = parse_members(&add)?
            .into_iter()
            .map(|(id, kind)| Edge { member: id, kind: kind.unwrap_or(Kind::User) });
        let asked =
            Difference { add: add.collect(), remove: remove.iter().filter_map(|id| Id::parse(id)).collect() };
        if asked.actions() >= MAX_ACTIONS {
            return Ok(Edited::SeesMembers);
        }
        let mut difference = asked.clone();
        let mut backoff = Backoff::until(self.deadline);
        loop {
            if difference.is_empty() {
                self.read(Kind::Group, &id).await?;
                return Ok(Edited::Unchanged);
            }
            let version = self.store.entropy.version()?;
            let mut transaction = Transaction::new();
            transaction.update(
                self.keys.resource(Kind::Group, id.as_str()),
                touch(),
                self.touched(&version)?,
                Condition::expression(format!(
                    "attribute_exists({}) AND attribute_not_exists({})",
                    name::VERSION,
                    name::INTENT
                )),
                Meaning::Resource,
            );
            transaction.append(self.edge_actions(&id, &difference, Edges::MustChange));
            self.check_as_asked(&mut transaction, &id, &asked, &difference);
            let Err(refusals) = self.transact(transaction).await? else {
                return Ok(Edited::Changed(version));
            };
            if let Some(group) = refusals.iter().find(|refusal| refusal.meaning == Meaning::Resource) {
                let unfinished = group.item.as_ref().and_then(|item| text(item, name::INTENT).ok());
                self.finish_intent(&id, unfinished.ok_or_else(|| not_found(Kind::Group))?).await?;
                continue;
            }
            if refusals.iter().any(|refusal| refusal.meaning == Meaning::AsAsked) {
                difference.clone_from(&asked);
                backoff.wait(&self.store).await?;
                continue;
            }
            self.reconsider(&mut difference, &refusals).await?;
        }
    }

    /// Checks that who was as asked before still is: the request happens at one time, not partly then and partly now.
    fn check_as_asked(
        &self,
        transaction: &mut Transaction<Meaning>,
        group: &Id,
        asked: &Difference,
        difference: &Difference,
    ) {
        let coming: BTreeSet<&Id> = difference.add.iter().map(|edge| &edge.member).collect();
        let there = asked.add.iter().map(|edge| &edge.member).filter(|member| !coming.contains(member));
        let going: BTreeSet<&Id> = difference.remove.iter().collect();
        let gone = asked.remove.iter().filter(|member| !going.contains(member));
        let conditions =
            there.map(|id| (id, Condition::exists())).chain(gone.map(|id| (id, Condition::absent())));
        for (member, condition) in conditions {
            transaction.check(self.keys.edge(group.as_str(), member.as_str()), condition, Meaning::AsAsked);
        }
    }

    /// Takes out of the difference what is as it should be, and corrects the kind of a member that is no user.
    async fn reconsider(
        &self,
        difference: &mut Difference,
        refusals: &[Refusal<Meaning>],
    ) -> Result<(), Error> {
        let refused = |meaning: Meaning| refusals.iter().any(|refusal| refusal.meaning == meaning);
        let mut add = Vec::new();
        for (index, edge) in std::mem::take(&mut difference.add).into_iter().enumerate() {
            let is_there = refused(Meaning::Added(index));
            if !refused(Meaning::Member(index)) {
                add.extend((!is_there).then_some(edge));
                continue;
            }
            // No group either: the refusal stands.
            let group = self.get(&self.keys.resource(Kind::Group, edge.member.as_str())).await?;
            if edge.kind == Kind::Group || group.is_none() {
                return Err(unknown_member(edge.member.as_str()));
            }
            add.extend((!is_there).then_some(Edge { kind: Kind::Group, ..edge }));
        }
        difference.add = add;
        let remove = std::mem::take(&mut difference.remove).into_iter().enumerate();
        difference.remove =
            remove.filter(|(index, _)| !refused(Meaning::Removed(*index))).map(|(_, id)| id).collect();
        Ok(())
    }

    /// The groups a member is in, by id.
    pub(super) async fn groups_of(&self, member: &Id) -> Result<Vec<String>, Error> {
        self.settled(|| self.reverse_edges(member.as_str())).await
    }

    pub(super) async fn reverse_edges(&self, member: &str) -> Result<Vec<String>, Error> {
        let partition = self.keys.reverse_edges();
        let items = self.query_all(Range::between(&partition, keys::reverse_range(member, member))).await?;
        items.iter().map(|item| reverse_edge(item).map(|(_, group)| group.to_owned())).collect()
    }

    pub(super) async fn edges(&self, group: &Id) -> Result<Vec<Edge>, Error> {
        self.query_all(Range::all(&self.keys.members(group.as_str())))
            .await?
            .iter()
            .map(Edge::from_item)
            .collect()
    }

    /// The members, if they are not too many to be shown.
    async fn shown_members(&self, group: &Id) -> Result<Vec<Member>, Error> {
        let partition = self.keys.members(group.as_str());
        let mut members = Vec::new();
        let mut after = None;
        loop {
            let rows = self.query(Range::all(&partition).after(after)).await?;
            for item in &rows.items {
                members.push(Edge::from_item(item)?.to_member());
            }
            if members.len() > MEMBERS_SHOWN {
                return Err(too_many_members());
            }
            match rows.next {
                Some(next) => after = Some(next),
                None => return Ok(members),
            }
        }
    }

    /// What the operations change of the members as they are now. Who was deleted is none, also while their edges are
    /// still there.
    async fn difference(&self, group: &Id, operations: &[MemberOperation]) -> Result<Difference, Error> {
        if operations.is_empty() {
            return Ok(Difference::default());
        }
        let blind = members::combine(operations).filter(|edit| !edit.clear);
        let current: BTreeSet<Edge> = match &blind {
            Some(edit) => {
                let named = edit.add.iter().map(|member| &member.value).chain(&edit.remove);
                let keys: Vec<Key> = named
                    .filter(|id| Id::parse(id).is_some())
                    .map(|id| self.keys.edge(group.as_str(), id))
                    .collect();
                let edges = self.settled(|| self.get_all(&keys)).await?;
                edges.iter().map(Edge::from_item).collect::<Result<_, _>>()?
            }
            None => self.settled(|| self.edges(group)).await?.into_iter().collect(),
        };
        let edit = blind.unwrap_or_else(|| {
            let members: Vec<Member> = current.iter().map(Edge::to_member).collect();
            members::combine_on(operations, &members)
        });
        let kept: BTreeMap<&str, &Edge> = current.iter().map(|edge| (edge.member.as_str(), edge)).collect();
        let new: Vec<Member> =
            edit.add.iter().filter(|member| !kept.contains_key(member.value.as_str())).cloned().collect();
        let wanted: BTreeSet<&str> = edit.add.iter().map(|member| member.value.as_str()).collect();
        let gone: BTreeSet<&str> = edit.remove.iter().map(String::as_str).collect();
        let remove = current
            .iter()
            .map(|edge| &edge.member)
            .filter(|id| if edit.clear { !wanted.contains(id.as_str()) } else { gone.contains(id.as_str()) })
            .cloned()
            .collect();
        Ok(Difference { add: self.resolve(&new).await?, remove })
    }

    /// The members as edges, each proven to exist, in the order in which they are read.
    async fn resolve(&self, members: &[Member]) -> Result<Vec<Edge>, Error> {
        let mut unresolved = parse_members(members)?;
        let mut found = BTreeMap::new();
        for kind in Kind::ALL {
            let (ask, rest): (Vec<_>, Vec<_>) =
                unresolved.into_iter().partition(|(_, said)| said.is_none_or(|said| said == kind));
            let keys: Vec<Key> = ask.iter().map(|(id, _)| self.keys.resource(kind, id.as_str())).collect();
            found.extend(self.existing(&keys).await?.into_iter().map(|id| (id, kind)));
            unresolved = rest;
            unresolved.extend(ask.into_iter().filter(|(id, _)| !found.contains_key(id.as_str())));
        }
        if let Some((id, _)) = unresolved.first() {
            return Err(unknown_member(id.as_str()));
        }
        let edge =
            |(id, _): (Id, _)| found.get(id.as_str()).map(|kind| Edge { member: id.clone(), kind: *kind });
        let mut edges: Vec<Edge> = parse_members(members)?.into_iter().filter_map(edge).collect();
        edges.sort_unstable();
        Ok(edges)
    }

    /// The actions that carry the difference out.
    pub(super) fn edge_actions(
        &self,
        group: &Id,
        difference: &Difference,
        edges: Edges,
    ) -> Transaction<Meaning> {
        let strict = |condition: Condition| (edges == Edges::MustChange).then_some(condition);
        let group = group.as_str();
        let mut transaction = Transaction::new();
        for (index, Edge { member, kind }) in difference.add.iter().enumerate() {
            let member = member.as_str();
            let kind_of_member = Item::from([(name::KIND.to_owned(), string(kind.word()))]);
            // A group in itself: whoever sends these actions has made sure of the group, and a transaction may name an
            // item once only.
            if (*kind, member) != (Kind::Group, group) {
                let resource = self.keys.resource(*kind, member);
                transaction.check(resource, Condition::exists(), Meaning::Member(index));
            }
            transaction.put(
                self.keys.edge(group, member),
                kind_of_member,
                strict(Condition::absent()),
                Meaning::Added(index),
            );
            transaction.put(self.keys.reverse_edge(member, group), Item::new(), None, Meaning::Unconditional);
        }
        for (index, member) in difference.remove.iter().enumerate() {
            let member = member.as_str();
            transaction.delete(
                self.keys.edge(group, member),
                strict(Condition::exists()),
                Meaning::Removed(index),
            );
            transaction.delete(self.keys.reverse_edge(member, group), None, Meaning::Unconditional);
        }
        transaction
    }

    /// The values of [`touch`].
    pub(super) fn touched(&self, version: &str) -> Result<Vec<(&'static str, AttributeValue)>, Error> {
        Ok(vec![(":new", string(version)), (":now", string(&self.store.clock.timestamp()?))])
    }
}

/// The member and the group of a reverse edge.
pub(super) fn reverse_edge(item: &Item) -> Result<(&str, &str), Error> {
    keys::member_and_group(sort_key(item)?)
        .ok_or_else(|| Error::Internal("a reverse edge that cannot be read".to_owned()))
}

/// What became of an edit of members alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edited {
    /// Done; the group's new version.
    Changed(String),
    /// The members were as asked.
    Unchanged,
    /// Not such an edit: [`Directory::update_group`] carries it out.
    SeesMembers,
}

/// Gives a resource a new version, modified now.
pub(super) fn touch() -> String {
    format!("SET {} = :new, {} = :now", name::VERSION, name::MODIFIED)
}

fn refused(difference: &Difference, refusals: &[Refusal<Meaning>]) -> Error {
    let unknown = refusals.iter().find_map(|refusal| match refusal.meaning {
        Meaning::Member(index) => difference.add.get(index),
        _ => None,
    });
    taken(Kind::Group, refusals)
        .or_else(|| unknown.map(|edge| unknown_member(edge.member.as_str())))
        .unwrap_or(Error::Unavailable)
}

fn parse_members(members: &[Member]) -> Result<Vec<(Id, Option<Kind>)>, Error> {
    members
        .iter()
        .map(|member| match Id::parse(&member.value) {
            Some(id) => Ok((id, member.member_type.map(Kind::of_member))),
            // What is no id may be anything, a person's e-mail address too: it is not echoed.
            None => Err(unknown_member("(not an id this service gave)")),
        })
        .collect()
}

pub(super) fn too_many_members() -> Error {
    Error::Invalid(Invalid::new(
        ScimType::TooMany,
        format!(
            "the answer would show more than {MEMBERS_SHOWN} members; leave them out with excludedAttributes=members, \
             and page through them by /Users?filter=groups.value eq \"<id of the group>\""
        ),
    ))
}

fn unknown_member(id: &str) -> Error {
    Error::Invalid(Invalid::value(format!(
        "members: there is no user or group with the id {id}; assign it to the application first. Nothing was changed"
    )))
}
