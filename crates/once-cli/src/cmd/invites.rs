//! `once invites`

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::context::{Context, list, number, text};
use crate::failure::{Done, Exit};
use crate::ui;

/// List the invites of this kernel, and who came by them; take one back
#[derive(Debug, Args)]
pub struct Invites {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List them (the default)
    List,
    /// Take one back that nobody has used: its ticket admits nobody any more
    Revoke {
        /// Its id, or the beginning of it
        invite: String,
    },
}

impl Invites {
    /// A used invite is listed until it expires.
    pub async fn run(self, context: &Context) -> Done {
        match self.command {
            None | Some(Command::List) => {
                let answer = context.call("invites", json!({})).await?;
                context.answer(&answer, |answer| print(list(answer, "invites")))?;
            }
            Some(Command::Revoke { invite }) => {
                let answer = context.call("invites.revoke", json!({ "invite": invite })).await?;
                context.answer(&answer, |answer| {
                    ui::print(&format!("invite {} admits nobody any more", text(answer, "id")))
                })?;
            }
        }
        Ok(Exit::DONE)
    }
}

fn print(invites: &[Value]) -> Done<()> {
    if invites.is_empty() {
        ui::say("no invites: `once invite` makes one");
        return Ok(());
    }
    let mut table = ui::Table::new(["INVITE", "PETNAME", "STATE", "EXPIRES"]);
    for invite in invites {
        let state = match text(invite, "used_by_name") {
            "" => text(invite, "state").to_owned(),
            by => format!("used by {}", ui::shown(by)),
        };
        table.row([
            text(invite, "id").to_owned(),
            ui::shown(text(invite, "petname")),
            state,
            ui::since(number(invite, "expires_ms")),
        ]);
    }
    table.print()
}
