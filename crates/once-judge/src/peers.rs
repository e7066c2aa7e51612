//! Who is a peer, and who is let in (protocol 5.1, 5.5 Rights).

use std::collections::{BTreeMap, BTreeSet};

use once_model::hash::record_hash;
use once_model::ids::{BootId, Hash, Incarnation, KernelId, Secret};
use once_model::wire::Frame;

use crate::ask::Ask;
use crate::rights::{Clock, Tri};
use crate::visits::Visits;

/// What the other side of a connection said of itself, and what became of it.
#[derive(Debug, Clone)]
pub(crate) struct Conn {
    pub(crate) peer: KernelId,
    /// This kernel has dialled it.
    pub(crate) dialled: bool,
    /// The life that it greeted with, and the start of its process.
    pub(crate) incarnation: Option<Incarnation>,
    pub(crate) boot: Option<BootId>,
    /// It knows actions.
    pub(crate) acts: bool,
    /// It knows moves.
    pub(crate) moves: bool,
    /// Most shares that it takes unanswered.
    pub(crate) window: usize,
    /// It is admitted, by whichever side.
    pub(crate) admitted: bool,
    /// The secret that it showed in its hello.
    pub(crate) secret: Option<Secret>,
    /// Whether it was the one that prevails when its hello came, and the hello counted at once.
    pub(crate) called: Option<bool>,
    /// Whether the invite that it showed was open then, and it is let in by that alone.
    pub(crate) opens: Tri,
    pub(crate) let_in: bool,
    /// Whether it has said hello.
    pub(crate) greeted: bool,
    /// It is denied: nothing more is said.
    pub(crate) denied: bool,
    /// The peer was removed since it came: what it says says nothing of what the peer is anew.
    pub(crate) bygone: bool,
    /// What came behind its hello before it was told that it is admitted, and in which group.
    pub(crate) early: Vec<(u64, Frame)>,
}

impl Conn {
    pub(crate) fn new(peer: KernelId, dialled: bool) -> Self {
        Self {
            peer,
            dialled,
            incarnation: None,
            boot: None,
            acts: false,
            moves: false,
            window: 0,
            admitted: false,
            secret: None,
            called: None,
            opens: Tri::No,
            let_in: false,
            greeted: false,
            denied: false,
            bygone: false,
            early: Vec::new(),
        }
    }
}

#[derive(Debug, Clone)]
struct Invite {
    expires: u64,
    used: bool,
    /// Who asked for it was told nothing: it may have been refused.
    unsure: bool,
}

/// Peers and invites of one kernel.
#[derive(Debug, Clone, Default)]
pub(crate) struct Peers {
    peers: BTreeSet<KernelId>,
    /// Kernels whose ticket is being used: peers already, and perhaps none there.
    pub(crate) joining: BTreeSet<KernelId>,
    /// Those of them that nobody has let in or added: they are peers no more when they deny this kernel.
    fresh: BTreeSet<KernelId>,
    invites: BTreeMap<Hash, Invite>,
    /// Peers that showed an invite all the same: whether that gives the right to share is not said.
    pub(crate) perhaps_share: BTreeSet<KernelId>,
    /// The admitted connection to each peer: the one that prevails.
    pub(crate) up: BTreeMap<KernelId, u64>,
    /// Admitted connections that another one has taken the place of, and in which group.
    pub(crate) replaced: BTreeMap<u64, u64>,
    /// Peers that may be none: nobody was told whether they were taken as peers.
    pub(crate) unsure: BTreeSet<KernelId>,
    /// Who was removed, and nobody was told yet that nothing of it is left.
    pub(crate) removing: BTreeSet<KernelId>,
    /// Who was a peer at some time, and lately: frames to it may be on their way.
    pub(crate) former: BTreeMap<KernelId, u64>,
    /// Who is let in for single objects, and where this kernel goes for one.
    pub(crate) visits: Visits,
}

/// The hash under which a kernel keeps an invite.
pub(crate) fn invite_hash(secret: &Secret) -> Hash {
    record_hash("once/2 invite", secret.as_bytes())
}

impl Peers {
    pub(crate) fn is(&self, peer: &KernelId) -> bool {
        self.peers.contains(peer)
    }

