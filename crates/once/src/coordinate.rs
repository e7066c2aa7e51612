//! Coordinations: plans over several objects, carried out by an object of this kernel.

use crate::error::IntoError;
use crate::error::OrError;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::time::Duration;

use once_core::object::HeadRow;
use once_core::store::Read;
use once_core::{Refusal, object};
use once_model::action::Action;
use once_model::hash::record_hash;
use once_model::ids::{Hash, KernelId, ObjectKey, Uuid};
use once_model::limits::ID_AHEAD_MAX_MS;
use once_model::scenario::Scenario;
use serde_json::json;

use crate::acting::new_action_id;
use crate::component::coordination::{NAME, VERSION};
use crate::shell::now_ms;
use crate::{CoordinationStatus, Error, ErrorKind, Kernel, Object, Plan, RunState};

/// A coordination, as it stands on the kernel that carries it out.
#[derive(Debug, Clone, PartialEq)]
pub struct Coordination {
    /// Its id: asking again with it and the same plan is the same coordination. Of one that was started by hand: the UUID of
    /// its object.
    pub id: Uuid,
    /// The object that carries it out. Its scenario shows the plan, and how each step stands.
    pub object: Object,
    /// What the plan is called: see [`Plan::name`].
    pub name: Option<String>,
    /// Hash of the plan as it was written: see [`Plan::hash`].
    pub plan: Hash,
    /// How it stands.
    pub standing: CoordinationStatus,
}

impl Coordination {
    /// Whether every step is done.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.standing.state == RunState::Done
    }
}

/// Builder of a coordination. Awaiting it waits for its end; [`Coordinate::start`] returns when it is durable
/// here.
///
/// Dropping it, or the future, does not end what was started.
///
/// ```no_run
/// # async fn run(alice: once::Kernel, plan: once::Plan) -> Result<(), once::Error> {
/// use std::time::Duration;
///
/// let id = once::new_action_id(); // kept, to be able to ask again
/// let started = alice.coordinate(plan.clone()).id(id).start().await?; // durable here
/// let ended = alice.coordinate(plan).id(id).timeout(Duration::from_secs(60)).await?;
/// println!("{}", ended.is_done());
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct Coordinate {
    kernel: Kernel,
    plan: Plan,
    id: Option<Uuid>,
    timeout: Option<Duration>,
}

impl Kernel {
    /// Carries a plan out, once, whatever is killed or cut off meanwhile.
    ///
    /// Its end is no error, whichever it is: see [`CoordinationStatus::state`]. `docs/coordination.md` has the form of plans, and
    /// what others may see in between.
    ///
    /// ```no_run
    /// # async fn f(kernel: once::Kernel, mine: once::Ior, theirs: once::Ior) -> Result<(), once::Error> {
    /// let plan = once::Plan::parse(format!(r#"{{"mode": "sequence", "steps": [
    ///     {{"name": "take", "ior": "{mine}", "action": "withdraw", "arguments": {{"amount": 30}},
    ///       "compensation": {{"action": "deposit", "arguments": {{"amount": 30}}}}}},
    ///     {{"name": "give", "ior": "{theirs}", "action": "deposit", "arguments": {{"amount": 30}}}}
    /// ]}}"#))?;
    /// let ended = kernel.coordinate(plan).await?;
    /// println!("{}", ended.standing.state.word());
    /// # Ok(())
    /// # }
    /// ```
    pub fn coordinate(&self, plan: Plan) -> Coordinate {
        Coordinate { kernel: self.clone(), plan, id: None, timeout: None }
    }

    /// How a coordination of this kernel stands.
    ///
    /// ```no_run
    /// # fn run(alice: once::Kernel, id: once::model::ids::Uuid) -> Result<(), once::Error> {
    /// let coordination = alice.coordination(id)?;
    /// println!("{}", coordination.standing.state.word());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When there is none of that id, or it was removed or changed by hand.
    pub fn coordination(&self, id: Uuid) -> Result<Coordination, Error> {
        self.coordination_of(id)?.ok_or_else(|| {
            let uuid = object_uuid(&self.id(), &id);
            Error::not_found(format!("no coordination {id} on this kernel: there is no object {uuid}"))
        })
    }

