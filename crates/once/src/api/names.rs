//! From what people write to what is meant: objects by UUID, unique beginning or IOR; peers by petname or id.

use std::ops::ControlFlow;

use once_core::object::{self, HeadRow};
use once_core::peers::{self, PeerRow};
use once_core::store::{Read, Table, scan_prefix};
use once_model::action::Given;
use once_model::ids::{Hash, KernelId, Line, Lineage, ObjectKey, Uuid};
use once_model::ior::Ior;

pub(super) use crate::component::words::shown;
use crate::error::OrError;
pub(crate) use crate::object::key_text;
use crate::{Error, Kernel, Object};

/// The fewest hexadecimal digits of a UUID, or characters of a kernel id, that name something.
const SHORTEST: usize = 4;

/// Candidates that an error names.
const LISTED: usize = 4;

/// The one object that a name means.
pub(super) fn object(kernel: &Kernel, name: &str) -> Result<Object, Error> {
    object_in(kernel, &kernel.shared().snapshot(), name)
}

/// The same as of one snapshot: whoever reads its bytes too must do so there, since the next revision takes them away.
pub(super) fn object_in(kernel: &Kernel, rows: &dyn Read, name: &str) -> Result<Object, Error> {
    let found = objects(rows, name)?;
    let mut living: Vec<_> = found.iter().filter(|row| !row.header.tombstone).collect();
    if living.is_empty() {
        living = found.iter().collect();
    }
    match living.as_slice() {
        [one] => Object::new(rows, (*one).clone(), kernel.id()),
        [] => Err(Error::not_found(format!("no object '{}' on this kernel", shown(name)))
            .with_hint("`once ls` shows what is here; `once request IOR` fetches an object from a peer")),
        many => {
            let some: Vec<_> = many.iter().take(LISTED).map(|row| row.header.key().to_string()).collect();
            let more = if many.len() > LISTED { ", …" } else { "" };
            Err(Error::ambiguous(format!("'{}' may be {}{more}", shown(name), some.join(", ")))
                .with_hint("write more of it; UUID#LINEAGE or UUID@HASH tells two objects of one UUID apart"))
        }
    }
}

/// Every object that answers to a name.
pub(super) fn objects(rows: &dyn Read, name: &str) -> Result<Vec<HeadRow>, Error> {
    if name.starts_with("ior:") || name.contains("://") {
        let ior = Ior::parse(name).map_err(|e| Error::usage(e.to_string()))?;
        return by_ior(rows, &ior);
    }
    let (front, line) = match name.find(['#', '@']) {
        Some(at) => (&name[..at], Some(&name[at..])),
        None => (name, None),
    };
    let digits: String = front.chars().filter(|c| *c != '-').collect();
    let is_hex = digits.bytes().all(|b| b.is_ascii_hexdigit());
    if !is_hex || digits.len() < SHORTEST || digits.len() > 32 {
        return Err(Error::usage(format!("'{}' names no object", shown(name)))
            .with_hint("an object is named by its UUID, at least 4 digits of it, or an IOR"));
    }
    let bytes: Vec<u8> = (0..digits.len() / 2)
        .filter_map(|i| u8::from_str_radix(digits.get(i * 2..i * 2 + 2)?, 16).ok())
        .collect();
    let half = match digits.len() % 2 {
        1 => digits.get(digits.len() - 1..).and_then(|last| u8::from_str_radix(last, 16).ok()),
        _ => None,
    };
    let mut found = object::with_prefix(rows, &bytes, half, 1000).or_error()?;
    if let Some(line) = line {
        let (kind, beginning) = line.split_at(1);
        // What was unclaimed when it was named so may have been claimed since.
        let since = if kind == "@" { claimed_since(rows, &bytes, beginning)? } else { Vec::new() };
        found.retain(|row| match row.header.key().line {
            Line::Claimed(lineage) => {
                since.contains(&lineage) || (kind == "#" && lineage.to_string().starts_with(beginning))
            }
            Line::Unclaimed(hash) => kind == "@" && hash.to_string().starts_with(beginning),
        });
    }
    Ok(found)
}

/// The lineages that began from an unclaimed object whose UUID and hash begin like this.
fn claimed_since(rows: &dyn Read, uuid: &[u8], hash: &str) -> Result<Vec<Lineage>, Error> {
    let mut found = Vec::new();
    scan_prefix(rows, Table::Genesis, uuid, &mut |key, value| {
        let content = key.get(16..).and_then(Hash::from_slice);
        if content.is_some_and(|content| content.to_string().starts_with(hash)) {
            found.extend(once_core::txn::decode::<Lineage>(Table::Genesis, &value));
        }
        ControlFlow::Continue(())
    })
    .or_error()?;
    Ok(found)
}

/// What an IOR means here.
pub(super) fn by_ior(rows: &dyn Read, ior: &Ior) -> Result<Vec<HeadRow>, Error> {
    let Some(uuid) = ior.uuid() else {
        return Err(Error::usage(format!("{} names no object: it has no UUID", shown(ior.as_str()))));
    };
    let line = ior.line();
    object::find(rows, &uuid, line).or_error()
}

/// The reference that a name means, also if the object is not here.
pub(super) fn ior(kernel: &Kernel, name: &str) -> Result<Ior, Error> {
    if name.starts_with("ior:") || name.contains("://") {
        return Ior::parse(name).map_err(|e| Error::usage(e.to_string()));
    }
    if let Ok(uuid) = Uuid::parse_str(name) {
        return Ok(Ior::bare(uuid));
    }
    object(kernel, name).map(|object| object.ior(&[]))
}

