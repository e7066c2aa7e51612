//! Who may do what: docs/protocol.md, 5.5, *Rights*. Each rule with the act that it allows and the one that it does not.

use once_model::ids::{KernelId, Line, ObjectKey, Uuid};
use once_model::limits::{GRANT_ACTIONS_MAX, NAME_MAX_BYTES};
use once_model::wire::{Code, Frame};

use super::{Actor, Grant, Reader, Right, Scope, is_peer, may_act, may_host, may_read, may_share, reaches};
use crate::object::{chain, head};
use crate::peers::{self, PeerRow, PeerStatus};
use crate::refusal::Refusal;
use crate::store::Table;
use crate::testing::{Alone, NOW_MS};
use crate::waist::{Command, Input, Timer};

/// A kernel with peers 8 and 9 and two objects.
fn home() -> (Alone, KernelId, KernelId, ObjectKey, ObjectKey) {
    let mut kernel = Alone::new();
    let (peer, other) = (kernel.befriend(9), kernel.befriend(8));
    let (paper, open) = (kernel.object(1, "Paper"), kernel.object(2, "Open"));
    (kernel, peer, other, paper, open)
}

fn grant(kernel: KernelId, right: Right, scope: Scope) -> Grant {
    Grant { scope, right, kernel, object: None, expires_ms: None, actions: None }
}

fn may(kernel: &Alone, actor: Actor<'_>, key: &ObjectKey, action: &str) -> bool {
    let head = head(&kernel.store, key).unwrap().unwrap();
    may_act(&kernel.store, &kernel.ctx.me, actor, &head, action, kernel.ctx.now_ms).unwrap()
}

fn of(kernel: &KernelId) -> Actor<'_> {
    Actor { kernel, object: None, guest: false }
}

fn finds(kernel: &Alone, peer: &KernelId, key: &ObjectKey) -> bool {
    let head = head(&kernel.store, key).unwrap().unwrap();
    let reader = Reader::new(&kernel.store, peer, kernel.ctx.now_ms).unwrap();
    reader.is_some_and(|reader| reader.may_find(&kernel.store, &head).unwrap())
}

fn reads(kernel: &Alone, peer: &KernelId, key: &ObjectKey) -> bool {
    let head = head(&kernel.store, key).unwrap().unwrap();
    let one = may_read(&kernel.store, peer, &head, kernel.ctx.now_ms).unwrap();
    let reader = Reader::new(&kernel.store, peer, kernel.ctx.now_ms).unwrap();
    let many = reader.is_some_and(|reader| reader.may_read(&kernel.store, &head).unwrap());
    assert_eq!(one, many, "asked for one, and for many");
    one
}

#[test]
fn a_grant_gives_one_right_on_what_it_names_to_whom_it_names() {
    let scopes = |paper: ObjectKey| {
        [
            (Scope::Kernel, [true, true]),
            (Scope::Component("Paper".into()), [true, false]),
            (Scope::Component("Pape".into()), [false, false]),
            (Scope::Object(paper), [true, false]),
        ]
    };
    for right in [Right::Share, Right::Read, Right::Act, Right::Host, Right::Find] {
        for n in 0..4 {
            let (mut kernel, peer, other, paper, open) = home();
            let (scope, allowed) = scopes(paper)[n].clone();
            kernel.command(Command::Grant(grant(peer, right, scope.clone())));
            let acts = [paper, open].map(|key| may(&kernel, of(&peer), &key, "go"));
            let read = [paper, open].map(|key| reads(&kernel, &peer, &key));
            let none = [false, false];
            assert_eq!(acts, if right == Right::Act { allowed } else { none }, "{right:?} {scope:?}");
            assert_eq!(read, if right == Right::Read { allowed } else { none }, "{right:?} {scope:?}");
            let found = [paper, open].map(|key| finds(&kernel, &peer, &key));
            // Of one object it is no use: who is given it knows that the object is there.
            let shows = right == Right::Read || (right == Right::Find && !matches!(scope, Scope::Object(_)));
            assert_eq!(found, if shows { allowed } else { none }, "{right:?} {scope:?}");
            let shares = right == Right::Share && scope == Scope::Kernel;
            assert_eq!(may_share(&kernel.store, &peer, NOW_MS).unwrap(), shares);
            for key in [paper, open] {
                assert!(!may(&kernel, of(&other), &key, "go") && !reads(&kernel, &other, &key));
                assert!(!finds(&kernel, &other, &key));
            }
            // It ends with the grant, and with being a peer.
            kernel.command(Command::RemovePeer { peer });
            assert!(!is_peer(&kernel.store, &peer).unwrap());
            for key in [paper, open] {
                assert!(!may(&kernel, of(&peer), &key, "go") && !reads(&kernel, &peer, &key));
                assert!(!finds(&kernel, &peer, &key));
            }
            kernel.befriend(9);
            assert!(!may(&kernel, of(&peer), &paper, "go") && !reads(&kernel, &peer, &paper));
            kernel.command(Command::Grant(grant(peer, right, scope.clone())));
            kernel.command(Command::Revoke(grant(peer, right, scope.clone())));
            assert!(!may(&kernel, of(&peer), &paper, "go") && !reads(&kernel, &peer, &paper));
            let name = right.name();
            let again = kernel.try_command(Command::Revoke(grant(peer, right, scope)));
            assert_eq!(again, Err(Refusal::NoGrant { kernel: peer, right: name }));
        }
    }
}

