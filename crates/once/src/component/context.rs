//! What an action is told, and what it may want to happen besides: effects, as data.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use bytes::Bytes;
use once_core::waist::{Call, Consequence, Run, Then};
use once_model::action::{Given, effect_id};
use once_model::hash::record_hash;
use once_model::ids::{Hash, KernelId, ObjectKey, Uuid};
use once_model::ior::Ior;
use once_model::scenario::Scenario;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};

/// What an action may know besides its state and its arguments, and where it says what else is to happen. It is the same
/// when a run that was lost is run again.
///
/// Effects happen if and only if the action is done: they are committed with its new state. If it fails, they are
/// thrown away with it.
#[derive(Debug)]
pub struct Context {
    /// The time at the object's home, in milliseconds since 1970.
    pub now_ms: u64,
    /// The action's id.
    pub id: Uuid,
    /// The kernel that asked.
    pub origin: KernelId,
    /// The object that asked, if an object did.
    pub acting: Option<ObjectKey>,
    /// The object that is acted on. One that nobody has claimed gets another key when it first changes or acts.
    pub object: ObjectKey,
    /// The effect of this object whose outcome the action tells, if it does. Nobody else can say so.
    pub answers: Option<Uuid>,
    /// What stands for the action in the ids of its effects.
    cause: Uuid,
    seed: Hash,
    given: Vec<Bytes>,
    effects: RefCell<Vec<Consequence>>,
    rest: Cell<bool>,
    drawn: Cell<u64>,
}

/// Why an effect cannot be asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EffectError {
    /// The IOR does not say which object is meant.
    #[error("{0} does not say which object is meant: an IOR with its lineage does")]
    NoObject(String),
    /// A value cannot be written as JSON.
    #[error("not to be written as JSON: {0}")]
    NoJson(String),
    /// A scenario cannot be made of it.
    #[error("no scenario can be made of it: {0}")]
    NoScenario(String),
}

impl From<EffectError> for String {
    fn from(error: EffectError) -> Self {
        error.to_string()
    }
}

impl Serialize for EffectError {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_string())
    }
}

impl Context {
    pub(super) fn new(run: &Run) -> Self {
        Self {
            now_ms: run.now_ms,
            id: run.action.id,
            origin: run.origin,
            acting: run.action.acting,
            object: run.key,
            answers: run.action.answers,
            cause: run.cause,
            seed: run.seed,
            given: run.given.clone(),
            effects: RefCell::default(),
            rest: Cell::new(false),
            drawn: Cell::new(0),
        }
    }

    /// A context without a kernel.
    #[cfg(test)]
    pub(super) fn sample(answers: Option<Uuid>) -> Self {
        let zero = once_model::ids::Hash::from_bytes([0; 32]);
        Self {
            now_ms: 1_700_000_000_000,
            id: Uuid::from_u128(7),
            origin: KernelId::from_bytes([1; 32]),
            acting: None,
            object: ObjectKey { uuid: Uuid::from_u128(1), line: once_model::ids::Line::Unclaimed(zero) },
            answers,
            cause: Uuid::from_u128(8),
            seed: zero,
            given: Vec::new(),
            effects: RefCell::default(),
            rest: Cell::new(false),
            drawn: Cell::new(0),
        }
    }

    pub(super) fn take_effects(&self) -> Vec<Consequence> {
        self.effects.take()
    }

    pub(super) fn is_to_rest(&self) -> bool {
        self.rest.get()
    }

    /// The scenarios that the action depends on, in its order.
    #[must_use]
    pub fn given(&self) -> Vec<Scenario> {
        self.given.iter().filter_map(|body| Scenario::parse(body.clone()).ok()).collect()
    }

    /// A number that nobody outside this kernel can foresee, and that is the same when the action is run again.
    #[must_use]
    pub fn random(&self) -> u64 {
        let draw = self.drawn.replace(self.drawn.get() + 1);
        let record = [self.seed.as_bytes().as_slice(), &draw.to_be_bytes()].concat();
        let hash = record_hash("once/2 random", &record);
        hash.as_bytes().first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
    }

    /// The id that the next effect will have.
    #[must_use]
    pub fn next_id(&self) -> Uuid {
        effect_id(&self.origin, &self.cause, u32::try_from(self.effects.borrow().len()).unwrap_or(u32::MAX))
    }

    fn push(&self, effect: Consequence) -> Uuid {
        let id = self.next_id();
        self.effects.borrow_mut().push(effect);
        id
    }

