//! tmp
use clap::Args;
use crate::{context::Context, failure::{Done, Exit}};
/// tmp
#[derive(Debug, Args)]
pub struct Demo {}
impl Demo { pub async fn run(self, _c: &Context) -> Done { Ok(Exit::DONE) } }
