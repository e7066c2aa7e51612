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
pub struct Doctor {
    /// Read every object, however many there are and however long that takes
    #[arg(long)]
    all: bool,
    /// Say that you have seen what was cut off the journal: it is not spoken of any more
    #[arg(long, conflicts_with = "all")]
    confirm_loss: bool,
}

impl Doctor {
    /// A kernel that cannot even be asked is a finding, too.
    pub async fn run(self, context: &Context) -> Done {
        if self.confirm_loss {
            return confirm(context).await;
        }
        let answer = match context.call("doctor", json!({ "all": self.all })).await {
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

async fn confirm(context: &Context) -> Done {
    let answer = context.call("confirm_losses", json!({})).await?;
    context.answer(&answer, |answer| {
        list(answer, "confirmed")
            .iter()
            .try_for_each(|loss| ui::print(&ui::capped(text(loss, "message"), 400)))
    })?;
    ui::say(match list(&answer, "confirmed") {
        [] => "nothing was cut off",
        _ => "confirmed",
    });
    Ok(Exit::DONE)
}

pub(super) fn print(check: &Value) -> Done<()> {
    let paint = ui::Paint::stdout();
    let mark = if truth(check, "ok") { paint.green("✓") } else { paint.red("✗") };
    let (name, message) = (ui::shown(text(check, "check")), ui::capped(text(check, "message"), 400));
    ui::print(&format!("{mark} {name:<12} {message}"))?;
    match text(check, "hint") {
        "" => Ok(()),
        hint => ui::print(&format!("  {:<12} {} {}", "", paint.yellow("hint:"), ui::capped(hint, 400))),
    }
}
