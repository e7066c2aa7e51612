//! Rights: default deny, rows checked at the moment of effect.

use std::ops::ControlFlow;

use once_model::hash::record_hash;
use once_model::ids::{KernelId, ObjectKey};
use once_model::limits::NAME_MAX_BYTES;

use crate::rows::{GrantRow, HeadRow, PeerStatus};
use crate::store::{Read, StoreError, Table, scan_prefix};
use crate::{rows, txn};

/// What a peer may be allowed to do. The number is part of a row's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Right {
    /// Store scenarios here, into its quota.
    Share = 1,
    /// Read objects: request, follow, compare.
    Read = 2,
    /// Act on objects.
    Act = 3,
}

impl Right {
    /// The right's name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Share => "share",
            Self::Read => "read",
            Self::Act => "act",
        }
    }

    fn from_byte(byte: u8) -> Option<Self> {
        [Self::Share, Self::Read, Self::Act].into_iter().find(|right| *right as u8 == byte)
    }
}

/// What a grant is on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Everything on this kernel.
    Kernel,
    /// Every object of a component.
    Component(String),
    /// One object.
    Object(ObjectKey),
}

impl Scope {
    /// The front of a grant's key. An object's grants lie together, so that they can move with it.
    #[must_use]
    pub fn to_row(&self) -> Vec<u8> {
        match self {
            Self::Kernel => vec![0],
            Self::Component(name) => {
                // A fixed width, so that no component's name is the beginning of another's row.
                let mut row = vec![0; 2 + NAME_MAX_BYTES];
                let name = &name.as_bytes()[..name.len().min(NAME_MAX_BYTES)];
                row[0] = 1;
                row[1] = u8::try_from(name.len()).unwrap_or(u8::MAX);
                row[2..2 + name.len()].copy_from_slice(name);
                row
            }
            Self::Object(key) => [&[2], key.to_row().as_slice()].concat(),
        }
    }
}

/// A grant as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// On what.
    pub scope: Scope,
    /// To do what.
    pub right: Right,
    /// To whom; or the home of the object that has it, as far as is known.
    pub kernel: KernelId,
    /// To which object, if it is not for the whole kernel.
    pub object: Option<ObjectKey>,
    /// Until when, in milliseconds since 1970.
    pub expires_ms: Option<u64>,
    /// For the right to act: only these actions. Every action if absent.
    pub actions: Option<Vec<String>>,
}

impl Grant {
    /// The grant's key.
    #[must_use]
    pub fn to_row(&self) -> Vec<u8> {
        row(&self.scope.to_row(), self.right, &grantee(&self.kernel, self.object.as_ref()))
    }

    /// The grant's row.
    #[must_use]
    pub fn row(&self) -> GrantRow {
        GrantRow {
            expires_ms: self.expires_ms,
            actions: self.actions.clone(),
            object: self.object,
            home: self.object.map(|_| self.kernel),
        }
    }

    /// Reads a grant's row.
    ///
    /// # Errors
    /// When it is damaged.
    pub fn from_row(key: &[u8], value: &[u8]) -> Result<Self, StoreError> {
        let damaged =
            || StoreError::Damaged { table: Table::Grant, reason: "its key is not a grant's".into() };
        let GrantRow { expires_ms, actions, object, home } = txn::decode(Table::Grant, value)?;
        let (front, kernel) = key.split_at_checked(key.len().saturating_sub(32)).ok_or_else(damaged)?;
        let kernel = match object {
            None => KernelId::from_slice(kernel).ok_or_else(damaged)?,
            Some(_) => home.ok_or_else(damaged)?,
        };
        let (right, scope) = front.split_last().ok_or_else(damaged)?;
        let right = Right::from_byte(*right).ok_or_else(damaged)?;
        let scope = match scope.split_first().ok_or_else(damaged)? {
            (0, []) => Scope::Kernel,
            (1, name) => {
                let (len, name) = name.split_first().ok_or_else(damaged)?;
                let name = name.get(..usize::from(*len)).ok_or_else(damaged)?;
                Scope::Component(String::from_utf8_lossy(name).into_owned())
            }
            (2, object) => Scope::Object(ObjectKey::from_row(object).ok_or_else(damaged)?),
            _ => return Err(damaged()),
        };
        Ok(Self { scope, right, kernel, object, expires_ms, actions })
    }
}

fn row(scope: &[u8], right: Right, grantee: &[u8; 32]) -> Vec<u8> {
    [scope, &[right as u8], grantee].concat()
}

/// Who has a grant, in the 32 bytes that its key has for that: a kernel's id, or the hash of an object's key.
fn grantee(kernel: &KernelId, object: Option<&ObjectKey>) -> [u8; 32] {
    match object {
        None => *kernel.as_bytes(),
        Some(key) => *record_hash("once/2 grantee", &key.to_row()).as_bytes(),
    }
}

/// Who wants to act on an object: a kernel for its clients, or one of its objects.
#[derive(Debug, Clone, Copy)]
pub struct Actor<'a> {
    /// The kernel that the action comes from.
    pub kernel: &'a KernelId,
    /// Its object that acts, if one does.
    pub object: Option<&'a ObjectKey>,
}

