//! Which rows belong to an object: what a table's key says of it, for each table in one place. What is damaged is parked by
//! it, and what an object takes up is counted by it.

use std::ops::ControlFlow;

use once_model::ids::{Hash, KernelId, Line, Lineage, ObjectKey, Uuid};

use crate::chores;
use crate::share::Kind;
use crate::store::{Read, StoreError, Table, scan_prefix};

/// Where a key names the object that its row belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The key begins with the object's.
    First,
    /// The object's key comes after a kernel's.
    AfterKernel,
    /// The object's key comes after a kernel's and a byte for the kind of what is owed.
    Owed,
    /// The key begins with a lineage.
    Lineage,
    /// The key begins with the name of an unclaimed copy: UUID and content hash.
    Copy,
    /// The key of a grant on one object: a byte for the scope, then the object's.
    Scope,
    /// The key of a chore: a byte for what is done, then the object's, if it is about one.
    Chore,
    /// The row belongs to no object, or says in its value to which.
    Nowhere,
}

/// For each table, which of its rows belong to an object. A row of an object that is not named here is a test failure.
pub const OF_OBJECT: &[(Table, Place)] = &[
    (Table::Head, Place::First),
    (Table::Body, Place::First),
    (Table::Chain, Place::Lineage),
    (Table::Genesis, Place::Copy),
    (Table::Conflict, Place::First),
    (Table::Grant, Place::Scope),
    (Table::Outbox, Place::Owed),
    (Table::Follower, Place::First),
    (Table::Subscription, Place::AfterKernel),
    (Table::Unfollow, Place::AfterKernel),
    (Table::Lane, Place::First),
    (Table::Ledger, Place::First),
    (Table::Timer, Place::First),
    (Table::Activity, Place::First),
    (Table::Queue, Place::First),
    (Table::Sending, Place::First),
    (Table::Chore, Place::Chore),
    (Table::Leaving, Place::First),
    (Table::Welcome, Place::First),
    (Table::Handed, Place::First),
    (Table::Acquaintance, Place::First),
    (Table::News, Place::AfterKernel),
    (Table::Luggage, Place::First),
    (Table::Arriving, Place::First),
    (Table::Stayed, Place::First),
    (Table::Visit, Place::AfterKernel),
    (Table::Revision, Place::First),
    (Table::Archive, Place::First),
    (Table::Archiving, Place::First),
    (Table::Receipted, Place::First),
    (Table::Unsent, Place::AfterKernel),
];

const KINDS: [Kind; 2] = [Kind::Objects, Kind::Lanes];

/// Where the keys of a table name an object.
#[must_use]
pub fn place(table: Table) -> Place {
    OF_OBJECT.iter().find(|(of, _)| *of == table).map_or(Place::Nowhere, |(_, place)| *place)
}

/// The object that a row belongs to, by the row's key. Of a chain only the lineage is known.
#[must_use]
pub fn object_of(table: Table, key: &[u8]) -> Option<ObjectKey> {
    let first = |key: &[u8]| ObjectKey::from_row(key.get(..ObjectKey::ROW_LEN)?);
    match place(table) {
        Place::First => first(key),
        Place::AfterKernel => first(key.get(KernelId::LEN..)?),
        Place::Owed => first(key.get(KernelId::LEN + 1..)?),
        Place::Scope if key.first() == Some(&2) => first(key.get(1..)?),
        Place::Chore if chores::OF_OBJECT.contains(key.first()?) => first(key.get(1..)?),
        Place::Copy => {
            let (uuid, content) = key.split_at_checked(16)?;
            let content = Hash::from_bytes(content.try_into().ok()?);
            Some(ObjectKey { uuid: Uuid::from_slice(uuid).ok()?, line: Line::Unclaimed(content) })
        }
        Place::Lineage => {
            let lineage = Lineage::from_slice(key.get(..Lineage::LEN)?)?;
            Some(ObjectKey { uuid: Uuid::nil(), line: Line::Claimed(lineage) })
        }
        Place::Scope | Place::Chore | Place::Nowhere => None,
    }
}

