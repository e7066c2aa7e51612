//! Work outside that clients of the local API do: each is asked for until someone has answered it. What waits is in the
//! engine's rows; here is only what is under way, and a few that come next.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use once_core::waist::Work;

use super::clients::{ClientId, Slot};
use super::suspects::{Place, Suspects};

#[derive(Debug, Default)]
pub(super) struct Works {
    /// Who was asked.
    pub under_way: HashMap<Place, UnderWay>,
    /// By kind, oldest first.
    pub next: BTreeMap<String, VecDeque<Work>>,
    /// Kinds of which there may be more in the rows.
    pub more: BTreeSet<String>,
    /// Kinds to be looked for now.
    pub look: BTreeSet<String>,
    /// Work over which clients went away.
    pub suspects: Suspects,
}

#[derive(Debug)]
pub(super) struct UnderWay {
    pub client: ClientId,
    pub work: Work,
    pub _slot: Arc<Slot>,
}

impl Works {
    /// Kinds of work for which the rows are to be looked at, as they are from now on.
    pub fn take_look(&mut self) -> BTreeSet<String> {
        self.more.retain(|name| !self.look.contains(name));
        std::mem::take(&mut self.look)
    }
}
