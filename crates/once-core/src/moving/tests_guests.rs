//! Stories of guests: objects that moved in have none of the rights of the kernel that they live on.

use once_model::action::Outcome;
use once_model::ids::{KernelId, ObjectKey};
use once_model::moving::Guest;
use once_model::wire::{Code, Frame};

use crate::access::{Grant, Right, Scope};
use crate::object;
use crate::testing::{Alone, Several};
use crate::waist::{Answer, Call, Command, Consequence, RunResult, Then};

const A: usize = 0;
const B: usize = 1;
const H: usize = 2;

/// A claimed object of a kernel.
fn claimed(kernel: &mut Alone, n: u128, component: &str) -> ObjectKey {
    let key = kernel.object(n, component);
    let token = kernel.command(Command::Claim { key });
    match &kernel.answered[&token] {
        Answer::Object { header, .. } => header.key(),
        other => panic!("{other:?}"),
    }
}

/// Three peers. A puppet of A, which may move to B and back, and a paper of H.
fn three() -> (Several, ObjectKey, ObjectKey) {
    let mut net = Several::strangers(3);
    net.befriend(&[A, B, H]);
    let puppet = claimed(&mut net.kernels[A], 1, "Puppet");
    let paper = claimed(&mut net.kernels[H], 2, "Paper");
    for (host, from) in [(B, A), (A, B)] {
        let from = net.id(from);
        net.kernels[host].grant(from, Right::Host, Scope::Kernel);
    }
    (net, puppet, paper)
}

fn go(net: &mut Several, from: usize, to: usize, key: ObjectKey) {
    let target = net.id(to);
    net.kernels[from].command(Command::Move {
        key,
        to: target,
        leave_calls: false,
        wait: false,
        without_me: false,
    });
    net.settle();
    assert_eq!(object::head(&net.kernels[to].store, &key).unwrap().unwrap().home, Some(target));
}

/// The right to act on an object, for another object.
fn for_object(net: &mut Several, at: usize, on: ObjectKey, whose: (KernelId, ObjectKey)) -> Grant {
    let grant = Grant {
        scope: Scope::Object(on),
        right: Right::Act,
        kernel: whose.0,
        object: Some(whose.1),
        expires_ms: None,
        actions: None,
    };
    net.kernels[at].command(Command::Grant(grant.clone()));
    grant
}

/// The puppet at a kernel acts on a paper. What it was told of that.
fn acts(net: &mut Several, at: usize, puppet: ObjectKey, (paper, home): (ObjectKey, usize)) -> String {
    let call = Call {
        key: paper,
        at: Some(net.id(home)),
        name: "write".into(),
        arguments: "5".into(),
        given: Vec::new(),
        deadline_ms: None,
        then: Some(Then { action: "told".into(), with: "1".into() }),
    };
    says(&mut net.kernels[at], vec![Consequence::Act(call)]);
    let n = net.kernels[at].tokens + 1000;
    net.kernels[at].act(puppet, n);
    net.settle();
    let seen = net.kernels[at].desk.seen.lock().unwrap();
    let told = seen.iter().rev().find(|run| run.action.answers.is_some());
    told.map(|run| String::from_utf8_lossy(&run.action.arguments).into_owned()).unwrap_or_default()
}

fn says(kernel: &mut Alone, consequences: Vec<Consequence>) {
    let result = RunResult::Done { state: None, result: "1".into(), consequences };
    kernel.desk.says.lock().unwrap().push_back(result);
}

fn is_done(told: &str) -> bool {
    told.contains("\"status\":\"done\"")
}

fn is_denied(told: &str) -> bool {
    told.contains("\"code\":\"denied\"")
}

fn shown(net: &Several) -> usize {
    net.heard.iter().filter(|(.., frame)| matches!(frame, Frame::Guest(_))).count()
}

