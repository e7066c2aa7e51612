//! One road for change: each revision that a home makes names its entry in the object's history, which fits it, and
//! numbers have no gaps. What is kept beside names none. A file is not laid over what happened since it was imported.

use once_core::act;
use once_core::object::HeadRow;
use once_core::store::Table;
use once_core::waist::{Answer, Change, Command};
use once_model::cbor::to_cbor;
use once_model::hash::record_hash;
use once_model::header::Header;
use once_model::ids::{Hash, KernelId, Line, ObjectKey};
use once_model::receipt::Entry;

use super::shadow::Shadow;
use super::{Checker, Group};
use crate::coverage::Coverage;
use crate::disk::Commit;

impl Checker {
    /// Looks at the histories of all objects that a commit changed.
    pub(super) fn histories(&mut self, group: &Group<'_>, commit: &Commit) {
        let mut wrong = Vec::new();
        for changed in commit.rows.iter().filter(|row| row.table == Table::Head) {
            let read = |value: &Option<bytes::Bytes>| {
                once_core::txn::decode::<HeadRow>(Table::Head, value.as_ref()?).ok()
            };
            let Some(new) = read(&changed.after) else { continue };
            if new.from.is_none() && new.header.lineage.is_some() {
                wrong.extend(entered(group, &new.header).err());
            }
        }
        for what in wrong {
            self.violation(4, &group.kernel, group.at_ms, what);
        }
    }
}

/// Whether the newest revision of an object is that of an entry.
fn entered(group: &Group<'_>, header: &Header) -> Result<(), String> {
    let key = header.key();
    let history = act::history(group.store, &key).map_err(|error| error.to_string())?;
    let entries: Vec<&Entry> = history.iter().map(|recorded| &recorded.entry).collect();
    for pair in entries.windows(2) {
        let [earlier, later] = pair else { continue };
        if later.number != earlier.number + 1 || later.previous != hash(earlier) {
            return Err(format!("the history of {key} breaks at {}", later.number));
        }
    }
    if entries.first().is_some_and(|first| first.number != 1) {
        return Err(format!("the history of {key} does not begin with 1"));
    }
    let made = entries.iter().find(|entry| Some(hash(entry)) == header.entry);
    let fits = made.is_some_and(|entry| {
        (entry.object, entry.revision, entry.content, entry.certificate)
            == (key, header.revision, header.content, header.certificate)
            && header.parent.is_none_or(|parent| parent == entry.before)
            && header
                .cause
                .as_ref()
                .is_some_and(|cause| cause.id == entry.id && cause.sequence == entry.sequence)
    });
    if !fits {
        return Err(format!("revision {} of {key} has no entry that fits it", header.revision));
    }
    // What was recorded after it changed nothing.
    let after = entries.iter().skip_while(|entry| Some(hash(entry)) != header.entry).skip(1);
    match after.into_iter().find(|entry| (entry.revision, entry.content) != (header.revision, header.content))
    {
        Some(entry) => Err(format!("entry {} of {key} made a revision that is not the newest", entry.number)),
        None => Ok(()),
    }
}

/// As the protocol says it, not as the engine does.
pub(super) fn hash(entry: &Entry) -> Hash {
    record_hash("once/2 ledger entry", &to_cbor(entry))
}

/// A file that was kept beside its object.
pub(super) fn kept_file(kernel: &KernelId, row: &HeadRow) -> Result<(), String> {
    let header = &row.header;
    let bare = header.entry.is_none() && header.cause.is_none() && header.signature.is_none();
    if bare && row.home == Some(*kernel) && header.parent.is_some() && !row.charged {
        return Ok(());
    }
    Err(format!("keeps {} beside {} as if a home had made it", header.id(), header.key()))
}

/// What a client was told of a file that it imported.
pub(super) fn imported(
    shadow: &mut Shadow,
    command: &Command,
    answer: &Answer,
    cover: &mut Coverage,
) -> Result<(), String> {
    let Command::Import { source: Some(path), over, scenario } = command else { return Ok(()) };
    let Answer::Object { header, change } = answer else { return Ok(()) };
    if *change == Change::KeptBeside {
        cover.met("state file kept beside");
        return Ok(());
    }
    let brought = (header.key(), header.id());
    let before = match header.content == scenario.hash() {
        true => shadow.sources.insert(path.clone(), brought),
        false => return Ok(()),
    };
    if !matches!(change, Change::Changed | Change::ClaimedAndChanged) || over.is_some() {
        return Ok(());
    }
    cover.met("state re-import is a put");
    let Some((key, revision)) = before else { return Ok(()) };
    if header.parent == Some(revision) || is_claim(&key, header) {
        return Ok(());
    }
    Err(format!("lays a file over {}, which has gone on since {revision:.12}", header.key()))
}

/// Whether what stood before is the claim of what was imported: the same bytes.
fn is_claim(key: &ObjectKey, header: &Header) -> bool {
    matches!(key.line, Line::Unclaimed(_)) && header.revision == 2
}
