//! The scenarios that must be on the other side in the end, and the check that they are.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use once::api::contract::Get;
use once::model::ids::{Hash, Uuid};
use once::model::scenario::{Identity, Scenario};

use super::change;
use super::node::Node;
use crate::failure::{Done, Failure, plain};
use crate::scenarios::{self, Imported, Summary};
use crate::ui;

/// How many of the missing are named.
const NAMED_MAX: usize = 5;

/// A file with a scenario.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Where it lies: it is read again for every check.
    pub path: PathBuf,
    /// Of its scenario.
    pub uuid: Uuid,
    /// Of its bytes when it was imported.
    pub hash: Hash,
    /// What the object is called at the kernels now.
    pub key: String,
    /// How often the object was changed since: 0 is the file as it is.
    pub edition: u64,
    /// Whether it can be changed without becoming another object.
    pub can_change: bool,
}

/// The files of the folder.
#[derive(Debug, Default)]
pub struct Folder {
    /// Each file with a scenario.
    pub entries: Vec<Entry>,
}

/// What a check found.
#[derive(Debug, Default)]
pub struct Check {
    /// Byte for byte.
    pub equal: u64,
    /// Not, or not there.
    pub lost: u64,
    /// The first of them, and why.
    pub named: Vec<String>,
}

impl Folder {
    /// Imports the folder into a kernel, and remembers what it must be found to have.
    pub async fn import(&mut self, node: &Node, path: &Path, bar: &ui::Bar) -> Done<Summary> {
        let found = scenarios::find(&[path.to_owned()])?;
        let entries = &mut self.entries;
        let keep = |Imported { path, scenario, result }: Imported<'_>| {
            entries.push(Entry {
                path: path.to_owned(),
                uuid: scenario.uuid(),
                hash: scenario.hash(),
                key: result.change.object.key.clone(),
                edition: 0,
                can_change: scenario.identity() != Identity::Derived && change::fits(scenario),
            });
        };
        let summary = scenarios::import(node.client(), found, None, bar, keep, |_| {}).await?;
        self.only_single_ones_change();
        Ok(summary)
    }

    /// Two files of one UUID: changing the one would change what the other is compared with.
    fn only_single_ones_change(&mut self) {
        let mut files: HashMap<Uuid, u64> = HashMap::new();
        for entry in &self.entries {
            *files.entry(entry.uuid).or_default() += 1;
        }
        for entry in &mut self.entries {
            entry.can_change &= files.get(&entry.uuid) == Some(&1);
        }
    }

    /// The objects, each once.
    pub fn keys(&self) -> Vec<String> {
        let mut keys: Vec<_> = self.entries.iter().map(|entry| entry.key.clone()).collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    /// So many entries that can change, from all over the folder.
    pub fn some_that_can_change(&self, wanted: usize) -> Vec<usize> {
        let all = self.entries.iter().enumerate().filter(|(_, entry)| entry.can_change);
        let all: Vec<_> = all.map(|(at, _)| at).collect();
        let step = (all.len() / wanted.max(1)).max(1);
        all.into_iter().step_by(step).take(wanted).collect()
    }

    /// Reads every file again, and asks the kernel for its scenario.
    pub async fn check(&self, node: &Node, bar: &ui::Bar) -> Check {
        let mut check = Check::default();
        for entry in &self.entries {
            match entry.check(node).await {
                Ok(()) => check.equal += 1,
                Err(failure) => {
                    check.lost += 1;
                    if check.named.len() < NAMED_MAX {
                        let name = entry.path.file_name().unwrap_or_default().to_string_lossy();
                        check.named.push(format!(
                            "{}: {}",
                            ui::shown(&name),
                            ui::capped(&failure.message, 300)
                        ));
                    }
                }
            }
            bar.more(1);
        }
        check
    }
}

impl Entry {
    /// The object by what it contains: nothing that a kernel said is believed, until it was changed and has a lineage.
    fn name(&self) -> String {
        if self.edition == 0 { format!("{}@{}", self.uuid, self.hash) } else { self.key.clone() }
    }

    /// What the object's text must be now.
    pub fn expected(&self, edition: u64) -> Done<String> {
        let bytes = std::fs::read(&self.path)
            .map_err(|error| Failure::failed(format!("{}: {}", ui::shown_path(&self.path), plain(&error))))?;
        let scenario = Scenario::parse(bytes).map_err(|error| Failure::failed(error.to_string()))?;
        if edition == 0 { Ok(scenario.as_str().to_owned()) } else { change::edition(&scenario, edition) }
    }

    async fn check(&self, node: &Node) -> Done<()> {
        let answer = node.ask(Get { object: self.name(), bytes: None, revision: None }).await?;
        if answer.text.as_deref() == Some(&*self.expected(self.edition)?) {
            return Ok(());
        }
        Err(Failure::failed("the bytes differ"))
    }
}
