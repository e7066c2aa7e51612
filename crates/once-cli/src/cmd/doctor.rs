//! `once doctor`

use clap::Args;
use serde_json::{Value, json};

use crate::context::{Context, list, text, truth};
use crate::failure::{Done, Exit};
use crate::ui;

/// Look for what is wrong, and say what to do about it
///
/// Exits with 1 if anything is.
#[derive(Debug, Args)]
pub struct Doctor {}

impl Doctor {
    /// A kernel that cannot even be asked is a finding, too.
    pub async fn run(self, context: &Context) -> Done {
        let answer = match context.call("doctor", json!({})).await {
            Ok(answer) => answer,
            Err(failure) => json!({ "checks": [{ "check": "kernel", "ok": false,
                "message": failure.message, "hint": failure.hint }] }),
        };
        let mut answer = answer;
        for check in answer["checks"].as_array_mut().into_iter().flatten() {
            for member in ["message", "hint"] {
                let said = check[member].as_str().map(ui::pasted);
                said.into_iter().for_each(|said| check[member] = said.into());
            }
        }
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
