//! What one kernel must know, from what was seen there. It is made of events alone: gone through again, it is the same.

use std::collections::BTreeMap;

use once_model::ids::{BootId, Incarnation, KernelId, ObjectKey};
use once_model::wire::{Code, Frame, Parcel, ShareAnswer};

use crate::check::{Check, How};
use crate::clients::Clients;
use crate::effects::Effects;
use crate::eyes::Eyes;
use crate::follows::Follows;
use crate::home::Home;
use crate::moves::Moves;
use crate::objects::Objects;
use crate::origin::Origin;
use crate::peers::{Conn, Peers};
use crate::rights::{Clock, Rights};
use crate::seen::{Direction, Seen};
use crate::shares::Shares;

/// The model of one kernel.
#[derive(Debug, Clone)]
pub(crate) struct Kernel {
    pub(crate) me: KernelId,
    pub(crate) incarnation: Incarnation,
    /// Lives that it has ended itself.
    pub(crate) ended: Vec<Incarnation>,
    pub(crate) boot: (u64, BootId),
    pub(crate) running: bool,
    pub(crate) quarantined: bool,
    pub(crate) short: bool,
    /// The group in which the disk was short last.
    short_in: u64,
    pub(crate) clock: Clock,
    /// The group in which a right was another one last.
    pub(crate) rights_changed: u64,
    /// Counts commits: what is of the same group may cross on its way out.
    pub(crate) group: u64,
    pub(crate) conns: BTreeMap<u64, Conn>,
    pub(crate) peers: Peers,
    pub(crate) rights: Rights,
    pub(crate) objects: Objects,
    pub(crate) home: Home,
    pub(crate) moves: Moves,
    pub(crate) origin: Origin,
    pub(crate) effects: Effects,
    pub(crate) shares: Shares,
    pub(crate) follows: Follows,
    pub(crate) clients: Clients,
    /// Guests of others, and whose chains were shown to end where.
    pub(crate) guests: BTreeMap<ObjectKey, KernelId>,
}

impl Kernel {
    pub(crate) fn new(me: KernelId) -> Self {
        Self {
            me,
            incarnation: Incarnation::from_bytes([0; 16]),
            ended: Vec::new(),
            boot: (0, BootId::from_bytes([0; 16])),
            running: false,
            quarantined: false,
            short: false,
            short_in: 0,
            clock: Clock::default(),
            rights_changed: 0,
            group: 2,
            conns: BTreeMap::new(),
            peers: Peers::default(),
            rights: Rights::default(),
            objects: Objects::default(),
            home: Home::default(),
            moves: Moves::default(),
            origin: Origin::default(),
            effects: Effects::default(),
            shares: Shares::default(),
            follows: Follows::default(),
            clients: Clients::default(),
            guests: BTreeMap::new(),
        }
    }

    /// Takes one event.
    pub(crate) fn apply(&mut self, seen: &Seen, eyes: &mut Eyes<'_>) {
        self.clock.go(eyes.at);
        self.effects.tick(self.clock.now());
        if self.rights.tick(&self.clock, eyes.limits.notice_ms, false) {
            self.look_again();
        }
        match seen {
            Seen::Started { incarnation, boot, boot_id, now_ms } => {
                self.boot = (*boot, *boot_id);
                self.started(*incarnation, *now_ms, eyes);
            }
            Seen::Clock { now_ms } => {
                self.look_again();
                self.note_over();
                self.clock.set(*now_ms);
                self.rights.clock_jumped();
                self.rights.tick(&self.clock, eyes.limits.notice_ms, false);
            }
            Seen::Room { short } => {
                if self.short || *short {
                    self.short_in = self.group;
                }
                self.short = *short;
            }
            Seen::LinkUp { conn, peer, dialled } => {
                self.conns.insert(*conn, Conn::new(*peer, *dialled));
            }
            Seen::LinkDown { conn, .. } => self.link_down(*conn),
            Seen::Frame { direction, conn, stream, peer, frame } => {
                self.frame(*direction, *conn, *stream, *peer, frame, eyes);
            }
            Seen::Client { token, ask } => self.asked_by_client(*token, ask, eyes),
            Seen::Answered { token, answer } => self.answered(*token, answer, eyes),
            Seen::Asked(asked) => self.run_asked(asked, eyes),
            Seen::Ran { run, said } => self.ran(*run, said),
            Seen::Work { id, object, name, arguments } => self.work(*id, object, name, arguments, eyes),
            Seen::Published { object, name, data } => self.published(object, name, data, eyes),
            Seen::Recorded(recorded) => self.recorded(recorded, eyes),
            Seen::Kept(kept) => self.kept(kept, eyes),
            Seen::Sealed(handoff) => self.sealed(handoff, eyes),
            Seen::Luggage { certificate, bytes } => self.luggage_came(certificate, bytes),
            Seen::Dropped { key } => self.dropped(key),
            Seen::Committed | Seen::Durable => self.committed(eyes),
            // What becomes of the disk is the matter of `life.rs`.
            Seen::Crashed { .. } => self.crashed(),
            Seen::BackedUp { .. } | Seen::RolledBack { .. } => {}
        }
        self.effects.tick(self.clock.now());
        if changes_rights(seen) {
            self.rights_changed = self.group;
        }
        match seen {
            Seen::Recorded(recorded) => self.look_again_at(Some(&recorded.entry.object)),
            seen if changes_objects(seen) || changes_rights(seen) => self.look_again(),
            _ => {}
        }
    }

