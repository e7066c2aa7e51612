//! `once outcome`

use clap::Args;
use serde_json::json;

use crate::context::Context;
use crate::failure::{Done, Exit};

/// Say what came of an action that this kernel accepted
#[derive(Debug, Args)]
pub struct Outcome {
    /// The action's id
    id: String,
}

impl Outcome {
    /// Also of one that is still under way.
    pub async fn run(self, context: &Context) -> Done {
        let answer = context.call("outcome", json!({ "id": self.id })).await?;
        context.answer(&answer, super::act::print)?;
        Ok(Exit::DONE)
    }
}
