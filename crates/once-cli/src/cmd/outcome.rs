//! `once outcome`

use clap::Args;
use once::api::contract;
use once::model::ids::Uuid;

use crate::context::Context;
use crate::failure::{Done, Exit};

/// Say what came of an action that this kernel accepted
///
/// Of a coordination: how it stands, and the exit code of `once coordinate --wait` if it has ended.
#[derive(Debug, Args)]
pub struct Outcome {
    /// The action's id
    id: Uuid,
}

impl Outcome {
    /// Also of one that is still under way.
    pub async fn run(self, context: &Context) -> Done {
        let answer = context.ask(contract::Outcome { id: self.id }).await?;
        let coordination = answer.coordination.as_deref();
        context.answer(&answer, |answer| {
            coordination.map_or_else(|| super::act::print(answer), super::coordinate::print)
        })?;
        Ok(coordination.map_or(Exit::DONE, super::coordinate::exit))
    }
}
