//! `once coordinate`

use std::collections::BTreeMap;
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use clap::Args;
use once::Plan;
use once::api::contract::{self, CoordinationInfo, Method, Progress};
use once::model::ids::Uuid;
use once::model::limits::PLAN_MAX_BYTES;
use once::{ErrorKind, RunState, StepOutcome, StepState, StepStatus};
use serde_json::Value;

use crate::context::{Context, ended, not_running};
use crate::failure::{Done, Exit, Failure};
use crate::ui;

const EXAMPLE: &str = r#"Example: two accounts, and 30 from one to the other. It works as it is pasted.

  from=$(once create Account '{"balance":100}')
  to=$(once create Account '{"balance":20}')
  echo '{"mode":"sequence","name":"pay","steps":[
  {"name":"take","ior":"'$from'","action":"withdraw","arguments":{"amount":30},
   "compensation":{"action":"deposit","arguments":{"amount":30}}},
  {"name":"give","ior":"'$to'","action":"deposit","arguments":{"amount":30}}
  ]}' > plan.json
  once coordinate plan.json --wait"#;

/// Carry out a plan over several objects, all or nothing
///
/// All of it is done, or what was done is undone.
///
/// The plan is JSON: its `mode` (sequence or all) and its `steps`, each with `name`, `ior` and `action`, and perhaps with `arguments`,
/// `compensation` and `deadline_ms`. Steps that failed are compensated. A step whose outcome is unknown blocks the plan until it is known. Others see what is done so far.
/// Repeating the command with the same id and plan attaches to the running coordination.
///
/// With --wait the exit code says how it ended: 0 done, 1 compensated, 6 in doubt (a compensation failed: needs manual
/// attention), 4 at the timeout (it goes on), 3 refused.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub struct Coordinate {
    /// The file with the plan; `-` is stdin
    plan: PathBuf,
    /// Its id (a UUID of version 7): the same id again is the same coordination
    #[arg(long, value_name = "UUID")]
    id: Option<Uuid>,
    /// Wait for its end, and say how each step stands
    #[arg(long)]
    wait: bool,
    /// Stop waiting after this time, like 10s or 2m; the coordination goes on
    #[arg(long, value_name = "TIME", requires = "wait", value_parser = ui::parse_ms)]
    timeout: Option<u64>,
}

impl Coordinate {
    /// Reads the plan here, so that what is wrong with it has a line and a column.
    pub async fn run(self, context: &Context) -> Done {
        let plan = read(&self.plan)?;
        let params = contract::Coordinate {
            plan: None,
            plan_text: Some(plan.as_str().to_owned()),
            id: self.id,
            wait: self.wait,
            timeout_ms: self.timeout,
        };
        let hint =
            "start it with `once up`, or leave out --wait: then it is carried out when the kernel runs";
        let answer = ask(context, params, self.wait.then_some(("starting", hint))).await?;
        context.answer(&answer, |answer| if self.wait { print(answer) } else { started(answer) })?;
        Ok(if self.wait { exit(&answer) } else { Exit::DONE })
    }
}

/// Asks. `waits`: its end is waited for, which needs a kernel that runs; what the bar begins with, and what to do if none does.
pub(super) async fn ask<M: Method>(
    context: &Context,
    params: M,
    waits: Option<(&'static str, &str)>,
) -> Done<M::Result> {
    let client = context.kernel().await?;
    if let (true, Some((_, hint))) = (client.is_embedded(), waits) {
        client.close().await?;
        return Err(not_running(&context.data).hint(hint));
    }
    let shown = waits.filter(|_| !context.json);
    let teller = Teller::new(shown.map_or_else(ui::Bar::none, |(begins, _)| ui::Bar::new(begins, 0)));
    let tell = |progress: &Progress| {
        if shown.is_some() {
            teller.tell(progress);
        }
    };
    let answer = client.ask_with_progress(params, tell).await;
    drop(teller);
    ended(client, answer).await
}

/// How it ended; one that goes on is no failure.
pub(super) fn exit(answer: &CoordinationInfo) -> Exit {
    match answer.state {
        RunState::Compensated => Exit::FAILED,
        RunState::InDoubt => Exit::IN_DOUBT,
        _ => Exit::DONE,
    }
}

fn read(path: &Path) -> Done<Plan> {
    let limit = PLAN_MAX_BYTES as u64 + 1;
    let mut bytes = Vec::new();
    let read = match path.as_os_str() == "-" {
        true => {
            if std::io::stdin().is_terminal() {
                ui::say("reading the plan from stdin, up to Ctrl-D");
            }
            std::io::stdin().lock().take(limit).read_to_end(&mut bytes)
        }
        false => std::fs::File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes)),
    };
    read.map_err(|error| Failure::io(path, &error))?;
    let wrong = |place: String, what: &str, hint: Option<&str>| {
        let message = format!("{}{place}: {what}", ui::shown_path(path));
        Failure { hint: hint.map(str::to_owned), ..Failure::of(ErrorKind::Invalid, message) }
    };
    let text = String::from_utf8(bytes)
        .map_err(|_| wrong(String::new(), "not UTF-8", Some("save the file as UTF-8")))?;
    Plan::parse(text).map_err(|error| {
        wrong(format!(":{}:{}", error.line(), error.column()), &error.to_string(), error.hint())
    })
}

