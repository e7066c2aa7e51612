//! What the local API says of itself, against what it does: each method's parameters and answer fit its schema, and its types lose
//! nothing of them.

// The helpers of tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod raw;
mod schema;

use std::collections::BTreeSet;

use once::ErrorKind;
use once::api::Client;
use once::api::contract::*;
use raw::*;
use serde_json::{Value, json};

/// Methods whose answers are not seen here, and why.
const UNSEEN: [(&str, &str); 3] = [
    ("quarantine.end", "it needs a data directory that was put back"),
    ("ran", "it needs a program that is asked: tests/serving has some"),
    ("worked", "the same"),
];

/// A client that compares what is said with the contract.
struct Checked {
    client: Client,
    schema: Value,
    seen: BTreeSet<&'static str>,
}

impl Checked {
    async fn connect(data: &std::path::Path) -> Self {
        let client = Client::connect(data).await.unwrap().unwrap();
        Self { client, schema: json_schema(), seen: BTreeSet::new() }
    }

    /// One call. What is sent and what comes back fits the schema, and reading and writing it again changes nothing.
    async fn ask<M: Method>(&mut self, params: M) -> M::Result {
        let params = serde_json::to_value(&params).unwrap();
        let of = |what: &str| self.schema["methods"][M::NAME][what].clone();
        self.fits(&of("params"), &params, M::NAME);
        let answer = within(M::NAME, self.client.call(M::NAME, params.clone())).await;
        let answer = answer.unwrap_or_else(|error| panic!("{} {params}: {error:?}", M::NAME));
        self.fits(&of("result"), &answer, M::NAME);
        let read: M::Result = serde_json::from_value(answer.clone()).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), answer, "{}", M::NAME);
        self.seen.insert(M::NAME);
        read
    }

    fn fits(&self, schema: &Value, value: &Value, what: &str) {
        if let Err(why) = schema::fits(&self.schema, schema, value) {
            panic!("{what}: {why}\n{value:#}");
        }
    }
}

fn create(component: &str, model: Value) -> Create {
    Create { component: component.into(), model: Some(model), ..Create::default() }
}

fn act(object: &str, name: &str, arguments: Value) -> Act {
    Act { object: object.into(), name: name.into(), arguments: Some(arguments), ..Act::default() }
}

fn import(text: String) -> Import {
    Import { scenarios: vec![ImportText { text, source: Some("a file".into()), over: None }] }
}

fn kept(result: ImportResult) -> ImportedInfo {
    match result.results.into_iter().next() {
        Some(ImportInfo::Kept(kept)) => *kept,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_method_takes_and_answers_what_its_schema_says() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, bob) = pair(dir.path()).await;
        alice.serve_api().await.unwrap();
        bob.serve_api().await.unwrap();
        let mut a = Checked::connect(&dir.path().join("alice")).await;
        let mut b = Checked::connect(&dir.path().join("bob")).await;
        kernels(&mut a).await;
        objects(&mut a).await;
        actions(&mut a).await;
        conflicts(&mut a).await;
        pages_of_conflicts(&mut a).await;
        peers(&mut a).await;
        for (checked, peer) in [(&mut a, "bob"), (&mut b, "alice")] {
            let peer = Some(peer.to_owned());
            for right in [Right::Read, Right::Act, Right::Host] {
                checked.ask(Grant { peer: peer.clone(), right, ..Grant::default() }).await;
            }
        }
        travelling(&mut a, &mut b).await;
        serving(&mut a).await;
        let begins = a.ask(Listen { since: Some("start".into()), ..Listen::default() }).await;
        let page = a.ask(Events { after: Some(begins.cursor), limit: Some(1), ..Events::default() }).await;
        a.ask(Events { after: page.next, limit: Some(10_000), ..Events::default() }).await;
        b.ask(Stop {}).await;
        let seen: BTreeSet<_> = a.seen.union(&b.seen).copied().chain(UNSEEN.map(|(name, _)| name)).collect();
        let all: BTreeSet<_> = METHODS.iter().map(|method| method.name).collect();
        assert_eq!(seen, all);
    });
}

