//! `once quarantine`

use clap::{Args, Subcommand};
use once::api::contract::{self, QuarantineEnd, QuarantineResult};

use crate::context::Context;
use crate::failure::{Done, Exit};
use crate::ui;

/// Show the quarantine after a backup was put back, and end it
///
/// Its peers were told more than the backup has, so the kernel does nothing but greet them. Better than to leave it: stop the
/// kernel, and put back the newest data directory that there is.
#[derive(Debug, Args)]
pub struct Quarantine {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Say what was seen, and which peers were heard (the default)
    Show,
    /// Begin a new life with what is on the disk
    ///
    /// Objects that had their home here can be read and exported from then on, and not changed. Grants and invites end,
    /// and what waited to be sent is forgotten: it may have been sent before.
    End {
        /// A peer that cannot be reached and is not waited for (may be given more than once)
        #[arg(long, value_name = "PEER")]
        without: Vec<String>,
    },
}

impl Quarantine {
    /// Exits with 1 while there is one.
    pub async fn run(self, context: &Context) -> Done {
        let Some(Command::End { without }) = self.command else {
            let answer = context.ask(contract::Quarantine {}).await?;
            context.answer(&answer, print)?;
            return Ok(if answer.quarantine.is_some() { Exit::FAILED } else { Exit::DONE });
        };
        let answer = context.ask(QuarantineEnd { without }).await?;
        context.answer(&answer, |answer| {
            ui::print(&format!("a new life has begun: incarnation {}", answer.incarnation))
        })?;
        ui::say("Objects that had their home here are read, and not changed. Grant again what peers may do.");
        Ok(Exit::DONE)
    }
}

fn print(QuarantineResult { quarantine }: &QuarantineResult) -> Done<()> {
    let Some(quarantine) = quarantine else {
        return ui::print("not in quarantine");
    };
    ui::prose(&format!(
        "in quarantine since {}: the data was put back from a backup, and stands at commit {}",
        ui::utc(quarantine.since_ms),
        quarantine.commit
    ))?;
    for said in &quarantine.shown {
        ui::prose(&format!(
            "  this kernel has said: commit {} of its run {} ({}), of which this disk has nothing; incarnation {}",
            said.commit,
            said.boot,
            ui::short(&said.boot_id),
            ui::short(&said.incarnation)
        ))?;
    }
    for (label, peers) in [("heard", &quarantine.heard), ("not heard yet", &quarantine.waits_for)] {
        for peer in peers {
            ui::print(&format!("  {label}: {} ({})", ui::shown(&peer.name), ui::short(&peer.kernel)))?;
        }
    }
    ui::say(
        "If there is newer data, stop the kernel and put that back. Else: `once quarantine end` (see its --help).",
    );
    Ok(())
}
