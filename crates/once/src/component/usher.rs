//! The task that tells the engine what came of what clients were asked.

use std::sync::{Arc, Weak};

use once_core::act;

use super::served::Served;
use crate::shell::{Mail, Shared};

/// Tells the engine what came of what clients were asked, and looks after the time.
pub(crate) async fn usher(shared: Weak<Shared>, served: Arc<Served>) {
    loop {
        let (inputs, look, again) = {
            let mut inner = served.inner();
            let again = inner.give_up_late();
            inner.feed();
            inner.deal();
            (std::mem::take(&mut inner.inputs), inner.works.take_look(), again)
        };
        if !inputs.is_empty() || !look.is_empty() {
            let Some(shared) = shared.upgrade() else { return };
            for input in inputs {
                if shared.mail.send(Mail::Input(input)).await.is_err() {
                    return;
                }
            }
            if !look.is_empty() {
                let snapshot = shared.snapshot();
                drop(shared);
                match crate::beside::wait_for(move || act::works(&snapshot)).await {
                    Ok(Ok(works)) => served.inner().found(&look, works),
                    failed => tracing::error!(?failed, "work outside cannot be read: it waits"),
                }
            }
            continue;
        }
        let due = async {
            match again {
                Some(again) => tokio::time::sleep_until(again.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = served.wake.notified() => {}
            () = due => {}
        }
    }
}