    fn started(&mut self, incarnation: Incarnation, now_ms: u64, eyes: &mut Eyes<'_>) {
        self.crashed();
        self.running = true;
        self.incarnation = incarnation;
        self.note_over();
        self.clock.set(now_ms);
        self.rights.clock_jumped();
        // More rows than a step looks at are looked at in several, which a crash may cut off (store.md, In slices).
        let at_once = self.rights.rows() + self.peers.invites() <= eyes.limits.slice_rows;
        self.rights.tick(&self.clock, eyes.limits.notice_ms, at_once);
        self.effects.started();
    }

    /// What is in memory only is gone.
    pub(crate) fn crashed(&mut self) {
        self.running = false;
        for ask in self.clients.in_doubt() {
            self.peers.doubt(ask);
        }
        self.conns.clear();
        self.peers.forget_memory();
        self.home.forget_memory();
        self.moves.forget_memory();
        self.clients.forget_memory();
        self.shares.forget_memory();
        self.follows.forget_memory();
        self.origin.forget_memory();
    }

    fn link_down(&mut self, conn: u64) {
        let peer = self.conns.remove(&conn).map(|conn| conn.peer);
        self.peers.link_down(conn);
        self.home.link_down(conn, &self.conns, &self.clock);
        self.moves.link_down(conn);
        self.origin.link_down(conn, peer);
        self.shares.link_down(conn);
        self.follows.link_down(conn);
    }

    /// Whether the disk was short at some time in this group or the one before: what is said of that leaves after its commit.
    pub(crate) fn was_short(&self) -> bool {
        self.short || self.short_in + 1 >= self.group
    }

    fn committed(&mut self, eyes: &mut Eyes<'_>) {
        self.effects_in_commit(eyes);
        self.visits_end(eyes);
        self.group += 1;
        if self.short {
            self.short_in = self.group;
        }
    }

    fn frame(
        &mut self,
        direction: Direction,
        conn: u64,
        stream: u64,
        peer: KernelId,
        frame: &Frame,
        eyes: &mut Eyes<'_>,
    ) {
        match direction {
            Direction::In => self.frame_in(conn, stream, peer, frame, eyes),
            Direction::Out => self.frame_out(conn, stream, peer, frame, eyes),
        }
    }

