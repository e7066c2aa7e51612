//! Writing the edited text: the old one, with other bytes where the edit says so.

use std::borrow::Cow;

use super::super::Kind;
use super::super::error::{Fault, JsonError};
use super::EditError;
use super::layout::{Holder, Layout, next_start, previous_end};
use super::outline::{Member, Value};
use crate::limits::{JSON_MAX_NODES, SCENARIO_MAX_BYTES};

/// The result so far. Recursion is as deep as the texts are nested, which the scanner limits.
pub(super) struct Out<'a> {
    text: String,
    /// How many values the result will have, if nothing more is changed.
    pub(super) nodes: usize,
    old: Cut<'a>,
    /// The text that new values are taken from.
    new: &'a str,
}

/// A text, and up to where it has been copied or left out.
#[derive(Clone, Copy)]
struct Cut<'a> {
    text: &'a str,
    at: usize,
}

impl Cut<'_> {
    fn copy_to(&mut self, end: usize, out: &mut String) -> Result<(), EditError> {
        if end > self.at {
            push(out, self.text.get(self.at..end).unwrap_or_default())?;
            self.at = end;
        }
        Ok(())
    }

    fn skip_to(&mut self, end: usize) {
        self.at = self.at.max(end);
    }

    /// Leaves out some members of an object, but not all. They come in the order of the text; what stands between them
    /// may be copied and left out in the meantime.
    fn remove(&mut self, member: &Member<'_>, out: &mut String) -> Result<(), EditError> {
        let before = previous_end(self.text, member.key.start);
        if before == member.key.start || before < self.at {
            // The first one, or the first one now. The white space before it is for the one that comes after it.
            self.copy_to(member.key.start, out)?;
            self.skip_to(next_start(self.text, member.value.span.end));
        } else {
            self.copy_to(before, out)?;
            self.skip_to(member.value.span.end);
        }
        Ok(())
    }
}

/// Adds to the result, as long as it is small enough.
fn push(out: &mut String, part: &str) -> Result<(), EditError> {
    let length = out.len() + part.len();
    if length > SCENARIO_MAX_BYTES {
        return Err(EditError::result(JsonError::too_large(length)));
    }
    out.push_str(part);
    Ok(())
}

/// A member that is added.
pub(super) struct New<'n> {
    /// In quotes; empty in arrays.
    pub(super) key: Cow<'n, str>,
    pub(super) source: Source<'n>,
}

/// A value of the new text.
pub(super) enum Source<'n> {
    /// As it is.
    Verbatim(&'n Value<'n>),
    /// If it is an object: without what it would remove.
    Patch(&'n Value<'n>),
}

/// What becomes of a member of the old text.
enum Verdict<'n> {
    Keep,
    Remove,
    Merge(&'n Value<'n>),
}

impl<'a> Out<'a> {
    pub(super) fn new(mark: &str, old: &'a str, nodes: usize, new: &'a str) -> Self {
        let mut text = String::with_capacity((old.len() + new.len()).min(SCENARIO_MAX_BYTES));
        text.push_str(mark);
        Self { text, nodes, old: Cut { text: old, at: 0 }, new }
    }

    /// Copies what is left of the old text.
    pub(super) fn finish(mut self) -> Result<String, EditError> {
        if self.nodes > JSON_MAX_NODES {
            let fault = JsonError::found(&self.text, 0, String::new(), Fault::TooManyNodes);
            return Err(EditError::result(fault));
        }
        self.old.copy_to(self.old.text.len(), &mut self.text)?;
        Ok(self.text)
    }

