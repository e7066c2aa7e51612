//! What cannot be read, and what was cut off: for `doctor`, `status`, and an export that saves what can be saved.

use once_core::store::StoreError;
use once_model::ids::ObjectKey;
use once_store::{Loss, Lost};

use super::check::check;
use super::contract::{self, CheckInfo, ConfirmLossesResult, LossInfo, SurveyResult, SurveyedInfo};
use super::names;
use crate::error::OrError;
use crate::net::lock;
use crate::survey::{self, Looked, Page};
use crate::{Error, Kernel};

/// Objects in one page of a survey, and bytes of their scenarios.
const PAGE_OBJECTS: usize = 1000;
const PAGE_BYTES: u64 = 64 * MIB;

/// What `doctor` reads unless it is to read all: it is to answer within seconds.
const LOOKED_AT_OBJECTS: u64 = 50_000;
const LOOKED_AT_BYTES: u64 = 256 * MIB;

/// Damaged objects that `doctor` names; further ones are counted.
const SHOWN_MAX: usize = 8;

const MIB: u64 = 1024 * 1024;

/// One page of all objects, also where rows are damaged.
pub(crate) async fn survey(kernel: &Kernel, params: contract::Survey) -> Result<SurveyResult, Error> {
    let after = match &params.after {
        Some(text) => Some(names::key(text)?),
        None => None,
    };
    let Page { looked, next, bytes } = page(kernel, after).await?;
    let objects: Vec<_> = looked
        .iter()
        .map(|looked| match looked {
            Looked::Whole(key, bytes) => {
                SurveyedInfo { key: Some(names::key_text(key)), bytes: Some(*bytes), damage: None }
            }
            Looked::Damaged(key, why) => {
                SurveyedInfo { key: Some(names::key_text(key)), bytes: None, damage: Some(why.clone()) }
            }
            Looked::Unnamed(why) => SurveyedInfo { key: None, bytes: None, damage: Some(why.clone()) },
        })
        .collect();
    Ok(SurveyResult { objects, next: next.as_ref().map(names::key_text), bytes })
}

/// Beside the network's thread: it reads from the disk.
async fn page(kernel: &Kernel, after: Option<ObjectKey>) -> Result<Page, Error> {
    let snapshot = kernel.shared().snapshot();
    let read = move || survey::page(&snapshot, after, PAGE_OBJECTS, PAGE_BYTES);
    let page: Result<Page, StoreError> =
        crate::beside::wait_for(read).await.map_err(|_| Error::fault("a look at the objects panicked"))?;
    page.or_error()
}

/// Whether objects can be read.
pub(super) async fn objects(kernel: &Kernel, all: bool) -> Result<Vec<CheckInfo>, Error> {
    let (mut checks, mut damaged, mut whole, mut bytes) = (Vec::new(), 0, 0_u64, 0_u64);
    let mut after = None;
    let is_whole = loop {
        let page = page(kernel, after).await?;
        bytes += page.bytes;
        for looked in &page.looked {
            let (name, why) = match looked {
                Looked::Whole(..) => {
                    whole += 1;
                    continue;
                }
                Looked::Damaged(key, why) => (names::key_text(key), why),
                Looked::Unnamed(why) => ("an object without a name that can be read".to_owned(), why),
            };
            damaged += 1;
            if damaged <= SHOWN_MAX {
                let message = format!("{name} cannot be read: {why}");
                checks.push(check("object", false, &message, Some(HINT)));
            }
        }
        after = page.next;
        if after.is_none() {
            break true;
        }
        if !all && (whole >= LOOKED_AT_OBJECTS || bytes >= LOOKED_AT_BYTES) {
            break false;
        }
    };
    if damaged > SHOWN_MAX {
        let message = format!("{} more objects cannot be read", damaged - SHOWN_MAX);
        checks.push(check("objects", false, &message, Some(HINT)));
    }
    let (mib, more) =
        (bytes / MIB, if is_whole { "" } else { "; `once doctor --all` reads the others, too" });
    checks.push(check("objects", true, &format!("{whole} objects were read ({mib} MiB){more}"), None));
    Ok(checks)
}

