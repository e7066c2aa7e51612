//! Components that programs on this machine serve through the local API: whom an action is asked of, how many are asked at
//! once, and what becomes of a run whose program goes away. While nobody serves such a component, its actions wait.
//!
//! Nothing here waits: the engine's thread asks, connections answer, and the [`super::usher`] tells the engine what came of it.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use once_core::waist::{Input, Ran, Run, RunResult, Wait};
use once_model::action::BUILT_IN_PREFIX;
use once_model::ids::{ObjectKey, Uuid};
use tokio::sync::{Notify, mpsc};

use super::clients::{Asked, ClientId, Room, Slot};
use super::describe::ActionDescription;
use super::suspects::{Place, Suspect, Suspects};
use super::version::is_not_newer;
use super::works::Works;

/// Runs that one client is asked for at once; further ones wait with their origins.
pub(crate) const RUNS_MAX: usize = 32;

/// Work outside that one client is asked for at once.
pub(crate) const WORKS_MAX: usize = 32;

/// How long a client may take for one run, unless the builder says otherwise.
pub(crate) const RUN_LIMIT: Duration = Duration::from_secs(60);

/// Components that one kernel remembers to be served by clients.
pub(crate) const SERVED_MAX: usize = 256;

/// Actions of one component that a program may offer by name.
pub(crate) const OFFERED_MAX: usize = 1024;

/// A component that a client serves.
#[derive(Debug, Clone)]
pub(crate) struct Offer {
    pub component: String,
    pub version: String,
    /// All, if it does not say.
    pub actions: Option<BTreeSet<String>>,
    /// What it says of actions.
    pub descriptions: BTreeMap<String, ActionDescription>,
    /// What objects are told when they move: actions that begin with `once:`.
    pub moves: BTreeSet<String>,
}

#[derive(Debug)]
pub(super) struct Client {
    pub asked: mpsc::UnboundedSender<(Asked, Arc<Slot>)>,
    runs: Arc<Room>,
    pub works: Arc<Room>,
    /// With the moment of each: the newest is asked first.
    pub offers: Vec<(u64, Offer)>,
    pub activities: BTreeMap<String, u64>,
}

/// A run that a client was asked for.
#[derive(Debug)]
struct UnderWay {
    client: ClientId,
    run: Arc<Run>,
    _slot: Arc<Slot>,
    until: Instant,
}

/// Room that is kept for a run.
#[derive(Debug)]
struct Promise {
    client: ClientId,
    slot: Arc<Slot>,
    place: Place,
}

/// Whose turn an action is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Turn {
    /// This kernel's own: no client serves the component.
    Ours,
    /// A client's: it has room for it.
    Theirs,
    /// Nobody's just now.
    Later(Wait),
    /// Nobody's: they understand no such action, but these.
    Never(Vec<String>),
}

#[derive(Debug)]
pub(super) struct Inner {
    /// What clients serve, now or at other times.
    known: BTreeSet<String>,
    /// What objects are told when they move: the component, a blank, and the action.
    moves: BTreeSet<String>,
    limit: Duration,
    pub clients: BTreeMap<ClientId, Client>,
    /// Counts clients, runs and offers.
    next: u64,
    /// Room that was promised to a run, by the engine's number of it.
    promised: HashMap<u64, Promise>,
    /// By the number that the client was told.
    runs: BTreeMap<u64, UnderWay>,
    /// Components of which something was put off.
    hungry: BTreeSet<String>,
    /// Runs over which clients went away.
    suspects: Suspects,
    /// What the engine is to be told, in this order.
    pub inputs: VecDeque<Input>,
    pub works: Works,
}

/// A run that a program has not answered.
#[derive(Debug, Clone)]
pub(crate) struct Slowest {
    pub component: String,
    pub action: String,
    pub key: ObjectKey,
    /// How long ago it was asked for.
    pub asked: Duration,
}

/// What clients serve.
#[derive(Debug)]
pub(crate) struct Served {
    inner: Mutex<Inner>,
    pub(super) wake: Arc<Notify>,
}

impl Default for Served {
    fn default() -> Self {
        let inner = Inner {
            known: BTreeSet::new(),
            moves: BTreeSet::new(),
            limit: RUN_LIMIT,
            clients: BTreeMap::new(),
            next: 0,
            promised: HashMap::new(),
            runs: BTreeMap::new(),
            hungry: BTreeSet::new(),
            suspects: Suspects::default(),
            inputs: VecDeque::new(),
            works: Works::default(),
        };
        Self { inner: Mutex::new(inner), wake: Arc::default() }
    }
}