async fn kernels(a: &mut Checked) {
    assert_eq!(a.ask(Hello {}).await.name, "alice");
    assert!(a.ask(Status {}).await.takes_writes);
    assert!(!a.ask(Doctor { all: true }).await.checks.is_empty());
    a.ask(Survey { after: None }).await;
    a.ask(ConfirmLosses {}).await;
    a.ask(ClockAccept {}).await;
    assert!(a.ask(Quarantine {}).await.quarantine.is_none());
    a.ask(Retire { timeout_ms: Some(1000), ..Retire::default() }).await;
}

async fn objects(a: &mut Checked) {
    let imported = kept(a.ask(import(note(1, "a note"))).await);
    assert_eq!((imported.change.change, imported.change.claimed), (ChangeKind::New, false));
    let broken = a.ask(import("{".into())).await;
    assert!(
        matches!(broken.results.as_slice(), [ImportInfo::Refused { error }] if error.code.kind() == ErrorKind::Invalid)
    );
    let object = imported.change.object.key;
    assert!(a.ask(Claim { object: object.clone() }).await.claimed);
    let put = Put { object: imported.change.object.uuid.clone(), text: note(1, "another"), base: None };
    let object = a.ask(put).await.object;
    assert_eq!((object.revision, object.state), (2, ObjectState::Home));
    let named = || object.uuid.clone();
    assert_eq!(
        a.ask(Get { object: named(), bytes: None, revision: None }).await.text,
        Some(note(1, "another"))
    );
    assert_eq!(a.ask(Get { object: named(), bytes: Some(false), revision: None }).await.text, None);
    let same = a.ask(Get { object: named(), bytes: None, revision: Some(2) }).await;
    assert_eq!((same.object.revision, same.kept), (2, vec![]));
    let earlier = a.client.ask(Get { object: named(), bytes: None, revision: Some(1) }).await.unwrap_err();
    assert_eq!(earlier.kind(), once::ErrorKind::NotFound);
    assert!(a.ask(Path { object: named() }).await.verified);
    a.ask(Refs { object: named() }).await;
    let state = Some(ObjectState::Home);
    let list = List { component: Some("Note".into()), state, limit: Some(1), ..List::default() };
    assert_eq!(a.ask(list).await.objects.len(), 1);
    let list = List { name: Some("*".into()), sort: Sort::Changed, ..List::default() };
    a.ask(list).await;
    let condition = FindCondition { pointer: "/model/text".into(), value: json!("another") };
    let find = Find { component: Some("Note".into()), conditions: vec![condition], ..Find::default() };
    assert_eq!(a.ask(find).await.objects.len(), 1);
    assert_eq!(a.ask(Remove { object: named(), read_only: false }).await.change, ChangeKind::Removed);
    assert!(a.ask(Get { object: object.key, bytes: None, revision: None }).await.object.tombstone);
}

