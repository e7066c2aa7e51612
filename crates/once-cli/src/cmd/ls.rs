//! `once ls`

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};
use once::api::Client;
use once::api::contract::{self, List, ObjectInfo, ObjectState};

use crate::context::Context;
use crate::failure::{Done, Exit};
use crate::ui;

/// Objects in one call.
const PAGE_OBJECTS: u64 = 1000;

/// List the objects on this kernel
///
/// Where a terminal is too narrow, SIZE and REVISION go, then long names, components and homes stand below
/// each row. In a pipe and with --json all is there.
#[derive(Debug, Args)]
pub struct Ls {
    /// Only objects of this component
    #[arg(long, value_name = "NAME")]
    component: Option<String>,
    /// Only objects in this state
    #[arg(long, value_parser = states())]
    state: Option<ObjectState>,
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

/// Reads a state by the name that it is shown with.
fn states() -> impl TypedValueParser<Value = ObjectState> {
    let values = ObjectState::ALL.map(|state| PossibleValue::new(state.name()).help(state.says()));
    PossibleValuesParser::new(values).try_map(|name| {
        ObjectState::ALL.into_iter().find(|state| state.name() == name).ok_or("no such state")
    })
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Sort {
    /// By name; what has none comes last
    Name,
    /// By component, then by UUID
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
        table.right(3).right(4).leave(&[4, 3]).under(&[6, 1, 5, 2]).cut(&[1, 6, 5]);
        let (mut listed, mut after) = (0, self.after.clone());
        loop {
            let left =
                self.limit.map_or(PAGE_OBJECTS, |limit| PAGE_OBJECTS.min(limit.saturating_sub(listed)));
            if left == 0 {
                break;
            }
            let page = client.ask(self.params(left, after)).await?;
            let objects = page.objects.as_slice();
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
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        if context.json {
            paper.line(&format!("],\"next\":{}}}", ui::json(&after)?))?;
        }
        paper.end()?;
        table.say_what_went();
        if let Some(after) = after.filter(|_| !context.json) {
            ui::say(&format!("more: the same with --after {}", ui::capped(&after, NEXT_MAX_CHARS)));
        }
        Ok(listed)
    }

    fn params(&self, limit: u64, after: Option<String>) -> List {
        let sort = match self.sort {
            None => contract::Sort::Key,
            Some(Sort::Name) => contract::Sort::Name,
            Some(Sort::Component) => contract::Sort::Component,
            Some(Sort::Changed) => contract::Sort::Changed,
        };
        List {
            component: self.component.clone(),
            state: self.state,
            name: self.name.clone(),
            sort,
            after,
            limit: Some(usize::try_from(limit).unwrap_or(usize::MAX)),
            tombstones: self.removed,
        }
    }

    fn json(paper: &mut ui::Printer, objects: &[ObjectInfo], listed: u64) -> Done<()> {
        for (at, object) in objects.iter().enumerate() {
            let comma = if listed == 0 && at == 0 { "" } else { "," };
            paper.text(comma)?;
            paper.text(&ui::json(object)?)?;
        }
        Ok(())
    }

    fn names(paper: &mut ui::Printer, objects: &[ObjectInfo]) -> Done<()> {
        objects.iter().try_for_each(|object| paper.line(&ui::key(&object.key)))
    }
}

/// The longest place to go on from: a key, and the longest name in hexadecimal.
const NEXT_MAX_CHARS: usize = 2048;

fn rows(table: &mut ui::Table, objects: &[ObjectInfo]) {
    for (at, object) in objects.iter().enumerate() {
        let beside = [at.checked_sub(1), Some(at + 1)].into_iter().flatten().filter_map(|at| objects.get(at));
        let shared = beside.into_iter().any(|other| other.uuid == object.uuid);
        let key = if shared { ui::key(&object.key) } else { ui::shown(&object.uuid) };
        let state = match object.state.name() {
            _ if object.tombstone => "removed".to_owned(),
            name if object.conflicts > 0 => format!("{name}, conflict"),
            name => name.to_owned(),
        };
        let home = match (object.state.is_at_home(), object.home_name.as_deref(), object.home.as_deref()) {
            (true, ..) => "here".to_owned(),
            (_, Some(name), _) if !name.is_empty() => ui::cell(name, 80),
            (.., Some(id)) => ui::kernel(id),
            _ => "-".to_owned(),
        };
        let revision = match object.state {
            ObjectState::Unclaimed => "-".to_owned(),
            _ => object.revision.to_string(),
        };
        let component = format!("{} {}", ui::cell(&object.component, 80), ui::cell(&object.version, 80));
        let (size, component) = (ui::bytes(object.size), component.trim().to_owned());
        let name = object.name.as_deref().filter(|name| !name.is_empty());
        let name = name.map_or_else(|| "-".to_owned(), |name| ui::cell(name, 400));
        table.row([key, name, state, revision, size, home, component]);
    }
}
