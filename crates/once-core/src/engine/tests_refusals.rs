//! What people and programs are told when something is refused: a code, and what to do next.

use once_model::ids::{Hash, KernelId, Line, ObjectKey, Uuid};
use once_model::sign::KernelKey;
use once_model::wire::Code;

use crate::parked::Damage;
use crate::refusal::{Refusal, Unmoved};
use crate::store::Table;

fn key() -> ObjectKey {
    ObjectKey { uuid: Uuid::from_u128(1), line: Line::Unclaimed(Hash::from_bytes([1; 32])) }
}

fn kernel() -> KernelId {
    KernelKey::from_bytes(&[1; 32]).id()
}

/// Every refusal, but those of a move: its code, and a piece of its hint; nothing if it has none.
fn all() -> Vec<(Refusal, Code, &'static str)> {
    let (key, kernel, id, hash) = (key(), kernel(), Uuid::from_u128(7), Hash::from_bytes([2; 32]));
    let damage = Damage { table: Table::Head, row: vec![1], object: None, reason: "short".into() };
    let code = Code::TooLarge;
    vec![
        (Refusal::NoObject(key), Code::Denied, "`once ls`"),
        (Refusal::Removed(key), Code::Denied, "a new UUID"),
        (Refusal::NotHome { key, home: kernel }, Code::NotHome, "at its home"),
        (Refusal::NotClaimed(key), Code::NotHome, "`once claim"),
        (Refusal::NoConflict { key, revision: hash }, Code::Invalid, "`once conflicts`"),
        (Refusal::NoBytes { revision: hash }, Code::Invalid, ""),
        (Refusal::TooManyConflicts(key), Code::Invalid, "`once conflicts keep"),
        (Refusal::NoRevision { uuid: id, revision: hash }, Code::Invalid, "`once show"),
        (Refusal::Stale { key, newest: 2 }, Code::Invalid, "then put again"),
        (Refusal::OtherUuid { wanted: id, found: id }, Code::Invalid, "`once import FILE`"),
        (Refusal::NotFollowed { key, from: kernel }, Code::Invalid, ""),
        (Refusal::NoGrant { kernel, right: "read" }, Code::Invalid, "`once grants`"),
        (Refusal::WholeGrant { kernel }, Code::Invalid, "without --action"),
        (Refusal::TooManyActions(9), Code::Quota, ""),
        (Refusal::Quarantined, Code::Quarantined, "`once quarantine`"),
        (Refusal::NoQuarantine, Code::Invalid, ""),
        (Refusal::NotHeard(kernel), Code::Invalid, "`once quarantine end --without"),
        (Refusal::EarlierLife(key), Code::Quarantined, "`once export"),
        (Refusal::NoInvite, Code::Denied, "`once invites`"),
        (Refusal::InviteUsed(kernel), Code::Invalid, "`once peers remove"),
        (Refusal::Damaged(damage), Code::Denied, "`once doctor`"),
        (Refusal::NoPeer(kernel), Code::Denied, "`once join TICKET`"),
        (Refusal::OnlyForObjects(kernel), Code::Invalid, "`once peers add"),
        (Refusal::BeingRemoved(kernel), Code::Busy, "`once peers remove"),
        (Refusal::Denied(kernel), Code::Denied, "a new invite"),
        (Refusal::Myself, Code::Invalid, ""),
        (Refusal::TooManyPeers(1), Code::Quota, "`once peers remove PEER`"),
        (Refusal::Unsigned(key), Code::Invalid, ""),
        (Refusal::OutboxFull { peer: kernel, rows: 1 }, Code::Quota, "`once peers remove"),
        (Refusal::NotOwed { peer: kernel, key }, Code::Invalid, "`once outbox`"),
        (Refusal::DiskFull { free_mib: 1, reserve_mib: 2 }, Code::DiskFull, "free some space"),
        (Refusal::OutOfFiles, Code::Busy, "`ulimit -n`"),
        (Refusal::StoreDamaged, Code::Busy, "`once export --salvage DIR`"),
        (Refusal::IdReused { id, first: hash, now: hash }, Code::IdReused, "a new id"),
        (Refusal::BadId { id }, Code::Invalid, "`uuidgen --time-v7`"),
        (Refusal::IdAhead { id, ahead_ms: 1 }, Code::Invalid, "set the clock"),
        (Refusal::IdTooOld { id, floor_ms: 1 }, Code::Invalid, "look at the object"),
        (Refusal::NoAction(id), Code::Denied, "`once outbox`"),
        (Refusal::BadAction { code, what: "x".into() }, code, "64 KiB"),
        (Refusal::NoHome(key), Code::Denied, "`--at PEER`"),
        (Refusal::AskedElsewhere { key, home: kernel }, Code::Denied, "`once outbox`"),
        (Refusal::NameTooLong { max_bytes: 1 }, Code::Invalid, ""),
        (Refusal::BadName { max_bytes: 1 }, Code::Invalid, ""),
        (Refusal::NameTaken("bob".into()), Code::Invalid, "choose another name"),
        (Refusal::Leaving(key), Code::Busy, "`once moves`"),
        (Refusal::Arriving(key), Code::Busy, "`once moves`"),
        (Refusal::NotLeaving(key), Code::Invalid, "`once moves`"),
        (Refusal::HandsOver { key, peer: kernel }, Code::Busy, "`once moves`"),
        (Refusal::NotConnected(kernel), Code::Busy, "`once peers dial"),
        (Refusal::NotArchived { key, by: kernel, code }, code, "`once retire --receipts FILE`"),
        (Refusal::NotFollowedInstead { key, by: kernel, code }, code, "'once grant PEER host'"),
        (Refusal::Stopping, Code::Stopping, ""),
    ]
}

