//! `once find`

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use clap::Args;
use futures_util::stream::{FuturesUnordered, StreamExt};
use once::api::Client;
use once::api::contract::{self, FindCondition, FindResult, FoundInfo, ObjectState, PeerStatus, Peers};
use serde::Serialize;
use serde_json::Value;

use crate::context::Context;
use crate::failure::{Done, Exit, Failure};
use crate::ui;

const EXAMPLES: &str = "\
Everything that is given must fit; nothing given finds every object.

  once find --name 'pump *'                 by name: * is any run of characters, ? is one
  once find --component Unit 'Greta'        objects of a component in whose scenario a text stands
  once find --where /model/status=open      a value in the scenario, by its JSON pointer
  once find --changed-since 2h --home here  what changed here lately
  once find --name 'pump *' --everywhere    here and at every peer

A peer tells what this kernel may read there, and what it holds the right to find. Kernels that cannot be asked are named at the \
end, and the rest is shown all the same. With --json an object is printed for each kernel that has it, with `at` and `at_name`; \
`kernels` says of each whether all of it was looked at.

Exit code 4: a kernel that --at names did not answer, or no kernel did.";

/// Find objects by name, content, time and more, also at peers
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Find {
    /// A text that stands in the scenario, as it is spelled there; ASCII letters in either case
    text: Option<String>,
    /// Only objects of this component
    #[arg(long, value_name = "NAME")]
    component: Option<String>,
    /// Only objects whose whole name fits, like 'pump *'
    #[arg(long, value_name = "GLOB")]
    name: Option<String>,
    /// Only objects that have this value at this place: a JSON pointer, and a string, number, true, false or null
    #[arg(long = "where", value_name = "JSON_POINTER=VALUE", value_parser = condition)]
    conditions: Vec<FindCondition>,
    /// Only what the asked kernel has stored since: 90s, 2h, 7d ago, or a date like 2026-02-03
    #[arg(long, value_name = "TIME", value_parser = ui::parse_since)]
    changed_since: Option<u64>,
    /// Only objects with this home: a peer, a kernel id, or here
    #[arg(long, value_name = "KERNEL")]
    home: Option<String>,
    /// Ask this peer instead of this kernel (several: --at bob,carol)
    #[arg(long, value_name = "PEER", value_delimiter = ',', conflicts_with = "everywhere")]
    at: Vec<String>,
    /// Ask this kernel and every peer
    #[arg(long)]
    everywhere: bool,
    /// At most this many
    #[arg(short = 'n', long, value_name = "N", default_value_t = u64::MAX, hide_default_value = true)]
    limit: u64,
    /// How long to look at each kernel, like 10s or 1m
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = ui::parse_ms)]
    timeout: u64,
    /// Only the objects' names, for scripts
    #[arg(short, long)]
    quiet: bool,
}

/// `/model/color=red`: what is no string, number, truth value or null in JSON is a string.
fn condition(text: &str) -> Result<FindCondition, String> {
    let (pointer, value) =
        text.split_once('=').ok_or("expected a place and a value, like /model/color=red")?;
    let json = serde_json::from_str(value).ok().filter(|json: &Value| !json.is_array() && !json.is_object());
    Ok(FindCondition { pointer: pointer.to_owned(), value: json.unwrap_or_else(|| Value::from(value)) })
}

/// A kernel that is asked.
struct Place {
    /// How to name it in a call; this kernel if absent.
    at: Option<String>,
    /// For people, until it has answered.
    name: String,
    kernel: String,
    ends: Instant,
}

/// A page of one kernel, or why there is none.
struct Came {
    place: Place,
    page: Done<FindResult>,
}

impl Find {
    /// Each kernel is asked for its next page while those of the others are shown.
    pub async fn run(self, context: &Context) -> Done {
        let client = match self.everywhere || !self.at.is_empty() {
            true => context.running().await?,
            false => context.kernel().await?,
        };
        let found = self.find(context, &client).await;
        let closed = client.close().await;
        let exit = found?;
        closed?;
        Ok(exit)
    }

