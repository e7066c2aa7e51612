//! What the receiver is asked before anything moves, and what it says to that.

use once_model::wire::{Code, Frame};

use super::departures;
use super::tests::{go, home, pair, refused};
use crate::refusal::{Refusal, Unmoved};
use crate::store::Table;
use crate::testing::{Alone, Pair, Side};
use crate::waist::{Answer, Command};

fn lacks(kernel: &Alone, components: &[&'static str]) {
    *kernel.desk.lacks.lock().unwrap() = components.to_vec();
}

/// Moves the object from A to B, and says why it stayed, if it did.
fn moved(pair: &mut Pair, key: once_model::ids::ObjectKey) -> Option<Unmoved> {
    let token = go(pair, Side::A, key);
    pair.settle();
    let b = pair.b.id();
    let why = refused(&pair.a, token);
    assert_eq!(why.is_none(), home(&pair.b, &key) == Some(b), "{:?}", pair.a.refused);
    why
}

#[test]
fn a_plain_record_moves_to_whoever_has_no_more_of_its_component() {
    let no = Some(Unmoved::Unwelcome(Code::NoComponent));
    for (at_home, at_receiver, why) in [
        // Both have it; nobody has it; only the receiver has it; only its home has it.
        (&[][..], &[][..], None),
        (&["Paper"], &["Paper"], None),
        (&["Paper"], &[], None),
        (&[], &["Paper"], no.clone()),
    ] {
        let (mut pair, key) = pair("Paper");
        lacks(&pair.a, at_home);
        lacks(&pair.b, at_receiver);
        assert_eq!(moved(&mut pair, key), why, "{at_home:?} {at_receiver:?}");
    }
    // The receiver has it, and reads other versions: there it would be no record.
    let (mut pair, key) = pair("Alien");
    lacks(&pair.a, &["Alien"]);
    assert_eq!(moved(&mut pair, key), no);
}

#[test]
fn what_is_a_record_no_more_is_asked_for_anew_before_it_is_sealed() {
    let (mut pair, key) = pair("Paper");
    for kernel in [&pair.a, &pair.b] {
        lacks(kernel, &["Paper"]);
    }
    let token = go(&mut pair, Side::A, key);
    let asked = pair
        .on_the_way(Side::B)
        .iter()
        .any(|frame| matches!(frame, Frame::Ahead(asked) if asked.record == Some(true)));
    assert!(asked, "{:?}", pair.on_the_way(Side::B));
    // A program that has it comes to A while the question is on its way.
    lacks(&pair.a, &[]);
    pair.settle();
    assert_eq!(refused(&pair.a, token), Some(Unmoved::Unwelcome(Code::NoComponent)));
    assert_eq!(home(&pair.a, &key), Some(pair.a.id()));
}

#[test]
fn who_only_asks_hears_what_a_move_would_and_nothing_begins() {
    let (mut pair, key) = pair("Alien");
    let to = pair.b.id();
    let ask = |pair: &mut Pair| {
        let token = pair.a.command(Command::WouldMove { key, to });
        pair.settle();
        token
    };
    let token = ask(&mut pair);
    assert_eq!(refused(&pair.a, token), Some(Unmoved::Unwelcome(Code::NoComponent)));
    for kernel in [&pair.a, &pair.b] {
        lacks(kernel, &["Alien"]);
    }
    let token = ask(&mut pair);
    assert_eq!(pair.a.answered.get(&token), Some(&Answer::Welcome));
    let leaving = pair.a.rows().into_iter().filter(|(table, ..)| *table == Table::Leaving).count();
    assert_eq!((leaving, home(&pair.a, &key)), (0, Some(pair.a.id())));
    // Nobody waits for an answer that cannot come any more.
    let token = pair.a.command(Command::WouldMove { key, to });
    pair.cut();
    assert_eq!(pair.a.refused.get(&token), Some(&Refusal::NotConnected(to)));
    assert_eq!(pair.a.try_command(Command::WouldMove { key, to }), Err(Refusal::NotConnected(to)));
    // Nor of a kernel that is removed.
    pair.connect(Side::A);
    pair.settle();
    let token = pair.a.command(Command::WouldMove { key, to });
    pair.a.command(Command::RemovePeer { peer: to });
    assert_eq!(pair.a.refused.get(&token), Some(&Refusal::NotConnected(to)));
}

#[test]
fn an_object_that_is_removed_is_about_to_leave_no_more() {
    for restarts in [false, true] {
        let (mut pair, key) = pair("Paper");
        pair.cut();
        let token = go(&mut pair, Side::A, key);
        if restarts {
            pair.restart(Side::A);
        }
        assert_eq!(departures(&pair.a.store).unwrap().len(), 1);
        pair.a.command(Command::Remove { key });
        assert_eq!(departures(&pair.a.store).unwrap(), []);
        assert!(pair.a.engine.moving.leaving.is_empty());
        // Who waits is told why.
        assert_eq!(refused(&pair.a, token), (!restarts).then_some(Unmoved::Removed));
    }
}
