//! `once man`

use std::fs;
use std::path::PathBuf;

use clap::{Args, Command, CommandFactory};
use clap_mangen::Man as Page;
use serde::Serialize;

use crate::cli::Cli;
use crate::context::Context;
use crate::failure::{Done, Exit, Failure};
use crate::ui;

/// What the pages belong to, in their head.
const MANUAL: &str = "ONCE Manual";

/// Write the manual pages, one for each command
///
/// For this user: `once man ~/.local/share/man/man1`, then `man once-up`. Without a folder the page of once itself is printed.
#[derive(Debug, Args)]
pub struct Man {
    /// The folder to write to, made if it is not there
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Written {
    folder: PathBuf,
    pages: u64,
}

impl Man {
    /// Pages that are there are written anew.
    pub fn run(self, context: &Context) -> Done {
        let mut command = Cli::command().disable_help_subcommand(true);
        command.build();
        let Some(folder) = self.folder else {
            let mut printer = ui::Printer::new();
            printer.text(&page(&command)?.1)?;
            printer.end()?;
            return Ok(Exit::DONE);
        };
        fs::create_dir_all(&folder).map_err(|error| Failure::io(&folder, &error))?;
        let mut pages = 0;
        each(&command, &mut |command| {
            let (name, text) = page(command)?;
            let path = folder.join(name);
            fs::write(&path, text).map_err(|error| Failure::io(&path, &error))?;
            pages += 1;
            Ok(())
        })?;
        context.answer(&Written { folder, pages }, |written| {
            ui::print(&format!(
                "{} written to {}",
                ui::count(written.pages, "page"),
                ui::shown_path(&written.folder)
            ))
        })?;
        Ok(Exit::DONE)
    }
}

/// The command, and all below it.
fn each(command: &Command, found: &mut impl FnMut(&Command) -> Done<()>) -> Done<()> {
    found(command)?;
    command.get_subcommands().filter(|command| !command.is_hide_set()).try_for_each(|one| each(one, found))
}

/// The name of a command's page, and the page.
fn page(command: &Command) -> Done<(String, String)> {
    let source = format!("once {}", env!("CARGO_PKG_VERSION"));
    // A blank, since an empty date is left out, and what follows takes its place.
    let page = Page::new(command.clone()).date(" ").manual(MANUAL).source(source);
    let mut text = Vec::new();
    page.render(&mut text).map_err(|error| Failure::fault(error.to_string()))?;
    let text = String::from_utf8(text).map_err(|error| Failure::fault(error.to_string()))?;
    Ok((page.get_filename(), text))
}
