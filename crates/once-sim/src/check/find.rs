//! What is found: of a kernel's objects exactly those that the asker may find and that fit, with what is there; and over all
//! pages each object that stood still.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use once_core::object::{self, HeadRow};
use once_model::find::{Finding, Question};
use once_model::ids::{Hash, KernelId, ObjectKey};
use once_model::scenario::Scenario;

use super::Checker;
use crate::disk::Disk;

/// What must be found: the objects that may be found and fit, with the revision that each has.
pub(crate) type Due = BTreeMap<ObjectKey, Hash>;

impl Checker {
    /// What a peer must be told of that asks this now.
    pub fn findable(
        &self,
        kernel: &KernelId,
        peer: &KernelId,
        question: &Question,
        disk: &Disk,
        now_ms: u64,
    ) -> Due {
        let mut due = Due::new();
        let Some(shadow) = self.shadows.get(kernel) else { return due };
        let read = object::heads(disk, &mut |head| {
            let by_content = question.text.is_some() || !question.conditions.is_empty();
            let may = match by_content {
                true => shadow.rights.may_read(peer, &head, now_ms),
                false => shadow.rights.may_find(peer, &head, now_ms),
            };
            if may && !head.header.tombstone && fits(question, &head, disk) {
                due.insert(head.header.key(), head.header.id());
            }
            ControlFlow::Continue(())
        });
        if read.is_err() { Due::new() } else { due }
    }

    /// A peer was told of these objects: all of them are due, and as they are.
    pub fn found(&self, due: &Due, found: &[Finding], disk: &Disk) -> Result<(), String> {
        for said in found {
            if !due.contains_key(&said.key) {
                return Err(format!(
                    "tells of {}, which the asker may not find, or did not ask for",
                    said.key
                ));
            }
            let head = object::head(disk, &said.key).ok().flatten().ok_or("tells of what is not there")?;
            let header = &head.header;
            let is_so = (said.component.as_str(), said.version.as_str(), said.home, said.changed_ms)
                == (header.component.as_str(), header.version.as_str(), head.home, head.stored_ms)
                && (said.epoch, said.revision, said.size) == (header.epoch, header.revision, header.size)
                && said.name == name(&head, disk);
            if !is_so {
                return Err(format!("tells of {} what is not so", said.key));
            }
        }
        Ok(())
    }

    /// A search has ended: what was due at each of its pages, unchanged, was told.
    pub fn searched(&self, still: &Due, told: &BTreeSet<ObjectKey>) -> Result<(), String> {
        match still.keys().find(|key| !told.contains(key)) {
            Some(key) => Err(format!("never tells of {key}, which stood still all the time")),
            None => Ok(()),
        }
    }
}

fn scenario(head: &HeadRow, disk: &Disk) -> Option<Scenario> {
    object::body(disk, &head.header).ok().flatten().and_then(|body| Scenario::parse(body).ok())
}

fn name(head: &HeadRow, disk: &Disk) -> Option<String> {
    scenario(head, disk)?.name().map(str::to_owned)
}

/// Written without the engine's: it reads each scenario, and tries a glob at every place.
fn fits(question: &Question, head: &HeadRow, disk: &Disk) -> bool {
    let Some(scenario) = scenario(head, disk) else { return false };
    let has_text =
        |text: &String| scenario.as_str().to_ascii_lowercase().contains(&text.to_ascii_lowercase());
    question.component.as_ref().is_none_or(|component| *component == head.header.component)
        && question.home.is_none_or(|home| Some(home) == head.home)
        && question.changed_since_ms.is_none_or(|since| head.stored_ms >= since)
        && question.name.as_ref().is_none_or(|glob| {
            scenario.name().is_some_and(|name| glob_fits(glob.as_bytes(), name.as_bytes()))
        })
        && question.text.as_ref().is_none_or(has_text)
        && question.conditions.iter().all(|condition| {
            let found = once_model::json::get(scenario.as_str(), &condition.pointer).ok().flatten();
            found.is_some_and(|found| found.as_bytes() == &condition.value[..])
        })
}

fn glob_fits(glob: &[u8], name: &[u8]) -> bool {
    match (glob, name) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => {
            glob_fits(rest, name) || name.split_first().is_some_and(|(_, less)| glob_fits(glob, less))
        }
        ([wanted, rest @ ..], [byte, less @ ..]) => {
            (*wanted == b'?' || wanted.eq_ignore_ascii_case(byte)) && glob_fits(rest, less)
        }
        _ => false,
    }
}