async fn actions(a: &mut Checked) {
    let counter = a.ask(create("Counter", json!({ "count": 0 }))).await.object;
    let done = a.ask(act(&counter.ior, "add", json!({ "by": 1 }))).await;
    assert_eq!((done.status, done.claimed), (ActionStatus::Done, Some(false)));
    assert_eq!(done.done.unwrap().result, 1);
    let understood = a.ask(Actions { object: counter.ior.clone() }).await;
    assert_eq!((understood.component.as_str(), understood.known), ("Counter", once::ActionsKnown::Component));
    let add = understood.actions.iter().find(|action| action.name == "add").unwrap();
    assert_eq!(add.arguments.as_ref().unwrap()["properties"]["by"]["type"], "integer");
    let later = Act { no_wait: true, ..act(&counter.ior, "get", Value::Null) };
    assert_eq!(a.ask(later).await.status, ActionStatus::Accepted);
    a.ask(Outcome { id: done.id }).await;
    // It had run: the answer is what came of it.
    let cancel = Cancel { id: done.id, timeout_ms: None, no_wait: false };
    assert_eq!(a.ask(cancel).await.status, ActionStatus::Done);
    assert_eq!(a.ask(Receipt { id: done.id, timeout_ms: None }).await.outcome.unwrap(), "done");
    assert!(a.ask(Receipts { object: counter.key.clone(), after: None }).await.receipts.len() > 1);
    let history = History { object: counter.key, newest_first: true, limit: Some(1), ..History::default() };
    let history = a.ask(history).await;
    assert_eq!((history.entries.len(), history.next.is_some(), history.broken), (1, true, None));
    let (from, to) = (
        a.ask(create("Account", json!({ "balance": 10 }))).await.object.ior,
        a.ask(create("Account", json!({ "balance": 0 }))).await.object.ior,
    );
    let amount = json!({ "amount": 7 });
    let plan = json!({ "mode": "sequence", "steps": [
        { "name": "take", "ior": from, "action": "withdraw", "arguments": amount,
          "compensation": { "action": "deposit", "arguments": amount } },
        { "name": "give", "ior": to, "action": "deposit", "arguments": amount },
    ] });
    let coordinate = Coordinate { plan: Some(plan), wait: true, ..Coordinate::default() };
    let done = a.ask(coordinate).await;
    assert_eq!(done.state, once::RunState::Done);
    assert!(a.ask(Outcome { id: done.id }).await.coordination.is_some());
    for named in [done.id.to_string(), done.object.uuid.clone()] {
        let same = a.ask(Coordination { coordination: named, wait: true, timeout_ms: Some(1000) }).await;
        assert_eq!((same.id, same.started_ms.is_some(), same.ended_ms.is_some()), (done.id, true, true));
        assert!(same.steps.iter().all(|step| step.times.answered_ms >= step.times.asked_ms));
        assert!(same.steps.iter().all(|step| step.times.asked_ms >= same.started_ms));
    }
    let plan = json!({ "name": "again", "mode": "all", "steps": [
        { "name": "too much", "ior": from, "action": "withdraw", "arguments": { "amount": 99 } },
    ] });
    let failed = a.ask(Coordinate { plan: Some(plan), wait: true, ..Coordinate::default() }).await;
    assert_eq!(failed.state, once::RunState::Compensated);
    let all = a.ask(Coordinations::default()).await;
    let of = |id| all.coordinations.iter().find(|one| one.id == id).unwrap();
    assert_eq!((of(done.id).done, of(done.id).steps, of(done.id).name.as_deref()), (2, 2, None));
    assert_eq!((of(failed.id).done, of(failed.id).name.as_deref()), (0, Some("again")));
    let state = Some(once::RunState::Compensated);
    let some = a.ask(Coordinations { state, ..Coordinations::default() }).await.coordinations;
    assert_eq!(some.iter().map(|one| one.id).collect::<Vec<_>>(), [failed.id]);
    let first = a.ask(Coordinations { limit: Some(1), ..Coordinations::default() }).await;
    let rest = Coordinations { after: first.next.clone(), ..Coordinations::default() };
    let rest = a.ask(rest).await;
    assert_eq!((first.coordinations.len(), rest.coordinations.len(), rest.next), (1, 1, None));
    assert_ne!(first.coordinations[0].id, rest.coordinations[0].id);
    assert_eq!(a.ask(Status {}).await.in_doubt, 0);
}

/// Two files that were changed beside their object: one is kept, one is dropped.
async fn conflicts(a: &mut Checked) {
    for n in [2, 3] {
        let object = kept(a.ask(import(note(n, "first"))).await).change.object.uuid;
        let put = Put { object: object.clone(), text: note(n, "changed here"), base: None };
        a.ask(put).await;
        let beside = kept(a.ask(import(note(n, "changed there"))).await);
        assert_eq!(beside.change.change, ChangeKind::KeptBeside);
        let listed = a.ask(Conflicts::default()).await.conflicts;
        let [conflict] = listed.as_slice() else { panic!("{listed:?}") };
        assert_eq!((conflict.reason, conflict.objects.len()), (ConflictReason::Forked, 2));
        let kept = conflict.objects.iter().find(|version| version.beside.is_some()).unwrap();
        assert!(kept.beside.as_ref().unwrap().difference.is_some());
        let revision = kept.object.revision_id.clone();
        let change = match n {
            2 => a.ask(ConflictsKeep { object, revision }).await.change,
            _ => a.ask(ConflictsDrop { object, revision }).await.change,
        };
        assert!(matches!(change, ChangeKind::Changed | ChangeKind::Resolved), "{change:?}");
    }
}