    pub(crate) fn frame_in(
        &mut self,
        conn: u64,
        stream: u64,
        peer: KernelId,
        frame: &Frame,
        eyes: &mut Eyes<'_>,
    ) {
        if let Frame::Hello(_) | Frame::Admitted(_) | Frame::Denied(_) = frame {
            return self.greeted(conn, frame);
        }
        // Before it is admitted nothing else has an effect, but a request waits (5.1); nor in quarantine.
        // Who certainly prevails is admitted with its hello, and told so at the end of the group.
        let admitted = self.conns.get(&conn).is_some_and(|conn| conn.admitted || conn.called == Some(true));
        let group = self.group;
        if let Some(link) = self.conns.get_mut(&conn).filter(|link| link.greeted && !admitted) {
            link.early.push((group, frame.clone()));
        }
        // What comes on a connection that another one has taken the place of is dropped; what the store alone answers may be
        // answered still.
        let counts = self.peers.up.get(&peer) == Some(&conn) || is_a_question(frame);
        if self.quarantined || !counts || !admitted && !matches!(frame, Frame::Request(_)) {
            return;
        }
        match frame {
            Frame::Act(act) => self.act_came(conn, peer, act, eyes),
            Frame::Outcome(outcome) => self.outcome_came(conn, peer, outcome, eyes),
            Frame::Need(need) => self.need_came(peer, need),
            Frame::Missing(missing) => {
                let times = (self.clock.now(), eyes.limits.resend_ms);
                self.origin.missing_came((conn, peer), missing, self.group, times);
            }
            Frame::Guest(said) => self.guest_came(peer, said),
            Frame::Share(parcel) => {
                self.share_came(conn, peer, parcel, eyes);
                self.parcel_came(peer, parcel, eyes);
            }
            Frame::Shared(shared) => self.shared_came(conn, peer, shared),
            Frame::Follow(follow) => self.follow_came(conn, peer, follow),
            Frame::Unfollow(key) => self.unfollow_came(conn, peer, key),
            Frame::Following(following) => self.following_came(peer, following),
            Frame::Request(request) => self.request_came(conn, peer, request),
            Frame::Pull(pull) => self.pull_came(conn, stream, peer, pull),
            Frame::ReceiptOf(of) => self.clients.receipts.insert((conn, stream), *of).map_or((), drop),
            Frame::EntriesOf(of) => self.clients.entries.push((conn, *of)),
            Frame::Found(found) => self.parcel_came(peer, &found.parcel, eyes),
            Frame::Give(parcel) => self.parcel_came(peer, parcel, eyes),
            _ => self.move_came(conn, peer, frame),
        }
    }

    fn frame_out(&mut self, conn: u64, stream: u64, peer: KernelId, frame: &Frame, eyes: &mut Eyes<'_>) {
        self.may_speak((conn, stream), peer, frame, eyes);
        match frame {
            Frame::Hello(_) | Frame::Admitted(_) | Frame::Denied(_) => self.greets(conn, peer, frame, eyes),
            Frame::Act(act) => self.act_left(conn, peer, act, eyes),
            Frame::Outcome(outcome) => self.outcome_left(conn, peer, outcome, eyes),
            Frame::Missing(missing) => self.missing_left(conn, peer, missing, eyes),
            Frame::Need(need) => self.need_left(conn, peer, need, eyes),
            Frame::Share(parcel) => self.share_left(conn, peer, parcel, eyes),
            Frame::Shared(shared) => self.shared_left(conn, peer, shared, eyes),
            Frame::Following(following) => self.following_left(conn, peer, following, eyes),
            Frame::Found(found) => self.found_left(conn, peer, found, eyes),
            Frame::Absent(absent) => self.absent_left(conn, stream, peer, absent, eyes),
            Frame::Body(_) => self.body_left(conn, stream, eyes),
            Frame::Give(parcel) => self.give_left(peer, parcel, eyes),
            Frame::Receipt(receipt) => self.receipt_left(conn, stream, peer, receipt, eyes),
            Frame::Entries(entries) => self.entries_left(conn, peer, entries, eyes),
            _ => self.move_left(conn, peer, frame, eyes),
        }
    }

    fn move_came(&mut self, conn: u64, peer: KernelId, frame: &Frame) {
        match frame {
            Frame::Ahead(ahead) => self.ahead_came(conn, peer, ahead),
            Frame::Welcome(welcome) => self.welcome_came(peer, welcome),
            Frame::Handoff(handoff) => self.handoff_came(peer, handoff),
            Frame::Withdraw(withdraw) => self.withdraw_came(peer, withdraw),
            Frame::Handed(handed) => self.handed_came(handed),
            Frame::Moved(moved) => self.moved_came(peer, moved),
            Frame::FollowedInstead(said) if said.code.is_none() => {
                self.names_of(&said.key).iter().for_each(|key| self.follows.end(said.at, key));
            }
            Frame::Heard(heard) => self.heard_came(peer, &heard.key, &heard.certificate),
            _ => {}
        }
    }

