//! `once follow`

use clap::Args;
use once::api::contract::{self, FollowInfo};

use crate::context::Context;
use crate::failure::{Done, Exit};
use crate::ui;

/// Keep the copy of an object up to date
///
/// Without an object it lists what is followed.
#[derive(Debug, Args)]
pub struct Follow {
    /// The object to follow; without it, what is followed is listed
    object: Option<String>,
    /// From whom (default: its home)
    #[arg(long, value_name = "PEER", requires = "object")]
    from: Option<String>,
}

impl Follow {
    /// The subscription is kept here, and repeated whenever the two kernels meet.
    pub async fn run(self, context: &Context) -> Done {
        let Some(object) = self.object else { return print(context).await };
        let answer = context.ask(contract::Follow { object, from: self.from }).await?;
        context.answer(&answer, |answer| {
            let (key, peer) = (ui::key(&answer.key), peer(answer));
            ui::print(&format!("following {key} from {peer}"))
        })?;
        Ok(Exit::DONE)
    }
}

/// The petname where there is one.
fn peer(row: &FollowInfo) -> String {
    match row.name.as_str() {
        "" => ui::kernel(&row.peer),
        name => ui::cell(name, 80),
    }
}

async fn print(context: &Context) -> Done {
    let answer = context.ask(contract::Follows {}).await?;
    context.answer(&answer, |answer| {
        let (following, followers) = (&answer.following, &answer.followers);
        if following.is_empty() && followers.is_empty() {
            ui::say("nothing is followed");
            return Ok(());
        }
        let mut table = ui::Table::new(["OBJECT", "", "PEER"]);
        let mut add = |rows: &[FollowInfo], how: &str| {
            for row in rows {
                table.row([ui::key(&row.key), how.to_owned(), peer(row)]);
            }
        };
        add(following, "from");
        add(followers, "to");
        table.under(&[2]).print()
    })?;
    Ok(Exit::DONE)
}
