//! What is kept of what comes and of what people change: docs/protocol.md, 7 and 8.

use once_model::certificate::Chain;
use once_model::header::Header;
use once_model::ids::{Hash, KernelId, Line, ObjectKey, Uuid};
use once_model::limits::{
    CONFLICTS_MAX_BODIES, DISK_RESERVE_BYTES, INLINE_MAX_BYTES, NAME_MAX_BYTES, SCENARIO_MAX_BYTES,
};
use once_model::scenario::Scenario;
use once_model::sign::KernelKey;
use once_model::wire::{Code, Frame, Parcel, ShareAnswer};

use super::{HeadRow, body, chain, cost, head, unclaimed, verify};
use crate::access::{Right, Scope};
use crate::exchange::parcel;
use crate::refusal::Refusal;
use crate::share::usage;
use crate::store::Table;
use crate::testing::Alone;
use crate::txn;
use crate::waist::{Answer, Change, Command, Event, Input};

/// Kernel 9 may share here and is connected; a kernel 9 beside it makes what it shares.
pub(super) fn taker() -> (Alone, KernelId, Alone) {
    let mut kernel = Alone::new();
    let peer = kernel.befriend(9);
    kernel.grant(peer, Right::Share, Scope::Kernel);
    kernel.greets(9, 1);
    (kernel, peer, Alone::kernel(9))
}

fn scenario(uuid: u128, n: u32) -> Scenario {
    Scenario::compose(Uuid::from_u128(uuid), "Paper", "1", "me", &format!("{{\"n\":{n}}}")).unwrap()
}

/// The newest revision of an object as it travels.
pub(super) fn travels(kernel: &Alone, key: &ObjectKey) -> Parcel {
    let row = head(&kernel.store, key).unwrap().unwrap();
    parcel(&kernel.store, &kernel.ctx.key, &row).unwrap().unwrap()
}

pub(super) fn shares(kernel: &mut Alone, peer: KernelId, parcel: Parcel) -> ShareAnswer {
    let (key, id) = (parcel.header.key(), parcel.header.id());
    let conn = kernel.engine.peers.links[&peer].up().unwrap();
    let said = kernel.says(peer, conn, Frame::Share(parcel)).to_vec();
    let answers: Vec<_> = said
        .iter()
        .filter_map(|frame| match frame {
            Frame::Shared(shared) if (shared.key, shared.id) == (key, id) => Some(shared.answer),
            _ => None,
        })
        .collect();
    assert_eq!(answers.len(), 1, "{said:?}");
    answers[0]
}

pub(super) fn beside(kernel: &Alone, key: &ObjectKey) -> Vec<HeadRow> {
    let rows = kernel.rows().into_iter();
    let mine = rows.filter(|(table, place, _)| *table == Table::Conflict && place.starts_with(&key.to_row()));
    mine.map(|(table, _, value)| txn::decode(table, &value).unwrap()).collect()
}

pub(super) fn bodies(kernel: &Alone) -> usize {
    kernel.rows().iter().filter(|(table, ..)| *table == Table::Body).count()
}

pub(super) fn put(kernel: &mut Alone, key: ObjectKey, n: u32) -> Header {
    kernel.command(Command::Put { key, base: None, scenario: scenario(key.uuid.as_u128(), n) });
    kernel.head(&key).unwrap()
}

#[test]
fn a_revision_is_kept_once_and_an_older_one_never_again() {
    let (mut kernel, peer, mut theirs) = taker();
    let key = theirs.object(1, "Paper");
    let first = travels(&theirs, &key);
    put(&mut theirs, key, 1);
    let second = travels(&theirs, &key);
    put(&mut theirs, key, 2);
    let third = travels(&theirs, &key);
    kernel.events.clear();
    assert_eq!(shares(&mut kernel, peer, first.clone()), ShareAnswer::Stored);
    assert_eq!(kernel.store.unsynced(), 0);
    let changed = |kernel: &Alone| {
        kernel.events.iter().filter(|event| matches!(event, Event::Changed { from: Some(_), .. })).count()
    };
    assert_eq!(changed(&kernel), 1);
    let before = kernel.rows();
    assert_eq!(shares(&mut kernel, peer, first.clone()), ShareAnswer::Known);
    assert_eq!(kernel.rows(), before);
    assert_eq!(shares(&mut kernel, peer, second.clone()), ShareAnswer::Stored);
    assert_eq!(shares(&mut kernel, peer, third.clone()), ShareAnswer::Stored);
    for older in [first, second] {
        assert_eq!(shares(&mut kernel, peer, older), ShareAnswer::Known);
    }
    let row = head(&kernel.store, &key).unwrap().unwrap();
    assert_eq!(row.header.id(), third.header.id());
    assert_eq!((row.home, row.from, row.charged, row.proven), (Some(peer), Some(peer), true, false));
    assert_eq!(body(&kernel.store, &row.header).unwrap(), third.body);
    assert_eq!((bodies(&kernel), changed(&kernel)), (1, 3));
    assert_eq!(beside(&kernel, &key), []);
    assert_eq!(chain(&kernel.store, &key.lineage().unwrap()).unwrap(), third.chain);
}

