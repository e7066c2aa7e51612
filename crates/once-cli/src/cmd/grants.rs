//! `once grants`

use clap::Args;
use once::api::contract::{self, GrantInfo, GrantScope, Right};
use once::model::ior::{Ior, OnceIor};

use crate::context::Context;
use crate::failure::{Done, Exit};
use crate::ui;

/// List who may do what here
#[derive(Debug, Args)]
pub struct Grants {}

impl Grants {
    /// What is not listed is denied.
    pub async fn run(self, context: &Context) -> Done {
        let answer = context.ask(contract::Grants {}).await?;
        context.answer(&answer, |answer| {
            let grants = &answer.grants;
            if grants.is_empty() {
                ui::say("no grants: nobody may read or share anything here");
                return Ok(());
            }
            let mut table = ui::Table::new(["WHO", "RIGHT", "ON", "EXPIRES"]);
            for grant in grants {
                table.row([
                    who(grant),
                    right(grant),
                    scope(grant),
                    match grant.expires_ms {
                        None => "-".to_owned(),
                        Some(at_ms) if grant.ended => format!("ended ({})", ui::since(at_ms)),
                        Some(at_ms) => ui::since(at_ms),
                    },
                ]);
            }
            table.under(&[2, 1, 3]).print()
        })?;
        Ok(Exit::DONE)
    }
}

/// A peer, or an object and where its home was when it was given the right.
fn who(grant: &GrantInfo) -> String {
    let peer = peer(&grant.peer);
    match &grant.to_object {
        None => peer,
        Some(object) => format!("{} (at {peer})", ui::key(object)),
    }
}

/// A petname as it is, a kernel id shortened.
fn peer(name: &str) -> String {
    const KERNEL_ID_CHARS: usize = 52;
    if name.len() == KERNEL_ID_CHARS { ui::kernel(name) } else { ui::cell(name, 80) }
}

/// A right as it is written in a command.
const fn word(right: Right) -> &'static str {
    match right {
        Right::Share => "share",
        Right::Read => "read",
        Right::Act => "act",
        Right::Host => "host",
        Right::Find => "find",
    }
}

pub fn right(grant: &GrantInfo) -> String {
    let only: Vec<_> = grant.actions.iter().flatten().map(|name| ui::cell(name, 80)).collect();
    let right = word(grant.right);
    if only.is_empty() { right.to_owned() } else { format!("{right}: {}", only.join(", ")) }
}

pub fn scope(grant: &GrantInfo) -> String {
    let named = |name: &Option<String>| name.clone().unwrap_or_default();
    match grant.scope {
        GrantScope::Object => ui::key(&named(&grant.object)),
        GrantScope::Component => format!("every {}", ui::cell(&named(&grant.component), 80)),
        GrantScope::All if grant.right == Right::Share => "this kernel".to_owned(),
        GrantScope::All => "everything".to_owned(),
    }
}

/// An object that lives elsewhere, as another kernel can be told of it.
fn reference(key: &str, home: &str) -> String {
    let written = || {
        let (uuid, lineage) = key.split_once('#')?;
        let (home, lineage) = (home.parse().ok()?, lineage.parse().ok()?);
        let parts = OnceIor { home: Some(home), lineage: Some(lineage), ..OnceIor::new(uuid.parse().ok()?) };
        Some(Ior::once(&parts).ok()?.as_str().to_owned())
    };
    written().unwrap_or_else(|| key.to_owned())
}

/// The command that gives the same right on another kernel. How long it still holds is said in whole seconds.
pub fn again(grant: &GrantInfo) -> String {
    let right = word(grant.right);
    let mut words = vec!["once".to_owned(), "grant".to_owned()];
    match &grant.to_object {
        // The reference of an object that has the right says where it lives.
        Some(object) => {
            words.extend([right.to_owned(), "--to-object".to_owned(), reference(object, &grant.kernel)])
        }
        None => words.extend([grant.kernel.clone(), right.to_owned()]),
    }
    words.extend(grant.component.iter().flat_map(|name| ["--component".to_owned(), name.clone()]));
    words.extend(grant.object.iter().flat_map(|key| ["--object".to_owned(), key.clone()]));
    words.extend(grant.actions.iter().flatten().flat_map(|name| ["--action".to_owned(), name.clone()]));
    if let Some(at_ms) = grant.expires_ms {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let left_s = u128::from(at_ms).saturating_sub(now.as_millis()) / 1000;
        words.extend(["--expires".to_owned(), format!("{}s", left_s.max(1))]);
    }
    let words: Vec<_> = words.iter().map(|word| ui::word(&ui::capped(word, 400))).collect();
    words.join(" ")
}
