//! Pages of the members of a group and of the groups of a member, for people who look at them. A page reads its edges and the
//! resources that they lead to, so its cost does not depend on their number.

use scim::{ResourceKind, id::Id};

use super::{
    audit::Page,
    changes::{Scope, View},
    directory::Directory,
    edges::reverse_edge,
    items::{Stored, sort_key},
    key_range::KeyRange,
    keys,
    memberships::members_page,
    search::by_id,
};
use crate::Error;

impl Directory {
    /// Returns a page of the members of a group, in the order of their creation. `after` is the `next` of the page before,
    /// which is the id of a member.
    ///
    /// A page has the effects of pending changes that are committed. A change that is committed between two pages has an effect
    /// on the later page only. A page may have fewer members than `limit`, before the end. Members that were deleted meanwhile
    /// are left out. A group that does not exist has no members.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Throttled`].
    pub async fn members_page(
        &self,
        group: &Id,
        after: Option<&Id>,
        limit: usize,
    ) -> Result<Page<(ResourceKind, Stored)>, Error> {
        let view = View::new(self);
        let start = after.map(|after| self.keys.edge(group.as_str(), after.as_str()).attributes());
        // One more edge than wanted shows whether anything follows.
        let page = members_page(&view, group, start, false, Some(limit + 1)).await?;
        let mut members = page.members;
        let mut next = page.next.as_ref().map(|next| sort_key(next).map(str::to_owned)).transpose()?;
        if members.len() > limit {
            members.truncate(limit);
            next = members.last().map(|edge| edge.member.to_string());
        }
        let mut stored = by_id(self, members.iter().map(|edge| (edge.kind, &edge.member))).await?;
        let items = members.iter().filter_map(|edge| Some((edge.kind, stored.remove(&edge.member)?)));
        Ok(Page { items: items.collect(), next })
    }

    /// Returns a page of the groups of a member, in the order of their creation. `after` is the `next` of the page before,
    /// which is the id of a group. Pending changes have effects as on [`Directory::members_page`].
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Throttled`].
    pub async fn groups_page(
        &self,
        member: &Id,
        after: Option<&Id>,
        limit: usize,
    ) -> Result<Page<Stored>, Error> {
        let view = View::new(self);
        let partition = self.keys.reverse_edges();
        let start = after.map(|after| self.keys.reverse_edge(member.as_str(), after.as_str()).attributes());
        let range = KeyRange::between(&partition, keys::reverse_range(member.as_str(), member.as_str()));
        let range = range.after(start).limit(limit + 1);
        let read = || self.table.query(range.clone());
        let (page, effects) = view.read(|_| Scope::of_member(member), read).await?;
        let read = page.items.iter().map(|item| reverse_edge(item).map(|(_, group)| group.to_owned()));
        let read: Vec<String> = read.collect::<Result<_, _>>()?;
        let until = page.next.and(read.last().cloned());
        let mut groups = effects.groups(member, read);
        // Changes that are pending may add groups of other pages.
        groups.retain(|group| {
            after.is_none_or(|after| group.as_str() > after.as_str())
                && until.as_ref().is_none_or(|until| group <= until)
        });
        let mut next = until;
        if groups.len() > limit {
            groups.truncate(limit);
            next = groups.last().cloned();
        }
        let ids: Vec<Id> = groups.iter().filter_map(|group| Id::parse(group)).collect();
        let mut stored = by_id(self, ids.iter().map(|id| (ResourceKind::Group, id))).await?;
        Ok(Page { items: ids.iter().filter_map(|id| stored.remove(id)).collect(), next })
    }
}
