//! `once watch`

use clap::Args;
use once::api::contract::{
    ActedEvent, ChangedEvent, DeliveryAnswer, Event, EventInfo, Events, Listen, OutcomeEvent,
};

use super::up::Signals;
use crate::context::{Context, ended};
use crate::failure::{Done, Exit, Failure, UNREACHABLE};
use crate::ui;

/// Events that are asked for at once.
const PAGE: usize = 1_000;

/// Longest name and longest result on a line, in characters: a line should fit into 80 columns.
const NAME_MAX_CHARS: usize = 24;
const RESULT_MAX_CHARS: usize = 32;

/// Show what happens on this kernel, or has happened since
///
/// It shows it as it happens, or since a place that you kept.
///
/// Each event has a place in the kernel's event log, which `--json` prints as `cursor`. `once watch --since CURSOR` goes on behind it,
/// also after a restart: nothing is missed. The log keeps the newest 100,000 events, or 64 MiB; what it has no more is said with its
/// size.
#[derive(Debug, Args)]
pub struct Watch {
    /// Only what is about this object
    object: Option<String>,
    /// Only what is about objects of this component
    #[arg(long, value_name = "C")]
    component: Option<String>,
    /// Only what is about this kernel: who sent, acted, answered or is connected
    #[arg(long, value_name = "P")]
    peer: Option<String>,
    /// Begin behind this place instead of now; `start` shows everything that is kept
    #[arg(long, value_name = "CURSOR")]
    since: Option<String>,
    /// Show what has happened until now, and end
    #[arg(long)]
    until_now: bool,
}

impl Watch {
    pub async fn run(self, context: &Context) -> Done {
        let mut lines = Lines::new(context, self.wanted());
        if self.until_now {
            self.past(context, &mut lines).await?
        } else {
            self.live(context, &mut lines).await?
        }
        Ok(Exit::DONE)
    }

    /// What of it is wanted, as it is typed.
    fn wanted(&self) -> String {
        let object = self.object.as_ref().map(|object| format!(" {}", ui::word(object)));
        let component = self.component.as_ref().map(|name| format!(" --component {}", ui::word(name)));
        let peer = self.peer.as_ref().map(|peer| format!(" --peer {}", ui::word(peer)));
        [object, component, peer].into_iter().flatten().collect()
    }

    /// What has happened, page by page: also where no kernel runs.
    async fn past(self, context: &Context, lines: &mut Lines<'_>) -> Done<()> {
        let client = context.kernel().await?;
        let mut after = self.since;
        let read = async {
            loop {
                let page = client.ask(Events {
                    after: after.take(),
                    limit: Some(PAGE),
                    object: self.object.clone(),
                    component: self.component.clone(),
                    peer: self.peer.clone(),
                });
                let page = page.await?;
                page.events.iter().try_for_each(|event| lines.event(event))?;
                lines.seen(&page.cursor);
                after = page.next;
                if after.is_none() {
                    return Ok::<_, Failure>(());
                }
            }
        };
        let done = read.await;
        ended(client, Ok(())).await?;
        done?;
        lines.end();
        Ok(())
    }

    /// What happens, until somebody ends it.
    async fn live(self, context: &Context, lines: &mut Lines<'_>) -> Done<()> {
        let client = context.running().await?;
        let mut signals = Signals::new()?;
        let Self { object, component, peer, since, .. } = self;
        let mut events = client.listen(Listen { since, object, component, peer }).await?;
        lines.seen(&events.begins());
        if !context.json {
            ui::say("watching; Ctrl-C ends it");
        }
        loop {
            tokio::select! {
                event = events.next() => match event {
                    Some(event) => {
                        lines.event(&event)?;
                        lines.seen(&event.cursor);
                    }
                    None => {
                        lines.end();
                        let stopped = Failure::failed("the kernel has stopped");
                        return Err(Failure { code: "unreachable".into(), exit: UNREACHABLE, ..stopped });
                    }
                },
                () = signals.next() => {
                    lines.end();
                    return Ok(());
                }
            }
        }
    }
}

/// What is printed, and how far that is.
struct Lines<'a> {
    context: &'a Context,
    day: String,
    cursor: Option<String>,
    /// What was asked for, as it is typed again.
    wanted: String,
}

impl<'a> Lines<'a> {
    fn new(context: &'a Context, wanted: String) -> Self {
        Self { context, day: String::new(), cursor: None, wanted }
    }

    fn seen(&mut self, cursor: &str) {
        self.cursor = Some(cursor.to_owned());
    }

    fn end(&self) {
        if let Some(cursor) = self.cursor.as_ref().filter(|_| !self.context.json) {
            ui::say(&format!("to go on from here: `once watch --since {cursor}{}`", self.wanted));
        }
    }

    fn event(&mut self, info: &EventInfo) -> Done<()> {
        if self.context.json {
            return ui::print_json(info);
        }
        let paint = ui::Paint::stdout();
        let utc = info.at_ms.map(ui::utc).unwrap_or_default();
        let (day, time) = utc.split_once(' ').unwrap_or(("", ""));
        if !day.is_empty() && day != self.day {
            day.clone_into(&mut self.day);
            ui::print(&paint.dim(day))?;
        }
        let time = time.split('.').next().unwrap_or(time).trim_end_matches(" UTC").trim_end_matches('Z');
        let (kind, what) = said(info);
        ui::print(&format!("{} {kind:<12} {what}", paint.dim(&format!("{time:<8}"))))
    }
}

