//! `once exchange`

use clap::Args;
use serde_json::{Value, json};

use crate::context::{Context, number};
use crate::failure::{Done, Exit};
use crate::ui;

/// Compare all scenarios with a peer, and send only what is missing, either way
///
/// Each side gives what the other may read (`once grant PEER read`) and takes what it may share.
#[derive(Debug, Args)]
pub struct Exchange {
    /// With whom
    peer: String,
    /// How long it may take, like 30s or 10m
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = ui::parse_ms)]
    timeout: u64,
}

impl Exchange {
    /// Exits with 3 if the other side refused some of it.
    pub async fn run(self, context: &Context) -> Done {
        let client = context.running().await?;
        let bar = if context.json { ui::Bar::none() } else { ui::Bar::new("exchanging", 0) };
        let params = json!({ "with": self.peer, "timeout_ms": self.timeout });
        let answer = client.call_with_progress("exchange", params, |progress| bar.show(progress)).await?;
        drop(bar);
        context.answer(&answer, |answer| print(answer, &self.peer))?;
        let refused = number(&answer, "refused") + number(&answer, "sent_refused");
        Ok(if refused == 0 { Exit::DONE } else { Exit::REFUSED })
    }
}

fn print(answer: &Value, peer: &str) -> Done<()> {
    let n = |name: &str| ui::number(number(answer, name));
    let took = ui::duration_us(number(answer, "took_us"));
    let compared = ui::count(number(answer, "compared"), "scenario");
    ui::print(&format!("compared {compared} with {} in {took}", ui::shown(peer)))?;
    let side = |conflicts: &str, refused: &str| {
        let mut parts = String::new();
        for (name, what) in [(conflicts, "kept as conflicts"), (refused, "refused")] {
            if number(answer, name) > 0 {
                parts.push_str(&format!(", {} {what}", n(name)));
            }
        }
        parts
    };
    ui::print(&format!("received {}{}", n("received"), side("conflicts", "refused")))?;
    ui::print(&format!("sent     {}{}", n("sent"), side("sent_conflicts", "sent_refused")))?;
    let (out, back) = (number(answer, "bytes_sent"), number(answer, "bytes_received"));
    let rounds = ui::count(number(answer, "rounds"), "round");
    ui::print(&format!("on the wire {} out, {} in, {rounds}", ui::bytes(out), ui::bytes(back)))
}