/// Two objects that share a UUID with others are two conflicts, on two pages.
async fn pages_of_conflicts(a: &mut Checked) {
    for n in [5, 6] {
        for text in ["one", "other"] {
            a.ask(Import { scenarios: vec![ImportText { text: note(n, text), ..ImportText::default() }] })
                .await;
        }
    }
    let first = a.ask(Conflicts { after: None, limit: Some(1) }).await;
    let second = a.ask(Conflicts { after: first.next.clone(), limit: Some(1) }).await;
    let all = a.ask(Conflicts::default()).await;
    assert_eq!((first.conflicts.len(), second.conflicts.len(), all.conflicts.len()), (1, 1, 2));
    assert!(first.next.is_some() && second.next.is_none() && all.next.is_none());
    assert_ne!(first.conflicts[0].uuid, second.conflicts[0].uuid);
    assert_eq!(first.conflicts[0].reason, ConflictReason::SameUuid);
}

async fn peers(a: &mut Checked) {
    let invite = a.ask(Invite { name: Some("carol".into()), expires_s: None }).await;
    assert!(a.ask(Invites {}).await.invites.iter().any(|listed| listed.state == InviteState::Open));
    a.ask(InvitesRevoke { invite: invite.id }).await;
    let kernel = once::model::sign::KernelKey::from_bytes(&[7; 32]).id().to_string();
    let addresses = vec!["127.0.0.1:9".to_owned()];
    a.ask(PeersAdd { kernel: kernel.clone(), addresses, name: Some("nobody".into()) }).await;
    a.ask(PeersSet { peer: "nobody".into(), quota_bytes: Some(1), ..PeersSet::default() }).await;
    assert_eq!(a.ask(Peers {}).await.peers.len(), 2);
    let grant = Grant { peer: Some("nobody".into()), component: Some("Note".into()), ..Grant::default() };
    assert_eq!(a.ask(grant).await.grants.len(), 1);
    let granted = a.ask(Grants {}).await.grants;
    assert!(granted.iter().any(|grant| grant.scope == GrantScope::Component));
    let revoke = Revoke { peer: Some("nobody".into()), component: Some("Note".into()), ..Revoke::default() };
    assert!(a.ask(revoke).await.grants.is_empty());
    // What waits for a kernel that never comes.
    let note = kept(a.ask(import(note(4, "for nobody"))).await).change.object;
    let share = Share {
        objects: vec![note.key.clone()],
        to: "nobody".into(),
        timeout_ms: Some(100),
        ..Share::default()
    };
    assert_eq!(a.ask(share).await.shared, 1);
    a.ask(Claim { object: note.key.clone() }).await;
    let to = "nobody".to_owned();
    let wish = Move { objects: vec![note.uuid.clone()], to: to.clone(), ..Move::default() };
    assert!(matches!(a.ask(wish).await, MoveResult::Done(done) if done.waiting == 1));
    assert_eq!(a.ask(Moves {}).await.moves.len(), 1);
    assert!(a.ask(MovesWithdraw { object: note.uuid }).await.stays);
    assert!(!a.ask(Outbox {}).await.owed.is_empty());
    dead_letters(a).await;
    let drop = OutboxDrop { peer: Some(to), ..OutboxDrop::default() };
    assert!(matches!(a.ask(drop).await, OutboxDropResult::Debts(debts) if debts.given_up >= 1));
    a.ask(PeersRemove { peer: "nobody".into() }).await;
}

