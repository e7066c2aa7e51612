//! `once import`

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::context::Context;
use crate::failure::{Done, Exit};
use crate::scenarios::{self, Found, Skipped, Summary};
use crate::ui;

/// Take scenario files into this kernel, byte for byte
///
/// Folders are read with everything below them that ends in `.json`, except hidden folders and node_modules. Symbolic
/// links inside of a folder are followed to files inside of it, each file once; what leads outside is not followed.
/// A broken file does not stop the others. Exits with 1 if any was broken, else with 0. A file that was imported
/// before and has changed since becomes the next revision of its object.
#[derive(Debug, Args)]
pub struct Import {
    /// Files and folders
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
}

impl Import {
    /// Broken files are named as they are met; the summary comes last.
    pub async fn run(self, context: &Context) -> Done {
        let found = scenarios::find(&self.paths)?;
        let client = context.kernel().await?;
        let summary = run(context, &client, found).await;
        let closed = client.close().await;
        let summary = summary?;
        closed?;
        if context.json {
            ui::print_json(&answer(&summary))?;
        } else {
            print(&summary)?;
        }
        Ok(if summary.broken.is_empty() { Exit::DONE } else { Exit::FAILED })
    }
}

async fn run(context: &Context, client: &once::api::Client, found: Found) -> Done<Summary> {
    let total = found.files.len() as u64;
    let bar = if context.json { ui::Bar::none() } else { ui::Bar::new("importing", total) };
    let paint = ui::Paint::stderr();
    scenarios::import(
        client,
        found,
        &bar,
        |_| {},
        |broken| {
            bar.say(&format!("{} {}", paint.red("broken:"), broken.line()));
            if let Some(hint) = &broken.hint {
                bar.say(&format!("        {}", paint.dim(&ui::capped(hint, 400))));
            }
        },
    )
    .await
}

fn answer(summary: &Summary) -> serde_json::Value {
    let Skipped { links_inside, links_outside, links_dangling, others, folders } = summary.skipped;
    json!({
        "files": summary.files, "new": summary.new, "same": summary.same, "changed": summary.changed,
        "beside": summary.beside, "broken": summary.broken.len(), "derived": summary.derived,
        "bytes": summary.bytes, "took_ms": summary.took.as_millis() as u64,
        "skipped": { "links_inside": links_inside, "links_outside": links_outside,
            "links_dangling": links_dangling, "others": others, "folders": folders },
        "errors": summary.broken.iter().map(scenarios::Broken::json).collect::<Vec<_>>(),
    })
}

fn print(summary: &Summary) -> Done<()> {
    let took = ui::duration_us(summary.took.as_micros() as u64);
    let there = summary.new + summary.same + summary.changed + summary.beside;
    let (of, size) = (ui::count(summary.files, "file"), ui::bytes(summary.bytes));
    ui::print(&format!("imported {} of {of} ({size}) in {took}", ui::number(there)))?;
    let mut parts = vec![
        format!("new {}", ui::number(summary.new)),
        format!("same {}", ui::number(summary.same)),
        format!("changed {}", ui::number(summary.changed)),
        format!("beside {}", ui::number(summary.beside)),
        format!("broken {}", ui::number(summary.broken.len() as u64)),
    ];
    if summary.derived > 0 {
        parts.push(format!("without a UUID of their own {}", ui::number(summary.derived)));
    }
    ui::print(&parts.join(", "))?;
    if summary.beside > 0 {
        ui::say("beside: another object has the same UUID and other bytes; both are kept (`once conflicts`)");
    }
    let skipped = skipped(&summary.skipped);
    if !skipped.is_empty() {
        ui::say(&format!("left out: {}", skipped.join(", ")));
    }
    Ok(())
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
