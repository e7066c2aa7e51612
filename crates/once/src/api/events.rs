//! The event log over the API.

use super::contract::{self, EventsResult};
use super::names;
use crate::events::Watch;
use crate::{Error, Kernel};

/// Events in an answer unless told otherwise, and at most.
const EVENTS: usize = 1_000;
const EVENTS_MAX: usize = 10_000;

/// What a client listens to.
pub(super) fn listened(kernel: &Kernel, params: &contract::Listen) -> Result<Watch, Error> {
    let contract::Listen { since, object, component, peer } = params;
    watch(kernel, since, [object, component, peer])
}

pub(super) async fn events(kernel: &Kernel, params: contract::Events) -> Result<EventsResult, Error> {
    let contract::Events { after, limit, object, component, peer } = &params;
    let watch = watch(kernel, after, [object, component, peer])?;
    let page = watch.page(limit.unwrap_or(EVENTS).clamp(1, EVENTS_MAX)).await?;
    let cursor = page.cursor.to_string();
    Ok(EventsResult { events: page.events, next: (!page.is_last).then(|| cursor.clone()), cursor })
}

/// What a client wants to see of what happens: since when, and the object, component and peer that it is about.
fn watch(
    kernel: &Kernel,
    since: &Option<String>,
    [object, component, peer]: [&Option<String>; 3],
) -> Result<Watch, Error> {
    let mut watch = kernel.watch();
    if let Some(since) = since {
        watch = watch.since(since.parse()?);
    }
    if let Some(name) = object {
        // One that is gone is still in the log, by its whole key.
        let key = names::key(name).or_else(|_| names::object(kernel, name).map(|found| found.key()))?;
        watch = watch.object(key);
    }
    if let Some(component) = component {
        watch = watch.component(component);
    }
    if let Some(name) = peer {
        let id = name.parse().or_else(|_| names::peer(kernel, name).map(|(id, _)| id))?;
        watch = watch.peer(id);
    }
    Ok(watch)
}
