//! The handshake: who is let in, by what, and what a rollback looks like (protocol 5.1).

use once_model::ids::KernelId;
use once_model::progress::Progress;
use once_model::wire::{Code, FEATURE_ACTIONS, Frame, Greeting};

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

    /// A peer has called: what it says on its new connection counts at once, and nothing on the one before. Whoever is no peer
    /// yet is one when it is told so.
    fn called(&mut self, number: u64, greeting: &Greeting) {
        let Some(conn) = self.conns.get(&number).filter(|conn| !conn.admitted) else { return };
        let peer = conn.peer;
        let is_peer = self.peers.is(&peer) && !self.peers.is_fresh(&peer);
        if !is_peer || self.quarantined || !greeting.critical.is_empty() || conn.called == Some(true) {
            return;
        }
        let prevails = self.prevails(number, conn);
        if let Some(conn) = self.conns.get_mut(&number) {
            conn.called = Some(prevails);
        }
        if prevails {
            self.is_up(number, peer);
        }
    }

    fn admitted_by(&mut self, number: u64, greeting: &Greeting) {
        let Some(conn) = self.conns.get(&number).filter(|conn| !conn.admitted) else { return };
        let peer = conn.peer;
        let known = self.peers.is(&peer) && greeting.critical.is_empty();
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
        let peer = conn.peer;
        // What comes late from an older connection says nothing of the newest one.
        let newest = self.conns.iter().rev().find(|(_, conn)| conn.peer == peer).map(|(number, _)| *number);
        if for_good && newest == Some(number) {
            self.peers.denied(&peer, self.group);
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
                if let Some(conn) = self.conns.get_mut(&conn) {
                    conn.denied = true;
                }
                self.peers.link_down(conn);
            }
            Frame::Hello(greeting) if greeting.invite.is_some() => {
                self.peers.join(peer);
            }
            _ => {}
        }
    }

    fn admits(&mut self, conn: u64, peer: KernelId, eyes: &mut Eyes<'_>) {
        eyes.exact(Check::QuarantineSilent, !self.quarantined, || "it admits in quarantine".into());
        let Some(link) = self.conns.get(&conn) else { return };
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
        let secret = link.secret;
        let opens = secret.map_or(Tri::No, |secret| self.peers.opens(&secret, &self.clock));
        // Removed in the same group: its `Denied` follows.
        let lately = self.peers.former.get(&peer).is_some_and(|group| group + 1 >= self.group);
        let is_peer = self.peers.is(&peer);
        let how = How::exact_if(opens.sure() && !lately);
        eyes.check(Check::InviteOpen, how, is_peer || opens.can() || lately, || {
            format!("{} is admitted, and is no peer and shows no open invite", peer.short())
        });
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
        let lately = early.into_iter().filter(|(group, _)| group + 1 >= self.group);
        let lately: Vec<_> = lately.filter(|(_, frame)| !matches!(frame, Frame::Request(_))).collect();
        lately.iter().for_each(|(_, frame)| self.frame_in(conn, 0, peer, frame, eyes));
    }
}
