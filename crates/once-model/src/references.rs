//! Finding what a scenario refers to.
//!
//! References stand in declared places (`references` of a legacy scenario, `unit.references`), and as IOR texts or bare
//! UUIDs anywhere else. They may form cycles: whoever follows them must remember where it has been.

use std::borrow::Cow;
use std::collections::BTreeSet;

use uuid::Uuid;
use uuid::fmt::Hyphenated;

use crate::ior::{Ior, bare_uuid};
use crate::json::{Kind, Span, Trail, Visitor, decode, scan};
use crate::limits::{IOR_MAX_BYTES, REFERENCES_MAX};
use crate::scenario::Scenario;

/// Where in a scenario a reference stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Place {
    /// Among the declared references.
    Declared,
    /// An IOR text anywhere else.
    IorString,
    /// A bare UUID anywhere else.
    Uuid,
}

/// A reference to another object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The object that is meant.
    pub target: Ior,
    /// Where it stands.
    pub place: Place,
    /// The path to it, like `model.items[3].ior`; cut off if very long.
    pub path: String,
}

/// What a scenario refers to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct References {
    /// Each target once, where it stands first, in the order of the document.
    pub items: Vec<Reference>,
    /// There were more than [`REFERENCES_MAX`]; the rest was left out.
    pub truncated: bool,
}

/// Everything that a scenario refers to, but not the object itself.
///
/// ```
/// use once_model::{references::{Place, references}, scenario::Scenario};
///
/// let scenario = Scenario::parse(&br#"{"ior":{"uuid":"0012bda9-f833-4909-a891-a75b183be4c8"},
///     "model":{"items":[{"type":"ior:esm:/ONCE/0.3.22.2/File"}]}}"#[..])?;
/// let found = references(&scenario);
/// assert_eq!(found.items[0].target.as_str(), "ior:esm:/ONCE/0.3.22.2/File");
/// assert_eq!(found.items[0].place, Place::IorString);
/// assert_eq!(found.items[0].path, "model.items[0].type");
/// # Ok::<(), once_model::scenario::ScenarioError>(())
/// ```
#[must_use]
pub fn references(scenario: &Scenario) -> References {
    let mut finder = Finder { own: scenario.uuid(), seen: BTreeSet::new(), found: References::default() };
    // A scenario was scanned when it was parsed, so this cannot fail; if it did, what was found still holds.
    let _ = scan(scenario.as_str(), &mut finder);
    finder.found
}

struct Finder {
    own: Uuid,
    seen: BTreeSet<Ior>,
    found: References,
}

impl Visitor for Finder {
    fn value(&mut self, trail: &Trail<'_>, kind: Kind, span: Span) {
        if kind != Kind::Text || self.found.truncated {
            return;
        }
        let Some(text) = candidate(trail.text(span)) else { return };
        let Ok(target) = Ior::parse(&text) else { return };
        if self.is_own(trail, &target) || self.seen.contains(&target) {
            return;
        }
        if self.found.items.len() == REFERENCES_MAX {
            self.found.truncated = true;
            return;
        }
        let place = match bare_uuid(&text) {
            _ if is_declared(trail) => Place::Declared,
            Some(_) => Place::Uuid,
            None => Place::IorString,
        };
        self.seen.insert(target.clone());
        self.found.items.push(Reference { target, place, path: trail.path() });
    }
}

impl Finder {
    /// The object's own UUID, or a field that states it. An IOR with a lineage may mean another object of that UUID.
    fn is_own(&self, trail: &Trail<'_>, target: &Ior) -> bool {
        if bare_uuid(target.as_str()).is_some() && states_identity(trail) {
            return true;
        }
        target.uuid() == Some(self.own) && target.lineage().is_none()
    }
}

/// The text, if it looks like a reference. Nearly all texts are none, so this looks before it decodes.
fn candidate(quoted: &str) -> Option<Cow<'_, str>> {
    const ESCAPED_MAX: usize = 6; // a character as \u0000
    const QUOTES: usize = 2;
    const UUID_QUOTED: usize = Hyphenated::LENGTH + QUOTES;
    const UUID_QUOTED_MAX: usize = Hyphenated::LENGTH * ESCAPED_MAX + QUOTES;
    if quoted.len() > IOR_MAX_BYTES * ESCAPED_MAX + QUOTES {
        return None;
    }
    let like_ior = matches!(quoted.as_bytes(), [_, b'i' | b'I' | b'w' | b'W' | b'\\', ..]);
    let like_uuid = match quoted.len() {
        UUID_QUOTED => quoted.as_bytes().get(9) == Some(&b'-') || quoted.contains('\\'),
        UUID_QUOTED..=UUID_QUOTED_MAX => quoted.contains('\\'),
        _ => false,
    };
    (like_ior || like_uuid).then(|| decode(quoted))
}

/// `references` of a legacy scenario or `unit.references`.
fn is_declared(trail: &Trail<'_>) -> bool {
    let list = if trail.key(0).as_deref() == Some("unit") { trail.key(1) } else { trail.key(0) };
    list.as_deref() == Some("references")
}

/// Whether the field says which object this is, in any of the formats: these differ in 427 of 41,846 files.
fn states_identity(trail: &Trail<'_>) -> bool {
    let section = trail.key(0);
    match (trail.depth(), section.as_deref(), trail.key(1).as_deref()) {
        (1, Some("uuid"), _) => true,
        (2, Some("ior" | "IOR" | "model" | "state" | "unit" | "unitIndex"), Some("uuid")) => true,
        _ => false,
    }
}
