use once_model::action::Outcome;
use once_model::archive::{Archive, Archived, ArchivedEntry, Excerpt, OutcomeStatus, Summary};
use once_model::ids::{Hash, Incarnation, KernelId, Line, ObjectKey, Uuid};
use once_model::limits::ARCHIVE_PAGE_MAX_ENTRIES;
use once_model::receipt::{Entry, Receipt, ReceiptOf};
use once_model::scenario::Scenario;
use once_model::sign::KernelKey;
use once_model::wire::{Code, Frame};

use super::{history, left, receipt};
use crate::access::{Right, Scope};
use crate::act;
use crate::refusal::Refusal;
use crate::store::{Batch, Read, Table};
use crate::testing::{Alone, Pair, Several, Side};
use crate::waist::{Answer, Command};

/// An entry of an object, signed by a kernel.
pub(crate) fn any_entry(object: ObjectKey, key: &KernelKey) -> ArchivedEntry {
    let zero = Hash::from_bytes([0; 32]);
    let outcome = Outcome::Done("1".into());
    let entry = Entry {
        object,
        number: 1,
        previous: zero,
        origin: key.id(),
        incarnation: Incarnation::from_bytes([0; 16]),
        sequence: 1,
        id: Uuid::from_u128(2),
        action: zero,
        outcome: outcome.hash(),
        before: zero,
        revision: 1,
        content: zero,
        certificate: None,
    };
    let signature = Receipt::signature(&entry, 1, key);
    ArchivedEntry {
        entry,
        home: key.id(),
        at_ms: 1,
        signature,
        status: Some(OutcomeStatus::Done),
        outcome: Some(outcome),
        summary: None,
    }
}

/// The same, signed by that kernel.
fn resigned(kept: ArchivedEntry, key: &KernelKey) -> ArchivedEntry {
    let signature = Receipt::signature(&kept.entry, kept.at_ms, key);
    ArchivedEntry { home: key.id(), signature, ..kept }
}

fn key_of(kernel: &Alone) -> KernelKey {
    kernel.ctx.key.clone()
}

/// An object that was written so often at A, and lives at B now.
fn moved(writes: u64) -> (Pair, ObjectKey) {
    let mut pair = Pair::new();
    let (a, b) = (pair.a.id(), pair.b.id());
    pair.b.grant(a, Right::Host, Scope::Kernel);
    pair.a.grant(b, Right::Host, Scope::Kernel);
    let key = pair.a.object(1, "Paper");
    let token = pair.a.command(Command::Claim { key });
    let Answer::Object { header, .. } = &pair.a.answered[&token] else { panic!("not claimed") };
    let key = header.key();
    for n in 1..=writes {
        pair.a.act_named(key, "write", n);
    }
    go(&mut pair, Side::A, key);
    (pair, key)
}

fn go(pair: &mut Pair, from: Side, key: ObjectKey) {
    let to = pair.side(from.other()).id();
    let token =
        pair.side(from).command(Command::Move { key, to, leave_calls: false, wait: true, without_me: false });
    pair.settle();
    assert!(pair.side(from).answered.contains_key(&token), "{:?}", pair.side(from).refused);
}

fn give(kernel: &mut Alone, key: ObjectKey) -> u64 {
    kernel.command(Command::Archive { key })
}

fn numbers(kernel: &Alone, key: &ObjectKey) -> Vec<u64> {
    history(&kernel.store, key).unwrap().iter().map(|recorded| recorded.entry.number).collect()
}

/// What of the history is kept here and was recorded elsewhere, by whom.
fn of_others(kernel: &Alone, key: &ObjectKey) -> Vec<(u64, KernelId)> {
    let all = history(&kernel.store, key).unwrap().into_iter();
    all.filter_map(|recorded| Some((recorded.entry.number, recorded.signed?.0))).collect()
}

#[test]
fn what_a_former_home_recorded_is_kept_at_the_present_one_as_its_word() {
    let (mut pair, key) = moved(3);
    let (a, b) = (pair.a.id(), pair.b.id());
    let here = act::history(&pair.a.store, &key).unwrap();
    let before = left(&pair.a.store, &a, &key).unwrap().unwrap();
    assert_eq!((before.home, before.entries, before.missing), (b, 4, 4));
    let token = give(&mut pair.a, key);
    pair.settle();
    assert_eq!(pair.a.answered.get(&token), Some(&Answer::Archived { key, to: b, entries: 4 }));
    assert_eq!(left(&pair.a.store, &a, &key).unwrap().unwrap().missing, 0);
    let there = history(&pair.b.store, &key).unwrap();
    assert_eq!(numbers(&pair.b, &key), [1, 2, 3, 4, 5]);
    assert_eq!(act::broken_link(&there), None);
    for (mine, theirs) in here.iter().zip(&there) {
        assert_eq!((&mine.entry, mine.at_ms, &mine.status), (&theirs.entry, theirs.at_ms, &theirs.status));
        assert_eq!((&mine.outcome, &mine.told), (&theirs.outcome, &theirs.told));
        let receipt = act::receipt_for(&pair.b.store, &key_of(&pair.b), theirs.clone()).unwrap();
        assert_eq!((receipt.home, receipt.verify(&a)), (a, Ok(())));
    }
    assert_eq!(there[4].signed, None);
    // Once is enough.
    let token = give(&mut pair.a, key);
    assert_eq!(pair.a.answered.get(&token), Some(&Answer::Archived { key, to: b, entries: 4 }));
    assert!(pair.on_the_way(Side::B).is_empty());
}