/// Whoever gives it or takes it back has looked before the claim.
#[test]
fn a_right_on_a_copy_that_was_claimed_is_one_on_the_object_that_it_became() {
    let (mut kernel, peer, _, key, _) = home();
    let chain = chain(&kernel.store, &key.lineage().unwrap()).unwrap().unwrap();
    let copy = ObjectKey { uuid: key.uuid, line: Line::Unclaimed(chain.genesis.content) };
    kernel.command(Command::Grant(grant(peer, Right::Act, Scope::Object(copy))));
    assert!(may(&kernel, of(&peer), &key, "go"));
    kernel.command(Command::Revoke(grant(peer, Right::Act, Scope::Object(copy))));
    assert!(!may(&kernel, of(&peer), &key, "go"));
}

#[test]
fn a_grant_holds_until_its_end_and_what_has_ended_stays_ended() {
    for right in [Right::Share, Right::Read, Right::Act, Right::Host, Right::Find] {
        let (mut kernel, peer, _, paper, _) = home();
        let holds = |kernel: &Alone| match right {
            Right::Share => may_share(&kernel.store, &peer, kernel.ctx.now_ms).unwrap(),
            Right::Read => reads(kernel, &peer, &paper),
            Right::Host => may_host(&kernel.store, &peer, "Paper", kernel.ctx.now_ms).unwrap(),
            Right::Act => may(kernel, of(&peer), &paper, "go"),
            Right::Find => finds(kernel, &peer, &paper),
        };
        let expires_ms = Some(NOW_MS + 1000);
        kernel.command(Command::Grant(Grant { expires_ms, ..grant(peer, right, Scope::Kernel) }));
        kernel.ctx.now_ms = NOW_MS + 999;
        assert!(holds(&kernel));
        kernel.ctx.now_ms = NOW_MS + 1000;
        assert!(!holds(&kernel));
        // Nobody has seen it end yet; then somebody does, and the clock is set back.
        kernel.input(Input::NetworkChanged);
        kernel.ctx.now_ms = NOW_MS;
        assert!(!holds(&kernel));
        kernel.restart();
        assert!(!holds(&kernel));
        kernel.command(Command::Grant(grant(peer, right, Scope::Kernel)));
        assert!(holds(&kernel));
    }
}

/// The end is marked when its timer rings, also of a grant that was there at the start.
#[test]
fn an_end_is_marked_on_the_disk_when_it_comes() {
    let (mut kernel, peer, _, _, _) = home();
    for (n, component) in (1..).zip(["A", "B"]) {
        let expires_ms = Some(NOW_MS + n * 1000);
        kernel.command(Command::Grant(Grant {
            expires_ms,
            ..grant(peer, Right::Read, Scope::Component(component.into()))
        }));
    }
    let ended = |kernel: &Alone| {
        let rows = kernel.rows().into_iter().filter(|(table, ..)| *table == Table::Grant);
        rows.flat_map(|(_, key, value)| Grant::list(&key, &value).unwrap())
            .filter(|listed| listed.ended)
            .count()
    };
    kernel.pass(999);
    assert_eq!(ended(&kernel), 0);
    kernel.pass(1);
    assert_eq!(ended(&kernel), 1);
    kernel.crash(0);
    kernel.pass(999);
    assert_eq!(ended(&kernel), 1);
    kernel.pass(1);
    assert_eq!(ended(&kernel), 2);
    assert!(!kernel.timers.iter().any(|(_, timer)| matches!(timer, Timer::Expiry(_))));
    // At the start: what ended meanwhile.
    let expires_ms = Some(kernel.ctx.now_ms + 500);
    kernel.command(Command::Grant(Grant { expires_ms, ..grant(peer, Right::Act, Scope::Kernel) }));
    kernel.ctx.now_ms += 500;
    kernel.restart();
    assert_eq!(ended(&kernel), 3);
}