    async fn find(&self, context: &Context, client: &Client) -> Done {
        let places = self.places(client).await?;
        let is_alone = places.len() == 1 && self.at.is_empty();
        let mut shown = Shown::new(context.json, self.quiet, places.len() > 1, self.limit)?;
        let mut asking: FuturesUnordered<_> =
            places.into_iter().map(|place| self.ask(client, place, None)).collect();
        while let Some(Came { mut place, page }) = asking.next().await {
            match page {
                Ok(page) => {
                    (place.kernel, place.name) = (page.kernel.clone(), page.kernel_name.clone());
                    shown.page(&page)?;
                    match page.next {
                        _ if shown.left == 0 => break,
                        Some(next) => asking.push(self.ask(client, place, Some(next))),
                        None => shown.looked_through(place),
                    }
                }
                Err(error) if is_alone => return Err(error),
                Err(error) => shown.missing(place, error),
            }
        }
        drop(asking);
        shown.end(self.at.is_empty())
    }

    async fn places(&self, client: &Client) -> Done<Vec<Place>> {
        let ends = Instant::now() + Duration::from_millis(self.timeout);
        let place = |at: Option<String>, name: String, kernel: String| Place { at, name, kernel, ends };
        if !self.everywhere && !self.at.is_empty() {
            let named = self.at.iter().collect::<BTreeSet<_>>();
            return Ok(named
                .into_iter()
                .map(|at| place(Some(at.clone()), at.clone(), String::new()))
                .collect());
        }
        let mut places = vec![place(None, String::new(), String::new())];
        if self.everywhere {
            let peers = client.ask(Peers {}).await?.peers;
            let active = peers.into_iter().filter(|peer| peer.status == PeerStatus::Active);
            places.extend(active.map(|peer| {
                let name = ui::peer_name(&peer);
                place(Some(peer.kernel.clone()), name, peer.kernel)
            }));
        }
        Ok(places)
    }

    async fn ask(&self, client: &Client, place: Place, after: Option<String>) -> Came {
        let left = place.ends.saturating_duration_since(Instant::now());
        let params = contract::Find {
            text: self.text.clone(),
            component: self.component.clone(),
            name: self.name.clone(),
            conditions: self.conditions.clone(),
            changed_since_ms: self.changed_since,
            home: self.home.clone(),
            at: place.at.clone(),
            after,
            limit: u32::try_from(self.limit).ok(),
            timeout_ms: u64::try_from(left.as_millis()).ok(),
        };
        Came { page: client.ask(params).await.map_err(Failure::from), place }
    }
}

/// What became of a kernel that was asked, as `--json` prints it.
#[derive(Serialize)]
struct Told {
    kernel: Option<String>,
    name: String,
    complete: bool,
    error: Option<Value>,
    /// It is the kernel that asks: it permits itself everything.
    #[serde(skip)]
    is_own: bool,
}

/// A found object, as `--json` prints it.
#[derive(Serialize)]
struct Shape<'a> {
    #[serde(flatten)]
    found: &'a FoundInfo,
    at: &'a str,
    at_name: &'a str,
}

/// What was printed so far.
struct Shown {
    json: bool,
    quiet: bool,
    /// Several kernels are asked: it is said where an object was found.
    several: bool,
    paper: ui::Printer,
    table: ui::Table,
    listed: u64,
    left: u64,
    /// An object is shown to people once, however many kernels have it.
    keys: BTreeSet<String>,
    /// What became of each kernel.
    kernels: Vec<Told>,
    missing: Vec<(Place, Failure)>,
    /// Kernels at which something was found.
    found_at: BTreeSet<String>,
}

impl Shown {
    fn new(json: bool, quiet: bool, several: bool, left: u64) -> Done<Self> {
        let mut table = ui::Table::new(["OBJECT", "NAME", "COMPONENT", "HOME", "CHANGED", "AT"]);
        table.leave(&[4]).under(&[2, 5, 1, 3]).cut(&[1, 2, 3]);
        let mut paper = ui::Printer::new();
        if json {
            paper.text("{\"objects\":[")?;
        }
        let (keys, kernels, missing, found_at) = (BTreeSet::new(), Vec::new(), Vec::new(), BTreeSet::new());
        Ok(Self { json, quiet, several, paper, table, listed: 0, left, keys, kernels, missing, found_at })
    }

