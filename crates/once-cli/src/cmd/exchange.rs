//! `once exchange`

use clap::Args;
use once::api::contract::{self, ExchangeResult};

use crate::context::Context;
use crate::failure::{Done, Exit};
use crate::ui;

/// Compare scenarios with a peer, and send what is missing
///
/// It goes either way, and only what is missing travels.
///
/// Each side gives what the other may read (`once grant PEER read`) and takes what it may share.
#[derive(Debug, Args)]
pub struct Exchange {
    /// The peer to compare with
    peer: String,
    /// How long it may take, like 30s or 10m
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = ui::parse_ms)]
    timeout: u64,
}

impl Exchange {
    /// Exits with 3 if the other side refused some of it, or neither side lets the other read anything.
    pub async fn run(self, context: &Context) -> Done {
        let client = context.running().await?;
        let bar = if context.json { ui::Bar::none() } else { ui::Bar::new("exchanging", 0) };
        let params = contract::Exchange { with: self.peer.clone(), timeout_ms: Some(self.timeout) };
        let answer = client.ask_with_progress(params, |progress| bar.show(progress)).await?;
        drop(bar);
        context.answer(&answer, |answer| print(answer, &self.peer))?;
        if answer.missing > 0 {
            let missing = ui::count(answer.missing, "scenario");
            ui::say(&format!(
                "{missing} of {} did not come: damaged there ('once doctor' there names them), or changed meanwhile (another \
                 exchange brings them)",
                ui::shown(&self.peer)
            ));
        }
        say_rights(&answer, &self.peer);
        let nothing = answer.compared == 0 && answer.withheld > 0;
        Ok(if answer.refused + answer.sent_refused > 0 || nothing { Exit::REFUSED } else { Exit::DONE })
    }
}

/// What was left out for want of a right, and who can change that.
fn say_rights(answer: &ExchangeResult, peer: &str) {
    let peer = ui::shown(peer);
    let withheld = answer.withheld;
    let hint = ui::Paint::stderr().yellow("hint:").to_string();
    if withheld > 0 {
        ui::say(&format!("{} here not compared: {peer} may not read them", ui::count(withheld, "object")));
        ui::say(&format!("{hint} `once grant {peer} read` lets it"));
    }
    if answer.shown == 0 {
        ui::say(&format!("{peer} has nothing that this kernel may read"));
        let me = ui::shown(&answer.kernel);
        ui::say(&format!("{hint} ask its owner: 'once grant {me} read', there, lets this kernel read"));
    }
}

fn print(answer: &ExchangeResult, peer: &str) -> Done<()> {
    let took = ui::duration_us(answer.took_us);
    let compared = ui::count(answer.compared, "object");
    ui::print(&format!("compared {compared} with {} in {took}", ui::shown(peer)))?;
    let side = |conflicts: u64, refused: u64| {
        let mut parts = String::new();
        for (count, what) in [(conflicts, "kept as conflicts"), (refused, "refused")] {
            if count > 0 {
                parts.push_str(&format!(", {} {what}", ui::number(count)));
            }
        }
        parts
    };
    let (received, sent) = (ui::number(answer.received), ui::number(answer.sent));
    ui::print(&format!("received {received}{}", side(answer.conflicts, answer.refused)))?;
    ui::print(&format!("sent     {sent}{}", side(answer.sent_conflicts, answer.sent_refused)))?;
    let (out, back) = (ui::bytes(answer.bytes_sent), ui::bytes(answer.bytes_received));
    ui::print(&format!("on the wire {out} out, {back} in, {}", ui::count(answer.rounds, "round")))
}
