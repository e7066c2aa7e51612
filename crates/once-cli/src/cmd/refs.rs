//! `once refs`

use clap::Args;
use once::api::contract::{self, ReferenceInfo};

use crate::context::Context;
use crate::failure::{Done, Exit};
use crate::ui;

/// List what an object refers to, and whether it is here
#[derive(Debug, Args)]
pub struct Refs {
    /// The object whose references are listed
    object: String,
}

impl Refs {
    /// Declared references, IOR texts and bare UUIDs.
    pub async fn run(self, context: &Context) -> Done {
        let answer = context.ask(contract::Refs { object: self.object }).await?;
        context.answer(&answer, |answer| {
            let references = &answer.references;
            if references.is_empty() {
                ui::say("no references");
                return Ok(());
            }
            let mut table = ui::Table::new(["HERE", "PLACE", "TARGET"]);
            for reference in references {
                table.row([
                    here(reference),
                    ui::cell(&reference.path, 400),
                    ui::cell(&reference.target, 400),
                ]);
            }
            table.under(&[1, 2]).cut(&[1, 2]).print()?;
            if answer.truncated {
                ui::say("There are more: only so many are read from one scenario.");
            }
            Ok(())
        })?;
        Ok(Exit::DONE)
    }
}

fn here(reference: &ReferenceInfo) -> String {
    match reference.objects.len() {
        0 => "-".to_owned(),
        1 => "yes".to_owned(),
        n => format!("{n} objects"),
    }
}
