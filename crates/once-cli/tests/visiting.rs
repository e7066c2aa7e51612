//! Who has a right on an object that moves to a kernel of which it is no peer: it visits, and has no other right there.

// The helpers of tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use once::ErrorKind;
use serde_json::json;
use support::acts::{self, id};
use support::*;

async fn status(kernel: &Daemon, of: &str) -> Option<(String, bool)> {
    let peers = kernel.call("peers", json!({})).await.ok()?;
    let peer = peers["peers"].as_array()?.iter().find(|peer| peer["kernel"] == of)?.clone();
    Some((peer["status"].as_str()?.to_owned(), peer["connected"] == true))
}

async fn add(kernel: &Daemon, ior: &str, n: u64) -> Option<u64> {
    let wish = json!({ "object": ior, "name": "add", "arguments": { "by": 1 }, "id": id(n) });
    kernel.call("act", wish).await.ok()?["result"].as_u64()
}

#[test]
fn who_acts_on_an_object_goes_on_with_it_where_nobody_knows_it() {
    story(async {
        let place = Place::new();
        let (alice, bob) = place.pair().await;
        place.init("vera");
        let vera = place.up("vera").await;
        let ticket = alice.call("invite", json!({ "name": "vera" })).await.unwrap();
        let join = json!({ "ticket": ticket["ticket"], "name": "alice", "timeout_ms": 60_000 });
        vera.call("join", join).await.unwrap();
        bob.call("grant", json!({ "peer": "alice", "right": "host" })).await.unwrap();
        let key = alice.import(&acts::counter(1)).await.unwrap();
        alice.call("claim", json!({ "object": key })).await.unwrap();
        let got = alice.call("get", json!({ "object": key })).await.unwrap();
        let ior = got["object"]["ior"].as_str().unwrap().to_owned();
        let right = json!({ "peer": "vera", "right": "act", "object": ior });
        alice.call("grant", right.clone()).await.unwrap();
        assert_eq!(add(&vera, &ior, 1).await, Some(1));
        alice.call("move", json!({ "objects": [ior], "to": "bob" })).await.unwrap();
        let is_home = async || {
            let got = bob.call("get", json!({ "object": ior })).await.ok()?;
            (got["object"]["state"] == "home").then_some(())
        };
        until("it lives at bob", is_home).await;
        // By the reference of before, at a kernel that nobody has made it a peer of.
        until("vera is done at bob", async || (add(&vera, &ior, 2).await? == 2).then_some(())).await;
        let id_of = async |kernel: &Daemon| kernel.status().await["kernel"].as_str().unwrap().to_owned();
        let (there, here) = (id_of(&vera).await, id_of(&bob).await);
        assert_eq!(status(&bob, &there).await, Some(("visitor".into(), true)));
        assert_eq!(status(&vera, &here).await, Some(("host".into(), true)));
        let (code, text) = place.once("bob", &["peers"]);
        assert!(code == 0 && text.contains("visitor, connected"), "{text}");
        // Nobody is needed any more by whom they know of each other; and both sides outlive a crash.
        alice.kill();
        bob.kill();
        let bob = place.up("bob").await;
        until("vera goes on", async || (add(&vera, &ior, 3).await? == 3).then_some(())).await;
        // It may do nothing else: share, or act on another object.
        let other = bob.import(&acts::counter(2)).await.unwrap();
        bob.call("claim", json!({ "object": other })).await.unwrap();
        let got = bob.call("get", json!({ "object": other })).await.unwrap();
        let other = got["object"]["ior"].as_str().unwrap();
        let wish = json!({ "object": other, "name": "add", "arguments": { "by": 1 } });
        let refused = vera.call("act", wish).await;
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Denied);
        let (code, text) = place.once("bob", &["grant", &there, "act"]);
        assert!(
            code != 0 && text.contains("is a visitor of this kernel") && text.contains("hint:"),
            "{text}"
        );
        let (code, text) = place.once("bob", &["doctor"]);
        assert!(text.contains("peer"), "{code} {text}");
        // The visit is over with its right.
        bob.call("revoke", json!({ "peer": there, "right": "act", "object": ior })).await.unwrap();
        until("nobody visits bob", async || status(&bob, &there).await.is_none().then_some(())).await;
        until("vera is out", async || (!status(&vera, &here).await?.1).then_some(())).await;
    });
}