#[test]
fn a_receipt_of_what_ran_at_a_former_home_is_given_by_the_present_one() {
    let (mut pair, key) = moved(2);
    let recorded = act::history(&pair.a.store, &key).unwrap()[1].clone();
    let Entry { origin, incarnation, sequence, id, .. } = recorded.entry;
    let lane = once_model::action::LaneName { key, takeover: None };
    let of = ReceiptOf { lane, sequence, id };
    let ask = |pair: &Pair| receipt(&pair.b.store, &key_of(&pair.b), (origin, incarnation), &of).unwrap();
    assert_eq!(ask(&pair), None);
    give(&mut pair.a, key);
    pair.settle();
    let given = ask(&pair).unwrap();
    assert_eq!((given.verify(&pair.a.id()), given.entry), (Ok(()), recorded.entry));
    let another = receipt(&pair.b.store, &key_of(&pair.b), (pair.b.id(), incarnation), &of).unwrap();
    assert_eq!(another, None);
}

/// Several pages; whoever is killed or cut off at any time, nothing of it is lost, and it ends.
#[test]
fn an_archive_of_many_pages_goes_on_where_it_was_interrupted() {
    for fault in 0..4 {
        for at in 0..6 {
            let (mut pair, key) = moved(2 * ARCHIVE_PAGE_MAX_ENTRIES as u64 + 20);
            let mut token = give(&mut pair.a, key);
            for step in 0..12 {
                if step == at {
                    match fault {
                        0 => pair.cut(),
                        1 => pair.restart(Side::A),
                        2 => pair.restart(Side::B),
                        _ => pair.crash(Side::B, 0),
                    }
                }
                if !pair.is_connected() {
                    pair.connect(Side::A);
                    pair.settle();
                }
                if fault == 1 && step == at || pair.a.refused.contains_key(&token) {
                    token = give(&mut pair.a, key);
                }
                pair.deliver(Side::B);
                pair.deliver(Side::A);
            }
            pair.settle();
            let b = pair.b.id();
            let entries = 2 * ARCHIVE_PAGE_MAX_ENTRIES as u64 + 21;
            let answer = pair.a.answered.get(&token);
            assert_eq!(answer, Some(&Answer::Archived { key, to: b, entries }), "{fault} at {at}");
            let all: Vec<_> = (1..=entries + 1).collect();
            assert_eq!(numbers(&pair.b, &key), all, "{fault} at {at}");
        }
    }
}

#[test]
fn an_object_that_comes_back_brings_no_entry_twice() {
    let (mut pair, key) = moved(2);
    let (a, b) = (pair.a.id(), pair.b.id());
    pair.b.act_named(key, "write", 7);
    go(&mut pair, Side::B, key);
    pair.a.act_named(key, "write", 8);
    go(&mut pair, Side::A, key);
    for side in [Side::A, Side::B] {
        give(pair.side(side), key);
        pair.settle();
    }
    assert_eq!(numbers(&pair.b, &key), (1..=8).collect::<Vec<_>>());
    let others: Vec<_> = of_others(&pair.b, &key);
    assert_eq!(others, [1, 2, 3, 6, 7].map(|number| (number, a)));
    assert_eq!(left(&pair.b.store, &b, &key).unwrap(), None);
    // There it lives: nothing is to be given.
    let token = give(&mut pair.b, key);
    assert_eq!(pair.b.answered.get(&token), Some(&Answer::Archived { key, to: b, entries: 0 }));
}