/// The one peer that a name means.
pub(super) fn peer(kernel: &Kernel, name: &str) -> Result<(KernelId, PeerRow), Error> {
    let peers = peers::all(&kernel.shared().snapshot()).or_error()?;
    if let Some(found) = peers.iter().find(|(_, row)| row.petname.as_deref() == Some(name)) {
        return Ok(found.clone());
    }
    let by_name: Vec<_> = peers.iter().filter(|(_, row)| row.petname.is_none() && row.says == name).collect();
    let lower = name.to_ascii_lowercase();
    let by_id =
        || peers.iter().filter(|(id, _)| name.len() >= SHORTEST && id.to_string().starts_with(&lower));
    let found = if by_name.is_empty() { by_id().collect() } else { by_name };
    match found.as_slice() {
        [one] => Ok((*one).clone()),
        [] => Err(Error::not_found(format!("no peer '{}'", shown(name)))
            .with_hint("`once peers` lists the peers; `once join TICKET` makes one")),
        _ => Err(Error::ambiguous(format!("more than one peer is called '{}'", shown(name))).with_hint(
            "write more of its kernel id, or give it a petname with `once peers rename KERNEL NAME`",
        )),
    }
}

/// A scenario that an action depends on: an object, and behind its last `@` the whole hash of its content. Without the
/// hash: the newest content here. An unclaimed object's own `UUID@HASH` means the same either way.
pub(super) fn given(kernel: &Kernel, name: &str) -> Result<Given, Error> {
    let (front, content) = match name.rsplit_once('@') {
        Some((front, hash)) if hash.len() == 2 * Hash::LEN => match hash.parse::<Hash>() {
            Ok(content) => (front, Some(content)),
            Err(_) => (name, None),
        },
        _ => (name, None),
    };
    let Some(content) = content else { return newest(kernel, front) };
    let found = objects(&kernel.shared().snapshot(), front)?;
    let living: Vec<ObjectKey> =
        found.iter().filter(|row| !row.header.tombstone).map(|row| row.header.key()).collect();
    let same: Vec<ObjectKey> = found
        .iter()
        .filter(|row| !row.header.tombstone && row.header.content == content)
        .map(|row| row.header.key())
        .collect();
    let key = match (same.as_slice(), living.as_slice()) {
        ([key], _) | ([], [key]) => *key,
        ([], _) => elsewhere(front, content)?,
        _ => {
            return Err(Error::ambiguous(format!("'{}' may be more than one object here", shown(name)))
                .with_hint("name it with its lineage: UUID#LINEAGE@HASH"));
        }
    };
    Ok(Given { key, content })
}

/// What an object is here now.
fn newest(kernel: &Kernel, name: &str) -> Result<Given, Error> {
    match object(kernel, name) {
        Ok(found) if found.is_tombstone() => {
            Err(Error::removed(format!("{} was removed", key_text(&found.key()))))
        }
        Ok(found) => Ok(Given { key: found.key(), content: found.row.header.content }),
        Err(error) if error.is_not_found() => match Ior::parse(name).ok() {
            // Unclaimed: what it is says which one it is.
            Some(ior) => match (ior.uuid(), ior.line()) {
                (Some(uuid), Some(line @ Line::Unclaimed(content))) => {
                    Ok(Given { key: ObjectKey { uuid, line }, content })
                }
                _ => Err(error.with_hint("one that is not here is given by its content: OBJECT@HASH")),
            },
            None => Err(error.with_hint("one that is not here is given by its content: OBJECT@HASH")),
        },
        Err(error) => Err(error),
    }
}

/// An object that is not here, with these bytes.
fn elsewhere(name: &str, content: Hash) -> Result<ObjectKey, Error> {
    if let Ok(uuid) = Uuid::parse_str(name) {
        return Ok(ObjectKey { uuid, line: Line::Unclaimed(content) });
    }
    let of_ior = || {
        let ior = Ior::parse(name).ok()?;
        Some(ObjectKey { uuid: ior.uuid()?, line: ior.line()? })
    };
    key(name).ok().or_else(of_ior).ok_or_else(|| {
        Error::not_found(format!("no object '{}' on this kernel", shown(name)))
            .with_hint("one that is not here needs its whole name: IOR@HASH, UUID#LINEAGE@HASH or UUID@HASH")
    })
}

/// How a kernel is called here.
pub(crate) fn name_of(kernel: &Kernel, id: &KernelId) -> String {
    if *id == kernel.id() {
        return kernel.name().to_owned();
    }
    match once_core::peers::peer(&kernel.shared().snapshot(), id) {
        Ok(Some(row)) if !row.name().is_empty() => row.name().to_owned(),
        _ => id.short(),
    }
}

/// Reads a key as [`crate::object::key_text`] writes it, whether the object is here or not.
pub(super) fn key(text: &str) -> Result<ObjectKey, Error> {
    let parsed = || {
        let at = text.find(['#', '@'])?;
        let uuid = Uuid::parse_str(text.get(..at)?).ok()?;
        let rest = text.get(at + 1..)?;
        let line = match text.as_bytes().get(at)? {
            b'#' => Line::Claimed(rest.parse().ok()?),
            _ => Line::Unclaimed(rest.parse().ok()?),
        };
        Some(ObjectKey { uuid, line })
    };
    parsed().ok_or_else(|| Error::usage(format!("'{}' is not the key of an object", shown(text))))
}
