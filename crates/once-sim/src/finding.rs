//! Searches: a peer asks a kernel page by page which of its objects are like this, while everything else goes on.

use std::collections::BTreeSet;

use bytes::Bytes;
use once_core::find::{self, Budget, Index};
use once_core::store::Store;
use once_model::find::{Condition, Findings, Question};
use once_model::ids::{KernelId, ObjectKey};
use once_model::wire::{Absent, Code, Frame};

use crate::check::find::Due;
use crate::coverage;
use crate::scenarios;
use crate::workload::Workload;
use crate::world::World;

/// Searches that are under way at once.
const SEARCHES_MAX: usize = 4;

/// A search that is under way.
pub(crate) struct Search {
    node: usize,
    peer: KernelId,
    question: Question,
    pages: u64,
    last: Option<ObjectKey>,
    told: BTreeSet<ObjectKey>,
    /// What was due at each page so far, unchanged.
    still: Option<Due>,
}

impl World {
    /// A search begins, or one of those that are under way comes to its next page.
    pub(crate) fn search(&mut self, index: usize, work: &Workload) {
        if self.searches.len() < SEARCHES_MAX && self.rng.one_in(2) {
            let Some(peer) = self.any_peer(index, work) else { return };
            let question = self.any_question(peer, index);
            let (told, still) = (BTreeSet::new(), None);
            self.searches.push(Search { node: index, peer, question, pages: 0, last: None, told, still });
        }
        if self.searches.is_empty() {
            return;
        }
        let at = self.rng.index(self.searches.len());
        let search = self.searches.swap_remove(at);
        if self.nodes[search.node].is_up()
            && let Some(goes_on) = self.next_page(search)
        {
            self.searches.push(goes_on);
        }
    }

    fn any_question(&mut self, peer: KernelId, index: usize) -> Question {
        let component = self.rng.pick(&scenarios::COMPONENTS).copied().unwrap_or_default().to_owned();
        let mut question = Question { limit: self.rng.between(1, 40) as u32, ..Question::default() };
        match self.rng.up_to(8) {
            0 | 1 => {}
            2 => question.component = Some(component),
            3 => question.name = Some(format!("{}*", component.to_lowercase())),
            4 => question.name = Some("*u?er*1*".into()),
            5 => question.text = Some("FILLER\":\"X".into()),
            6 => {
                let value = Bytes::from_static(b"1");
                question.conditions = vec![Condition { pointer: "/model/count".into(), value }];
            }
            _ => {
                let home = if self.rng.one_in(2) { peer } else { self.nodes[index].id };
                question.home = Some(home);
            }
        }
        if self.rng.one_in(8) {
            let now_ms = self.nodes[index].now_ms(self.now_us);
            question.changed_since_ms = Some(now_ms.saturating_sub(self.rng.up_to(20_000)));
        }
        question
    }

    /// The index of a kernel as its shell keeps it: built when it is wanted, and told what was committed since.
    fn indexed(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        let (disk, heads) = (node.disk.snapshot(), std::mem::take(&mut node.disk.heads));
        match node.index.as_mut() {
            Some(known) => {
                if heads.iter().any(|key| known.update(&disk, key).is_err()) {
                    node.index = None;
                }
            }
            None => node.index = Index::build(&disk).ok().flatten(),
        }
    }

    /// One page; nothing when the search has ended.
    fn next_page(&mut self, mut search: Search) -> Option<Search> {
        let uses_index = self.rng.one_in(2);
        if uses_index {
            self.indexed(search.node);
            self.cover.met("state search with an index");
        }
        let budget = Budget { objects: self.rng.between(1, 60) as usize, ..Budget::default() };
        let node = &self.nodes[search.node];
        let now_ms = node.now_ms(self.now_us);
        let index = node.index.as_ref().filter(|_| uses_index);
        let (disk, who) = (node.disk.snapshot(), (&node.key, &search.peer));
        let frame = find::answer(&disk, index, who, &search.question, (budget, now_ms));
        let frame = frame.ok().and_then(|frame| Frame::decode(&frame.encode()).ok());
        let due = self.checker.findable(&node.id, &search.peer, &search.question, &node.disk, now_ms);
        self.cover.met(coverage::frame(&Frame::Find(Box::new(search.question.clone()))));
        search.pages += 1;
        let Some(Frame::Findings(Findings { objects, next })) = frame else {
            let is_denial = matches!(frame, Some(Frame::Absent(Absent { code: Code::Denied, .. })));
            if !is_denial || !due.is_empty() {
                self.violated(4, search.node, format!("answers {frame:?} to a search"));
            }
            return None;
        };
        self.cover.met("frame Findings");
        let said = Findings { objects, next };
        if let Err(why) = search.question.accepts(&said, search.last.as_ref()) {
            self.violated(7, search.node, format!("tells what was not asked for: {why}"));
        }
        if let Err(what) = self.checker.found(&due, &said.objects, &self.nodes[search.node].disk) {
            self.violated(7, search.node, what);
        }
        search.last = said.objects.last().map(|found| found.key).or(search.last);
        search.told.extend(said.objects.iter().map(|found| found.key));
        let before = search.still.get_or_insert_with(|| due.clone());
        let count = before.len();
        before.retain(|key, revision| due.get(key) == Some(revision));
        if before.len() < count {
            self.cover.met("state search met a change");
        }
        if said.next.is_some() {
            search.question.after = said.next;
            return Some(search);
        }
        self.cover.met(if search.pages > 1 { "state search of several pages" } else { "state search ended" });
        let still = search.still.take().unwrap_or_default();
        if let Err(what) = self.checker.searched(&still, &search.told) {
            self.violated(4, search.node, what);
        }
        None
    }
}
