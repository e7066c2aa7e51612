//! `once dead-letters`

use clap::{Args, Subcommand};
use once::DeadLetterKind;
use once::api::Client;
use once::api::contract::{self, DeadLetterInfo, DeadLettersDone, DeadLettersResult};

use crate::context::{Context, ended};
use crate::failure::{Done, Exit};
use crate::ui;

/// Letters in one call.
const PAGE: usize = 1000;

/// List, retry or drop what does not go on by itself
///
/// Also what has waited too long.
///
/// Whatever its age: actions for a kernel that is no peer (any more), answers to objects that no program here can take, and what
/// this disk cannot read. When it is older than --older-than: any action without an outcome, objects that peers are owed, and work
/// outside that nobody has done. What is solved is gone from the list. Where a terminal is too
/// narrow, WHY, OBJECT and FOR stand below each row. In a pipe and with --json all is there.
#[derive(Debug, Args)]
pub struct DeadLetters {
    #[command(subcommand)]
    what: Option<What>,
    /// What waits for so long is too old, like 10m, 2h or 1d
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = ui::parse_ms)]
    older_than: u64,
    /// Begin behind the last one of a page: `next` of its JSON, or what is said below it
    #[arg(long, value_name = "NEXT")]
    after: Option<String>,
    /// At most this many
    #[arg(short = 'n', long, value_name = "N")]
    limit: Option<usize>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Try again now: kernels are called, programs are asked
    Retry(Which),
    /// Give up: actions are taken back, peers are not owed objects any more, work outside has failed
    ///
    /// An action that has run already has run: its home says so. What cannot be given up says why, and the exit code is 1.
    Drop(Which),
}

#[derive(Debug, Args)]
struct Which {
    /// The ids, as `once dead-letters` shows them
    #[arg(value_name = "ID", required_unless_present = "all")]
    ids: Vec<String>,
    /// All that is listed
    #[arg(long, conflicts_with = "ids")]
    all: bool,
    /// With --all: only what waits for so long, like 10m, 2h or 1d
    #[arg(long, value_name = "TIME", requires = "all", value_parser = ui::parse_ms)]
    older_than: Option<u64>,
}

impl DeadLetters {
    /// Lists, or does something about some.
    pub async fn run(self, context: &Context) -> Done {
        match self.what {
            None => self.print(context).await,
            Some(What::Retry(Which { ids, all, older_than: older_than_ms })) => {
                let answer = context.ask(contract::DeadLettersRetry { ids, all, older_than_ms }).await?;
                done(context, &answer)
            }
            Some(What::Drop(Which { ids, all, older_than: older_than_ms })) => {
                let answer = context.ask(contract::DeadLettersDrop { ids, all, older_than_ms }).await?;
                done(context, &answer)
            }
        }
    }

    async fn print(self, context: &Context) -> Done {
        let client = context.kernel().await?;
        let listed = self.list(&client).await;
        let answer = ended(client, listed).await?;
        context.answer(&answer, |answer| {
            table(&answer.letters)?;
            match answer.total {
                0 => ui::say("no dead letters"),
                n => ui::say(&ui::count(n as u64, "dead letter")),
            }
            if let Some(next) = &answer.next {
                ui::say(&format!("more: the same with --after {}", ui::capped(next, 120)));
            }
            if answer.total > 0 {
                let hint = ui::Paint::stderr().yellow("hint:").to_string();
                ui::say(&format!(
                    "{hint} `once dead-letters retry --all` tries again, `once dead-letters drop ID` gives one up; --json says \
                     more of each"
                ));
            }
            Ok(())
        })?;
        Ok(Exit::DONE)
    }

    async fn list(&self, client: &Client) -> Result<DeadLettersResult, once::Error> {
        let (mut letters, mut after) = (Vec::new(), self.after.clone());
        loop {
            let left = self.limit.map_or(PAGE, |limit| limit.saturating_sub(letters.len()).clamp(1, PAGE));
            let older_than_ms = Some(self.older_than);
            let page = client.ask(contract::DeadLetters { older_than_ms, after, limit: Some(left) }).await?;
            letters.extend(page.letters);
            after = page.next;
            if after.is_none() || self.limit.is_some_and(|limit| letters.len() >= limit) {
                return Ok(DeadLettersResult { letters, total: page.total, next: after });
            }
        }
    }
}

fn table(letters: &[DeadLetterInfo]) -> Done<()> {
    if letters.is_empty() {
        return Ok(());
    }
    let mut table = ui::Table::new(["ID", "WHAT", "SINCE", "FOR", "OBJECT", "WHY"]);
    for letter in letters {
        let kind = match letter.kind {
            DeadLetterKind::Action => "act",
            DeadLetterKind::Share => "share",
            DeadLetterKind::Work => "work",
            DeadLetterKind::Damage => "damage",
            _ => "other",
        };
        let name = letter.name.as_deref().map_or_else(String::new, |name| format!(" {}", ui::cell(name, 80)));
        table.row([
            ui::shown(&letter.id),
            format!("{kind}{name}"),
            letter.since_ms.map_or_else(|| "-".to_owned(), ui::since),
            letter.reach.as_ref().map_or_else(|| "-".to_owned(), |reach| ui::cell(&reach.peer, 80)),
            letter.object.as_deref().map_or_else(|| "-".to_owned(), ui::key),
            ui::cell(&letter.detail, 400),
        ]);
    }
    table.under(&[5, 4, 3]).cut(&[1]).print()
}

/// Each says what became of it: what was not done is a failure.
fn done(context: &Context, answer: &DeadLettersDone) -> Done {
    context.answer(answer, |answer| {
        for one in &answer.results {
            let (id, message) = (ui::shown(&one.id), ui::capped(&one.message, 400));
            let paint = ui::Paint::stderr();
            let mark = if one.done { String::new() } else { format!("{} ", paint.red("error:")) };
            ui::say(&format!("{mark}{id}: {message}"));
            if let Some(hint) = one.hint.as_deref().filter(|_| !one.done) {
                ui::say(&format!("{} {}", paint.yellow("hint:"), ui::capped(hint, 400)));
            }
        }
        if answer.results.is_empty() {
            ui::say("no dead letters");
        }
        Ok(())
    })?;
    let all = answer.results.iter().all(|one| one.done);
    Ok(if all { Exit::DONE } else { Exit::FAILED })
}
