//! An object that is handed over, and whose receiver does not answer: what people are shown of it.

// The helpers of tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../../once/tests/raw/mod.rs"]
mod raw;
mod support;

use once::Ticket;
use once_model::moving::Welcome;
use once_model::wire::{FEATURE_ACTIONS, FEATURE_MOVES, Frame, Greeting};
use raw::{Control, Raw, greeting};
use serde_json::json;
use support::{Place, acts, story};

/// Says that it would take whatever it is asked for, until something is handed over; and then nothing.
async fn takes(mut control: Control) -> Control {
    loop {
        match control.hear().await.expect("the connection lasts") {
            Frame::Ahead(asked) => {
                let (key, certificate) = (asked.key, asked.certificate);
                control.say(&Frame::Welcome(Welcome { key, certificate, code: None })).await;
            }
            Frame::Handoff(_) => return control,
            _ => {}
        }
    }
}

#[test]
fn what_is_handed_over_and_not_answered_is_shown_everywhere() {
    story(async {
        let place = Place::new();
        place.init("alice");
        let alice = place.up("alice").await;
        let ticket = alice.call("invite", json!({ "name": "mallory" })).await.unwrap();
        let door: Ticket = ticket["ticket"].as_str().unwrap().parse().unwrap();
        let mallory = Raw::new().await;
        let connection = mallory.connect_at(door.kernel(), door.addresses()).await;
        let features = vec![FEATURE_ACTIONS, FEATURE_MOVES];
        let hello = Greeting { invite: Some(door.secret()), features, ..greeting(1) };
        let control = Control::greet(connection, mallory.signed(hello)).await;
        let key = alice.import(&acts::counter(1)).await.unwrap();
        let claimed = alice.call("claim", json!({ "object": key })).await.unwrap();
        let key = claimed["object"]["key"].as_str().unwrap().to_owned();
        alice.call("move", json!({ "objects": [key], "to": "mallory" })).await.unwrap();
        let control = takes(control).await;

        let run = |args: &[&str]| place.once("alice", args);
        let (code, text) = run(&["status"]);
        let said =
            ["1 object about to leave, 1 of them handed over", "to mallory, since", "waits for the answer"];
        assert!(code == 0 && said.iter().all(|said| text.contains(said)), "{text}");
        // Younger than a minute, it is nothing to complain about.
        let (_, text) = run(&["doctor"]);
        assert!(text.contains("no object waits for longer than a minute"), "{text}");
        let (code, text) = run(&["show", "--path", &key]);
        assert!(code == 0 && text.contains("next  handed over to mallory"), "{code} {text}");
        // It is neither taken back nor moved elsewhere, and this kernel is not done with it.
        let (code, text) = run(&["drain", "--cancel"]);
        assert!(code == 0 && text.contains("is handed over to mallory"), "{code} {text}");
        let (code, text) = run(&["retire"]);
        assert!(code == 1 && text.contains("(handed over to mallory"), "{code} {text}");
        assert!(!text.contains("can be erased"), "{text}");
        drop(control);
    });
}
