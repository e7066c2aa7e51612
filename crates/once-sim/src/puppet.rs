//! Hostile kernels: a key, no engine, and bad manners. Some are strangers, some are peers with rights.

use std::collections::BTreeMap;

use bytes::Bytes;
use once_core::waist::ConnId;
use once_model::action::{ActOutcome, Outcome};
use once_model::certificate::{Certificate, CertificateKind, Chain, Genesis};
use once_model::header::Header;
use once_model::ids::{BootId, Hash, Incarnation, KernelId, ObjectKey, Secret, Uuid};
use once_model::limits::{FRAME_MAX_BYTES, INLINE_MAX_BYTES, SCENARIO_MAX_BYTES};
use once_model::progress::Progress;
use once_model::sign::{KernelKey, Purpose};
use once_model::wire::{
    Absent, Code, FEATURE_ACTIONS, Follow, Following, Found, Frame, Greeting, Parcel, Pull, Request,
    ShareAnswer, Shared,
};

use crate::net::Who;
use crate::queue::Event;
use crate::rng::Rng;
use crate::scenarios;
use crate::world::World;

/// Most objects of its own that a hostile kernel makes.
const OWN_MAX: usize = 4;

/// A hostile kernel.
#[derive(Debug)]
pub(crate) struct Puppet {
    pub id: KernelId,
    key: KernelKey,
    /// Objects of its own, with revisions that do not go together.
    own: Vec<Parcel>,
    /// How many of them the checkers know.
    known: usize,
    /// What it was sent.
    heard: Vec<Parcel>,
    /// How far it has come with its actions.
    pub lanes: BTreeMap<ObjectKey, u64>,
    /// It has stopped for good.
    pub quiet: bool,
}

impl Puppet {
    pub fn new(rng: &mut Rng) -> Self {
        let key = KernelKey::from_bytes(&rng.bytes());
        Self {
            id: key.id(),
            key,
            own: Vec::new(),
            known: 0,
            heard: Vec::new(),
            lanes: BTreeMap::new(),
            quiet: false,
        }
    }

    fn greeting(&self, rng: &mut Rng) -> Greeting {
        let (mine, life) = (Incarnation::from_bytes([1; 16]), Incarnation::from_bytes(rng.bytes()));
        let boot = BootId::from_bytes([rng.up_to(2) as u8; 16]);
        Greeting {
            features: if rng.one_in(4) { vec![7] } else { vec![FEATURE_ACTIONS] },
            critical: if rng.one_in(8) { vec![99] } else { Vec::new() },
            progress: Progress::sign(mine, rng.up_to(3), boot, rng.next(), &self.key),
            // Nobody but the other side itself can sign what it has said.
            seen: match if rng.one_in(2) { rng.index(5) } else { 0 } {
                0 => Vec::new(),
                forged => vec![Progress::sign(life, u64::MAX, boot, u64::MAX, &self.key); forged],
            },
            frame_max_bytes: 0,
            scenario_max_bytes: u64::MAX,
            window_shares: 0,
            name: "\u{1b}[31mevil\n".repeat(rng.index(20)),
            clock_ms: rng.next(),
            invite: rng.one_in(2).then(|| Secret::from_bytes(rng.bytes())),
            heard: rng.one_in(2).then_some(u64::MAX),
        }
    }

    /// The answer to a pull: what was asked for, rubbish, or nothing.
    pub fn bytes(&mut self, pull: &Pull, rng: &mut Rng) -> Option<Bytes> {
        let known = self.own.iter().find(|parcel| parcel.header.content == pull.content);
        match rng.up_to(4) {
            0 => None,
            1 => Some(vec![b'x'; 100].into()),
            _ => {
                let body = known?.body.clone()?;
                let offset = usize::try_from(pull.offset).ok().filter(|offset| *offset <= body.len())?;
                Some(body.slice(offset..))
            }
        }
    }

    /// One of its own objects.
    pub fn own_object(&self, rng: &mut Rng) -> Option<ObjectKey> {
        rng.pick(&self.own).map(|parcel| parcel.header.key())
    }

    /// A revision of an object of its own: the next one, a fork, or the first of a new one.
    fn revision(&mut self, rng: &mut Rng) -> Option<Parcel> {
        let chains = self.own.iter().filter(|parcel| parcel.header.revision == 1).count();
        let known = rng.pick(&self.own).cloned();
        let parcel = match known {
            Some(known) if chains >= OWN_MAX || rng.per_mille(800) => self.continued(&known, rng)?,
            _ => self.born(rng)?,
        };
        self.own.push(parcel.clone());
        Some(parcel)
    }

