//! `once doctor`

use clap::Args;
use once::api::contract::{self, CheckInfo, ConfirmLosses, DoctorResult};

use crate::context::Context;
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

/// What helps where a kernel cannot be examined.
const SALVAGE: &str = "stop the kernel and start it again; if that does not help, `once export --salvage DIR` brings out all that can be read";

impl Doctor {
    /// A kernel that cannot even be asked is a finding, too.
    pub async fn run(self, context: &Context) -> Done {
        if self.confirm_loss {
            return confirm(context).await;
        }
        let mut answer = match context.ask(contract::Doctor { all: self.all }).await {
            Ok(answer) => answer,
            Err(failure) => DoctorResult {
                checks: vec![CheckInfo {
                    check: "kernel".to_owned(),
                    ok: false,
                    unexamined: false,
                    message: failure.message,
                    // Who asks for this is not told to ask for this.
                    hint: failure.hint.map(|hint| match hint.contains("once doctor") {
                        true => SALVAGE.to_owned(),
                        false => hint,
                    }),
                }],
            },
        };
        pasted(&mut answer.checks);
        context.answer(&answer, |answer| answer.checks.iter().try_for_each(print))?;
        let wrong = answer.checks.iter().filter(|check| !check.ok).count() as u64;
        ui::say(&match wrong {
            0 => "nothing is wrong".to_owned(),
            n => format!("{} to look at", ui::count(n, "thing")),
        });
        Ok(if wrong == 0 { Exit::DONE } else { Exit::FAILED })
    }
}

async fn confirm(context: &Context) -> Done {
    let answer = context.ask(ConfirmLosses {}).await?;
    context.answer(&answer, |answer| {
        answer.confirmed.iter().try_for_each(|loss| ui::prose(&ui::capped(&loss.message, 400)))
    })?;
    ui::say(if answer.confirmed.is_empty() { "nothing was cut off" } else { "confirmed" });
    Ok(Exit::DONE)
}

/// With commands that can be pasted, also for who reads them in JSON.
pub(super) fn pasted(checks: &mut [CheckInfo]) {
    for check in checks {
        check.message = ui::pasted(&check.message);
        check.hint = check.hint.as_deref().map(ui::pasted);
    }
}

pub(super) fn print(check: &CheckInfo) -> Done<()> {
    let paint = ui::Paint::stdout();
    let mark = match check.ok {
        true if check.unexamined => paint.dim("-"),
        true => paint.green("✓"),
        false => paint.red("✗"),
    };
    let (name, message) = (ui::shown(&check.check), ui::capped(&check.message, 400));
    ui::prose(&format!("{mark} {name:<12} {message}"))?;
    match &check.hint {
        None => Ok(()),
        Some(hint) => ui::prose(&format!("  {:<12} {} {}", "", paint.yellow("hint:"), ui::capped(hint, 400))),
    }
}
