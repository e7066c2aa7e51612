//! `once act`

use std::time::Duration;

use clap::Args;
use once::ErrorKind;
use once::api::contract::{self, ActionInfo};
use once::model::ids::Uuid;
use serde_json::value::RawValue;

use crate::context::Context;
use crate::failure::{Done, Exit, Failure};
use crate::ui;

/// After this long, tell the user what we are waiting for.
const SAY_AFTER: Duration = Duration::from_secs(1);

/// Do something to an object, once, wherever its home is
#[derive(Debug, Args)]
pub struct Act {
    /// The object: its IOR, or what names it here
    object: String,
    /// What to do, in the words of its component
    name: String,
    /// With what: one JSON value
    #[arg(value_name = "JSON", value_parser = json_value, allow_hyphen_values = true)]
    arguments: Option<Box<RawValue>>,
    /// The action's id (a UUID of version 7): the same id again is the same action
    #[arg(long, value_name = "UUID")]
    id: Option<Uuid>,
    /// At which peer, for an object that nobody has claimed yet
    #[arg(long, value_name = "PEER")]
    at: Option<String>,
    /// A scenario that it depends on (may be given more than once): an object as it is here now, or, behind its last
    /// `@`, with the 64 hexadecimal digits of its content's hash. If the object's home lacks it, it asks this kernel
    #[arg(long = "given", value_name = "OBJECT[@HASH]")]
    given: Vec<String>,
    /// Expires the action after this time, like 10s or 2m: if it has not begun to run by then, it never runs
    #[arg(long, value_name = "TIME", value_parser = ui::parse_ms)]
    deadline: Option<u64>,
    /// Stop waiting for the outcome after this time, like 10s or 2m; the action goes on
    #[arg(long, value_name = "TIME", value_parser = ui::parse_ms)]
    timeout: Option<u64>,
    /// Do not wait for the outcome: `once outcome` tells it later
    #[arg(long, conflicts_with = "timeout")]
    no_wait: bool,
}

pub(super) fn json_value(text: &str) -> Result<Box<RawValue>, String> {
    let wrong = |what: &str, place: String| {
        format!("not JSON{place}: {what}; a text stands in quotes, like '\"text\"'")
    };
    once::model::json::validate(text.as_bytes())
        .map_err(|error| wrong(error.message(), format!(" at {}:{}", error.line(), error.column())))?;
    RawValue::from_string(text.to_owned()).map_err(|error| wrong(&error.to_string(), String::new()))
}

impl Act {
    /// Prints the component's result.
    pub async fn run(self, context: &Context) -> Done {
        let is_made_here = self.id.is_none();
        let id = self.id.unwrap_or_else(once::new_action_id);
        let params = contract::Act {
            object: self.object,
            name: self.name,
            // As a text: its spelling reaches the object.
            arguments_text: self.arguments.map(|json| json.get().to_owned()),
            id: Some(id),
            at: self.at,
            given: self.given,
            deadline_ms: self.deadline,
            timeout_ms: self.timeout,
            no_wait: self.no_wait,
            ..contract::Act::default()
        };
        // Nobody waits for an outcome before there is a kernel that could accept the action.
        let client = context.kernel().await?;
        let is_embedded = client.is_embedded();
        let call = context.ask_of(client, params);
        tokio::pin!(call);
        let of_it = |failure: Failure| match failure.kind {
            // Nothing was accepted: what is missing is the object, and the id says nothing.
            ErrorKind::NotFound | ErrorKind::Ambiguous | ErrorKind::Usage => Failure { id: None, ..failure },
            _ => failure.of_action(&id.to_string()),
        };
        let answer = match tokio::time::timeout(SAY_AFTER, &mut call).await {
            Ok(answer) => answer.map_err(of_it)?,
            Err(_) => {
                // What it waits for is asked beside it: the answer to the action itself comes first, if it comes.
                tokio::select! {
                    biased;
                    answer = &mut call => answer.map_err(of_it)?,
                    why = awaited(context, id, is_embedded) => {
                        let why = why.map_or_else(String::new, |why| format!(": {why}"));
                        ui::say(&format!(
                            "waiting for the outcome of {id}{why}\n\
                             It goes on if you leave: `once outbox` says what it waits for, `once outcome {id}` what came of it, \
                             `once cancel {id}` takes it back."
                        ));
                        call.await.map_err(of_it)?
                    }
                }
            }
        };
        context.answer(&answer, print)?;
        if answer.claimed == Some(true) {
            ui::say("claimed: this kernel is the object's home now");
        }
        if is_made_here && !context.json {
            ui::say(&format!("action {id}"));
        }
        Ok(Exit::DONE)
    }
}

/// For whom an action waits, and why; nothing if it waits no more, or that cannot be told.
async fn awaited(context: &Context, id: Uuid, is_embedded: bool) -> Option<String> {
    if is_embedded {
        return Some(
            "this kernel is not running, so it reaches no other: start it with `once up`".to_owned(),
        );
    }
    let outbox = context.ask_running(contract::Outbox {}).await.ok()?;
    let act = outbox.acts.into_iter().find(|act| act.id == id)?;
    let peer = ui::shown(&act.reach.peer);
    let why = match (act.stands, act.reach.connected, act.reach.last_error) {
        (Some(stands), ..) => ui::shown(&stands),
        (None, true, _) => "is connected and has not answered yet".to_owned(),
        (None, false, None) => "is not connected".to_owned(),
        (None, false, Some(error)) => format!("is not connected ({})", ui::capped(&error, 200)),
    };
    Some(format!("{peer}, which is the object's home as far as is known here, {why}"))
}

/// The result, whole, or that there is none yet.
pub(super) fn print(answer: &ActionInfo) -> Done<()> {
    match &answer.done {
        Some(done) => ui::print(&ui::document(&done.result_text)),
        None => {
            let id = answer.id.to_string();
            ui::say(&format!("accepted; `once outcome {id}` says what came of it"));
            ui::print(&id)
        }
    }
}
