//! `once share`

use clap::Args;
use once::api::contract::{self, ShareResult};

use crate::context::{Context, ended, not_running};
use crate::failure::{Done, Exit, Failure};
use crate::ui;

/// Send objects to a peer: now, or as soon as it is back
///
/// What is shared is durable here before this command says anything, and is sent again until the other kernel has it on
/// its disk. Waits for that; exits with 4 at the timeout (the sharing goes on), with 3 if the peer refused.
#[derive(Debug, Args)]
#[command(
    override_usage = "once share [OPTIONS] <OBJECT>... <PEER>\n       once share [OPTIONS] --all <PEER>"
)]
pub struct Share {
    /// Which objects; the last name is the peer
    #[arg(required = true, value_name = "NAME", hide = true)]
    names: Vec<String>,
    /// All objects on this kernel
    #[arg(long)]
    all: bool,
    /// What they refer to, too, and so on, within limits; says what it left out
    #[arg(short = 'r', long)]
    with_references: bool,
    /// Do not wait for the peer
    #[arg(long)]
    no_wait: bool,
    /// Stop waiting after this time, like 10s or 1m; the sharing goes on
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = ui::parse_ms)]
    timeout: u64,
}

impl Share {
    /// Without `--no-wait` the kernel must run: somebody has to carry it.
    pub async fn run(mut self, context: &Context) -> Done {
        let to = self.names.pop().unwrap_or_default();
        match (self.all, self.names.is_empty()) {
            (true, true) | (false, false) => {}
            (true, false) => return Err(Failure::usage("name objects or say --all, not both")),
            (false, true) => {
                let failure = Failure::usage(format!("what is to be shared with {}?", ui::shown(&to)));
                return Err(failure.hint(
                    "`once share OBJECT PEER` shares one object or more, `once share --all PEER` all of them",
                ));
            }
        }
        let params = contract::Share {
            objects: self.names,
            all: self.all,
            to: to.clone(),
            delivered: !self.no_wait,
            with_references: self.with_references,
            timeout_ms: Some(self.timeout),
        };
        let client = context.kernel().await?;
        if client.is_embedded() && !self.no_wait {
            client.close().await?;
            return Err(
                not_running(&context.data).hint("start it with `once up`, or queue it with --no-wait")
            );
        }
        let bar = if context.json || self.no_wait { ui::Bar::none() } else { ui::Bar::new("sharing", 0) };
        let answer = client.ask_with_progress(params, |progress| bar.show(progress)).await;
        drop(bar);
        let answer = ended(client, answer).await?;
        context.answer(&answer, |answer| print(answer, &to, self.no_wait))?;
        Ok(exit(&answer, self.no_wait))
    }
}

fn exit(answer: &ShareResult, no_wait: bool) -> Exit {
    if !answer.refused.is_empty() {
        Exit::REFUSED
    } else if answer.waiting > 0 && !no_wait {
        Exit::UNREACHABLE
    } else {
        Exit::DONE
    }
}

fn print(answer: &ShareResult, to: &str, no_wait: bool) -> Done<()> {
    let ShareResult { delivered, waiting, refused, .. } = answer;
    let (delivered, waiting) = (*delivered, *waiting);
    let shared = answer.shared.max(delivered + refused.len() as u64 + waiting);
    let to = ui::shown(to);
    if no_wait {
        ui::print(&format!("shared {} with {to}: sent as soon as it can be", ui::count(shared, "object")))?;
    } else {
        ui::print(&format!(
            "delivered {} of {} to {to}",
            ui::number(delivered),
            ui::count(shared, "object")
        ))?;
    }
    for refused in refused {
        let (object, code) = (ui::key(&refused.object), ui::shown(&refused.code));
        ui::say(&format!("refused by {to}: {object} ({code})"));
    }
    for left in &answer.left_out {
        let (target, reason) = (ui::capped(&left.target, 200), ui::shown(&left.reason));
        ui::say(&format!("left out: {target} ({reason})"));
    }
    if waiting > 0 && !no_wait {
        say_how_far(answer, waiting, &to);
    }
    Ok(())
}

/// What is not answered yet, and why.
fn say_how_far(answer: &ShareResult, waiting: u64, to: &str) {
    let (count, one) = (ui::number(waiting), waiting == 1);
    if !answer.connected {
        let waits = if one { "waits" } else { "wait" };
        ui::say(&format!("{count} {waits} in the outbox until {to} is back (`once outbox`)"));
        // A kernel that denies this one is not away: somebody there has to do something.
        if let Some(trouble) = &answer.trouble {
            ui::say(&format!("the last try to reach {to}: {}", ui::capped(trouble, 200)));
            if trouble.contains("denied") {
                ui::say(&format!("`once outbox drop --peer {to}` gives up what waits for it"));
            }
        }
        return;
    }
    let is = if one { "is" } else { "are" };
    ui::say(&format!(
        "{count} {is} still on the way to {to}, which is connected; it goes on (`once outbox`)"
    ));
    for transfer in &answer.transfers {
        ui::say(&format!("sending {}", super::status::progress(transfer)));
    }
}
