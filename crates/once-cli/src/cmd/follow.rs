//! `once follow`

use clap::Args;
use serde_json::{Value, json};

use crate::context::{Context, list, text, with};
use crate::failure::{Done, Exit};
use crate::ui;

/// Keep the copy of an object up to date; without an object, list what is followed
#[derive(Debug, Args)]
pub struct Follow {
    /// Which object
    object: Option<String>,
    /// From whom (default: its home)
    #[arg(long, value_name = "PEER", requires = "object")]
    from: Option<String>,
}

impl Follow {
    /// The subscription is kept here, and repeated whenever the two kernels meet.
    pub async fn run(self, context: &Context) -> Done {
        let Some(object) = self.object else { return print(context).await };
        let params = with(json!({ "object": object }), [("from", self.from.map(Into::into))]);
        let answer = context.call("follow", params).await?;
        context.answer(&answer, |answer| {
            let (key, peer) = (ui::key(text(answer, "key")), peer(answer));
            ui::print(&format!("following {key} from {peer}"))
        })?;
        Ok(Exit::DONE)
    }
}

/// The petname where there is one.
fn peer(row: &Value) -> String {
    match text(row, "name") {
        "" => ui::short(text(row, "peer")),
        name => ui::shown(name),
    }
}

async fn print(context: &Context) -> Done {
    let answer = context.call("follows", json!({})).await?;
    context.answer(&answer, |answer| {
        let (following, followers) = (list(answer, "following"), list(answer, "followers"));
        if following.is_empty() && followers.is_empty() {
            ui::say("nothing is followed");
            return Ok(());
        }
        let mut table = ui::Table::new(["OBJECT", "", "PEER"]);
        let mut add = |rows: &[Value], how: &str| {
            for row in rows {
                table.row([ui::key(text(row, "key")), how.to_owned(), peer(row)]);
            }
        };
        add(following, "from");
        add(followers, "to");
        table.print()
    })?;
    Ok(Exit::DONE)
}
