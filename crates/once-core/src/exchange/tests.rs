//! What other kernels are shown when they ask: docs/protocol.md, 5.3, 6.1 and 6.2.

use once_model::ids::{Hash, ItemId, KernelId, Line, ObjectKey, Uuid};
use once_model::scenario::Scenario;
use once_model::wire::{Absent, Code, Frame, Pull, Request};

use super::{Comparison, Items, answer, items, missing, newest, pulled, respond, wanted};
use crate::access::{Right, Scope};
use crate::object::unclaimed;
use crate::testing::{Alone, Pair};
use crate::waist::{Answer, Command};

fn scenario(uuid: u128, n: u32) -> Scenario {
    Scenario::compose(Uuid::from_u128(uuid), "Paper", "1", "me", &format!("{{\"n\":{n}}}")).unwrap()
}

fn import(kernel: &mut Alone, uuid: u128, n: u32) -> ObjectKey {
    let scenario = scenario(uuid, n);
    let key = unclaimed(&scenario).key();
    kernel.command(Command::Import { source: None, over: None, scenario });
    key
}

fn asks(kernel: &Alone, peer: &KernelId, uuid: u128, line: Option<Line>) -> Result<ObjectKey, Code> {
    let request = Request { call: 7, uuid: Uuid::from_u128(uuid), line };
    match answer(&kernel.store, &kernel.ctx.key, peer, &request, kernel.ctx.now_ms).unwrap() {
        Frame::Found(found) => {
            assert_eq!(found.call, 7);
            assert!(found.parcel.body.is_some() || found.parcel.header.tombstone);
            Ok(found.parcel.header.key())
        }
        Frame::Absent(Absent { call: 7, code }) => Err(code),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_request_finds_what_the_asker_may_read_and_else_nothing() {
    let mut kernel = Alone::new();
    let (peer, stranger) = (kernel.befriend(9), kernel.peer_id(8));
    let (one, two) = (import(&mut kernel, 5, 1), import(&mut kernel, 5, 2));
    assert_eq!(asks(&kernel, &peer, 5, None), Err(Code::Denied));
    kernel.grant(peer, Right::Read, Scope::Object(one));
    assert_eq!(asks(&kernel, &peer, 5, None), Ok(one));
    assert_eq!(asks(&kernel, &peer, 5, Some(one.line)), Ok(one));
    assert_eq!(asks(&kernel, &peer, 5, Some(two.line)), Err(Code::Denied));
    assert_eq!(asks(&kernel, &peer, 6, None), Err(Code::Denied));
    assert_eq!(asks(&kernel, &stranger, 5, None), Err(Code::Denied));
    kernel.grant(peer, Right::Read, Scope::Kernel);
    assert_eq!(asks(&kernel, &peer, 5, None), Err(Code::Ambiguous));
    assert_eq!(asks(&kernel, &peer, 5, Some(two.line)), Ok(two));
    // A copy that was claimed since is found as what it became; a tombstone does not count beside another object.
    let token = kernel.command(Command::Claim { key: one });
    let claimed = match &kernel.answered[&token] {
        Answer::Object { header, .. } => header.key(),
        other => panic!("{other:?}"),
    };
    assert_eq!(asks(&kernel, &peer, 5, Some(one.line)), Ok(claimed));
    kernel.command(Command::Remove { key: claimed });
    assert_eq!(asks(&kernel, &peer, 5, None), Ok(two));
    assert_eq!(asks(&kernel, &peer, 5, Some(claimed.line)), Ok(claimed));
    let token = kernel.command(Command::Claim { key: two });
    let both = match &kernel.answered[&token] {
        Answer::Object { header, .. } => header.key(),
        other => panic!("{other:?}"),
    };
    kernel.command(Command::Remove { key: both });
    assert_eq!(asks(&kernel, &peer, 5, None), Err(Code::Denied), "several, and nothing living");
}

#[test]
fn bytes_are_given_of_the_newest_revision_that_may_be_read_or_is_being_shared() {
    let mut kernel = Alone::new();
    let (peer, other) = (kernel.befriend(9), kernel.befriend(8));
    let key = import(&mut kernel, 5, 1);
    let bytes = scenario(5, 1).bytes().clone();
    let content = scenario(5, 1).hash();
    let pull = |kernel: &Alone, peer: &KernelId, content, offset| {
        pulled(&kernel.store, peer, &Pull { key, content, offset }, kernel.ctx.now_ms).unwrap()
    };
    assert_eq!(pull(&kernel, &peer, content, 0), Err(Code::Denied));
    kernel.command(Command::Share { key, to: peer, delivered: false });
    assert_eq!(pull(&kernel, &peer, content, 0), Ok(bytes.clone()));
    assert_eq!(pull(&kernel, &other, content, 0), Err(Code::Denied));
    assert_eq!(pull(&kernel, &peer, content, 10), Ok(bytes.slice(10..)));
    let end = bytes.len() as u64;
    assert_eq!(pull(&kernel, &peer, content, end).map(|rest| rest.len()), Ok(0));
    assert_eq!(pull(&kernel, &peer, content, end + 1), Err(Code::Invalid));
    assert_eq!(pull(&kernel, &peer, Hash::from_bytes([1; 32]), 0), Err(Code::Denied));
    kernel.grant(other, Right::Read, Scope::Object(key));
    assert_eq!(pull(&kernel, &other, content, 0), Ok(bytes));
    kernel.command(Command::RemovePeer { peer: other });
    assert_eq!(pull(&kernel, &other, content, 0), Err(Code::Denied));
}

/// Compares A with B, as A; what only A has and what only B has.
fn compare(pair: &Pair) -> (Vec<ItemId>, Vec<ItemId>) {
    let (a, b) = (pair.a.id(), pair.b.id());
    let mine = Items::collect(&pair.a.store, &b, pair.a.ctx.now_ms).unwrap();
    let theirs = Items::collect(&pair.b.store, &a, pair.b.ctx.now_ms).unwrap();
    let (mut comparison, mut message) = Comparison::begin(mine).unwrap();
    loop {
        let reply = respond(&theirs, &message).unwrap();
        match comparison.go_on(&reply).unwrap() {
            Some(next) => message = next,
            None => break,
        }
    }
    let difference = comparison.difference();
    assert!(!difference.more);
    (difference.have, difference.need)
}

#[test]
fn what_the_other_side_may_read_is_compared_and_only_the_difference_found() {
    let mut pair = Pair::new();
    let (a, b) = (pair.a.id(), pair.b.id());
    for n in 1..=200 {
        import(&mut pair.a, n, 1);
        import(&mut pair.b, n, 1);
    }
    let (mine, theirs, hidden) =
        (import(&mut pair.a, 501, 1), import(&mut pair.b, 502, 1), import(&mut pair.b, 503, 1));
    let changed = import(&mut pair.b, 504, 1);
    pair.a.grant(b, Right::Read, Scope::Kernel);
    for n in 1..=200 {
        let key = unclaimed(&scenario(n, 1)).key();
        pair.b.grant(a, Right::Read, Scope::Object(key));
    }
    for key in [theirs, changed] {
        pair.b.grant(a, Right::Read, Scope::Object(key));
    }
    let items_here = Items::collect(&pair.b.store, &a, pair.b.ctx.now_ms).unwrap();
    assert_eq!((items_here.len(), items_here.withheld(), items_here.is_empty()), (202, 1, false));
    let stranger = pair.a.peer_id(9);
    assert!(Items::collect(&pair.b.store, &stranger, 0).is_err());
    let (have, need) = compare(&pair);
    let id = |kernel: &Alone, key: &ObjectKey| kernel.head(key).unwrap().item_id();
    assert_eq!(have, [id(&pair.a, &mine)]);
    let mut wanted_ids = vec![id(&pair.b, &theirs), id(&pair.b, &changed)];
    wanted_ids.sort_unstable();
    assert_eq!(need, wanted_ids);
    // Of what is wanted only what may be read is given, as it is now.
    let ids = [wanted_ids.clone(), vec![id(&pair.b, &hidden), ItemId::from_bytes([9; 32])]].concat();
    let given = |pair: &Pair| wanted(&pair.b.store, &a, &ids, pair.b.ctx.now_ms).unwrap().len();
    assert_eq!(given(&pair), 2);
    assert_eq!(wanted(&pair.b.store, &stranger, &ids, 0).unwrap().len(), 0);
    assert_eq!(missing(&pair.a.store, &[have[0], need[0]]).unwrap(), [need[0]]);
    assert_eq!(newest(&pair.b.store, &ids).unwrap().len(), 3);
    assert_eq!(items(&pair.a.store, &have).unwrap()[0].1.header.key(), mine);
    pair.b.command(Command::Put { key: changed, base: None, scenario: scenario(504, 2) });
    assert_eq!(given(&pair), 1);
    assert_eq!(newest(&pair.b.store, &ids).unwrap().len(), 2);
}