#[test]
fn what_was_given_is_given_on_by_a_home_that_goes_too() {
    let mut net = Several::strangers(3);
    net.befriend(&[0, 1, 2]);
    let ids = [net.id(0), net.id(1), net.id(2)];
    for (at, from) in [(1, 0), (2, 1)] {
        net.kernels[at].grant(ids[from], Right::Host, Scope::Kernel);
    }
    let key = net.kernels[0].object(1, "Paper");
    let token = net.kernels[0].command(Command::Claim { key });
    let Answer::Object { header, .. } = &net.kernels[0].answered[&token] else { panic!("not claimed") };
    let key = header.key();
    net.kernels[0].act_named(key, "write", 1);
    for (from, to) in [(0, 1), (1, 2)] {
        net.kernels[from].command(Command::Move {
            key,
            to: ids[to],
            leave_calls: false,
            wait: true,
            without_me: false,
        });
        net.settle();
        give(&mut net.kernels[from], key);
        net.settle();
    }
    assert_eq!(of_others(&net.kernels[2], &key), [(1, ids[0]), (2, ids[0]), (3, ids[1])]);
    // The first home hears that there is a next one, which has it all already: it says so.
    let token = give(&mut net.kernels[0], key);
    net.settle();
    assert_eq!(net.kernels[0].answered.get(&token), Some(&Answer::Archived { key, to: ids[2], entries: 2 }));
}

#[test]
fn what_no_former_home_recorded_is_not_kept() {
    let (mut pair, key) = moved(3);
    let (a_key, b_key) = (key_of(&pair.a), key_of(&pair.b));
    let stranger = KernelKey::from_bytes(&[77; 32]);
    give(&mut pair.a, key);
    let Some(Frame::Archive(page)) = pair.lose(Side::B) else { panic!("no page") };
    let entries = page.entries;
    let with = |at: usize, change: &dyn Fn(&mut ArchivedEntry)| {
        let mut changed = entries.clone();
        change(&mut changed[at]);
        changed[at] = resigned(changed[at].clone(), &a_key);
        changed
    };
    let is_of_newest = |outcome: &&Outcome| outcome.hash() == entries[0].entry.outcome;
    let mut outcomes = pair.a.answered.values().filter_map(|answer| match answer {
        Answer::Acted { outcome, .. } => Some(outcome),
        _ => None,
    });
    let outcome = outcomes.find(is_of_newest).unwrap().clone();
    let long = Excerpt { bytes: vec![b'1'; 1025], of_bytes: 1025 };
    let summary = Summary { name: "write".into(), arguments: long, result: None };
    let mut unsigned = entries.clone();
    unsigned[1].at_ms += 1;
    let by_another = |key: &KernelKey| {
        let mut changed = entries.clone();
        changed[1] = resigned(changed[1].clone(), key);
        changed
    };
    let wrong = [
        ("another last entry", with(0, &|kept| kept.entry.revision += 1)),
        ("another entry between", with(1, &|kept| kept.entry.revision += 1)),
        ("a number beyond the handoff", with(0, &|kept| kept.entry.number += 1)),
        ("no number", with(3, &|kept| kept.entry.number = 0)),
        ("another object", with(0, &|kept| kept.entry.object.uuid = Uuid::from_u128(99))),
        ("another outcome", with(1, &|kept| kept.outcome = Some(Outcome::Done("9".into())))),
        (
            "two words",
            with(0, &|kept| {
                (kept.outcome, kept.status) = (Some(outcome.clone()), Some(OutcomeStatus::Failed));
            }),
        ),
        ("a long summary", with(1, &|kept| kept.summary = Some(summary.clone()))),
        ("not signed", unsigned),
        ("signed by a stranger", by_another(&stranger)),
        ("signed by the home itself", by_another(&b_key)),
        ("not in order", entries.iter().rev().cloned().collect()),
        ("an entry twice", [&entries[..1], &entries[..1]].concat()),
    ];
    let peer = pair.a.id();
    // What it was about to give is forgotten with its process.
    pair.restart(Side::A);
    let conn = pair.connect(Side::A);
    pair.settle();
    for (what, entries) in wrong {
        let number = entries.last().unwrap().entry.number;
        let said = pair.b.says(peer, conn, Frame::Archive(Box::new(Archive { key, entries }))).to_vec();
        let answer = Archived { key, number, code: Some(Code::Invalid) };
        assert!(said.contains(&Frame::Archived(answer)), "{what}: {said:?}");
    }
    assert_eq!(of_others(&pair.b, &key), []);
    // What they were made from is kept.
    pair.b.says(peer, conn, Frame::Archive(Box::new(Archive { key, entries })));
    assert_eq!(of_others(&pair.b, &key).len(), 4);
}