/// Two histories of one object: its home said two things.
pub(super) fn fork(theirs: &Alone, key: ObjectKey, n: u32) -> (Alone, Parcel) {
    let mut other = Alone::kernel(9);
    other.store = theirs.store.clone();
    other.restart();
    put(&mut other, key, n);
    let parcel = travels(&other, &key);
    (other, parcel)
}

#[test]
fn what_the_chain_does_not_contain_is_kept_beside_it_up_to_a_number() {
    let (mut kernel, peer, mut theirs) = taker();
    let key = theirs.object(1, "Paper");
    let (_, forked) = fork(&theirs, key, 100);
    let forks: Vec<_> = (101..111).map(|n| fork(&theirs, key, n).1).collect();
    let first = travels(&theirs, &key);
    put(&mut theirs, key, 1);
    let second = travels(&theirs, &key);
    assert_eq!(shares(&mut kernel, peer, second.clone()), ShareAnswer::Stored);
    let usage_before = usage(&kernel.store, &peer).unwrap().stored_bytes;
    assert_eq!(usage_before, cost(&second.header));
    // The same place in the chain, another revision.
    assert_eq!(shares(&mut kernel, peer, forked.clone()), ShareAnswer::Conflict);
    assert_eq!(kernel.head(&key).unwrap().id(), second.header.id());
    let kept = beside(&kernel, &key);
    assert_eq!((kept.len(), kept[0].header.id(), kept[0].is_replaced()), (1, forked.header.id(), false));
    assert_eq!(body(&kernel.store, &kept[0].header).unwrap(), forked.body);
    let counted = usage(&kernel.store, &peer).unwrap().stored_bytes;
    assert_eq!(counted, usage_before + cost(&forked.header));
    let before = kernel.rows();
    assert_eq!(shares(&mut kernel, peer, forked), ShareAnswer::Conflict, "kept already");
    assert_eq!(kernel.rows(), before);
    // Its parent is known.
    assert_eq!(shares(&mut kernel, peer, first), ShareAnswer::Known);
    // Eight are kept; further ones are counted.
    for (n, fork) in forks.into_iter().enumerate() {
        assert_eq!(shares(&mut kernel, peer, fork), ShareAnswer::Conflict);
        assert_eq!(beside(&kernel, &key).len(), (n + 2).min(CONFLICTS_MAX_BODIES));
    }
    assert_eq!(head(&kernel.store, &key).unwrap().unwrap().conflicts_dropped, 3);
    // The next revision replaces the head, and what was counted stays counted.
    put(&mut theirs, key, 2);
    let third = travels(&theirs, &key);
    assert_eq!(shares(&mut kernel, peer, third), ShareAnswer::Stored);
    assert_eq!(head(&kernel.store, &key).unwrap().unwrap().conflicts_dropped, 3);
    assert_eq!(beside(&kernel, &key).len(), CONFLICTS_MAX_BODIES);
    // A tombstone takes away what was kept beside, and its bytes are given back.
    theirs.command(Command::Remove { key });
    let end = travels(&theirs, &key);
    assert_eq!(shares(&mut kernel, peer, end.clone()), ShareAnswer::Stored);
    assert_eq!((beside(&kernel, &key), bodies(&kernel)), (vec![], 0));
    assert_eq!(usage(&kernel.store, &peer).unwrap().stored_bytes, cost(&end.header));
    assert!(kernel.head(&key).unwrap().tombstone);
}

#[test]
fn a_revision_before_the_head_that_is_not_its_parent_is_a_fork() {
    let (mut kernel, peer, mut theirs) = taker();
    let key = theirs.object(1, "Paper");
    let (mut other, one) = fork(&theirs, key, 100);
    put(&mut other, key, 101);
    let two = travels(&other, &key);
    put(&mut theirs, key, 1);
    put(&mut theirs, key, 2);
    let third = travels(&theirs, &key);
    assert_eq!(shares(&mut kernel, peer, third.clone()), ShareAnswer::Stored);
    // One before the head, and not its parent; one in its place; and the next of another.
    assert_eq!(shares(&mut kernel, peer, one), ShareAnswer::Conflict);
    assert_eq!(shares(&mut kernel, peer, two), ShareAnswer::Conflict);
    put(&mut other, key, 102);
    assert_eq!(shares(&mut kernel, peer, travels(&other, &key)), ShareAnswer::Conflict);
    assert_eq!(kernel.head(&key).unwrap().id(), third.header.id());
}

