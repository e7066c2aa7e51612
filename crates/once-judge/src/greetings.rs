//! The handshake: who is let in, by what, and what a rollback looks like (protocol 5.1).

use once_model::ids::{KernelId, Secret};
use once_model::progress::Progress;
use once_model::wire::{Code, FEATURE_ACTIONS, FEATURE_MOVES, Frame, Greeting};

use crate::ask::{Grant, Grantee, Right, Scope};
use crate::check::{Check, How};
use crate::eyes::Eyes;
use crate::kernel::Kernel;
use crate::peers::Conn;
use crate::rights::Tri;

impl Kernel {
    /// A greeting came.
    pub(crate) fn greeted(&mut self, conn: u64, frame: &Frame) {
        // Who was dialled does not greet, and who has dialled does not admit.
        let dialled = self.conns.get(&conn).is_some_and(|conn| conn.dialled);
        match frame {
            Frame::Hello(greeting) if !dialled => {
                self.hears(conn, greeting);
                self.called(conn, greeting);
            }
            Frame::Admitted(greeting) if dialled => {
                self.hears(conn, greeting);
                self.admitted_by(conn, greeting);
            }
            Frame::Denied(code) => self.denied_by(conn, *code),
            _ => {}
        }
        self.look_again();
    }

    fn hears(&mut self, conn: u64, greeting: &Greeting) {
        let put_back = greeting.seen.iter().any(|progress| self.is_put_back(progress));
        self.quarantined |= put_back;
        let Some(conn) = self.conns.get_mut(&conn) else { return };
        // Said again before it is admitted, the last word counts; after that none does.
        if conn.admitted || conn.called == Some(true) {
            return;
        }
        conn.greeted = true;
        conn.incarnation = Some(greeting.progress.incarnation);
        conn.boot = Some(greeting.progress.id);
        conn.acts = greeting.features.contains(&FEATURE_ACTIONS);
        conn.moves = greeting.features.contains(&FEATURE_MOVES);
        conn.window = usize::try_from(greeting.window_shares).unwrap_or(usize::MAX);
        conn.secret = greeting.invite;
    }

    /// A peer shows, under this kernel's own signature, a life or a start that this one has not begun (295-298). That a commit is
    /// missing cannot be told from what is seen: then the kernel says itself that it is in quarantine.
    fn is_put_back(&self, progress: &Progress) -> bool {
        let (boot, id) = self.boot;
        let shows = if progress.incarnation == self.incarnation {
            progress.boot > boot || progress.boot == boot && progress.id != id
        } else {
            !self.ended.contains(&progress.incarnation)
        };
        shows && progress.signed_by(&self.me)
    }

    /// Whether a connection takes the place of the one that is there (5.1).
    fn prevails(&self, number: u64, conn: &Conn) -> bool {
        let up = self.peers.up.get(&conn.peer).copied().filter(|up| *up != number);
        let Some(current) = up.and_then(|up| self.conns.get(&up)) else { return true };
        let by_lower = conn.dialled == (self.me < conn.peer);
        current.boot != conn.boot || current.dialled == conn.dialled || by_lower
    }

    /// A connection is the one to a peer from now on. What was under way on the one before is sent again.
    fn is_up(&mut self, number: u64, peer: KernelId) {
        if let Some(before) = self.peers.up.insert(peer, number).filter(|before| *before != number) {
            self.peers.replaced.insert(before, self.group);
            self.origin.link_down(before, Some(peer));
        }
    }

    /// A kernel has called. What it says on its new connection counts at once, and nothing on the one before; an invite that it
    /// shows is used in the same transaction. Where it is not certain that it is let in, it is when it is told so.
    fn called(&mut self, number: u64, greeting: &Greeting) {
        let Some(conn) = self.conns.get(&number).filter(|conn| !conn.admitted) else { return };
        if self.quarantined || !greeting.critical.is_empty() || conn.called == Some(true) {
            return;
        }
        let peer = conn.peer;
        let opens = greeting.invite.map_or(Tri::No, |secret| self.peers.opens(&secret, &self.clock));
        let by_name = self.peers.is(&peer) && !self.peers.is_fresh(&peer)
            || self.peers.visits.goes_to(&peer)
            || self.visit(&peer) == Tri::Yes;
        let let_in = !by_name && opens == Tri::Yes && !self.peers.removing.contains(&peer);
        let prevails = self.prevails(number, conn);
        if let Some(conn) = self.conns.get_mut(&number) {
            conn.opens = opens;
            conn.let_in |= let_in;
            if by_name || let_in {
                conn.called = Some(prevails);
            }
        }
        if by_name || let_in {
            self.lets_in(peer, greeting.invite, opens);
            if prevails {
                self.is_up(number, peer);
            }
        }
    }

    /// A kernel is let in, as a peer or by an invite.
    fn lets_in(&mut self, peer: KernelId, secret: Option<Secret>, opens: Tri) {
        let is_peer = self.peers.is(&peer);
        if let Some(secret) = &secret {
            self.peers.use_up(secret);
        }
        if self.peers.joining.remove(&peer) || !is_peer && opens.can() {
            // Who calls while its own invite is used here is what it would be if it were called (5.1).
            self.is_a_peer(peer);
            self.give_share(peer);
        } else if opens.can() {
            self.peers.perhaps_share.insert(peer);
            self.is_a_peer(peer);
        }
    }

