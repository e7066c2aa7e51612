//! Finding objects by what they are: a page at a time, from a snapshot, beside the engine. ADR 0018.
//!
//! A page costs a bounded time, however much is here. It is made by looking at all objects in the order of their keys, or
//! only at those that an [`Index`] names; which of the two changes nothing but speed, since each object is looked at in the
//! snapshot before it is told.

mod answer;
mod index;
mod seal;
#[cfg(test)]
mod tests;

use std::ops::ControlFlow;

use once_model::find::{Finding, Question};
use once_model::ids::ObjectKey;
use once_model::limits::{FIND_LOOKS_MAX_BYTES, FIND_LOOKS_MAX_OBJECTS};
use once_model::scenario::Scenario;

use crate::access::Reader;
use crate::object::{self, HeadRow};
use crate::store::{Read, StoreError};

pub use answer::answer;
use index::scenario;
pub use index::{Entry, Index, name_of};

/// What may be looked at for one page.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    /// How many objects were looked at.
    pub objects: usize,
    /// Bytes of scenarios, and one scenario more.
    pub bytes: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Self { objects: FIND_LOOKS_MAX_OBJECTS, bytes: FIND_LOOKS_MAX_BYTES }
    }
}

/// Who asks for what.
pub struct Ask<'a> {
    /// What the asking peer may be told; nobody for clients of this kernel, who are told everything.
    pub reader: Option<&'a Reader>,
    /// Which objects are wanted.
    pub question: &'a Question,
    /// Behind which object to begin.
    pub after: Option<ObjectKey>,
    /// How much may be looked at.
    pub budget: Budget,
}

/// One page of what was found, and where the next one begins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// What was found, in the order of keys.
    pub objects: Vec<Finding>,
    /// Behind which object the next page begins; `None` if all were looked at.
    pub next: Option<ObjectKey>,
}

/// Looks for objects. What was removed is not found; a row that is damaged is passed over.
///
/// # Errors
/// When the store cannot be read.
pub fn page(rows: &dyn Read, index: Option<&Index>, ask: &Ask<'_>) -> Result<Page, StoreError> {
    let mut look = Look { rows, ask, page: Page::default(), looked: 0, bytes: 0, last: ask.after };
    match index {
        // Else all are looked at: one scan costs less than each by itself.
        Some(index) if ask.question.narrows() => look.at_indexed(index)?,
        index => look.at_all(index)?,
    }
    Ok(look.page)
}

/// A page in the making.
struct Look<'a> {
    rows: &'a dyn Read,
    ask: &'a Ask<'a>,
    page: Page,
    looked: usize,
    bytes: u64,
    last: Option<ObjectKey>,
}

impl Look<'_> {
    fn at_all(&mut self, index: Option<&Index>) -> Result<(), StoreError> {
        let (rows, after) = (self.rows, self.ask.after);
        let mut failed = None;
        object::heads_after(rows, after.as_ref(), &mut |head| {
            let key = head.header.key();
            if self.ends_before(&key) {
                return ControlFlow::Break(());
            }
            match self.at(&head, index.and_then(|index| index.get(&key))) {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            }
        })?;
        failed.map_or(Ok(()), Err)
    }

    fn at_indexed(&mut self, index: &Index) -> Result<(), StoreError> {
        let question = self.ask.question;
        for (key, entry) in index.after(self.ask.after.as_ref()) {
            if !question.fits_head(entry.component(), entry.home(), entry.changed_ms()) {
                continue;
            }
            if self.ends_before(key) {
                break;
            }
            self.bytes = self.bytes.saturating_add(question.cost_bytes(entry.name()));
            if !question.fits_name(entry.name()) {
                continue;
            }
            match object::head(self.rows, key) {
                Ok(Some(head)) => self.at(&head, Some(entry))?,
                // It has gone since, or costs only itself.
                Ok(None) | Err(StoreError::Damaged { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Whether the page ends before this object: then the next one begins behind the last that was looked at. At least one is.
    fn ends_before(&mut self, key: &ObjectKey) -> bool {
        let budget = self.ask.budget;
        let is_spent = self.page.objects.len() >= self.ask.question.most()
            || self.looked >= budget.objects
            || self.bytes >= budget.bytes;
        let ends = is_spent && self.last != self.ask.after;
        if ends {
            self.page.next = if mutant!(FindSkipsObject) { Some(*key) } else { self.last };
        }
        self.last = Some(*key);
        ends
    }

    /// Looks at one object.
    fn at(&mut self, head: &HeadRow, entry: Option<&Entry>) -> Result<(), StoreError> {
        let (header, question) = (&head.header, self.ask.question);
        self.looked += 1;
        if header.tombstone || !question.fits_head(&header.component, head.home, head.stored_ms) {
            return Ok(());
        }
        if let Some(reader) = self.ask.reader {
            // What its bytes are is told to who may read them.
            let mut by_content = question.asks_content();
            if mutant!(FindContentWithoutRead) {
                by_content = false;
            }
            let may = match by_content {
                true => reader.may_read(self.rows, head)?,
                false => reader.may_find(self.rows, head)?,
            };
            if !may {
                return Ok(());
            }
        }
        let known = entry.filter(|entry| entry.is_of(header));
        let name = match known.filter(|_| !question.asks_content()) {
            Some(entry) => entry.name().map(str::to_owned),
            None => {
                let Some(scenario) = self.scenario(head)? else { return Ok(()) };
                if !question.fits_content(scenario.as_str()) {
                    return Ok(());
                }
                scenario.name().map(str::to_owned)
            }
        };
        if known.is_none() {
            self.bytes = self.bytes.saturating_add(question.cost_bytes(name.as_deref()));
        }
        if question.fits_name(name.as_deref()) {
            self.page.objects.push(finding(head, name));
        }
        Ok(())
    }

    /// The scenario of an object, unless its bytes are damaged.
    fn scenario(&mut self, head: &HeadRow) -> Result<Option<Scenario>, StoreError> {
        self.bytes = self.bytes.saturating_add(head.header.size);
        scenario(self.rows, head)
    }
}

fn finding(head: &HeadRow, name: Option<String>) -> Finding {
    let header = &head.header;
    Finding {
        key: header.key(),
        component: header.component.clone(),
        version: header.version.clone(),
        name,
        home: head.home,
        epoch: header.epoch,
        revision: header.revision,
        size: header.size,
        changed_ms: head.stored_ms,
    }
}