fn answer(kernel: &Alone, token: u64) -> (Header, Change) {
    match &kernel.answered[&token] {
        Answer::Object { header, change } => ((**header).clone(), *change),
        other => panic!("{other:?}"),
    }
}

/// Revisions between are not here: the head that was replaced is kept until its home has proven that it is an ancestor.
#[test]
fn a_quota_counts_bytes_rows_and_certificates_and_gives_back_what_is_replaced() {
    let (mut kernel, peer, mut theirs) = taker();
    let (one, two) = (theirs.object(1, "Paper"), theirs.object(2, "Paper"));
    let (first, other) = (travels(&theirs, &one), travels(&theirs, &two));
    assert_eq!(cost(&first.header), first.header.size + 1024 + 320);
    let loose = unclaimed(&scenario(5, 1));
    assert_eq!(cost(&loose), loose.size + 1024);
    let quota = |kernel: &mut Alone, bytes| {
        kernel.command(Command::ChangePeer {
            peer,
            petname: None,
            quota_bytes: Some(bytes),
            addresses: vec![],
        });
    };
    let both = cost(&first.header) + cost(&other.header);
    quota(&mut kernel, cost(&first.header) - 1);
    assert_eq!(shares(&mut kernel, peer, first.clone()), ShareAnswer::Refused(Code::Quota));
    assert_eq!(kernel.head(&one), None);
    quota(&mut kernel, both - 1);
    assert_eq!(shares(&mut kernel, peer, first), ShareAnswer::Stored);
    assert_eq!(shares(&mut kernel, peer, other.clone()), ShareAnswer::Refused(Code::Quota));
    // The next revision takes the room of the one before.
    put(&mut theirs, one, 1);
    let next = travels(&theirs, &one);
    quota(&mut kernel, cost(&next.header));
    assert_eq!(shares(&mut kernel, peer, next.clone()), ShareAnswer::Stored);
    assert_eq!(usage(&kernel.store, &peer).unwrap().stored_bytes, cost(&next.header));
    quota(&mut kernel, cost(&next.header) + cost(&other.header));
    assert_eq!(shares(&mut kernel, peer, other), ShareAnswer::Stored);
    // What is dropped here is given back.
    kernel.command(Command::Remove { key: two });
    assert_eq!(usage(&kernel.store, &peer).unwrap().stored_bytes, cost(&next.header));
    // What was asked for counts for nobody.
    let three = theirs.object(3, "Paper");
    let arrival = verify(&peer, travels(&theirs, &three)).unwrap();
    let token = kernel.arrives(peer, arrival);
    assert_eq!(kernel.answered[&token], Answer::Kept(ShareAnswer::Stored));
    assert!(!head(&kernel.store, &three).unwrap().unwrap().charged);
    assert_eq!(usage(&kernel.store, &peer).unwrap().stored_bytes, cost(&next.header));
    // A full disk refuses for now, but what is known is known.
    kernel.input(Input::Disk { free_bytes: DISK_RESERVE_BYTES - 1 });
    assert_eq!(shares(&mut kernel, peer, next), ShareAnswer::Known);
    let four = theirs.object(4, "Paper");
    assert_eq!(shares(&mut kernel, peer, travels(&theirs, &four)), ShareAnswer::Refused(Code::DiskFull));
}

#[test]
fn a_claim_takes_over_the_copy_that_came_from_a_peer_and_not_the_one_that_was_imported_here() {
    for imported in [false, true] {
        let (mut kernel, peer, mut theirs) = taker();
        let bytes = scenario(5, 1);
        let header = unclaimed(&bytes);
        let (copy, body) = (header.key(), Some(bytes.bytes().clone()));
        let parcel = Parcel { header, chain: None, body, commit: None };
        if imported {
            kernel.command(Command::Import { source: None, over: None, scenario: bytes.clone() });
        } else {
            assert_eq!(shares(&mut kernel, peer, parcel.clone()), ShareAnswer::Stored);
        }
        let reader = kernel.befriend(8);
        kernel.grant(reader, Right::Read, Scope::Object(copy));
        theirs.command(Command::Import { source: None, over: None, scenario: bytes.clone() });
        let token = theirs.command(Command::Claim { key: copy });
        let (claimed, change) = answer(&theirs, token);
        assert_eq!(change, Change::Claimed);
        let claimed_parcel = travels(&theirs, &claimed.key());
        assert_eq!(shares(&mut kernel, peer, claimed_parcel), ShareAnswer::Stored);
        assert_eq!(kernel.head(&copy).is_some(), imported);
        let row = head(&kernel.store, &claimed.key()).unwrap().unwrap();
        let may = crate::access::may_read(&kernel.store, &reader, &row, kernel.ctx.now_ms).unwrap();
        assert_eq!(may, !imported, "its grants go with it");
        // The copy again is nothing new, if it became that object.
        assert_eq!(shares(&mut kernel, peer, parcel), ShareAnswer::Known);
        assert_eq!(bodies(&kernel), 1 + usize::from(imported));
    }
}

