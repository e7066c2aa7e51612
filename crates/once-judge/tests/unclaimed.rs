//! Copies that were imported, and what becomes of them.
#![allow(clippy::unwrap_used)]

mod support;

use once_judge::Check;
use once_judge::seen::*;
use once_model::action::{LaneName, client_id};
use once_model::certificate::{Chain, Genesis};
use once_model::header::Header;
use once_model::ids::{Hash, Line, ObjectKey, Uuid};
use once_model::wire::{Code, Frame};
use support::*;

fn copy(uuid: u128) -> (Header, State) {
    let (state, _) = state(Uuid::from_u128(uuid), 0);
    let header = Header {
        uuid: state.uuid,
        lineage: None,
        epoch: 0,
        revision: 0,
        certificate: None,
        parent: None,
        content: state.content,
        size: state.size,
        tombstone: false,
        component: "Counter".into(),
        version: "1.0".into(),
        cause: None,
        signature: None,
        entry: None,
    };
    (header, state)
}

/// B has imported a copy, and A may act on everything.
fn world(from: Option<usize>) -> (World, Header, State) {
    let mut world = World::pair();
    world.grant(B, A, Right::Act, Scope::All);
    let (header, state) = copy(40);
    let from = from.map(|k| world.k[k].id);
    if from.is_none() {
        let token = world.number();
        world.see(B, Seen::Client { token, ask: Ask::Import(state.clone()) });
        let kept = Kept { header: header.clone(), chain: None, from, beside: false };
        world.see(B, Seen::Kept(Box::new(kept)));
        world.see(B, Seen::Durable);
        world.see(B, Seen::Answered { token, answer: Ok(Reply::Done) });
    } else {
        let kept = Kept { header: header.clone(), chain: None, from, beside: false };
        world.see(B, Seen::Kept(Box::new(kept)));
    }
    world.right();
    (world, header, state)
}

/// The claim of the copy by B, as its entry.
fn claim(world: &World, header: &Header, state: &State) -> (ObjectKey, Recorded) {
    let mut recorded = world.creates(B, state, client_id(T0, &[8; 10]));
    let key = recorded.entry.object;
    let base = header.id();
    let arguments = format!("{{\"base\":\"{base}\",\"content\":\"{}\"}}", state.content);
    recorded.entry.action = built_in(recorded.entry.id, "once:claim", arguments).hash(&key.uuid);
    recorded.entry.before = base;
    let revised = recorded.revision.as_mut().unwrap();
    revised.header.entry = Some(recorded.entry.hash());
    (key, recorded)
}

fn asked(world: &mut World, case: &Case, object: ObjectKey, base: Hash) {
    let asked = Asked {
        run: case.run,
        object,
        base,
        origin: world.k[A].id,
        incarnation: world.k[A].incarnation,
        sequence: case.sequence,
        action: case.action.clone(),
    };
    world.see(B, Seen::Asked(Box::new(asked)));
}

#[test]
fn the_first_change_claims_it() {
    let (mut world, header, state) = world(None);
    let old = header.key();
    let case = world.act(old, 1, "add");
    asked(&mut world, &case, old, header.id());
    world.said(&case, Some(1), vec![]);
    let (key, claim) = claim(&world, &header, &state);
    world.record(B, claim);
    let mut named = case.clone();
    named.lane = LaneName::from(key);
    let mut recorded = world.records(&named, done(), Some(1));
    recorded.lane = case.lane;
    world.record(B, recorded);
    let mut told = world.outcome(&named, done(), true);
    told.lane = case.lane;
    world.pass(B, A, 1, Frame::Outcome(told));
    world.see(A, Seen::Durable);
    world.told(&case, done());
    // Later actions that name the old name go to the new one, in a lane of their own.
    let ask = world.ask(A, B, old, "add");
    let mut second = world.accept(A, B, 1, ask);
    second.lane = LaneName::from(key);
    world.send(&second);
    world.run(&second, Some(2), vec![]);
    world.tell(&second, done(), true);
    world.healed();
    world.right();
}

#[test]
fn it_is_not_changed_before_it_is_claimed() {
    let (mut world, header, state) = world(None);
    let case = world.act(header.key(), 1, "add");
    asked(&mut world, &case, header.key(), header.id());
    world.said(&case, Some(1), vec![]);
    let (key, claim) = claim(&world, &header, &state);
    let thing = Thing { header, chain: claim.revision.unwrap().chain, number: 0, tip: ZERO, entry: None };
    world.k[B].things.insert(key, thing);
    let mut named = case.clone();
    named.lane = LaneName::from(key);
    let mut recorded = world.records(&named, done(), Some(1));
    recorded.lane = case.lane;
    world.record(B, recorded);
    assert!(!world.found.is_empty());
}

#[test]
fn a_copy_of_a_peer_has_no_home() {
    let (mut world, header, _) = world(Some(A));
    let case = world.act(header.key(), 1, "add");
    world.tell(&case, refused(Code::NotHome), false);
    world.right();
    let second = world.ask(A, B, header.key(), "add");
    let mut second = world.accept(A, B, 2, second);
    second.floor = 2;
    world.send(&second);
    asked(&mut world, &second, header.key(), header.id());
    world.wrong(Check::ActAllowed);
}

