//! `once retire`

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use once::api::Client;
use once::api::contract::{self, List, Receipts, RetireResult};

use crate::context::Context;
use crate::failure::{Done, Exit, Failure};
use crate::ui;

/// Say whether anything would be lost with this kernel
///
/// Looks for what still lives here or is only kept here, for what others are owed and have not heard, and for actions without
/// an outcome. Only when nothing is missing it says that this kernel can be erased; else it names what is, and exits with 1.
/// Nothing is erased by it.
///
/// What this kernel recorded of objects that have moved is given to their present homes, which check it and keep it as this
/// kernel's. With --receipts it is written to a file as well, one signed receipt a line, that `once verify-receipt` checks without
/// this kernel: for what no home can have, or takes.
#[derive(Debug, Args)]
pub struct Retire {
    /// The kernel that is to have what is only kept here, like unclaimed scenarios
    #[arg(long, value_name = "PEER")]
    to: Option<String>,
    /// Write the receipts of everything that was recorded here to this new file
    #[arg(long, value_name = "FILE")]
    receipts: Option<PathBuf>,
    /// Give up what this kernel did after a backup was put back: that is not here, and else it is always missing
    #[arg(long)]
    give_up_loss: bool,
    /// How long to wait for that kernel when nothing comes from it, like 10s or 1m
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = ui::parse_ms)]
    timeout: u64,
}

impl Retire {
    /// Who has what is only kept here is asked over the network.
    pub async fn run(self, context: &Context) -> Done {
        let client = match &self.to {
            Some(_) => context.running().await?,
            None => context.kernel().await?,
        };
        let answer = self.ask(&client).await;
        let closed = client.close().await;
        let mut answer = answer?;
        closed?;
        super::doctor::pasted(&mut answer.checks);
        context.answer(&answer, |answer| answer.checks.iter().try_for_each(super::doctor::print))?;
        let missing = answer.checks.iter().filter(|check| !check.ok).count() as u64;
        if answer.erasable {
            if !context.json {
                ui::print("this kernel can be erased")?;
            }
            return Ok(Exit::DONE);
        }
        ui::say(&format!("{} missing: do not erase this kernel yet", ui::count(missing, "thing")));
        Ok(Exit::FAILED)
    }

    async fn ask(&self, client: &Client) -> Done<RetireResult> {
        if let Some(path) = &self.receipts {
            let written = write(client, path).await?;
            ui::say(&format!("{} written", ui::count(written, "receipt")));
        }
        let params = contract::Retire {
            to: self.to.clone(),
            has_receipts: self.receipts.is_some(),
            loss_given_up: self.give_up_loss,
            timeout_ms: Some(self.timeout),
        };
        Ok(client.ask(params).await?)
    }
}

/// Writes the receipts of all objects, page by page. What is there already is not replaced.
async fn write(client: &Client, path: &Path) -> Done<u64> {
    let failed = |error: std::io::Error| Failure::io(path, &error);
    let file = OpenOptions::new().write(true).create_new(true).open(path).map_err(failed)?;
    let mut out = BufWriter::new(file);
    let (mut written, mut from) = (0, None);
    loop {
        let page = client.ask(List { tombstones: true, after: from, ..List::default() }).await?;
        for object in page.objects {
            written += write_object(client, &object.key, &mut out, path).await?;
        }
        from = page.next;
        if from.is_none() {
            break;
        }
    }
    out.into_inner().map_err(|error| failed(error.into_error()))?.sync_all().map_err(failed)?;
    sync_folder(path).map_err(failed)?;
    Ok(written)
}

async fn write_object(client: &Client, key: &str, out: &mut impl Write, path: &Path) -> Done<u64> {
    let (mut written, mut after) = (0, None);
    loop {
        let page = client.ask(Receipts { object: key.to_owned(), after }).await?;
        for receipt in &page.receipts {
            // Its members are sorted by name, as `once receipt --json` has them.
            let receipt = ui::json(receipt)?;
            writeln!(out, "{receipt}").map_err(|error| Failure::io(path, &error))?;
            written += 1;
        }
        after = page.next;
        if after.is_none() {
            return Ok(written);
        }
    }
}

/// The name of a new file lasts only when its folder is on the disk, too.
fn sync_folder(path: &Path) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}