    /// Merges a value of the patch into a value of the old text.
    pub(super) fn merge(
        &mut self,
        old: &Value<'_>,
        patch: &Value<'_>,
        holder: Option<&Holder>,
    ) -> Result<(), EditError> {
        let (Some(inside), Some(changes)) = (old.object(), patch.object()) else {
            return self.put_at(old, &Source::Patch(patch));
        };
        let mut last = vec![None; changes.members.len()];
        for (nth, member) in inside.members.iter().enumerate() {
            if let Some(last) = last.get_mut(member.tag) {
                *last = Some(nth);
            }
        }
        let verdict = |nth: usize, member: &Member<'_>| match changes.members.get(member.tag) {
            Some(change) if change.value.kind == Kind::Null => Verdict::Remove,
            Some(change) if last.get(member.tag) == Some(&Some(nth)) => Verdict::Merge(&change.value),
            _ => Verdict::Keep,
        };
        let members = || inside.members.iter().enumerate();
        let removed = members().filter(|(nth, member)| matches!(verdict(*nth, member), Verdict::Remove));
        let empties = inside.count > 0 && removed.count() == inside.count;
        for (nth, member) in members() {
            match verdict(nth, member) {
                Verdict::Keep => {}
                Verdict::Merge(change) => {
                    self.merge(&member.value, change, Some(&Holder::new(old, member)))?;
                }
                Verdict::Remove => {
                    self.nodes = self.nodes.saturating_sub(member.value.nodes);
                    if !empties {
                        self.old.remove(member, &mut self.text)?;
                    }
                }
            }
        }
        let mut added = changes.members.iter().zip(&last).filter_map(|(change, last)| {
            let new = last.is_none() && !change.shadowed && change.value.kind != Kind::Null;
            let key = self.new.get(change.key.clone()).unwrap_or_default().into();
            new.then_some(New { key, source: Source::Patch(&change.value) })
        });
        match added.next() {
            Some(first) => self.add(old, holder, std::iter::once(first).chain(added), empties),
            None if empties => {
                self.old.copy_to(old.span.start + 1, &mut self.text)?;
                self.old.skip_to(old.span.end.saturating_sub(1));
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Adds members after the last one of an array or object; if it `empties`, in place of all that it had.
    pub(super) fn add<'n>(
        &mut self,
        to: &Value<'_>,
        holder: Option<&Holder>,
        members: impl Iterator<Item = New<'n>>,
        empties: bool,
    ) -> Result<(), EditError> {
        let layout = Layout::of(self.old.text, to, holder);
        let inside = to.inside.as_deref();
        let mut first = true;
        match inside.and_then(|inside| inside.last.as_ref()) {
            None => {
                self.old.copy_to(to.span.start + 1, &mut self.text)?;
                push(&mut self.text, &layout.lead)?;
            }
            Some(last) if empties => {
                let start =
                    inside.and_then(|inside| inside.members.first()).map_or(0, |first| first.key.start);
                self.old.copy_to(start, &mut self.text)?;
                self.old.skip_to(last.value.end);
            }
            Some(last) => {
                self.old.copy_to(last.value.end, &mut self.text)?;
                first = false;
            }
        }
        for New { key, source } in members {
            if !std::mem::take(&mut first) {
                push(&mut self.text, &layout.between)?;
            }
            if !key.is_empty() {
                push(&mut self.text, &key)?;
                push(&mut self.text, layout.colon)?;
            }
            self.put(&source)?;
        }
        push(&mut self.text, &layout.tail)
    }

    /// Puts a new value in the place of an old one.
    pub(super) fn put_at(&mut self, old: &Value<'_>, source: &Source<'_>) -> Result<(), EditError> {
        self.nodes = self.nodes.saturating_sub(old.nodes);
        self.old.copy_to(old.span.start, &mut self.text)?;
        self.put(source)?;
        self.old.skip_to(old.span.end);
        Ok(())
    }

    fn put(&mut self, source: &Source<'_>) -> Result<(), EditError> {
        let (Source::Verbatim(value) | Source::Patch(value)) = source;
        self.nodes += value.nodes;
        let mut new = Cut { text: self.new, at: value.span.start };
        if let Source::Patch(value) = source {
            self.strip(&mut new, value)?;
        }
        new.copy_to(value.span.end, &mut self.text)
    }

    /// Copies an object of the patch, as far as it has to be looked at, without the members that are null or hidden.
    fn strip(&mut self, new: &mut Cut<'_>, value: &Value<'_>) -> Result<(), EditError> {
        let Some(inside) = value.object() else { return Ok(()) };
        let goes = |member: &&Member<'_>| member.shadowed || member.value.kind == Kind::Null;
        let empties = inside.count > 0 && inside.members.iter().filter(goes).count() == inside.count;
        if empties {
            new.copy_to(value.span.start + 1, &mut self.text)?;
            new.skip_to(value.span.end.saturating_sub(1));
        }
        for member in &inside.members {
            if goes(&member) {
                self.nodes = self.nodes.saturating_sub(member.value.nodes);
                if !empties {
                    new.remove(member, &mut self.text)?;
                }
            } else {
                self.strip(new, &member.value)?;
            }
        }
        Ok(())
    }
}