#[test]
fn a_file_that_is_imported_again_is_the_next_revision_unless_the_object_has_gone_on() {
    let mut kernel = Alone::new();
    let import = |n, over| Command::Import { source: Some("a".into()), over, scenario: scenario(5, n) };
    let mut ask = |command| {
        let token = kernel.command(command);
        (answer(&kernel, token), beside(&kernel, &answer(&kernel, token).0.key()).len())
    };
    let ((first, change), _) = ask(import(1, None));
    assert_eq!((change, first.lineage), (Change::New, None));
    assert_eq!(ask(import(1, None)).0.1, Change::Same);
    let ((second, change), _) = ask(import(2, None));
    assert_eq!((change, second.revision), (Change::ClaimedAndChanged, 2));
    let key = second.key();
    let ((third, change), _) = ask(import(3, None));
    assert_eq!((change, third.revision, third.key()), (Change::Changed, 3, key));
    assert_eq!(ask(import(3, None)).0.1, Change::Same);
    // Somebody changes it here: a file is not laid over that.
    let ((fourth, _), _) = ask(Command::Put { key, base: Some(third.id()), scenario: scenario(5, 4) });
    let ((head, change), kept) = ask(import(5, None));
    assert_eq!((change, head.id(), kept), (Change::KeptBeside, fourth.id(), 1));
    assert_eq!(ask(import(5, None)).1, 1, "kept once");
    // The bytes that are here are no news.
    assert_eq!(ask(import(4, None)).0.1, Change::Same);
    // Over a revision that is the newest, and no other.
    let ((six, change), _) = ask(import(6, Some(fourth.id())));
    assert_eq!((change, six.revision), (Change::Changed, 5));
    let stale = kernel.try_command(import(7, Some(fourth.id())));
    assert_eq!(stale, Err(Refusal::Stale { key, newest: 5 }));
    // A file from elsewhere may be laid over it, too.
    let over =
        |over, n| Command::Import { source: Some("b".into()), over: Some(over), scenario: scenario(5, n) };
    let uuid = key.uuid;
    assert_eq!(
        kernel.try_command(over(fourth.id(), 7)),
        Err(Refusal::NoRevision { uuid, revision: fourth.id() })
    );
    assert_eq!(kernel.try_command(over(six.id(), 7)), Ok(()));
    // Other bytes of the same UUID, not imported before: they stand beside it.
    let mut ask = |command| {
        let token = kernel.command(command);
        answer(&kernel, token)
    };
    assert_eq!(
        ask(Command::Import { source: Some("c".into()), over: None, scenario: scenario(5, 50) }).1,
        Change::Beside
    );
    let newest = ask(Command::Import { source: None, over: None, scenario: scenario(5, 7) });
    assert_eq!((newest.1, newest.0.key()), (Change::Same, key));
    assert_eq!(ask(Command::Remove { key }).1, Change::Removed);
    assert_eq!(kernel.try_command(import(8, None)), Err(Refusal::Removed(key)));
}

