//! `once stop`

use std::time::{Duration, Instant};

use clap::Args;
use once::api::Client;
use serde_json::json;

use crate::context::Context;
use crate::failure::{Done, Exit, Failure, UNREACHABLE};
use crate::ui;

/// How long a kernel may take to flush and close its store.
const STOP_MAX: Duration = Duration::from_secs(30);
const STOP_STEP: Duration = Duration::from_millis(20);

/// Stop the kernel that runs, and wait until it has
#[derive(Debug, Args)]
pub struct Stop {}

impl Stop {
    /// Done when nothing listens on the socket any more.
    pub async fn run(self, context: &Context) -> Done {
        let client = context.running().await?;
        client.call("stop", json!({})).await?;
        let begun = Instant::now();
        while Client::connect(&context.data).await.is_ok_and(|client| client.is_some()) {
            if begun.elapsed() > STOP_MAX {
                let failure = Failure::failed("the kernel was told to stop, and still runs");
                return Err(Failure { code: "timeout".into(), exit: UNREACHABLE, ..failure }
                    .hint("look at its log; nothing acknowledged is lost if it has to be killed"));
            }
            tokio::time::sleep(STOP_STEP).await;
        }
        context.answer(&json!({ "stopped": true }), |_| Ok(()))?;
        ui::say("stopped");
        Ok(Exit::DONE)
    }
}
