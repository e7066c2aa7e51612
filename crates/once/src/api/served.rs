//! Serving components and work outside over a connection: `docs/local-api.md` shows how it looks from outside.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use once_core::act;
use once_core::waist::{Input, Run, RunResult, Work};
use once_model::action::check_name;
use once_model::scenario::Scenario;
use once_model::wire::Code;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use super::answer::{self, parsed};
use super::contract::{
    Done, Method, MoveNotice, Ran, RunNotice, Serve, ServeActivity, ServeActivityResult, ServeResult,
    Unserve, WorkNotice, Worked,
};
use super::lines::Line;
use super::names::{self, key_text};
use crate::component::{
    self, Asked, ClientId, Components, OFFERED_MAX, Offer, RUNS_MAX, SERVED_MAX, Served, Slot, WORKS_MAX,
};
use crate::error::OrError;
use crate::net::lock;
use crate::shell::{Mail, what_to_free};
use crate::{Error, Kernel, datadir};

/// Texts of more bytes are read and written beside the network's thread.
const LARGE_BYTES: usize = 256 * 1024;

/// Methods of a connection about what it serves.
const METHODS: [&str; 4] = [Serve::NAME, Ran::NAME, ServeActivity::NAME, Worked::NAME];

/// What a connection serves.
pub(super) struct Link {
    state: Mutex<State>,
    may_stay: bool,
    /// Ends the stream of events that this connection has.
    listening: Mutex<Option<oneshot::Sender<()>>>,
}

enum State {
    /// It has served nothing yet.
    Fresh(mpsc::Sender<Line>),
    Client(Arc<Served>, ClientId),
    Ended,
}

/// What begins when the client has its answer.
pub(super) enum Begins {
    Component(Offer),
    Activity(String),
}

/// The action by which objects are told that they move.
const fn told_by(notice: MoveNotice) -> &'static str {
    match notice {
        MoveNotice::Leaving => "once:leaving",
        MoveNotice::Arrived => "once:arrived",
    }
}

/// What of an answer is looked at first.
#[derive(Deserialize)]
struct Which {
    run: u64,
}

impl Link {
    /// `may_stay`: whether there is a place for a connection that is asked.
    pub fn new(lines: mpsc::Sender<Line>, may_stay: bool) -> Self {
        Self { state: Mutex::new(State::Fresh(lines)), may_stay, listening: Mutex::default() }
    }

    /// Whether this connection may be asked or told something later.
    pub fn may_stay(&self) -> bool {
        self.may_stay
    }

    /// A stream of events begins on this connection, and the one before it ends. This one ends when the answer resolves.
    pub fn listens(&self) -> oneshot::Receiver<()> {
        let (end, ended) = oneshot::channel();
        drop(lock(&self.listening).replace(end));
        ended
    }

    /// Whether this method is about what a connection serves.
    pub fn has(method: &str) -> bool {
        METHODS.contains(&method)
    }

    /// Whether this method answers what a connection was asked.
    pub fn is_answer(method: &str) -> bool {
        matches!(method, Ran::NAME | Worked::NAME)
    }

    /// Whether this connection serves something.
    pub fn is_serving(&self) -> bool {
        matches!(*lock(&self.state), State::Client(..))
    }

    /// Carries one call out.
    pub async fn call(
        &self,
        kernel: &Kernel,
        method: &str,
        params: &str,
    ) -> Result<(Value, Option<Begins>), Error> {
        match method {
            Serve::NAME => {
                let (result, begins) = self.serve(kernel, parsed(params)?).await?;
                Ok((shown::<Serve>(&result)?, Some(begins)))
            }
            ServeActivity::NAME => {
                let (result, begins) = self.serve_activity(kernel, parsed(params)?)?;
                Ok((shown::<ServeActivity>(&result)?, Some(begins)))
            }
            Ran::NAME => {
                self.ran(kernel, params).await?;
                Ok((shown::<Ran>(&Done {})?, None))
            }
            _ => {
                worked(kernel, params).await?;
                Ok((shown::<Worked>(&Done {})?, None))
            }
        }
    }

    /// From now on it is asked.
    pub fn begin(&self, begins: Begins) {
        if let State::Client(served, id) = &*lock(&self.state) {
            match begins {
                Begins::Component(offer) => served.serve(*id, offer),
                Begins::Activity(name) => served.serve_activity(*id, name),
            }
        }
    }

    /// The connection has ended.
    pub fn end(&self) {
        if let State::Client(served, id) = std::mem::replace(&mut *lock(&self.state), State::Ended) {
            served.disconnect(id);
        }
    }

    /// This connection as one that serves.
    fn connect(&self, components: &Components) -> Result<(), Error> {
        let mut state = lock(&self.state);
        *state = match std::mem::replace(&mut *state, State::Ended) {
            State::Fresh(lines) => {
                let served = Arc::clone(&components.served);
                let (id, coming) = served.connect();
                tokio::spawn(tell(Arc::clone(&served), id, coming, lines));
                State::Client(served, id)
            }
            State::Ended => return Err(Error::stopping()),
            client => client,
        };
        Ok(())
    }