/// Whether a kernel, or one of its objects, may do this to an object here. Becoming a peer never gives that.
///
/// What a kernel may do, its objects may do: they act in its name. On its own kernel an object that moved in from
/// another one is a guest: it needs a grant of its own. An object's own grant counts at its home only.
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
    if own && !is_guest(rows, actor.object)? {
        return Ok(true);
    }
    if !own && !is_peer(rows, actor.kernel)? {
        return Ok(false);
    }
    // An object that is known to have its home elsewhere does not act through this kernel.
    if !own
        && let Some(object) = actor.object
        && rows::head(rows, object)?.and_then(|head| head.home).is_some_and(|home| home != *actor.kernel)
    {
        return Ok(false);
    }
    if mutant!(SkipActRight) {
        return Ok(true);
    }
    let allows = |grant: &GrantRow| {
        let names = grant.actions.as_deref();
        grant.expires_ms.is_none_or(|end| now_ms < end)
            && names.is_none_or(|names| names.iter().any(|name| name == action))
    };
    let scopes =
        [Scope::Object(head.header.key()), Scope::Component(head.header.component.clone()), Scope::Kernel];
    for scope in scopes.iter().map(Scope::to_row) {
        if !own {
            let place = row(&scope, Right::Act, &grantee(actor.kernel, None));
            if txn::get(rows, Table::Grant, &place)?.as_ref().is_some_and(allows) {
                return Ok(true);
            }
        }
        if let Some(object) = actor.object {
            let place = row(&scope, Right::Act, &grantee(actor.kernel, Some(object)));
            let grant: Option<GrantRow> = txn::get(rows, Table::Grant, &place)?;
            if let Some(grant) = grant.filter(allows)
                && (is_at(rows, object, actor.kernel, grant.home)? || mutant!(SkipObjectRight))
            {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Whether an object of this kernel was born on another one.
fn is_guest(rows: &dyn Read, object: Option<&ObjectKey>) -> Result<bool, StoreError> {
    let Some(object) = object else { return Ok(false) };
    Ok(rows::head(rows, object)?.is_some_and(|head| head.header.epoch > 1))
}

/// Whether a kernel is an object's home: by what is known of the object here, else by what was said when the right was
/// granted.
fn is_at(
    rows: &dyn Read,
    object: &ObjectKey,
    kernel: &KernelId,
    said: Option<KernelId>,
) -> Result<bool, StoreError> {
    let known = rows::head(rows, object)?.and_then(|head| head.home);
    Ok(known.or(said) == Some(*kernel))
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
    let lasts = |end: u64| now_ms < end || mutant!(GrantNeverExpires);
    Ok(grant.is_some_and(|grant| grant.expires_ms.is_none_or(lasts)))
}

/// Whether `kernel` is a peer at all. Everything else is denied to the rest of the world.
///
/// # Errors
/// When the store cannot be read.
pub fn is_peer(rows: &dyn Read, kernel: &KernelId) -> Result<bool, StoreError> {
    Ok(rows::peer(rows, kernel)?.is_some_and(|peer| peer.status == PeerStatus::Active))
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
    Ok(mutant!(SkipShareRight) || granted(rows, &Scope::Kernel, Right::Share, peer, now_ms)?)
}

/// What a peer may read, asked for many objects at once: the grants on the kernel and on components are looked up
/// once.
pub struct Reader {
    kernel: KernelId,
    now_ms: u64,
    everything: bool,
    components: Vec<String>,
    objects: bool,
}

impl Reader {
    /// Looks up what `kernel` may read now. `None` if it is no peer.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn new(rows: &dyn Read, kernel: &KernelId, now_ms: u64) -> Result<Option<Self>, StoreError> {
        if !is_peer(rows, kernel)? {
            return Ok(None);
        }
        let mut reader =
            Self { kernel: *kernel, now_ms, everything: false, components: Vec::new(), objects: false };
        reader.everything = granted(rows, &Scope::Kernel, Right::Read, kernel, now_ms)?;
        if !reader.everything {
            let mut failed = None;
            scan_prefix(rows, Table::Grant, &[1], &mut |key, value| {
                match Grant::from_row(key, &value) {
                    Ok(grant)
                        if grant.kernel == *kernel
                            && grant.object.is_none()
                            && grant.right == Right::Read =>
                    {
                        if let Scope::Component(name) = grant.scope
                            && grant.expires_ms.is_none_or(|end| now_ms < end)
                        {
                            reader.components.push(name);
                        }
                    }
                    Ok(_) => {}
                    Err(error) => failed = Some(error),
                }
                if failed.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })?;
            if let Some(error) = failed {
                return Err(error);
            }
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
        if mutant!(SkipReadRight)
            || self.everything
            || head.home == Some(self.kernel)
            || self.components.contains(&head.header.component)
        {
            return Ok(true);
        }
        Ok(self.objects
            && granted(rows, &Scope::Object(head.header.key()), Right::Read, &self.kernel, self.now_ms)?)
    }
}

/// Whether `kernel` may read one object now.
///
/// # Errors
/// When the store cannot be read.
pub fn may_read(rows: &dyn Read, kernel: &KernelId, head: &HeadRow, now_ms: u64) -> Result<bool, StoreError> {
    if !is_peer(rows, kernel)? {
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

#[cfg(test)]
mod tests {
    use super::*;
    use once_model::ids::{Hash, Line, Uuid};

    #[test]
    fn grants_survive_their_rows() {
        let key = ObjectKey { uuid: Uuid::from_u128(3), line: Line::Unclaimed(Hash::from_bytes([1; 32])) };
        for scope in [Scope::Kernel, Scope::Component("Unit".into()), Scope::Object(key)] {
            for object in [None, Some(key)] {
                let grant = Grant {
                    scope: scope.clone(),
                    right: Right::Act,
                    kernel: KernelId::from_bytes([7; 32]),
                    object,
                    expires_ms: Some(5),
                    actions: Some(vec!["add".into()]),
                };
                let value = once_model::wire::to_cbor(&grant.row());
                assert_eq!(Grant::from_row(&grant.to_row(), &value), Ok(grant));
            }
        }
        let kernel = GrantRow { expires_ms: None, actions: None, object: None, home: None };
        assert!(Grant::from_row(&[9; 40], &once_model::wire::to_cbor(&kernel)).is_err());
    }
}