#[test]
fn what_was_kept_beside_becomes_the_next_revision_or_goes() {
    let mut kernel = Alone::new();
    let import = |n| Command::Import { source: Some("a".into()), over: None, scenario: scenario(5, n) };
    kernel.command(import(1));
    let token = kernel.command(import(2));
    let key = answer(&kernel, token).0.key();
    put(&mut kernel, key, 3);
    for n in 10..10 + CONFLICTS_MAX_BODIES as u32 {
        kernel.command(import(n));
    }
    assert_eq!(kernel.try_command(import(99)), Err(Refusal::TooManyConflicts(key)));
    let kept: Vec<Hash> = beside(&kernel, &key).iter().map(|row| row.header.id()).collect();
    let missing = Hash::from_bytes([9; 32]);
    for command in [Command::Keep { key, revision: missing }, Command::Discard { key, revision: missing }] {
        assert_eq!(kernel.try_command(command), Err(Refusal::NoConflict { key, revision: missing }));
    }
    let content = beside(&kernel, &key)[0].header.content;
    let token = kernel.command(Command::Keep { key, revision: kept[0] });
    let (next, change) = answer(&kernel, token);
    assert_eq!((next.content, next.revision, change), (content, 4, Change::Changed));
    let token = kernel.command(Command::Discard { key, revision: kept[1] });
    assert_eq!(answer(&kernel, token).1, Change::Resolved);
    assert_eq!(beside(&kernel, &key).len(), CONFLICTS_MAX_BODIES - 2);
    assert_eq!(bodies(&kernel), CONFLICTS_MAX_BODIES - 1);
    // A file with the bytes of one that is kept: that is no conflict any more.
    let left = beside(&kernel, &key)[0].header.content;
    let n = (10..18).find(|n| scenario(5, *n).hash() == left).unwrap();
    put(&mut kernel, key, n);
    assert_eq!(beside(&kernel, &key).len(), CONFLICTS_MAX_BODIES - 3);
    let names: Vec<_> = crate::act::history(&kernel.store, &key)
        .unwrap()
        .into_iter()
        .map(|row| row.told.unwrap().name)
        .collect();
    assert_eq!(names, ["once:claim", "once:import", "once:put", "once:keep", "once:put"]);
    assert_eq!(crate::act::broken_link(&crate::act::history(&kernel.store, &key).unwrap()), None);
}

#[test]
fn only_its_home_changes_an_object() {
    let (mut kernel, peer, mut theirs) = taker();
    let key = theirs.object(1, "Paper");
    shares(&mut kernel, peer, travels(&theirs, &key));
    let loose = scenario(5, 1);
    let header = unclaimed(&loose);
    let copy = header.key();
    shares(
        &mut kernel,
        peer,
        Parcel { header, chain: None, body: Some(loose.bytes().clone()), commit: None },
    );
    let put_on = |key: ObjectKey| Command::Put { key, base: None, scenario: scenario(key.uuid.as_u128(), 9) };
    assert_eq!(kernel.try_command(put_on(key)), Err(Refusal::NotHome { key, home: peer }));
    assert_eq!(kernel.try_command(Command::Claim { key }), Err(Refusal::NotHome { key, home: peer }));
    assert_eq!(kernel.try_command(put_on(copy)), Err(Refusal::NotClaimed(copy)));
    let own = kernel.object(7, "Paper");
    let other = Command::Put { key: own, base: None, scenario: scenario(8, 1) };
    assert_eq!(
        kernel.try_command(other),
        Err(Refusal::OtherUuid { wanted: own.uuid, found: Uuid::from_u128(8) })
    );
    let stale = Command::Put { key: own, base: Some(Hash::from_bytes([1; 32])), scenario: scenario(7, 1) };
    assert_eq!(kernel.try_command(stale), Err(Refusal::Stale { key: own, newest: 1 }));
    let absent = ObjectKey { uuid: Uuid::from_u128(99), ..own };
    for command in [put_on(absent), Command::Claim { key: absent }, Command::Remove { key: absent }] {
        assert_eq!(kernel.try_command(command), Err(Refusal::NoObject(absent)));
    }
    // Elsewhere, to remove is to drop the copy: it may come again.
    let token = kernel.command(Command::Remove { key });
    assert_eq!(answer(&kernel, token).1, Change::Dropped);
    assert!(kernel.events.contains(&Event::Dropped { key }));
    assert_eq!(shares(&mut kernel, peer, travels(&theirs, &key)), ShareAnswer::Stored);
    // On purpose, a copy becomes an object of this kernel.
    let token = kernel.command(Command::Claim { key: copy });
    assert_eq!(answer(&kernel, token).1, Change::Claimed);
    let token = kernel.command(Command::Claim { key: copy });
    assert_eq!(answer(&kernel, token).1, Change::Same);
    let token = kernel.command(put_on(copy));
    assert_eq!(answer(&kernel, token).1, Change::Changed);
    let token = kernel.command(Command::Remove { key: own });
    let (tombstone, change) = answer(&kernel, token);
    assert_eq!(
        (change, tombstone.size, tombstone.tombstone, tombstone.revision),
        (Change::Removed, 0, true, 2)
    );
    for command in [Command::Remove { key: own }, put_on(own), Command::Claim { key: own }] {
        assert_eq!(kernel.try_command(command), Err(Refusal::Removed(own)));
    }
    let born = Command::Create { scenario: Scenario::compose(own.uuid, "Paper", "1", "me", "{}").unwrap() };
    assert_eq!(kernel.try_command(born), Err(Refusal::Removed(own)));
    let again = Command::Import { source: None, over: None, scenario: scenario(7, 3) };
    let token = kernel.command(again);
    assert_eq!(answer(&kernel, token).1, Change::BesideTombstone);
}