/// An event in two words: its kind, and what happened.
fn said(info: &EventInfo) -> (&'static str, String) {
    let about = |key: &str| object(info, key);
    match &info.event {
        Event::Changed(changed) => ("changed", change(info, changed)),
        Event::Acted(acted) => ("action", act(info, acted)),
        Event::Outcome(outcome) => ("outcome", format!("{} {}", about(&outcome.key), result(outcome))),
        Event::Published { key, topic, data_text } => {
            let data = ui::capped(data_text, RESULT_MAX_CHARS);
            ("published", format!("{} {} {data}", about(key), ui::capped(topic, NAME_MAX_CHARS)))
        }
        Event::Dropped { key } => ("dropped", format!("{}: the copy here is gone", ui::key(key))),
        Event::Moved { key, to_name, .. } => ("moved", format!("{} to {}", about(key), ui::shown(to_name))),
        Event::MovedIn { key, from_name, .. } => {
            ("moved in", format!("{} from {}", about(key), ui::shown(from_name)))
        }
        Event::Delivered { peer_name, key, answer, code, .. } => {
            let said = match answer {
                DeliveryAnswer::Stored => "has it".to_owned(),
                DeliveryAnswer::Known => "had it already".to_owned(),
                DeliveryAnswer::Conflict => "keeps it beside another revision".to_owned(),
                DeliveryAnswer::Refused => {
                    format!("refused it ({})", ui::shown(code.as_deref().unwrap_or("?")))
                }
            };
            ("delivered", format!("{}: {} {said}", about(key), ui::shown(peer_name)))
        }
        other => of_kernels(other),
    }
}

/// What is about a kernel, or about an object that cannot go on.
fn of_kernels(event: &Event) -> (&'static str, String) {
    match event {
        Event::Connected { peer_name, .. } => ("connected", ui::shown(peer_name)),
        Event::Disconnected { peer_name, reason, .. } => {
            ("gone", format!("{}: {}", ui::shown(peer_name), ui::shown(reason)))
        }
        Event::Came { petname, says, peer, .. } => {
            let name = petname.as_deref().unwrap_or(says);
            ("joined", format!("{} ({})", ui::shown(name), ui::short(peer)))
        }
        Event::Quarantined { peer_name, .. } => (
            "quarantined",
            format!("{} showed that this kernel was put back from a backup", ui::shown(peer_name)),
        ),
        Event::FollowDenied { peer_name, key, .. } => (
            "not followed",
            format!("{}: {} does not let this kernel follow it", ui::key(key), ui::shown(peer_name)),
        ),
        Event::Parked { key, reason, .. } => {
            let key = key.as_deref().map(ui::key).unwrap_or_default();
            ("parked", format!("{key} {}", ui::shown(reason)))
        }
        Event::LaneForked { peer_name, key, .. } => {
            ("forked", format!("{}: {} sent two actions in one place", ui::key(key), ui::shown(peer_name)))
        }
        Event::Gap { missed } => {
            ("missing", format!("{} that the log has no more", ui::count(*missed, "event")))
        }
        _ => ("other", "something that this version of `once` does not know".to_owned()),
    }
}

/// The object as people call it.
fn object(info: &EventInfo, key: &str) -> String {
    let component =
        info.component.as_deref().map(|name| ui::capped(name, NAME_MAX_CHARS)).unwrap_or_default();
    match info.name.as_deref() {
        Some(name) => format!("{component} \"{}\"", ui::capped(name, NAME_MAX_CHARS)),
        None => format!("{component} {}", ui::short(key)).trim_start().to_owned(),
    }
}

fn change(info: &EventInfo, changed: &ChangedEvent) -> String {
    let what = match changed.tombstone {
        true => "was removed".to_owned(),
        false => format!("revision {}", changed.revision),
    };
    let by = match (&changed.from_name, &changed.origin_name) {
        (_, Some(origin)) => format!(", by {}", ui::shown(origin)),
        (Some(from), None) => format!(", from {}", ui::shown(from)),
        (None, None) => String::new(),
    };
    format!("{} {what}{by}", object(info, &changed.key))
}

fn act(info: &EventInfo, acted: &ActedEvent) -> String {
    let (action, by) = (ui::capped(&acted.action, NAME_MAX_CHARS), ui::shown(&acted.origin_name));
    format!("{} {action} by {by}: {}", object(info, &acted.outcome.key), result(&acted.outcome))
}

fn result(outcome: &OutcomeEvent) -> String {
    let status = ui::shown(&outcome.status);
    match (&outcome.result, &outcome.code) {
        (Some(result), _) => match &result.result_text {
            Some(text) => format!("{status} {}", ui::capped(text, RESULT_MAX_CHARS)),
            None => format!("{status} ({})", ui::bytes(result.result_bytes)),
        },
        (None, Some(code)) => format!("{status} ({})", ui::shown(code)),
        (None, None) => status,
    }
}
