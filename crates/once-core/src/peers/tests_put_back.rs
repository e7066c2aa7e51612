//! How far peers say that they are, and how a kernel that was put back is found: docs/protocol.md, 5.1.

use once_model::action::Outcome;
use once_model::ids::{BootId, Incarnation, KernelId};
use once_model::progress::Progress;
use once_model::scenario::Scenario;
use once_model::sign::KernelKey;
use once_model::wire::{Code, Frame, Greeting};

use super::tests::{denied, dials, hello, is_admitted, key};
use super::{peer, put_back, quarantine};
use crate::meta;
use crate::refusal::Refusal;
use crate::store::Table;
use crate::testing::{Alone, NOW_MS};
use crate::waist::{Command, Event, Input, LinkEvent};

fn said(incarnation: u8, boot: u64, id: u8, commit: u64, of: &KernelKey) -> Progress {
    Progress::sign(Incarnation::from_bytes([incarnation; 16]), boot, BootId::from_bytes([id; 16]), commit, of)
}

#[test]
fn the_furthest_that_a_peer_has_said_is_kept_and_what_does_not_follow_it() {
    let mut kernel = Alone::new();
    let id = kernel.befriend(9);
    let mut tell = |progress: Progress, conn| {
        let hello = Greeting { progress, ..hello(9, None) };
        let said = dials(&mut kernel, 9, conn, hello).0;
        let row = peer(&kernel.store, &id).unwrap().unwrap();
        let shown = match said.first() {
            Some(Frame::Admitted(greeting)) => greeting.seen.clone(),
            other => panic!("{other:?}"),
        };
        (row.seen.clone(), shown, put_back(&row), row.reborn_ms)
    };
    let k = key(9);
    let (first, later, back) = (said(1, 1, 1, 5, &k), said(1, 2, 2, 7, &k), said(1, 2, 2, 6, &k));
    assert_eq!(tell(first, 1), (vec![first], vec![], false, None));
    assert_eq!(tell(later, 2), (vec![later], vec![first], false, None));
    // Less than before in the same life, or another boot of the same number: it was put back, and is shown both.
    assert_eq!(tell(back, 3), (vec![later, back], vec![later], true, None));
    let twin = said(1, 2, 9, 8, &k);
    assert_eq!(tell(twin, 4), (vec![later, twin], vec![later, back], true, None));
    // Another life.
    let reborn = said(2, 1, 1, 1, &k);
    assert_eq!(tell(reborn, 5), (vec![reborn, later], vec![later, twin], false, Some(NOW_MS)));
    // What somebody else signed has no effect.
    let forged = said(2, 9, 9, 9, &key(8));
    assert_eq!(tell(forged, 6).0, [reborn, later]);
}

#[test]
fn progress_is_told_every_ten_seconds_in_which_it_grew_and_only_what_is_on_the_disk() {
    let mut kernel = Alone::new();
    let id = kernel.befriend(9);
    kernel.greets(9, 1);
    kernel.pass(10_000);
    kernel.sent.clear();
    kernel.pass(50_000);
    assert_eq!(kernel.sent, []);
    let key_of = kernel.object(1, "Open");
    kernel.pass(9_999);
    assert_eq!(kernel.sent, []);
    kernel.pass(1);
    let told = match kernel.sent.as_slice() {
        [Frame::Progress(told)] => *told,
        other => panic!("{other:?}"),
    };
    assert!(told.signed_by(&kernel.id()));
    assert_eq!(told.commit, meta::commit_number(&kernel.store).unwrap());
    // A share, an act and their answers say it, too.
    kernel.command(Command::Share { key: key_of, to: id, delivered: false });
    match kernel.sent.last() {
        Some(Frame::Share(parcel)) => assert_eq!(parcel.commit, Some(told.commit)),
        other => panic!("{other:?}"),
    }
    // A peer's own is kept.
    let further = said(1, 1, 1, 40, &key(9));
    kernel.says(id, 1, Frame::Progress(further));
    assert_eq!(peer(&kernel.store, &id).unwrap().unwrap().seen[0], further);
    kernel.says(id, 1, Frame::Progress(said(1, 1, 1, 90, &key(8))));
    assert_eq!(peer(&kernel.store, &id).unwrap().unwrap().seen[0], further);
}