    /// The same, or nothing: most ids are of other actions.
    pub(crate) fn coordination_of(&self, id: Uuid) -> Result<Option<Coordination>, Error> {
        let found = self.made_for(id)?;
        // Of two that were made at the same time, only one could be started.
        let started = |found: &&Coordination| found.standing.state != RunState::Planned;
        Ok(found.iter().find(started).or(found.first()).cloned())
    }

    fn made_for(&self, id: Uuid) -> Result<Vec<Coordination>, Error> {
        let snapshot = self.shared().snapshot();
        let mut found = Vec::new();
        for row in object::find(&snapshot, &object_uuid(&self.id(), &id), None).or_error()? {
            // What others have shared under this UUID is not ours.
            if is_own(self, &row) {
                found.extend(read(self, &snapshot, row, Some(id))?);
            }
        }
        Ok(found)
    }

    /// How a coordination stands that is this object, here or elsewhere.
    ///
    /// # Errors
    /// When it is none, or was changed by hand.
    pub(crate) fn coordination_at(&self, object: Object) -> Result<Coordination, Error> {
        let key = object.key();
        let none = || {
            Error::invalid(format!("the object {key} is no coordination"))
                .with_hint("`once coordinations` lists those of this kernel")
        };
        if object.component() != NAME {
            return Err(none());
        }
        read(self, &self.shared().snapshot(), object.row, None)?.ok_or_else(none)
    }
}

/// Whether an object is a coordination that this kernel carries out.
pub(crate) fn is_own(kernel: &Kernel, row: &HeadRow) -> bool {
    row.header.component == NAME && row.home == Some(kernel.id()) && !row.header.tombstone
}

/// Reads a coordination; nothing if it has no bytes here.
pub(crate) fn read(
    kernel: &Kernel,
    rows: &dyn Read,
    row: HeadRow,
    id: Option<Uuid>,
) -> Result<Option<Coordination>, Error> {
    let Some(body) = object::body(rows, &row.header).or_error()? else { return Ok(None) };
    let scenario = Scenario::parse(body)?;
    let uuid = row.header.uuid;
    let (plan, standing) = CoordinationStatus::read(scenario.editable()).map_err(|error| {
        Error::invalid(format!("the coordination {} was changed by hand: {error}", id.unwrap_or(uuid)))
    })?;
    // One that was started by hand has no id but that of its object.
    let is_its = |id: &Uuid| object_uuid(&kernel.id(), id) == uuid;
    let id = id.or(standing.id.filter(is_its)).unwrap_or(uuid);
    let (name, hash) = (plan.name(), plan.hash());
    let object = Object::new(rows, row, kernel.id())?;
    Ok(Some(Coordination { id, object, name, plan: hash, standing }))
}

