//! From an entry of the log to the shape of the contract.

use std::collections::HashMap;

use once_core::events::{Cursor, Logged};
use once_core::object;
use once_core::store::Read;
use once_core::waist;
use once_model::action::Outcome;
use once_model::header::Header;
use once_model::ids::{KernelId, ObjectKey};
use once_model::scenario::Scenario;
use once_model::wire::ShareAnswer;

use super::cursor::EventCursor;
use super::reader::Entry;
use crate::api::contract::{
    ActedEvent, ChangedEvent, DeliveryAnswer, Event, EventInfo, OutcomeEvent, ResultEvent,
};
use crate::error::OrError;
use crate::object::key_text;
use crate::{Error, Kernel};

/// Names that one reader remembers at most. An object of more than 64 KiB is not read for its name.
const NAMES_MAX: usize = 4096;
const READ_FOR_NAME_MAX_BYTES: u64 = 64 * 1024;

/// Makes the shapes for one reader: it remembers how objects and kernels are called.
#[derive(Debug, Default)]
pub(super) struct Shaper {
    objects: HashMap<ObjectKey, Names>,
    kernels: HashMap<KernelId, String>,
    /// The last place that was told: the next one is of the same boot nearly always.
    cursor: Option<EventCursor>,
}

/// What an object is called: its component and its own name.
#[derive(Debug, Clone, Default)]
struct Names {
    component: Option<String>,
    name: Option<String>,
}

impl Shaper {
    /// An entry, by the kernel as it is now.
    pub fn info(&mut self, kernel: &Kernel, rows: &dyn Read, entry: &Entry) -> Result<EventInfo, Error> {
        let logged = match entry {
            Entry::Gap { missed, last } => {
                return Ok(EventInfo {
                    cursor: self.cursor(rows, *last)?,
                    at_ms: None,
                    component: None,
                    name: None,
                    event: Event::Gap { missed: *missed },
                });
            }
            Entry::Event(logged) => logged,
        };
        let called = match logged.event.object() {
            Some(key) => self.called(rows, &key, &logged.event),
            None => Names::default(),
        };
        Ok(EventInfo {
            cursor: self.cursor(rows, logged.cursor)?,
            at_ms: Some(logged.at_ms),
            component: called.component,
            name: called.name,
            event: self.event(kernel, logged),
        })
    }

    fn cursor(&mut self, rows: &dyn Read, at: Cursor) -> Result<String, Error> {
        let known = self.cursor.filter(|known| known.is_of_boot(at.boot));
        let cursor =
            known.map_or_else(|| EventCursor::of(rows, at), |known| Ok(known.moved(at))).or_error()?;
        self.cursor = Some(cursor);
        Ok(cursor.to_string())
    }

    /// What an object is called. A revision may have another name.
    fn called(&mut self, rows: &dyn Read, key: &ObjectKey, event: &waist::Event) -> Names {
        let is_new = matches!(event, waist::Event::Changed { .. } | waist::Event::Dropped { .. });
        if let Some(called) = self.objects.get(key).filter(|_| !is_new) {
            return called.clone();
        }
        let head = || object::head(rows, key).ok().flatten().map(|head| head.header);
        let called = match event {
            // Most often this is what is here: then the head need not be looked up.
            waist::Event::Changed { header, .. } => {
                let name = name(rows, header).or_else(|| name(rows, &head()?));
                Names { component: Some(header.component.clone()), name }
            }
            _ => head().map_or_else(Names::default, |header| Names {
                name: name(rows, &header),
                component: Some(header.component),
            }),
        };
        if self.objects.len() >= NAMES_MAX {
            self.objects.clear();
        }
        self.objects.insert(*key, called.clone());
        called
    }

    fn kernel(&mut self, kernel: &Kernel, id: &KernelId) -> (String, String) {
        if self.kernels.len() >= NAMES_MAX {
            self.kernels.clear();
        }
        let name = self.kernels.entry(*id).or_insert_with(|| crate::api::kernel_name(kernel, id));
        (id.to_string(), name.clone())
    }

