//! `once outcome`

use clap::Args;
use once::api::contract;
use once::model::ids::Uuid;

use crate::context::Context;
use crate::failure::{Done, Exit};
use crate::ui;

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
        context.answer(&answer, |answer| match (coordination, &answer.done) {
            (Some(coordination), _) => super::coordinate::print(coordination),
            (None, Some(_)) => super::act::print(answer),
            (None, None) => waits(answer.id),
        })?;
        Ok(coordination.map_or(Exit::DONE, super::coordinate::exit))
    }
}

/// There is none yet, and asking again tells no more.
fn waits(id: Uuid) -> Done<()> {
    ui::say(&format!(
        "accepted, and without an outcome yet: `once outbox` says what it waits for, `once cancel {id}` takes it back"
    ));
    ui::print(&id.to_string())
}