/// The UUID of the object that carries a coordination out: one for each id of each kernel.
fn object_uuid(kernel: &KernelId, id: &Uuid) -> Uuid {
    let record = [kernel.as_bytes().as_slice(), id.as_bytes()].concat();
    let hash = record_hash("once/2 coordination", &record);
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.as_bytes()[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

impl Coordinate {
    /// Gives it this id (a UUID of version 7) instead of a new one: asking again with the same id is the same coordination.
    pub fn id(mut self, id: Uuid) -> Self {
        self.id = Some(id);
        self
    }

    /// Stops waiting for its end after this time. The coordination goes on: what expires a step is its `deadline_ms` in
    /// the plan.
    pub fn timeout(mut self, after: Duration) -> Self {
        self.timeout = Some(after);
        self
    }

    /// Returns when the coordination is durable here: from then on it is carried out, whatever happens.
    ///
    /// # Errors
    /// When the id belongs to another plan or to something else, or the disk is full.
    pub async fn start(self) -> Result<Coordination, Error> {
        let id = self.id.unwrap_or_else(new_action_id);
        self.begin(id).await
    }

    /// Waits for its end, and tells of each change until then.
    ///
    /// # Errors
    /// As [`Coordinate::start`], and when its end does not come within the time.
    pub async fn watch(self, tell: impl Fn(&Coordination)) -> Result<Coordination, Error> {
        let id = self.id.unwrap_or_else(new_action_id);
        let begins = self.kernel.newest_event()?;
        let begun = self.begin(id).await?;
        self.kernel.await_end(begun, &begins, self.timeout, &tell).await
    }

    /// Makes the object and starts it. Both may have been done before.
    async fn begin(&self, id: Uuid) -> Result<Coordination, Error> {
        let kernel = &self.kernel;
        let arguments = json!({ "plan": self.plan.hash().to_string() }).to_string();
        self.check(id, &arguments)?;
        let known = kernel.made_for(id)?;
        let same = known.iter().find(|known| known.plan == self.plan.hash());
        let (key, created) = match (same, known.first()) {
            (Some(same), _) => (same.object.key(), false),
            (None, Some(other)) => return Err(self.other_plan(id, other.plan)),
            (None, None) => (self.create(id).await?, true),
        };
        let started = kernel.act_on(key, Some(kernel.id()), "start", arguments).id(id).await;
        let Err(error) = started else { return kernel.coordination(id) };
        if !matches!(error.kind(), ErrorKind::IdReused | ErrorKind::IdTooOld) {
            return Err(error);
        }
        // Somebody was faster, or the id is over: what was made for it here will never start.
        if created {
            kernel.remove(key).await?;
        }
        match kernel.coordination(id) {
            Ok(other) if other.plan != self.plan.hash() => Err(self.other_plan(id, other.plan)),
            _ => Err(error),
        }
    }

    /// Whether the id can be that of a coordination, before anything is made for it.
    fn check(&self, id: Uuid, arguments: &str) -> Result<(), Error> {
        let time_ms = id.as_bytes()[..6].iter().fold(0_u64, |time, byte| time << 8 | u64::from(*byte));
        let latest_ms = now_ms().saturating_add(ID_AHEAD_MAX_MS);
        if id.get_version_num() != 7 {
            return Err(Refusal::BadId { id }.into_error());
        }
        if time_ms > latest_ms {
            return Err(Refusal::IdAhead { id, ahead_ms: time_ms.saturating_sub(now_ms()) }.into_error());
        }
        let uuid = object_uuid(&self.kernel.id(), &id);
        match self.kernel.shared().requested(&id).or_error()? {
            Some(row) if row.key.uuid != uuid => {
                let (name, arguments) = ("start".into(), arguments.to_owned().into());
                let start = Action { id, name, arguments, given: Vec::new(), acting: None, answers: None };
                Err(Refusal::IdReused { id, first: row.hash, now: start.hash(&uuid) }.into_error())
            }
            _ => Ok(()),
        }
    }

    async fn create(&self, id: Uuid) -> Result<ObjectKey, Error> {
        let uuid = object_uuid(&self.kernel.id(), &id);
        let model = format!("{{\"plan\":{}}}", self.plan.as_str());
        // The plan as it was written: nothing in it is indented anew.
        let scenario =
            Scenario::compose(uuid, NAME, VERSION, self.kernel.name(), "{}")?.with_model(&model)?;
        Ok(self.kernel.create(scenario).await?.0.key())
    }

    fn other_plan(&self, id: Uuid, first: Hash) -> Error {
        let now = self.plan.hash();
        Error::id_reused(format!(
            "the id {id} belongs to another plan: that one has the hash {first}, this one {now}"
        ))
        .with_hint("use a new id for a new plan; the same id only repeats the same one")
    }
}

impl IntoFuture for Coordinate {
    type Output = Result<Coordination, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.watch(|_| {}))
    }
}
