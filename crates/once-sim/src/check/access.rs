//! Rights and peers, as they are on the disk.

use once_core::store::Table;

use super::shadow::{grants_of, peers_of};
use super::{Checker, Group, Wrong};
use crate::disk::Commit;

impl Checker {
    /// The rights on the disk are those that commands and admissions gave.
    pub(super) fn rights(&mut self, group: &Group<'_>, commit: &Commit, wrong: &mut Wrong) {
        let Some(shadow) = self.shadows.get(&group.kernel) else { return };
        if commit.rows.iter().any(|row| row.table == Table::Grant) {
            let stored = grants_of(group.store);
            for (grant, _) in
                stored.iter().filter(|(grant, end)| shadow.rights.grants.get(grant) != Some(end))
            {
                wrong.push((7, format!("has a grant that nobody gave, or that was taken back: {grant:?}")));
            }
            for (grant, _) in shadow.rights.grants.iter().filter(|(grant, _)| !stored.contains_key(grant)) {
                wrong.push((4, format!("lost a grant: {grant:?}")));
            }
        }
        if commit.rows.iter().any(|row| row.table == Table::Peer) {
            let stored = peers_of(group.store);
            if stored != shadow.rights.peers {
                let what = format!("has the peers {stored:?} instead of {:?}", shadow.rights.peers);
                wrong.push((7, what));
            }
        }
    }
}