    fn born(&self, rng: &mut Rng) -> Option<Parcel> {
        let mut uuid = Uuid::from_bytes(rng.bytes());
        let mut scenario = scenarios::next_state(rng, uuid)?;
        // Sometimes it claims what an honest kernel holds unclaimed.
        if let Some(victim) = rng.pick(&self.heard).filter(|parcel| parcel.header.lineage.is_none())
            && let Some(body) = &victim.body
        {
            uuid = victim.header.uuid;
            scenario = once_model::scenario::Scenario::parse(body.clone()).ok()?;
        }
        let genesis = Genesis {
            uuid,
            home: self.id,
            // With its own recovery key it can make anybody home.
            recovery: vec![self.id],
            content: scenario.hash(),
            nonce: rng.bytes(),
            incarnation: Incarnation::from_bytes([1; 16]),
        };
        let mut chain = Chain::new(genesis);
        let lineage = chain.genesis.lineage();
        let mut header = once_core::object::unclaimed(&scenario);
        header.lineage = Some(lineage);
        header.certificate = Some(chain.certificate());
        (header.epoch, header.revision) = (1, 1);
        if rng.one_in(4) {
            // A second certificate: under which it goes on, or which makes somebody home who never took the object.
            let heard = rng.pick(&self.heard).and_then(|heard| Some(heard.chain.as_ref()?.home()));
            let gift = heard.filter(|home| *home != self.id && rng.one_in(2));
            let mut link = Certificate {
                lineage,
                epoch: if rng.one_in(2) { 2 } else { u64::MAX },
                kind: if gift.is_some() { CertificateKind::Adopt } else { CertificateKind::Reinstate },
                home: gift.unwrap_or(self.id),
                incarnation: Incarnation::from_bytes([0; 16]),
                base: chain.certificate(),
                base_revision: 1,
                base_id: header.id(),
                signer: self.id,
                signature: None,
                tip: None,
                luggage: None,
                refusal: None,
                naming: None,
                acceptance: None,
            };
            link.signature = Some(self.key.sign(Purpose::Certificate, &link.id()));
            chain.links.push(link);
        }
        header.sign(&self.key);
        Some(Parcel { header, chain: Some(chain), body: Some(scenario.bytes().clone()), commit: None })
    }

    fn continued(&self, known: &Parcel, rng: &mut Rng) -> Option<Parcel> {
        let chain = known.chain.as_ref()?;
        let mut scenario = scenarios::next_state(rng, known.header.uuid)?;
        if rng.one_in(6) {
            let model = format!("\"{}\"", "z".repeat(INLINE_MAX_BYTES + 10 + rng.index(5000)));
            scenario =
                once_model::scenario::Scenario::compose(known.header.uuid, "Unit", "1", "evil", &model)
                    .ok()?;
        }
        if let Some(body) = known.body.clone().filter(|_| rng.one_in(4)) {
            // Another revision with the same bytes.
            scenario = once_model::scenario::Scenario::parse(body).ok()?;
        }
        let mut header = once_core::object::unclaimed(&scenario);
        header.lineage = known.header.lineage;
        header.certificate = Some(chain.certificate());
        header.epoch = chain.epoch();
        header.revision = match rng.up_to(6) {
            0 => known.header.revision.saturating_add(rng.up_to(3) + 2),
            1 if rng.one_in(20) => u64::MAX,
            2..=4 => known.header.revision.max(2),
            _ => known.header.revision.saturating_add(1),
        };
        header.parent = Some(if rng.one_in(2) { known.header.id() } else { Hash::from_bytes(rng.bytes()) });
        let tombstone = rng.one_in(12);
        if tombstone {
            header.tombstone = true;
            header.size = 0;
            header.content = once_model::hash::content_hash(b"");
        }
        header.sign(&self.key);
        let body = (!tombstone).then(|| scenario.bytes().clone());
        Some(Parcel { header, chain: Some(chain.clone()), body, commit: None })
    }

