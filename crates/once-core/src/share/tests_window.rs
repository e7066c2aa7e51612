//! The window by itself: what is under way, what waits in line, what is found in the outbox.

use once_model::ids::{Hash, KernelId, Line, ObjectKey, Uuid};
use once_model::limits::{RESEND_AFTER_MS, WINDOW_MAX_BYTES, WINDOW_MAX_SHARES};

use super::{Item, Kind, Owed, Window};
use crate::act::{LaneId, Place};
use crate::engine::Limits;

fn key(n: u128) -> ObjectKey {
    ObjectKey { uuid: Uuid::from_u128(n), line: Line::Unclaimed(Hash::from_bytes([1; 32])) }
}

fn object(n: u128) -> Item {
    Item::Object(key(n))
}

fn lane(n: u128) -> LaneId {
    LaneId::new(key(n), KernelId::from_bytes([0; 32]))
}

fn act(n: u128, sequence: u64) -> Item {
    Item::Act(Place { lane: lane(n), sequence })
}

#[test]
fn each_kind_has_room_for_so_many_and_so_many_bytes() {
    let mut window = Window::default();
    for n in 0..WINDOW_MAX_SHARES {
        assert!(window.line(Kind::Objects).has_room(), "{n}");
        window.sent(object(n as u128), 0, 1);
    }
    assert!(!window.line(Kind::Objects).has_room() && window.line(Kind::Lanes).has_room());
    assert!(window.answered(&object(7)) && !window.answered(&object(7)));
    assert!(window.line(Kind::Objects).has_room());
    window.sent(act(1, 1), 0, WINDOW_MAX_BYTES - 1);
    assert!(window.line(Kind::Lanes).has_room());
    window.sent(act(1, 2), 0, 1);
    assert!(!window.line(Kind::Lanes).has_room() && window.line(Kind::Objects).has_room());
    window.answered(&act(1, 1));
    assert!(window.line(Kind::Lanes).has_room());
}

#[test]
fn what_finds_no_place_in_line_is_found_in_the_outbox() {
    let mut window = Window::default();
    let mut count = 0;
    while window.line(Kind::Objects).next.is_none() {
        window.line_up(Owed::Object(key(count)));
        count += 1;
    }
    let line = window.line(Kind::Objects);
    assert_eq!((count, line.waiting.len()), (8193, 8192));
    assert_eq!((line.next.as_deref(), line.behind), (Some([].as_slice()), false));
    // From then on the outbox is looked through: what comes to be owed behind that look is looked for once more.
    window.line_up(Owed::Object(key(1)));
    assert!(window.line(Kind::Objects).behind && !window.line(Kind::Lanes).behind);
    assert_eq!(window.line(Kind::Objects).waiting.len(), 8192);
    assert!(window.line(Kind::Lanes).is_free() && !window.line(Kind::Objects).is_free());
    // A new connection looks through all of it.
    let mut fresh = Window::fresh(&Limits::PAGE);
    for kind in [Kind::Objects, Kind::Lanes] {
        assert!(!fresh.line(kind).is_free() && fresh.line(kind).has_room());
        assert_eq!(fresh.line(kind).next.as_deref(), Some([].as_slice()));
    }
}

#[test]
fn a_lane_stands_in_line_once() {
    let mut window = Window::default();
    for _ in 0..3 {
        window.line_up(Owed::Lane(lane(1)));
    }
    window.line_up(Owed::Lane(lane(2)));
    assert_eq!(window.line(Kind::Lanes).waiting, [Owed::Lane(lane(1)), Owed::Lane(lane(2))]);
    window.line(Kind::Lanes).waiting.pop_front();
    window.turn(&lane(1));
    window.line_up(Owed::Lane(lane(1)));
    window.line_up(Owed::Lane(lane(2)));
    assert_eq!(window.line(Kind::Lanes).waiting, [Owed::Lane(lane(2)), Owed::Lane(lane(1))]);
    // As long as it stands there or some of it is under way, it is remembered how far it is.
    window.done(&lane(1));
    assert!(window.cursor(&lane(1)).is_some());
    window.turn(&lane(1));
    window.sent(act(1, 1), 0, 1);
    window.done(&lane(1));
    assert!(window.has_some_of(&lane(1)) && window.cursor(&lane(1)).is_some());
    window.answered(&act(1, 1));
    assert!(!window.has_some_of(&lane(1)));
    window.done(&lane(1));
    assert!(window.cursor(&lane(1)).is_none());
}

