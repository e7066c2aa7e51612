//! Typed objects: the state, the actions, their outcomes and their failures as types, on both sides.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::pin::Pin;
use std::time::Duration;

use once_core::waist::Command;
use once_model::action::{Given, Outcome};
use once_model::ids::{KernelId, ObjectKey, Uuid};
use once_model::ior::Ior;
use once_model::scenario::Scenario;
use serde::{Serialize, Serializer};

use crate::acting::{Act, refused};
use crate::component::{Action, Model, words};
use crate::{Error, Kernel, Move, datadir};

/// Why an action was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ActError<F> {
    /// The component rejected the action. Nothing has changed.
    Failed(F),
    /// It never ran and never will; or it was not even accepted here.
    Refused(Error),
    /// Nobody knows yet: ask again with [`Kernel::outcome`], or with the same id.
    Unknown(Uuid),
}

impl<F: fmt::Debug> fmt::Display for ActError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(why) => write!(f, "the action failed, the component rejected it: {why:?}"),
            Self::Refused(error) => error.fmt(f),
            Self::Unknown(id) => write!(f, "the action {id} has no outcome yet"),
        }
    }
}

impl<F: fmt::Debug> std::error::Error for ActError<F> {}

/// An object with the state `S`, on whatever kernel. Cheap to clone; serializes as its IOR.
pub struct ObjectRef<S> {
    kernel: Kernel,
    key: ObjectKey,
    home: Option<KernelId>,
    ior: Ior,
    state: PhantomData<fn(S)>,
}

impl<S> Clone for ObjectRef<S> {
    fn clone(&self) -> Self {
        let (kernel, ior) = (self.kernel.clone(), self.ior.clone());
        Self { kernel, key: self.key, home: self.home, ior, state: PhantomData }
    }
}

impl<S> fmt::Debug for ObjectRef<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ObjectRef").field(&self.ior.as_str()).finish()
    }
}

impl<S> Serialize for ObjectRef<S> {
    fn serialize<T: Serializer>(&self, serializer: T) -> Result<T::Ok, T::Error> {
        serializer.serialize_str(self.ior.as_str())
    }
}

impl Kernel {
    /// Makes a new object of a component, with its home here.
    ///
    /// ```no_run
    /// # async fn run(alice: once::Kernel) -> Result<(), once::Error> {
    /// use once::component::{Add, Counter};
    ///
    /// let counter = alice.create_object(Counter::default()).await?;
    /// println!("{:?}", counter.act(Add { by: 2 }).await);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the state is no JSON object within the limits, or the disk is nearly full.
    pub async fn create_object<S: Model>(&self, state: S) -> Result<ObjectRef<S>, Error> {
        let model = serde_json::to_string(&state).map_err(|e| Error::usage(format!("the state: {e}")))?;
        let uuid = datadir::random_uuid();
        let scenario = Scenario::compose(uuid, S::COMPONENT, S::VERSION, self.name(), &model)?;
        let (object, _) = self.create(scenario).await?;
        self.object(&object.ior(&self.addresses()))
    }

    /// An object that an IOR names, here or elsewhere. That it is there, and of that component, its home will say.
    ///
    /// ```no_run
    /// # async fn run(alice: once::Kernel, ior: once::Ior) -> Result<(), once::Error> {
    /// use once::component::{Add, Counter};
    ///
    /// let counter = alice.object::<Counter>(&ior)?;
    /// println!("{:?}", counter.act(Add { by: 2 }).await);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the IOR does not say which object is meant.
    pub fn object<S: Model>(&self, ior: &Ior) -> Result<ObjectRef<S>, Error> {
        let (Some(uuid), Some(line)) = (ior.uuid(), ior.line()) else {
            return Err(Error::usage(format!("{ior} does not say which object is meant")).with_hint(
                "an IOR with its lineage does, as 'once show OBJECT' prints it at the object's home",
            ));
        };
        let (kernel, key) = (self.clone(), ObjectKey { uuid, line });
        Ok(ObjectRef { kernel, key, home: ior.home(), ior: ior.clone(), state: PhantomData })
    }
}

