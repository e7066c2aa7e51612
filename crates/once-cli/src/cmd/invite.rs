//! `once invite`

use clap::Args;
use once::api::contract;

use crate::context::Context;
use crate::failure::{Done, Exit};
use crate::ui;

/// Print a ticket that admits one kernel, once
///
/// The ticket goes to stdout. Give it to the other person on a channel that you trust: whoever uses it first is let in.
#[derive(Debug, Args)]
pub struct Invite {
    /// The petname that the newcomer gets here (default: what it calls itself)
    #[arg(long, value_name = "PETNAME")]
    name: Option<String>,
    /// How long the ticket is valid, like 30m, 12h, 7d
    #[arg(long, value_name = "TIME", default_value = "1d", value_parser = ui::parse_validity_ms)]
    expires: u64,
}

impl Invite {
    /// Needs the kernel to run: the ticket says where it listens.
    pub async fn run(self, context: &Context) -> Done {
        const MS_PER_S: u64 = 1000;
        let params = contract::Invite { name: self.name, expires_s: Some(self.expires.div_ceil(MS_PER_S)) };
        let answer = context.ask_running(params).await?;
        context.answer(&answer, |answer| ui::print(&answer.ticket))?;
        match answer.reach.as_str() {
            "nowhere" => ui::say(
                "warning: this kernel has no address: the ticket says who it is, but not where. See --listen and --relay of \
                 'once up'",
            ),
            "this-machine" => ui::say(
                "warning: this ticket works on this machine only: the kernel listens on no address that another one can \
                 use. See --listen of 'once up'",
            ),
            _ => {}
        }
        let valid = ui::duration_us(self.expires.saturating_mul(1000));
        ui::say(&format!(
            "Invite {}: valid once, and only for {valid}. On the other machine: 'once join TICKET'",
            answer.id
        ));
        Ok(Exit::DONE)
    }
}
