//! `once show --path`

use serde_json::{Value, json};

use crate::context::{Context, list, number, text, truth};
use crate::failure::{Done, Exit};
use crate::ui;

/// The way of an object, whatever is wrong with it.
pub(super) async fn run(context: &Context, object: &str) -> Done {
    let answer = context.call("path", json!({ "object": object })).await?;
    context.answer(&answer, print)?;
    let is_verified = truth(&answer, "verified");
    let steps = ui::count(list(&answer, "path").len() as u64, "step");
    ui::say(&match is_verified {
        true => format!("{steps}: every signature and every link holds"),
        false => format!("{steps}: not everything holds; do not rely on what does not"),
    });
    Ok(if is_verified { Exit::DONE } else { Exit::REFUSED })
}

fn print(answer: &Value) -> Done<()> {
    ui::print(&format!("{}  home {}", ui::key(text(answer, "key")), ui::shown(text(answer, "home_name"))))?;
    for step in list(answer, "path") {
        line(step, &format!("{:>4}  {}", number(step, "epoch"), told(step)))?;
    }
    if let Some(newest) = answer.get("newest").filter(|newest| !newest.is_null()) {
        line(newest, &format!("  here  {}", made(newest)))?;
    }
    match answer.get("leaving").filter(|leaving| !leaving.is_null()) {
        None => Ok(()),
        Some(leaving) => {
            let what = if truth(leaving, "sealed") { "handed over" } else { "about to leave" };
            let (to, since) = (ui::shown(text(leaving, "to")), ui::since(number(leaving, "since_ms")));
            ui::print(&format!("  next  {what} to {to}, since {since} (`once moves`)"))
        }
    }
}

/// A line with its verdict, and below it what is wrong.
fn line(judged: &Value, said: &str) -> Done<()> {
    let paint = ui::Paint::stdout();
    let mark = if truth(judged, "verified") { paint.green("✓") } else { paint.red("✗") };
    ui::print(&format!("{mark} {said}"))?;
    match text(judged, "wrong") {
        "" => Ok(()),
        wrong => ui::print(&format!("        {}", ui::capped(wrong, 400))),
    }
}

fn told(step: &Value) -> String {
    let name = |member: &str| ui::shown(text(step, member));
    let what = match text(step, "kind") {
        "genesis" => format!("genesis at {}", name("home_name")),
        "handoff" => {
            let answer = match step.get("accepted").and_then(Value::as_bool) {
                Some(true) => "accepted",
                Some(false) => "refused",
                None => "not answered",
            };
            format!("handoff from {} to {}, {answer}", name("from_name"), name("home_name"))
        }
        "reopen" => format!("reopened at {}", name("home_name")),
        kind => format!("{} at {}, signed by {}", ui::shown(kind), name("home_name"), name("signer_name")),
    };
    let after = match number(step, "after_revision") {
        0 => String::new(),
        revision => format!(", after revision {revision}"),
    };
    let at = match step.get("at_ms").and_then(Value::as_u64) {
        Some(at_ms) => format!(", {}", ui::utc(at_ms)),
        None => String::new(),
    };
    format!("{what}{after}{at} (certificate {})", ui::short(text(step, "certificate")))
}

fn made(newest: &Value) -> String {
    let by = match text(newest, "by_name") {
        "" => "nobody that the chain names".to_owned(),
        name => ui::shown(name),
    };
    let signed = if truth(newest, "signed") { ", signed" } else { "" };
    format!(
        "revision {}, made by {by} in epoch {}{signed}",
        number(newest, "revision"),
        number(newest, "epoch")
    )
}
