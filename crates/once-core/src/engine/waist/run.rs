//! Running actions: what the engine asks of whoever has the components.

use std::fmt;

use bytes::Bytes;
use minicbor::{Decode, Encode};
use once_model::action::{Action, Given};
use once_model::header::Header;
use once_model::ids::{Hash, KernelId, ObjectKey, Uuid};
use once_model::scenario::Scenario;
use once_model::wire::Code;

/// An action to be run: all that the component may know. The result must depend on nothing else, because a run that
/// is lost is run again.
#[derive(Debug, Clone)]
pub struct Run {
    /// Comes back with the result.
    pub run: u64,
    /// The object that is acted on.
    pub key: ObjectKey,
    /// Its newest revision.
    pub header: Header,
    /// The bytes of that.
    pub body: Bytes,
    /// What to do.
    pub action: Action,
    /// The bytes of what [`Action::given`] names, in its order.
    pub given: Vec<Bytes>,
    /// What stands for the action in the ids of its effects.
    pub cause: Uuid,
    /// What nobody outside this kernel can foresee, and is the same when the action is run again.
    pub seed: Hash,
    /// The kernel that accepted the action.
    pub origin: KernelId,
    /// The time that the component is told, in milliseconds since 1970.
    pub now_ms: u64,
}

impl Run {
    /// How many bytes of scenarios the component has to look at.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.body.len() + self.given.iter().map(Bytes::len).sum::<usize>()
    }
}

/// The end of a run.
#[derive(Debug, Clone)]
pub struct Ran {
    /// From the run.
    pub run: u64,
    /// From the run.
    pub key: ObjectKey,
    /// What the component said.
    pub result: RunResult,
}

/// What a component says to an action.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "nearly all are `Done`")]
pub enum RunResult {
    /// It did it.
    Done {
        /// The whole new state; nothing if it has not changed.
        state: Option<Scenario>,
        /// For the caller: verbatim JSON.
        result: Bytes,
        /// What else is to happen. All of it is committed with the new state, or nothing.
        consequences: Vec<Consequence>,
    },
    /// The component rejected it, and nothing has changed. For the caller: verbatim JSON.
    Failed(Bytes),
    /// It could not be asked.
    Refused(Code),
    /// The component is unavailable or at capacity. Nothing is promised: the action comes again, some time later or with
    /// [`super::Input::Ready`]. Whatever waits for this object holds up no other one.
    Later(Wait),
}

/// What a deferred action waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Nobody who has its component is there, or has room: so it is with all others of the component.
    ForRoom,
    /// Something that others of the component need not wait for: they can be asked. It is asked after them.
    ForItself,
}

/// What an action has as its consequence besides a new state: effects as data. The component only names them.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Consequence {
    /// An action on another object, exactly once.
    Act(Call),
    /// A new object on this kernel. If it is there already, nothing happens.
    Create(Scenario),
    /// The acting object is removed.
    Remove,
    /// The acting object gets an action later. A timer of the same name is replaced.
    Timer {
        /// Its name: unique for the object.
        name: String,
        /// In how many milliseconds, by the home's clock.
        after_ms: u64,
        /// What happens then.
        then: Then,
    },
    /// A timer of the acting object ends without an action.
    CancelTimer {
        /// Name of the timer.
        name: String,
    },
    /// Whoever listens on this kernel is told, at most once.
    Publish {
        /// The topic, in the words of the component.
        name: String,
        /// More about it: verbatim JSON.
        data: Bytes,
    },
    /// The acting object moves to another kernel, if that takes it. It begins to leave in the commit of the action.
    Move {
        /// The kernel that is to be its home.
        to: KernelId,
    },
    /// Work outside, at least once: what comes of it comes back as an action.
    Activity {
        /// Which kind of work.
        name: String,
        /// With what: verbatim JSON.
        arguments: Bytes,
        /// What happens when it is done.
        then: Then,
    },
}

/// An action of one object on another one.
#[derive(Debug, Clone)]
pub struct Call {
    /// The object that is acted on.
    pub key: ObjectKey,
    /// Where its home is, as far as the caller knows.
    pub at: Option<KernelId>,
    /// Name of the action.
    pub name: String,
    /// With what: verbatim JSON.
    pub arguments: Bytes,
    /// The scenarios that it depends on.
    pub given: Vec<Given>,
    /// In how many milliseconds it is no longer wanted.
    pub deadline_ms: Option<u64>,
    /// The action of the caller that is told the outcome.
    pub then: Option<Then>,
}

/// The action of an object that is told what came of its effect.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Then {
    /// Name of the action.
    #[n(0)]
    pub action: String,
    /// What the object wants to be reminded of: verbatim JSON.
    #[cbor(n(1), with = "once_model::cbor::json_bytes")]
    pub with: Bytes,
}

/// Work outside, for whoever does it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    /// The object that wants it.
    pub key: ObjectKey,
    /// The effect's id: the same when it is asked for again.
    pub id: Uuid,
    /// The kind of work, in the words of the component.
    pub name: String,
    /// With what: verbatim JSON.
    pub arguments: Bytes,
}

/// Runs short actions at once, before the group that they belong to is committed.
pub trait Runner: fmt::Debug + Send + Sync {
    /// The result, or nothing if the run takes long: then it is asked for with [`super::Effect::Run`]. Must not panic.
    fn run(&self, run: &Run) -> Option<RunResult>;

    /// Whether somebody here has this component, in a version that reads states of that one: or an object that moved here could
    /// do nothing.
    fn reads(&self, component: &str, version: &str) -> bool;

    /// Whether somebody here has this component, in whatever version. What nobody has is a plain record here.
    fn knows(&self, component: &str) -> bool;

    /// Whether objects of this component are told of that: `once:leaving` or `once:arrived`.
    fn is_told(&self, component: &str, action: &str) -> bool;
}

/// Runs nothing at once.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoRunner;

impl Runner for NoRunner {
    fn run(&self, _: &Run) -> Option<RunResult> {
        None
    }

    fn reads(&self, _: &str, _: &str) -> bool {
        false
    }

    fn knows(&self, _: &str) -> bool {
        true
    }

    fn is_told(&self, _: &str, _: &str) -> bool {
        false
    }
}