impl<S: Model> ObjectRef<S> {
    /// Its reference, which names it on every kernel.
    ///
    /// ```no_run
    /// # fn run(counter: once::ObjectRef<once::component::Counter>) -> Result<(), once::Error> {
    /// println!("{}", counter.ior());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn ior(&self) -> &Ior {
        &self.ior
    }

    /// Its key on this kernel.
    ///
    /// ```no_run
    /// # fn run(alice: once::Kernel, counter: once::ObjectRef<once::component::Counter>) -> Result<(), once::Error> {
    /// println!("{:?}", alice.get(counter.key())?.map(|object| object.revision()));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn key(&self) -> ObjectKey {
        self.key
    }

    /// Does something to it, once. Awaiting it returns the outcome.
    ///
    /// ```no_run
    /// # async fn run(counter: once::ObjectRef<once::component::Counter>) -> Result<(), once::Error> {
    /// use std::time::Duration;
    /// use once::component::Add;
    ///
    /// match counter.act(Add { by: 2 }).timeout(Duration::from_secs(5)).await {
    ///     Ok(count) => println!("{count}"),
    ///     Err(why) => println!("{why}"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn act<A: Action<S>>(&self, action: A) -> TypedAct<S, A> {
        let arguments = serde_json::to_vec(&action).map_err(|e| Error::usage(format!("the arguments: {e}")));
        let act = arguments.map(|json| self.kernel.act_on(self.key, self.home, A::NAME, json));
        TypedAct { kernel: self.kernel.clone(), act, types: PhantomData }
    }

    /// Moves it to another kernel; it must have its home on this one. The same handle keeps working.
    ///
    /// ```no_run
    /// # async fn run(counter: once::ObjectRef<once::component::Counter>, bob: once::KernelId) -> Result<(), once::Error> {
    /// counter.move_to(bob).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn move_to(&self, to: KernelId) -> Move {
        self.kernel.move_to(self.key, to)
    }

    /// Its state as it is known on this kernel.
    ///
    /// ```no_run
    /// # fn run(counter: once::ObjectRef<once::component::Counter>) -> Result<(), once::Error> {
    /// println!("{}", counter.state()?.count);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When it is not here, or not of this component.
    pub fn state(&self) -> Result<S, Error> {
        let body = self
            .kernel
            .scenario(self.key)?
            .ok_or_else(|| Error::not_found(format!("object {} is not on this kernel", self.key)))?;
        let scenario = Scenario::parse(body)?;
        serde_json::from_str(scenario.editable()).map_err(|e| {
            Error::invalid(format!("object {} is no {}: {}", self.key, S::COMPONENT, words::plain(&e)))
        })
    }
}

type Types<S, A> = PhantomData<fn(S, A)>;

/// Builder of an action whose arguments and outcome have types. Awaiting it returns the outcome; [`TypedAct::send`] returns when it
/// is durable here.
///
/// ```no_run
/// # async fn run(counter: once::ObjectRef<once::component::Counter>) -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use once::component::Add;
///
/// let act = counter.act(Add { by: 1 }).id(once::new_action_id());
/// let count = act.deadline(Duration::from_secs(60)).timeout(Duration::from_secs(5)).await?;
///
/// let pending = counter.act(Add { by: 1 }).send().await?; // durable here
/// let count = pending.outcome().await?;
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct TypedAct<S, A> {
    kernel: Kernel,
    act: Result<Act, Error>,
    types: Types<S, A>,
}

impl<S: Model, A: Action<S>> TypedAct<S, A> {
    fn with(mut self, change: impl FnOnce(Act) -> Act) -> Self {
        self.act = self.act.map(change);
        self
    }

    /// Gives it this id (a UUID of version 7): asking again with the same id is the same action.
    pub fn id(self, id: Uuid) -> Self {
        self.with(|act| act.id(id))
    }

