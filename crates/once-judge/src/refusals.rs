//! With which code a command is refused (local-api Errors).

use once_model::ids::{Hash, KernelId, ObjectKey, Uuid};

use crate::ask::{Ask, AskAct, Grant, Grantee, Refusal};
use crate::clients::asked_action;
use crate::kernel::Kernel;
use crate::limits::Limits;
use crate::objects::Head;
use crate::peers::Conn;
use crate::rights::Tri;

/// What a command may be refused with.
#[derive(Debug, Clone, Default)]
pub(crate) struct Expect {
    pub(crate) may: Vec<Refusal>,
    must: bool,
}

impl Expect {
    /// It is done.
    fn done() -> Self {
        Self::default()
    }

    /// It is refused with one of these.
    fn refused(codes: &[Refusal]) -> Self {
        Self { may: codes.to_vec(), must: true }
    }

    /// It is done, or refused with one of these: the page, or what is seen, leaves it open.
    fn open(codes: &[Refusal]) -> Self {
        Self { may: codes.to_vec(), must: false }
    }

    /// Whether it must fail.
    pub(crate) fn fails(&self) -> bool {
        self.must
    }
}

use Refusal as R;

impl Kernel {
    /// With what a command may be refused as things stand.
    pub(crate) fn expect(&self, ask: &Ask, limits: &Limits) -> Expect {
        if let Ask::Outcome(id) = ask {
            return self.known_action(id);
        }
        if self.quarantined && !matches!(ask, Ask::QuarantineEnd { .. } | Ask::ClockAccept | Ask::Receipt(_))
        {
            return Expect::refused(&[R::Quarantined]);
        }
        if self.short {
            // Whether what only takes something back goes on with a short disk is not said.
            let takes_back = matches!(
                ask,
                Ask::Revoke(_)
                    | Ask::Remove(_)
                    | Ask::Cancel(_)
                    | Ask::Unfollow { .. }
                    | Ask::PeerRemove(_)
                    | Ask::Drop { .. }
                    | Ask::Receipt(_)
                    | Ask::OutboxDrop(_)
                    | Ask::InviteRevoke(_)
                    | Ask::GiveUp { .. }
                    | Ask::ClockAccept
                    | Ask::QuarantineEnd { .. }
                    | Ask::Worked { .. }
            );
            if !takes_back {
                return self.with_short_disk(ask);
            }
        }
        match ask {
            Ask::Act(act) => self.expect_act(act, limits),
            Ask::Put { key, state, base } => self.expect_put(key, state.uuid, state.derived, base.as_ref()),
            Ask::Grant(grant) => self.expect_grant(grant, limits),
            Ask::Revoke(grant) => self.expect_revoke(grant),
            Ask::Cancel(id) => self.known_action(id),
            Ask::Receipt(id) if !self.origin.items.contains_key(id) => Expect::open(&[R::NotFound]),
            Ask::Receipt(_) => Expect::open(&[R::NotFound, R::Unproven, R::Unreachable, R::Denied]),
            Ask::Share { key, to } => {
                self.with_peer(to, self.with_object(key, &[R::NotHome, R::Denied, R::Quota]))
            }
            Ask::GiveUp { key, to } => {
                let debt = self.shares.debts.get(&(*to, self.objects.name(key)));
                // What allows nothing any more is dropped without a word.
                if debt.is_some() { Expect::open(&[R::NotFound]) } else { Expect::refused(&[R::NotFound]) }
            }
            Ask::Follow { from, .. } => self.with_peer(from, Expect::open(&[R::NotFound, R::Denied])),
            Ask::Unfollow { from, .. } => self.with_peer(from, Expect::open(&[R::NotFound])),
            Ask::PeerRemove(peer) => self.with_peer(peer, Expect::done()),
            Ask::Claim(key) => self.with_object(key, &[R::Removed, R::NotHome, R::Invalid]),
            Ask::Remove(key) => self.with_object(key, &[R::Removed, R::NotHome]),
            Ask::Keep { key, .. } => {
                self.with_object(key, &[R::NotFound, R::NotHome, R::Removed, R::Invalid])
            }
            Ask::Drop { key, .. } => self.with_object(key, &[R::NotFound]),
            Ask::Worked { id, .. } => self.expect_worked(id),
            Ask::Create(_) | Ask::Import(_) => Expect::open(&[R::Invalid, R::Removed, R::Usage, R::Stale]),
            Ask::PeerAdd(_) | Ask::Join(_) => {
                Expect::open(&[R::Usage, R::Invalid, R::Quota, R::Unreachable, R::Denied, R::Busy])
            }
            Ask::Invite { .. } => Expect::open(&[R::Usage, R::Quota, R::Invalid]),
            Ask::InviteRevoke(_) | Ask::OutboxDrop(_) => {
                Expect::open(&[R::NotFound, R::Denied, R::Usage, R::Invalid])
            }
            Ask::ClockAccept => Expect::open(&[R::Usage]),
            Ask::QuarantineEnd { .. } => {
                Expect::open(&[R::Usage, R::NotFound, R::Denied, R::Quarantined, R::Invalid])
            }
            Ask::Outcome(id) => self.known_action(id),
        }
    }

