//! Grants: who has which right on what, as rows. Of one grantee, right and thing there is one row; its parts add up.

use bytes::Bytes;
use once_model::cbor::to_cbor;
use once_model::hash::record_hash;
use once_model::ids::{KernelId, ObjectKey};
use once_model::limits::{GRANT_ACTIONS_MAX, NAME_MAX_BYTES};

use super::{GrantPart, GrantRow};
use crate::refusal::{Failure, Refusal};
use crate::store::{StoreError, Table};
use crate::txn;

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
    /// Move objects here.
    Host = 4,
    /// Find objects: learn that they are there, and what they are called.
    Find = 5,
}

impl Right {
    /// The right's name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Share => "share",
            Self::Read => "read",
            Self::Act => "act",
            Self::Host => "host",
            Self::Find => "find",
        }
    }

    fn from_byte(byte: u8) -> Option<Self> {
        [Self::Share, Self::Read, Self::Act, Self::Host, Self::Find]
            .into_iter()
            .find(|right| *right as u8 == byte)
    }
}

/// What a grant is on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Everything on this kernel.
    Kernel,
    /// Every object of a component.
    Component(String),
    /// One object, by its key.
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

/// A grant as it is given, taken back, and listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// What it is a right on.
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

/// A grant that is there, and whether it has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// What was granted: of one row, the actions that end at one time.
    pub grant: Grant,
    /// It was seen to be over. It stays so, whatever the clock says later.
    pub ended: bool,
}

impl Listed {
    /// Whether it is in force.
    #[must_use]
    pub fn holds(&self, now_ms: u64) -> bool {
        !self.ended && self.grant.expires_ms.is_none_or(|end| now_ms < end)
    }
}

impl Grant {
    /// The key of the row that this grant is part of.
    #[must_use]
    pub fn to_row(&self) -> Vec<u8> {
        row(&self.scope.to_row(), self.right, &grantee(&self.kernel, self.object.as_ref()))
    }

    /// Reads a row: its parts that end at one time are one grant.
    ///
    /// # Errors
    /// When it is damaged.
    pub fn list(key: &[u8], value: &[u8]) -> Result<Vec<Listed>, StoreError> {
        let row: GrantRow = txn::decode(Table::Grant, value).map_err(|error| error.at(key))?;
        let (scope, right, kernel) = place(key, &row)?;
        let mut found: Vec<Listed> = Vec::new();
        for GrantPart { action, expires_ms, ended } in row.parts {
            let like = |listed: &&mut Listed| {
                (listed.grant.expires_ms, listed.ended) == (expires_ms, ended)
                    && listed.grant.actions.is_some() == action.is_some()
            };
            match (found.iter_mut().find(like), action) {
                (Some(Listed { grant: Grant { actions: Some(names), .. }, .. }), Some(name)) => {
                    names.push(name);
                }
                (_, action) => {
                    let (scope, actions) = (scope.clone(), action.map(|name| vec![name]));
                    let grant = Grant { scope, right, kernel, object: row.object, expires_ms, actions };
                    found.push(Listed { grant, ended });
                }
            }
        }
        Ok(found)
    }

    /// Whose grants a row holds: a kernel, or the home of the object that has them.
    ///
    /// # Errors
    /// When it is damaged.
    pub fn whose(key: &[u8], value: &[u8]) -> Result<KernelId, StoreError> {
        place(key, &txn::decode(Table::Grant, value)?).map(|(_, _, kernel)| kernel)
    }

    /// Whether it names more actions than a row may have. Looked at before anything is compared: a list of any length comes
    /// from outside.
    ///
    /// # Errors
    /// When it does.
    pub(crate) fn is_bounded(&self) -> Result<(), Refusal> {
        match &self.actions {
            Some(names) if names.len() > GRANT_ACTIONS_MAX => Err(Refusal::TooManyActions(GRANT_ACTIONS_MAX)),
            _ => Ok(()),
        }
    }

    fn parts(&self) -> Vec<GrantPart> {
        let part = |action| GrantPart { action, expires_ms: self.expires_ms, ended: false };
        match &self.actions {
            None => vec![part(None)],
            Some(names) => names.iter().cloned().map(Some).map(part).collect(),
        }
    }

    /// Adds this grant to those of its row. Nothing that was granted before ends earlier by that.
    ///
    /// # Errors
    /// When there would be too many.
    pub(crate) fn add_to(&self, before: Option<GrantRow>, now_ms: u64) -> Result<GrantRow, Refusal> {
        self.is_bounded()?;
        let parts = added(before.map_or_else(Vec::new, |row| row.parts), self.parts(), now_ms);
        if parts.len() > GRANT_ACTIONS_MAX {
            return Err(Refusal::TooManyActions(GRANT_ACTIONS_MAX));
        }
        Ok(GrantRow { parts, object: self.object, home: self.object.map(|_| self.kernel) })
    }

