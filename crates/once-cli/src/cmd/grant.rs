//! `once grant`

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::grants;
use crate::context::{Context, list, number, with};
use crate::failure::{Done, Exit};
use crate::ui;

/// Let a peer, or one object of it, read or find what is on this kernel, share into it, act on its objects, or move objects here
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
    #[arg(long, value_name = "TIME", value_parser = ui::parse_ms)]
    expires: Option<u64>,
}

/// Who may do what on what.
#[derive(Debug, Args)]
pub struct Right {
    /// Which peer
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
    /// As parameters of the API.
    pub fn params(&self) -> Value {
        let right = match self.right {
            Verb::Share => "share",
            Verb::Read => "read",
            Verb::Act => "act",
            Verb::Host => "host",
            Verb::Find => "find",
        };
        let actions = (!self.actions.is_empty()).then(|| json!(self.actions));
        let text = |value: &Option<String>| value.clone().map(Value::from);
        with(
            json!({ "right": right }),
            [
                ("peer", text(&self.peer)),
                ("to_object", text(&self.to_object)),
                ("object", text(&self.object)),
                ("component", text(&self.component)),
                ("actions", actions),
            ],
        )
    }

    /// As words.
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
pub fn print_left(answer: &Value) -> Done<()> {
    let grants = list(answer, "grants");
    if grants.is_empty() {
        return ui::print("  in force: nothing");
    }
    grants.iter().try_for_each(|grant| {
        let end = match number(grant, "expires_ms") {
            0 => String::new(),
            at_ms => format!(", ends {}", ui::since(at_ms)),
        };
        ui::print(&format!("  in force: {} on {}{end}", grants::right(grant), grants::scope(grant)))
    })
}

impl Grant {
    /// In force at once.
    pub async fn run(self, context: &Context) -> Done {
        const MS_PER_S: u64 = 1000;
        const US_PER_MS: u64 = 1000;
        let expires = self.expires.map(|ms| Value::from(ms.div_ceil(MS_PER_S)));
        let params = with(self.right.params(), [("expires_s", expires)]);
        let answer = context.call("grant", params).await?;
        let end = self.expires.map_or_else(String::new, |ms| {
            format!(", for {}", ui::duration_us(ms.saturating_mul(US_PER_MS)))
        });
        context.answer(&answer, |answer| {
            ui::print(&format!("{} may {}{end}", self.right.whose(), self.right.words()))?;
            let more = |grant: &Value| list(grant, "actions").len() != self.right.actions.len();
            match list(answer, "grants") {
                [only] if !more(only) => Ok(()),
                _ => print_left(answer),
            }
        })?;
        Ok(Exit::DONE)
    }
}