    /// What is known already is told all the same (local-api act, outcome).
    fn with_short_disk(&self, ask: &Ask) -> Expect {
        match ask {
            Ask::Act(act) if self.origin.items.contains_key(&act.id) => {
                Expect::open(&[R::DiskFull, R::IdReused])
            }
            _ => Expect { may: vec![R::DiskFull, R::NotFound, R::Invalid, R::Usage], must: true },
        }
    }

    fn known_action(&self, id: &Uuid) -> Expect {
        if self.origin.items.contains_key(id) {
            return Expect::done();
        }
        // An id that a client's built-in action has is not told by the command.
        let built_in = self.objects.entries.values().any(|(entry, _)| entry.id == *id);
        if built_in { Expect::open(&[R::NotFound]) } else { Expect::refused(&[R::NotFound]) }
    }

    fn with_peer(&self, peer: &KernelId, then: Expect) -> Expect {
        match self.is_peer(peer) {
            Tri::Yes => then,
            Tri::Open => Expect::open(&[&then.may[..], &[R::NotFound]].concat()),
            Tri::No => Expect::refused(&[R::NotFound]),
        }
    }

    /// Whether a kernel is a peer: one that has shown an invite is one before `Admitted` has left.
    fn is_peer(&self, peer: &KernelId) -> Tri {
        let shows = |conn: &Conn| {
            let opens = conn.secret.map_or(Tri::No, |secret| self.peers.opens(&secret, &self.clock));
            conn.peer == *peer && !conn.admitted && opens.can()
        };
        if self.peers.is(peer) {
            Tri::Yes
        } else if self.conns.values().any(shows) {
            Tri::Open
        } else {
            Tri::No
        }
    }

    fn with_object(&self, key: &ObjectKey, may: &[Refusal]) -> Expect {
        match self.objects.find(key) {
            None => Expect::refused(&[R::NotFound]),
            Some(_) => Expect::open(may),
        }
    }

    fn expect_worked(&self, id: &Uuid) -> Expect {
        let wanted = self.effects.owed.get(id).is_some_and(|owed| owed.told().is_none());
        if wanted { Expect::done() } else { Expect::refused(&[R::NotFound]) }
    }

    fn expect_grant(&self, grant: &Grant, limits: &Limits) -> Expect {
        if grant.actions.as_ref().is_some_and(|names| names.len() > limits.grant_actions || names.is_empty())
        {
            return Expect::open(&[R::Usage, R::Invalid, R::Quota]);
        }
        match grant.to {
            Grantee::Kernel(peer) => self.with_peer(&peer, Expect::done()),
            // That the home of an object must be a peer is not said.
            Grantee::Object(_) => Expect::open(&[R::NotFound, R::Usage, R::Invalid]),
        }
    }

