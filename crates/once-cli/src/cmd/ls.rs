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
///
/// On a narrow terminal long names are cut, then columns go, in this order: SIZE, REVISION, HOME, STATE, COMPONENT, NAME. In a pipe and with --json all is there.
#[derive(Debug, Args)]
pub struct Ls {
    /// Only objects of this component
    #[arg(long, value_name = "NAME")]
    component: Option<String>,
    /// Only objects in this state
    #[arg(long)]
    state: Option<State>,
    /// Only objects whose whole name fits: * is any run of characters, ? is one
    #[arg(long, value_name = "GLOB")]
    name: Option<String>,
    /// In another order than that of UUIDs
    #[arg(long)]
    sort: Option<Sort>,
    /// Begin behind the last object of a page: `next` of its JSON, or what is said below it
    #[arg(long, value_name = "NEXT")]
    after: Option<String>,
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

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Sort {
    /// By name; what has none comes last
    Name,
    /// By component
    Component,
    /// What changed last comes first
    Changed,
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
        let mut table = ui::Table::new(["OBJECT", "NAME", "STATE", "REVISION", "SIZE", "HOME", "COMPONENT"]);
        table.right(3).right(4).leave(&[4, 3, 5, 2, 6, 1]).cut(&[1, 6]);
        let (mut listed, mut after) = (0, self.after.clone().map_or(Value::Null, Value::from));
        loop {
            let left =
                self.limit.map_or(PAGE_OBJECTS, |limit| PAGE_OBJECTS.min(limit.saturating_sub(listed)));
            if left == 0 {
                break;
            }
            let page = client.call("list", self.params(left, &after)).await?;
            let objects = list(&page, "objects");
            match (context.json, self.quiet) {
                (true, _) => Self::json(&mut paper, objects, listed)?,
                (_, true) => Self::names(&mut paper, objects)?,
                _ if objects.is_empty() => {}
                _ => {
                    rows(&mut table, objects);
                    table.page(&mut paper)?;
                }
            }
            listed += objects.len() as u64;
            after = page.get("next").cloned().unwrap_or(Value::Null);
            if after.is_null() {
                break;
            }
        }
        if context.json {
            paper.line(&format!("],\"next\":{after}}}"))?;
        }
        paper.end()?;
        table.say_what_went();
        if !context.json && !after.is_null() {
            ui::say(&format!("more: the same with --after {}", ui::capped(text_of(&after), NEXT_MAX_CHARS)));
        }
        Ok(listed)
    }

    fn params(&self, limit: u64, after: &Value) -> Value {
        let state = self.state.map(|state| match state {
            State::Home => "home",
            State::Replica => "replica",
            State::Unclaimed => "unclaimed",
        });
        let sort = self.sort.map(|sort| match sort {
            Sort::Name => "name",
            Sort::Component => "component",
            Sort::Changed => "changed",
        });
        with(
            json!({ "limit": limit, "tombstones": self.removed }),
            [
                ("name", self.name.clone().map(Value::from)),
                ("sort", sort.map(Value::from)),
                ("component", self.component.clone().map(Value::from)),
                ("state", state.map(Value::from)),
                ("after", Some(after.clone()).filter(|after| !after.is_null())),
            ],
        )
    }

    fn json(paper: &mut ui::Printer, objects: &[Value], listed: u64) -> Done<()> {
        for (at, object) in objects.iter().enumerate() {
            let comma = if listed == 0 && at == 0 { "" } else { "," };
            paper.text(&format!("{comma}{object}"))?;
        }
        Ok(())
    }

    fn names(paper: &mut ui::Printer, objects: &[Value]) -> Done<()> {
        objects.iter().try_for_each(|object| paper.line(&ui::key(text(object, "key"))))
    }
}

/// The longest place to go on from: a key, and the longest name in hexadecimal.
const NEXT_MAX_CHARS: usize = 2048;

fn text_of(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn rows(table: &mut ui::Table, objects: &[Value]) {
    for (at, object) in objects.iter().enumerate() {
        let beside = [at.checked_sub(1), Some(at + 1)].into_iter().flatten().filter_map(|at| objects.get(at));
        let shared = beside.into_iter().any(|other| text(other, "uuid") == text(object, "uuid"));
        let key = if shared { ui::key(text(object, "key")) } else { ui::shown(text(object, "uuid")) };
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
        let component =
            format!("{} {}", ui::shown(text(object, "component")), ui::shown(text(object, "version")));
        let size = ui::bytes(number(object, "size"));
        let home = if home.is_empty() { "-".to_owned() } else { home };
        let name = match text(object, "name") {
            "" => "-".to_owned(),
            name => ui::shown(name),
        };
        table.row([key, name, ui::shown(state), revision, size, home, component.trim().to_owned()]);
    }
}
