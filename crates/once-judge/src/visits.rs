//! Kernels that are let in for single objects, and those where this one goes for one (protocol 5.6 Visitors).

use std::collections::{BTreeMap, BTreeSet};

use once_model::ids::{Hash, KernelId, ObjectKey};

use crate::eyes::Eyes;
use crate::kernel::Kernel;
use crate::rights::Tri;

/// Who visits, and who is visited.
#[derive(Debug, Clone, Default)]
pub(crate) struct Visits {
    /// Who is no peer, and is let in for objects; where there may have been no room for it, not certainly.
    visitors: BTreeMap<KernelId, Tri>,
    /// Where this kernel goes for objects that moved there.
    hosts: BTreeSet<KernelId>,
    /// Of which objects a kernel is owed the news.
    news: BTreeMap<(KernelId, ObjectKey), Tri>,
    /// The group in which a visitor was told the last of its news.
    heard: BTreeMap<KernelId, u64>,
    /// Whom people removed, and nobody has let in or added since.
    removed: BTreeSet<KernelId>,
}

impl Visits {
    /// Whether a kernel has a visitor's row, and surely; none: not even perhaps.
    pub(crate) fn row(&self, kernel: &KernelId) -> Tri {
        self.visitors.get(kernel).copied().unwrap_or(Tri::No)
    }

    /// Whether this kernel goes there.
    pub(crate) fn goes_to(&self, kernel: &KernelId) -> bool {
        self.hosts.contains(kernel)
    }

    /// Visitors and hosts.
    fn count(&self) -> usize {
        self.visitors.len() + self.hosts.len()
    }

    /// It is a peer from now on, so neither.
    pub(crate) fn is_a_peer(&mut self, kernel: &KernelId) {
        self.visitors.remove(kernel);
        self.hosts.remove(kernel);
        self.removed.remove(kernel);
    }

    /// This kernel uses its ticket.
    pub(crate) fn is_removed_no_more(&mut self, kernel: &KernelId) {
        self.removed.remove(kernel);
    }

    /// People removed it.
    pub(crate) fn remove(&mut self, kernel: &KernelId) {
        self.forget(kernel);
        self.hosts.remove(kernel);
        self.removed.insert(*kernel);
    }

    /// Whether people removed it.
    pub(crate) fn was_removed(&self, kernel: &KernelId) -> bool {
        self.removed.contains(kernel)
    }

    fn forget(&mut self, kernel: &KernelId) {
        self.visitors.remove(kernel);
        self.news.retain(|(to, _), _| to != kernel);
        self.heard.remove(kernel);
    }

    /// A kernel is owed the news of an object.
    pub(crate) fn owe(&mut self, kernel: KernelId, key: ObjectKey, owed: Tri) {
        let known = self.news.entry((kernel, key)).or_insert(owed);
        *known = known.or(owed);
    }

    fn is_owed(&self, kernel: &KernelId) -> Tri {
        let mut of = self.news.iter().filter(|((to, _), _)| to == kernel);
        of.by_ref().fold(Tri::No, |best, (_, owed)| best.or(*owed))
    }
}

impl Kernel {
    /// Whether a kernel that is no peer is let in for an object: it is a visitor, and has a reason to come.
    pub(crate) fn visit(&self, kernel: &KernelId) -> Tri {
        let visits = &self.peers.visits;
        let row = visits.row(kernel);
        if !row.can() || self.peers.is(kernel) {
            return Tri::No;
        }
        let lately = visits.heard.get(kernel).is_some_and(|group| group + 1 >= self.group)
            || self.rights_changed + 1 >= self.group;
        let may = self.rights.on_objects(*kernel, &self.clock).or(visits.is_owed(kernel));
        let may = if lately && may == Tri::No { Tri::Open } else { may };
        may.and(row)
    }

    /// Whether a kernel is a peer, a visitor that has a reason to come, or one that this kernel visits.
    pub(crate) fn knows(&self, kernel: &KernelId) -> bool {
        self.peers.is(kernel) || self.peers.visits.goes_to(kernel) || self.visit(kernel).can()
    }

    /// An object has come with a right of a kernel, its own or of an object of it: it is let in, or its right goes. Whether the
    /// right stays.
    pub(crate) fn lets_visit(&mut self, kernel: KernelId, most: usize) -> bool {
        if kernel == self.me || self.peers.is(&kernel) {
            return true;
        }
        if self.peers.visits.was_removed(&kernel) || self.peers.removing.contains(&kernel) {
            return false;
        }
        // Whether visitors take room of peers is not said; 256 of an object are not counted here.
        let taken = self.peers.count() + self.peers.visits.count();
        let sure = if (taken + 1) * 2 < most { Tri::Yes } else { Tri::Open };
        let visitors = &mut self.peers.visits.visitors;
        let known = visitors.entry(kernel).or_insert(sure);
        *known = known.or(sure);
        true
    }

    /// An object has moved to a kernel that is no peer: this one goes there.
    pub(crate) fn goes_there(&mut self, home: KernelId) {
        let known = home == self.me || self.peers.is(&home);
        if !known && !self.peers.visits.was_removed(&home) && !self.peers.removing.contains(&home) {
            self.peers.visits.hosts.insert(home);
        }
    }

    /// A kernel has heard where an object is.
    pub(crate) fn heard_came(&mut self, peer: KernelId, key: &ObjectKey, certificate: &Hash) {
        let newest = self.chain_of(key).map(once_model::certificate::Chain::certificate);
        if newest == Some(*certificate) && self.peers.visits.news.remove(&(peer, *key)).is_some() {
            self.peers.visits.heard.insert(peer, self.group);
        }
    }

    /// Visits are over when nothing is left that they are for: then nothing is left of the visitor.
    pub(crate) fn visits_end(&mut self, _eyes: &Eyes<'_>) {
        let over = self.peers.visits.visitors.keys().filter(|kernel| self.visit(kernel) == Tri::No);
        for kernel in over.copied().collect::<Vec<_>>() {
            self.visit_over(&kernel);
        }
    }

    /// A visit is over. Who has a right and was perhaps never let in, for want of room, keeps it.
    pub(crate) fn visit_over(&mut self, kernel: &KernelId) {
        let never_in = self.peers.visits.row(kernel) == Tri::Open;
        if never_in && self.rights.on_objects(*kernel, &self.clock) == Tri::Yes {
            self.peers.visits.visitors.remove(kernel);
            return;
        }
        self.peers.visits.forget(kernel);
        if self.knows(kernel) {
            return;
        }
        self.peers.former.insert(*kernel, self.group);
        self.peers.up.remove(kernel);
        self.rights.forget(kernel);
        self.shares.forget_peer(kernel);
        self.follows.forget_peer(kernel);
    }
}
