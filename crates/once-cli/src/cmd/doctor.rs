//! `once doctor`

use clap::Args;
use serde_json::{Value, json};

use crate::context::{Context, list, text, truth};
use crate::failure::{Done, Exit, Failure};
use crate::ui;

/// Look for what is wrong, and say what to do about it
///
/// Exits with 1 if anything is.
#[derive(Debug, Args)]
pub struct Doctor {}

impl Doctor {
    /// A kernel that cannot even be asked is a finding, too.
    pub async fn run(self, context: &Context) -> Done {
        let answer = match look(context).await {
            Ok(answer) => answer,
            Err(failure) => json!({ "checks": [{ "check": "kernel", "ok": false,
                "message": failure.message, "hint": failure.hint }] }),
        };
        let checks = list(&answer, "checks");
        context.answer(&answer, |_| checks.iter().try_for_each(print))?;
        let wrong = checks.iter().filter(|check| !truth(check, "ok")).count() as u64;
        ui::say(&match wrong {
            0 => "nothing is wrong".to_owned(),
            n => format!("{} to look at", ui::count(n, "thing")),
        });
        Ok(if wrong == 0 { Exit::DONE } else { Exit::FAILED })
    }
}

async fn look(context: &Context) -> Done<Value> {
    let client = context.kernel().await?;
    let running = !client.is_embedded();
    let answer = client.call("doctor", json!({})).await;
    let closed = client.close().await;
    let mut answer = answer?;
    closed?;
    let checks = answer.get_mut("checks").and_then(Value::as_array_mut);
    let checks = checks.ok_or_else(|| Failure::fault("the kernel's answer has no checks"))?;
    let check = if running {
        json!({ "check": "running", "ok": true, "message": "the kernel runs" })
    } else {
        json!({ "check": "running", "ok": false, "message": "the kernel does not run: nobody can reach it",
            "hint": "start it with `once up`" })
    };
    checks.insert(0, check);
    Ok(answer)
}

fn print(check: &Value) -> Done<()> {
    let paint = ui::Paint::stdout();
    let mark = if truth(check, "ok") { paint.green("✓") } else { paint.red("✗") };
    let (name, message) = (ui::shown(text(check, "check")), ui::capped(text(check, "message"), 400));
    ui::print(&format!("{mark} {name:<12} {message}"))?;
    match text(check, "hint") {
        "" => Ok(()),
        hint => ui::print(&format!("  {:<12} {} {}", "", paint.yellow("hint:"), ui::capped(hint, 400))),
    }
}