/// A share for a kernel that never comes is one; it can be tried again, and given up.
async fn dead_letters(a: &mut Checked) {
    assert_eq!(a.ask(DeadLetters::default()).await.total, 0, "nothing has waited for an hour");
    let all = || DeadLetters { older_than_ms: Some(0), ..DeadLetters::default() };
    let first = a.ask(DeadLetters { limit: Some(1), ..all() }).await;
    let [letter] = first.letters.as_slice() else { panic!("{first:?}") };
    assert_eq!((letter.kind, letter.reason), (once::DeadLetterKind::Share, once::DeadLetterReason::TooOld));
    assert_eq!(letter.reach.as_ref().unwrap().peer, "nobody");
    let rest = a.ask(DeadLetters { after: first.next.clone(), ..all() }).await;
    assert_eq!(rest.letters.len() + usize::from(first.next.is_some()), first.total);
    let ids = || vec![letter.id.clone()];
    let retried = a.ask(DeadLettersRetry { ids: ids(), ..DeadLettersRetry::default() }).await.results;
    assert!(retried[0].done && retried[0].message.contains("is called now"), "{retried:?}");
    let dropped = a.ask(DeadLettersDrop { ids: ids(), ..DeadLettersDrop::default() }).await.results;
    assert!(dropped[0].done, "{dropped:?}");
    let again = a.ask(DeadLettersDrop { ids: ids(), ..DeadLettersDrop::default() }).await.results;
    assert!(!again[0].done && again[0].hint.is_some(), "{again:?}");
    let wrong = a.client.ask(DeadLettersDrop::default()).await.unwrap_err();
    assert_eq!(wrong.kind(), once::ErrorKind::Usage);
    assert!(a.ask(Outbox {}).await.owed.is_empty());
    // What follows wants something to be owed.
    let note = a.ask(List { name: None, ..List::default() }).await.objects.remove(0).key;
    let share = Share { objects: vec![note], to: "nobody".into(), timeout_ms: Some(100), ..Share::default() };
    assert_eq!(a.ask(share).await.shared, 1);
}

async fn travelling(a: &mut Checked, b: &mut Checked) {
    a.ask(PeersDial { peer: "bob".into(), timeout_ms: None }).await;
    let counter = a.ask(create("Counter", json!({ "count": 0 }))).await.object;
    let shared =
        Share { objects: vec![counter.key.clone()], to: "bob".into(), delivered: true, ..Share::default() };
    assert_eq!(a.ask(shared).await.delivered, 1);
    let request = Request { object: counter.ior.clone(), from: None, keep: Some(false), timeout_ms: None };
    assert!(!b.ask(request).await.kept);
    assert!(a.ask(Exchange { with: "bob".into(), timeout_ms: None }).await.compared > 0);
    b.ask(Follow { object: counter.ior.clone(), from: None }).await;
    assert_eq!(b.ask(Follows {}).await.following.len(), 1);
    b.ask(Unfollow { object: counter.ior.clone(), from: None }).await;
    assert_eq!(b.ask(act(&counter.ior, "add", json!({ "by": 2 }))).await.status, ActionStatus::Done);
    // The list comes from the object's home, so that it is right also for who does not have the component.
    let mistyped = b.client.ask(act(&counter.ior, "ad", json!({ "by": 2 }))).await.unwrap_err();
    assert_eq!(mistyped.kind(), once::ErrorKind::Failed);
    assert!(mistyped.message().contains("Did you mean 'add'? It understands: add, get"), "{mistyped}");
    let wish = Move { objects: vec![counter.key.clone()], to: "bob".into(), wait: true, ..Move::default() };
    let dry = Move { dry_run: true, ..wish.clone() };
    assert!(matches!(a.ask(dry).await, MoveResult::Plan(plan) if plan.objects == [counter.key.as_str()]));
    assert!(matches!(a.ask(wish).await, MoveResult::Done(done) if done.moved == [counter.key.as_str()]));
    let dry = Drain { to: "bob".into(), dry_run: true, ..Drain::default() };
    assert!(matches!(a.ask(dry).await, DrainResult::Plan(plan) if plan.dry_run));
    let drain = Drain { to: "bob".into(), timeout_ms: Some(30_000), ..Drain::default() };
    assert!(matches!(a.ask(drain).await, DrainResult::Done(_)));
    a.ask(DrainCancel { to: None }).await;
    // A peer that is one already: the ticket is as good as for a newcomer.
    let ticket = a.ask(Invite::default()).await.ticket;
    b.ask(Join { ticket, name: None, timeout_ms: None }).await;
}

async fn serving(a: &mut Checked) {
    let serve = Serve { component: "Lamp".into(), version: "1.0".into(), ..Serve::default() };
    assert_eq!(a.ask(serve).await.component, "Lamp");
    a.ask(ServeActivity { name: "mail".into() }).await;
    assert_eq!(a.ask(Status {}).await.served.len(), 1);
    a.ask(Unserve { component: "Lamp".into() }).await;
}
