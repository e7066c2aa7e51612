//! `once conflicts`

use clap::{Args, Subcommand};
use once::api::Client;
use once::api::contract::{
    self, BesideInfo, ConflictInfo, ConflictReason, ConflictsResult, ObjectState, VersionInfo,
};

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
                ConflictReason::NotProven => "not proven to continue what it replaced",
            };
            ui::print(&format!("{}  {why}", ui::shown(conflict.uuid.as_deref().unwrap_or_default())))?;
            if conflict.reason != ConflictReason::SameUuid
                && let Some(version) = conflict.objects.first()
            {
                ui::print(&format!("  {}", ui::key(&version.object.key)))?;
                if conflict.reason == ConflictReason::Forked && !can_keep(conflict) {
                    let state = conflict.objects.last().map_or("", |newest| newest.object.state.says());
                    ui::prose(&format!("    {state}"))?;
                }
            }
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
                "{hint} none of them is a revision of another: all may stay, or one is taken away with the command below it. \
                A file that was edited from an object of another kernel does not change that one: its home does, by an action"
            ));
        }
        let forked = || conflicts.iter().filter(|conflict| conflict.reason == ConflictReason::Forked);
        if forked().any(|conflict| can_keep(conflict)) {
            ui::say(&format!("{hint} `once conflicts keep OBJECT REVISION` or `once conflicts drop OBJECT REVISION` decides about one"));
        }
        if forked().any(|conflict| !can_keep(conflict)) {
            ui::say(&format!("{hint} what is kept beside an object that is not changed here can only be dropped: `once conflicts drop OBJECT REVISION`"));
        }
        Ok(())
    })?;
    Ok(Exit::DONE)
}

/// Whether something that is kept beside an object can become its next revision here.
fn can_keep(conflict: &ConflictInfo) -> bool {
    conflict.objects.iter().filter_map(|version| version.beside.as_ref()).any(|beside| beside.can_keep)
}

/// One of several objects that share a UUID, and how it is taken away.
fn other(VersionInfo { object, .. }: &VersionInfo) -> Done<()> {
    let (key, component) = (ui::key(&object.key), ui::capped(&object.component, 40));
    ui::print(&format!("  {key}"))?;
    ui::prose(&format!("    {component}, {}", ui::pasted(&super::show::state(object))))?;
    let how = match object.state {
        ObjectState::Unclaimed => "takes it away, only here",
        ObjectState::Replica => "takes this copy away, its home keeps it",
        ObjectState::Home => "removes it here and everywhere",
        _ => return Ok(()),
    };
    ui::print(&ui::pasted(&format!("    `once rm {key}`\n      {how}")))
}

/// What a line of a terminal holds.
const LINE_CHARS: usize = 80;

/// One version of an object: its revision, where it is from, and where it differs from the newest one.
fn version(VersionInfo { object, beside }: &VersionInfo) -> Done<()> {
    let revision: String = object.revision_id.chars().take(12).collect();
    let revision = ui::shown(&revision);
    let Some(BesideInfo { from_name, difference, is_file, .. }) = beside else {
        return ui::print(&format!("    {revision}  newest, revision {}", object.revision));
    };
    let from = match (from_name.as_deref(), object.from.as_deref()) {
        (Some(name), _) if !name.is_empty() => ui::shown(name),
        (_, Some(id)) => ui::short(id),
        _ if *is_file => "a file that was imported here".to_owned(),
        _ => "what was done at its home".to_owned(),
    };
    ui::print(&format!("    {revision}  kept, {}, from {from}", ui::utc(object.stored_ms)))?;
    let Some(difference) = difference else {
        return if object.tombstone { ui::print("      the object is removed by it") } else { Ok(()) };
    };
    for place in &difference.places {
        let path = match place.path.as_str() {
            "" => "(all of it)".to_owned(),
            path => ui::capped(path, 120),
        };
        let shown = |value: &Option<String>| {
            value.as_ref().map_or_else(|| "nothing".to_owned(), |text| ui::capped(text, 60))
        };
        let (newest, kept) = (shown(&place.newest), shown(&place.kept));
        let line = format!("      {path}: newest {newest}, kept {kept}");
        match line.chars().count() <= LINE_CHARS {
            true => ui::print(&line)?,
            false => ui::print(&format!("      {path}:\n        newest {newest}\n        kept   {kept}"))?,
        }
    }
    if difference.truncated {
        ui::print("      … and more")?;
    }
    Ok(())
}