    /// Takes this grant away from those of its row; `None` if nothing is left.
    ///
    /// # Errors
    /// When there is nothing of it, it is one action of a grant of all, or it names too many.
    pub(crate) fn take_from(&self, before: GrantRow, now_ms: u64) -> Result<Option<GrantRow>, Failure> {
        self.is_bounded()?;
        let Some(names) = &self.actions else { return Ok(None) };
        let mut parts = before.parts;
        if parts.iter().any(|part| part.action.is_none() && part.holds(now_ms)) {
            return Err(Refusal::WholeGrant { kernel: self.kernel }.into());
        }
        let count = parts.len();
        parts.retain(|part| part.action.as_ref().is_none_or(|name| !names.contains(name)));
        if parts.len() == count {
            return Err(Refusal::NoGrant { kernel: self.kernel, right: self.right.name() }.into());
        }
        Ok((!parts.is_empty()).then_some(GrantRow { parts, ..before }))
    }
}

/// What was granted on an object adds up with what was granted to the same grantee on the copy that became it. A row that
/// cannot be read gives nothing.
pub(super) fn with_copy(there: Bytes, copy: Bytes, now_ms: u64) -> Bytes {
    let read = |value: &Bytes| txn::decode::<GrantRow>(Table::Grant, value).ok();
    match (read(&there), read(&copy)) {
        (Some(row), Some(more)) => {
            to_cbor(&GrantRow { parts: added(row.parts, more.parts, now_ms), ..row }).into()
        }
        (Some(_), None) => there,
        (None, _) => copy,
    }
}

/// Grants add up: of two of one action the later end counts.
fn added(mut parts: Vec<GrantPart>, more: Vec<GrantPart>, now_ms: u64) -> Vec<GrantPart> {
    for new in more {
        match parts.iter_mut().find(|part| part.action == new.action) {
            Some(old) if !old.holds(now_ms) => *old = new,
            Some(old) if new.holds(now_ms) => old.expires_ms = later(old.expires_ms, new.expires_ms),
            Some(_) => {}
            None => parts.push(new),
        }
    }
    // What every action may do as long needs no line of its own.
    if let Some(whole) = parts.iter().find(|part| part.action.is_none()).cloned()
        && whole.holds(now_ms)
    {
        let longer = |part: &GrantPart| later(part.expires_ms, whole.expires_ms) != whole.expires_ms;
        parts.retain(|part| part.action.is_none() || (part.holds(now_ms) && longer(part)));
    }
    parts
}

/// The later of two ends; none is the latest.
fn later(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    one.zip(other).map(|(one, other)| one.max(other))
}