#[test]
fn an_object_has_its_own_rights_and_not_its_hosts_wherever_it_lives() {
    let (mut net, puppet, paper) = three();
    let (a, b) = (net.id(A), net.id(B));
    // At home it acts by the right of its kernel.
    assert!(is_denied(&acts(&mut net, A, puppet, (paper, H))));
    net.kernels[H].may_act(a);
    assert!(is_done(&acts(&mut net, A, puppet, (paper, H))));
    assert_eq!(shown(&net), 0);
    // As a guest it does not act by that of its host, which may do everything.
    net.kernels[H].may_act(b);
    go(&mut net, A, B, puppet);
    assert!(is_denied(&acts(&mut net, B, puppet, (paper, H))));
    assert_eq!(shown(&net), 1);
    let grant = for_object(&mut net, H, paper, (a, puppet));
    assert!(
        is_done(&acts(&mut net, B, puppet, (paper, H))),
        "it was granted to the object, when that was elsewhere"
    );
    assert!(is_done(&acts(&mut net, B, puppet, (paper, H))));
    assert_eq!(shown(&net), 1, "once on a connection");
    net.restart(H);
    assert!(is_done(&acts(&mut net, B, puppet, (paper, H))));
    assert_eq!(shown(&net), 2);
    net.kernels[H].command(Command::Revoke(grant));
    assert!(is_denied(&acts(&mut net, B, puppet, (paper, H))));
}

#[test]
fn who_comes_back_is_a_guest_where_it_was_born() {
    let (mut net, puppet, paper) = three();
    let a = net.id(A);
    net.kernels[H].may_act(a);
    let own = claimed(&mut net.kernels[A], 3, "Paper");
    assert!(is_done(&acts(&mut net, A, puppet, (own, A))));
    go(&mut net, A, B, puppet);
    go(&mut net, B, A, puppet);
    for place in [(paper, H), (own, A)] {
        assert!(is_denied(&acts(&mut net, A, puppet, place)));
        for_object(&mut net, place.1, place.0, (a, puppet));
        assert!(is_done(&acts(&mut net, A, puppet, place)));
    }
    // Its clients go on as before.
    let token = net.kernels[A].act_named(own, "write", 77);
    net.settle();
    assert!(matches!(net.kernels[A].outcome(token), Some(Outcome::Done(_))));
}

#[test]
fn a_guest_of_a_kernel_that_goes_away_and_back_is_shown_anew() {
    let (mut net, puppet, paper) = three();
    let a = net.id(A);
    for_object(&mut net, H, paper, (a, puppet));
    go(&mut net, A, B, puppet);
    assert!(is_done(&acts(&mut net, B, puppet, (paper, H))));
    go(&mut net, B, A, puppet);
    assert!(is_done(&acts(&mut net, A, puppet, (paper, H))));
    go(&mut net, A, B, puppet);
    assert!(is_done(&acts(&mut net, B, puppet, (paper, H))), "its chain has grown on the same connection");
}

#[test]
fn what_a_guest_makes_is_a_guest() {
    let (mut net, puppet, paper) = three();
    let b = net.id(B);
    net.kernels[H].may_act(b);
    go(&mut net, A, B, puppet);
    let child = |n: u128, with: &str| {
        let id = once_model::ids::Uuid::from_u128(n);
        once_model::scenario::Scenario::compose(id, "Puppet", "1", "me", with).unwrap()
    };
    let made = |net: &mut Several, maker: ObjectKey, n: u128| {
        let scenario = child(n, "{}");
        let copy = object::unclaimed(&scenario).key();
        says(&mut net.kernels[B], vec![Consequence::Create(scenario)]);
        net.kernels[B].act(maker, 500 + u64::try_from(n).unwrap());
        net.settle();
        object::current_key(&net.kernels[B].store, &copy).unwrap()
    };
    let first = made(&mut net, puppet, 50);
    let second = made(&mut net, first, 51);
    let host = claimed(&mut net.kernels[B], 4, "Puppet");
    let third = made(&mut net, host, 52);
    for (maker, is_guest) in [(first, true), (second, true), (third, false)] {
        assert_eq!(object::head(&net.kernels[B].store, &maker).unwrap().unwrap().is_guest(), is_guest);
        let told = acts(&mut net, B, maker, (paper, H));
        assert_eq!((is_denied(&told), is_done(&told)), (is_guest, !is_guest), "{told}");
    }
    net.restart(B);
    assert!(is_denied(&acts(&mut net, B, second, (paper, H))));
    // It has grants of its own, like any guest.
    for_object(&mut net, H, paper, (b, second));
    assert!(is_done(&acts(&mut net, B, second, (paper, H))));
}

/// What was asked of a home whose frames the test writes.
fn outcome(net: &mut Several, act: once_model::action::Act, shown: Option<Guest>) -> Outcome {
    let (b, h) = (net.id(B), H);
    let conn = net.kernels[h].engine.peers.links[&b].up().unwrap();
    if let Some(guest) = shown {
        net.kernels[h].says(b, conn, Frame::Guest(Box::new(guest)));
    }
    let said = net.kernels[h].says(b, conn, Frame::Act(act)).to_vec();
    let outcome = said.into_iter().find_map(|frame| match frame {
        Frame::Outcome(told) => Some(told.outcome),
        _ => None,
    });
    outcome.unwrap()
}