    fn move_left(&mut self, conn: u64, peer: KernelId, frame: &Frame, eyes: &mut Eyes<'_>) {
        match frame {
            Frame::Ahead(ahead) => self.ahead_left(conn, peer, ahead, eyes),
            Frame::Welcome(welcome) => self.welcome_left(conn, peer, welcome, eyes),
            Frame::Handoff(handoff) => self.handoff_left(peer, handoff, eyes),
            Frame::Handed(handed) => self.handed_left(peer, handed, eyes),
            Frame::Moved(moved) => self.moved_left(conn, peer, moved, eyes),
            Frame::FollowedInstead(said) if said.code.is_none() => self.follows_instead(said.key, said.at),
            _ => {}
        }
    }

    /// A parcel came, and with it perhaps a chain that goes on, if it passes section 7.
    fn parcel_came(&mut self, peer: KernelId, parcel: &Parcel, eyes: &Eyes<'_>) {
        if let Some(chain) = &parcel.chain
            && Self::parcel_code(peer, parcel, eyes).is_ok()
        {
            self.chain_came(&parcel.header.key(), chain);
        }
    }

    /// Nothing but greetings leaves for who is not admitted, and nothing else at all in quarantine.
    fn may_speak(&mut self, (conn, stream): (u64, u64), peer: KernelId, frame: &Frame, eyes: &mut Eyes<'_>) {
        if let Frame::Hello(_) | Frame::Admitted(_) | Frame::Denied(_) = frame {
            return;
        }
        let quiet = self.quarantined && eyes.disk.is_some_and(|disk| disk.quarantined);
        // Section 10 has the code in `Shared` and `Absent`, too; section 5.1 says that nothing else is sent.
        let says_so = match frame {
            Frame::Shared(shared) => shared.answer == ShareAnswer::Refused(Code::Quarantined),
            Frame::Absent(absent) => absent.code == Code::Quarantined,
            _ => false,
        };
        eyes.check(Check::QuarantineSilent, How::exact_if(!says_so), !quiet || says_so, || {
            "it is in quarantine, and says more".into()
        });
        let lately = self.peers.was_lately(&peer, self.group);
        // A connection that has just ended may still be written to: the kernel does not know it yet.
        let admitted = self.conns.get(&conn).is_none_or(|conn| conn.admitted && conn.peer == peer);
        let ok = admitted && (self.knows(&peer) || lately);
        eyes.exact(Check::PeerOnly, ok, || format!("a frame to {}, who is no peer", peer.short()));
        if let Some(group) = self.peers.replaced.get(&conn).filter(|_| stream == 0 && !is_an_answer(frame)) {
            let late = group + 1 < self.group;
            eyes.exact(Check::Prevails, !late, || {
                format!("a frame to {} on a connection that does not prevail", peer.short())
            });
        }
    }
}

/// What a snapshot of the store answers, and nothing else.
fn is_a_question(frame: &Frame) -> bool {
    matches!(frame, Frame::Request(_) | Frame::Pull(_) | Frame::ReceiptOf(_) | Frame::EntriesOf(_))
}

/// The answers to those.
fn is_an_answer(frame: &Frame) -> bool {
    matches!(frame, Frame::Found(_) | Frame::Absent(_) | Frame::Entries(_))
}

/// After these a right may be another one.
fn changes_rights(seen: &Seen) -> bool {
    match seen {
        Seen::Client { ask, .. } => crate::clients::changes_rights(ask),
        Seen::Frame { frame, .. } => {
            matches!(**frame, Frame::Admitted(_) | Frame::Hello(_) | Frame::Denied(_))
        }
        Seen::Clock { .. } => true,
        _ => false,
    }
}

/// After these rows 6 and 7 may say another thing.
fn changes_objects(seen: &Seen) -> bool {
    match seen {
        Seen::Frame { frame, .. } => matches!(**frame, Frame::Handed(_) | Frame::Moved(_)),
        seen => matches!(seen, Seen::Recorded(_) | Seen::Kept(_) | Seen::Dropped { .. }),
    }
}
