//! The event log over the API.

use super::contract::{self, EventsResult};
use super::names;
use crate::events::Watch;
use crate::{Error, Kernel};

/// Events in an answer unless told otherwise, and at most.
const EVENTS: usize = 1_000;
const EVENTS_MAX: usize = 10_000;

/// What a client wants to see of what happens.
struct Wanted<'a> {
    object: Option<&'a str>,
    component: Option<&'a str>,
    peer: Option<&'a str>,
}

impl Wanted<'_> {
    fn watch(&self, kernel: &Kernel, since: Option<&str>) -> Result<Watch, Error> {
        let mut watch = kernel.watch();
        if let Some(since) = since {
            watch = watch.since(since.parse()?);
        }
        if let Some(name) = self.object {
            // One that is gone is still in the log, by its whole key.
            let key = names::key(name).or_else(|_| names::object(kernel, name).map(|found| found.key()))?;
            watch = watch.object(key);
        }
        if let Some(component) = self.component {
            watch = watch.component(component);
        }
        if let Some(name) = self.peer {
            let id = name.parse().or_else(|_| names::peer(kernel, name).map(|(id, _)| id))?;
            watch = watch.peer(id);
        }
        Ok(watch)
    }
}

/// What a client listens to.
pub(super) fn listened(kernel: &Kernel, params: &contract::Listen) -> Result<Watch, Error> {
    let contract::Listen { since, object, component, peer } = params;
    let wanted = Wanted { object: object.as_deref(), component: component.as_deref(), peer: peer.as_deref() };
    wanted.watch(kernel, since.as_deref())
}

pub(super) async fn events(kernel: &Kernel, params: contract::Events) -> Result<EventsResult, Error> {
    let contract::Events { after, limit, object, component, peer } = &params;
    let wanted = Wanted { object: object.as_deref(), component: component.as_deref(), peer: peer.as_deref() };
    let watch = wanted.watch(kernel, after.as_deref())?;
    let page = watch.page(limit.unwrap_or(EVENTS).clamp(1, EVENTS_MAX)).await?;
    let cursor = page.cursor.to_string();
    Ok(EventsResult { events: page.events, next: (!page.is_last).then(|| cursor.clone()), cursor })
}