#[test]
fn an_object_is_created_once() {
    let mut kernel = Alone::new();
    let mut create = |n| {
        let token = kernel.command(Command::Create { scenario: scenario(5, n) });
        answer(&kernel, token)
    };
    let (first, change) = create(1);
    assert_eq!((change, first.revision, first.epoch), (Change::New, 1, 1));
    let (same, change) = create(1);
    assert_eq!((change, same.key()), (Change::Same, first.key()));
    assert_eq!(create(2).1, Change::Beside);
    let found = chain(&kernel.store, &first.lineage.unwrap()).unwrap().unwrap();
    assert_eq!((found.genesis.home, found.genesis.content), (kernel.id(), first.content));
    found.verify(first.lineage.unwrap()).unwrap();
    // What was imported is claimed by it.
    kernel.command(Command::Import { source: None, over: None, scenario: scenario(6, 1) });
    let token = kernel.command(Command::Create { scenario: scenario(6, 1) });
    assert_eq!(answer(&kernel, token).1, Change::Same);
    assert_eq!(kernel.head(&unclaimed(&scenario(6, 1)).key()), None);
}

#[test]
fn a_disk_that_is_nearly_full_refuses_new_work_and_still_removes() {
    let mut kernel = Alone::new();
    let (key, peer) = (kernel.object(1, "Paper"), kernel.befriend(9));
    kernel.command(Command::Import { source: None, over: None, scenario: scenario(6, 1) });
    let copy = unclaimed(&scenario(6, 1)).key();
    kernel.input(Input::Disk { free_bytes: DISK_RESERVE_BYTES - 1 });
    let before = kernel.rows();
    let refused = [
        Command::Import { source: None, over: None, scenario: scenario(5, 1) },
        Command::Put { key, base: None, scenario: scenario(1, 1) },
        Command::Create { scenario: scenario(5, 1) },
        Command::Claim { key: copy },
        Command::Keep { key, revision: Hash::from_bytes([1; 32]) },
        Command::Share { key, to: peer, delivered: false },
        kernel.wish(key, "go", 1),
    ];
    for command in refused {
        let words = format!("{command:?}");
        match kernel.try_command(command) {
            Err(Refusal::DiskFull { free_mib: 63, reserve_mib: 64 }) => {}
            other => panic!("{words}: {other:?}"),
        }
    }
    assert_eq!(kernel.rows(), before);
    assert_eq!(kernel.try_command(Command::Remove { key }), Ok(()));
}

