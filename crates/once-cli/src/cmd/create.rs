//! `once create`

use clap::Args;
use once::model::ids::Uuid;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::context::{Context, text, with};
use crate::failure::{Done, Exit};
use crate::ui;

/// Make a new object with its home here, and print its IOR
#[derive(Debug, Args)]
pub struct Create {
    /// What it is: `Counter` and `Account` come with every kernel
    component: String,
    /// Its first state (default: as its component says, else {})
    #[arg(value_name = "JSON", value_parser = super::act::json_value, allow_hyphen_values = true)]
    model: Option<Box<RawValue>>,
    /// Its UUID (default: a new one)
    #[arg(long)]
    uuid: Option<Uuid>,
    /// The version of its component (default: the one that this kernel has, else 1.0)
    #[arg(long)]
    version: Option<String>,
}

impl Create {
    /// The same UUID and state again make no second object.
    pub async fn run(self, context: &Context) -> Done {
        let params = with(
            json!({ "component": self.component }),
            [
                // As a text: its spelling is kept.
                ("model_text", self.model.map(|json| Value::from(json.get()))),
                ("uuid", self.uuid.map(|uuid| Value::from(uuid.to_string()))),
                ("version", self.version.map(Value::from)),
            ],
        );
        let answer = context.call("create", params).await?;
        context.answer(&answer, |answer| {
            match text(answer, "change") {
                "same" => ui::say("it was here already"),
                "beside" => {
                    ui::say("another object here has this UUID: both are kept: `once conflicts` lists them")
                }
                _ => {}
            }
            ui::print(&ui::capped(text(answer.get("object").unwrap_or(&Value::Null), "ior"), IOR_MAX_CHARS))
        })?;
        Ok(Exit::DONE)
    }
}

/// As long as an IOR may be.
const IOR_MAX_CHARS: usize = 4096;