#[test]
fn what_stays_unanswered_is_under_way_no_more_after_its_time() {
    let at_ms = 1_000_000;
    let mut window = Window::default();
    window.sent(object(1), at_ms, 5);
    for sequence in 1..=3 {
        window.sent(act(2, sequence), at_ms, 5);
    }
    window.resend_set = true;
    window.give_up_late(at_ms + RESEND_AFTER_MS - 1);
    assert!(window.contains(&object(1)) && window.contains(&act(2, 1)) && !window.resend_set);
    window.answered(&act(2, 1));
    window.give_up_late(at_ms + RESEND_AFTER_MS);
    assert!(window.is_empty());
    assert_eq!(window.cursor(&lane(2)).unwrap().sent, 1);
    assert_eq!(window.line(Kind::Objects).waiting, [Owed::Object(key(1))]);
    assert_eq!(window.line(Kind::Lanes).waiting, [Owed::Lane(lane(2))]);
    // A clock that was set back makes everything look late once.
    let mut window = Window::default();
    window.sent(object(1), at_ms, 5);
    window.give_up_late(at_ms - 1);
    assert!(!window.contains(&object(1)));
}

#[test]
fn a_lane_goes_back_to_where_something_is_missing() {
    let mut window = Window::default();
    for sequence in 1..=5 {
        window.sent(act(1, sequence), 0, 1);
        window.sent(act(2, sequence), 0, 1);
    }
    assert_eq!(window.cursor(&lane(1)).unwrap().sent, 5);
    window.back_to(&lane(1), 3);
    let under_way = |window: &Window, n| (1..=5).filter(|place| window.contains(&act(n, *place))).count();
    assert_eq!((under_way(&window, 1), under_way(&window, 2)), (2, 5));
    assert_eq!(window.cursor(&lane(1)).unwrap().sent, 2);
    window.passed(&Place { lane: lane(1), sequence: 4 });
    assert_eq!(window.cursor(&lane(1)).unwrap().sent, 4);
    window.passed(&Place { lane: lane(1), sequence: 1 });
    assert_eq!(window.cursor(&lane(1)).unwrap().sent, 4);
    window.leave(&lane(2));
    assert!(under_way(&window, 2) == 0 && window.cursor(&lane(2)).is_none());
}

#[test]
fn a_lane_takes_as_much_as_it_leaves_to_the_others() {
    let mut window = Window::default();
    let most = WINDOW_MAX_SHARES as u64;
    for sequence in 1..=most / 2 {
        assert!(!window.has_its_share(&lane(1)), "{sequence}");
        window.sent(act(1, sequence), 0, 1);
    }
    assert!(window.has_its_share(&lane(1)) && !window.has_its_share(&lane(2)));
    let mut window = Window::default();
    window.sent(act(1, 1), 0, WINDOW_MAX_BYTES / 2 - 1);
    assert!(!window.has_its_share(&lane(1)));
    window.sent(act(1, 2), 0, 1);
    assert!(window.has_its_share(&lane(1)));
    window.answered(&act(1, 1));
    assert!(!window.has_its_share(&lane(1)));
}

#[test]
fn most_new_debts_need_no_search_for_an_older_one() {
    let mut window = Window::default();
    assert!(window.surely_not_owed(&key(1)));
    window.sent(object(1), 0, 1);
    assert!(!window.surely_not_owed(&key(1)) && window.surely_not_owed(&key(2)));
    window.line_up(Owed::Object(key(3)));
    assert!(!window.surely_not_owed(&key(2)), "it may be in line");
    assert!(!Window::fresh(&Limits::PAGE).surely_not_owed(&key(2)), "it may be in the outbox");
    // What is put off is looked for when the timer comes; one timer is enough.
    let mut window = Window::default();
    assert!(window.put_off() && !window.put_off());
    assert!(!window.surely_not_owed(&key(2)));
    window.give_up_late(0);
    assert_eq!(window.line(Kind::Objects).next.as_deref(), Some([].as_slice()));
    assert!(window.put_off());
}
