//! Handing work outside to clients of the local API, until someone has answered it.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use once_core::waist::Work;
use once_model::ids::{ObjectKey, Uuid};

use super::clients::{Asked, ClientId};
use super::served::{Inner, Served};
use super::suspects::Place;
use super::works::UnderWay;

/// Work of one kind that is remembered to come next; more is found in the rows.
const NEXT_MAX: usize = 64;

impl Served {
    /// From now on a client does this kind of work; what waits goes on.
    pub fn serve_activity(&self, id: ClientId, name: String) {
        let mut inner = self.inner();
        let since = inner.count();
        if let Some(client) = inner.clients.get_mut(&id) {
            client.activities.insert(name.clone(), since);
            inner.works.more.insert(name);
        }
        drop(inner);
        self.wake();
    }

    /// Whether a client that is connected does such work.
    pub fn does(&self, name: &str) -> bool {
        self.inner().clients.values().any(|client| client.activities.contains_key(name))
    }

    /// An object wants work done that this kernel does not do itself: a client does, now or when one is there.
    pub fn hand_out(&self, work: Work) {
        let mut inner = self.inner();
        // The engine asks again when it has begun anew; whoever does it has not gone.
        if !inner.works.under_way.contains_key(&(work.key, work.id)) {
            inner.works.more.insert(work.name);
        }
        drop(inner);
        self.wake();
    }

    /// Some work is done, and the engine has it on its disk; or it has not, and it is asked for again.
    pub fn settled(&self, key: ObjectKey, id: Uuid, name: &str, done: bool) {
        let mut inner = self.inner();
        let under_way = inner.works.under_way.remove(&(key, id));
        inner.works.suspects.clear(&(key, id));
        if !done {
            inner.works.more.insert(name.to_owned());
        }
        drop((inner, under_way));
        self.wake();
    }
}

impl Inner {
    /// A client is gone: what it was asked is asked of others.
    pub(super) fn give_back(&mut self, id: ClientId) {
        let gone: Vec<_> = self.works.under_way.extract_if(|_, under_way| under_way.client == id).collect();
        let mut over = Vec::with_capacity(gone.len());
        for (place, UnderWay { work, .. }) in gone {
            over.push((place, work.name.clone(), work.name.clone(), work.id));
            self.works.more.insert(work.name);
        }
        self.works.suspects.blame(over);
    }

    /// Asks clients for what comes next, and wants the rows looked at where nothing is known to come.
    pub(super) fn deal(&mut self) {
        let works = &mut self.works;
        works.more.extend(works.suspects.due(works.under_way.keys().copied()));
        let names: BTreeSet<_> =
            self.clients.values().flat_map(|client| client.activities.keys().cloned()).collect();
        for name in names {
            while self.deal_one(&name) {}
        }
    }

    fn deal_one(&mut self, name: &str) -> bool {
        let next = self.works.next.get(name).and_then(VecDeque::front);
        if next.is_none() && !self.works.more.contains(name) {
            return false;
        }
        let bytes = next.map_or(0, |work| work.arguments.len());
        // The newest first, as with runs.
        let able = self.clients.iter().filter(|(_, client)| client.works.is_free(bytes));
        let able = able.filter_map(|(id, client)| Some((client.activities.get(name)?, id, client)));
        let Some((_, id, client)) = able.max_by_key(|(since, ..)| **since) else { return false };
        let Some(work) = self.works.next.get_mut(name).and_then(VecDeque::pop_front) else {
            self.works.look.insert(name.to_owned());
            return false;
        };
        let place = (work.key, work.id);
        if self.works.suspects.is_to_wait(&place, self.works.under_way.keys().copied()) {
            // It is found in the rows when its time has come.
            return true;
        }
        if let (Some(slot), false) = (client.works.take(bytes), self.works.under_way.contains_key(&place)) {
            // One that has just gone is noticed in a moment: then it is given back.
            let _ = client.asked.send((Asked::Work(work.clone()), Arc::clone(&slot)));
            self.works.under_way.insert(place, UnderWay { client: *id, work, _slot: slot });
        }
        true
    }

    /// All work that waits, as the rows have it: what was looked for comes next.
    pub(super) fn found(&mut self, look: &BTreeSet<String>, works: Vec<Work>) {
        for work in works {
            let place: Place = (work.key, work.id);
            if !look.contains(&work.name)
                || self.works.under_way.contains_key(&place)
                || self.works.suspects.is_to_wait(&place, self.works.under_way.keys().copied())
            {
                continue;
            }
            let next = self.works.next.entry(work.name.clone()).or_default();
            if next.len() < NEXT_MAX {
                next.push_back(work);
            } else {
                self.works.more.insert(work.name);
            }
        }
        self.works.next.retain(|_, next| !next.is_empty());
    }
}