impl Served {
    pub(super) fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn wake(&self) {
        self.wake.notify_one();
    }

    /// How long a client may take for one run.
    pub fn set_limit(&self, limit: Duration) {
        self.inner().limit = limit;
    }

    /// What clients served before this start.
    pub fn remember(&self, components: impl IntoIterator<Item = String>) {
        self.inner().known.extend(components);
    }

    /// What objects were told before this start when they moved.
    pub fn remember_moves(&self, moves: impl IntoIterator<Item = String>) {
        self.inner().moves.extend(moves);
    }

    /// Whether objects of a component are told that when they move.
    pub fn is_told(&self, component: &str, action: &str) -> bool {
        self.inner().moves.contains(&told(component, action))
    }

    /// What clients serve, now or at other times: how many serve it, and how many runs are under way.
    pub fn list(&self) -> Vec<(String, usize, usize)> {
        let inner = self.inner();
        let clients = |component: &String| {
            let serves =
                |client: &&Client| client.offers.iter().any(|(_, offer)| offer.component == *component);
            inner.clients.values().filter(serves).count()
        };
        let runs = |component: &String| {
            inner.runs.values().filter(|under_way| under_way.run.header.component == *component).count()
        };
        inner.known.iter().map(|known| (known.clone(), clients(known), runs(known))).collect()
    }

    /// Actions, and work outside, over which programs went away again and again.
    pub fn suspects(&self) -> Vec<Suspect> {
        let inner = self.inner();
        inner.suspects.list().into_iter().chain(inner.works.suspects.list()).collect()
    }

    /// Whether a program that is connected could run actions of a component on a state of this version.
    pub fn fits(&self, component: &str, version: &str) -> bool {
        let inner = self.inner();
        let mut offers = inner.clients.values().flat_map(|client| &client.offers);
        offers.any(|(_, offer)| offer.component == component && !is_older(&offer.version, version))
    }

    /// Whether a program serves a component, now or at other times, and those that are connected read this version.
    pub fn knows(&self, component: &str, version: &str) -> bool {
        let is_served = |(name, programs, _): &(String, usize, usize)| {
            name == component && (*programs == 0 || self.fits(component, version))
        };
        self.list().iter().any(is_served)
    }

    /// Of each component the run that its programs were asked for first, of those that they have not answered.
    pub fn slowest(&self) -> Vec<Slowest> {
        let inner = self.inner();
        let mut found: BTreeMap<&str, Slowest> = BTreeMap::new();
        for under_way in inner.runs.values() {
            let Run { header, action, key, .. } = &*under_way.run;
            let left = under_way.until.saturating_duration_since(Instant::now());
            // In the order in which they were asked.
            found.entry(header.component.as_str()).or_insert_with(|| Slowest {
                component: header.component.clone(),
                action: action.name.clone(),
                key: *key,
                asked: inner.limit.saturating_sub(left),
            });
        }
        found.into_values().collect()
    }

    /// A new client. What it is asked comes through the channel, each with what is to be dropped when it is on its way.
    pub fn connect(&self) -> (ClientId, mpsc::UnboundedReceiver<(Asked, Arc<Slot>)>) {
        let (asked, coming) = mpsc::unbounded_channel();
        let mut inner = self.inner();
        let id = inner.count();
        let (runs, works) = (Room::new(RUNS_MAX, &self.wake), Room::new(WORKS_MAX, &self.wake));
        let client = Client { asked, runs, works, offers: Vec::new(), activities: BTreeMap::new() };
        inner.clients.insert(id, client);
        (id, coming)
    }

    /// It is gone: nothing is promised of what it was asked, so that it is asked again.
    pub fn disconnect(&self, id: ClientId) {
        let mut inner = self.inner();
        inner.clients.remove(&id);
        let over = inner.end_where(|under_way| under_way.client == id);
        inner.suspects.blame(over);
        inner.give_back(id);
        drop(inner);
        self.wake();
    }

    /// From now on a client serves this; what waits goes on.
    pub fn serve(&self, id: ClientId, offer: Offer) {
        let mut inner = self.inner();
        let (since, component) = (inner.count(), offer.component.clone());
        if let Some(client) = inner.clients.get_mut(&id) {
            client.offers.retain(|(_, other)| other.component != component);
            let moves: Vec<_> = offer.moves.iter().map(|action| told(&component, action)).collect();
            client.offers.push((since, offer));
            inner.forget_moves(&component);
            inner.moves.extend(moves);
            inner.known.insert(component.clone());
            inner.inputs.push_back(Input::Ready { component });
        }
        drop(inner);
        self.wake();
    }

