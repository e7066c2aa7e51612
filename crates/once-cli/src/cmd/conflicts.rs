//! `once conflicts`

use clap::{Args, Subcommand};
use once::api::Client;
use once::api::contract::{self, BesideInfo, ConflictInfo, ConflictReason, ConflictsResult, VersionInfo};

use crate::context::{Context, ended};
use crate::failure::{Done, Exit};
use crate::ui;

/// List and resolve conflicts
///
/// A conflict is a revision that was made apart from the one that is kept here, or another object with the same UUID. `keep` and `drop` decide.
///
/// Nothing is lost in a conflict: every version is kept, until somebody decides.
#[derive(Debug, Args)]
pub struct Conflicts {
    #[command(subcommand)]
    decision: Option<Decision>,
    /// Also list what only waits for its home to prove that the newest revision continues it
    #[arg(long)]
    all: bool,
}

#[derive(Debug, Subcommand)]
enum Decision {
    /// Make a version that is kept beside the newest one the object's next revision (at its home)
    Keep(Which),
    /// Discard a version that is kept beside the newest one
    Drop(Which),
}

#[derive(Debug, Args)]
struct Which {
    /// The object that it is kept beside
    object: String,
    /// The revision that is kept, or a beginning of its id
    revision: String,
}

impl Conflicts {
    /// Lists, or decides about one.
    pub async fn run(self, context: &Context) -> Done {
        match self.decision {
            None => show(context, self.all).await,
            Some(Decision::Keep(Which { object, revision })) => {
                super::put::change(context, [contract::ConflictsKeep { object, revision }]).await
            }
            Some(Decision::Drop(Which { object, revision })) => {
                super::put::change(context, [contract::ConflictsDrop { object, revision }]).await
            }
        }
    }
}

/// Conflicts in one call: each of their versions is read for it.
const PAGE_CONFLICTS: usize = 256;

/// All of them, page by page.
pub async fn every(client: &Client) -> Result<ConflictsResult, once::Error> {
    let (mut conflicts, mut after) = (Vec::new(), None);
    loop {
        let page = client.ask(contract::Conflicts { after, limit: Some(PAGE_CONFLICTS) }).await?;
        conflicts.extend(page.conflicts);
        after = page.next;
        if after.is_none() {
            return Ok(ConflictsResult { conflicts, next: None, read_only: page.read_only });
        }
    }
}

async fn show(context: &Context, all: bool) -> Done {
    let client = context.kernel().await?;
    let found = every(&client).await;
    let answer = ended(client, found).await?;
    context.answer(&answer, |answer| {
        let waits = |conflict: &&ConflictInfo| conflict.reason == ConflictReason::NotProven;
        let every = &answer.conflicts;
        let conflicts: Vec<&ConflictInfo> = every.iter().filter(|conflict| all || !waits(conflict)).collect();
        for conflict in &conflicts {
            let why = match conflict.reason {
                ConflictReason::SameUuid => "different objects with the same UUID",
                ConflictReason::Forked => "changed apart",
                ConflictReason::NotProven => {
                    "replaced by a revision that its home has not proven to continue it"
                }
            };
            ui::print(&format!("{}  {why}", ui::shown(conflict.uuid.as_deref().unwrap_or_default())))?;
            for object in &conflict.objects {
                match conflict.reason {
                    ConflictReason::SameUuid => other(object)?,
                    ConflictReason::Forked | ConflictReason::NotProven => version(object)?,
                }
            }
        }
        let waiting = every.iter().filter(waits).count() as u64;
        ui::say(&match conflicts.len() as u64 - if all { waiting } else { 0 } {
            0 => "no conflicts".to_owned(),
            n => ui::count(n, "conflict"),
        });
        if waiting > 0 {
            let objects = ui::count(waiting, "object");
            ui::say(&format!(
                "{objects} not proven: the home is asked when it is there (`once conflicts --all`)"
            ));
        }
        if answer.read_only > 0 {
            ui::say(&super::status::read_only(answer.read_only));
        }
        let hint = ui::Paint::stderr().yellow("hint:").to_string();
        if conflicts.iter().any(|conflict| conflict.reason == ConflictReason::SameUuid) {
            ui::say(&format!(
                "{hint} objects with the same UUID may all stay; one that is not wanted is removed everywhere by removing it at its home, and a copy without a home here with `once rm OBJECT`"
            ));
        }
        if conflicts.iter().any(|conflict| conflict.reason == ConflictReason::Forked) {
            ui::say(&format!("{hint} `once conflicts keep OBJECT REVISION` or `once conflicts drop OBJECT REVISION` decides about one"));
        }
        Ok(())
    })?;
    Ok(Exit::DONE)
}

/// One of several objects that share a UUID.
fn other(VersionInfo { object, .. }: &VersionInfo) -> Done<()> {
    let component = ui::capped(&object.component, 40);
    ui::print(&format!("  {}\n    {component}, {}", ui::key(&object.key), super::show::state(object)))
}

/// One version of an object: its revision, where it is from, and where it differs from the newest one.
fn version(VersionInfo { object, beside }: &VersionInfo) -> Done<()> {
    let key = ui::key(&object.key);
    let revision: String = object.revision_id.chars().take(12).collect();
    let Some(BesideInfo { from_name, difference, .. }) = beside else {
        let newest = object.revision;
        return ui::print(&format!("  {key}  {}  newest, revision {newest}", ui::shown(&revision)));
    };
    let from = match (from_name.as_deref(), object.from.as_deref()) {
        (Some(name), _) if !name.is_empty() => ui::shown(name),
        (_, Some(id)) => ui::short(id),
        _ => "a file that was imported here".to_owned(),
    };
    let when = ui::utc(object.stored_ms);
    ui::print(&format!("  {key}  {}  kept, from {from}, {when}", ui::shown(&revision)))?;
    let Some(difference) = difference else { return Ok(()) };
    for place in &difference.places {
        let path = match place.path.as_str() {
            "" => "(all of it)".to_owned(),
            path => ui::capped(path, 120),
        };
        let shown = |value: &Option<String>| {
            value.as_ref().map_or_else(|| "nothing".to_owned(), |text| ui::capped(text, 60))
        };
        ui::print(&format!("    {path}: newest {}, kept {}", shown(&place.newest), shown(&place.kept)))?;
    }
    if difference.truncated {
        ui::print("    … and more")?;
    }
    Ok(())
}
