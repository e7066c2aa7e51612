//! `once coordinations`

use clap::{Args, ValueEnum};
use once::RunState;
use once::api::Client;
use once::api::contract::{self, CoordinationSummary, CoordinationsResult};

use crate::context::{Context, ended};
use crate::failure::{Done, Exit};
use crate::ui;

/// Coordinations in one call.
const PAGE: usize = 1000;

/// List the coordinations of this kernel
///
/// `once coordination ID` shows the steps of one. Where a terminal is too narrow, ENDED and STARTED go, then NAME stands below each
/// row. In a pipe and with --json all is there.
#[derive(Debug, Args)]
pub struct Coordinations {
    /// Only those in this state
    #[arg(long)]
    state: Option<State>,
    /// Begin behind the last one of a page: `next` of its JSON, or what is said below it
    #[arg(long, value_name = "NEXT")]
    after: Option<String>,
    /// At most this many
    #[arg(short = 'n', long, value_name = "N")]
    limit: Option<usize>,
    /// Only the ids, for scripts
    #[arg(short, long, conflicts_with = "json")]
    quiet: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum State {
    /// Made, and not started
    Planned,
    /// Steps are under way
    Running,
    /// What was done is being undone
    Compensating,
    /// Every step is done
    Done,
    /// What was done is undone
    Compensated,
    /// Needs manual attention
    InDoubt,
}

impl Coordinations {
    /// Page by page.
    pub async fn run(self, context: &Context) -> Done {
        let client = context.kernel().await?;
        let listed = self.list(&client).await;
        let answer = ended(client, listed).await?;
        context.answer(&answer, |answer| self.print(answer))?;
        Ok(Exit::DONE)
    }

    async fn list(&self, client: &Client) -> Result<CoordinationsResult, once::Error> {
        let (mut coordinations, mut after) = (Vec::new(), self.after.clone());
        loop {
            let left = self.limit.map_or(PAGE, |limit| limit.saturating_sub(coordinations.len()).min(PAGE));
            if left == 0 {
                return Ok(CoordinationsResult { coordinations, next: after });
            }
            let state = self.state.map(state);
            let page = client.ask(contract::Coordinations { state, after, limit: Some(left) }).await?;
            coordinations.extend(page.coordinations);
            after = page.next;
            if after.is_none() {
                return Ok(CoordinationsResult { coordinations, next: None });
            }
        }
    }

    fn print(&self, answer: &CoordinationsResult) -> Done<()> {
        if self.quiet {
            return answer.coordinations.iter().try_for_each(|one| ui::print(&one.id.to_string()));
        }
        table(&answer.coordinations)?;
        ui::say(&ui::count(answer.coordinations.len() as u64, "coordination"));
        if let Some(next) = &answer.next {
            ui::say(&format!("more: the same with --after {}", ui::capped(next, 400)));
        }
        if answer.coordinations.iter().any(|one| one.state == RunState::InDoubt) {
            let hint = ui::Paint::stderr().yellow("hint:").to_string();
            ui::say(&format!("{hint} `once coordination ID` shows which steps of one are in doubt, and why"));
        }
        Ok(())
    }
}

const fn state(state: State) -> RunState {
    match state {
        State::Planned => RunState::Planned,
        State::Running => RunState::Running,
        State::Compensating => RunState::Compensating,
        State::Done => RunState::Done,
        State::Compensated => RunState::Compensated,
        State::InDoubt => RunState::InDoubt,
    }
}

fn table(all: &[CoordinationSummary]) -> Done<()> {
    if all.is_empty() {
        return Ok(());
    }
    let mut table = ui::Table::new(["ID", "STATE", "DONE", "NAME", "STARTED", "ENDED"]);
    for one in all {
        let time = |time: Option<u64>| time.map_or_else(|| "-".to_owned(), ui::since);
        table.row([
            one.id.to_string(),
            one.state.word().to_owned(),
            format!("{}/{}", one.done, one.steps),
            one.name.as_deref().map_or_else(|| "-".to_owned(), |name| ui::cell(name, 400)),
            time(one.started_ms),
            time(one.ended_ms),
        ]);
    }
    table.right(2).leave(&[5, 4]).under(&[3]).cut(&[3]).print()
}
