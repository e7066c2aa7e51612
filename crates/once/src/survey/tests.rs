use std::path::Path;

use super::*;
use crate::{Kernel, datadir};

const OBJECTS: usize = 600;

/// A kernel with as many objects, written to tables and closed; their keys in order.
async fn filled(dir: &Path) -> Vec<ObjectKey> {
    let options = crate::InitOptions { name: Some("alice".into()), ..Default::default() };
    datadir::init(dir, options).unwrap();
    let kernel = Kernel::builder(dir).offline().start().await.unwrap();
    let mut keys = Vec::new();
    for n in 0..OBJECTS {
        let text =
            format!(r#"{{"ior":{{"component":"Note"}},"model":{{"n":{n},"text":"{}"}}}}"#, "x".repeat(2000));
        keys.push(kernel.import(text).await.unwrap().0.key());
    }
    kernel.stop().await.unwrap();
    keys.sort_unstable();
    keys
}

/// Changes one bit in the middle of the largest file of a folder.
fn damage(folder: &Path) {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let largest = files.max_by_key(|path| path.metadata().unwrap().len()).unwrap();
    let mut bytes = std::fs::read(&largest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&largest, bytes).unwrap();
}

/// All of it, in pages of so many objects.
async fn survey(dir: &Path, objects: usize) -> Vec<Looked> {
    let kernel = Kernel::builder(dir).offline().start().await.unwrap();
    let (mut after, mut all) = (None, Vec::new());
    loop {
        let page = page(&kernel.shared().snapshot(), after, objects, u64::MAX).unwrap();
        all.extend(page.looked);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    kernel.stop().await.unwrap();
    all
}

fn run<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test)
}

#[test]
fn a_damaged_scenario_is_named_and_all_others_are_read() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let keys = filled(dir.path()).await;
        damage(&dir.path().join("store/keyspaces/2/blobs"));
        for objects in [7, OBJECTS + 1] {
            let looked = survey(dir.path(), objects).await;
            let named: Vec<_> = looked
                .iter()
                .map(|looked| match looked {
                    Looked::Whole(key, _) | Looked::Damaged(key, _) => *key,
                    Looked::Unnamed(reason) => panic!("{reason}"),
                })
                .collect();
            assert_eq!(named, keys);
            let damaged = looked.iter().filter(|looked| matches!(looked, Looked::Damaged(..))).count();
            assert_eq!(damaged, 1);
        }
    });
}

#[test]
fn objects_whose_heads_are_damaged_are_named_by_their_scenarios() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let keys = filled(dir.path()).await;
        damage(&dir.path().join("store/keyspaces/1/tables"));
        let looked = survey(dir.path(), OBJECTS + 1).await;
        let whole = looked.iter().filter(|looked| matches!(looked, Looked::Whole(..))).count();
        let damaged: Vec<_> = looked
            .iter()
            .filter_map(|looked| match looked {
                Looked::Damaged(key, _) => Some(*key),
                _ => None,
            })
            .collect();
        assert!(!damaged.is_empty() && damaged.iter().all(|key| keys.contains(key)), "{looked:?}");
        assert_eq!(whole + damaged.len(), OBJECTS, "every object is read or named");
    });
}