    /// Acts on another object, exactly once, wherever its home is. Nothing is known of its outcome here and now: say
    /// with [`PendingCall::then`] which action of this object is to be told.
    ///
    /// # Errors
    /// When the IOR does not say which object is meant, or the arguments are no JSON.
    pub fn act(
        &self,
        object: &Ior,
        name: impl Into<String>,
        arguments: &impl Serialize,
    ) -> Result<PendingCall<'_>, EffectError> {
        let (Some(uuid), Some(line)) = (object.uuid(), object.line()) else {
            return Err(EffectError::NoObject(object.to_string()));
        };
        let call = Call {
            key: ObjectKey { uuid, line },
            at: object.home(),
            name: name.into(),
            arguments: json(arguments)?,
            given: Vec::new(),
            deadline_ms: None,
            then: None,
        };
        let at = self.effects.borrow().len();
        let id = self.push(Consequence::Act(call));
        Ok(PendingCall { context: self, at, id })
    }

    /// Makes a new object on this kernel, and returns its UUID.
    ///
    /// # Errors
    /// When the model is no JSON object, or a name is too long.
    pub fn create(
        &self,
        component: &str,
        version: &str,
        owner: &str,
        model: &impl Serialize,
    ) -> Result<Uuid, EffectError> {
        let uuid = self.next_id();
        let model = String::from_utf8(json(model)?.to_vec()).unwrap_or_default();
        let scenario = Scenario::compose(uuid, component, version, owner, &model)
            .map_err(|error| EffectError::NoScenario(error.to_string()))?;
        Ok(self.push(Consequence::Create(scenario)))
    }

    /// Removes this object, once the action has its outcome.
    pub fn remove(&self) {
        self.push(Consequence::Remove);
    }

    /// Moves this object to another kernel, if that takes it: from here on it is about to leave, and what is under way comes to its end
    /// first. If it cannot, or its way is refused later, it stays, and the people of this kernel find why among its moves.
    pub fn move_to(&self, kernel: KernelId) {
        self.push(Consequence::Move { to: kernel });
    }

    /// Lets this object rest: its state leaves the memory now instead of some time later.
    pub fn hibernate(&self) {
        self.rest.set(true);
    }

    /// Sets a durable timer of this object: its `action` is told when the time has come ([`Reply`] with status `due`).
    /// A timer of the same name is replaced. The clock is that of the object's home.
    ///
    /// # Errors
    /// When `with` is no JSON.
    pub fn timer(
        &self,
        name: impl Into<String>,
        after: Duration,
        action: impl Into<String>,
        with: &impl Serialize,
    ) -> Result<(), EffectError> {
        let after_ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
        let then = Then { action: action.into(), with: json(with)? };
        self.push(Consequence::Timer { name: name.into(), after_ms, then });
        Ok(())
    }

    /// Ends a timer of this object, if it runs.
    pub fn cancel_timer(&self, name: impl Into<String>) {
        self.push(Consequence::CancelTimer { name: name.into() });
    }

    /// Tells whoever listens on this kernel, at most once.
    ///
    /// # Errors
    /// When the data are no JSON.
    pub fn publish(&self, name: impl Into<String>, data: &impl Serialize) -> Result<(), EffectError> {
        self.push(Consequence::Publish { name: name.into(), data: json(data)? });
        Ok(())
    }

    /// Wants work done outside: by whoever does this kind of work on this kernel ([`crate::Builder::activity`]), at least
    /// once. What comes of it is told to `action` ([`Reply`]).
    ///
    /// # Errors
    /// When the arguments or `with` are no JSON.
    pub fn activity(
        &self,
        name: impl Into<String>,
        arguments: &impl Serialize,
        action: impl Into<String>,
        with: &impl Serialize,
    ) -> Result<Uuid, EffectError> {
        let then = Then { action: action.into(), with: json(with)? };
        Ok(self.push(Consequence::Activity { name: name.into(), arguments: json(arguments)?, then }))
    }
}

fn json(value: &impl Serialize) -> Result<Bytes, EffectError> {
    serde_json::to_vec(value).map(Bytes::from).map_err(|error| EffectError::NoJson(error.to_string()))
}

/// An action on another object that was asked for. What is said of it holds for this one, whatever was asked for since.
#[derive(Debug)]
#[must_use = "say what is to follow with `then`, or drop it on purpose"]
pub struct PendingCall<'c> {
    context: &'c Context,
    /// Its place among the effects: they only grow in number.
    at: usize,
    id: Uuid,
}

impl PendingCall<'_> {
    /// The action's id.
    #[must_use]
    pub fn id(&self) -> Uuid {
        self.id
    }

    fn change(&self, change: impl FnOnce(&mut Call)) {
        if let Some(Consequence::Act(call)) = self.context.effects.borrow_mut().get_mut(self.at) {
            change(call);
        }
    }

    /// Tells `action` of this object what came of it, and reminds it of `with`.
    ///
    /// # Errors
    /// When `with` is no JSON.
    pub fn then(self, action: impl Into<String>, with: &impl Serialize) -> Result<Self, EffectError> {
        let then = Then { action: action.into(), with: json(with)? };
        self.change(|call| call.then = Some(then));
        Ok(self)
    }

    /// Expires the action: if it has not run by then, it is refused as `expired`. It means what [`crate::Act::deadline`]
    /// means.
    pub fn deadline(self, after: Duration) -> Self {
        let deadline_ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
        self.change(|call| call.deadline_ms = Some(deadline_ms));
        self
    }

    /// It depends on this scenario.
    pub fn given(self, given: Given) -> Self {
        self.change(|call| call.given.push(given));
        self
    }
}

