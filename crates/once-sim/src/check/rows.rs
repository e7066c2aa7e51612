//! What a commit changed: bodies, heads, conflicts, debts, followers, rights, quotas.

use std::ops::ControlFlow;

use bytes::Bytes;
use once_core::archive::{self, ArchiveRow};
use once_core::object::{self, HeadRow, RevisionRow};
use once_core::peers::{self, PeerStatus};
use once_core::share::{self, UsageRow};
use once_core::store::{Read, Table, scan_prefix};
use once_core::txn;
use once_model::ids::{Hash, KernelId, ObjectKey, Uuid};

use super::follow;
use super::group::Allowed;
use super::{Checker, Group, Wrong};
use crate::coverage::Coverage;
use crate::disk::{Changed, Commit, Disk};

impl Checker {
    pub(super) fn rows(
        &mut self,
        group: &Group<'_>,
        commit: &Commit,
        allowed: &Allowed,
        cover: &mut Coverage,
    ) {
        let mut wrong = Wrong::new();
        let mut rights_changed = false;
        for changed in &commit.rows {
            match changed.table {
                Table::Head => self.head(group, allowed, changed, &mut wrong, cover),
                Table::Conflict => self.conflict(group, allowed, changed, &mut wrong, cover),
                Table::Body => self.body(group, changed, &mut wrong),
                Table::Genesis => self.genesis(group, changed),
                Table::Outbox => self.debt(group, allowed, changed, &mut wrong),
                Table::Follower => self.follower(commit, allowed, changed, &mut wrong, cover),
                Table::Usage => self.usage(group, changed, &mut wrong, cover),
                // Most writes of a peer's row are of what has nothing to do with rights.
                Table::Peer => {
                    let [before, after] =
                        [&changed.before, &changed.after].map(|row| super::shadow::peer_in(row.as_ref()?));
                    rights_changed |= before != after;
                }
                Table::Grant => rights_changed = true,
                _ => {}
            }
        }
        super::access::life_begun(group, commit, &mut wrong);
        if rights_changed {
            self.rights(group, commit, &mut wrong);
        }
        if let Some(shadow) = self.shadows.get_mut(&group.kernel) {
            follow::subscriptions(shadow, commit);
            if commit.synced {
                let pending = std::mem::take(&mut shadow.pending);
                shadow.durable.extend(pending);
            }
        }
        for (promise, what) in wrong {
            self.violation(promise, &group.kernel, group.at_ms, what);
        }
    }

    fn usage(&mut self, group: &Group<'_>, changed: &Changed, wrong: &mut Wrong, cover: &mut Coverage) {
        let read = |value: Option<&Bytes>| {
            value.and_then(|value| txn::decode::<UsageRow>(Table::Usage, value).ok()).unwrap_or_default()
        };
        let (before, after) = (read(changed.before.as_ref()), read(changed.after.as_ref()));
        let Some(peer) = KernelId::from_slice(&changed.key) else { return };
        let quota = peers::peer(group.store, &peer).ok().flatten().map_or(0, |row| row.quota_bytes);
        let shadow = self.shadows.get(&group.kernel).and_then(|shadow| shadow.rights.peers.get(&peer));
        let quota = quota.max(shadow.map_or(0, |peer| peer.quota_bytes));
        // Lanes that come along count, and no object is refused for them.
        let moved_in = group.changed().any(|row| row.table == Table::Handed);
        let grown = after.stored_bytes > before.stored_bytes && !moved_in;
        if after.stored_bytes > quota && grown && shadow.is_some() {
            wrong.push((
                9,
                format!("stores {} bytes of {peer:.10}, whose quota is {quota}", after.stored_bytes),
            ));
        }
        if after.stored_bytes > quota / 10 * 9 {
            cover.met("state quota reached");
        }
    }

