//! `once conflicts`

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::context::{Context, list, number, text, truth};
use crate::failure::{Done, Exit};
use crate::ui;

/// List objects that share a UUID, and objects that were changed apart; decide about what is kept
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
    /// What is kept becomes the object's next revision (at its home)
    Keep(Which),
    /// What is kept is not wanted
    Drop(Which),
}

#[derive(Debug, Args)]
struct Which {
    /// Which object
    object: String,
    /// The revision that is kept, or a beginning of its id
    revision: String,
}

impl Conflicts {
    /// Lists, or decides about one.
    pub async fn run(self, context: &Context) -> Done {
        let (method, Which { object, revision }) = match self.decision {
            None => return show(context, self.all).await,
            Some(Decision::Keep(which)) => ("conflicts.keep", which),
            Some(Decision::Drop(which)) => ("conflicts.drop", which),
        };
        super::put::change(context, method, vec![json!({ "object": object, "revision": revision })]).await
    }
}

async fn show(context: &Context, all: bool) -> Done {
    let answer = context.call("conflicts", json!({})).await?;
    context.answer(&answer, |answer| {
        let waits = |conflict: &&Value| text(conflict, "reason") == "not-proven";
        let every = list(answer, "conflicts");
        let conflicts: Vec<&Value> = every.iter().filter(|conflict| all || !waits(conflict)).collect();
        for conflict in &conflicts {
            let is_fork = text(conflict, "reason") != "same-uuid";
            let why = match text(conflict, "reason") {
                "same-uuid" => "different objects with the same UUID".to_owned(),
                "forked" => "changed apart".to_owned(),
                "not-proven" => {
                    "replaced by a revision that its home has not proven to continue it".to_owned()
                }
                other => ui::shown(other),
            };
            ui::print(&format!("{}  {why}", ui::shown(text(conflict, "uuid"))))?;
            for object in list(conflict, "objects") {
                match is_fork {
                    true => version(object)?,
                    false => ui::print(&format!("  {}", ui::key(text(object, "key"))))?,
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
        if conflicts.iter().any(|conflict| text(conflict, "reason") == "forked") {
            let hint = ui::Paint::stderr().yellow("hint:").to_string();
            ui::say(&format!("{hint} `once conflicts keep OBJECT REVISION` or `once conflicts drop OBJECT REVISION` decides about one"));
        }
        Ok(())
    })?;
    Ok(Exit::DONE)
}

/// One version of an object: its revision, where it is from, and where it differs from the newest one.
fn version(object: &Value) -> Done<()> {
    let key = ui::key(text(object, "key"));
    let revision: String = text(object, "revision_id").chars().take(12).collect();
    if !truth(object, "kept") {
        let newest = number(object, "revision");
        return ui::print(&format!("  {key}  {}  newest, revision {newest}", ui::shown(&revision)));
    }
    let from = match (text(object, "from_name"), text(object, "from")) {
        ("", "") => "a file that was imported here".to_owned(),
        ("", id) => ui::short(id),
        (name, _) => ui::shown(name),
    };
    let when = ui::utc(number(object, "stored_ms"));
    ui::print(&format!("  {key}  {}  kept, from {from}, {when}", ui::shown(&revision)))?;
    let difference = object.get("difference").unwrap_or(&Value::Null);
    for place in list(difference, "places") {
        let path = match text(place, "path") {
            "" => "(all of it)".to_owned(),
            path => ui::capped(path, 120),
        };
        let shown = |name: &str| match text(place, name) {
            "" => "nothing".to_owned(),
            value => ui::capped(value, 60),
        };
        ui::print(&format!("    {path}: newest {}, kept {}", shown("newest"), shown("kept")))?;
    }
    if truth(difference, "truncated") {
        ui::print("    … and more")?;
    }
    Ok(())
}