    async fn serve(&self, kernel: &Kernel, params: Serve) -> Result<(ServeResult, Begins), Error> {
        let Serve { component, version, actions, descriptions, moves } = params;
        let moves: BTreeSet<String> = moves.into_iter().map(|notice| told_by(notice).to_owned()).collect();
        let (component, version) = (named("component", component)?, named("version", version)?);
        if actions.as_ref().is_some_and(|names| names.len() > OFFERED_MAX) {
            return Err(Error::usage(format!(
                "a program offers at most {OFFERED_MAX} actions of a component"
            )));
        }
        if let Some(name) = actions.iter().flatten().find(|name| check_name(name).is_err()) {
            return Err(Error::usage(format!("'{}' cannot be the name of an action", names::shown(name)))
                .with_hint("names have 1 to 255 bytes; those that begin with `once:` belong to the kernel"));
        }
        super::actions::check(actions.as_ref(), &descriptions)?;
        let descriptions = descriptions.into_iter().map(|action| (action.name.clone(), action)).collect();
        let components = &kernel.shared().components;
        if components.get(&component).is_some() {
            return Err(Error::usage(format!("this kernel has the component '{component}' itself"))
                .with_hint("serve it under another name: objects are of the component that they name"));
        }
        let known: Vec<_> = components.served.list().into_iter().map(|(known, ..)| known).collect();
        if !known.contains(&component) && known.len() >= SERVED_MAX {
            return Err(Error::quota(format!(
                "this kernel remembers {SERVED_MAX} components that programs serve"
            ))
            .with_hint("`unserve` forgets one of them"));
        }
        let (name, told) = (component.clone(), moves.clone());
        // Before anybody may rely on it: it outlasts the connection and this run of the kernel.
        remember(kernel, move |served, moves| {
            moves.retain(|known| !is_of(known, &name));
            moves.extend(told.iter().map(|action| component::told(&name, action)));
            if !served.contains(&name) {
                served.push(name);
            }
        })
        .await?;
        self.connect(components)?;
        let result =
            ServeResult { component: component.clone(), version: version.clone(), runs_max: RUNS_MAX };
        Ok((result, Begins::Component(Offer { component, version, actions, descriptions, moves })))
    }

    fn serve_activity(
        &self,
        kernel: &Kernel,
        ServeActivity { name }: ServeActivity,
    ) -> Result<(ServeActivityResult, Begins), Error> {
        let name = named("name", name)?;
        let components = &kernel.shared().components;
        if components.has_worker(&name) {
            return Err(Error::usage(format!("this kernel does the work '{name}' itself"))
                .with_hint("serve it under another name"));
        }
        self.connect(components)?;
        Ok((ServeActivityResult { name: name.clone(), works_max: WORKS_MAX }, Begins::Activity(name)))
    }

    async fn ran(&self, kernel: &Kernel, params: &str) -> Result<(), Error> {
        let Which { run: number } = parsed(params)?;
        let gone = || {
            Error::not_found(format!("this connection is not asked for a run {number}")).with_hint(
                "it was answered, or given up because it took too long: then its action is asked for again",
            )
        };
        let client = match &*lock(&self.state) {
            State::Client(served, id) => Some((Arc::clone(served), *id)),
            _ => None,
        };
        let (served, id) = client.ok_or_else(gone)?;
        let run = served.run_of(id, number).ok_or_else(gone)?;
        let read = {
            let (run, owner) = (Arc::clone(&run), kernel.name().to_owned());
            move |params: &str| answer::read(&run, params, &owner)
        };
        let result = if params.len() + run.body.len() <= LARGE_BYTES {
            read(params)
        } else {
            let params = params.to_owned();
            let read = crate::beside::wait_for(move || read(&params)).await;
            read.map_err(|_| Error::fault("reading an answer panicked"))?
        };
        match result {
            Ok(result) => served.answered(id, number, result).then_some(()).ok_or_else(gone),
            Err(why) => {
                let component = &run.header.component;
                let reason = format!("the program that serves {component} gave an answer of no use: {why}");
                served.answered(id, number, RunResult::Failed(Value::from(reason).to_string().into()));
                Err(Error::invalid(format!("run {number}: {why}"))
                    .with_hint("its action has failed, with this as the reason"))
            }
        }
    }
}

/// An answer, as the contract has it.
fn shown<M: Method>(result: &M::Result) -> Result<Value, Error> {
    serde_json::to_value(result).map_err(|error| Error::fault(format!("the answer of {}: {error}", M::NAME)))
}

