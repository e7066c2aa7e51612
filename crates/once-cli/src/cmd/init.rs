//! `once init`

use std::borrow::Cow;

use clap::Args;
use once::InitOptions;
use serde::Serialize;

use crate::context::Context;
use crate::failure::{Done, Exit};
use crate::ui;

/// Make a kernel: its keys, its name, an empty store
#[derive(Debug, Args)]
pub struct Init {
    /// What it calls itself when it meets others (default: user@host)
    #[arg(long)]
    name: Option<String>,
    /// The UDP address it listens on (default: `[::]:0`, every address of both families and a free port)
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// A relay to be reachable through from behind a NAT; none unless given
    #[arg(long, value_name = "URL")]
    relay: Option<String>,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Made<'a> {
    kernel: String,
    name: &'a str,
    data: Cow<'a, str>,
    recovery_key: Cow<'a, str>,
}

impl Init {
    /// Refuses a directory with a kernel in it.
    pub fn run(self, context: &Context) -> Done {
        let options = InitOptions { name: self.name, listen: self.listen, relay: self.relay };
        let made = once::init(&context.data, options)?;
        let recovery_key = ui::shown_path(&made.recovery_key);
        let answer = Made {
            kernel: made.kernel.to_string(),
            name: &made.name,
            data: context.data.to_string_lossy(),
            recovery_key: made.recovery_key.to_string_lossy(),
        };
        context.answer(&answer, |_| {
            ui::print(&format!("kernel     {}", made.kernel))?;
            ui::print(&format!("name       {}", ui::shown(&made.name)))?;
            ui::print(&format!("data       {}", ui::shown_path(&context.data)))?;
            ui::print(&format!("recovery   {recovery_key}"))
        })?;
        if made.narrowed {
            ui::say("Others could look into that directory: now only you can.");
        }
        ui::say(
            "Keep a copy of the recovery key elsewhere: it proves that your objects are yours if this disk is lost.",
        );
        ui::say("Start the kernel with `once up`.");
        Ok(Exit::DONE)
    }
}
