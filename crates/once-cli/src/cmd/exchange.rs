//! `once exchange`

use clap::Args;
use serde_json::{Value, json};

use crate::context::{Context, number, text};
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
    /// Exits with 3 if the other side refused some of it, or neither side lets the other read anything.
    pub async fn run(self, context: &Context) -> Done {
        let client = context.running().await?;
        let bar = if context.json { ui::Bar::none() } else { ui::Bar::new("exchanging", 0) };
        let params = json!({ "with": self.peer, "timeout_ms": self.timeout });
        let answer = client.call_with_progress("exchange", params, |progress| bar.show(progress)).await?;
        drop(bar);
        context.answer(&answer, |answer| print(answer, &self.peer))?;
        if number(&answer, "missing") > 0 {
            let missing = ui::count(number(&answer, "missing"), "scenario");
            ui::say(&format!(
                "{missing} of {} did not come: damaged there ('once doctor' there names them), or changed meanwhile (another \
                 exchange brings them)",
                ui::shown(&self.peer)
            ));
        }
        say_rights(&answer, &self.peer);
        let n = |name: &str| number(&answer, name);
        let nothing = n("compared") == 0 && n("withheld") > 0;
        Ok(if n("refused") + n("sent_refused") > 0 || nothing { Exit::REFUSED } else { Exit::DONE })
    }
}

/// What was left out for want of a right, and who can change that.
fn say_rights(answer: &Value, peer: &str) {
    let peer = ui::shown(peer);
    let withheld = number(answer, "withheld");
    let hint = ui::Paint::stderr().yellow("hint:").to_string();
    if withheld > 0 {
        ui::say(&format!("{} here not compared: {peer} may not read them", ui::count(withheld, "object")));
        ui::say(&format!("{hint} `once grant {peer} read` lets it"));
    }
    if number(answer, "shown") == 0 {
        ui::say(&format!("{peer} has nothing that this kernel may read"));
        let me = ui::shown(text(answer, "kernel"));
        ui::say(&format!("{hint} ask its owner: 'once grant {me} read', there, lets this kernel read"));
    }
}

fn print(answer: &Value, peer: &str) -> Done<()> {
    let n = |name: &str| ui::number(number(answer, name));
    let took = ui::duration_us(number(answer, "took_us"));
    let compared = ui::count(number(answer, "compared"), "object");
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
