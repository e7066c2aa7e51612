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
    let like_uuid = (UUID_QUOTED..=UUID_QUOTED_MAX).contains(&quoted.len())
        && (quoted.as_bytes().get(9) == Some(&b'-') || quoted.contains('\\'));
    (like_ior || like_uuid).then(|| decode(quoted))
}

/// `references` of a legacy scenario or `unit.references`.
fn is_declared(trail: &Trail<'_>) -> bool {
    let list = if trail.key(0).as_deref() == Some("unit") { trail.key(1) } else { trail.key(0) };
    list.as_deref() == Some("references")
}

/// Whether the field says which object this is, in any of the formats: these differ in 427 of 41,846 files.
fn states_identity(trail: &Trail<'_>) -> bool {
    let (section, field) = (trail.key(0), trail.key(1));
    match trail.depth() {
        1 => section.as_deref() == Some("uuid"),
        2 => {
            let named = |key: &str| ["ior", "IOR", "model", "state", "unit", "unitIndex"].contains(&key);
            section.as_deref().is_some_and(named) && field.as_deref() == Some("uuid")
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "0012bda9-f833-4909-a891-a75b183be4c8";
    const OTHER: &str = "b9e3f01e-248f-4fc6-941d-6d86c0400000";

    fn found(json: String) -> Vec<(String, Place, String)> {
        let found = references(&Scenario::parse(json).unwrap());
        assert!(!found.truncated);
        found.items.into_iter().map(|found| (found.target.to_string(), found.place, found.path)).collect()
    }

    #[test]
    fn finds_texts_and_uuids_in_order_and_each_target_once() {
        let json = format!(
            r#"{{"ior":{{"uuid":"{OWN}"}},"model":{{"peer":"{OTHER}","a b":["ior:unit:{OTHER}",{{"x":"{OTHER}"}}],
                "file":"ior:local:file:\/\/x","note":"see ior:esm:/A/1/B","k":"web4://h/once?uuid={OTHER}"}}}}"#
        );
        assert_eq!(
            found(json),
            [
                (OTHER.into(), Place::Uuid, "model.peer".into()),
                (format!("ior:unit:{OTHER}"), Place::IorString, r#"model["a b"][0]"#.into()),
                ("ior:local:file://x".into(), Place::IorString, "model.file".into()),
                (format!("web4://h/once?uuid={OTHER}"), Place::IorString, "model.k".into()),
            ]
        );
    }

    #[test]
    fn declared_references_are_marked() {
        let legacy = format!(
            r#"{{"uuid":"{OWN}","objectType":"T","state":{{}},
                "references":[{{"name":"n","ior":"ior:unit:{OTHER}","type":"t"}},{{"ior":{{"uuid":"{OTHER}"}}}}]}}"#
        );
        let unit =
            format!(r#"{{"ior":{{}},"model":{{"uuid":"{OWN}"}},"unit":{{"references":["{OTHER}"]}}}}"#);
        assert_eq!(
            found(legacy),
            [
                (format!("ior:unit:{OTHER}"), Place::Declared, "references[0].ior".into()),
                (OTHER.into(), Place::Declared, "references[1].ior.uuid".into()),
            ]
        );
        assert_eq!(found(unit), [(OTHER.into(), Place::Declared, "unit.references[0]".into())]);
    }

    #[test]
    fn the_object_itself_is_no_reference_but_another_of_its_uuid_is() {
        let lineage = "ab".repeat(32);
        let json = format!(
            r#"{{"ior":{{"uuid":"{OWN}","iorString":"ior:https://h:1/C/1/{OWN}"}},
                "model":{{"uuid":"{OTHER}","self":"{}","twin":"ior:once://-/C/1/{OWN}?lineage={lineage}"}},
                "unitIndex":{{"uuid":"{OTHER}"}}}}"#,
            OWN.to_uppercase()
        );
        let twin = format!("ior:once://-/C/1/{OWN}?lineage={lineage}");
        assert_eq!(found(json), [(twin, Place::IorString, "model.twin".into())]);
    }

    #[test]
    fn escaped_references_are_decoded() {
        let json =
            format!(r#"{{"a":"\u0069or:unit:{OTHER}","b":"{}","c":""}}"#, OTHER.replace('-', "\\u002d"));
        assert_eq!(
            found(json),
            [
                (format!("ior:unit:{OTHER}"), Place::IorString, "a".into()),
                (OTHER.into(), Place::Uuid, "b".into()),
            ]
        );
    }

    #[test]
    fn many_references_are_cut_off_and_long_paths_shortened() {
        let list: Vec<_> = (0..=REFERENCES_MAX).map(|n| format!("\"ior:esm:/A/1/{n}\"")).collect();
        let key = "k".repeat(10_000);
        let all = references(&Scenario::parse(format!(r#"{{"{key}":[{}]}}"#, list.join(","))).unwrap());
        assert_eq!(all.items.len(), REFERENCES_MAX);
        assert!(all.truncated);
        assert!(all.items[0].path.len() < 600);
        let fit = references(&Scenario::parse(format!(r#"{{"k":[{}]}}"#, list[1..].join(","))).unwrap());
        assert_eq!((fit.items.len(), fit.truncated), (REFERENCES_MAX, false));
    }

    /// Paths and sections are looked up at each reference; if a long key counted there, this would take hours.
    #[test]
    fn a_long_key_costs_once() {
        let key = "k".repeat(4 << 20);
        let list = vec![format!("\"{OTHER}\""); 100_000].join(",");
        let all = references(&Scenario::parse(format!(r#"{{"{key}":{{"{key}":[{list}]}}}}"#)).unwrap());
        assert_eq!(all.items.len(), 1);
    }
}
