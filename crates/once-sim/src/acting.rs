//! The part of the random workload that acts on objects: clients of all kernels, who repeat themselves.

use once_core::rights::{Right, Scope};
use once_core::rows::HeadRow;
use once_core::store::{Read, Table, scan_prefix};
use once_core::waist::Command;
use once_core::{rows, txn};
use once_model::action::Action;
use once_model::ids::{KernelId, Line, ObjectKey, Uuid};
use once_model::limits::{ARGUMENTS_MAX_BYTES, ID_AHEAD_MAX_MS};
use std::collections::BTreeMap;
use std::ops::ControlFlow;

use crate::journal;
use crate::workload::forever;
use crate::world::{Kernel, World};

/// What was asked once, and is asked again.
#[derive(Debug, Clone)]
struct Asked {
    by: usize,
    key: ObjectKey,
    at: Option<KernelId>,
    action: Action,
}

/// What is remembered of it.
#[derive(Debug, Default)]
pub(crate) struct Acting {
    /// Journals: at which kernel, and what they were called there at first.
    journals: Vec<(usize, ObjectKey)>,
    asked: Vec<Asked>,
}

impl World {
    /// One client wants something done.
    pub(crate) fn act_on_something(&mut self, index: usize, acting: &mut Acting) {
        if acting.journals.len() < 6 && self.rng.one_in(3) {
            let uuid = Uuid::from_bytes(self.rng.bytes());
            let Some(scenario) = journal::new(uuid) else { return };
            acting.journals.push((index, ObjectKey { uuid, line: Line::Unclaimed(scenario.hash()) }));
            self.command(Kernel(index), Command::Import { source: None, scenario });
            for other in 0..self.nodes.len() {
                if other != index && self.rng.per_mille(800) {
                    let grant = forever(Scope::Kernel, Right::Act, self.nodes[other].id);
                    self.command(Kernel(index), Command::Grant(grant));
                }
            }
            return;
        }
        let again = self.rng.pick(&acting.asked).cloned().filter(|_| self.rng.one_in(4));
        let asked = match again {
            Some(mut asked) => {
                if self.rng.one_in(6) {
                    asked.action.name = "look".into();
                }
                asked
            }
            None => {
                let Some((home, key)) = self.rng.pick(&acting.journals).copied() else { return };
                let at = (!self.rng.one_in(30)).then(|| self.nodes[home].id);
                let asked = Asked { by: index, key, at, action: self.any_action(index) };
                acting.asked.push(asked.clone());
                asked
            }
        };
        let Asked { by, key, at, action } = asked;
        if self.nodes[by].is_up() {
            // Several at once: a lane has more than one under way.
            let wait = self.rng.one_in(2);
            self.command(Kernel(by), Command::Act { key, at, action, deadline_ms: None, wait });
            let more = if self.rng.one_in(80) { self.rng.between(70, 140) } else { self.rng.up_to(4) };
            for _ in 0..more {
                let asked = Asked { by, key, at, action: self.any_action(by) };
                acting.asked.push(asked.clone());
                self.command(
                    Kernel(by),
                    Command::Act { key, at, action: asked.action, deadline_ms: None, wait: false },
                );
            }
        }
    }

    fn any_action(&mut self, by: usize) -> Action {
        let ahead_ms = if self.rng.one_in(60) { 2 * ID_AHEAD_MAX_MS } else { 0 };
        let time_ms = self.nodes[by].now_ms(self.now_us) + ahead_ms;
        let mut id: [u8; 16] = self.rng.bytes();
        id[..6].copy_from_slice(&time_ms.to_be_bytes()[2..]);
        id[6] = if self.rng.one_in(60) { 0x40 } else { 0x70 } | id[6] & 0xf;
        let name = match self.rng.up_to(20) {
            0 => "no",
            1 => "look",
            2 => "fly",
            _ => "note",
        };
        let arguments = match self.rng.up_to(60) {
            0 => "{".into(),
            1 => format!("\"{}\"", "x".repeat(ARGUMENTS_MAX_BYTES)).into(),
            _ => "{}".into(),
        };
        Action {
            id: Uuid::from_bytes(id),
            name: name.into(),
            arguments,
            given: Vec::new(),
            acting: None,
            answers: None,
        }
    }

    /// After everything has healed: each action had the effect that its client was told of.
    pub(crate) fn check_acts(&mut self) {
        let mut bodies: BTreeMap<Uuid, Vec<Option<bytes::Bytes>>> = BTreeMap::new();
        for node in &self.nodes {
            let mut heads: Vec<HeadRow> = Vec::new();
            let read = scan_prefix(&node.disk, Table::Head, &[], &mut |_, value| {
                heads.extend(txn::decode::<HeadRow>(Table::Head, &value).ok());
                ControlFlow::Continue(())
            });
            let own = heads.into_iter().filter(|head| head.home == Some(node.id));
            for head in own.filter(|_| read.is_ok()) {
                let body = node.disk.get(Table::Body, &rows::body_key(&head.header)).ok().flatten();
                bodies.entry(head.header.uuid).or_default().push(body);
            }
        }
        for what in self.checker.acted(&bodies) {
            self.violated(what.0, 0, what.1);
        }
    }
}
