//! Tests that look inside. Those with processes of their own are in `tests/processes.rs`.

mod damage;
mod model;
mod opening;

use bytes::Bytes;
use once_core::store::{Batch, Read, Table};

/// How many times the usual number of cases: the environment variable `ONCE_SCALE`.
fn scaled(cases: u32) -> u32 {
    let scale = std::env::var("ONCE_SCALE").ok().and_then(|scale| scale.parse::<f64>().ok());
    (f64::from(cases) * scale.unwrap_or(1.0)).ceil() as u32
}

type Row = (Table, Vec<u8>, Bytes);

/// Every row but the store's own.
fn all_rows(store: &dyn Read) -> Vec<Row> {
    let mut rows = Vec::new();
    for table in Table::ALL {
        let visit = &mut |key: &[u8], value| {
            if key != crate::schema::KEY {
                rows.push((table, key.to_vec(), value));
            }
            std::ops::ControlFlow::Continue(())
        };
        store.scan(table, &[], None, visit).unwrap();
    }
    rows
}

fn put(table: Table, key: &[u8], value: &[u8]) -> Batch {
    Batch { rows: vec![(table, key.to_vec(), Some(Bytes::copy_from_slice(value)))] }
}