    /// Forgets a component for good: what waits is this kernel's own again.
    pub fn forget(&self, component: &str) {
        let mut inner = self.inner();
        inner.known.remove(component);
        inner.forget_moves(component);
        inner.hungry.remove(component);
        for client in inner.clients.values_mut() {
            client.offers.retain(|(_, offer)| offer.component != component);
        }
        inner.end_where(|under_way| under_way.run.header.component == component);
        inner.suspects.clear_of(component);
        inner.inputs.push_back(Input::Ready { component: component.to_owned() });
        drop(inner);
        self.wake();
    }

    /// Whose turn an action is. A client's: room is kept for it until [`Self::begin`].
    pub(super) fn turn(&self, run: &Run) -> Turn {
        let inner = &mut *self.inner();
        if !inner.known.contains(&run.header.component) {
            return Turn::Ours;
        }
        let place = place(run);
        let asked = inner.runs.values().map(|under_way| self::place(&under_way.run));
        let asked = asked.chain(inner.promised.values().map(|promise| promise.place));
        if inner.suspects.is_to_wait(&place, asked.filter(|other| *other != place)) {
            return Turn::Later(Wait::ForItself);
        }
        match inner.pick(run) {
            Ok((client, slot)) => {
                inner.promised.insert(run.run, Promise { client, slot, place });
                Turn::Theirs
            }
            Err(turn) => {
                if turn == Turn::Later(Wait::ForRoom) {
                    inner.hungry.insert(run.header.component.clone());
                }
                turn
            }
        }
    }

    /// Asks for a run. One that is this kernel's own comes back.
    pub fn begin(&self, run: Run) -> Option<Run> {
        let mut inner = self.inner();
        let promised = inner.promised.remove(&run.run);
        if promised.is_none() && !inner.known.contains(&run.header.component) {
            return Some(run);
        }
        let run = Arc::new(run);
        let (number, until) = (inner.count(), Instant::now() + inner.limit);
        let told = promised.and_then(|Promise { client, slot, .. }| {
            let asked = (Asked::Run(number, Arc::clone(&run)), Arc::clone(&slot));
            inner.clients.get(&client)?.asked.send(asked).ok()?;
            Some(UnderWay { client, run: Arc::clone(&run), _slot: slot, until })
        });
        match told {
            Some(under_way) => drop(inner.runs.insert(number, under_way)),
            None => inner.later(&run),
        }
        drop(inner);
        self.wake();
        None
    }

    /// The engine has begun anew: what it was promised is not asked for any more.
    pub fn forget_promises(&self) {
        let promised = std::mem::take(&mut self.inner().promised);
        drop(promised);
    }

    /// What a client was asked under that number, as long as the answer counts.
    pub fn run_of(&self, client: ClientId, number: u64) -> Option<Arc<Run>> {
        let inner = self.inner();
        inner.runs.get(&number).filter(|run| run.client == client).map(|under_way| Arc::clone(&under_way.run))
    }

    /// A client has answered; `false` if that no longer counts.
    pub fn answered(&self, client: ClientId, number: u64, result: RunResult) -> bool {
        let mut inner = self.inner();
        if inner.runs.get(&number).is_none_or(|under_way| under_way.client != client) {
            return false;
        }
        let Some(under_way) = inner.runs.remove(&number) else { return false };
        let (run, key) = (under_way.run.run, under_way.run.key);
        inner.suspects.clear(&place(&under_way.run));
        drop(under_way);
        // First those that wait for its room: else whatever waits for this object would always come before them.
        inner.feed();
        inner.inputs.push_back(Input::Ran(Box::new(Ran { run, key, result })));
        drop(inner);
        self.wake();
        true
    }
}

/// What a newer version wrote may mean what an older one does not know. Of versions that are no numbers nothing can be
/// said: then the program has to.
fn is_older(offered: &str, version: &str) -> bool {
    is_not_newer(offered, version) && !is_not_newer(version, offered)
}

/// What stands for a run when it is asked for again.
fn place(run: &Run) -> Place {
    (run.key, run.cause)
}