/// Section 7, line by line.
#[test]
fn a_parcel_is_checked_before_it_is_kept() {
    let mut theirs = Alone::kernel(9);
    let (home, other) = (theirs.id(), KernelKey::from_bytes(&[8; 32]).id());
    let key = theirs.object(1, "Paper");
    let born = travels(&theirs, &key);
    put(&mut theirs, key, 1);
    let good = travels(&theirs, &key);
    theirs.command(Command::Remove { key });
    let end = travels(&theirs, &key);
    let bytes = scenario(5, 1);
    let loose =
        Parcel { header: unclaimed(&bytes), chain: None, body: Some(bytes.bytes().clone()), commit: Some(7) };
    for parcel in [&born, &good, &end, &loose] {
        for sender in [home, other] {
            let arrival = verify(&sender, parcel.clone()).unwrap();
            assert_eq!(
                (&arrival.header, &arrival.body, arrival.commit),
                (&parcel.header, &parcel.body, parcel.commit)
            );
        }
    }
    type Spoil = Box<dyn Fn(&mut Parcel)>;
    let with_header = |spoil: fn(&mut Header)| -> Spoil { Box::new(move |parcel| spoil(&mut parcel.header)) };
    // The home itself need not sign: then nothing but what is looked at is wrong.
    let wrong = |parcel: &Parcel, spoil: Spoil, code: Code| {
        let mut parcel = parcel.clone();
        spoil(&mut parcel);
        assert_eq!(verify(&home, parcel.clone()).map(drop), Err(code), "{parcel:?}");
    };
    let too_large = with_header(|header| header.size = SCENARIO_MAX_BYTES as u64 + 1);
    wrong(&good, too_large, Code::TooLarge);
    // Also where its chain is none of its lineage: the size is looked at first.
    let forged: Spoil = Box::new(|parcel| {
        parcel.header.size = SCENARIO_MAX_BYTES as u64 + 1;
        parcel.header.lineage = Some(once_model::ids::Lineage::from_bytes([1; 32]));
    });
    wrong(&good, forged, Code::TooLarge);
    let spoils: Vec<Spoil> = vec![
        with_header(|header| header.component = "n".repeat(NAME_MAX_BYTES + 1)),
        with_header(|header| header.version = "n".repeat(NAME_MAX_BYTES + 1)),
        with_header(|header| header.component = "Other".into()),
        with_header(|header| header.version = "2".into()),
        with_header(|header| header.size += 1),
        with_header(|header| header.content = Hash::from_bytes([1; 32])),
        with_header(|header| header.tombstone = true),
        with_header(|header| header.uuid = Uuid::from_u128(2)),
        Box::new(|parcel| parcel.body = None),
        Box::new(|parcel| parcel.body = Some("{".into())),
    ];
    for parcel in [&good, &loose] {
        for spoil in &spoils {
            let mut spoiled = parcel.clone();
            spoil(&mut spoiled);
            assert_eq!(verify(&home, spoiled.clone()).map(drop), Err(Code::Invalid), "{spoiled:?}");
        }
    }
    for spoil in [
        with_header(|header| header.epoch = 1),
        with_header(|header| header.revision = 1),
        with_header(|header| header.certificate = Some(Hash::from_bytes([1; 32]))),
        with_header(|header| header.parent = Some(Hash::from_bytes([1; 32]))),
        with_header(|header| header.entry = Some(Hash::from_bytes([1; 32]))),
        Box::new({
            let signature = good.header.signature;
            move |parcel| parcel.header.signature = signature
        }),
        Box::new({
            let chain = good.chain.clone();
            move |parcel| parcel.chain.clone_from(&chain)
        }),
        Box::new({
            let cause = good.header.cause.clone();
            move |parcel| parcel.header.cause.clone_from(&cause)
        }),
    ] {
        wrong(&loose, spoil, Code::Invalid);
    }
    let elsewhere: Option<Chain> = {
        let mut other = Alone::kernel(9);
        let key = other.object(3, "Paper");
        chain(&other.store, &key.lineage().unwrap()).unwrap()
    };
    for spoil in [
        with_header(|header| header.epoch = 2),
        with_header(|header| header.certificate = Some(Hash::from_bytes([1; 32]))),
        with_header(|header| header.certificate = None),
        with_header(|header| header.parent = None),
        with_header(|header| header.revision = 1),
        with_header(|header| header.revision = 0),
        Box::new(|parcel| parcel.chain = None),
        Box::new(move |parcel| parcel.chain.clone_from(&elsewhere)),
    ] {
        wrong(&good, spoil, Code::Invalid);
    }
    wrong(&born, with_header(|header| header.parent = Some(Hash::from_bytes([1; 32]))), Code::Invalid);
    wrong(&end, with_header(|header| header.size = 1), Code::Invalid);
    wrong(&end, with_header(|header| header.content = Hash::from_bytes([1; 32])), Code::Invalid);
    wrong(&end, Box::new(|parcel| parcel.body = Some("".into())), Code::Invalid);
    // Revision 1 has the first content.
    let mut first = good.clone();
    (first.header.revision, first.header.parent) = (1, None);
    assert_eq!(verify(&home, first).map(drop), Err(Code::Invalid));
    // Who is not the home must show its signature.
    let mut unsigned = good.clone();
    unsigned.header.signature = None;
    assert!(verify(&home, unsigned.clone()).is_ok());
    assert_eq!(verify(&other, unsigned.clone()).map(drop), Err(Code::Invalid));
    unsigned.header.sign(&KernelKey::from_bytes(&[8; 32]));
    assert_eq!(verify(&other, unsigned).map(drop), Err(Code::Invalid));
}

#[test]
fn is_asked_for_is_what_was_asked_for() {
    let mut theirs = Alone::kernel(9);
    let bytes = scenario(5, 1);
    let copy = unclaimed(&bytes);
    theirs.command(Command::Import { source: None, over: None, scenario: bytes });
    let token = theirs.command(Command::Claim { key: copy.key() });
    let claimed = answer(&theirs, token).0;
    let found = chain(&theirs.store, &claimed.lineage.unwrap()).unwrap();
    let asked = |uuid: u128, line: Option<Line>, header: &Header, chain: Option<&Chain>| {
        super::is_asked_for(&Uuid::from_u128(uuid), line.as_ref(), header, chain)
    };
    let (old, new) = (copy.key().line, claimed.key().line);
    let other = Line::Unclaimed(Hash::from_bytes([1; 32]));
    for (header, chain, lines) in [(&copy, None, [true, false]), (&claimed, found.as_ref(), [true, true])] {
        assert!(asked(5, None, header, chain) && !asked(6, None, header, chain));
        assert_eq!([old, new].map(|line| asked(5, Some(line), header, chain)), lines);
        assert!(!asked(5, Some(other), header, chain));
    }
    assert!(!asked(5, Some(old), &claimed, None), "without its chain nothing is proven");
}

