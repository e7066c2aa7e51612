//! What is said to the home of an object that leaves counts from whom it must come, of what it is about, and in its time.

use once_model::ids::{Hash, ObjectKey};
use once_model::limits::{INLINE_MAX_BYTES, LEAVING_MAX_MS, RESEND_AFTER_MS};
use once_model::moving::Welcome;
use once_model::scenario::Scenario;
use once_model::wire::{Code, Frame, ShareAnswer, Shared};

use super::departures;
use super::tests::{go, home, pair, refused};
use crate::act::Origin;
use crate::chores::{Chore, ChoreRow};
use crate::refusal::{Refusal, Unmoved};
use crate::store::Table;
use crate::testing::{Alone, Pair, Side, done};
use crate::waist::{Answer, Command, Input};

/// On this connection the two talk; on the other one kernel 9 does with A.
const CONN: u64 = 1;
const OTHER: u64 = 91;

fn with_nine(component: &str) -> (Pair, ObjectKey, Origin) {
    let (mut pair, key) = pair(component);
    let nine = pair.a.peer(9);
    pair.a.connect(9, nine, OTHER);
    (pair, key, nine)
}

/// Whether the object of A is about to leave, and whether it is sealed.
fn leaves(kernel: &Alone) -> Option<bool> {
    departures(&kernel.store).unwrap().first().map(|departure| departure.sealed)
}

#[test]
fn only_the_receiver_says_whether_it_would_take_what_is_there_now_and_only_before_the_seal() {
    let (mut pair, key, nine) = with_nine("Paper");
    let (b, certificate) = (pair.b.id(), pair.a.head(&key).unwrap().certificate.unwrap());
    let no = Welcome { key, certificate, code: Some(Code::Denied) };
    go(&mut pair, Side::A, key);
    pair.a.says(nine.kernel, OTHER, Frame::Welcome(no));
    pair.a.says(b, CONN, Frame::Welcome(Welcome { certificate: Hash::from_bytes([1; 32]), ..no }));
    assert_eq!(leaves(&pair.a), Some(false));
    pair.a.says(nine.kernel, OTHER, Frame::Welcome(Welcome { code: None, ..no }));
    assert_eq!(leaves(&pair.a), Some(false), "it is asked of B");
    pair.deliver(Side::B);
    pair.deliver(Side::A);
    assert_eq!(leaves(&pair.a), Some(true));
    pair.a.says(b, CONN, Frame::Welcome(no));
    assert_eq!(leaves(&pair.a), Some(true), "or there were two homes");
    pair.settle();
    assert_eq!((home(&pair.a, &key), home(&pair.b, &key)), (Some(b), Some(b)));
}

/// Else an object would wait as long as the connection breaks now and then.
#[test]
fn a_second_yes_gives_no_second_minute() {
    let (mut pair, key) = pair("Served");
    pair.a.desk.room.store(10, std::sync::atomic::Ordering::Relaxed);
    pair.a.act(key, 7);
    let token = go(&mut pair, Side::A, key);
    pair.pass(LEAVING_MAX_MS / 2);
    pair.connect(Side::A);
    pair.pass(LEAVING_MAX_MS / 2 - RESEND_AFTER_MS);
    assert_eq!(refused(&pair.a, token), None);
    pair.pass(2 * RESEND_AFTER_MS);
    assert_eq!(refused(&pair.a, token), Some(Unmoved::Run));
    pair.a.answer(done());
}

#[test]
fn what_the_receiver_says_of_the_scenario_counts_for_that_scenario() {
    let (mut pair, _, nine) = with_nine("Paper");
    let text = format!("{{\"t\":\"{}\"}}", "x".repeat(INLINE_MAX_BYTES));
    let uuid = once_model::ids::Uuid::from_u128(5);
    let scenario = Scenario::compose(uuid, "Paper", "1", "me", &text).unwrap();
    let token = pair.a.command(Command::Create { scenario });
    let Some(Answer::Object { header, .. }) = pair.a.answered.get(&token) else { panic!("not made") };
    let (key, id, b) = (header.key(), header.id(), pair.b.id());
    let token = go(&mut pair, Side::A, key);
    pair.deliver(Side::B);
    pair.breaks = 9;
    pair.settle();
    let said = |id, answer| Frame::Shared(Shared { key, id, answer, commit: None });
    let no = ShareAnswer::Refused(Code::Quota);
    pair.a.says(nine.kernel, OTHER, said(id, no));
    pair.a.says(nine.kernel, OTHER, said(id, ShareAnswer::Stored));
    pair.a.says(b, CONN, said(Hash::from_bytes([1; 32]), no));
    for passing in [Code::Busy, Code::DiskFull, Code::Stopping] {
        pair.a.says(b, CONN, said(id, ShareAnswer::Refused(passing)));
    }
    assert_eq!((leaves(&pair.a), refused(&pair.a, token)), (Some(false), None));
    pair.a.says(b, CONN, said(id, no));
    assert_eq!(refused(&pair.a, token), Some(Unmoved::Unwelcome(Code::Quota)));
}

#[test]
fn what_cannot_leave_is_refused_at_once() {
    let (mut pair, key) = pair("Paper");
    let to = pair.b.id();
    let wish = |key, to| Command::Move { key, to, leave_calls: false, wait: true, without_me: false };
    pair.a.input(Input::Disk { free_bytes: 1 });
    assert!(matches!(pair.a.try_command(wish(key, to)), Err(Refusal::DiskFull { .. })));
    assert_eq!(leaves(&pair.a), None);
    pair.a.input(Input::Disk { free_bytes: u64::MAX });
    let nobody = pair.a.peer_id(77);
    assert_eq!(pair.a.try_command(wish(key, nobody)), Err(Refusal::NoPeer(nobody)));
    assert_eq!(pair.a.try_command(wish(key, pair.a.id())), Err(Refusal::Myself));
    assert_eq!(pair.a.try_command(wish(key, to)), Ok(()));
    assert_eq!(pair.a.try_command(wish(key, to)), Err(Refusal::Leaving(key)));
    pair.settle();
    assert_eq!(pair.a.try_command(wish(key, to)), Err(Refusal::NotHome { key, home: to }));
}

/// Its followers are owed its last change by this kernel: the next home does not know what they have.
#[test]
fn an_object_stays_until_its_followers_are_owed_its_last_change() {
    let (mut pair, key) = pair("Paper");
    let chore = Chore::TellFollowers(key);
    pair.a.writes(|s| {
        // A damaged row holds it up.
        s.txn.put(Table::Chore, &chore.to_row().unwrap(), &ChoreRow::default());
        s.engine.chores.lasting = true;
        s.engine.chores.stuck.insert(chore);
        Ok(())
    });
    let token = go(&mut pair, Side::A, key);
    pair.pass(LEAVING_MAX_MS - RESEND_AFTER_MS);
    assert_eq!(leaves(&pair.a), Some(false));
    pair.pass(3 * RESEND_AFTER_MS);
    assert_eq!(refused(&pair.a, token), Some(Unmoved::News));
    assert_eq!(home(&pair.a, &key), Some(pair.a.id()));
}
