//! What must be remembered of one kernel to tell the judge of it: what the inputs and rows say in passing.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use once_core::waist::{ConnId, Run, Token};
use once_judge::seen::{Ask, Asked};
use once_model::action::cause_id;
use once_model::ids::{Hash, Incarnation, KernelId, ObjectKey, Uuid};
use once_model::wire::{Frame, Parcel};

/// What is seen of one kernel.
#[derive(Debug, Default)]
pub(super) struct Side {
    /// Its clock less the world's time, as the judge knows it.
    pub ahead_ms: Option<i128>,
    pub incarnation: Option<Incarnation>,
    /// Commands that are not answered.
    pub asks: BTreeMap<Token, Ask>,
    /// Who greeted in a group that may be on the disk, and was told nothing: an invite may have made it a peer.
    pub greeted: Vec<KernelId>,
    /// Shares that were read and that the engine has not taken.
    pub shares: BTreeMap<(ConnId, ObjectKey, Hash), VecDeque<Parcel>>,
    /// The lives that connections were greeted with.
    lives: BTreeMap<ConnId, Incarnation>,
    /// Places of actions that peers sent.
    acts: BTreeMap<(KernelId, Uuid), BTreeSet<(Incarnation, u64)>>,
    /// Places of actions of this kernel, in any of its lives.
    own: BTreeMap<Uuid, BTreeSet<(Incarnation, u64)>>,
    /// Of the commits since the last sync: whether the disk knows of them, or they wrote nothing.
    pub commits: Vec<bool>,
    /// So many commits on the disk are not synced.
    pub unsynced: usize,
    /// Of these so many were not told: a process that begins commits more than once.
    pub untold: usize,
}

impl Side {
    /// The process is gone.
    pub fn forget(&mut self) {
        self.asks.clear();
        self.shares.clear();
        self.lives.clear();
        self.commits.clear();
        (self.unsynced, self.untold) = (0, 0);
    }

    /// A frame is taken.
    pub fn heard(&mut self, peer: KernelId, conn: ConnId, frame: &Frame) {
        match frame {
            Frame::Hello(greeting) | Frame::Admitted(greeting) => {
                self.lives.entry(conn).or_insert(greeting.progress.incarnation);
            }
            Frame::Act(act) => {
                if let Some(life) = self.lives.get(&conn) {
                    let places = self.acts.entry((peer, act.action.id)).or_default();
                    places.insert((*life, act.sequence));
                }
            }
            _ => {}
        }
    }

    /// Actions of this kernel have their places.
    pub fn placed(&mut self, places: &[(Uuid, u64)]) {
        let Some(life) = self.incarnation else { return };
        for (id, sequence) in places {
            self.own.entry(*id).or_default().insert((life, *sequence));
        }
    }

    /// A component is asked. Which place of which lane it is, the cause proves.
    pub fn asked(&self, me: KernelId, run: &Run) -> Asked {
        let id = run.action.id;
        let places = if run.origin == me { self.own.get(&id) } else { self.acts.get(&(run.origin, id)) };
        let place = places
            .into_iter()
            .flatten()
            .find(|(life, sequence)| cause_id(&run.key.uuid, life, *sequence, &id) == run.cause);
        let (incarnation, sequence) = place.copied().unwrap_or((Incarnation::from_bytes([0; 16]), 0));
        Asked {
            run: run.run,
            object: run.key,
            base: run.header.id(),
            origin: run.origin,
            incarnation,
            sequence,
            action: run.action.clone(),
        }
    }

    /// How many commits that the judge was told of since the last sync there are, if the disk has so many of its own.
    pub fn kept(&self, survivors: usize) -> u64 {
        let mut left = survivors.saturating_sub(self.untold);
        let kept = self.commits.iter().take_while(|real| {
            let there = left > 0 || !**real;
            left -= usize::from(there && **real);
            there
        });
        kept.count() as u64
    }
}
