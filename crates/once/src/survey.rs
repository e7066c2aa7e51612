//! A look at every object, also where rows cannot be read: it names what is damaged, and goes on behind it.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use once_core::object;
use once_core::store::{StoreError, Table};
use once_model::ids::{ObjectKey, Uuid};

use crate::shell::Snapshot;

/// What a look at one object came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Looked {
    /// All of it can be read; of so many bytes.
    Whole(ObjectKey, u64),
    /// Something of it cannot be read.
    Damaged(ObjectKey, String),
    /// Rows between two objects that cannot be read, and nothing else names what they were.
    Unnamed(String),
}

/// One page of a survey.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub looked: Vec<Looked>,
    /// Behind which object the next page begins; `None` at the end.
    pub next: Option<ObjectKey>,
    /// Bytes of scenarios that were read.
    pub bytes: u64,
}

/// Looks at the objects behind `after`, at most so many, and at most so many bytes of them (and one object more).
///
/// # Errors
/// When the store cannot be read for another reason than damage.
pub(crate) fn page(
    rows: &Snapshot,
    after: Option<ObjectKey>,
    objects_max: usize,
    bytes_max: u64,
) -> Result<Page, StoreError> {
    let mut page = Page::default();
    let mut from = after.map_or_else(Vec::new, |key| behind(&key.to_row()));
    loop {
        let room = objects_max.saturating_sub(page.looked.len());
        let Keys { keys, damage } = keys(rows, Table::Head, &from, None, room)?;
        for key in keys.iter().filter_map(|row| ObjectKey::from_row(row)) {
            look(rows, &key, &mut page)?;
            if page.bytes >= bytes_max {
                page.next = Some(key);
                return Ok(page);
            }
        }
        if let Some(last) = keys.last() {
            from = behind(last);
        }
        let Some(reason) = damage else {
            page.next = keys.last().filter(|_| keys.len() >= room).and_then(|row| ObjectKey::from_row(row));
            return Ok(page);
        };
        let to = readable_after(rows, &from)?;
        look_between(rows, &from, to.as_deref(), &reason, &mut page)?;
        match to {
            Some(to) => from = to,
            None => return Ok(page),
        }
    }
}

/// One object, if it is one.
fn look(rows: &Snapshot, key: &ObjectKey, page: &mut Page) -> Result<(), StoreError> {
    let read = object::head(rows, key).and_then(|row| match row {
        None => Ok(None),
        Some(row) => {
            object::body(rows, &row.header).map(|body| Some(body.map_or(0, |body| body.len() as u64)))
        }
    });
    match read {
        Ok(None) => {}
        Ok(Some(bytes)) => {
            page.bytes += bytes;
            page.looked.push(Looked::Whole(*key, bytes));
        }
        Err(damaged @ StoreError::Damaged { .. }) => {
            page.looked.push(Looked::Damaged(*key, damaged.to_string()));
        }
        Err(error) => return Err(error),
    }
    Ok(())
}

/// Heads in this range cannot be listed: bodies name their objects.
fn look_between(
    rows: &Snapshot,
    from: &[u8],
    to: Option<&[u8]>,
    reason: &str,
    page: &mut Page,
) -> Result<(), StoreError> {
    let Keys { keys, damage } = keys(rows, Table::Body, from, to, usize::MAX)?;
    let named = keys.iter().filter_map(|row| ObjectKey::from_row(row.get(..ObjectKey::ROW_LEN)?));
    // The bodies of the object before this range lie behind its head, and so within.
    let named: BTreeSet<_> = named.filter(|key| key.to_row().as_slice() >= from).collect();
    let before = page.looked.len();
    for key in &named {
        look(rows, key, page)?;
    }
    let found = page.looked.iter().skip(before).any(|looked| matches!(looked, Looked::Damaged(..)));
    if damage.is_some() || !found {
        page.looked.push(Looked::Unnamed(reason.to_owned()));
    }
    Ok(())
}

/// Keys up to the first that cannot be read.
struct Keys {
    keys: Vec<Vec<u8>>,
    damage: Option<String>,
}

fn keys(
    rows: &Snapshot,
    table: Table,
    from: &[u8],
    to: Option<&[u8]>,
    most: usize,
) -> Result<Keys, StoreError> {
    let mut keys = Vec::new();
    if most == 0 {
        return Ok(Keys { keys, damage: None });
    }
    let scanned = rows.keys(table, from, to, &mut |key| {
        keys.push(key.to_vec());
        if keys.len() < most { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    match scanned {
        Ok(()) => Ok(Keys { keys, damage: None }),
        Err(damaged @ StoreError::Damaged { .. }) => Ok(Keys { keys, damage: Some(damaged.to_string()) }),
        Err(error) => Err(error),
    }
}

/// Where heads can be listed again behind a place where they cannot: by halving what lies between, over the UUIDs that keys
/// begin with. What lies between two damaged places may be left out here; [`look_between`] finds it.
fn readable_after(rows: &Snapshot, from: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
    let first: [u8; 16] = from.get(..16).and_then(|uuid| uuid.try_into().ok()).unwrap_or_default();
    let base = u128::from_be_bytes(first);
    let start = |uuid: u128| Uuid::from_u128(uuid).as_bytes().to_vec();
    let is_readable =
        |uuid: u128| Ok::<_, StoreError>(keys(rows, Table::Head, &start(uuid), None, 1)?.damage.is_none());
    let mut step = 1_u128;
    let mut bad = base;
    let mut good = loop {
        let Some(tried) = base.checked_add(step) else { return Ok(None) };
        if is_readable(tried)? {
            break tried;
        }
        bad = tried;
        let Some(next) = step.checked_mul(2) else { return Ok(None) };
        step = next;
    };
    while good - bad > 1 {
        let middle = bad + (good - bad) / 2;
        if is_readable(middle)? { good = middle } else { bad = middle }
    }
    Ok(Some(start(good)))
}

fn behind(key: &[u8]) -> Vec<u8> {
    [key, &[0]].concat()
}

#[cfg(test)]
mod tests;