#[test]
fn a_grant_may_name_actions() {
    let (mut kernel, peer, _, paper, _) = home();
    let actions = |names: &[&str]| Some(names.iter().map(ToString::to_string).collect::<Vec<_>>());
    let act = grant(peer, Right::Act, Scope::Object(paper));
    kernel.command(Command::Grant(Grant { actions: actions(&["add", "set"]), ..act.clone() }));
    let can = |kernel: &Alone| ["add", "set", "get", "ad"].map(|name| may(kernel, of(&peer), &paper, name));
    assert_eq!(can(&kernel), [true, true, false, false]);
    kernel.command(Command::Revoke(Grant { actions: actions(&["set", "other"]), ..act.clone() }));
    assert_eq!(can(&kernel), [true, false, false, false]);
    kernel.command(Command::Grant(act.clone()));
    assert_eq!(can(&kernel), [true; 4]);
    let single = Command::Revoke(Grant { actions: actions(&["get"]), ..act.clone() });
    assert_eq!(kernel.try_command(single), Err(Refusal::WholeGrant { kernel: peer }));
    kernel.command(Command::Revoke(act.clone()));
    assert_eq!(can(&kernel), [false; 4]);
    let many: Vec<String> = (0..=GRANT_ACTIONS_MAX).map(|n| n.to_string()).collect();
    let command = |names: &[String]| Command::Grant(Grant { actions: Some(names.to_vec()), ..act.clone() });
    assert_eq!(kernel.try_command(command(&many)), Err(Refusal::TooManyActions(GRANT_ACTIONS_MAX)));
    assert_eq!(kernel.try_command(command(&many[1..])), Ok(()));
    assert_eq!(kernel.try_command(command(&many[..1])), Err(Refusal::TooManyActions(GRANT_ACTIONS_MAX)));
    let long = "n".repeat(NAME_MAX_BYTES + 1);
    let too_long = Err(Refusal::NameTooLong { max_bytes: NAME_MAX_BYTES });
    assert_eq!(kernel.try_command(command(std::slice::from_ref(&long))), too_long);
    assert_eq!(
        kernel.try_command(Command::Grant(grant(peer, Right::Read, Scope::Component(long)))),
        too_long
    );
}

/// What a kernel may do, its objects may do, and an object may have a grant of its own.
#[test]
fn an_object_acts_by_its_kernels_right_or_by_its_own() {
    let (mut kernel, peer, other, paper, open) = home();
    let theirs = ObjectKey { uuid: Uuid::from_u128(70), ..paper };
    fn with<'a>(kernel: &'a KernelId, object: &'a ObjectKey, guest: bool) -> Actor<'a> {
        Actor { kernel, object: Some(object), guest }
    }
    let own = Grant { object: Some(theirs), ..grant(peer, Right::Act, Scope::Object(paper)) };
    kernel.command(Command::Grant(own.clone()));
    assert!(may(&kernel, with(&peer, &theirs, false), &paper, "go"));
    assert!(!may(&kernel, with(&peer, &theirs, true), &paper, "go"), "of a guest a chain must say it");
    assert!(!may(&kernel, with(&peer, &theirs, false), &open, "go"));
    assert!(!may(&kernel, of(&peer), &paper, "go"), "it is the object's");
    assert!(!may(&kernel, with(&peer, &open, false), &paper, "go"), "of that object");
    assert!(!may(&kernel, with(&other, &theirs, false), &paper, "go"), "at its home");
    // Where the kernel's grant suffices, nobody looks; but a guest has none of it.
    kernel.may_act(other);
    assert!(may(&kernel, with(&other, &theirs, false), &paper, "go"));
    assert!(!may(&kernel, with(&other, &theirs, true), &paper, "go"));
    // Of an object that is known to have its home elsewhere nobody else speaks.
    assert!(!may(&kernel, with(&other, &open, false), &paper, "go"));
    kernel.command(Command::Revoke(own));
    assert!(!may(&kernel, with(&peer, &theirs, false), &paper, "go"));
    // On its own kernel an object needs none, unless it came from another one.
    let me = kernel.id();
    assert!(may(&kernel, with(&me, &open, false), &paper, "go"));
    assert!(!may(&kernel, with(&me, &open, true), &paper, "go"));
    kernel.step(|s| {
        let mut moved = head(s.txn, &open)?.unwrap();
        moved.guest = Some(true);
        s.txn.put(Table::Head, &open.to_row(), &moved);
        Ok(())
    });
    assert!(!may(&kernel, with(&me, &open, false), &paper, "go"));
    assert!(may(&kernel, of(&me), &paper, "go"));
    let moved = Grant { object: Some(open), ..grant(me, Right::Act, Scope::Component("Paper".into())) };
    kernel.command(Command::Grant(moved));
    assert!(may(&kernel, with(&me, &open, false), &paper, "go"));
}

