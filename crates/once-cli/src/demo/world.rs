//! Everything the demo starts and makes, so that it can end together.

use std::path::Path;

use tempfile::TempDir;

use super::folder::Folder;
use super::node::Node;
use crate::failure::{Done, Failure, plain};

/// The kernels, and what they are to have. The processes are gone before their directories.
pub struct World {
    /// Has everything first.
    pub alice: Option<Node>,
    /// The kernel that gets everything.
    pub bob: Option<Node>,
    /// Comes later, and acts with the others.
    pub carol: Option<Node>,
    /// What both must have in the end.
    pub folder: Folder,
    scratch: TempDir,
}

impl World {
    /// A scratch directory, and nothing in it yet.
    pub fn new() -> Done<Self> {
        let scratch = tempfile::Builder::new().prefix("once-demo-").tempdir();
        let scratch =
            scratch.map_err(|error| Failure::failed(format!("no temporary directory: {}", plain(&error))))?;
        Ok(Self { alice: None, bob: None, carol: None, folder: Folder::default(), scratch })
    }

    /// Where kernels and examples may be put.
    pub fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    /// Both kernels, and the folder.
    pub fn parts(&mut self) -> Done<(&mut Node, &mut Node, &mut Folder)> {
        match (&mut self.alice, &mut self.bob) {
            (Some(alice), Some(bob)) => Ok((alice, bob, &mut self.folder)),
            _ => Err(Failure::fault("the kernels are not up yet")),
        }
    }

    /// All three kernels, and the folder.
    pub fn whole(&mut self) -> Done<(&mut Node, &mut Node, &mut Node, &mut Folder)> {
        match (&mut self.alice, &mut self.bob, &mut self.carol) {
            (Some(alice), Some(bob), Some(carol)) => Ok((alice, bob, carol, &mut self.folder)),
            _ => Err(Failure::fault("the kernels are not up yet")),
        }
    }

    /// All three kernels.
    pub fn all(&mut self) -> Done<[&mut Node; 3]> {
        match (&mut self.alice, &mut self.bob, &mut self.carol) {
            (Some(alice), Some(bob), Some(carol)) => Ok([alice, bob, carol]),
            _ => Err(Failure::fault("the kernels are not up yet")),
        }
    }

    /// Stops the kernels cleanly.
    pub async fn stop(&mut self) {
        for node in [&mut self.carol, &mut self.bob, &mut self.alice].into_iter().flatten() {
            node.stop().await;
        }
    }
}
