//! Data flows one way: on the way through an input no capability is entered again from one that it has called. Seen from the
//! stacks at every read of the store.

use std::backtrace::Backtrace;
use std::cell::RefCell;
use std::collections::BTreeSet;

use bytes::Bytes;
use once_model::action::Given;
use once_model::wire::Frame;

use crate::access::{Right, Scope};
use crate::memory::MemoryStore;
use crate::store::{Read, StoreError, Table, Visit};
use crate::testing::{Alone, asked};
use crate::txn::Txn;
use crate::waist::{Call, Consequence, Input, RunResult, Then};

/// The folders that are capabilities.
const CAPABILITIES: [&str; 9] =
    ["access", "act", "chores", "exchange", "follow", "object", "peers", "share", "timer"];

/// A store that notes through which capabilities each read came, outermost first.
struct Traced<'a> {
    store: &'a MemoryStore,
    ways: RefCell<BTreeSet<Vec<&'static str>>>,
}

impl Traced<'_> {
    fn note(&self) {
        let stack = Backtrace::force_capture().to_string();
        let mut way: Vec<&'static str> = Vec::new();
        for line in stack.lines().rev() {
            let path = line.split_once("once_core::").map(|(_, path)| path.split("::").next());
            let folder =
                path.flatten().and_then(|name| CAPABILITIES.into_iter().find(|folder| *folder == name));
            way.extend(folder.filter(|folder| way.last() != Some(folder)));
        }
        self.ways.borrow_mut().insert(way);
    }
}

impl Read for Traced<'_> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.note();
        self.store.get(table, key)
    }

    fn scan(&self, table: Table, from: &[u8], to: Option<&[u8]>, visit: Visit<'_>) -> Result<(), StoreError> {
        self.note();
        self.store.scan(table, from, to, visit)
    }
}

/// The ways through the engine of one input.
fn ways(kernel: &mut Alone, input: Input) -> BTreeSet<Vec<&'static str>> {
    let Alone { engine, store, ctx, dice, .. } = kernel;
    let traced = Traced { store, ways: RefCell::default() };
    let mut txn = Txn::new(&traced);
    engine.step(&mut txn, ctx, dice, input).unwrap();
    let batch = txn.into_batch().0;
    let ways = traced.ways.into_inner();
    kernel.put_rows(batch);
    ways
}

fn each_is_entered_once(ways: &BTreeSet<Vec<&'static str>>) {
    for way in ways {
        let folders: BTreeSet<_> = way.iter().collect();
        assert_eq!(folders.len(), way.len(), "a capability is entered again: {}", way.join(" > "));
    }
}

#[test]
#[cfg_attr(not(debug_assertions), ignore = "an optimized build has no frame for what is inlined")]
fn an_incoming_act_enters_each_folder_once() {
    let mut kernel = Alone::new();
    let peer = kernel.befriend(9);
    kernel.may_act(peer);
    kernel.grant(peer, Right::Read, Scope::Kernel);
    kernel.greets(9, 1);
    let (key, other) = (kernel.object(1, "Open"), kernel.object(2, "Open"));
    let given = kernel.head(&other).unwrap();
    let then = Then { action: "told".into(), with: "1".into() };
    let call = Call {
        key: other,
        at: None,
        name: "go".into(),
        arguments: "1".into(),
        given: Vec::new(),
        deadline_ms: None,
        then: Some(then.clone()),
    };
    kernel.desk.says.lock().unwrap().push_back(RunResult::Done {
        state: None,
        result: "1".into(),
        consequences: vec![
            Consequence::Act(call),
            Consequence::Timer { name: "alarm".into(), after_ms: 5, then },
        ],
    });
    let mut act = asked(key, 1, "1".into());
    act.action.given = vec![Given { key: other, content: given.content }];
    let seen = ways(&mut kernel, Input::Frame { peer, conn: 1, frame: Frame::Act(act) });
    each_is_entered_once(&seen);
    let first: BTreeSet<_> = seen.iter().filter_map(|way| way.first().copied()).collect();
    assert!(first.contains("act"), "{seen:?}");
    let met: BTreeSet<_> = seen.iter().flatten().copied().collect();
    assert!(["access", "object", "peers", "share"].iter().all(|folder| met.contains(folder)), "{met:?}");
}