#[test]
fn a_large_scenario_is_pulled_only_if_it_would_be_kept() {
    let (mut kernel, peer, mut theirs) = taker();
    let text = format!("{{\"t\":\"{}\"}}", "x".repeat(INLINE_MAX_BYTES));
    let large = Scenario::compose(Uuid::from_u128(5), "Paper", "1", "me", &text).unwrap();
    let token = theirs.command(Command::Create { scenario: large });
    let key = answer(&theirs, token).0.key();
    let announced = travels(&theirs, &key);
    assert_eq!(announced.body, None);
    kernel.says(peer, 1, Frame::Share(announced.clone()));
    assert_eq!((kernel.sent.len(), kernel.pulls.len()), (0, 1));
    let (from, conn, what) = kernel.pulls.pop_front().unwrap();
    assert_eq!((from, conn, what.key(), what.content()), (peer, 1, key, announced.header.content));
    let body = body(&theirs.store, &announced.header).unwrap();
    let arrival = verify(&peer, Parcel { body, ..announced.clone() }).unwrap();
    kernel.input(Input::Arrived { peer, arrival, why: crate::waist::Why::Shared { conn: 1 } });
    assert_eq!(kernel.head(&key).map(|head| head.id()), Some(announced.header.id()));
    let refused = |kernel: &mut Alone, parcel: Parcel| {
        let said = kernel.says(peer, 1, Frame::Share(parcel)).to_vec();
        assert_eq!(kernel.pulls.len(), 0);
        match said.as_slice() {
            [Frame::Shared(shared)] => shared.answer,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(refused(&mut kernel, announced.clone()), ShareAnswer::Known);
    let mut huge = announced.clone();
    huge.header.size = SCENARIO_MAX_BYTES as u64 + 1;
    assert_eq!(refused(&mut kernel, huge), ShareAnswer::Refused(Code::TooLarge));
    kernel.command(Command::ChangePeer { peer, petname: None, quota_bytes: Some(5), addresses: vec![] });
    let mut next = announced.clone();
    next.header.revision += 1;
    assert_eq!(refused(&mut kernel, next.clone()), ShareAnswer::Refused(Code::Quota));
    let grant = crate::access::Grant {
        scope: Scope::Kernel,
        right: Right::Share,
        kernel: peer,
        object: None,
        expires_ms: None,
        actions: None,
    };
    kernel.command(Command::Revoke(grant));
    assert_eq!(refused(&mut kernel, next), ShareAnswer::Refused(Code::Denied));
}

/// Or no peer takes it.
#[test]
fn a_header_names_as_much_of_a_component_as_fits() {
    for bytes in [NAME_MAX_BYTES, NAME_MAX_BYTES + 1] {
        let body = std::str::from_utf8(scenario(9, 9).bytes()).unwrap().replace("Paper", &"x".repeat(bytes));
        let header = unclaimed(&Scenario::parse(body.into_bytes()).unwrap());
        assert_eq!(header.component.len(), NAME_MAX_BYTES);
    }
}

#[test]
fn so_many_files_are_kept_beside_an_object_and_the_same_one_once() {
    let mut kernel = Alone::new();
    let import = |n| Command::Import { source: Some("a".into()), over: None, scenario: scenario(5, n) };
    kernel.command(import(1));
    let token = kernel.command(import(2));
    let key = answer(&kernel, token).0.key();
    put(&mut kernel, key, 3);
    for n in 0..CONFLICTS_MAX_BODIES {
        kernel.command(import(100 + n as u32));
        assert_eq!(beside(&kernel, &key).len(), 1 + n);
    }
    kernel.command(import(100));
    assert_eq!(kernel.try_command(import(99)), Err(Refusal::TooManyConflicts(key)));
    assert_eq!(beside(&kernel, &key).len(), CONFLICTS_MAX_BODIES);
}

#[test]
fn a_copy_that_has_lost_its_bytes_is_not_claimed() {
    let mut kernel = Alone::new();
    kernel.command(Command::Import { source: None, over: None, scenario: scenario(5, 1) });
    let header = unclaimed(&scenario(5, 1));
    for bytes in [None, Some("{}".into())] {
        let body = (Table::Body, super::rows::body_key(&header), bytes);
        kernel.put_rows(crate::store::Batch { rows: vec![body] });
        let claimed = kernel.try_command(Command::Claim { key: header.key() });
        assert!(matches!(claimed, Err(Refusal::Damaged(_))), "{claimed:?}");
        assert!(head(&kernel.store, &header.key()).unwrap().is_some_and(|head| head.home.is_none()));
    }
}
