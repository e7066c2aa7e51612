//! Actions on real kernels: ids, counters, and what is known of each action that was asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{SystemTime, UNIX_EPOCH};

use once::ErrorKind;
use serde_json::{Value, json};

use super::{Daemon, until};

/// A UUID of version 7, made of a number.
pub fn id(n: u64) -> String {
    let ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
    format!("{:08x}-{:04x}-7{:03x}-8000-{:012x}", ms >> 16, ms & 0xffff, n >> 48, n & 0xffff_ffff_ffff)
}

/// The scenario of a counter that has counted nothing yet, with a UUID that ends in these digits.
pub fn counter(n: usize) -> String {
    format!(
        r#"{{"ior":{{"uuid":"7d0c2f6e-0b7e-4d0e-9b52-{n:012x}","component":"Counter","version":"1.0"}},"owner":"test","model":{{"count": 0, "kept":"as  it is"}}}}"#
    )
}

/// Imports a scenario, with a home there or unclaimed, and says how others call the object.
pub async fn object_at(kernel: &Daemon, text: &str, claimed: bool) -> String {
    let key = kernel.import(text).await.unwrap();
    if claimed {
        kernel.call("claim", json!({ "object": key })).await.unwrap();
    }
    let got = kernel.call("get", json!({ "object": key })).await.unwrap();
    got["object"]["ior"].as_str().unwrap().to_owned()
}

/// Adds one to a counter.
pub fn add(object: &str, id: &str) -> Value {
    json!({ "object": object, "name": "add", "arguments": { "by": 1 }, "id": id })
}

/// What a counter has counted, as its home has it.
pub async fn counted(home: &Daemon, object: &str) -> u64 {
    let got = home.call("get", json!({ "object": object })).await.unwrap();
    let text: Value = serde_json::from_str(got["text"].as_str().unwrap()).unwrap();
    assert_eq!(text["model"]["kept"], "as  it is");
    text["model"]["count"].as_u64().unwrap()
}

/// Waits until nothing waits there for anybody.
pub async fn drained(kernel: &Daemon) {
    until("nothing waits", async || {
        let outbox = kernel.call("outbox", json!({})).await.unwrap();
        let none = |what: &str| outbox[what].as_array().unwrap().is_empty();
        (none("acts") && none("owed")).then_some(())
    })
    .await;
}

/// What became of ids that were asked for at one kernel, each to add one to a counter.
#[derive(Debug, Default)]
pub struct Account {
    /// Results of what was done, by counter; each should be there once.
    pub done: BTreeMap<String, Vec<u64>>,
    /// Ids that were accepted and have no outcome `done`.
    pub lost: BTreeSet<String>,
    /// Ids that the kernel has never heard of: whoever asked was not told that they were accepted.
    pub never: usize,
}

impl Account {
    /// Asks for the outcome of one id, and says what it is. `accepted`: its kernel has told somebody so.
    pub async fn look(&mut self, origin: &Daemon, object: &str, id: &str, accepted: bool) -> Option<u64> {
        match origin.call("outcome", json!({ "id": id })).await {
            Ok(outcome) if outcome["status"] == "done" => {
                let result = outcome["result"].as_u64().unwrap();
                self.done.entry(object.to_owned()).or_default().push(result);
                return Some(result);
            }
            Err(error) if error.kind() == ErrorKind::NotFound && !accepted => self.never += 1,
            other => {
                eprintln!("{id}: {other:?}");
                self.lost.insert(id.to_owned());
            }
        }
        None
    }
}
