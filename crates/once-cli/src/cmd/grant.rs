//! `once grant`

use clap::{Args, ValueEnum};
use once::api::contract::{self, GrantInfo, GrantsResult};

use super::grants;
use crate::context::Context;
use crate::failure::{Done, Exit};
use crate::ui;

/// Give a peer, or one object of it, a right on this kernel
///
/// The rights: read or find what is here, share into this kernel, act on its objects, move objects here.
///
/// Grants add up: what was granted before stays, and ends no earlier. `once revoke` takes back.
///
/// With --to-object instead of a peer, the right belongs to that object alone, and holds at its home. An object can be
/// given the right to act, and no other.
#[derive(Debug, Args)]
#[command(allow_missing_positional = true)]
pub struct Grant {
    #[command(flatten)]
    pub(super) right: Right,
    /// For how long, like 12h or 7d (default: until revoked)
    #[arg(long, value_name = "TIME", value_parser = ui::parse_validity_ms)]
    expires: Option<u64>,
}

/// Who may do what on what.
#[derive(Debug, Args)]
pub struct Right {
    /// The peer that gets the right, or loses it
    #[arg(required_unless_present = "to_object", conflicts_with = "to_object")]
    peer: Option<String>,
    /// What it may do
    right: Verb,
    /// Instead of a peer: one object, by its IOR
    #[arg(long, value_name = "IOR")]
    to_object: Option<String>,
    /// Only on this object
    #[arg(long, conflicts_with = "component")]
    object: Option<String>,
    /// Only on objects of this component
    #[arg(long, value_name = "NAME")]
    component: Option<String>,
    /// For the right to act: only this action (may be given more than once)
    #[arg(long = "action", value_name = "NAME")]
    actions: Vec<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Verb {
    /// Send scenarios here, within its quota
    Share,
    /// Fetch and follow what is here
    Read,
    /// Act on what is here
    Act,
    /// Move objects here
    Host,
    /// Find what is here: learn that it is there and what it is called, but not what is in it
    Find,
}

impl Right {
    /// As the API has it.
    fn verb(&self) -> contract::Right {
        match self.right {
            Verb::Share => contract::Right::Share,
            Verb::Read => contract::Right::Read,
            Verb::Act => contract::Right::Act,
            Verb::Host => contract::Right::Host,
            Verb::Find => contract::Right::Find,
        }
    }

    /// To take it back.
    pub fn revoke(&self) -> contract::Revoke {
        contract::Revoke {
            peer: self.peer.clone(),
            to_object: self.to_object.clone(),
            right: self.verb(),
            object: self.object.clone(),
            component: self.component.clone(),
            expires_s: None,
            actions: self.only(),
        }
    }

    /// To give it.
    fn grant(&self, expires_s: Option<u64>) -> contract::Grant {
        let contract::Revoke { peer, to_object, right, object, component, actions, .. } = self.revoke();
        contract::Grant { peer, to_object, right, object, component, expires_s, actions }
    }

    fn only(&self) -> Option<Vec<String>> {
        Some(self.actions.clone()).filter(|names| !names.is_empty())
    }

    /// The right as people read it.
    pub fn words(&self) -> String {
        let right = match self.right {
            Verb::Share => "share into this kernel",
            Verb::Read => "read",
            Verb::Act => "act on",
            Verb::Host => "move objects here:",
            Verb::Find => "find",
        };
        let on = match (&self.object, &self.component, self.right) {
            (Some(object), ..) => format!(" {}", ui::shown(object)),
            (_, Some(component), _) => format!(" every {}", ui::shown(component)),
            (.., Verb::Read | Verb::Act | Verb::Host | Verb::Find) => " everything".to_owned(),
            _ => String::new(),
        };
        let only = match self.actions.is_empty() {
            true => String::new(),
            false => format!(": {}", ui::shown(&self.actions.join(", "))),
        };
        format!("{right}{on}{only}")
    }

    /// Whose right it is.
    pub fn whose(&self) -> String {
        match (&self.peer, &self.to_object) {
            (Some(peer), _) => ui::shown(peer),
            (None, object) => {
                let name = object.as_deref().unwrap_or_default();
                let uuid = once::Ior::parse(name).ok().and_then(|ior| ior.uuid());
                format!("object {}", uuid.map_or_else(|| ui::shown(name), |uuid| uuid.to_string()))
            }
        }
    }
}

/// What the grantee may do now by this right.
pub fn print_left(GrantsResult { grants }: &GrantsResult) -> Done<()> {
    if grants.is_empty() {
        return ui::print("  in force: nothing");
    }
    grants.iter().try_for_each(|grant| {
        let end = grant.expires_ms.map_or_else(String::new, |at_ms| format!(", ends {}", ui::since(at_ms)));
        ui::print(&format!("  in force: {} on {}{end}", grants::right(grant), grants::scope(grant)))
    })
}

impl Grant {
    /// In force at once.
    pub async fn run(self, context: &Context) -> Done {
        const MS_PER_S: u64 = 1000;
        const US_PER_MS: u64 = 1000;
        let expires_s = self.expires.map(|ms| ms.div_ceil(MS_PER_S));
        let answer = context.ask(self.right.grant(expires_s)).await?;
        let end = self.expires.map_or_else(String::new, |ms| {
            format!(", for {}", ui::duration_us(ms.saturating_mul(US_PER_MS)))
        });
        context.answer(&answer, |answer| {
            ui::print(&format!("{} may {}{end}", self.right.whose(), self.right.words()))?;
            let more =
                |grant: &GrantInfo| grant.actions.as_ref().map_or(0, Vec::len) != self.right.actions.len();
            match answer.grants.as_slice() {
                [only] if !more(only) => Ok(()),
                _ => print_left(answer),
            }
        })?;
        Ok(Exit::DONE)
    }
}