    /// Sends it to this kernel: needed for an unclaimed object, which has no home that could be asked. See [`Act::at`].
    pub fn at(self, peer: KernelId) -> Self {
        self.with(|act| act.at(peer))
    }

    /// Expires the action: if it has not run by then, it is refused as `expired`. See [`Act::deadline`].
    pub fn deadline(self, after: Duration) -> Self {
        self.with(|act| act.deadline(after))
    }

    /// Stops waiting for the outcome after this time, with [`ActError::Unknown`]. The action goes on. See [`Act::timeout`].
    pub fn timeout(self, after: Duration) -> Self {
        self.with(|act| act.timeout(after))
    }

    /// Adds a scenario that it depends on. See [`Act::given`].
    pub fn given(self, given: Given) -> Self {
        self.with(|act| act.given(given))
    }

    /// Returns when it is durable here: it will have an outcome, whatever happens meanwhile.
    ///
    /// # Errors
    /// When it is not accepted.
    pub async fn send(self) -> Result<PendingAction<S, A>, Error> {
        let id = self.act?.send().await?;
        Ok(PendingAction { kernel: self.kernel, id, types: PhantomData })
    }
}

impl<S: Model, A: Action<S>> IntoFuture for TypedAct<S, A> {
    type Output = Result<A::Outcome, ActError<A::Failure>>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        let act = self.act;
        Box::pin(async move {
            let (id, answer) = act.map_err(ActError::Refused)?.answer().await.map_err(ActError::Refused)?;
            typed::<S, A>(id, answer)
        })
    }
}

/// An action that is durable here.
pub struct PendingAction<S, A> {
    kernel: Kernel,
    id: Uuid,
    types: Types<S, A>,
}

impl<S: Model, A: Action<S>> PendingAction<S, A> {
    /// The action's id: the same id again is the same action.
    #[must_use]
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// Waits for its outcome, however long that takes.
    ///
    /// # Errors
    /// When it was not done.
    pub async fn outcome(&self) -> Result<A::Outcome, ActError<A::Failure>> {
        let mut happened = self.kernel.shared().happened.subscribe();
        loop {
            let outcome = self.kernel.outcome_of(self.id).map_err(ActError::Refused)?;
            if outcome.is_some() {
                return typed::<S, A>(self.id, outcome);
            }
            let stopped = self.kernel.downgrade();
            tokio::select! {
                changed = happened.changed() => changed.map_err(|_| ActError::Unknown(self.id))?,
                () = stopped.ended() => return Err(ActError::Unknown(self.id)),
            }
        }
    }

    /// Takes the action back, if it has not run.
    ///
    /// # Errors
    /// When this kernel is stopping.
    pub async fn cancel(&self) -> Result<(), Error> {
        self.kernel.command(Command::Cancel { id: self.id, wait: false }).await.map(drop)
    }
}

fn typed<S: Model, A: Action<S>>(
    id: Uuid,
    outcome: Option<Outcome>,
) -> Result<A::Outcome, ActError<A::Failure>> {
    let not_typed = |error: serde_json::Error| {
        ActError::Refused(Error::invalid(format!(
            "the outcome of {id} is of another type: {}",
            words::plain(&error)
        )))
    };
    match outcome {
        None => Err(ActError::Unknown(id)),
        Some(Outcome::Done(result)) => serde_json::from_slice(&result).map_err(not_typed),
        Some(Outcome::Failed(reason)) => {
            let plain = || {
                Error::failed(format!(
                    "the action failed, the component rejected it: {}",
                    String::from_utf8_lossy(&reason)
                ))
            };
            match serde_json::from_slice(&reason) {
                Ok(failure) => Err(ActError::Failed(failure)),
                Err(_) => Err(ActError::Refused(plain())),
            }
        }
        Some(Outcome::Refused(code)) => Err(ActError::Refused(refused(code))),
    }
}