/// What the rows of an object take up, keys and values, in bytes; its bodies too.
///
/// # Errors
/// When the store cannot be read.
pub fn size_of(rows: &dyn Read, me: &KernelId, object: &ObjectKey) -> Result<u64, StoreError> {
    let row = object.to_row();
    let mut kernels = vec![*me];
    rows.scan(Table::Peer, &[], None, &mut |key, _| {
        kernels.extend(KernelId::from_slice(key));
        ControlFlow::Continue(())
    })?;
    let mut size = 0_u64;
    let mut count = |key: &[u8], value: bytes::Bytes| {
        size = size.saturating_add((key.len() + value.len()) as u64);
        ControlFlow::Continue(())
    };
    for (table, place) in OF_OBJECT {
        match (place, object.line) {
            (Place::First, _) => scan_prefix(rows, *table, &row, &mut count)?,
            (Place::Scope, _) => scan_prefix(rows, *table, &[&[2], row.as_slice()].concat(), &mut count)?,
            (Place::Chore, _) => {
                for what in chores::OF_OBJECT {
                    scan_prefix(rows, *table, &[&[what], row.as_slice()].concat(), &mut count)?;
                }
            }
            (Place::AfterKernel, _) => {
                for kernel in &kernels {
                    let prefix = [kernel.as_bytes().as_slice(), &row].concat();
                    scan_prefix(rows, *table, &prefix, &mut count)?;
                }
            }
            (Place::Owed, _) => {
                for (kernel, kind) in kernels.iter().flat_map(|kernel| KINDS.map(|kind| (kernel, kind))) {
                    scan_prefix(rows, *table, &[kind.of(kernel).as_slice(), &row].concat(), &mut count)?;
                }
            }
            (Place::Lineage, Line::Claimed(lineage)) => {
                scan_prefix(rows, *table, lineage.as_bytes(), &mut count)?;
            }
            (Place::Copy, Line::Unclaimed(content)) => {
                scan_prefix(rows, *table, &crate::object::content_key(&object.uuid, &content), &mut count)?;
            }
            _ => {}
        }
    }
    Ok(size)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::testing::Alone;

    /// What names an object in its value and is not the object's: results of this kernel's clients, paths of imports, what
    /// happened here, and the order of time, whose rows name the timer or the action that they are about.
    const OTHERS: &[Table] = &[Table::Request, Table::Source, Table::Event, Table::Due];

    #[test]
    fn every_row_that_belongs_to_an_object_is_named() {
        let (kernel, objects) = Alone::populated();
        let mut named = BTreeSet::new();
        for (table, key, value) in kernel.rows() {
            let is_about = |object: &&ObjectKey| {
                let uuid = object.uuid.as_bytes();
                [&key[..], &value[..]].iter().any(|bytes| bytes.windows(16).any(|window| window == uuid))
            };
            let about = objects.iter().find(is_about);
            match (about, object_of(table, &key)) {
                (Some(_), None) => assert!(OTHERS.contains(&table), "{table:?} is not named"),
                (_, Some(_)) => drop(named.insert(table)),
                (None, None) => {}
            }
        }
        for (table, _) in OF_OBJECT {
            assert!(
                named.contains(table),
                "nothing shows {table:?}: add a row of it to the populated kernel"
            );
        }
    }

    #[test]
    fn the_size_of_an_object_is_that_of_its_rows() {
        let (kernel, objects) = Alone::populated();
        for object in objects {
            let mine = |table, key: &[u8]| match object_of(table, key) {
                Some(of) if of.uuid.is_nil() => of.line == object.line,
                of => of == Some(object),
            };
            let rows = kernel.rows().into_iter().filter(|(table, key, _)| mine(*table, key));
            let sum: usize = rows.map(|(_, key, value)| key.len() + value.len()).sum();
            assert_eq!(size_of(&kernel.store, &kernel.ctx.me, &object).unwrap(), sum as u64, "{object}");
            assert!(sum > 0);
        }
    }
}
