//! The event log as programs see it: nothing is missed, whoever was away.

// The helpers of tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod raw;

use once::api::Client;
use once::api::contract::{Events, Listen, key_text};
use once::model::scenario::Scenario;
use once::{ErrorKind, Event, EventCursor, EventInfo, Kernel, ObjectKey};
use raw::*;

/// What happened to counters, without what belongs to connections: kind and action or revision.
fn told(events: &[EventInfo]) -> Vec<String> {
    let word = |info: &EventInfo| match &info.event {
        Event::Changed(changed) => Some(format!("revision {}", changed.revision)),
        Event::Acted(acted) => Some(format!("{} by {}", acted.action, acted.origin_name)),
        Event::Gap { missed } => Some(format!("{missed} missing")),
        _ => None,
    };
    events.iter().filter_map(word).collect()
}

/// Everything since a place, in pages of about that many.
async fn since(kernel: &Kernel, mut cursor: EventCursor, limit: usize) -> Vec<EventInfo> {
    let mut all = Vec::new();
    loop {
        let page = kernel.watch().since(cursor).page(limit).await.unwrap();
        all.extend(page.events);
        cursor = page.cursor;
        if page.is_last {
            return all;
        }
    }
}

async fn counter(kernel: &Kernel) -> ObjectKey {
    let text = r#"{"ior":{"uuid":"0a1b2c3d-0000-4000-8000-000000000007","component":"Counter"},"model":{"count":0,"name":"pump 7"}}"#;
    let (object, _) = kernel.create(Scenario::parse(text.to_owned()).unwrap()).await.unwrap();
    object.key()
}

async fn add(kernel: &Kernel, key: ObjectKey, by: u32) {
    let object = kernel.get(key).unwrap().unwrap();
    kernel.act(&object.ior(&[]), "add", format!(r#"{{"by":{by}}}"#)).unwrap().await.unwrap();
}

#[test]
fn who_was_away_over_a_restart_reads_all_that_has_happened_and_then_what_happens() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let alice = kernel(dir.path(), "alice").await;
        let key = counter(&alice).await;
        add(&alice, key, 1).await;
        let known = alice.newest_event().unwrap();
        add(&alice, key, 1).await;
        alice.stop().await.unwrap();
        let alice = start(dir.path(), "alice").await;
        add(&alice, key, 1).await;

        let expected = ["revision 3", "add by alice", "revision 4", "add by alice"];
        for limit in [1, 3, 100] {
            assert_eq!(told(&since(&alice, known, limit).await), expected, "pages of {limit}");
        }
        let mut events = alice.watch().since(known).object(key).stream().unwrap();
        assert_eq!(events.begins(), known);
        let mut seen = Vec::new();
        while seen.len() < 4 {
            seen.push(within("an event", events.next()).await.unwrap().unwrap());
        }
        assert_eq!(told(&seen), expected);
        assert!(seen.iter().all(|info| info.name.as_deref() == Some("pump 7")), "{seen:?}");
        // Each has its place.
        let rest = since(&alice, seen[1].cursor.parse().unwrap(), 100).await;
        assert_eq!(told(&rest), expected[2..]);
        add(&alice, key, 1).await;
        let next = within("the next one", events.next()).await.unwrap().unwrap();
        assert_eq!(told(&[next]), ["revision 5"]);
        // It keeps no kernel running, and hears the end.
        alice.stop().await.unwrap();
        within("the end", async { while events.next().await.is_some() {} }).await;
    });
}

#[test]
fn only_what_is_wanted_is_told() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, bob) = pair(dir.path()).await;
        let key = counter(&alice).await;
        let (other, _) = alice.import(note(1, "a note")).await.unwrap();
        add(&alice, key, 1).await;
        alice.grant(bob.id(), once::Right::Act).await.unwrap();
        let object = alice.get(key).unwrap().unwrap();
        bob.act(&object.ior(&alice.addresses()), "add", r#"{"by":1}"#).unwrap().await.unwrap();

        let all = alice.watch().since(EventCursor::START);
        let page = async |watch: once::Watch| told(&watch.page(100).await.unwrap().events);
        let of_counter = ["revision 1", "revision 2", "add by alice", "revision 3", "add by bob"];
        assert_eq!(page(all.clone().object(key)).await, of_counter);
        assert_eq!(page(all.clone().component("Counter")).await, of_counter);
        assert_eq!(page(all.clone().object(other.key())).await, ["revision 0"]);
        assert_eq!(page(all.clone().peer(bob.id())).await, ["add by bob"]);
        assert_eq!(page(all.clone().component("Counter").peer(bob.id())).await, ["add by bob"]);
        // Connections are about a peer, and about no object.
        let connections = all.peer(bob.id()).page(100).await.unwrap().events;
        assert!(
            connections.iter().any(|info| matches!(info.event, Event::Connected { .. })),
            "{connections:?}"
        );

        // Over the socket the same.
        alice.serve_api().await.unwrap();
        let client = Client::connect(&dir.path().join("alice")).await.unwrap().unwrap();
        let ask = Events { object: Some(key_text(&key)), ..Events::default() };
        let answer = client.ask(ask).await.unwrap();
        assert_eq!((told(&answer.events), answer.next), (of_counter.map(str::to_owned).to_vec(), None));
        // One stream at a time: the second takes the place of the first.
        let first =
            Listen { since: Some("start".into()), component: Some("Note".into()), ..Listen::default() };
        let mut notes = client.listen(first).await.unwrap();
        assert_eq!(told(&[within("a note", notes.next()).await.unwrap()]), ["revision 0"]);
        let second = Listen { since: Some("start".into()), peer: Some("bob".into()), ..Listen::default() };
        let mut of_bob = client.listen(second).await.unwrap();
        assert_eq!(of_bob.begins(), "start");
        let seen = within("what bob did", async {
            loop {
                let info = of_bob.next().await.unwrap();
                if let Event::Acted(acted) = info.event {
                    return acted.origin;
                }
            }
        });
        assert_eq!(seen.await, bob.id().to_string());
        assert!(within("the end of the first", notes.next()).await.is_none());
    });
}

#[test]
fn a_place_of_another_kernel_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    story(async {
        let (alice, bob) = (kernel(dir.path(), "alice").await, kernel(dir.path(), "bob").await);
        counter(&alice).await;
        counter(&bob).await;
        let place = alice.newest_event().unwrap();
        let error = bob.watch().since(place).page(1).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        assert!(bob.watch().since(place).stream().is_err());
        let later: EventCursor = "9-1-0000".parse().unwrap();
        assert_eq!(bob.watch().since(later).page(1).await.unwrap_err().kind(), ErrorKind::Invalid);
        for wrong in ["", "3", "3-4", "3-4-xyzw", "3-4-00000", "-1-2-0000", "now"] {
            assert_eq!(wrong.parse::<EventCursor>().unwrap_err().kind(), ErrorKind::Usage, "{wrong}");
        }
    });
}
