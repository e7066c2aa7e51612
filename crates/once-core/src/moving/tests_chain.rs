//! Chains that are longer than a frame has room for.

use std::ops::ControlFlow;

use once_model::certificate::Chain;
use once_model::ids::{KernelId, ObjectKey};
use once_model::limits::CHAIN_TRAVELS_CERTIFICATES;
use once_model::wire::{Code, Frame, Pull};

use super::tests::{go, home, pair};
use crate::exchange;
use crate::object;
use crate::peers::{self, PeerRow, PeerStatus};
use crate::shell;
use crate::store::{Read, Table, scan_prefix};
use crate::testing::{Alone, Pair, Side};

fn chain(kernel: &Alone, key: &ObjectKey) -> Chain {
    object::chain(&kernel.store, &key.lineage().unwrap()).unwrap().unwrap()
}

/// An object that has gone there and back until its chain has more certificates than two frames have room for, and is at A.
fn traveller() -> (Pair, ObjectKey) {
    let (mut pair, key) = pair("Paper");
    for n in 0..2 * CHAIN_TRAVELS_CERTIFICATES + 4 {
        go(&mut pair, if n % 2 == 0 { Side::A } else { Side::B }, key);
        pair.settle();
    }
    assert_eq!(home(&pair.a, &key), Some(pair.a.id()));
    (pair, key)
}

#[test]
fn who_knows_the_beginning_of_a_long_chain_is_told_the_end_alone() {
    let (mut pair, key) = traveller();
    assert_eq!(pair.chains_pulled, 0);
    let before = chain(&pair.a, &key);
    assert!(before.links.len() > 2 * CHAIN_TRAVELS_CERTIFICATES);
    go(&mut pair, Side::A, key);
    pair.deliver(Side::B);
    pair.deliver(Side::A);
    let Some(Frame::Handoff(handoff)) = pair.on_the_way(Side::B).back().cloned() else {
        panic!("not sealed")
    };
    assert_eq!(handoff.chain.links.len(), CHAIN_TRAVELS_CERTIFICATES);
    // What is written at the seal does not grow with the chain.
    let row = pair.a.store.get(Table::Leaving, &key.to_row()).unwrap().unwrap();
    assert!(row.len() < 64 * 1024, "{}", row.len());
    pair.settle();
    assert_eq!(home(&pair.b, &key), Some(pair.b.id()));
    assert_eq!(chain(&pair.a, &key), chain(&pair.b, &key));
    assert!(chain(&pair.a, &key).continues(&before));
    // A handoff that is taken back goes on from the whole chain, too.
    go(&mut pair, Side::B, key);
    pair.deliver(Side::A);
    pair.deliver(Side::B);
    pair.lose(Side::A);
    pair.b.command(crate::waist::Command::Stay { key });
    pair.settle();
    assert_eq!(chain(&pair.b, &key).verify(key.lineage().unwrap()), Ok(()));
    assert_eq!(home(&pair.b, &key), Some(pair.b.id()));
    assert_eq!(pair.chains_pulled, 0);
}

#[test]
fn who_does_not_know_the_beginning_of_a_long_chain_pulls_it() {
    let (mut pair, key) = traveller();
    // As if it had never been there.
    pair.b.writes(|s| {
        for (table, prefix) in
            [(Table::Chain, key.lineage().unwrap().as_bytes().to_vec()), (Table::Head, key.to_row().to_vec())]
        {
            let mut rows = Vec::new();
            scan_prefix(s.txn, table, &prefix, &mut |row, _| {
                rows.push(row.to_vec());
                ControlFlow::Continue(())
            })?;
            rows.iter().for_each(|row| s.txn.delete(table, row));
        }
        Ok(())
    });
    go(&mut pair, Side::A, key);
    pair.settle();
    assert_eq!(pair.chains_pulled, 1);
    assert_eq!(home(&pair.b, &key), Some(pair.b.id()));
    assert_eq!(chain(&pair.a, &key), chain(&pair.b, &key));
}

/// Who follows an object that has moved on hears of it from kernels that are no peers.
#[test]
fn the_beginning_of_a_chain_is_pulled_from_whomever_this_kernel_visits() {
    let (mut pair, key) = traveller();
    let (a, mut short) = (pair.a.id(), chain(&pair.a, &key).shortened().unwrap());
    pair.b.writes(|s| {
        let row = peers::peer(s.txn, &a)?.unwrap();
        s.txn.put(Table::Peer, a.as_bytes(), &PeerRow { status: PeerStatus::Host, ..row });
        s.txn.delete(Table::Chain, key.lineage().unwrap().as_bytes());
        Ok(())
    });
    let pull = shell::lacks(&pair.b.store, &a, &mut short).map(|(pull, _)| pull.content);
    assert_eq!(pull, short.lacks());
    assert!(pull.is_some());
}

#[test]
fn the_beginning_of_a_chain_is_for_peers_that_name_its_end() {
    let (pair, key) = traveller();
    let (store, peer) = (&pair.a.store, pair.b.id());
    let content = chain(&pair.a, &key).shortened().unwrap().lacks().unwrap();
    let pulled =
        |peer: &KernelId, pull: Pull| exchange::pulled(store, peer, &pull, pair.a.ctx.now_ms).unwrap();
    let pull = Pull { key, content, offset: 0 };
    assert!(pulled(&peer, pull.clone()).is_ok());
    assert_eq!(pulled(&KernelId::from_bytes([9; 32]), pull.clone()), Err(Code::Denied));
    assert_eq!(pulled(&peer, Pull { offset: 1, ..pull.clone() }), Err(Code::Denied));
    let of_nothing = once_model::ids::Hash::from_bytes([9; 32]);
    assert_eq!(pulled(&peer, Pull { content: of_nothing, ..pull }), Err(Code::Denied));
}
