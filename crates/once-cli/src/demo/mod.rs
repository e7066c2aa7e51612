//! `once demo`: the main job in one go, on two real kernels, before everybody's eyes.

mod acts;
mod asker;
mod change;
mod damage;
mod examples;
mod folder;
mod hold;
mod measure;
mod node;
mod play;
mod report;
mod travel;
mod world;

use std::path::PathBuf;

use clap::Args;

use crate::cmd::up::Signals;
use crate::context::Context;
use crate::failure::{Done, Exit, Failure};
use crate::ui;
use report::{Report, Stage};
use world::World;

/// Watch kernels work together while they are killed
///
/// They exchange scenarios, and act on each other's objects.
///
/// Starts two kernels as separate processes with data directories of their own, imports FOLDER into the first (without
/// one: generated examples), shares everything with the second, kills that one with SIGKILL halfway and starts it
/// again, and compares every scenario byte for byte. Then it changes ten, exchanges again, and measures. With a third
/// kernel it counts on counters and moves money between accounts on all three, thousands of times, while one after the
/// other is killed, and counts what came of it: each action once. At last an object travels from alice to bob to carol
/// and home again, while all three act on it and are killed. Everything it starts ends with it. Exits with 0 if nothing
/// was lost, doubled or changed, else with 1.
#[derive(Debug, Args)]
pub struct Demo {
    /// A folder of scenarios (default: generated examples)
    folder: Option<PathBuf>,
    /// Go on exchanging and acting until Ctrl-C: kill any of the printed pids, and watch the verdict stay
    #[arg(long)]
    hold: bool,
}

impl Demo {
    /// Always ends with a verdict, also when it breaks off.
    pub async fn run(self, context: &Context) -> Done {
        let mut signals = Signals::new()?;
        let stage = Stage::new(context.json);
        let mut report = Report::default();
        let outcome = self.perform(&stage, &mut report, &mut signals).await;
        if let Err(failure) = outcome {
            report.fail(failure.message);
            if let Some(hint) = failure.hint {
                stage.talk(&format!("hint: {hint}"));
            }
        }
        if context.json {
            ui::print_json(&report.json())?
        } else {
            stage.verdict(&report)
        }
        Ok(if report.is_ok() { Exit::DONE } else { Exit::FAILED })
    }

    /// The world is gone when this returns: no process, no file of it is left.
    async fn perform(&self, stage: &Stage, report: &mut Report, signals: &mut Signals) -> Done<()> {
        let mut world = World::new()?;
        let interrupted = || Failure::failed("interrupted; everything that was started is stopped");
        tokio::select! {
            played = play::play(&mut world, self.folder.as_deref(), stage, report) => played?,
            () = signals.next() => return Err(interrupted()),
        }
        if self.hold && report.is_ok() {
            hold::hold(&mut world, stage, report, signals).await?;
        }
        stage.begin("stopping the kernels");
        world.stop().await;
        Ok(())
    }
}
