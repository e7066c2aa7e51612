//! The coordinations of a kernel: listing them, waiting for one, and which of them need somebody's attention.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use once_core::find::Index;
use once_core::object::{self, HeadRow};
use once_core::store::Read;
use once_core::waist::Event;
use once_model::ids::ObjectKey;
use once_model::limits::FIND_LOOKS_MAX_OBJECTS;

use crate::component::coordination::NAME;
use crate::coordinate::{is_own, read};
use crate::error::OrError;
use crate::events::{Entry, Filter};
use crate::surface::awaited;
use crate::{Coordination, Error, ErrorKind, EventCursor, Kernel, RunState};

/// Coordinations in one page, unless somebody wants fewer or more.
const PAGE: usize = 100;
const PAGE_MAX: usize = 1000;

/// Coordinations whose scenarios are read for one page: each may have some MiB.
const READ_MAX: usize = 1000;

/// A page of the coordinations that a kernel carries out.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct CoordinationsPage {
    /// The coordinations, in the order of their keys.
    pub coordinations: Vec<Coordination>,
    /// Behind which key the next page begins; nothing if all were looked at. A page may be empty, and not the last.
    pub next: Option<ObjectKey>,
}

/// Builder of a listing of coordinations. Awaiting it returns a page.
#[must_use]
pub struct Coordinations {
    kernel: Kernel,
    state: Option<RunState>,
    after: Option<ObjectKey>,
    limit: usize,
}

impl Coordinations {
    /// Only those in this state.
    pub fn state(mut self, state: RunState) -> Self {
        self.state = Some(state);
        self
    }

    /// Begins behind this key: [`CoordinationsPage::next`] of the page before.
    pub fn after(mut self, key: ObjectKey) -> Self {
        self.after = Some(key);
        self
    }

    /// At most so many in this page (100; at most 1,000).
    pub fn limit(mut self, coordinations: usize) -> Self {
        self.limit = coordinations.clamp(1, PAGE_MAX);
        self
    }

    async fn run(self) -> Result<CoordinationsPage, Error> {
        let kernel = self.kernel.clone();
        let shared = Arc::clone(kernel.shared());
        let looked = crate::beside::wait_for(move || {
            shared.catalog.look(|| shared.snapshot(), |rows, index| self.page(rows, index))
        });
        looked.await.map_err(|_| kernel.shared().gone())?
    }

    fn page(&self, rows: &dyn Read, index: Option<&Index>) -> Result<CoordinationsPage, Error> {
        let mut look =
            Look { wanted: self, rows, found: Vec::new(), looked: 0, read: 0, last: None, next: None };
        let Some(index) = index else {
            let mut failed = None;
            object::heads_after(rows, self.after.as_ref(), &mut |row| match look.at(row) {
                Ok(going_on) => going_on,
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            })
            .or_error()?;
            return failed.map_or_else(|| Ok(look.end()), Err);
        };
        for (key, _) in index.after(self.after.as_ref()).filter(|(_, entry)| entry.component() == NAME) {
            let Some(row) = object::head(rows, key).or_error()? else { continue };
            if look.at(row)?.is_break() {
                break;
            }
        }
        Ok(look.end())
    }
}

/// A page in the making.
struct Look<'a> {
    wanted: &'a Coordinations,
    rows: &'a dyn Read,
    found: Vec<Coordination>,
    looked: usize,
    read: usize,
    last: Option<ObjectKey>,
    next: Option<ObjectKey>,
}

impl Look<'_> {
    fn at(&mut self, row: HeadRow) -> Result<ControlFlow<()>, Error> {
        let is_full = self.found.len() >= self.wanted.limit || self.read >= READ_MAX;
        if is_full || self.looked >= FIND_LOOKS_MAX_OBJECTS {
            self.next = self.last;
            return Ok(ControlFlow::Break(()));
        }
        self.looked += 1;
        self.last = Some(row.header.key());
        let kernel = &self.wanted.kernel;
        if !is_own(kernel, &row) {
            return Ok(ControlFlow::Continue(()));
        }
        self.read += 1;
        // One that was changed by hand, or cannot be read, stands nowhere: `once doctor` names what is damaged.
        let coordinated = read(kernel, self.rows, row, None).ok().flatten();
        let fits = |found: &Coordination| self.wanted.state.is_none_or(|state| found.standing.state == state);
        self.found.extend(coordinated.filter(fits));
        Ok(ControlFlow::Continue(()))
    }

    fn end(self) -> CoordinationsPage {
        CoordinationsPage { coordinations: self.found, next: self.next }
    }
}