#[test]
fn a_host_that_lies_about_a_guest_gets_nothing_for_it() {
    let denied = Outcome::Refused(Code::Denied);
    let (mut net, puppet, paper) = three();
    let a = net.id(A);
    for_object(&mut net, H, paper, (a, puppet));
    let chain = |net: &Several, at: usize| {
        object::chain(&net.kernels[at].store, &puppet.lineage().unwrap()).unwrap().unwrap()
    };
    let act = |sequence, guest| {
        let mut act = crate::testing::asked(paper, sequence, "1".into());
        act.floor = sequence;
        (act.action.acting, act.guest) = (Some(puppet), guest);
        act
    };
    // It does not live at B: its chain does not end there.
    let old = Guest { key: puppet, chain: chain(&net, A) };
    assert_eq!(outcome(&mut net, act(1, Some(true)), Some(old.clone())), denied);
    // Not even with a chain that ends there, and that nobody at A has signed.
    let mut made_up = chain(&net, A);
    let (life, b) = (made_up.incarnation(), net.id(B));
    made_up.links.push(once_model::certificate::Certificate {
        lineage: puppet.lineage().unwrap(),
        epoch: 2,
        kind: once_model::certificate::CertificateKind::Handoff,
        home: b,
        incarnation: life,
        base: made_up.certificate(),
        base_revision: 1,
        base_id: made_up.certificate(),
        signer: a,
        signature: None,
        tip: None,
        luggage: Some(made_up.certificate()),
        refusal: None,
        naming: None,
        acceptance: None,
    });
    assert_eq!(outcome(&mut net, act(2, Some(true)), Some(Guest { key: puppet, chain: made_up })), denied);
    go(&mut net, A, B, puppet);
    assert_eq!(outcome(&mut net, act(3, Some(true)), None), denied, "it was not shown");
    let true_one = Guest { key: puppet, chain: chain(&net, B) };
    let other = Guest { key: ObjectKey { uuid: paper.uuid, ..puppet }, ..true_one.clone() };
    assert_eq!(outcome(&mut net, act(4, Some(true)), Some(other)), denied, "of another object");
    assert_eq!(outcome(&mut net, act(5, None), Some(true_one.clone())), denied, "the mark is left out");
    assert_eq!(outcome(&mut net, act(6, Some(true)), Some(true_one)), Outcome::Done("1".into()));
    // From here on it is known where it is.
    assert_eq!(outcome(&mut net, act(7, None), None), denied, "the mark is left out");
    go(&mut net, B, A, puppet);
    assert!(is_done(&acts(&mut net, A, puppet, (paper, H))));
    assert_eq!(outcome(&mut net, act(7, Some(true)), None), denied, "it is there no more");
    let stale = Guest { key: puppet, chain: chain(&net, A).up_to(&old.chain.certificate()) };
    assert_eq!(outcome(&mut net, act(8, Some(true)), Some(stale)), denied);
}

/// Who does not know what a guest is would take it for its host.
#[test]
fn a_guest_asks_nothing_of_who_takes_it_for_its_host() {
    let mut kernel = Alone::kernel(1);
    let puppet = claimed(&mut kernel, 1, "Puppet");
    kernel.step(|s| {
        let mut head = object::head(s.txn, &puppet)?.unwrap();
        head.guest = Some(true);
        s.txn.put(crate::store::Table::Head, &puppet.to_row(), &head);
        Ok(())
    });
    let peer = kernel.befriend(9);
    kernel.greets(9, 1);
    let call = Call {
        key: ObjectKey { uuid: once_model::ids::Uuid::from_u128(9), ..puppet },
        at: Some(peer),
        name: "write".into(),
        arguments: "5".into(),
        given: Vec::new(),
        deadline_ms: None,
        then: None,
    };
    says(&mut kernel, vec![Consequence::Act(call)]);
    kernel.sent.clear();
    kernel.act(puppet, 1);
    let sent = kernel.sent.iter().find_map(|frame| match frame {
        Frame::Act(act) => Some((act.void, act.remaining_ms, act.guest)),
        _ => None,
    });
    assert_eq!(sent, Some((Some(Code::Denied), Some(0), Some(true))));
}
