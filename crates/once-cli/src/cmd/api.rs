//! `once api`

use clap::{Args, Subcommand};
use once::api::contract;

use crate::failure::{Done, Exit};
use crate::ui;

/// Describe the local API, for programs on this machine
#[derive(Debug, Args)]
pub struct Api {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Print all methods, notifications and errors as an OpenRPC document
    Schema {
        /// Print the types as a JSON Schema (draft 2020-12) instead
        #[arg(long)]
        json_schema: bool,
    },
}

impl Api {
    /// Needs no kernel.
    pub fn run(&self) -> Done {
        let What::Schema { json_schema } = self.what;
        let document = if json_schema { contract::json_schema() } else { contract::openrpc() };
        let mut printer = ui::Printer::new();
        printer.line(&format!("{document:#}"))?;
        printer.end()?;
        Ok(Exit::DONE)
    }
}