/// Kernel 7, and what it has truly said.
fn looked_at(seen: impl FnOnce(&Alone, Progress) -> Vec<Progress>) -> (Alone, bool) {
    let mut kernel = Alone::new();
    kernel.befriend(9);
    kernel.object(1, "Open");
    kernel.restart();
    kernel.object(2, "Open");
    let (said, _) = dials(&mut kernel, 9, 1, hello(9, None));
    let mine = match said.first() {
        Some(Frame::Admitted(greeting)) => greeting.progress,
        other => panic!("{other:?}"),
    };
    let shown = seen(&kernel, mine);
    let answer = dials(&mut kernel, 9, 2, Greeting { seen: shown, ..hello(9, None) });
    // The connection before is turned away, too.
    let turned_away =
        answer.0.contains(&Frame::Denied(Code::Quarantined)) && answer.1 == Some(Code::Quarantined);
    assert_eq!(turned_away, !is_admitted(&answer), "{answer:?}");
    assert_eq!(quarantine(&kernel.store).unwrap().is_some(), turned_away);
    (kernel, turned_away)
}

#[test]
fn a_kernel_is_shown_what_its_disk_does_not_have() {
    let me = key(7);
    let with =
        |mine: Progress, boot, id: BootId, commit| Progress::sign(mine.incarnation, boot, id, commit, &me);
    assert!(!looked_at(|_, _| vec![]).1);
    assert!(!looked_at(|_, mine| vec![mine]).1);
    // A commit above its own, and one of a boot that is not below the first of the next.
    assert!(
        !looked_at(|kernel, mine| vec![with(
            mine,
            mine.boot,
            mine.id,
            meta::commit_number(&kernel.store).unwrap()
        )])
        .1
    );
    assert!(
        looked_at(|kernel, mine| vec![with(
            mine,
            mine.boot,
            mine.id,
            meta::commit_number(&kernel.store).unwrap() + 2
        )])
        .1
    );
    let first_boot = BootId::from_bytes([2; 16]);
    assert!(!looked_at(|_, mine| vec![with(mine, 1, first_boot, 1)]).1);
    assert!(looked_at(|_, mine| vec![with(mine, 1, first_boot, mine.commit)]).1);
    // A boot that it has not begun, or one of another id.
    assert!(looked_at(|_, mine| vec![with(mine, mine.boot + 1, mine.id, 1)]).1);
    assert!(looked_at(|_, mine| vec![with(mine, mine.boot, first_boot, 1)]).1);
    assert!(looked_at(|_, mine| vec![with(mine, 1, mine.id, 1)]).1);
    // Another life that it has not ended itself.
    assert!(
        looked_at(|_, mine| vec![Progress::sign(Incarnation::from_bytes([9; 16]), 1, mine.id, 1, &me)]).1
    );
    // The second is looked at, too; what it did not sign has no effect.
    assert!(looked_at(|_, mine| vec![mine, with(mine, 9, mine.id, 1)]).1);
    assert!(!looked_at(|_, mine| vec![Progress::sign(mine.incarnation, 9, mine.id, 99, &key(9))]).1);
}

/// Of a boot that is no longer remembered only the commit number counts.
#[test]
fn the_last_thousand_boots_are_remembered() {
    let mut kernel = Alone::new();
    kernel.befriend(9);
    let boot = |number: u64, id: u8| {
        let mut row = Vec::new();
        minicbor::encode(meta::Boot { id: BootId::from_bytes([id; 16]), first_commit: 9 }, &mut row).unwrap();
        (Table::Boot, number.to_be_bytes().to_vec(), Some(bytes::Bytes::from(row)))
    };
    let rows = vec![boot(500, 50), boot(501, 51), boot(1499, 3)];
    kernel.put_rows(crate::store::Batch { rows });
    kernel.restart();
    assert_eq!(kernel.engine.boot, 1500);
    let boots: Vec<u64> = kernel
        .rows()
        .into_iter()
        .filter(|(table, ..)| *table == Table::Boot)
        .map(|(_, number, _)| u64::from_be_bytes(number.try_into().unwrap()))
        .collect();
    assert_eq!(boots, [1, 501, 1499, 1500]);
    let incarnation = meta::incarnation(&kernel.store).unwrap();
    let mut conn = 0;
    let mut is_put_back = |boot: u64, id: u8, commit: u64| {
        conn += 1;
        let said = Progress::sign(incarnation, boot, BootId::from_bytes([id; 16]), commit, &key(7));
        !is_admitted(&dials(&mut kernel, 9, conn, Greeting { seen: vec![said], ..hello(9, None) }))
    };
    assert!(!is_put_back(499, 1, 1) && !is_put_back(500, 1, 1), "nobody knows any more who they were");
    assert!(is_put_back(501, 1, 1), "it was another one");
}