/// What a row is about: on what, to do what, whose.
fn place(key: &[u8], row: &GrantRow) -> Result<(Scope, Right, KernelId), StoreError> {
    let damaged = || StoreError::damaged(Table::Grant, key, "its key is not a grant's");
    let (front, kernel) = key.split_at_checked(key.len().saturating_sub(32)).ok_or_else(damaged)?;
    let kernel = match row.object {
        None => KernelId::from_slice(kernel).ok_or_else(damaged)?,
        Some(_) => row.home.ok_or_else(damaged)?,
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
    Ok((scope, right, kernel))
}

pub(crate) fn row(scope: &[u8], right: Right, grantee: &[u8; 32]) -> Vec<u8> {
    [scope, &[right as u8], grantee].concat()
}

/// Who has a grant, in the 32 bytes that its key has for that: a kernel's id, or the hash of an object's key.
pub(crate) fn grantee(kernel: &KernelId, object: Option<&ObjectKey>) -> [u8; 32] {
    match object {
        None => *kernel.as_bytes(),
        Some(key) => grantee_object(key),
    }
}

/// An object that has one, whose home is not looked at.
pub(crate) fn grantee_object(key: &ObjectKey) -> [u8; 32] {
    *record_hash("once/2 grantee", &key.to_row()).as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use once_model::ids::{Hash, Line, Uuid};

    const NOW_MS: u64 = 1000;

    fn grant(actions: &[&str], expires_ms: Option<u64>) -> Grant {
        let actions = (!actions.is_empty()).then(|| actions.iter().map(|&name| name.into()).collect());
        let kernel = KernelId::from_bytes([7; 32]);
        Grant { scope: Scope::Kernel, right: Right::Act, kernel, object: None, expires_ms, actions }
    }

    fn add(row: Option<GrantRow>, actions: &[&str], expires_ms: Option<u64>) -> GrantRow {
        grant(actions, expires_ms).add_to(row, NOW_MS).unwrap()
    }

    fn take(row: GrantRow, actions: &[&str]) -> Result<Option<GrantRow>, Failure> {
        grant(actions, None).take_from(row, NOW_MS)
    }

    #[test]
    fn grants_survive_their_rows() {
        let key = ObjectKey { uuid: Uuid::from_u128(3), line: Line::Unclaimed(Hash::from_bytes([1; 32])) };
        for scope in [Scope::Kernel, Scope::Component("Unit".into()), Scope::Object(key)] {
            for object in [None, Some(key)] {
                let grant =
                    Grant { scope: scope.clone(), object, ..grant(&["add", "set"], Some(NOW_MS + 5)) };
                let value = to_cbor(&grant.add_to(None, NOW_MS).unwrap());
                let listed = Listed { grant: grant.clone(), ended: false };
                assert_eq!(Grant::list(&grant.to_row(), &value), Ok(vec![listed]));
                assert_eq!(Grant::whose(&grant.to_row(), &value), Ok(grant.kernel));
            }
        }
        assert!(Grant::list(&[9; 40], &to_cbor(&add(None, &[], None))).is_err());
    }

    #[test]
    fn grants_add_up_and_none_ends_earlier_for_a_second_one() {
        let row = add(Some(add(None, &["add"], None)), &["set"], Some(NOW_MS + 5));
        assert!(row.allows(Some("add"), NOW_MS + 9) && row.allows(Some("set"), NOW_MS));
        assert!(!row.allows(Some("set"), NOW_MS + 5) && !row.allows(Some("get"), NOW_MS));
        let row = add(Some(row), &["add"], Some(NOW_MS + 1));
        assert!(row.allows(Some("add"), NOW_MS + 9));
        // Every action for a while: what was granted for longer stays.
        let row = add(Some(row), &[], Some(NOW_MS + 7));
        assert!(row.allows(Some("get"), NOW_MS + 6) && !row.allows(Some("get"), NOW_MS + 7));
        assert!(row.allows(Some("add"), NOW_MS + 7) && row.parts.len() == 2);
        let many: Vec<_> = (0..=GRANT_ACTIONS_MAX).map(|n| n.to_string()).collect();
        let many = grant(&many.iter().map(String::as_str).collect::<Vec<_>>(), None);
        assert_eq!(many.add_to(None, NOW_MS), Err(Refusal::TooManyActions(GRANT_ACTIONS_MAX)));
    }

    /// A list is counted before it is looked at: what is in it does not matter.
    #[test]
    fn a_list_that_is_too_long_is_refused_whatever_it_names() {
        let many = grant(&["add"; GRANT_ACTIONS_MAX + 1], None);
        let refused = Refusal::TooManyActions(GRANT_ACTIONS_MAX);
        assert_eq!(many.add_to(None, NOW_MS), Err(refused.clone()));
        assert_eq!(many.take_from(add(None, &["add"], None), NOW_MS), Err(refused.into()));
    }

    #[test]
    fn what_was_granted_on_a_copy_adds_up_with_what_was_granted_on_its_object() {
        let value = |row: &GrantRow| Bytes::from(to_cbor(row));
        let (there, copy) = (add(None, &["add"], None), add(None, &["add", "set"], Some(NOW_MS + 5)));
        let both = with_copy(value(&there), value(&copy), NOW_MS);
        let both: GrantRow = txn::decode(Table::Grant, &both).unwrap();
        assert!(both.allows(Some("add"), NOW_MS + 9) && both.allows(Some("set"), NOW_MS));
        // What cannot be read gives nothing, and takes nothing away.
        let damaged = Bytes::from_static(b"no");
        assert_eq!(with_copy(value(&there), damaged.clone(), NOW_MS), value(&there));
        assert_eq!(with_copy(damaged, value(&there), NOW_MS), value(&there));
    }

    #[test]
    fn what_is_taken_back_leaves_the_rest() {
        let row = add(None, &["add", "set"], None);
        let left = take(row.clone(), &["set"]).unwrap().unwrap();
        assert!(left.allows(Some("add"), NOW_MS) && !left.allows(Some("set"), NOW_MS));
        assert_eq!(take(left.clone(), &["add", "get"]), Ok(None));
        assert!(matches!(take(left, &["get"]), Err(Failure::Refused(Refusal::NoGrant { .. }))));
        assert_eq!(take(row, &[]), Ok(None));
        let whole = add(None, &[], None);
        assert!(matches!(take(whole, &["set"]), Err(Failure::Refused(Refusal::WholeGrant { .. }))));
    }

    #[test]
    fn what_has_ended_stays_ended_when_the_clock_goes_back() {
        let mut row = add(Some(add(None, &["add"], Some(NOW_MS + 5))), &["set"], Some(NOW_MS + 9));
        assert_eq!(row.next_end_ms(), Some(NOW_MS + 5));
        assert!(!row.end(NOW_MS + 4) && row.end(NOW_MS + 5));
        assert!(!row.allows(Some("add"), NOW_MS) && row.allows(Some("set"), NOW_MS));
        assert_eq!(row.next_end_ms(), Some(NOW_MS + 9));
        // Granted anew, it is a new grant.
        assert!(add(Some(row), &["add"], Some(NOW_MS + 5)).allows(Some("add"), NOW_MS));
    }
}
