//! `once ls`

use clap::{Args, ValueEnum};
use once::api::Client;
use serde_json::{Value, json};

use crate::context::{Context, list, number, text, truth, with};
use crate::failure::{Done, Exit};
use crate::ui;

/// Objects in one call.
const PAGE_OBJECTS: u64 = 1000;

/// List the objects on this kernel
#[derive(Debug, Args)]
pub struct Ls {
    /// Only objects of this component
    #[arg(long, value_name = "NAME")]
    component: Option<String>,
    /// Only objects in this state
    #[arg(long)]
    state: Option<State>,
    /// Removed objects too
    #[arg(long)]
    removed: bool,
    /// At most this many
    #[arg(short = 'n', long, value_name = "N")]
    limit: Option<u64>,
    /// Only the names, for scripts
    #[arg(short, long)]
    quiet: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum State {
    /// It may be changed here
    Home,
    /// A copy
    Replica,
    /// Nobody has changed it yet
    Unclaimed,
}

impl Ls {
    /// Page by page, so that a million objects need no more memory than a thousand.
    pub async fn run(self, context: &Context) -> Done {
        let client = context.kernel().await?;
        let listed = self.list(context, &client).await;
        let closed = client.close().await;
        let listed = listed?;
        closed?;
        if !context.json && !self.quiet {
            ui::say(&ui::count(listed, "object"));
        }
        Ok(Exit::DONE)
    }

    async fn list(&self, context: &Context, client: &Client) -> Done<u64> {
        let mut paper = ui::Printer::new();
        if context.json {
            paper.text("{\"objects\":[")?;
        }
        let (mut listed, mut after) = (0, Value::Null);
        loop {
            let left =
                self.limit.map_or(PAGE_OBJECTS, |limit| PAGE_OBJECTS.min(limit.saturating_sub(listed)));
            if left == 0 {
                break;
            }
            let page = client.call("list", self.params(left, &after)).await?;
            let objects = list(&page, "objects");
            for (at, object) in objects.iter().enumerate() {
                let beside = [at.checked_sub(1), Some(at + 1)].into_iter().flatten();
                let shared =
                    beside.filter_map(|at| objects.get(at)).any(|b| text(b, "uuid") == text(object, "uuid"));
                if listed == 0 && at == 0 && !context.json && !self.quiet {
                    paper.line(&title())?;
                }
                self.one(context, &mut paper, object, shared, listed == 0 && at == 0)?;
            }
            listed += objects.len() as u64;
            after = page.get("next").cloned().unwrap_or(Value::Null);
            if after.is_null() || objects.is_empty() {
                break;
            }
        }
        if context.json {
            paper.line("]}")?;
        }
        paper.end()?;
        Ok(listed)
    }

    fn params(&self, limit: u64, after: &Value) -> Value {
        let state = self.state.map(|state| match state {
            State::Home => "home",
            State::Replica => "replica",
            State::Unclaimed => "unclaimed",
        });
        with(
            json!({ "limit": limit, "tombstones": self.removed }),
            [
                ("component", self.component.clone().map(Value::from)),
                ("state", state.map(Value::from)),
                ("after", Some(after.clone()).filter(|after| !after.is_null())),
            ],
        )
    }

    fn one(
        &self,
        context: &Context,
        paper: &mut ui::Printer,
        object: &Value,
        shared: bool,
        first: bool,
    ) -> Done<()> {
        if context.json {
            return paper.text(&format!("{}{object}", if first { "" } else { "," }));
        }
        let name =
            if shared || self.quiet { ui::key(text(object, "key")) } else { ui::shown(text(object, "uuid")) };
        if self.quiet { paper.line(&name) } else { paper.line(&row(&name, object)) }
    }
}

fn title() -> String {
    format!("{:<36}  {:<9}  {:>8}  {:>7}  {:<16}  COMPONENT", "OBJECT", "STATE", "REVISION", "SIZE", "HOME")
}

fn row(name: &str, object: &Value) -> String {
    let state = if truth(object, "tombstone") { "removed" } else { text(object, "state") };
    let home = match (text(object, "state"), text(object, "home_name")) {
        ("home", _) => "here".to_owned(),
        (_, "") => ui::short(text(object, "home")),
        (_, home) => ui::capped(home, 16),
    };
    let revision = match text(object, "state") {
        "unclaimed" => "-".to_owned(),
        _ => number(object, "revision").to_string(),
    };
    format!(
        "{name:<36}  {:<9}  {revision:>8}  {:>7}  {:<16}  {} {}",
        ui::shown(state),
        ui::bytes(number(object, "size")),
        if home.is_empty() { "-" } else { &home },
        ui::shown(text(object, "component")),
        ui::shown(text(object, "version"))
    )
    .trim_end()
    .to_owned()
}
