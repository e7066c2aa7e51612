//! `once invites`

use clap::{Args, Subcommand};
use once::api::contract::{self, InviteInfo, InviteState};

use crate::context::Context;
use crate::failure::{Done, Exit};
use crate::ui;

/// List and revoke the invites of this kernel
///
/// Each shows who joined with it.
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
        /// Its petname, its id, or the beginning of that
        invite: String,
    },
}

impl Invites {
    /// A used invite is listed until it expires.
    pub async fn run(self, context: &Context) -> Done {
        match self.command {
            None | Some(Command::List) => {
                let answer = context.ask(contract::Invites {}).await?;
                context.answer(&answer, |answer| print(&answer.invites))?;
            }
            Some(Command::Revoke { invite }) => {
                let answer = context.ask(contract::InvitesRevoke { invite }).await?;
                context.answer(&answer, |answer| {
                    ui::print(&format!("invite {} admits nobody any more", answer.id))
                })?;
            }
        }
        Ok(Exit::DONE)
    }
}

fn print(invites: &[InviteInfo]) -> Done<()> {
    if invites.is_empty() {
        ui::say("no invites: `once invite` makes one");
        return Ok(());
    }
    let mut table = ui::Table::new(["INVITE", "PETNAME", "STATE", "EXPIRES"]);
    for invite in invites {
        let state = match (&invite.used_by_name, invite.state) {
            (Some(by), _) => format!("used by {}", ui::cell(by, 80)),
            (None, InviteState::Open) => "open".to_owned(),
            (None, InviteState::Used) => "used".to_owned(),
            (None, InviteState::Expired) => "expired".to_owned(),
        };
        table.row([
            invite.id.clone(),
            ui::cell(invite.petname.as_deref().unwrap_or_default(), 80),
            state,
            ui::since(invite.expires_ms),
        ]);
    }
    table.under(&[2, 1]).print()
}
