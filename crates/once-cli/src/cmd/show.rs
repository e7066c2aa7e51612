//! `once show`

use std::io::IsTerminal;

use clap::Args;
use serde_json::{Value, json};

use crate::context::{Context, number, text, truth};
use crate::failure::{Done, Exit, Failure};
use crate::ui;

mod path;

/// Print a scenario, byte for byte
///
/// The scenario goes to stdout as it is (on a terminal, what could act on the terminal is escaped); what the kernel
/// knows about it goes to stderr.
///
/// With --path it prints how the object came to its home instead: its first home, and every certificate since, each checked.
/// Exits with 3 then if a signature or a link is not what it has to be.
#[derive(Debug, Args)]
pub struct Show {
    /// Which object
    object: String,
    /// Print its way from its first home to today's, and check every certificate
    #[arg(long)]
    path: bool,
}

impl Show {
    /// A removed object has no text to print.
    pub async fn run(self, context: &Context) -> Done {
        if self.path {
            return path::run(context, &self.object).await;
        }
        let answer = context.call("get", json!({ "object": self.object })).await?;
        if context.json {
            ui::print_json(&answer)?;
            return Ok(Exit::DONE);
        }
        let object = answer.get("object").unwrap_or(&Value::Null);
        if truth(object, "tombstone") {
            let failure = Failure::failed(format!("{} was removed", ui::key(text(object, "key"))));
            return Err(Failure { code: "removed".into(), ..failure });
        }
        about(object);
        document(text(&answer, "text"))?;
        Ok(Exit::DONE)
    }
}

/// What the kernel knows about an object, on stderr.
pub fn about(object: &Value) {
    let paint = ui::Paint::stderr();
    let line = |label: &str, value: String| {
        if !value.is_empty() {
            ui::say(&format!("{} {value}", paint.dim(&format!("{label:<10}"))));
        }
    };
    let component =
        format!("{} {}", ui::shown(text(object, "component")), ui::shown(text(object, "version")));
    line("object", paint.bold(&ui::key(text(object, "key"))));
    line("name", ui::shown(text(object, "name")));
    line("component", component.trim().to_owned());
    line("state", state(object));
    line("size", ui::bytes(number(object, "size")));
    line("ior", ui::capped(text(object, "ior"), 400));
    if number(object, "conflicts") > 0 {
        line("conflicts", format!("{}: see `once conflicts`", number(object, "conflicts")));
    }
}

fn state(object: &Value) -> String {
    let home = match text(object, "home_name") {
        "" => ui::short(text(object, "home")),
        name => ui::shown(name),
    };
    match text(object, "state") {
        "home" => format!("at home here, revision {}", number(object, "revision")),
        "replica" => format!("replica of revision {}, home is {home}", number(object, "revision")),
        "unclaimed" => "unclaimed: nobody has changed it yet".to_owned(),
        other => ui::shown(other),
    }
}

/// A document to stdout: verbatim, but on a terminal fit for it and with a line break at its end.
pub fn document(text: &str) -> Done<()> {
    let mut printer = ui::Printer::new();
    if std::io::stdout().is_terminal() {
        printer.line(&ui::document(text))?;
    } else {
        printer.text(text)?;
    }
    printer.end()
}