    fn expect_revoke(&self, grant: &Grant) -> Expect {
        if self.rights.can_revoke(grant) && grant.actions.is_some() {
            return Expect::done();
        }
        match grant.actions {
            // Single actions of a grant of every action, or that are not granted: refused, with a code that is not said.
            Some(_) => Expect::open(&[R::Usage, R::Invalid, R::NotFound]),
            None => Expect::open(&[R::NotFound]),
        }
    }

    fn expect_put(&self, key: &ObjectKey, uuid: Uuid, derived: bool, base: Option<&Hash>) -> Expect {
        let Some(head) = self.objects.find(key) else { return Expect::refused(&[R::NotFound]) };
        if let Some(refused) = self.not_changed_here(head) {
            return refused;
        }
        let stale = base.is_some_and(|base| *base != head.id);
        match (stale, uuid != key.uuid && !derived) {
            (true, true) => Expect::refused(&[R::Stale, R::Invalid]),
            (true, false) => Expect::refused(&[R::Stale]),
            (false, true) => Expect::refused(&[R::Invalid]),
            (false, false) => Expect::open(&[R::Invalid]),
        }
    }

    /// Why an object cannot be changed here.
    fn not_changed_here(&self, head: &Head) -> Option<Expect> {
        let code = match (&head.chain, head.home()) {
            (None, _) if head.from.is_some() => R::Unclaimed,
            (None, _) => return None,
            (Some(_), Some(home)) if home != self.me && !head.header.tombstone => R::NotHome,
            (Some(_), Some(home)) if home != self.me => {
                return Some(Expect::refused(&[R::NotHome, R::Removed]));
            }
            _ if head.header.tombstone => R::Removed,
            (Some(chain), _) if chain.incarnation() != self.incarnation => {
                return Some(Expect::refused(&[R::NotHome, R::Quarantined, R::Denied]));
            }
            _ => return None,
        };
        Some(Expect::refused(&[code]))
    }

    fn expect_act(&self, act: &AskAct, limits: &Limits) -> Expect {
        let action = asked_action(act);
        if let Some(item) = self.origin.items.get(&act.id) {
            let same = item.hash == action.hash(&act.object.uuid);
            return if same { Expect::done() } else { Expect::refused(&[R::IdReused]) };
        }
        let ahead = self.clock.now().saturating_add(limits.id_ahead_ms);
        if act.id.get_version_num() != 7 || id_time(&act.id) > ahead {
            // Which of the two it is the page does not say.
            return Expect::refused(&[R::Usage, R::Invalid]);
        }
        if action.check().is_err() {
            return Expect::refused(&[R::Usage, R::Invalid, R::Quota]);
        }
        let mut may = Vec::new();
        if self.origin.items.len() >= limits.requests {
            may.push(R::IdTooOld);
        }
        if !act.given.is_empty() {
            may.extend([R::NotFound, R::Invalid, R::Quota]);
        }
        let head = self.objects.find(&act.object);
        if act.home != self.me {
            if !self.peers.is(&act.home) {
                // Whether such an action waits until that kernel is a peer is not said.
                return Expect::open(&[R::NotFound, R::Denied, R::Unreachable, R::NotHome, R::Unclaimed]);
            }
            // The home that is known here is another one: whether the command says so, or the other kernel, is open.
            if head.is_some_and(|head| head.home().is_some_and(|home| home != act.home)) {
                may.push(R::NotHome);
            }
            return Expect::open(&may);
        }
        match head {
            None => Expect::refused(&[R::NotFound]),
            Some(head) => match self.not_changed_here(head) {
                Some(refused) if head.header.tombstone => Expect::open(&[&refused.may[..], &may].concat()),
                Some(refused) => refused,
                None => Expect::open(&may),
            },
        }
    }
}

/// The time in a UUID of version 7, in milliseconds since 1970.
pub(crate) fn id_time(id: &Uuid) -> u64 {
    let bytes = id.as_bytes();
    bytes.iter().take(6).fold(0, |time, byte| time << 8 | u64::from(*byte))
}
