//! `once stop`

use std::time::{Duration, Instant};

use clap::Args;
use once::ErrorKind;
use once::api::Client;
use once::api::contract::{self, Status};
use serde::Serialize;

use crate::context::Context;
use crate::failure::{Done, Exit, Failure};
use crate::ui;

/// How long a kernel may take to flush and close its store.
const STOP_MAX: Duration = Duration::from_secs(30);
const STOP_STEP: Duration = Duration::from_millis(20);

/// What `--json` prints.
#[derive(Serialize)]
struct Stopped {
    stopped: bool,
}

/// Stop the kernel that runs, and wait until it has
#[derive(Debug, Args)]
pub struct Stop {}

impl Stop {
    /// Done when the process has ended: its data directory may be copied, moved, or opened again.
    pub async fn run(self, context: &Context) -> Done {
        let client = context.running().await?;
        let status = client.ask(Status {}).await?;
        client.ask(contract::Stop {}).await?;
        let begun = Instant::now();
        while !has_stopped(context, status.pid).await? {
            if begun.elapsed() > STOP_MAX {
                let failure = Failure::of(ErrorKind::Timeout, "the kernel was told to stop, and still runs");
                return Err(
                    failure.hint("look at its log; nothing acknowledged is lost if it has to be killed")
                );
            }
            tokio::time::sleep(STOP_STEP).await;
        }
        context.answer(&Stopped { stopped: true }, |_| Ok(()))?;
        ui::say("stopped");
        Ok(Exit::DONE)
    }
}

/// It no longer answers, and has let its data directory go; or another process runs the kernel already.
async fn has_stopped(context: &Context, pid: Option<u32>) -> Done<bool> {
    match Client::connect(&context.data).await {
        Ok(Some(client)) => {
            return Ok(client.ask(Status {}).await.is_ok_and(|status| status.pid != pid));
        }
        Ok(None) => {}
        // The socket closed in this moment.
        Err(_) => return Ok(false),
    }
    // Whatever else is wrong with the directory is no matter of stopping.
    Ok(!once::check_free(&context.data).is_err_and(|error| error.kind() == ErrorKind::InUse))
}
