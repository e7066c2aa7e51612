//! Rights: default deny, rows checked at the moment of effect.

mod add;
pub(crate) mod expiry;
mod grant;
mod rows;
#[cfg(test)]
mod tests_rights;

use std::ops::ControlFlow;

use once_model::ids::{KernelId, ObjectKey};

use crate::object::{self, HeadRow};
use crate::peers::{self, PeerStatus};
use crate::store::{Read, StoreError, Table, prefix_end, scan_prefix, try_scan};
use crate::txn::{self, Txn};

pub(crate) use add::add;
pub use grant::{Grant, Listed, Right, Scope};
use grant::{grantee, grantee_object, row, with_copy};
pub use rows::{GrantPart, GrantRow};

/// Who wants to act on an object: a kernel for its clients, or one of its objects.
#[derive(Debug, Clone, Copy)]
pub struct Actor<'a> {
    /// The kernel that the action comes from.
    pub kernel: &'a KernelId,
    /// Its object that acts, if one does.
    pub object: Option<&'a ObjectKey>,
    /// That object is a guest of its kernel, as the kernel says: it has none of the kernel's rights.
    pub guest: bool,
}

/// Whether a kernel, or one of its objects, may do this to an object here. Becoming a peer never gives that.
///
/// What a kernel may do, its objects may do: they act in its name. But a guest has none of its kernel's rights, there or
/// here: it needs grants of its own. These count at its home only; where that is, of a guest only its chain says.
///
/// # Errors
/// When the store cannot be read.
pub fn may_act(
    rows: &dyn Read,
    me: &KernelId,
    actor: Actor<'_>,
    head: &HeadRow,
    action: &str,
    now_ms: u64,
) -> Result<bool, StoreError> {
    let own = actor.kernel == me;
    let is_itself = actor.object.is_some_and(|object| *object == head.header.key());
    if own && (is_itself || (!actor.guest && !is_guest(rows, actor.object)?)) {
        return Ok(true);
    }
    if !own && !is_admitted(rows, actor.kernel)? {
        return Ok(false);
    }
    let known = known_home(rows, actor.object)?;
    // An object that is known to have its home elsewhere does not act through this kernel.
    if !own && known.is_some_and(|known| known.home != *actor.kernel) {
        return Ok(false);
    }
    if mutant!(SkipActRight) {
        return Ok(true);
    }
    let is_host = !own && (!actor.guest || mutant!(GuestByHost));
    let allows = |grant: &GrantRow| grant.allows(Some(action), now_ms);
    for scope in scopes(head) {
        if is_host {
            let place = row(&scope, Right::Act, &grantee(actor.kernel, None));
            if txn::get(rows, Table::Grant, &place)?.as_ref().is_some_and(allows) {
                return Ok(true);
            }
        }
        if let Some(object) = actor.object {
            let place = row(&scope, Right::Act, &grantee(actor.kernel, Some(object)));
            let grant: Option<GrantRow> = txn::get(rows, Table::Grant, &place)?;
            if let Some(grant) = grant.filter(allows)
                && (speaks(own, &actor, known, grant.home) || mutant!(SkipObjectRight))
            {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// On what a grant may be that counts for an object, as the front of its row.
fn scopes(head: &HeadRow) -> [Vec<u8>; 3] {
    let component = Scope::Component(head.header.component.clone());
    [Scope::Object(head.header.key()), component, Scope::Kernel].map(|scope| scope.to_row())
}

/// Whether an object has a grant to do this, whoever speaks for it.
pub(crate) fn has_grant(
    rows: &dyn Read,
    object: &ObjectKey,
    head: &HeadRow,
    action: &str,
    now_ms: u64,
) -> Result<bool, StoreError> {
    let allows = |grant: &GrantRow| grant.allows(Some(action), now_ms);
    any_grant(rows, head, (Right::Act, &grantee_object(object)), allows)
}

/// Whether somebody has a grant on an object, or on its component or this kernel, that is as asked for.
fn any_grant(
    rows: &dyn Read,
    head: &HeadRow,
    (right, grantee): (Right, &[u8; 32]),
    is_it: impl Fn(&GrantRow) -> bool,
) -> Result<bool, StoreError> {
    for scope in scopes(head) {
        let grant: Option<GrantRow> = txn::get(rows, Table::Grant, &row(&scope, right, grantee))?;
        if grant.as_ref().is_some_and(&is_it) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether an object of this kernel is its guest.
fn is_guest(rows: &dyn Read, object: Option<&ObjectKey>) -> Result<bool, StoreError> {
    let Some(object) = object else { return Ok(false) };
    Ok(object::head(rows, object)?.is_some_and(|head| head.is_guest()))
}

/// Where an object is, as far as is known here.
#[derive(Debug, Clone, Copy)]
struct Known {
    home: KernelId,
    /// Its chain is here.
    by_chain: bool,
    /// It has moved: then it is a guest wherever it is.
    moved: bool,
}

/// Whether a kernel speaks for an object that has a grant: by what is known of the object here, else by what was said when the
/// right was granted. Of a guest only what its chain says counts; and who leaves out that an object is one gets nothing by it.
fn speaks(own: bool, actor: &Actor<'_>, known: Option<Known>, said: Option<KernelId>) -> bool {
    match known {
        Some(known) if !own && actor.guest => known.by_chain && known.home == *actor.kernel,
        None if !own && actor.guest => false,
        Some(known) => known.home == *actor.kernel && (own || !known.moved),
        None => said == Some(*actor.kernel),
    }
}

/// The home of an object, also by the name that it had before it was claimed. Its chain may be further than its revisions here.
fn known_home(rows: &dyn Read, object: Option<&ObjectKey>) -> Result<Option<Known>, StoreError> {
    let Some(object) = object else { return Ok(None) };
    let key = object::current_key(rows, object)?;
    if let Some(lineage) = key.lineage()
        && let Some(chain) = object::chain(rows, &lineage)?.filter(|chain| chain.genesis.uuid == key.uuid)
    {
        return Ok(Some(Known { home: chain.home(), by_chain: true, moved: chain.has_moved() }));
    }
    let home = object::head(rows, &key)?.and_then(|head| head.home);
    Ok(home.map(|home| Known { home, by_chain: false, moved: false }))
}

fn granted(
    rows: &dyn Read,
    scope: &Scope,
    right: Right,
    kernel: &KernelId,
    now_ms: u64,
) -> Result<bool, StoreError> {
    let grant: Option<GrantRow> =
        txn::get(rows, Table::Grant, &row(&scope.to_row(), right, kernel.as_bytes()))?;
    Ok(grant.is_some_and(|grant| grant.allows(None, now_ms)))
}

/// Whether a peer has any right to an object here: to read it, or to act on it in some way.
pub(crate) fn reaches(
    rows: &dyn Read,
    kernel: &KernelId,
    head: &HeadRow,
    now_ms: u64,
) -> Result<bool, StoreError> {
    if !is_admitted(rows, kernel)? {
        return Ok(false);
    }
    let any = |right| any_grant(rows, head, (right, kernel.as_bytes()), |grant| grant.holds(now_ms));
    Ok(any(Right::Read)? || any(Right::Act)?)
}

/// Whether `kernel` is a peer at all. Everything else is denied to the rest of the world.
///
/// # Errors
/// When the store cannot be read.
pub fn is_peer(rows: &dyn Read, kernel: &KernelId) -> Result<bool, StoreError> {
    Ok(peers::peer(rows, kernel)?.is_some_and(|peer| peer.status == PeerStatus::Active))
}

/// Whether `kernel` is a peer, or one that comes or is called for single objects: on these it may have rights.
///
/// # Errors
/// When the store cannot be read.
pub fn is_admitted(rows: &dyn Read, kernel: &KernelId) -> Result<bool, StoreError> {
    Ok(peers::peer(rows, kernel)?.is_some_and(|peer| peer.status != PeerStatus::Joining))
}

/// Whether `kernel` may store scenarios here.
///
/// # Errors
/// When the store cannot be read.
pub fn may_share(rows: &dyn Read, kernel: &KernelId, now_ms: u64) -> Result<bool, StoreError> {
    Ok(is_peer(rows, kernel)? && has_share(rows, kernel, now_ms)?)
}

/// Whether a peer holds the right to store scenarios here.
///
/// # Errors
/// When the store cannot be read.
pub(crate) fn has_share(rows: &dyn Read, peer: &KernelId, now_ms: u64) -> Result<bool, StoreError> {
    if mutant!(SkipShareRight) {
        return Ok(true);
    }
    granted(rows, &Scope::Kernel, Right::Share, peer, now_ms)
}

/// Whether `kernel` may move objects of this component here.
///
/// # Errors
/// When the store cannot be read.
pub fn may_host(
    rows: &dyn Read,
    kernel: &KernelId,
    component: &str,
    now_ms: u64,
) -> Result<bool, StoreError> {
    if !is_peer(rows, kernel)? {
        return Ok(false);
    }
    Ok(granted(rows, &Scope::Kernel, Right::Host, kernel, now_ms)?
        || granted(rows, &Scope::Component(component.to_owned()), Right::Host, kernel, now_ms)?)
}

/// Whether a kernel may move objects of every component here.
pub(crate) fn may_host_all(rows: &dyn Read, kernel: &KernelId, now_ms: u64) -> Result<bool, StoreError> {
    Ok(is_peer(rows, kernel)? && granted(rows, &Scope::Kernel, Right::Host, kernel, now_ms)?)
}

/// The grants on one object.
pub(crate) fn on_object(rows: &dyn Read, key: &ObjectKey) -> Result<Vec<Listed>, StoreError> {
    let (scope, mut found) = (Scope::Object(*key).to_row(), Vec::new());
    try_scan(rows, Table::Grant, &scope, prefix_end(&scope).as_deref(), |key, value| {
        found.extend(Grant::list(key, &value)?);
        Ok::<_, StoreError>(ControlFlow::Continue(()))
    })?;
    Ok(found)
}

/// What a peer may read or find, asked for many objects at once: the grants on the kernel and on components are looked up
/// once.
pub struct Reader {
    kernel: KernelId,
    now_ms: u64,
    read: Reach,
    find: Reach,
    /// Anything is granted to anybody on a single object.
    objects: bool,
}

/// How far a right of a peer goes, but for what it has on single objects.
struct Reach {
    right: Right,
    everything: bool,
    components: Vec<String>,
}

impl Reach {
    fn new(rows: &dyn Read, right: Right, kernel: &KernelId, now_ms: u64) -> Result<Self, StoreError> {
        let everything = granted(rows, &Scope::Kernel, right, kernel, now_ms)?;
        Ok(Self { right, everything, components: Vec::new() })
    }

    /// Adds what is granted on a component.
    fn add(&mut self, kernel: &KernelId, listed: &Listed, now_ms: u64) {
        let grant = &listed.grant;
        if let Scope::Component(name) = &grant.scope
            && grant.kernel == *kernel
            && grant.object.is_none()
            && grant.right == self.right
            && listed.holds(now_ms)
        {
            self.components.push(name.clone());
        }
    }

    fn covers(&self, head: &HeadRow) -> bool {
        self.everything || self.components.contains(&head.header.component)
    }
}

impl Reader {
    /// Looks up what `kernel` may read and find now. `None` if it is no peer.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn new(rows: &dyn Read, kernel: &KernelId, now_ms: u64) -> Result<Option<Self>, StoreError> {
        if !is_admitted(rows, kernel)? {
            return Ok(None);
        }
        let read = Reach::new(rows, Right::Read, kernel, now_ms)?;
        let find = Reach::new(rows, Right::Find, kernel, now_ms)?;
        let mut reader = Self { kernel: *kernel, now_ms, read, find, objects: false };
        if !reader.read.everything {
            try_scan(rows, Table::Grant, &[1], prefix_end(&[1]).as_deref(), |key, value| {
                match Grant::list(key, &value) {
                    Ok(grants) => grants.iter().for_each(|listed| {
                        reader.read.add(kernel, listed, now_ms);
                        reader.find.add(kernel, listed, now_ms);
                    }),
                    // One that cannot be read gives no right.
                    Err(StoreError::Damaged { .. }) => {}
                    Err(error) => return Err(error),
                }
                Ok(ControlFlow::Continue(()))
            })?;
            scan_prefix(rows, Table::Grant, &[2], &mut |_, _| {
                reader.objects = true;
                ControlFlow::Break(())
            })?;
        }
        Ok(Some(reader))
    }

    /// Whether it may read this object. What it is home of it knows anyway.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn may_read(&self, rows: &dyn Read, head: &HeadRow) -> Result<bool, StoreError> {
        if mutant!(SkipReadRight) || head.home == Some(self.kernel) {
            return Ok(true);
        }
        if self.read.covers(head) {
            return Ok(true);
        }
        let object = Scope::Object(head.header.key());
        Ok(self.objects && granted(rows, &object, Right::Read, &self.kernel, self.now_ms)?)
    }

    /// Whether it may learn that this object is there: what it may read, and what it holds the right to find, on its component
    /// or the kernel.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn may_find(&self, rows: &dyn Read, head: &HeadRow) -> Result<bool, StoreError> {
        if mutant!(FindWithoutRight) {
            return Ok(true);
        }
        Ok(self.find.covers(head) || self.may_read(rows, head)?)
    }
}

/// Whether `kernel` may read one object now.
///
/// # Errors
/// When the store cannot be read.
pub fn may_read(rows: &dyn Read, kernel: &KernelId, head: &HeadRow, now_ms: u64) -> Result<bool, StoreError> {
    if !is_admitted(rows, kernel)? {
        return Ok(false);
    }
    if mutant!(SkipReadRight)
        || head.home == Some(*kernel)
        || granted(rows, &Scope::Kernel, Right::Read, kernel, now_ms)?
    {
        return Ok(true);
    }
    Ok(granted(rows, &Scope::Object(head.header.key()), Right::Read, kernel, now_ms)?
        || granted(rows, &Scope::Component(head.header.component.clone()), Right::Read, kernel, now_ms)?)
}

/// Grants on a copy are grants on the object that it has become, beside those that were given on that before.
pub(crate) fn rename(
    txn: &mut Txn<'_>,
    old: &ObjectKey,
    new: &ObjectKey,
    now_ms: u64,
) -> Result<(), StoreError> {
    let (old, new) = (Scope::Object(*old).to_row(), Scope::Object(*new).to_row());
    let mut beside = Vec::new();
    try_scan(txn, Table::Grant, &old, prefix_end(&old).as_deref(), |key, copy| {
        let place = [new.as_slice(), key.get(old.len()..).unwrap_or_default()].concat();
        if let Some(there) = txn.get(Table::Grant, &place)? {
            beside.push((key.to_vec(), with_copy(there, copy, now_ms)));
        }
        Ok(ControlFlow::Continue(()))
    })?;
    if mutant!(ClaimOverGrants) {
        beside.clear();
    }
    for (key, both) in beside {
        txn.put_bytes(Table::Grant, &key, both);
    }
    txn::rename(txn, Table::Grant, &old, &new)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::testing::Alone;
    use crate::waist::Command;

    #[test]
    fn a_guest_has_none_of_the_rights_of_its_kernel() {
        let mut kernel = Alone::new();
        let peer = kernel.peer(9);
        let object = kernel.object(1, "Served");
        let guest = ObjectKey { uuid: once_model::ids::Uuid::from_u128(7), ..object };
        kernel.desk.room.store(10, Ordering::Relaxed);
        // Its kernel may act on everything.
        let other = kernel.object(2, "Served");
        kernel.acts_as(peer, other, 1, "1".into(), Some(guest));
        assert!(kernel.asked().is_empty());
        let grant = Grant {
            scope: Scope::Object(object),
            right: Right::Act,
            kernel: peer.kernel,
            object: Some(guest),
            expires_ms: None,
            actions: None,
        };
        kernel.command(Command::Grant(grant));
        kernel.acts_as(peer, object, 1, "2".into(), Some(guest));
        assert_eq!(kernel.asked(), Vec::<u64>::new(), "nothing shows that its kernel speaks for it");
    }

    #[test]
    fn an_object_whose_home_is_known_does_not_act_elsewhere_by_its_old_name() {
        let mut kernel = Alone::new();
        let peer = kernel.peer(9);
        let object = kernel.object(1, "Served");
        kernel.desk.room.store(10, Ordering::Relaxed);
        let id = once_model::ids::Uuid::from_u128(7);
        let scenario = once_model::scenario::Scenario::compose(id, "Served", "1", "me", "{}").unwrap();
        let copy = object::unclaimed(&scenario).key();
        kernel.command(Command::Import { source: None, over: None, scenario });
        // It was said to be the peer's, before it was claimed here.
        let grant = Grant {
            scope: Scope::Object(object),
            right: Right::Act,
            kernel: peer.kernel,
            object: Some(copy),
            expires_ms: None,
            actions: None,
        };
        kernel.command(Command::Grant(grant));
        kernel.command(Command::Claim { key: copy });
        assert_ne!(kernel.head(&copy).map(|head| head.key()), Some(copy));
        // Its kernel may do everything, but not in the name of an object of this one.
        kernel.may_act(peer.kernel);
        kernel.acts_as(peer, object, 1, "1".into(), Some(copy));
        assert!(kernel.asked().is_empty());
    }
}