/// What it is home of a kernel knows anyway.
#[test]
fn a_home_may_read_its_own_objects_everywhere() {
    let (mut kernel, peer, other, paper, _) = home();
    kernel.step(|s| {
        let mut replica = head(s.txn, &paper)?.unwrap();
        replica.home = Some(peer);
        s.txn.put(Table::Head, &paper.to_row(), &replica);
        Ok(())
    });
    assert!(reads(&kernel, &peer, &paper) && !reads(&kernel, &other, &paper));
}

/// At most one timer of each size runs for what ends next, none for longer than an hour, also when the clock is set: clocks
/// may stand still.
#[test]
fn one_timer_of_each_size_runs_for_what_ends_next() {
    let (mut kernel, peer, _, _, _) = home();
    let timers = |kernel: &Alone| {
        let all = kernel.timers.iter().filter(|(_, timer)| matches!(timer, Timer::Expiry(_)));
        let mut all: Vec<_> = all.map(|(at_ms, _)| at_ms - NOW_MS).collect();
        all.sort_unstable();
        all
    };
    let (hour, longest) = (60 * 60 * 1000, 1 << 21);
    for (after_ms, expected) in [
        (5 * hour, vec![longest]),
        (2000, vec![1024, longest]),
        (3000, vec![1024, longest]),
        (1000, vec![512, 1024, longest]),
        (600, vec![512, 1024, longest]),
    ] {
        let scope = Scope::Component(after_ms.to_string());
        kernel.command(Command::Grant(Grant {
            expires_ms: Some(NOW_MS + after_ms),
            ..grant(peer, Right::Read, scope)
        }));
        assert_eq!(timers(&kernel), expected);
    }
    for hours in [3, 0, 2, 1, 4, 0] {
        let (was_ms, running) = (kernel.ctx.now_ms, timers(&kernel).len());
        kernel.ctx.now_ms = NOW_MS + hours * hour;
        kernel.command(Command::AcceptClock);
        kernel.ctx.now_ms = was_ms;
        assert!(timers(&kernel).len() <= running + 1 && running < 6, "{:?}", timers(&kernel));
    }
    kernel.pass(3000);
    let left = timers(&kernel);
    assert!(left.iter().all(|at_ms| *at_ms > 3000), "{left:?}");
    kernel.pass(5 * hour);
    let rows = kernel.rows().into_iter().filter(|(table, ..)| *table == Table::Grant);
    assert!(rows.flat_map(|(_, key, value)| Grant::list(&key, &value).unwrap()).all(|listed| listed.ended));
}

/// The row of a visitor is no right: who has none on an object is not let in, whatever else is known of it.
#[test]
fn a_visitor_without_a_right_is_not_let_in() {
    let mut kernel = Alone::new();
    let (paper, peer) = (kernel.object(1, "Paper"), kernel.befriend(3));
    kernel.step(|s| {
        let row = peers::peer(s.txn, &peer)?.unwrap();
        s.txn.put(Table::Peer, peer.as_bytes(), &PeerRow { status: PeerStatus::Visitor, ..row });
        Ok(())
    });
    kernel.up(3, 1);
    let said = kernel.greets(3, 1).to_vec();
    assert!(!said.iter().any(|frame| matches!(frame, Frame::Admitted(_))), "{said:?}");
    assert!(kernel.closed.contains(&(1, Code::Denied)), "{:?}", kernel.closed);
    // It came in vain, and is known no more: a right on an object is for who is known.
    assert_eq!(peers::peer(&kernel.store, &peer).unwrap(), None);
    let right = grant(peer, Right::Read, Scope::Object(paper));
    assert!(kernel.try_command(Command::Grant(right)).is_err());
}

/// Rights of who is no peer count for nothing, should any be left.
#[test]
fn a_right_that_outlives_its_peer_reaches_nothing() {
    let mut kernel = Alone::new();
    let (paper, peer) = (kernel.object(1, "Paper"), kernel.befriend(3));
    kernel.command(Command::Grant(grant(peer, Right::Read, Scope::Object(paper))));
    let reaches_it = |kernel: &Alone| {
        let head = head(&kernel.store, &paper).unwrap().unwrap();
        reaches(&kernel.store, &peer, &head, kernel.ctx.now_ms).unwrap()
    };
    assert!(reaches_it(&kernel));
    kernel.step(|s| {
        s.txn.delete(Table::Peer, peer.as_bytes());
        Ok(())
    });
    assert!(!reaches_it(&kernel));
}