    /// Something that must not be kept.
    fn forgery(&mut self, rng: &mut Rng) -> Option<Parcel> {
        let mut parcel = rng.pick(&self.heard).or_else(|| self.own.first())?.clone();
        let other = scenarios::next_state(rng, parcel.header.uuid)?;
        let rewrite = |header: &mut Header| {
            let plain = once_core::object::unclaimed(&other);
            header.content = plain.content;
            header.size = plain.size;
            header.component = plain.component;
            header.version = plain.version;
        };
        match rng.up_to(9) {
            // Other bytes than the header says, of the same length or not.
            0 => parcel.body = Some(other.bytes().clone()),
            1 => parcel.header.content = Hash::from_bytes(rng.bytes()),
            // The next revision of somebody else's object, signed by this kernel, or with the old signature.
            2 | 3 => {
                rewrite(&mut parcel.header);
                parcel.header.parent = Some(parcel.header.id());
                parcel.header.revision = parcel.header.revision.saturating_add(1);
                parcel.body = Some(other.bytes().clone());
                if rng.one_in(2) {
                    parcel.header.signature = Some(self.key.sign(Purpose::Revision, &parcel.header.id()));
                }
            }
            // A tombstone for somebody else's object.
            4 => {
                parcel.header.parent = Some(parcel.header.id());
                parcel.header.revision = parcel.header.revision.saturating_add(1);
                parcel.header.tombstone = true;
                parcel.header.size = 0;
                parcel.header.content = once_model::hash::content_hash(b"");
                parcel.header.signature = Some(self.key.sign(Purpose::Revision, &parcel.header.id()));
                parcel.body = None;
            }
            // A chain that gives it somebody else's object.
            5 => {
                let chain = parcel.chain.as_mut()?;
                chain.genesis.home = self.id;
                parcel.header.signature = None;
                parcel.header.sign(&self.key);
            }
            6 => {
                let chain = parcel.chain.as_mut()?;
                chain.links.push(Certificate {
                    lineage: chain.genesis.lineage(),
                    epoch: chain.epoch().saturating_add(1),
                    kind: CertificateKind::Adopt,
                    home: self.id,
                    incarnation: Incarnation::from_bytes([0; 16]),
                    base: chain.certificate(),
                    base_revision: parcel.header.revision,
                    base_id: parcel.header.id(),
                    signer: self.id,
                    signature: None,
                    tip: None,
                    luggage: None,
                    refusal: None,
                    naming: None,
                    acceptance: None,
                });
                rewrite(&mut parcel.header);
                parcel.body = Some(other.bytes().clone());
                parcel.header.certificate = Some(chain.certificate());
                parcel.header.epoch = chain.epoch();
                parcel.header.signature = Some(self.key.sign(Purpose::Revision, &parcel.header.id()));
            }
            // An unclaimed object that claims to be more, or other than its bytes say.
            7 => {
                parcel.header.component.push('!');
                parcel.header.epoch = 3;
            }
            _ => {
                parcel.header.size = SCENARIO_MAX_BYTES as u64 + 1;
                if rng.one_in(2) {
                    parcel.body = None;
                }
            }
        }
        if parcel.chain.as_ref().is_some_and(|chain| chain.genesis.home == self.id) {
            // Of its own objects it may make what it likes.
            self.own.push(parcel.clone());
        }
        Some(parcel)
    }
}

impl World {
    /// A hostile kernel joins the world.
    pub(crate) fn puppet(&mut self) -> KernelId {
        let puppet = Puppet::new(&mut self.rng);
        let id = puppet.id;
        let index = self.puppets.len();
        self.who.insert(id, Who::Puppet(index));
        self.puppets.push(puppet);
        self.queue.push(self.now_us + self.rng.up_to(3_000_000), Event::Mischief { puppet: index });
        id
    }

    /// It does something bad, and will again.
    pub(crate) fn mischief(&mut self, index: usize) {
        if self.puppets[index].quiet {
            return;
        }
        let again_us = self.now_us + self.rng.between(20_000, 900_000);
        self.queue.push(again_us, Event::Mischief { puppet: index });
        let conns = self.net.open_of(Who::Puppet(index));
        let Some(conn) = self.rng.pick(&conns).copied().filter(|_| !self.rng.one_in(12)) else {
            let victim = self.rng.index(self.nodes.len());
            if self.nodes[victim].is_up() {
                let conn = self.connect(Who::Puppet(index), Who::Kernel(victim));
                let greeting = self.puppets[index].greeting(&mut self.rng);
                self.puppet_says(index, conn, &Frame::Hello(greeting));
            }
            return;
        };
        if self.rng.one_in(40) {
            if let Some(side) = self.net.conns.get(&conn).and_then(|conn| conn.side_of(Who::Puppet(index))) {
                self.close_side(conn, side);
            }
            return;
        }
        self.offend(index, conn);
    }