    fn event(&mut self, here: &Kernel, logged: &Logged) -> Event {
        match &logged.event {
            waist::Event::Changed { header, from } => {
                Event::Changed(self.changed(here, header, from.as_ref()))
            }
            waist::Event::Moved { key, to } => {
                let (to, to_name) = self.kernel(here, to);
                Event::Moved { key: key_text(key), to, to_name }
            }
            waist::Event::MovedIn { key, from } => {
                let (from, from_name) = self.kernel(here, from);
                Event::MovedIn { key: key_text(key), from, from_name }
            }
            waist::Event::Dropped { key } => Event::Dropped { key: key_text(key) },
            waist::Event::Delivered { peer, key, answer } => {
                let (peer, peer_name) = self.kernel(here, peer);
                let (answer, code) = answered(answer);
                Event::Delivered { peer, peer_name, key: key_text(key), answer, code }
            }
            waist::Event::FollowDenied { peer, key } => {
                let (peer, peer_name) = self.kernel(here, peer);
                Event::FollowDenied { peer, peer_name, key: key_text(key) }
            }
            waist::Event::Acted { key, id, name, origin, acting, outcome } => {
                let (origin, origin_name) = self.kernel(here, origin);
                Event::Acted(ActedEvent {
                    action: name.clone(),
                    origin,
                    origin_name,
                    acting: acting.as_ref().map(key_text),
                    outcome: came(key, *id, outcome, logged.cut_bytes),
                })
            }
            waist::Event::Outcome { key, id, outcome } => {
                Event::Outcome(came(key, *id, outcome, logged.cut_bytes))
            }
            waist::Event::Published { key, name, data } => Event::Published {
                key: key_text(key),
                topic: name.clone(),
                // What an object may publish is bounded where it does.
                data_text: String::from_utf8_lossy(data).into_owned(),
            },
            other => self.of_kernels(here, other),
        }
    }

    /// What is about no object, or about one that cannot go on.
    fn of_kernels(&mut self, here: &Kernel, event: &waist::Event) -> Event {
        match event {
            waist::Event::Parked { origin, key, reason } => Event::Parked {
                origin: origin.map(|origin| origin.to_string()),
                key: key.as_ref().map(key_text),
                reason: reason.clone(),
            },
            waist::Event::LaneForked { peer, key, sequence } => {
                let (peer, peer_name) = self.kernel(here, peer);
                Event::LaneForked { peer, peer_name, key: key_text(key), sequence: *sequence }
            }
            waist::Event::Quarantined { by } => {
                let (peer, peer_name) = self.kernel(here, by);
                Event::Quarantined { peer, peer_name }
            }
            waist::Event::Came { peer, invite, petname, says } => Event::Came {
                peer: peer.to_string(),
                invite: crate::api::invite_id(invite),
                petname: petname.clone(),
                says: says.clone(),
            },
            waist::Event::Connected { peer, clock_ahead_ms, .. } => {
                let (peer, peer_name) = self.kernel(here, peer);
                Event::Connected { peer, peer_name, clock_ahead_ms: *clock_ahead_ms }
            }
            waist::Event::Disconnected { peer, reason } => {
                let (peer, peer_name) = self.kernel(here, peer);
                Event::Disconnected { peer, peer_name, reason: reason.clone() }
            }
            // All others are about objects. A kind that a newer engine has is one that this crate does not know.
            _ => Event::Gap { missed: 1 },
        }
    }

    fn changed(&mut self, here: &Kernel, header: &Header, from: Option<&KernelId>) -> ChangedEvent {
        let (from, from_name) = from.map(|from| self.kernel(here, from)).unzip();
        let cause = header.cause.as_ref();
        let (origin, origin_name) = cause.map(|cause| self.kernel(here, &cause.origin)).unzip();
        ChangedEvent {
            key: key_text(&header.key()),
            epoch: header.epoch,
            revision: header.revision,
            revision_id: header.id().to_string(),
            hash: header.content.to_string(),
            size: header.size,
            tombstone: header.tombstone,
            from,
            from_name,
            origin,
            origin_name,
            action_id: cause.map(|cause| cause.id),
            acting: cause.and_then(|cause| cause.acting.as_ref()).map(key_text),
        }
    }
}

fn name(rows: &dyn Read, header: &Header) -> Option<String> {
    if header.size > READ_FOR_NAME_MAX_BYTES {
        return None;
    }
    let body = object::body(rows, header).ok().flatten()?;
    Scenario::parse(body).ok()?.name().map(str::to_owned)
}

/// What came of an action.
fn came(key: &ObjectKey, id: uuid::Uuid, outcome: &Outcome, cut_bytes: Option<u64>) -> OutcomeEvent {
    let (result, code) = match outcome {
        Outcome::Done(json) | Outcome::Failed(json) => {
            let whole = cut_bytes.is_none().then(|| String::from_utf8_lossy(json).into_owned());
            let result_bytes = cut_bytes.unwrap_or(json.len() as u64);
            (Some(ResultEvent { result_text: whole, result_bytes }), None)
        }
        Outcome::Refused(code) => (None, Some(code.name().to_owned())),
    };
    OutcomeEvent { key: key_text(key), id, status: outcome.word().to_owned(), result, code }
}

fn answered(answer: &ShareAnswer) -> (DeliveryAnswer, Option<String>) {
    match answer {
        ShareAnswer::Stored => (DeliveryAnswer::Stored, None),
        ShareAnswer::Known => (DeliveryAnswer::Known, None),
        ShareAnswer::Conflict => (DeliveryAnswer::Conflict, None),
        ShareAnswer::Refused(why) => (DeliveryAnswer::Refused, Some(why.name().to_owned())),
    }
}