    /// What is in memory only is gone.
    pub(crate) fn forget_memory(&mut self) {
        self.up.clear();
        self.replaced.clear();
    }

    /// A connection is gone.
    pub(crate) fn link_down(&mut self, conn: u64) {
        self.up.retain(|_, up| *up != conn);
        self.replaced.remove(&conn);
    }

    /// Whether a peer's ticket is the only reason for which it is a peer.
    pub(crate) fn is_fresh(&self, peer: &KernelId) -> bool {
        self.fresh.contains(peer)
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.peers.len()
    }

    /// A ticket of a kernel is used.
    pub(crate) fn join(&mut self, peer: KernelId) {
        if !self.is(&peer) {
            // Should its ticket be worth nothing, a visitor is one as before.
            self.peers.insert(peer);
            self.former.remove(&peer);
            self.visits.is_removed_no_more(&peer);
            self.fresh.insert(peer);
        }
        self.joining.insert(peer);
    }

    /// A kernel that denies this one for good is a peer no more, if it was none but for its ticket.
    pub(crate) fn denied(&mut self, peer: &KernelId, group: u64) {
        if self.fresh.contains(peer) {
            self.remove(peer, group);
        }
        self.joining.remove(peer);
    }

    pub(crate) fn add(&mut self, peer: KernelId) {
        self.fresh.remove(&peer);
        self.unsure.remove(&peer);
        self.peers.insert(peer);
        self.former.remove(&peer);
        self.visits.is_a_peer(&peer);
    }

    pub(crate) fn remove(&mut self, peer: &KernelId, group: u64) {
        if self.peers.remove(peer) {
            self.former.insert(*peer, group);
        }
        self.joining.remove(peer);
        self.fresh.remove(peer);
        self.unsure.remove(peer);
        self.perhaps_share.remove(peer);
    }

    /// Whether this was a peer until this group, or the one before.
    pub(crate) fn was_lately(&self, peer: &KernelId, group: u64) -> bool {
        self.former.get(peer).is_some_and(|removed| removed + 1 >= group)
    }

    /// The process is gone before it said what came of a command: it may have been refused.
    pub(crate) fn doubt(&mut self, ask: &Ask) {
        match ask {
            Ask::PeerAdd(peer) | Ask::Join(peer) if self.is(peer) => drop(self.unsure.insert(*peer)),
            Ask::Invite { hash, .. } => {
                self.invites.entry(*hash).and_modify(|invite| invite.unsure = true);
            }
            _ => {}
        }
    }

    /// Nothing of it is left.
    pub(crate) fn removed(&mut self, peer: &KernelId) {
        self.removing.remove(peer);
    }

    /// How many invites there are.
    pub(crate) fn invites(&self) -> usize {
        self.invites.len()
    }

    pub(crate) fn invite(&mut self, hash: Hash, expires: u64) {
        self.invites.insert(hash, Invite { expires, used: false, unsure: false });
    }

    pub(crate) fn uninvite(&mut self, hash: &Hash) {
        self.invites.remove(hash);
    }

    pub(crate) fn no_invites(&mut self) {
        self.invites.clear();
    }

    /// Whether an invite lets its bearer in now.
    pub(crate) fn opens(&self, secret: &Secret, clock: &Clock) -> Tri {
        match self.invites.get(&invite_hash(secret)) {
            None => Tri::No,
            Some(invite) if invite.used || clock.now() > invite.expires => Tri::No,
            // What was seen to be over stays over, whatever the clock says: whether it was seen is not told.
            Some(invite) if invite.unsure || clock.latest() >= invite.expires => Tri::Open,
            Some(_) => Tri::Yes,
        }
    }

    /// Who showed it was not let in.
    pub(crate) fn not_used(&mut self, secret: &Secret) {
        if let Some(invite) = self.invites.get_mut(&invite_hash(secret)) {
            invite.used = false;
        }
    }

    pub(crate) fn use_up(&mut self, secret: &Secret) {
        if let Some(invite) = self.invites.get_mut(&invite_hash(secret)) {
            invite.used = true;
        }
    }
}
