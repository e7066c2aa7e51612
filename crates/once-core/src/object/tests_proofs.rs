//! Whether a later revision continues the one that it replaced.

use once_model::ids::Hash;
use once_model::receipt::{Entries, EntriesOf};
use once_model::wire::{Frame, ShareAnswer};

use super::tests::{beside, bodies, fork, put, shares, taker, travels};
use crate::access::{Right, Scope};
use crate::testing::{Pair, Side};
use crate::waist::Command;

#[test]
fn a_later_revision_replaces_the_head_which_waits_for_its_proof() {
    let mut pair = Pair::new();
    let (a, b) = (pair.a.id(), pair.b.id());
    pair.a.grant(b, Right::Share, Scope::Kernel);
    pair.b.grant(a, Right::Read, Scope::Kernel);
    let key = pair.b.object(1, "Paper");
    put(&mut pair.b, key, 1);
    pair.b.command(Command::Share { key, to: a, delivered: false });
    pair.settle();
    let second = pair.a.head(&key).unwrap();
    for n in 2..6 {
        put(&mut pair.b, key, n);
    }
    pair.b.command(Command::Share { key, to: a, delivered: false });
    pair.deliver(Side::A);
    let kept = beside(&pair.a, &key);
    assert_eq!((kept.len(), kept[0].header.id(), kept[0].is_replaced()), (1, second.id(), true));
    assert!(kept[0].header.signature.is_some(), "with its signature");
    let newest = pair.b.head(&key).unwrap();
    assert_eq!(pair.a.head(&key).unwrap().revision, 6);
    let asked: Vec<_> = pair
        .on_the_way(Side::B)
        .iter()
        .filter_map(|frame| match frame {
            Frame::EntriesOf(of) => Some(*of),
            _ => None,
        })
        .collect();
    assert_eq!(asked, [EntriesOf { key, newest: newest.entry.unwrap(), revision: 1 }]);
    pair.settle();
    assert_eq!(beside(&pair.a, &key), []);
    assert_eq!(bodies(&pair.a), 1);
}

/// What a home says to prove it, by hand.
#[test]
fn a_proof_counts_entry_by_entry_and_a_head_that_it_passes_by_is_a_fork() {
    for forked in [false, true] {
        let (mut kernel, peer, mut theirs) = taker();
        let key = theirs.object(1, "Paper");
        let (_, fork) = fork(&theirs, key, 100);
        put(&mut theirs, key, 1);
        let second = if forked { fork } else { travels(&theirs, &key) };
        assert_eq!(shares(&mut kernel, peer, second.clone()), ShareAnswer::Stored);
        for n in 2..5 {
            put(&mut theirs, key, n);
        }
        let newest = travels(&theirs, &key);
        assert_eq!(shares(&mut kernel, peer, newest.clone()), ShareAnswer::Stored);
        let of = EntriesOf { key, newest: newest.header.entry.unwrap(), revision: 1 };
        assert!(kernel.sent.contains(&Frame::EntriesOf(of)));
        let entries = crate::act::entries(&theirs.store, &of).unwrap();
        assert_eq!(entries.iter().map(|entry| entry.number).collect::<Vec<_>>(), [5, 4, 3, 2, 1]);
        // An answer to something else is none; what does not follow proves nothing, and the question is over.
        kernel.says(
            peer,
            1,
            Frame::Entries(Entries { key, newest: Hash::from_bytes([1; 32]), entries: entries.clone() }),
        );
        assert!(beside(&kernel, &key)[0].is_replaced());
        let (first, rest) = entries.split_at(2);
        let said = kernel
            .says(peer, 1, Frame::Entries(Entries { key, newest: of.newest, entries: first.to_vec() }))
            .to_vec();
        // It goes on from the last one that it believes.
        let next = EntriesOf { newest: first[1].previous, ..of };
        assert_eq!(said, [Frame::EntriesOf(next)]);
        kernel.says(peer, 1, Frame::Entries(Entries { key, newest: next.newest, entries: rest.to_vec() }));
        let kept = beside(&kernel, &key);
        assert_eq!(kept.len(), usize::from(forked));
        assert!(kept.iter().all(|row| !row.is_replaced() && row.header.id() == second.header.id()));
        // Nobody asked any more.
        let before = kernel.rows();
        assert_eq!(
            kernel.says(
                peer,
                1,
                Frame::Entries(Entries { key, newest: next.newest, entries: rest.to_vec() })
            ),
            []
        );
        assert_eq!(kernel.rows(), before);
    }
}