/// Every reason for which an object stays: its code, what is said of it, and a piece of the hint.
fn all_unmoved() -> Vec<(Unmoved, Code, &'static str, &'static str)> {
    let invalid = Code::Invalid;
    let of = |code: Code| Unmoved::Unwelcome(code);
    let (id, waits) = (Uuid::from_u128(7), "move it again when that is done");
    vec![
        (of(Code::Denied), Code::Denied, "does not let this kernel", "once grant {me} host"),
        (of(Code::NoComponent), Code::NoComponent, "nobody at the receiver", "start a program there"),
        (of(Code::Quota), Code::Quota, "has no room for it", "once peers quota {me} SIZE"),
        (of(Code::DiskFull), Code::DiskFull, "disk is nearly full", ""),
        (of(Code::Invalid), Code::Invalid, "another history of it", ""),
        (of(Code::Ambiguous), Code::Ambiguous, "does not take it", ""),
        (Unmoved::Run, invalid, "running an action", waits),
        (Unmoved::Call { id, on: key() }, invalid, "the outcome of its action", "`--leave-calls` now"),
        (Unmoved::Answer { id }, invalid, "could not be told to it", waits),
        (Unmoved::News, invalid, "its last change", waits),
        (Unmoved::Body, invalid, "had not arrived", waits),
        (Unmoved::Luggage, invalid, "more than 16 MiB", "`once conflicts`"),
        (Unmoved::Unclaimed, invalid, "no home that it could leave", "`once claim OBJECT`"),
        (Unmoved::Chain, invalid, "as often as an object can", ""),
        (Unmoved::Unread, invalid, "cannot be read", ""),
        (Unmoved::Removed, invalid, "removed meanwhile", ""),
        (Unmoved::TakenBack, invalid, "took it back", ""),
        (Unmoved::Unwilling("no".into()), invalid, "does not let it go: no", ""),
        (Unmoved::Unasked, invalid, "could not be asked", "start the program"),
    ]
}

#[test]
fn each_refusal_has_its_code_its_words_and_says_what_helps() {
    let moves = all_unmoved().into_iter().map(|(why, code, says, hint)| {
        (Refusal::Unmoved { key: key(), why: Box::new(why) }, code, says, hint)
    });
    let others = all().into_iter().map(|(refusal, code, hint)| (refusal, code, "", hint));
    for (refusal, code, says, hint) in moves.chain(others) {
        assert_eq!(refusal.code(), code, "{refusal}");
        let text = refusal.to_string();
        assert!(!text.is_empty() && text.contains(says), "{text}");
        let shown = refusal.hint();
        assert_eq!(shown.is_some(), !hint.is_empty(), "{refusal}: {shown:?}");
        assert!(shown.unwrap_or_default().contains(hint), "{refusal}: {:?}", refusal.hint());
    }
    let home = Refusal::NotHome { key: key(), home: kernel() };
    assert!(home.hint().unwrap().contains(&kernel().short()));
}
