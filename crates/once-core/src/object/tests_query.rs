//! Reading: what clients see of what is here.

use std::ops::ControlFlow;

use once_model::ids::{Line, ObjectKey, Uuid};
use once_model::limits::{ENTRIES_MAX, TOLD_MAX_BYTES};
use once_model::receipt::EntriesOf;
use once_model::scenario::Scenario;

use super::{body, conflicts, find, head, heads, heads_after, unclaimed, with_prefix};
use crate::act::{entries, history, waiting};
use crate::store::{StoreError, Table};
use crate::testing::Alone;
use crate::waist::Command;

fn import(kernel: &mut Alone, uuid: u128, n: u32) -> ObjectKey {
    let text = format!("{{\"n\":{n}}}");
    let scenario = Scenario::compose(Uuid::from_u128(uuid), "Paper", "1", "me", &text).unwrap();
    let key = unclaimed(&scenario).key();
    kernel.command(Command::Import { source: None, over: None, scenario });
    key
}

#[test]
fn objects_are_listed_in_the_order_of_their_keys() {
    let mut kernel = Alone::new();
    let mut keys: Vec<_> = [7, 3, 900, 12].map(|n| import(&mut kernel, n << 100, 1)).to_vec();
    keys.sort_by_key(|key| key.to_row());
    let list = |most: usize, after: Option<&ObjectKey>| {
        let mut found = Vec::new();
        let visit = &mut |row: super::HeadRow| {
            found.push(row.header.key());
            if found.len() < most { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        match after {
            None => heads(&kernel.store, visit).unwrap(),
            Some(after) => heads_after(&kernel.store, Some(after), visit).unwrap(),
        }
        found
    };
    assert_eq!(list(9, None), keys);
    assert_eq!(list(2, None), keys[..2]);
    assert_eq!(list(9, Some(&keys[1])), keys[2..]);
    assert_eq!(list(9, Some(&keys[3])), []);
    // One that cannot be read is passed over, and costs who wants it.
    let damaged = kernel.with_row(Table::Head, &keys[1].to_row(), b"\xff");
    let mut count = 0;
    heads(&damaged.store, &mut |_| {
        count += 1;
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(count, 3);
    assert!(matches!(head(&damaged.store, &keys[1]), Err(StoreError::Damaged { .. })));
}

#[test]
fn an_object_is_found_by_the_beginning_of_its_uuid() {
    let mut kernel = Alone::new();
    let near = |n: u128| (0xab_cd_e0_u128 + n) << 104;
    for n in [0, 1, 0xf, 0x10] {
        import(&mut kernel, near(n), 1);
    }
    import(&mut kernel, near(0), 2);
    let found = |bytes: &[u8], half, limit| with_prefix(&kernel.store, bytes, half, limit).unwrap().len();
    assert_eq!(found(&[0xab], None, 99), 5);
    assert_eq!(found(&[0xab, 0xcd], Some(0xe), 99), 4);
    assert_eq!(found(&[0xab, 0xcd], Some(0xf), 99), 1);
    assert_eq!(found(&[0xab, 0xcd], Some(0xd), 99), 0);
    assert_eq!(found(&[0xab, 0xcd, 0xe1], None, 99), 1);
    assert_eq!(found(&[0xab], None, 3), 3);
    assert_eq!(found(&[0xac], None, 99), 0);
    assert_eq!(found(&[], None, 99), 5);
}

#[test]
fn a_line_leads_to_the_object_that_it_is_or_became() {
    let mut kernel = Alone::new();
    let (one, two) = (import(&mut kernel, 5, 1), import(&mut kernel, 5, 2));
    let keys = |kernel: &Alone, line: Option<Line>| {
        let found = find(&kernel.store, &Uuid::from_u128(5), line).unwrap();
        found.iter().map(|row| row.header.key()).collect::<Vec<_>>()
    };
    assert_eq!(keys(&kernel, None).len(), 2);
    assert_eq!(keys(&kernel, Some(one.line)), [one]);
    kernel.command(Command::Claim { key: one });
    let now = keys(&kernel, Some(one.line));
    assert!(now.len() == 1 && now[0] != one && now[0].lineage().is_some());
    assert_eq!(keys(&kernel, Some(now[0].line)), now);
    assert_eq!(keys(&kernel, Some(two.line)), [two]);
    let other = find(&kernel.store, &Uuid::from_u128(6), Some(one.line)).unwrap();
    assert!(other.is_empty());
}

#[test]
fn bytes_are_those_that_were_stored_or_none() {
    let mut kernel = Alone::new();
    let key = kernel.object(1, "Paper");
    let header = kernel.head(&key).unwrap();
    assert_eq!(body(&kernel.store, &header).unwrap().unwrap().len() as u64, header.size);
    let place = super::body_key(&header);
    let damaged = kernel.with_row(Table::Body, &place, b"{}");
    assert!(matches!(body(&damaged.store, &header), Err(StoreError::Damaged { table: Table::Body, .. })));
    kernel.command(Command::Remove { key });
    let end = kernel.head(&key).unwrap();
    assert_eq!(body(&kernel.store, &end), Ok(None));
    assert!(matches!(body(&kernel.store, &header), Err(StoreError::Damaged { .. })));
    let mut beside = 0;
    let populated = Alone::populated().0;
    conflicts(&populated.store, &mut |_| {
        beside += 1;
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(beside, 1);
}

#[test]
fn what_waits_for_its_outcome_is_listed_lane_by_lane() {
    let mut kernel = Alone::new();
    let (home, other) = (kernel.befriend(9), kernel.befriend(8));
    let key = |n: u128| ObjectKey {
        uuid: Uuid::from_u128(n),
        line: Line::Claimed(once_model::ids::Lineage::from_bytes([7; 32])),
    };
    for (n, (to, object)) in (0..).zip([(home, 70), (home, 70), (other, 71), (home, 72)]) {
        kernel.act_at(to, key(object), n);
    }
    let list = |kernel: &Alone, most: usize| {
        let mut found = Vec::new();
        waiting(&kernel.store, &mut |home, key, sequence, row| {
            found.push((home, key.uuid.as_u128(), sequence, row.action.arguments[0] - b'0'));
            if found.len() < most { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })
        .unwrap();
        found.sort_unstable_by_key(|(_, key, sequence, _)| (*key, *sequence));
        found
    };
    assert_eq!(list(&kernel, 9), [(home, 70, 1, 0), (home, 70, 2, 1), (other, 71, 1, 2), (home, 72, 1, 3)]);
    assert_eq!(list(&kernel, 2).len(), 2);
}

#[test]
fn of_what_was_said_as_much_is_kept_as_people_want_to_see() {
    let mut kernel = Alone::new();
    let key = kernel.object(1, "Paper");
    let long = format!("\"{}\"", "x".repeat(TOLD_MAX_BYTES));
    for (n, arguments) in (1..).zip(["1".to_owned(), long.clone()]) {
        let command = match kernel.wish(key, "go", n) {
            Command::Act { key, at, mut action, deadline_ms, wait } => {
                action.arguments = arguments.into();
                Command::Act { key, at, action, deadline_ms, wait }
            }
            other => panic!("{other:?}"),
        };
        kernel.command(command);
    }
    let told: Vec<_> =
        history(&kernel.store, &key).unwrap().into_iter().skip(1).map(|row| row.told.unwrap()).collect();
    assert_eq!((told[0].name.as_str(), told[0].arguments.text()), ("go", "1".to_owned()));
    assert_eq!(told[0].result.as_ref().map(once_model::archive::Excerpt::text), Some("1".to_owned()));
    for cut in [&told[1].arguments, told[1].result.as_ref().unwrap()] {
        assert_eq!((cut.bytes.len(), cut.of_bytes), (TOLD_MAX_BYTES, long.len() as u64));
        assert_eq!(cut.text(), format!("{}…", &long[..TOLD_MAX_BYTES]));
    }
}

#[test]
fn entries_lead_from_one_back_to_another_as_many_as_an_answer_has_room_for() {
    let mut kernel = Alone::new();
    let key = kernel.object(1, "Paper");
    let peer = kernel.befriend(9);
    kernel.may_act(peer);
    kernel.greets(9, 1);
    for n in 1..=150 {
        kernel.act(key, n);
        let act = crate::testing::asked(key, n, (1000 + n).to_string());
        kernel.says(peer, 1, once_model::wire::Frame::Act(act));
    }
    let newest = kernel.head(&key).unwrap();
    let ask = |newest, revision| entries(&kernel.store, &EntriesOf { key, newest, revision }).unwrap();
    let all = ask(newest.entry.unwrap(), 0);
    assert_eq!(all.len(), ENTRIES_MAX);
    assert!(all.iter().map(|entry| entry.number).eq((301 - ENTRIES_MAX as u64 + 1..=301).rev()));
    assert!(all.windows(2).all(|pair| pair[0].previous == pair[1].hash()));
    let rest = ask(all[ENTRIES_MAX - 1].previous, 0);
    assert_eq!(rest.last().unwrap().number, 1);
    let some = ask(newest.entry.unwrap(), 290);
    assert!(some.last().unwrap().revision >= 290 && (12..20).contains(&some.len()), "{}", some.len());
    assert_eq!(ask(once_model::ids::Hash::from_bytes([1; 32]), 0), []);
}