#[test]
fn a_kernel_in_quarantine_does_nothing_until_its_people_say_so() {
    let wrong = |_: &Alone, mine: Progress| vec![Progress::sign(mine.incarnation, 9, mine.id, 99, &key(7))];
    let (mut kernel, _) = looked_at(wrong);
    let id = key(9).id();
    let other = key(8).id();
    kernel.events.clear();
    let refused = |kernel: &mut Alone, command| kernel.try_command(command) == Err(Refusal::Quarantined);
    let object = kernel
        .rows()
        .iter()
        .find(|(table, ..)| *table == Table::Head)
        .map(|(_, key, _)| once_model::ids::ObjectKey::from_row(key).unwrap())
        .unwrap();
    let add = Command::AddPeer { peer: other, addresses: vec![], petname: None };
    assert!(refused(&mut kernel, add.clone()));
    assert!(refused(&mut kernel, Command::Remove { key: object }));
    assert!(refused(&mut kernel, Command::Share { key: object, to: id, delivered: false }));
    assert!(refused(&mut kernel, Command::Follow { key: object, from: id }));
    let command = kernel.wish(object, "go", 1);
    assert!(refused(&mut kernel, command));
    for command in [Command::Standing, Command::AcceptClock, Command::Dial { peer: id }] {
        assert_eq!(kernel.try_command(command), Ok(()));
    }
    // It lasts through a start, runs nothing, and says nothing else.
    kernel.restart();
    assert_eq!(dials(&mut kernel, 9, 5, hello(9, None)), denied(Code::Quarantined));
    let act = crate::testing::asked(object, 1, "1".into());
    assert_eq!(kernel.says(id, 5, Frame::Act(act)), []);
    // Each peer must have greeted, or is given up by name.
    assert_eq!(quarantine(&kernel.store).unwrap().unwrap().heard, [id]);
    let before = meta::incarnation(&kernel.store).unwrap();
    let grants = |kernel: &Alone| {
        kernel.rows().iter().filter(|(table, ..)| matches!(table, Table::Grant | Table::Invite)).count()
    };
    let end = |without: Vec<KernelId>| Command::EndQuarantine { without };
    let boot = kernel.engine.boot;
    kernel.command(end(vec![]));
    assert_eq!(quarantine(&kernel.store).unwrap(), None);
    // What happens from here on is behind what has happened, for whoever reads the event log.
    assert_eq!(kernel.engine.boot, boot + 1);
    assert_ne!(meta::incarnation(&kernel.store).unwrap(), before);
    assert_eq!(grants(&kernel), 0);
    assert_eq!(kernel.try_command(end(vec![])), Err(Refusal::NoQuarantine));
    // What it was home of it does not change any more.
    for command in [Command::Remove { key: object }, Command::Claim { key: object }] {
        assert_eq!(kernel.try_command(command), Err(Refusal::EarlierLife(object)));
    }
    // What clients asked for before may have run, and is asked for no more.
    let command = kernel.wish(object, "go", 1);
    assert!(matches!(kernel.try_command(command), Err(Refusal::IdTooOld { floor_ms: NOW_MS, .. })));
    let fresh = kernel.object(50, "Open");
    kernel.may_act(id);
    kernel.greets(9, 6);
    let mut outcome = |key| {
        let act = crate::testing::asked(key, 1, "1".into());
        match kernel.says(id, 6, Frame::Act(act)) {
            [Frame::Outcome(told)] => told.outcome.clone(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(outcome(object), Outcome::Refused(Code::Quarantined));
    assert_eq!(outcome(fresh), Outcome::Done("1".into()));
    // It is dropped by who names the newest revision, without a tombstone; its bytes are a new object then. No other object is.
    let newest = |kernel: &Alone, key| crate::object::head(&kernel.store, &key).unwrap().unwrap().header.id();
    let discard = |key, revision| Command::Discard { key, revision };
    let living = newest(&kernel, fresh);
    let no_conflict = Refusal::NoConflict { key: fresh, revision: living };
    assert_eq!(kernel.try_command(discard(fresh, living)), Err(no_conflict));
    let revision = newest(&kernel, object);
    let head = crate::object::head(&kernel.store, &object).unwrap().unwrap();
    let bytes = crate::object::body(&kernel.store, &head.header).unwrap().unwrap();
    assert_eq!(kernel.try_command(discard(object, revision)), Ok(()));
    assert_eq!(crate::object::head(&kernel.store, &object).unwrap(), None);
    let mut left = kernel.rows().into_iter().filter(|(table, key, _)| {
        matches!(table, Table::Body | Table::Timer | Table::Activity | Table::Follower)
            && crate::of_object::object_of(*table, key) == Some(object)
    });
    assert_eq!(left.next(), None);
    let scenario = Scenario::parse(bytes).unwrap();
    assert_eq!(kernel.try_command(Command::Create { scenario }), Ok(()));
    // The life before has ended: to be shown it proves nothing any more.
    let old = Greeting {
        seen: vec![Progress::sign(before, 9, BootId::from_bytes([1; 16]), 99, &key(7))],
        ..hello(9, None)
    };
    assert!(is_admitted(&dials(&mut kernel, 9, 7, old)));
}

/// Who calls a kernel in quarantine while that calls him is turned away on his connection, and on no other.
#[test]
fn a_kernel_in_quarantine_that_calls_goes_on_while_it_is_called() {
    let wrong = |_: &Alone, mine: Progress| vec![Progress::sign(mine.incarnation, 9, mine.id, 99, &key(7))];
    let (mut kernel, is_put_back) = looked_at(wrong);
    assert!(is_put_back);
    kernel.restart();
    let id = key(9).id();
    kernel.input(Input::Link { peer: id, event: LinkEvent::Up { conn: 5, dialled: true, address: None } });
    kernel.events.clear();
    assert_eq!(dials(&mut kernel, 9, 6, hello(9, None)), denied(Code::Quarantined));
    let disconnected = |event: &Event| matches!(event, Event::Disconnected { .. });
    assert!(!kernel.events.iter().any(disconnected), "{:?}", kernel.events);
    let phase = kernel.engine.peers.links[&id].phase;
    assert_eq!(phase, super::Phase::Greeting { conn: 5, dialled: true });
}

/// What leaves with the commit in which people say so was said in the life that ends.
#[test]
fn a_new_life_begins_behind_the_commit_that_ends_the_one_before() {
    let wrong = |_: &Alone, mine: Progress| vec![Progress::sign(mine.incarnation, 9, mine.id, 99, &key(7))];
    let (mut kernel, _) = looked_at(wrong);
    let before = meta::incarnation(&kernel.store).unwrap();
    let Alone { engine, store, ctx, dice, .. } = &mut kernel;
    let mut group = |input| {
        let mut left = Vec::new();
        crate::group::run(engine, store, ctx, dice, [input], &mut |effect| left.push(effect)).unwrap();
        (left, meta::incarnation(store).unwrap(), engine.peers.quarantined)
    };
    let command = Command::EndQuarantine { without: vec![] };
    let (left, incarnation, is_quarantined) = group(Input::Command { token: 900, command });
    assert!(incarnation == before && is_quarantined && left.len() == 1, "{left:?}");
    let (left, incarnation, is_quarantined) = group(Input::Timer(crate::waist::Timer::Chores));
    assert!(incarnation != before && !is_quarantined, "{left:?}");
}

#[test]
fn a_peer_that_was_not_heard_keeps_the_quarantine() {
    let wrong = |_: &Alone, mine: Progress| vec![Progress::sign(mine.incarnation, 9, mine.id, 99, &key(7))];
    let (mut kernel, _) = looked_at(wrong);
    let other = key(8).id();
    kernel.step(|s| {
        let row = peer(s.txn, &key(9).id())?.unwrap();
        s.txn.put(Table::Peer, other.as_bytes(), &row);
        Ok(())
    });
    assert_eq!(kernel.try_command(Command::EndQuarantine { without: vec![] }), Err(Refusal::NotHeard(other)));
    // It greets; then it was heard.
    let heard = |kernel: &mut Alone| dials(kernel, 8, 9, hello(8, None));
    assert_eq!(heard(&mut kernel), denied(Code::Quarantined));
    assert_eq!(kernel.try_command(Command::EndQuarantine { without: vec![] }), Ok(()));
    let (mut kernel, _) = looked_at(wrong);
    kernel.step(|s| {
        let row = peer(s.txn, &key(9).id())?.unwrap();
        s.txn.put(Table::Peer, other.as_bytes(), &row);
        Ok(())
    });
    assert_eq!(kernel.try_command(Command::EndQuarantine { without: vec![other] }), Ok(()));
}

/// What a peer says of its commits without a signature is shown to it, and has no effect.
#[test]
fn how_far_a_peer_has_said_it_is_is_shown_to_it() {
    let mut kernel = Alone::new();
    let id = kernel.befriend(9);
    let shown = |kernel: &mut Alone, conn| match dials(kernel, 9, conn, hello(9, None)).0.first() {
        Some(Frame::Admitted(greeting)) => greeting.heard,
        other => panic!("{other:?}"),
    };
    assert_eq!(shown(&mut kernel, 1), None);
    let says = |kernel: &mut Alone, conn, commit| {
        let key = kernel.object(1, "Open");
        let act = once_model::action::Act { commit, ..crate::testing::asked(key, 1, "1".into()) };
        kernel.says(id, conn, Frame::Act(act));
    };
    for commit in [Some(100), Some(90), None] {
        says(&mut kernel, 1, commit);
    }
    assert_eq!(shown(&mut kernel, 2), Some(100));
    let row = |kernel: &Alone| peer(&kernel.store, &id).unwrap().unwrap().heard;
    assert_eq!(row(&kernel), Some(100));
    // Its row is at most 64 of them behind.
    says(&mut kernel, 2, Some(163));
    kernel.object(2, "Open");
    assert_eq!((row(&kernel), shown(&mut kernel, 3)), (Some(100), Some(163)));
    says(&mut kernel, 3, Some(164));
    kernel.object(3, "Open");
    assert_eq!(row(&kernel), Some(164));
    kernel.restart();
    assert_eq!(shown(&mut kernel, 4), Some(164));
    // What an earlier life said counts no more.
    let progress = said(2, 1, 1, 1, &key(9));
    dials(&mut kernel, 9, 5, Greeting { progress, ..hello(9, None) });
    let again = dials(&mut kernel, 9, 6, Greeting { progress, ..hello(9, None) }).0;
    assert!(
        matches!(again.first(), Some(Frame::Admitted(greeting)) if greeting.heard.is_none()),
        "{again:?}"
    );
}

/// It says so with whatever rests on a commit.
#[test]
fn a_commit_number_is_heard_in_shares_acts_and_their_answers() {
    use once_model::action::{ActOutcome, Outcome};
    use once_model::wire::{Parcel, ShareAnswer, Shared};
    let object = Alone::kernel(9).object(1, "Open");
    let scenario = once_model::scenario::Scenario::compose(object.uuid, "Open", "1", "me", "{}").unwrap();
    let header = crate::object::unclaimed(&scenario);
    let (id, commit) = (header.id(), Some(77));
    let body = Some(scenario.bytes().clone());
    let outcome = ActOutcome {
        lane: object.into(),
        sequence: 1,
        id: object.uuid,
        outcome: Outcome::Done("1".into()),
        after: None,
        commit,
        certificate: None,
    };
    let act = once_model::action::Act { commit, ..crate::testing::asked(object, 1, "1".into()) };
    let frames = [
        Frame::Share(Parcel { header: header.clone(), chain: None, body, commit }),
        Frame::Share(Parcel { header, chain: None, body: None, commit }),
        Frame::Shared(Shared { key: object, id, answer: ShareAnswer::Stored, commit }),
        Frame::Act(act),
        Frame::Outcome(outcome),
    ];
    for frame in frames {
        let mut kernel = Alone::new();
        let peer = kernel.befriend(9);
        kernel.greets(9, 1);
        kernel.says(peer, 1, frame.clone());
        match dials(&mut kernel, 9, 2, hello(9, None)).0.first() {
            Some(Frame::Admitted(greeting)) => assert_eq!(greeting.heard, Some(77), "{frame:?}"),
            other => panic!("{other:?}"),
        }
    }
}
