//! `once create`

use clap::Args;
use once::ActionsKnown;
use once::api::contract::{self, ChangeKind};
use once::model::ids::Uuid;
use serde_json::value::RawValue;

use crate::context::{Context, ended};
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
        let params = contract::Create {
            component: self.component,
            version: self.version,
            model: None,
            // As a text: its spelling is kept.
            model_text: self.model.map(|json| json.get().to_owned()),
            uuid: self.uuid,
        };
        let client = context.kernel().await?;
        let made = async {
            let answer = client.ask(params).await?;
            let known = client.ask(contract::Actions { object: answer.object.key.clone() }).await?.known;
            Ok((answer, known))
        };
        let made = made.await;
        let (answer, known) = ended(client, made).await?;
        context.answer(&answer, |answer| {
            if known == ActionsKnown::Record {
                let component = ui::shown(&answer.object.component);
                ui::say(&format!(
                    "note: this kernel has no component {component}: the object is a plain record (`once actions OBJECT` lists what it understands)"
                ));
            }
            match answer.change {
                ChangeKind::Same => ui::say("it was here already"),
                ChangeKind::Beside => {
                    ui::say("another object here has this UUID: both are kept: `once conflicts` lists them")
                }
                _ => {}
            }
            ui::print(&ui::capped(&answer.object.ior, IOR_MAX_CHARS))
        })?;
        Ok(Exit::DONE)
    }
}

/// As long as an IOR may be.
const IOR_MAX_CHARS: usize = 4096;
