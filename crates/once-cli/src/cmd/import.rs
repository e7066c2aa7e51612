//! `once import`

use std::borrow::Cow;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use crate::context::Context;
use crate::failure::{Done, Exit, Failure};
use crate::scenarios::{self, Found, Skipped, Summary};
use crate::ui;

/// Take scenario files into this kernel, byte for byte
///
/// Folders are read with everything below them that ends in `.json`, except hidden folders and node_modules. Symbolic
/// links inside of a folder are followed to files inside of it, each file once; what leads outside is not followed.
/// A broken file does not stop the others. A file that was imported before and has changed since becomes the next
/// revision of its object; if the object has gone on, too, the file is kept beside it (`once conflicts`). Exits with 1 if
/// any file was broken, not taken (its object was removed, say) or kept beside, else with 0.
#[derive(Debug, Args)]
pub struct Import {
    /// Files and folders; `-` is stdin
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Lay one file over this revision of its object (`revision_id` of `once show --json`), whatever happened since the
    /// file was imported
    #[arg(long, value_name = "REVISION")]
    over: Option<String>,
}

impl Import {
    /// Broken files are named as they are met; the summary comes last.
    pub async fn run(self, context: &Context) -> Done {
        let found = scenarios::find(&self.paths)?;
        if self.over.is_some() && found.files.len() != 1 {
            return Err(Failure::usage("--over is for one file").hint("name the file"));
        }
        let client = context.kernel().await?;
        let summary = run(context, &client, found, self.over.as_deref()).await;
        let closed = client.close().await;
        let summary = summary?;
        closed?;
        if context.json {
            ui::print_json(&answer(&summary))?;
        } else {
            print(&summary)?;
        }
        let all = summary.broken.is_empty() && summary.kept_beside.is_empty();
        Ok(if all { Exit::DONE } else { Exit::FAILED })
    }
}

async fn run(
    context: &Context,
    client: &once::api::Client,
    found: Found,
    over: Option<&str>,
) -> Done<Summary> {
    let total = found.files.len() as u64;
    let bar = if context.json { ui::Bar::none() } else { ui::Bar::new("importing", total) };
    let paint = ui::Paint::stderr();
    scenarios::import(
        client,
        found,
        over,
        &bar,
        |_| {},
        |broken| {
            let what = if broken.refused.is_some() { "not taken:" } else { "broken:" };
            bar.say(&format!("{} {}", paint.red(what), broken.line()));
            if let Some(hint) = &broken.hint {
                bar.say(&format!("        {}", paint.dim(&ui::capped(hint, 400))));
            }
        },
    )
    .await
}

/// What `--json` prints.
#[derive(Serialize)]
struct Answer<'a> {
    files: u64,
    new: u64,
    same: u64,
    changed: u64,
    beside: u64,
    beside_tombstone: u64,
    claimed: u64,
    kept_beside: Vec<Cow<'a, str>>,
    broken: usize,
    refused: usize,
    derived: u64,
    bytes: u64,
    took_ms: u64,
    skipped: &'a Skipped,
    errors: Vec<scenarios::BrokenInfo<'a>>,
}

fn answer(summary: &Summary) -> Answer<'_> {
    Answer {
        files: summary.files,
        new: summary.new,
        same: summary.same,
        changed: summary.changed,
        beside: summary.beside,
        beside_tombstone: summary.beside_tombstone,
        claimed: summary.claimed,
        kept_beside: summary.kept_beside.iter().map(|path| path.to_string_lossy()).collect(),
        broken: summary.broken.len() - summary.refused(),
        refused: summary.refused(),
        derived: summary.derived,
        bytes: summary.bytes,
        took_ms: summary.took.as_millis() as u64,
        skipped: &summary.skipped,
        errors: summary.broken.iter().map(scenarios::Broken::info).collect(),
    }
}

fn print(summary: &Summary) -> Done<()> {
    let took = ui::duration_us(summary.took.as_micros() as u64);
    let kept_beside = summary.kept_beside.len() as u64;
    let there = summary.new + summary.same + summary.changed + summary.beside + kept_beside;
    let (of, size) = (ui::count(summary.files, "file"), ui::bytes(summary.bytes));
    ui::print(&format!("imported {} of {of} ({size}) in {took}", ui::number(there)))?;
    let mut parts = vec![
        format!("new {}", ui::number(summary.new)),
        format!("same {}", ui::number(summary.same)),
        format!("changed {}", ui::number(summary.changed)),
        format!("beside {}", ui::number(summary.beside)),
        format!("broken {}", ui::number((summary.broken.len() - summary.refused()) as u64)),
    ];
    if summary.refused() > 0 {
        parts.push(format!("not taken {}", ui::number(summary.refused() as u64)));
    }
    if summary.derived > 0 {
        parts.push(format!("without a UUID of their own {}", ui::number(summary.derived)));
    }
    if kept_beside > 0 {
        parts.push(format!("kept beside {}", ui::number(kept_beside)));
    }
    ui::prose(&parts.join(", "))?;
    say_more(summary);
    if summary.beside > 0 {
        ui::say(
            "beside: an object with the same UUID is here, and these bytes are no change of it (what lives on another kernel is \
             changed there, by an action); both are kept (`once conflicts`)",
        );
    }
    let skipped = skipped(&summary.skipped);
    if !skipped.is_empty() {
        ui::say(&format!("left out: {}", skipped.join(", ")));
    }
    Ok(())
}

/// What somebody may have to decide about.
fn say_more(summary: &Summary) {
    for path in &summary.kept_beside {
        ui::say(&format!(
            "kept beside: {} was changed, and so was its object since it was imported",
            ui::shown_path(path)
        ));
    }
    if !summary.kept_beside.is_empty() {
        let hint = ui::Paint::stderr().yellow("hint:").to_string();
        ui::say(&format!("{hint} `once conflicts` shows the difference, and how to decide about it"));
    }
    if summary.claimed > 0 {
        let objects = ui::count(summary.claimed, "object");
        ui::say(&format!("claimed {objects} by the first change: this kernel is the home now"));
    }
    if summary.beside_tombstone > 0 {
        let objects = ui::count(summary.beside_tombstone, "object");
        ui::say(&format!(
            "{objects} new beside a tombstone: an object of the same UUID was removed here, and stays so"
        ));
    }
}

fn skipped(skipped: &Skipped) -> Vec<String> {
    let parts = [
        (skipped.links_inside, "link", "to what is read anyway"),
        (skipped.links_outside, "link", "out of the folder"),
        (skipped.links_dangling, "link", "to nowhere"),
        (skipped.others, "file", "without .json"),
        (skipped.folders, "folder", "that are hidden or node_modules"),
    ];
    let parts = parts.into_iter().filter(|(n, ..)| *n > 0);
    parts.map(|(n, what, why)| format!("{} {why}", ui::count(n, what))).collect()
}