#[test]
fn a_copy_of_a_peer_is_not_put() {
    let (mut world, header, state) = world(Some(A));
    let ask = Ask::Put { key: header.key(), state, base: None };
    world.refused(B, ask.clone(), Refusal::Unclaimed);
    world.right();
    world.done(B, ask);
    world.wrong(Check::ClientCode);
}

#[test]
fn a_claim_has_the_same_bytes() {
    let (mut world, header, state) = world(None);
    let (_, mut claim) = claim(&world, &header, &state);
    let token = world.number();
    world.see(B, Seen::Client { token, ask: Ask::Claim(header.key()) });
    let revised = claim.revision.as_mut().unwrap();
    revised.header.content = ZERO;
    claim.entry.content = ZERO;
    revised.header.entry = Some(claim.entry.hash());
    world.record(B, claim);
    world.wrong(Check::RevisionFields);
}

#[test]
fn a_grant_goes_along_with_a_claim() {
    let mut world = World::pair();
    let (header, state) = copy(40);
    let kept = Kept { header: header.clone(), chain: None, from: None, beside: false };
    world.see(B, Seen::Kept(Box::new(kept)));
    world.grant(B, A, Right::Act, Scope::Object(header.key()));
    let token = world.number();
    world.see(B, Seen::Client { token, ask: Ask::Claim(header.key()) });
    let (key, claim) = claim(&world, &header, &state);
    world.record(B, claim);
    world.see(B, Seen::Durable);
    world.see(B, Seen::Answered { token, answer: Ok(Reply::Done) });
    let case = world.act(key, 1, "add");
    world.right();
    world.tell(&case, refused(Code::Denied), false);
    world.wrong(Check::DeniedAllowed);
}

#[test]
fn a_copy_of_what_was_claimed_is_known() {
    let (mut world, header, state) = world(None);
    world.grant(B, A, Right::Share, Scope::All);
    let token = world.number();
    world.see(B, Seen::Client { token, ask: Ask::Claim(header.key()) });
    let (_, claim) = claim(&world, &header, &state);
    world.record(B, claim);
    let kept = Kept { header: header.clone(), chain: None, from: Some(world.k[A].id), beside: false };
    world.see(B, Seen::Kept(Box::new(kept)));
    world.wrong(Check::Placed);
}

#[test]
fn a_lineage_takes_over_a_copy_of_a_peer() {
    let (mut world, header, state) = world(Some(A));
    world.grant(B, A, Right::Share, Scope::All);
    let genesis = Genesis {
        uuid: state.uuid,
        home: world.k[A].id,
        recovery: vec![],
        content: state.content,
        nonce: [1; 16],
        incarnation: world.k[A].incarnation,
    };
    let chain = Chain::new(genesis);
    let lineage = Some(chain.genesis.lineage());
    let certificate = Some(chain.certificate());
    let claimed = Header { lineage, epoch: 1, revision: 1, certificate, ..header.clone() };
    let key = claimed.key();
    let kept = Kept { header: claimed, chain: Some(chain), from: Some(world.k[A].id), beside: false };
    world.see(B, Seen::Kept(Box::new(kept)));
    world.right();
    assert!(matches!(key.line, Line::Claimed(_)));
    let case = world.act(header.key(), 1, "add");
    world.tell(&case, refused(Code::NotHome), false);
    world.right();
}

#[test]
fn a_right_that_ends_during_a_run_beside_the_engine_is_looked_at_again() {
    let mut world = World::pair();
    let key = world.create(B, 7);
    let grant = world.grant(B, A, Right::Act, Scope::All);
    let case = world.act(key, 1, "add");
    world.asked(&case);
    world.see(B, Seen::Durable);
    world.done(B, Ask::Revoke(grant));
    world.said(&case, Some(1), vec![]);
    let recorded = world.records(&case, done(), Some(1));
    world.record(B, recorded);
    world.wrong(Check::ActAllowed);
}

#[test]
fn a_source_knows_who_follows() {
    let mut world = World::pair();
    let key = world.create(A, 7);
    world.grant(A, B, Right::Read, Scope::All);
    let from = world.k[A].id;
    world.done(B, Ask::Follow { key, from });
    world.healed();
    world.wrong(Check::FollowDue);
}

/// What is owed under the old name is announced under the new one before its bytes are surely given under that.
#[test]
fn what_is_owed_under_the_old_name_is_not_surely_given_under_the_new_one() {
    let mut world = World::pair();
    let (header, state) = copy(40);
    let kept = Kept { header: header.clone(), chain: None, from: None, beside: false };
    world.see(B, Seen::Kept(Box::new(kept)));
    let (peer, token) = (world.k[A].id, world.number());
    world.done(B, Ask::Share { key: header.key(), to: peer });
    world.see(B, Seen::Client { token, ask: Ask::Claim(header.key()) });
    let (key, claim) = claim(&world, &header, &state);
    world.record(B, claim);
    for _ in 0..3 {
        world.see(B, Seen::Durable);
    }
    let pull = once_model::wire::Pull { key, content: state.content, offset: 0 };
    let pull = Box::new(Frame::Pull(pull));
    world.see(B, Seen::Frame { direction: Direction::In, conn: 1, stream: 4, peer, frame: pull });
    for _ in 0..3 {
        world.see(B, Seen::Durable);
    }
    let absent = Box::new(Frame::Absent(once_model::wire::Absent { call: 0, code: Code::Denied }));
    world.see(B, Seen::Frame { direction: Direction::Out, conn: 1, stream: 4, peer, frame: absent });
    world.right();
}
