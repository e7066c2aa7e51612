//! Going on in the event log after having been away, at a client of the local API.

use std::time::Instant;

use once::api::contract::{Event, Listen};

use super::kernels::Other;
use super::{MANY, Measured, find, millis};
use crate::Bench;

/// A client that was away while so many objects were imported reads one event of each: milliseconds until it has the last.
pub async fn resume(bench: &Bench) -> Measured<f64> {
    let other = Other::start(&find::full(bench).await?).await?;
    // The log looks for what is over now and then: it has at least these.
    let wanted = bench.scaled(MANY);
    let begun = Instant::now();
    let mut events = other.api.listen(Listen { since: Some("start".into()), ..Listen::default() }).await?;
    let mut changed = 0;
    while changed < wanted {
        let info = events.next().await.ok_or("the kernel has stopped")?;
        changed += usize::from(matches!(info.event, Event::Changed(_)));
    }
    let took_ms = millis(begun.elapsed());
    other.stop().await?;
    Ok(Some(took_ms))
}