awaited! {
    Coordinations => CoordinationsPage;
}

impl Kernel {
    /// Lists the coordinations that this kernel carries out, or has carried out, as long as they were not removed.
    ///
    /// ```no_run
    /// # async fn f(kernel: once::Kernel) -> Result<(), once::Error> {
    /// for doubtful in kernel.coordinations().state(once::RunState::InDoubt).await?.coordinations {
    ///     println!("{} needs attention", doubtful.id);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn coordinations(&self) -> Coordinations {
        Coordinations { kernel: self.clone(), state: None, after: None, limit: PAGE }
    }

    /// The coordinations of this kernel that need manual attention, as far as `looked_at_max` objects show them.
    pub(crate) fn in_doubt(&self, looked_at_max: usize) -> Result<Vec<Coordination>, Error> {
        let snapshot = self.shared().snapshot();
        let (mut found, mut looked) = (Vec::new(), 0);
        object::heads(&snapshot, &mut |row| {
            looked += 1;
            if is_own(self, &row) {
                found.push(row);
            }
            if looked < looked_at_max { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })
        .or_error()?;
        doubtful(self, &snapshot, found)
    }

    /// Waits for a coordination's end, telling each time something has changed. `begins`: a place in the events before it was
    /// looked at.
    pub(crate) async fn await_end(
        &self,
        mut now: Coordination,
        begins: &EventCursor,
        timeout: Option<Duration>,
        tell: &impl Fn(&Coordination),
    ) -> Result<Coordination, Error> {
        let (id, key) = (now.id, now.object.key());
        let newest = || {
            let gone =
                || Error::not_found(format!("the coordination {id} was removed while it was waited for"));
            let object = self.get(key)?.filter(|object| !object.is_tombstone()).ok_or_else(gone)?;
            self.coordination_at(object)
        };
        let mut events = begins.reader(self, Filter::object(key));
        let ended = async {
            loop {
                tell(&now);
                if now.standing.state.is_over() {
                    return Ok(now);
                }
                // Whatever was missed, the newest standing is on the disk.
                while let Entry::Event(logged) = events.next().await?.ok_or_else(Error::stopping)? {
                    if matches!(logged.event, Event::Changed { .. }) {
                        break;
                    }
                }
                now = newest()?;
            }
        };
        let Some(timeout) = timeout else { return ended.await };
        match tokio::time::timeout(timeout, ended).await {
            Ok(ended) => ended,
            Err(_) => {
                let steps = newest()?.standing.steps;
                let waits: Vec<_> = steps.iter().filter(|step| step.state.is_awaited()).collect();
                let names = waits.iter().map(|step| step.name.as_str()).collect::<Vec<_>>().join(", ");
                let names = if names.is_empty() { "its turn" } else { &names };
                Err(Error::timeout(format!("the coordination {id} has not ended yet: it waits for {names}"))
                    .with_hint("it goes on; `once coordination ID --watch` waits again"))
            }
        }
    }
}

/// Those of some coordinations that need manual attention.
pub(crate) fn doubtful(
    kernel: &Kernel,
    rows: &dyn Read,
    coordinations: Vec<HeadRow>,
) -> Result<Vec<Coordination>, Error> {
    let mut found = Vec::new();
    for row in coordinations {
        // One that was changed by hand stands nowhere.
        match read(kernel, rows, row, None) {
            Ok(one) => found.extend(one.filter(|one| one.standing.state == RunState::InDoubt)),
            Err(error) if error.kind() == ErrorKind::Invalid => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}