    fn page(&mut self, page: &FindResult) -> Done<()> {
        if !page.objects.is_empty() {
            self.found_at.insert(page.kernel.clone());
        }
        for found in &page.objects {
            if self.left == 0 {
                break;
            }
            if self.json {
                let comma = if self.listed == 0 { "" } else { "," };
                let shape = Shape { found, at: &page.kernel, at_name: &page.kernel_name };
                self.paper.text(comma)?;
                self.paper.text(&ui::json(&shape)?)?;
            } else if !self.several || self.keys.insert(found.key.clone()) {
                self.row(found, page)?;
            } else {
                continue;
            }
            self.listed += 1;
            self.left -= 1;
        }
        if !self.json && !self.quiet && !page.objects.is_empty() {
            self.table.page(&mut self.paper)?;
        }
        self.paper.flush()
    }

    fn row(&mut self, found: &FoundInfo, page: &FindResult) -> Done<()> {
        if self.quiet {
            return self.paper.line(&ui::key(&found.key));
        }
        let home = match (&found.home, &found.home_name) {
            (Some(home), _) if *home == page.kernel && !self.several => "here".to_owned(),
            (Some(_), Some(name)) => ui::cell(name, 80),
            _ => "-".to_owned(),
        };
        // Who is the home says it; that it may not be changed there just now is said beside it.
        let home = match found.state {
            Some(state) if state.is_at_home() && state != ObjectState::Home => {
                format!("{home}, {}", state.name())
            }
            _ => home,
        };
        self.table.row([
            ui::shown(&found.uuid),
            found.name.as_deref().map_or_else(|| "-".to_owned(), |name| ui::cell(name, 400)),
            ui::cell(format!("{} {}", found.component, found.version).trim(), 80),
            home,
            ui::since(found.changed_ms),
            ui::cell(&page.kernel_name, 80),
        ]);
        Ok(())
    }

    fn looked_through(&mut self, place: Place) {
        let (kernel, is_own) = (Some(place.kernel), place.at.is_none());
        self.kernels.push(Told { kernel, name: place.name, complete: true, error: None, is_own });
    }

    fn missing(&mut self, place: Place, error: Failure) {
        let kernel = Some(place.kernel.clone()).filter(|kernel| !kernel.is_empty());
        let said = serde_json::to_value(error.json()).ok().map(|mut said| said["error"].take());
        let (name, is_own) = (place.name.clone(), place.at.is_none());
        self.kernels.push(Told { kernel, name, complete: false, error: said, is_own });
        self.missing.push((place, error));
    }

    /// A peer tells only what this kernel may find there: that it told of nothing does not mean that it has nothing.
    fn who_had_nothing(&self) -> Option<String> {
        let is_silent = |told: &&Told| {
            told.complete
                && !told.is_own
                && told.kernel.as_ref().is_some_and(|kernel| !self.found_at.contains(kernel))
        };
        let mut silent: Vec<_> =
            self.kernels.iter().filter(is_silent).map(|told| ui::shown(&told.name)).collect();
        // Not in the order in which they happened to answer.
        silent.sort();
        (self.several && !self.json && !self.quiet && !silent.is_empty()).then(|| silent.join(", "))
    }

    /// Says who did not answer.
    fn end(mut self, everywhere: bool) -> Done {
        if self.json {
            self.paper.line(&format!("],\"kernels\":{}}}", ui::json(&self.kernels)?))?;
        }
        let silent = self.who_had_nothing();
        self.paper.end()?;
        self.table.say_what_went();
        if !self.json && !self.quiet {
            ui::say(&ui::count(self.listed, "object"));
        }
        if let Some(silent) = silent {
            ui::say(&format!(
                "nothing that this kernel may find fits at: {silent}. A peer shows what it permits: 'once grant PEER find' there, and for what is in them 'once grant PEER read'"
            ));
        }
        for (place, error) in &self.missing {
            let name = if place.name.is_empty() { "this kernel" } else { &place.name };
            ui::say(&format!("{} did not tell all: {}", ui::shown(name), ui::shown(&error.message)));
        }
        let answered = self.kernels.len() > self.missing.len() || self.listed > 0;
        let first = self.missing.first().map(|(_, error)| Exit(error.exit));
        Ok(first.filter(|_| !everywhere || !answered).unwrap_or(Exit::DONE))
    }
}