    fn admitted_by(&mut self, number: u64, greeting: &Greeting) {
        let Some(conn) = self.conns.get(&number).filter(|conn| !conn.admitted) else { return };
        let peer = conn.peer;
        let known = self.knows(&peer) && greeting.critical.is_empty();
        if self.quarantined || !known || !self.prevails(number, conn) {
            return;
        }
        self.is_up(number, peer);
        if let Some(conn) = self.conns.get_mut(&number) {
            conn.admitted = true;
        }
        if let Some(secret) = &greeting.invite {
            self.peers.use_up(secret);
        }
        if self.peers.joining.remove(&peer) {
            self.is_a_peer(peer);
            self.give_share(peer);
        }
    }

    fn denied_by(&mut self, number: u64, code: Code) {
        let Some(conn) = self.conns.get_mut(&number) else { return };
        conn.denied = true;
        let for_good = matches!(code, Code::Denied | Code::Unsupported | Code::Invalid);
        let (peer, bygone, dialled) = (conn.peer, conn.bygone, conn.dialled);
        // What comes late from an older connection says nothing of the newest one.
        let newest = self.conns.iter().rev().find(|(_, conn)| conn.peer == peer).map(|(number, _)| *number);
        if for_good && newest == Some(number) && !bygone {
            // Who has dialled and then denies: whether it has heard of the ticket by then nobody sees.
            match !dialled && self.peers.is_fresh(&peer) {
                true => drop(self.peers.unsure.insert(peer)),
                false => self.peers.denied(&peer, self.group),
            }
        }
    }

    fn give_share(&mut self, peer: KernelId) {
        let grant = Grant {
            to: Grantee::Kernel(peer),
            home: None,
            right: Right::Share,
            scope: Scope::All,
            expires_ms: None,
            actions: None,
        };
        self.rights.grant(&grant, &self.clock);
    }

    /// A greeting leaves.
    pub(crate) fn greets(&mut self, conn: u64, peer: KernelId, frame: &Frame, eyes: &mut Eyes<'_>) {
        match frame {
            Frame::Admitted(_) => self.admits(conn, peer, eyes),
            Frame::Denied(code) => {
                self.quarantined |= *code == Code::Quarantined;
                self.peers.link_down(conn);
                if *code == Code::Denied {
                    self.visit_denied(conn, peer, eyes);
                }
                let Some(link) = self.conns.get_mut(&conn) else { return };
                link.denied = true;
                // For a reason that is not seen: there is no room for it, perhaps.
                if std::mem::take(&mut link.let_in) && !link.admitted {
                    let secret = link.secret;
                    secret.iter().for_each(|secret| self.peers.not_used(secret));
                    self.peers.remove(&peer, self.group);
                    self.rights.forget(&peer);
                }
            }
            Frame::Hello(greeting) if greeting.invite.is_some() => {
                self.peers.join(peer);
            }
            _ => {}
        }
    }

    /// A visitor is denied: nothing is left for which it came.
    fn visit_denied(&mut self, conn: u64, peer: KernelId, eyes: &mut Eyes<'_>) {
        if !self.peers.visits.row(&peer).can() {
            return;
        }
        let visit = self.visit(&peer);
        // A connection of before it was let in says nothing of that.
        let bygone = self.conns.get(&conn).is_none_or(|link| link.bygone);
        let how = How::exact_if(visit.sure());
        eyes.check(Check::VisitTrue, how, visit.can_not() || bygone, || {
            format!("{} is denied, and has a reason to come", peer.short())
        });
        self.visit_over(&peer);
    }

    fn admits(&mut self, conn: u64, peer: KernelId, eyes: &mut Eyes<'_>) {
        eyes.exact(Check::QuarantineSilent, !self.quarantined, || "it admits in quarantine".into());
        let Some(link) = self.conns.get(&conn) else {
            // It ended in the group in which it was called: what became of the kernel is so all the same.
            self.lets_in(peer, None, Tri::Open);
            return eyes.not_made(Check::InviteOpen);
        };
        let called = link.called;
        let prevails = called.unwrap_or_else(|| self.prevails(conn, link));
        eyes.exact(Check::Prevails, prevails, || format!("{} is admitted twice over", peer.short()));
        // Another one may have taken its place since it called.
        if called.is_none() {
            self.is_up(conn, peer);
        }
        let Some(link) = self.conns.get_mut(&conn) else { return };
        link.admitted = true;
        let early = std::mem::take(&mut link.early);
        let (secret, opens) = (link.secret, link.opens);
        // Removed in the same group: its `Denied` follows.
        let lately = self.peers.was_lately(&peer, self.group);
        let how = How::exact_if(opens.sure() && !lately);
        let visit = self.visit(&peer);
        let comes = self.peers.visits.row(&peer).can() && !opens.can();
        let right = self.peers.is(&peer) || opens.can() || lately;
        let right = right || visit.can() || self.peers.visits.goes_to(&peer);
        let check = if comes { Check::VisitTrue } else { Check::InviteOpen };
        eyes.check(check, how, right, || {
            format!("{} is admitted, and is no peer and shows no open invite", peer.short())
        });
        if called.is_none() {
            self.lets_in(peer, secret, opens);
        }
        let lately = early.into_iter().filter(|(group, _)| group + 1 >= self.group);
        let lately: Vec<_> = lately.filter(|(_, frame)| !matches!(frame, Frame::Request(_))).collect();
        lately.iter().for_each(|(_, frame)| self.frame_in(conn, 0, peer, frame, eyes));
    }
}
