//! `once unfollow`

use clap::Args;
use serde_json::json;

use crate::context::{Context, text, with};
use crate::failure::{Done, Exit};
use crate::ui;

/// No longer keep the copy of an object up to date; the copy stays
#[derive(Debug, Args)]
pub struct Unfollow {
    /// Which object
    object: String,
    /// From whom (default: its home)
    #[arg(long, value_name = "PEER")]
    from: Option<String>,
}

impl Unfollow {
    /// The other kernel hears of it when the two meet.
    pub async fn run(self, context: &Context) -> Done {
        let params = with(json!({ "object": self.object }), [("from", self.from.map(Into::into))]);
        let answer = context.call("unfollow", params).await?;
        context.answer(&answer, |answer| {
            ui::print(&format!("no longer following {}", ui::key(text(answer, "key"))))
        })?;
        Ok(Exit::DONE)
    }
}
