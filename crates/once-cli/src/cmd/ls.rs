//! `once ls`

use clap::{Args, ValueEnum};
use once::api::Client;
use once::api::contract::{List, ObjectInfo, ObjectState};

use crate::context::Context;
use crate::failure::{Done, Exit};
use crate::ui;

/// Objects in one call.
const PAGE_OBJECTS: u64 = 1000;

/// List the objects on this kernel
///
/// On a narrow terminal long names are cut, then columns go, in this order: SIZE, REVISION, HOME, STATE, COMPONENT. In a pipe and with --json all is there.
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
        let mut table = ui::Table::new(["OBJECT", "STATE", "REVISION", "SIZE", "HOME", "COMPONENT"]);
        table.right(2).right(3).leave(&[3, 2, 4, 1, 5]).cut(&[5]);
        let (mut listed, mut after) = (0, None);
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
            let is_last = page.next.is_none() || objects.is_empty();
            after = page.next;
            if is_last {
                break;
            }
        }
        if context.json {
            paper.line("]}")?;
        }
        paper.end()?;
        table.say_what_went();
        Ok(listed)
    }

    fn params(&self, limit: u64, after: Option<String>) -> List {
        let state = self.state.map(|state| match state {
            State::Home => ObjectState::Home,
            State::Replica => ObjectState::Replica,
            State::Unclaimed => ObjectState::Unclaimed,
        });
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        List { component: self.component.clone(), state, after, limit: Some(limit), tombstones: self.removed }
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

fn rows(table: &mut ui::Table, objects: &[ObjectInfo]) {
    for (at, object) in objects.iter().enumerate() {
        let beside = [at.checked_sub(1), Some(at + 1)].into_iter().flatten().filter_map(|at| objects.get(at));
        let shared = beside.into_iter().any(|other| other.uuid == object.uuid);
        let name = if shared { ui::key(&object.key) } else { ui::shown(&object.uuid) };
        let state = match object.state {
            _ if object.tombstone => "removed",
            ObjectState::Home => "home",
            ObjectState::Replica => "replica",
            ObjectState::Unclaimed => "unclaimed",
        };
        let home = match (object.state, object.home_name.as_deref(), object.home.as_deref()) {
            (ObjectState::Home, ..) => "here".to_owned(),
            (_, Some(name), _) if !name.is_empty() => ui::capped(name, 16),
            (.., Some(id)) => ui::short(id),
            _ => "-".to_owned(),
        };
        let revision = match object.state {
            ObjectState::Unclaimed => "-".to_owned(),
            ObjectState::Home | ObjectState::Replica => object.revision.to_string(),
        };
        let component = format!("{} {}", ui::shown(&object.component), ui::shown(&object.version));
        let (size, component) = (ui::bytes(object.size), component.trim().to_owned());
        table.row([name, state.to_owned(), revision, size, home, component]);
    }
}
