//! `once stop`

use std::time::{Duration, Instant};

use clap::Args;
use serde_json::json;

use crate::context::{Context, number};
use crate::failure::{Done, Exit, Failure, UNREACHABLE};
use crate::ui;

/// How long a kernel may take to flush and close its store.
const STOP_MAX: Duration = Duration::from_secs(30);
const STOP_STEP: Duration = Duration::from_millis(20);

/// Stop the kernel that runs, and wait until it has
#[derive(Debug, Args)]
pub struct Stop {}

impl Stop {
    /// Done when the process has ended: its data directory may be copied, moved, or opened again.
    pub async fn run(self, context: &Context) -> Done {
        let client = context.running().await?;
        let status = client.call("status", json!({})).await?;
        client.call("stop", json!({})).await?;
        let begun = Instant::now();
        while runs(number(&status, "pid")) {
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

fn runs(pid: u64) -> bool {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    // No such process, or another user's that has got its number since.
    pid.is_some_and(|pid| rustix::process::test_kill_process(pid).is_ok())
}
