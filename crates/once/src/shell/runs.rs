//! What is done beside the engine, and told to it.

use once_core::waist::{Input, Ran, Run, Work};

use super::mail::Mail;
use super::shared::Shared;

/// Runs an action beside the engine, and tells it what came of it.
pub(crate) fn run_whole(shared: &Shared, run: &Run) {
    let result = shared.components.run_whole(run);
    let ran = Ran { run: run.run, key: run.key, result };
    // A kernel that has stopped meanwhile runs it again when it starts.
    let _ = shared.mail.blocking_send(Mail::Input(Input::Ran(Box::new(ran))));
}

/// Has work done outside by this kernel itself, and tells the engine what came of it.
pub(crate) async fn work_outside(shared: &Shared, work: Work) {
    let (key, id) = (work.key, work.id);
    let Some(result) = shared.components.work(work).await else { return };
    let _ = shared.mail.send(Mail::Input(Input::Worked { key, id, result })).await;
}