#[test]
fn entries_that_do_not_hang_together_prove_nothing_and_are_asked_for_again_on_a_new_connection() {
    let (mut kernel, peer, mut theirs) = taker();
    let key = theirs.object(1, "Paper");
    assert_eq!(shares(&mut kernel, peer, travels(&theirs, &key)), ShareAnswer::Stored);
    for n in 1..4 {
        put(&mut theirs, key, n);
    }
    let newest = travels(&theirs, &key);
    shares(&mut kernel, peer, newest.clone());
    let of = EntriesOf { key, newest: newest.header.entry.unwrap(), revision: 0 };
    let entries = crate::act::entries(&theirs.store, &of).unwrap();
    let mut wrong = entries.clone();
    wrong.remove(1);
    kernel.says(peer, 1, Frame::Entries(Entries { key, newest: of.newest, entries: wrong }));
    assert!(beside(&kernel, &key)[0].is_replaced());
    let said = kernel.greets(9, 2).to_vec();
    assert!(said.contains(&Frame::EntriesOf(of)), "{said:?}");
    kernel.says(peer, 2, Frame::Entries(Entries { key, newest: of.newest, entries: vec![] }));
    assert!(beside(&kernel, &key)[0].is_replaced(), "what is not kept there is left to people");
    kernel.greets(9, 3);
    kernel.says(peer, 3, Frame::Entries(Entries { key, newest: of.newest, entries }));
    assert_eq!(beside(&kernel, &key), []);
}

/// The newest revision takes the place of another one while that one's proof is under way.
#[test]
fn a_walk_says_nothing_of_what_was_replaced_since_it_began() {
    let (mut kernel, peer, mut theirs) = taker();
    let key = theirs.object(1, "Paper");
    assert_eq!(shares(&mut kernel, peer, travels(&theirs, &key)), ShareAnswer::Stored);
    let mut asked = Vec::new();
    for n in [1, 5, 9] {
        for n in n..n + 3 {
            put(&mut theirs, key, n);
        }
        let newest = travels(&theirs, &key);
        asked.push(EntriesOf { key, newest: newest.header.entry.unwrap(), revision: 0 });
        assert_eq!(shares(&mut kernel, peer, newest), ShareAnswer::Stored);
    }
    assert_eq!(beside(&kernel, &key).len(), 3);
    // The answer to the first question leads down from the first of the two that were replaced meanwhile.
    let entries = crate::act::entries(&theirs.store, &asked[0]).unwrap();
    let said = Frame::Entries(Entries { key, newest: asked[0].newest, entries });
    let said = kernel.says(peer, 1, said).to_vec();
    let kept = beside(&kernel, &key);
    assert_eq!((kept.len(), kept[0].is_replaced(), kept[0].header.entry), (1, true, Some(asked[1].newest)));
    let next = EntriesOf { revision: 6, ..asked[2] };
    assert_eq!(said, [Frame::EntriesOf(next)]);
    let entries = crate::act::entries(&theirs.store, &next).unwrap();
    kernel.says(peer, 1, Frame::Entries(Entries { key, newest: next.newest, entries }));
    assert_eq!(beside(&kernel, &key), []);
}

/// The first page has told of the head that the walk began at, and only then is that replaced: the rest leads down from it.
#[test]
fn a_walk_says_nothing_of_where_it_began_when_that_is_replaced_between_two_pages() {
    let (mut kernel, peer, mut theirs) = taker();
    let key = theirs.object(1, "Paper");
    assert_eq!(shares(&mut kernel, peer, travels(&theirs, &key)), ShareAnswer::Stored);
    for n in 1..4 {
        put(&mut theirs, key, n);
    }
    let top = travels(&theirs, &key);
    assert_eq!(shares(&mut kernel, peer, top.clone()), ShareAnswer::Stored);
    let of = EntriesOf { key, newest: top.header.entry.unwrap(), revision: 0 };
    let entries = crate::act::entries(&theirs.store, &of).unwrap();
    let (first, rest) = entries.split_at(2);
    kernel.says(peer, 1, Frame::Entries(Entries { key, newest: of.newest, entries: first.to_vec() }));
    for n in 4..7 {
        put(&mut theirs, key, n);
    }
    assert_eq!(shares(&mut kernel, peer, travels(&theirs, &key)), ShareAnswer::Stored);
    kernel.says(peer, 1, Frame::Entries(Entries { key, newest: first[1].previous, entries: rest.to_vec() }));
    let kept = beside(&kernel, &key);
    assert_eq!(kept.iter().map(|row| row.header.id()).collect::<Vec<_>>(), [top.header.id()]);
    assert!(kept[0].is_replaced(), "its own proof is still to come");
}