#[test]
fn only_a_former_home_may_bring_it_and_only_where_the_object_lives() {
    let (mut pair, key) = moved(2);
    give(&mut pair.a, key);
    let Some(Frame::Archive(page)) = pair.lose(Side::B) else { panic!("no page") };
    let number = page.entries.last().unwrap().entry.number;
    let denied = Frame::Archived(Archived { key, number, code: Some(Code::Denied) });
    let origin = pair.b.connected(9);
    let said = pair.b.says(origin.kernel, 1, Frame::Archive(page.clone())).to_vec();
    assert!(said.contains(&denied), "{said:?}");
    assert_eq!(of_others(&pair.b, &key), []);
    // The object moves on while the page is on its way.
    go(&mut pair, Side::B, key);
    let (b, conn) = (pair.b.id(), pair.connect(Side::B));
    pair.settle();
    let a = pair.a.id();
    let said = pair.b.says(a, conn, Frame::Archive(page)).to_vec();
    assert!(said.contains(&denied), "{said:?}");
    assert_ne!(a, b);
}

#[test]
fn who_has_no_room_says_so_and_keeps_nothing() {
    let (mut pair, key) = moved(3);
    let (a, b) = (pair.a.id(), pair.b.id());
    for (code, quota_bytes, free_bytes) in [(Code::Quota, 1, u64::MAX), (Code::DiskFull, u64::MAX, 1)] {
        let change =
            Command::ChangePeer { peer: a, petname: None, quota_bytes: Some(quota_bytes), addresses: vec![] };
        pair.b.command(change);
        pair.b.input(crate::waist::Input::Disk { free_bytes });
        let token = give(&mut pair.a, key);
        pair.settle();
        let refusal = Refusal::NotArchived { key, by: b, code };
        assert_eq!(pair.a.refused.get(&token), Some(&refusal));
        assert_eq!(of_others(&pair.b, &key), []);
    }
    pair.b.input(crate::waist::Input::Disk { free_bytes: u64::MAX });
    let used = |pair: &Pair| crate::share::usage(&pair.b.store, &a).unwrap().stored_bytes;
    let before = used(&pair);
    give(&mut pair.a, key);
    pair.settle();
    assert_eq!(of_others(&pair.b, &key).len(), 4);
    assert!(used(&pair) > before + 4 * 256, "it counts");
}

#[test]
fn a_home_that_is_away_or_unknown_is_named() {
    let (mut pair, key) = moved(1);
    let b = pair.b.id();
    pair.cut();
    assert_eq!(pair.a.try_command(Command::Archive { key }), Err(Refusal::NotConnected(b)));
    let scenario = Scenario::compose(Uuid::from_u128(6), "Paper", "1", "me", "{}").unwrap();
    let unclaimed = ObjectKey { uuid: scenario.uuid(), line: Line::Unclaimed(scenario.hash()) };
    pair.a.command(Command::Import { source: None, scenario, over: None });
    assert_eq!(pair.a.try_command(Command::Archive { key: unclaimed }), Err(Refusal::NoHome(unclaimed)));
}

#[test]
fn what_was_pruned_meanwhile_is_passed_over() {
    let (mut pair, key) = moved(ARCHIVE_PAGE_MAX_ENTRIES as u64 + 10);
    let a = pair.a.id();
    let token = give(&mut pair.a, key);
    // The first page is on its way.
    let (place, _) = first_row(&pair.a);
    pair.a.step(|s| {
        s.txn.delete(Table::Ledger, &place);
        Ok(())
    });
    pair.settle();
    assert!(pair.a.answered.contains_key(&token), "{:?}", pair.a.refused);
    assert_eq!(of_others(&pair.b, &key).len(), ARCHIVE_PAGE_MAX_ENTRIES + 10);
    assert_eq!(left(&pair.a.store, &a, &key).unwrap().unwrap().missing, 0);
}

#[test]
fn what_cannot_be_read_is_said_and_the_rest_is_kept() {
    let (mut pair, key) = moved(ARCHIVE_PAGE_MAX_ENTRIES as u64 + 10);
    let token = give(&mut pair.a, key);
    let (place, _) = first_row(&pair.a);
    let rows = vec![(Table::Ledger, place, Some(bytes::Bytes::from_static(b"?")))];
    pair.a.put_rows(Batch { rows });
    pair.settle();
    assert!(matches!(pair.a.refused.get(&token), Some(Refusal::Damaged(_))), "{:?}", pair.a.refused);
    assert_eq!(of_others(&pair.b, &key).len(), ARCHIVE_PAGE_MAX_ENTRIES);
}

/// The row of the entry with the lowest number.
fn first_row(kernel: &Alone) -> (Vec<u8>, u64) {
    let mut found: Option<(Vec<u8>, u64)> = None;
    kernel
        .store
        .scan(Table::Ledger, &[], None, &mut |place, value| {
            let row: act::LedgerRow = crate::txn::decode(Table::Ledger, &value).unwrap();
            let number = row.place.map_or(u64::MAX, |place| place.number);
            if found.as_ref().is_none_or(|(_, least)| number < *least) {
                found = Some((place.to_vec(), number));
            }
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
    found.unwrap()
}