/// Work outside is done, or nobody can do it.
async fn worked(kernel: &Kernel, params: &str) -> Result<(), Error> {
    let (key, id, result) = answer::read_work(params)?;
    let shared = kernel.shared();
    let Some(name) = act::work_of(&shared.snapshot(), &key, &id).or_error()? else {
        return Err(Error::not_found(format!("no work {id} of this object waits here"))
            .with_hint("it was answered before, or its object is gone: nothing is left to be done"));
    };
    let (told, is_told) = oneshot::channel();
    let mail = Mail::Told(Input::Worked { key, id, result }, told);
    shared.mail.send(mail).await.map_err(|_| shared.gone())?;
    let done = is_told.await.is_ok();
    shared.components.served.settled(key, id, &name, done);
    match done {
        true => Ok(()),
        false if shared.mail.is_closed() => Err(shared.gone()),
        false => Err(Error::disk_full("the disk is full: nothing was written")
            .with_hint(format!("{}; the work is asked for again", what_to_free(&shared.data)))),
    }
}

/// Forgets a component for good.
pub(super) async fn unserve(kernel: &Kernel, Unserve { component }: Unserve) -> Result<Done, Error> {
    let served = &kernel.shared().components.served;
    if !served.list().iter().any(|(known, ..)| *known == component) {
        return Err(Error::not_found(format!("no program has served the component '{component}' here"))
            .with_hint("`status` lists under `served` what programs serve"));
    }
    let name = component.clone();
    remember(kernel, move |served, moves| {
        served.retain(|known| *known != name);
        moves.retain(|known| !is_of(known, &name));
    })
    .await?;
    served.forget(&component);
    Ok(Done {})
}

/// Whether it is of this component that something is told.
fn is_of(told: &str, component: &str) -> bool {
    told.rsplit_once(' ').is_some_and(|(of, _)| of == component)
}

async fn remember(
    kernel: &Kernel,
    change: impl FnOnce(&mut Vec<String>, &mut Vec<String>) + Send + 'static,
) -> Result<(), Error> {
    let data = kernel.shared().data.clone();
    let written = crate::beside::wait_for(move || datadir::write_served(&data, change)).await;
    written.map_err(|_| Error::fault("writing the kernel's scenario panicked"))?
}

fn named(what: &str, name: String) -> Result<String, Error> {
    answer::name(name).map_err(|why| Error::usage(format!("{what}: {why}")))
}

/// Tells a client what it is asked, as long as it is there.
async fn tell(
    served: Arc<Served>,
    id: ClientId,
    mut coming: mpsc::UnboundedReceiver<(Asked, Arc<Slot>)>,
    lines: mpsc::Sender<Line>,
) {
    while let Some((asked, slot)) = coming.recv().await {
        let text = match asked {
            Asked::Work(work) => Some(work_text(&work)),
            // Given up meanwhile.
            Asked::Run(number, _) if served.run_of(id, number).is_none() => continue,
            Asked::Run(number, run) => {
                let text = if run.body.len() <= LARGE_BYTES {
                    run_text(number, &run)
                } else {
                    crate::beside::wait_for(move || run_text(number, &run)).await.unwrap_or_default()
                };
                if text.is_none() {
                    served.answered(id, number, RunResult::Refused(Code::Invalid));
                }
                text
            }
        };
        let slot = Some(slot);
        if let Some(text) = text
            && lines.send(Line { text, slot }).await.is_err()
        {
            return;
        }
    }
}

#[derive(Serialize)]
struct Note<'a, T> {
    jsonrpc: &'a str,
    method: &'a str,
    params: T,
}

fn note(method: &str, params: impl Serialize) -> Option<String> {
    serde_json::to_string(&Note { jsonrpc: "2.0", method, params }).ok()
}

/// A run as a notification; nothing if its object cannot be read.
fn run_text(number: u64, run: &Run) -> Option<String> {
    let scenario = Scenario::parse(run.body.clone()).ok()?;
    let given: Result<Vec<_>, _> =
        run.given.iter().map(|body| std::str::from_utf8(body).map(Cow::Borrowed)).collect();
    let notice = RunNotice {
        run: number,
        component: run.header.component.as_str().into(),
        version: run.header.version.as_str().into(),
        object: key_text(&run.key),
        action: run.action.name.as_str().into(),
        arguments_text: std::str::from_utf8(&run.action.arguments).ok()?.into(),
        scenario_text: scenario.as_str().into(),
        model_text: scenario.editable().into(),
        id: run.action.id,
        origin: run.origin.to_string(),
        acting: run.action.acting.as_ref().map(key_text),
        answers: run.action.answers,
        now_ms: run.now_ms,
        seed: run.seed.to_string(),
        given: given.ok()?,
    };
    note("run", notice)
}

/// Work outside as a notification.
fn work_text(work: &Work) -> String {
    let arguments = String::from_utf8_lossy(&work.arguments);
    let params = WorkNotice {
        id: work.id,
        object: key_text(&work.key),
        name: work.name.as_str().into(),
        arguments_text: arguments,
    };
    note("work", params).unwrap_or_default()
}
