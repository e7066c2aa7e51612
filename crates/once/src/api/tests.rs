//! What is said when the disk has lost or changed something.

use std::path::Path;
use std::time::Duration;

use once_core::act::LedgerRow;
use once_core::store::{Batch, Durability, Read, Store, Table};
use once_model::cbor::to_cbor;
use once_model::ids::Hash;
use once_model::scenario::Scenario;
use once_store::FjallStore;
use serde_json::json;

use super::contract::Event;
use super::{dispatch, lanes};
use crate::{Kernel, Object, datadir};

const UUID: &str = "7d0c2f6e-0b7e-4d0e-9b52-3f3f7e1a0c01";

/// A kernel with a counter.
async fn counter(data: &Path) -> (Kernel, Object) {
    datadir::init(data, datadir::InitOptions::default()).unwrap();
    let alice = start(data).await;
    let uuid = UUID.parse().unwrap();
    let counter = Scenario::compose(uuid, "Counter", "1.0", "test", r#"{"count":0}"#).unwrap();
    let (object, _) = alice.create(counter).await.unwrap();
    (alice, object)
}

async fn start(data: &Path) -> Kernel {
    Kernel::builder(data).listen("127.0.0.1:0").start().await.unwrap()
}

/// Stops a kernel, changes its store, and starts it again.
async fn damaged(alice: Kernel, data: &Path, damage: impl FnOnce(&FjallStore, &mut Batch)) -> Kernel {
    alice.stop().await.unwrap();
    let mut store = datadir::open_store(data).unwrap();
    let mut batch = Batch::default();
    damage(&store, &mut batch);
    store.commit(batch, Durability::Synced).unwrap();
    store.close().unwrap();
    start(data).await
}

fn story(run: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(run);
}

#[test]
fn a_lane_whose_object_cannot_be_read_is_told_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("alice");
    story(async {
        let (alice, object) = counter(&data).await;
        let checks = lanes::examine(&alice, &alice.shared().snapshot()).unwrap();
        assert_eq!((checks.len(), checks[0].ok), (1, true), "{checks:?}");
        let body = once_core::object::body_key(&object.row.header);
        let alice = damaged(alice, &data, |_, batch| batch.rows.push((Table::Body, body, None))).await;

        let mut events = alice.watch().stream().unwrap();
        let id = alice.act(&object.ior(&[]), "get", "null").unwrap().send().await.unwrap();
        let (origin, reason) = loop {
            let happened = events.next().await.unwrap().unwrap();
            if let Event::Parked { origin, reason, .. } = happened.event {
                break (origin, reason);
            }
        };
        assert_eq!(origin, Some(alice.id().to_string()));
        assert!(reason.contains(UUID), "{reason}");
        let checks = lanes::examine(&alice, &alice.shared().snapshot()).unwrap();
        assert_eq!((checks[0].check.as_str(), checks[0].ok), ("lane", false));
        let message = &checks[0].message;
        assert!(message.contains(UUID) && message.contains("cannot read what they need"), "{message}");
        assert!(checks[0].hint.as_ref().unwrap().contains("check it"), "{:?}", checks[0]);
        // After a minute it has had no outcome for too long.
        let snapshot = alice.shared().snapshot();
        assert_eq!(lanes::stuck(&alice, &snapshot, Duration::from_secs(60)).unwrap().0, 0);
        let (count, oldest) = lanes::stuck(&alice, &snapshot, Duration::ZERO).unwrap();
        assert_eq!((count, oldest[0].id), (1, id));
        let said = lanes::waiting(&alice, &oldest[0]);
        assert!(said.hint.as_ref().unwrap().contains(&format!("`once cancel {id}`")), "{said:?}");
        alice.stop().await.unwrap();
    });
}

#[test]
fn a_history_whose_hashes_do_not_follow_each_other_is_told_where() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("alice");
    story(async {
        let (alice, _) = counter(&data).await;
        for _ in 0..3 {
            let add = json!({ "object": UUID, "name": "add", "arguments": { "by": 1 } });
            dispatch(&alice, "act", add, &|_| {}).await.unwrap();
        }
        let ask = json!({ "object": UUID });
        let whole = dispatch(&alice, "history", ask.clone(), &|_| {}).await.unwrap();
        assert_eq!((&whole["total"], &whole["broken"]), (&json!(4), &json!(null)), "{whole}");
        let alice = damaged(alice, &data, |store, batch| {
            store
                .scan(Table::Ledger, &[], None, &mut |key, value| {
                    let mut row: LedgerRow = once_core::txn::decode(Table::Ledger, &value).unwrap();
                    let place = row.place.as_mut().unwrap();
                    if place.number == 2 {
                        place.before = Hash::from_bytes([7; 32]);
                        batch.rows.push((Table::Ledger, key.to_vec(), Some(to_cbor(&row).into())));
                    }
                    std::ops::ControlFlow::Continue(())
                })
                .unwrap();
        })
        .await;
        // What follows the changed one does not have its hash.
        let broken = dispatch(&alice, "history", ask, &|_| {}).await.unwrap();
        assert_eq!((&broken["total"], &broken["broken"]), (&json!(4), &json!(3)), "{broken}");
        alice.stop().await.unwrap();
    });
}

#[test]
fn what_was_asked_is_kept_of_as_many_entries_as_one_says() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("alice");
    story(async {
        let (alice, _) = counter(&data).await;
        alice.stop().await.unwrap();
        // The scenario of the kernel says none, a program that starts it many, and then nobody says anything.
        let said = |told| {
            datadir::write_config(&data, &datadir::Config { told, ..datadir::read_config(&data).unwrap() })
        };
        for (file, builder) in [(Some(0), None), (Some(0), Some(9)), (None, None), (None, Some(0))] {
            said(file).unwrap();
            let mut start = Kernel::builder(&data).listen("127.0.0.1:0");
            if let Some(entries) = builder {
                start = start.told(entries);
            }
            let alice = start.start().await.unwrap();
            let add = json!({ "object": UUID, "name": "add", "arguments": { "by": 1 } });
            dispatch(&alice, "act", add, &|_| {}).await.unwrap();
            // What is written while it runs keeps the setting.
            datadir::write_served(&data, |served, _| served.push(format!("C{}", served.len()))).unwrap();
            alice.stop().await.unwrap();
            assert_eq!(datadir::read_config(&data).unwrap().told, file);
        }
        let alice = self::start(&data).await;
        let history = dispatch(&alice, "history", json!({ "object": UUID }), &|_| {}).await.unwrap();
        let entries = history["entries"].as_array().unwrap();
        let told: Vec<_> =
            entries.iter().map(|entry| (entry["name"].clone(), entry["result_text"].clone())).collect();
        let of = |name: Option<&str>, result: Option<&str>| (json!(name), json!(result));
        let add = |result| of(Some("add"), Some(result));
        let create = of(Some("once:create"), Some("null"));
        assert_eq!(told, [create, of(None, None), add("2"), add("3"), of(None, None)]);
        alice.stop().await.unwrap();
    });
}