/// What an object is told of its effect: the arguments of the action that it named.
///
/// ```
/// # use once::Reply;
/// let told = r#"{"effect":"0189b5a0-0000-8000-8000-000000000001","status":"done","result":3,"with":{"step":1}}"#;
/// let came: Reply = serde_json::from_str(told).unwrap();
/// assert_eq!(came.outcome::<u32>(), Ok(3));
/// ```
#[derive(Debug, Clone, Deserialize)]
pub struct Reply<W = serde_json::Value> {
    /// The effect's id, as the call returned it.
    pub effect: Uuid,
    /// `done`, `failed` or `refused` for an action and for work outside; `due` for a timer; `unknown` for an action whose outcome this
    /// object did not wait for when it moved: it may have happened, and may still.
    pub status: String,
    /// What a done one returned. What a [`serde_json::Value`] cannot hold, like `1e999`, is its text as a string: it is
    /// done all the same.
    #[serde(default, deserialize_with = "readable")]
    pub result: serde_json::Value,
    /// Why a failed one failed.
    #[serde(default, deserialize_with = "readable")]
    pub reason: serde_json::Value,
    /// Why a refused one never ran.
    #[serde(default)]
    pub code: Option<String>,
    /// What the object wanted to be reminded of.
    pub with: W,
}

/// What another component said. It may be JSON that this reader cannot hold; the answer must come through all the same.
fn readable<'de, D: serde::Deserializer<'de>>(said: D) -> Result<serde_json::Value, D::Error> {
    let said = Box::<serde_json::value::RawValue>::deserialize(said)?;
    Ok(serde_json::from_str(said.get()).unwrap_or_else(|_| said.get().into()))
}

/// An effect that was not done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CallError {
    /// `failed`, `refused` or `unknown`.
    pub status: String,
    /// What the component said, as JSON.
    pub reason: serde_json::Value,
}

impl<W> Reply<W> {
    /// The result, or why there is none.
    ///
    /// # Errors
    /// When it was not done, or returned something else than a `T`.
    pub fn outcome<T: DeserializeOwned>(&self) -> Result<T, CallError> {
        let not_done = |reason| CallError { status: self.status.clone(), reason };
        match (self.status.as_str(), &self.code) {
            ("done" | "due", _) => serde_json::from_value(self.result.clone())
                .map_err(|error| not_done(serde_json::Value::String(error.to_string()))),
            (_, Some(code)) => Err(not_done(serde_json::Value::String(code.clone()))),
            _ => Err(not_done(self.reason.clone())),
        }
    }

    /// Whether it was done.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.outcome::<IgnoredAny>().is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_comes_through_whatever_the_other_side_said() {
        for said in ["1e999", r#""\ud800""#, r#"{"deep":[1e999]}"#, "null", r#"{"a":[1]}"#] {
            let told = format!(
                r#"{{"effect":"0189b5a0-0000-8000-8000-000000000001","status":"done","result":{said},"with":7}}"#
            );
            let came: Reply<u32> = serde_json::from_str(&told).unwrap();
            let plain = serde_json::from_str(said).unwrap_or_else(|_| serde_json::Value::from(said));
            assert_eq!((came.is_done(), came.result), (true, plain));
        }
    }

    #[test]
    fn what_is_said_of_a_call_holds_for_that_call_whatever_was_asked_for_since() {
        let context = Context::sample(None);
        let zero = Hash::from_bytes([0; 32]);
        let ior = |n| {
            let zeros = "0".repeat(64);
            Ior::parse(&format!("ior:once://-/Counter/1.0/{}?hash={zeros}", Uuid::from_u128(n))).unwrap()
        };
        let given = Given { key: context.object, content: zero };
        let first = context.act(&ior(2), "add", &1).unwrap();
        let second = context.act(&ior(3), "add", &2).unwrap();
        context.publish("said", &()).unwrap();
        let ids = [first.id(), second.id()];
        drop(first.then("first", &1).unwrap().deadline(Duration::from_millis(1)).given(given));
        drop(second.then("second", &2).unwrap());
        let Ok([Consequence::Act(first), Consequence::Act(second), Consequence::Publish { .. }]) =
            <[_; 3]>::try_from(context.take_effects())
        else {
            panic!("two calls and a publication")
        };
        let told = |call: &Call| call.then.as_ref().map(|then| then.action.clone());
        assert_eq!(
            (told(&first).as_deref(), first.deadline_ms, first.given.len()),
            (Some("first"), Some(1), 1)
        );
        assert_eq!(
            (told(&second).as_deref(), second.deadline_ms, second.given.len()),
            (Some("second"), None, 0)
        );
        assert_eq!(ids.map(|id| id.get_version_num()), [8, 8]);
        assert_ne!(ids[0], ids[1]);
    }
}
