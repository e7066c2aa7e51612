//! `once show --path`

use once::api::contract::{self, NewestInfo, PathResult, PathStepInfo};

use crate::context::Context;
use crate::failure::{Done, Exit};
use crate::ui;

/// The way of an object, whatever is wrong with it.
pub(super) async fn run(context: &Context, object: &str) -> Done {
    let answer = context.ask(contract::Path { object: object.to_owned() }).await?;
    context.answer(&answer, print)?;
    let is_verified = answer.verified;
    let steps = ui::count(answer.path.len() as u64, "step");
    ui::say(&match is_verified {
        true => format!("{steps}: every signature and every link holds"),
        false => format!("{steps}: not everything holds; do not rely on what does not"),
    });
    Ok(if is_verified { Exit::DONE } else { Exit::REFUSED })
}

/// A name, if there is one.
fn name(name: &Option<String>) -> String {
    ui::shown(name.as_deref().unwrap_or_default())
}

fn print(answer: &PathResult) -> Done<()> {
    ui::print(&format!("{}  home {}", ui::key(&answer.key), name(&answer.home_name)))?;
    for step in &answer.path {
        line(step.verified, step.wrong.as_deref(), &format!("{:>4}  {}", step.epoch, told(step)))?;
    }
    if let Some(newest) = &answer.newest {
        line(newest.verified, newest.wrong.as_deref(), &format!("  here  {}", made(newest)))?;
    }
    match &answer.leaving {
        None => Ok(()),
        Some(leaving) => {
            let what = if leaving.sealed { "handed over" } else { "about to leave" };
            let (to, since) = (ui::shown(&leaving.to), ui::since(leaving.since_ms));
            ui::prose(&format!("  next  {what} to {to}, since {since} (`once moves`)"))
        }
    }
}

/// A line with its verdict, and below it what is wrong.
fn line(verified: bool, wrong: Option<&str>, said: &str) -> Done<()> {
    let paint = ui::Paint::stdout();
    let mark = if verified { paint.green("✓") } else { paint.red("✗") };
    ui::prose(&format!("{mark} {said}"))?;
    match wrong {
        None => Ok(()),
        Some(wrong) => ui::prose(&format!("        {}", ui::capped(wrong, 400))),
    }
}

fn told(step: &PathStepInfo) -> String {
    let home = ui::shown(&step.home_name);
    let what = match step.kind.as_str() {
        "genesis" => format!("genesis at {home}"),
        "handoff" => {
            let answer = match step.accepted {
                Some(true) => "accepted",
                Some(false) => "refused",
                None => "not answered",
            };
            format!("handoff from {} to {home}, {answer}", name(&step.from_name))
        }
        "reopen" => format!("reopened at {home}"),
        kind => format!("{} at {home}, signed by {}", ui::shown(kind), name(&step.signer_name)),
    };
    let after = match step.after_revision {
        0 => String::new(),
        revision => format!(", after revision {revision}"),
    };
    let at = step.at_ms.map_or_else(String::new, |at_ms| format!(", {}", ui::utc(at_ms)));
    format!("{what}{after}{at} (certificate {})", ui::short(&step.certificate))
}

fn made(newest: &NewestInfo) -> String {
    let by = newest
        .by_name
        .as_ref()
        .map_or_else(|| "nobody that the chain names".to_owned(), |name| ui::shown(name));
    let signed = if newest.signed { ", signed" } else { "" };
    format!("revision {}, made by {by} in epoch {}{signed}", newest.revision, newest.epoch)
}