fn named(run: &Run) -> (Place, String, String, Uuid) {
    (place(run), run.header.component.clone(), run.action.name.clone(), run.action.id)
}

/// How it is remembered that objects of a component are told that.
pub(crate) fn told(component: &str, action: &str) -> String {
    format!("{component} {action}")
}

impl Inner {
    fn forget_moves(&mut self, component: &str) {
        self.moves.retain(|told| told.rsplit_once(' ').is_none_or(|(of, _)| of != component));
    }

    pub(super) fn count(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// The newest client that serves this and has room. Otherwise what becomes of the action.
    fn pick(&self, run: &Run) -> Result<(ClientId, Arc<Slot>), Turn> {
        let (component, version) = (&run.header.component, &run.header.version);
        let offers = self
            .clients
            .iter()
            .flat_map(|(id, client)| client.offers.iter().map(move |offer| (*id, client, offer)));
        let mut fit: Vec<_> = offers.filter(|(.., (_, offer))| offer.component == *component).collect();
        if fit.is_empty() {
            return Err(Turn::Later(Wait::ForRoom));
        }
        fit.retain(|(.., (_, offer))| !is_older(&offer.version, version));
        if fit.is_empty() {
            return Err(Turn::Later(Wait::ForItself));
        }
        let name = &run.action.name;
        let understands = |offer: &Offer| match name.starts_with(BUILT_IN_PREFIX) {
            true => offer.moves.contains(name),
            false => offer.actions.as_ref().is_none_or(|known| known.contains(name)),
        };
        let all = fit.clone();
        fit.retain(|(.., (_, offer))| understands(offer));
        if fit.is_empty() {
            let known: BTreeSet<&String> =
                all.iter().flat_map(|(.., (_, offer))| &offer.actions).flatten().collect();
            return Err(Turn::Never(known.into_iter().cloned().collect()));
        }
        fit.sort_by_key(|(.., (since, _))| std::cmp::Reverse(*since));
        let bytes = run.bytes();
        let found = fit.into_iter().find_map(|(id, client, _)| Some((id, client.runs.take(bytes)?)));
        found.ok_or(Turn::Later(Wait::ForRoom))
    }

    /// A run comes to nothing: it is asked for again when someone has room.
    fn later(&mut self, run: &Run) {
        let (number, key, result) = (run.run, run.key, RunResult::Later(Wait::ForRoom));
        self.inputs.push_back(Input::Ran(Box::new(Ran { run: number, key, result })));
        self.hungry.insert(run.header.component.clone());
    }

    /// Runs come to nothing. Returns what they were.
    fn end_where(&mut self, over: impl Fn(&UnderWay) -> bool) -> Vec<(Place, String, String, Uuid)> {
        let ended: Vec<_> = self.runs.extract_if(.., |_, under_way| over(under_way)).collect();
        let mut were = Vec::with_capacity(ended.len());
        for (_, UnderWay { run, .. }) in ended {
            self.later(&run);
            were.push(named(&run));
        }
        were
    }

    /// What was put off is asked for again, where somebody has room.
    pub(super) fn feed(&mut self) {
        let has_room = |component: &String| {
            let serves =
                |client: &Client| client.offers.iter().any(|(_, offer)| offer.component == *component);
            self.clients.values().any(|client| serves(client) && client.runs.is_free(0))
        };
        let fed: Vec<_> = self.hungry.iter().filter(|component| has_room(component)).cloned().collect();
        for component in fed {
            self.hungry.remove(&component);
            self.inputs.push_back(Input::Ready { component });
        }
        let asked = self.runs.values().map(|under_way| place(&under_way.run));
        for component in self.suspects.due(asked) {
            self.inputs.push_back(Input::Ready { component });
        }
    }

    /// Gives up runs that take too long; when to look again.
    pub(super) fn give_up_late(&mut self) -> Option<Instant> {
        let now = Instant::now();
        while let Some(first) = self.runs.first_entry() {
            if first.get().until > now {
                let until = first.get().until;
                return self.again().into_iter().chain([until]).min();
            }
            let (number, under_way) = first.remove_entry();
            let component = &under_way.run.header.component;
            tracing::warn!(number, component, "a client has not answered in time: the run is given up");
            self.later(&under_way.run);
            self.suspects.blame(vec![named(&under_way.run)]);
        }
        self.again()
    }

    /// When a pause ends.
    fn again(&self) -> Option<Instant> {
        self.suspects.next().into_iter().chain(self.works.suspects.next()).min()
    }
}