/// Says what has changed: a line for each step, above the bar where there is one.
struct Teller {
    bar: ui::Bar,
    said: Mutex<BTreeMap<String, String>>,
}

impl Teller {
    fn new(bar: ui::Bar) -> Self {
        Self { bar, said: Mutex::default() }
    }

    fn tell(&self, progress: &Progress) {
        let Some(now) = &progress.coordination else { return };
        let mut said = self.said.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if said.is_empty() {
            self.bar.say(&format!("coordination {}, object {}", now.coordination, ui::shown(&now.object)));
        }
        let width = now.steps.iter().map(|step| width(&step.name)).max().unwrap_or(0);
        for contract::StepProgress { name, status } in &now.steps {
            let before = said.insert(name.clone(), status.clone());
            if status != before.as_deref().unwrap_or("planned") {
                self.bar.say(&format!("{}  {}", padded(name, width), ui::shown(status)));
            }
        }
        self.bar.show(progress);
    }
}

/// A name in a column.
fn padded(name: &str, to: usize) -> String {
    let name = ui::shown(name);
    format!("{name}{}", " ".repeat(to.saturating_sub(name.chars().count())))
}

fn width(name: &str) -> usize {
    ui::shown(name).chars().count()
}

/// What is known of one that nobody waits for.
fn started(answer: &CoordinationInfo) -> Done<()> {
    let (id, state) = (answer.id.to_string(), answer.state.word());
    ui::say(&format!("{state}; `once coordination {id}` says how it stands"));
    ui::print(&id)
}

/// How it stands, step by step.
pub(super) fn print(answer: &CoordinationInfo) -> Done<()> {
    let (id, state) = (answer.id, answer.state.word());
    ui::print(&format!("{state} {id}"))?;
    let mut table = ui::Table::new(["STEP", "STATUS", "OUTCOME"]);
    for StepStatus { name, state, .. } in &answer.steps {
        table.row([ui::cell(name, 80), state.word().to_owned(), detail(state)]);
    }
    table.under(&[2]).cut(&[0, 2]).print()
}

/// As much of an outcome as a table shows on a terminal, in characters. `--json` shows all of it.
const DETAIL_MAX_CHARS: usize = 400;

/// What came of a step, and of undoing it.
pub(super) fn detail(state: &StepState) -> String {
    let value = |result: &Option<Value>| result.as_ref().map_or_else(|| "-".to_owned(), Value::to_string);
    let all = match state {
        StepState::Done { result } | StepState::Compensating { result, .. } => value(result),
        StepState::Failed { reason } => said(reason),
        StepState::Refused { code } => code.clone(),
        StepState::Unknown { reason } => reason.clone(),
        StepState::Compensated { result, compensation } => {
            format!("{}, undone: {}", value(result), told(compensation))
        }
        StepState::InDoubt { result, compensation } => {
            format!("{}, not undone: {}", value(result), told(compensation))
        }
        _ => "-".to_owned(),
    };
    ui::cell(&all, DETAIL_MAX_CHARS)
}

pub(super) fn told(told: &StepOutcome) -> String {
    let all = match told {
        StepOutcome::Done { result } => result.as_ref().map_or_else(|| "-".to_owned(), Value::to_string),
        StepOutcome::Failed { reason } => said(reason),
        StepOutcome::Refused { code } => code.clone(),
        StepOutcome::Unknown { reason } => reason.clone(),
        _ => "-".to_owned(),
    };
    ui::cell(&all, DETAIL_MAX_CHARS)
}

/// What the object of a step had returned.
pub(super) fn result(state: &StepState) -> String {
    let all = state.result().map_or_else(|| "-".to_owned(), Value::to_string);
    ui::cell(&all, DETAIL_MAX_CHARS)
}

/// A reason that is a text is shown without quotes.
fn said(reason: &Value) -> String {
    reason.as_str().map_or_else(|| reason.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_step_says_what_came_of_it() {
        for (step, said) in [
            (json!({ "status": "planned" }), "-"),
            (json!({ "status": "done", "result": null }), "null"),
            (json!({ "status": "failed", "reason": "not enough" }), "not enough"),
            (json!({ "status": "refused", "code": "denied" }), "denied"),
            (
                json!({ "status": "in doubt", "result": 7, "compensation": { "status": "refused", "code": "denied" } }),
                "7, not undone: denied",
            ),
            (
                json!({ "status": "compensated", "result": 7, "compensation": { "status": "done", "result": [1] } }),
                "7, undone: [1]",
            ),
        ] {
            assert_eq!(detail(&serde_json::from_value(step).unwrap()), said);
        }
    }
}