/// Whether the files of the store are as they were written. Of a large store that takes long: then only what is known, unless all
/// is to be read.
pub(super) async fn files(kernel: &Kernel, all: bool) -> Result<Vec<CheckInfo>, Error> {
    let shared = std::sync::Arc::clone(kernel.shared());
    let store = shared.data.join("store");
    let is_small = super::methods::folder_bytes(&store).is_some_and(|bytes| bytes <= LOOKED_AT_BYTES);
    let known = lock(&shared.damage).clone();
    let files = match all || is_small {
        true => crate::beside::wait_for(move || once_store::damaged_files(&shared.data)).await,
        false => Ok(known.into_iter().collect()),
    };
    let files = files.map_err(|_| Error::fault("a look at the files of the store panicked"))?;
    let hint = "this disk lost or changed something: check it. Keep a copy of the data directory; `once stop`, then `once export \
        --salvage DIR` brings out all that can be read, also what only an index of a damaged file hides";
    let shown = files.iter().take(SHOWN_MAX).map(|file| {
        check(
            "store",
            false,
            &format!("damaged: {file} in {} is not as it was written", store.display()),
            Some(hint),
        )
    });
    Ok(shown.collect())
}

pub(super) const HINT: &str = "this disk lost or changed something: check it; `once export --salvage DIR` brings out all that can \
    be read, and a peer that has a copy, or a backup, has the rest; all other objects go on";

/// Whether the event log can be read. Nothing but who looks back needs that.
pub(super) fn events(kernel: &Kernel) -> Result<Vec<CheckInfo>, Error> {
    match once_core::events::examine(&kernel.shared().snapshot()) {
        Err(StoreError::Damaged { reason, .. }) => {
            let message = format!(
                "what happened before cannot be read any more: {reason}; from here on it is written down again"
            );
            Ok(vec![check("event log", false, &message, Some(HINT))])
        }
        looked => looked.map(|()| Vec::new()).or_error(),
    }
}

/// What the journal lost, until a person has confirmed it.
pub(super) fn losses(kernel: &Kernel) -> Vec<CheckInfo> {
    let hint = "nothing that was acknowledged is lost if a crash had just interrupted a write; if a file was cut, emptied or damaged, \
        what was written last is missing: ask your peers, or put a backup back. `once doctor --confirm-loss` ends this";
    lost(kernel).iter().map(|loss| check("journal", false, &said(loss), Some(hint))).collect()
}

/// The same for `status`.
pub(super) fn shapes(kernel: &Kernel) -> Vec<LossInfo> {
    lost(kernel).iter().map(shape).collect()
}

/// A person has seen what was cut off.
pub(crate) fn confirm(kernel: &Kernel) -> Result<ConfirmLossesResult, Error> {
    let shared = kernel.shared();
    let mut losses = lock(&shared.losses);
    once_store::confirm_losses(&shared.data).map_err(|error| {
        Error::failed(format!("the list of losses in the data directory: {error}"))
            .with_hint("check the directory's permissions and the disk")
    })?;
    Ok(ConfirmLossesResult { confirmed: losses.drain(..).map(|loss| shape(&loss)).collect() })
}

fn lost(kernel: &Kernel) -> Vec<Loss> {
    lock(&kernel.shared().losses).clone()
}

fn shape(loss: &Loss) -> LossInfo {
    let Loss { at_ms, journal, lost } = loss;
    let (from_byte, bytes) = match lost {
        Lost::End { from_byte, bytes } => (Some(*from_byte), Some(*bytes)),
        Lost::All => (Some(0), None),
        Lost::Unknown => (None, None),
    };
    LossInfo { at_ms: *at_ms, journal: journal.clone(), from_byte, bytes, message: said(loss) }
}

fn said(loss: &Loss) -> String {
    let journal = &loss.journal;
    match loss.lost {
        Lost::End { from_byte, bytes } => format!(
            "when this kernel started, {bytes} bytes at the end of {journal} could not be read and were cut off (from byte \
             {from_byte})"
        ),
        Lost::All => format!(
            "when this kernel started, {journal} was empty: what was written since the tables were is missing"
        ),
        Lost::Unknown => {
            "something of the journal was lost, and the line about it in the file `losses` of the data \
             directory cannot be read"
                .to_owned()
        }
    }
}