    /// Recounts what a store holds: after a restart, and at the end.
    pub fn check_store(&self, kernel: &KernelId, disk: &Disk) -> Result<(), String> {
        let mut stored: std::collections::BTreeMap<KernelId, u64> = std::collections::BTreeMap::new();
        for head in all(disk, Table::Head).into_iter().chain(all(disk, Table::Conflict)) {
            if !head.header.tombstone {
                match disk.get(Table::Body, &object::body_key(&head.header)) {
                    Ok(Some(body)) if self.bodies.get(&head.header.content) == Some(&body) => {}
                    // What an action wrote in a group that failed, and that survived it.
                    Ok(Some(body)) if self.installed.may_write(&body) => {}
                    _ => {
                        return Err(format!(
                            "{} does not have the bytes that were imported",
                            head.header.key()
                        ));
                    }
                }
            }
            if let (true, Some(from)) = (head.charged, head.from) {
                *stored.entry(from).or_default() += object::cost(&head.header);
            }
        }
        // Each lane of another kernel counts, for ever.
        for origin in super::shadow::scan(disk, Table::Lane, |key, _| origin_of_lane(key)) {
            *stored.entry(origin).or_default() += object::LANE_COST_BYTES;
        }
        let given = |_: &[u8], value: &Bytes| txn::decode::<ArchiveRow>(Table::Archive, value).ok();
        for row in super::shadow::scan(disk, Table::Archive, given) {
            *stored.entry(row.from).or_default() += archive::cost(&row.kept);
        }
        self.kept_revisions(kernel, disk)?;
        for (peer, row) in once_core::peers::all(disk).map_err(|error| error.to_string())? {
            let counted = share::usage(disk, &peer).map_err(|error| error.to_string())?.stored_bytes;
            let found = stored.get(&peer).copied().unwrap_or(0);
            if row.status == PeerStatus::Active && counted != found {
                return Err(format!("{kernel:.10} counts {counted} bytes of {peer:.10} and stores {found}"));
            }
        }
        Ok(())
    }
}

impl Checker {
    /// Earlier revisions that are kept (ADR 0020): older than the head of a living object, with their bytes, and no more of each
    /// object than the kernel's setting says.
    fn kept_revisions(&self, kernel: &KernelId, disk: &Disk) -> Result<(), String> {
        let row = |_: &[u8], value: &Bytes| txn::decode::<RevisionRow>(Table::Revision, value).ok();
        let mut count: std::collections::BTreeMap<ObjectKey, usize> = std::collections::BTreeMap::new();
        for kept in super::shadow::scan(disk, Table::Revision, row) {
            let (key, number) = (kept.header.key(), kept.header.revision);
            let head = object::head(disk, &key).ok().flatten();
            if head.is_none_or(|head| head.header.tombstone || head.header.revision <= number) {
                return Err(format!(
                    "keeps revision {number} of {key}, which is not one of the past of an object here"
                ));
            }
            match disk.get(Table::Body, &object::body_key(&kept.header)) {
                Ok(Some(body)) if once_model::hash::content_hash(&body) == kept.header.content => {}
                _ => return Err(format!("keeps revision {number} of {key} without its bytes")),
            }
            *count.entry(key).or_default() += 1;
        }
        let most = self.shadows.get(kernel).map_or(usize::MAX, |shadow| shadow.limits.revisions);
        match count.into_iter().find(|(_, count)| *count > most) {
            Some((key, count)) => Err(format!("keeps {count} revisions of {key}: {most} are wanted")),
            None => Ok(()),
        }
    }
}

/// The key of a lane at its home: object, `0` or `1` and a takeover, the origin, its incarnation.
pub(crate) fn origin_of_lane(row: &[u8]) -> Option<KernelId> {
    let takeover = match row.get(ObjectKey::ROW_LEN)? {
        0 => 0,
        1 => Hash::LEN,
        _ => return None,
    };
    let begin = ObjectKey::ROW_LEN + 1 + takeover;
    (row.len() == begin + KernelId::LEN + 16)
        .then(|| KernelId::from_slice(&row[begin..begin + KernelId::LEN]))?
}

fn all(store: &Disk, table: Table) -> Vec<HeadRow> {
    super::shadow::scan(store, table, |_, value| txn::decode(table, value).ok())
}

fn with_prefix(store: &Disk, table: Table, prefix: &[u8]) -> Vec<HeadRow> {
    let mut found = Vec::new();
    let scanned = scan_prefix(store, table, prefix, &mut |_, value| {
        found.extend(txn::decode::<HeadRow>(table, &value).ok());
        ControlFlow::Continue(())
    });
    if scanned.is_err() { Vec::new() } else { found }
}

pub(super) fn heads_of(store: &Disk, uuid: &Uuid) -> Vec<HeadRow> {
    with_prefix(store, Table::Head, uuid.as_bytes())
}

pub(super) fn conflicts_of(store: &Disk, uuid: &Uuid) -> Vec<HeadRow> {
    with_prefix(store, Table::Conflict, uuid.as_bytes())
}
