//! The event log is read as it grows: the one way in which this kernel tells anybody what happens.

use std::collections::VecDeque;

pub(crate) use once_core::events::Entry;
use once_core::events::{Cursor, Logged, newest_since, page};
use once_core::object;
use once_core::store::Read;
use once_model::ids::{KernelId, Line, ObjectKey};
use tokio::sync::watch;

use crate::error::OrError;
use crate::kernel::Weak;
use crate::shell::Snapshot;
use crate::{Error, Kernel};

/// Commits whose events are read at once. What nobody reads stays in the log, not in memory.
const PAGE_ROWS: usize = 256;

/// Which events somebody wants to know: those that fit all that is said here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    pub object: Option<ObjectKey>,
    pub component: Option<String>,
    pub peer: Option<KernelId>,
}

impl Filter {
    /// Only what is about an object.
    pub fn object(key: ObjectKey) -> Self {
        Self { object: Some(key), ..Self::default() }
    }

    /// Only what is about another kernel.
    pub fn peer(peer: KernelId) -> Self {
        Self { peer: Some(peer), ..Self::default() }
    }

    fn fits(&self, rows: &dyn Read, logged: &Logged) -> bool {
        let of = logged.event.object();
        let component_fits = |wanted: &String| match (&logged.event, of) {
            (once_core::waist::Event::Changed { header, .. }, _) => header.component == *wanted,
            (_, Some(key)) => {
                let head = object::head(rows, &key).ok().flatten();
                head.is_some_and(|head| head.header.component == *wanted)
            }
            (_, None) => false,
        };
        self.object.is_none_or(|wanted| of.is_some_and(|of| is_same(&wanted, &of)))
            && self.peer.is_none_or(|peer| logged.event.peer() == Some(peer))
            && self.component.as_ref().is_none_or(component_fits)
    }
}

/// Whether two names are of one object. An unclaimed copy gets another name when it is claimed.
fn is_same(wanted: &ObjectKey, of: &ObjectKey) -> bool {
    let is_unclaimed = |key: &ObjectKey| matches!(key.line, Line::Unclaimed(_));
    wanted.uuid == of.uuid && (wanted.line == of.line || is_unclaimed(wanted) || is_unclaimed(of))
}

/// A part of the log.
#[derive(Debug)]
pub(crate) struct Part {
    /// Those that fit, in their order.
    pub entries: VecDeque<Entry>,
    /// Where to go on.
    pub after: Cursor,
    pub is_last: bool,
}

/// A part of the log behind a place: what fits, and what is missing, since nobody knows whether that would have fitted. What is
/// behind `until` is on the disk, and what rests on it is not told yet: it is left for later.
pub(crate) fn read(
    rows: &dyn Read,
    after: Cursor,
    until: Option<Cursor>,
    filter: &Filter,
) -> Result<Part, Error> {
    let mut page = page(rows, after, PAGE_ROWS).or_error()?;
    if let Some(until) = until.filter(|until| page.after > *until) {
        page.entries.retain(|entry| entry.cursor() <= until);
        page.after = page.entries.last().map_or(after, Entry::cursor);
        page.is_last = true;
    }
    let fits = |entry: &Entry| match entry {
        Entry::Gap { .. } => true,
        Entry::Event(logged) => filter.fits(rows, logged),
    };
    let entries = page.entries.into_iter().filter(fits).collect();
    Ok(Part { entries, after: page.after, is_last: page.is_last })
}

/// The place of the newest event, and the store that has it.
pub(crate) fn newest(kernel: &Kernel) -> Result<(Cursor, Snapshot), Error> {
    // Before the snapshot: it is in it.
    let known = *kernel.shared().happened.borrow();
    let snapshot = kernel.shared().snapshot();
    Ok((newest_since(&snapshot, known).or_error()?, snapshot))
}

/// Reads the log as it grows. It keeps no kernel running.
pub(crate) struct Reader {
    kernel: Weak,
    /// The place of the newest event that may be told.
    grown: watch::Receiver<Cursor>,
    filter: Filter,
    read: VecDeque<Entry>,
    after: Cursor,
    /// The log may have grown since it was read.
    may_have_grown: bool,
}

impl Reader {
    /// From now on.
    pub fn from_now(kernel: &Kernel, filter: Filter) -> Result<Self, Error> {
        let (after, _) = newest(kernel)?;
        Ok(Self::since(kernel, filter, after))
    }

    /// From that place on.
    pub fn since(kernel: &Kernel, filter: Filter, after: Cursor) -> Self {
        let (grown, read) = (kernel.shared().happened.subscribe(), VecDeque::new());
        Self { kernel: kernel.downgrade(), grown, filter, read, after, may_have_grown: true }
    }

    /// Where it begins to read next.
    pub fn after(&self) -> Cursor {
        self.after
    }

    /// The next entry; `None` when the kernel has stopped.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn next(&mut self) -> Result<Option<Entry>, Error> {
        loop {
            if let Some(entry) = self.read.pop_front() {
                return Ok(Some(entry));
            }
            match self.part().await? {
                Some(part) => self.read = part,
                None => return Ok(None),
            }
        }
    }

    /// What comes next, perhaps nothing that fits; `None` when the kernel has stopped.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn part(&mut self) -> Result<Option<VecDeque<Entry>>, Error> {
        loop {
            if !self.may_have_grown {
                let has_grown = tokio::select! {
                    // What happened before the end comes before the end.
                    biased;
                    grown = self.grown.changed() => grown.is_ok(),
                    () = self.kernel.ended() => false,
                };
                if !has_grown {
                    return Ok(None);
                }
            }
            // Whoever stops waiting here reads it the next time.
            self.may_have_grown = true;
            let until = *self.grown.borrow_and_update();
            let Some(kernel) = self.kernel.upgrade() else { return Ok(None) };
            let (snapshot, filter, after) = (kernel.shared().snapshot(), self.filter.clone(), self.after);
            drop(kernel);
            if snapshot.is_closed() {
                // It has stopped, or opens its store again and tells then that it goes on.
                self.may_have_grown = false;
                continue;
            }
            let part = crate::beside::wait_for(move || read(&snapshot, after, Some(until), &filter)).await;
            let part = part.map_err(|_| Error::fault("reading the event log panicked"))??;
            (self.after, self.may_have_grown) = (part.after, !part.is_last);
            return Ok(Some(part.entries));
        }
    }
}