    fn offend(&mut self, index: usize, conn: ConnId) {
        let mut rng = self.rng.fork();
        let gossip = self.gossip();
        let puppet = &mut self.puppets[index];
        let victim = rng.pick(&puppet.heard).cloned();
        let key = victim.as_ref().map(|parcel| parcel.header.key());
        let frame = match rng.up_to(24) {
            0..=4 => puppet.revision(&mut rng).map(|parcel| inline(parcel, &mut rng)).map(Frame::Share),
            5..=7 => puppet.forgery(&mut rng).map(Frame::Share),
            // What it heard, again: old revisions too.
            8 => victim.map(Frame::Share),
            9 => key.map(|key| Frame::Follow(Follow { key, have: None })),
            10 => key.map(|key| {
                Frame::Request(Request {
                    call: rng.next(),
                    uuid: key.uuid,
                    line: rng.one_in(2).then_some(key.line),
                })
            }),
            11 => key.map(|key| {
                let id = Hash::from_bytes(rng.bytes());
                Frame::Shared(Shared { key, id, answer: ShareAnswer::Known, commit: None })
            }),
            12 => Some(Frame::Admitted(puppet.greeting(&mut rng))),
            13 => Some(Frame::Hello(puppet.greeting(&mut rng))),
            15..=22 => puppet.says_of_actions(&gossip, &mut rng),
            14 => Some(Frame::Reconcile(rng.bytes::<9>().to_vec())),
            _ => {
                let mut bytes = rng.bytes::<32>().to_vec();
                if rng.one_in(2) {
                    bytes.resize(FRAME_MAX_BYTES + 1, 0);
                }
                if let Some(side) = self.net.conns.get(&conn).and_then(|c| c.side_of(Who::Puppet(index))) {
                    self.transmit(conn, side, bytes.into());
                }
                return;
            }
        };
        if let Some(frame) = frame {
            self.puppet_says(index, conn, &frame);
        }
        // The reading side of an exchange must cope with it as well.
        if rng.one_in(30)
            && let Some(victim) =
                self.net.conns.get(&conn).map(|conn| conn.ends.iter().map(|end| end.who).collect::<Vec<_>>())
            && let Some(kernel @ Who::Kernel(_)) = victim.iter().find(|who| matches!(who, Who::Kernel(_)))
        {
            self.begin_exchange(*kernel, Who::Puppet(index));
        }
    }

    fn puppet_says(&mut self, index: usize, conn: ConnId, frame: &Frame) {
        let puppet = &mut self.puppets[index];
        puppet.own[puppet.known..].iter().for_each(|parcel| self.checker.hostile(parcel));
        puppet.known = puppet.own.len();
        if let Some(side) = self.net.conns.get(&conn).and_then(|conn| conn.side_of(Who::Puppet(index))) {
            self.trace.line(|| {
                format!("{:>9} puppet -> conn {conn}: {}", self.now_us / 1000, crate::shell::brief(frame))
            });
            self.transmit(conn, side, frame.encode().into());
        }
    }

    /// A frame reaches a hostile kernel.
    pub(crate) fn puppet_hears(&mut self, index: usize, conn: ConnId, side: usize, bytes: &Bytes) {
        let Ok(frame) = Frame::decode(bytes) else { return };
        if self.net.conns.get(&conn).is_none_or(|conn| !conn.ends[side].open) {
            return;
        }
        let mut rng = self.rng.fork();
        let puppet = &mut self.puppets[index];
        let greeting = puppet.greeting(&mut rng);
        let answer = match frame {
            Frame::Hello(_) => match rng.up_to(8) {
                0 => Some(Frame::Denied(Code::Denied)),
                1 => None,
                _ => Some(Frame::Admitted(greeting)),
            },
            Frame::Share(parcel) => {
                let (key, id) = (parcel.header.key(), parcel.header.id());
                puppet.heard.push(parcel);
                if puppet.heard.len() > 40 {
                    puppet.heard.remove(0);
                }
                let answer = match rng.up_to(6) {
                    0 => ShareAnswer::Refused(Code::Busy),
                    1 => ShareAnswer::Refused(Code::Denied),
                    2 => ShareAnswer::Conflict,
                    _ => ShareAnswer::Stored,
                };
                self.cover.met(crate::coverage::share(answer));
                let id = if rng.one_in(6) { Hash::from_bytes(rng.bytes()) } else { id };
                (!rng.one_in(4)).then_some(Frame::Shared(Shared { key, id, answer, commit: None }))
            }
            // It goes on where it is told to.
            Frame::Missing(missing) => {
                puppet.lanes.insert(missing.lane.key, missing.from.saturating_sub(1));
                None
            }
            Frame::Outcome(ActOutcome { outcome: Outcome::Done(_), .. }) => {
                self.cover.met("state hostile kernel acted by right");
                None
            }
            Frame::Follow(follow) => Some(Frame::Following(Following {
                key: follow.key,
                on: rng.one_in(2),
                code: rng.one_in(2).then_some(Code::Denied),
            })),
            Frame::Request(request) => match puppet.forgery(&mut rng) {
                Some(parcel) => Some(Frame::Found(Found { call: request.call, parcel })),
                None => Some(Frame::Absent(Absent { call: request.call, code: Code::Busy })),
            },
            _ => None,
        };
        if let Some(answer) = answer {
            self.puppet_says(index, conn, &answer);
        }
    }
}

/// A large body travels apart; sometimes the hostile kernel sends it inside all the same.
fn inline(mut parcel: Parcel, rng: &mut Rng) -> Parcel {
    if parcel.header.size > INLINE_MAX_BYTES as u64 && !rng.one_in(4) {
        parcel.body = None;
    }
    parcel
}
