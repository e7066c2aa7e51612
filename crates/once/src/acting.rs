//! Acting on objects, wherever their home is.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use once_core::act::Recorded;
use once_core::waist::{Answer, Command};
use once_model::action::{Action, After, Given, Outcome};
use once_model::ids::{KernelId, ObjectKey, Uuid};
use once_model::ior::Ior;
use once_model::wire::Code;

use crate::error::{IntoError, OrError};
use crate::shell::now_ms;
use crate::{Error, Kernel};

/// What came of an action, as its caller sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActionResult {
    /// The action's id: asking again with it returns the same.
    pub id: Uuid,
    /// The component's result, verbatim JSON.
    pub result: Bytes,
    /// The object after the action.
    pub after: Option<After>,
}

/// Builder of an action. Awaiting it returns its outcome; [`Act::send`] returns when it is durable here.
///
/// Dropping it, or the future, does not take back what was accepted: ask with [`Kernel::outcome`].
///
/// ```no_run
/// # async fn run(alice: once::Kernel, bob: once::KernelId, ior: once::Ior) -> Result<(), once::Error> {
/// use std::time::Duration;
///
/// let id = once::new_action_id(); // kept, to be able to ask again
/// let done = alice.act(&ior, "add", r#"{"by": 1}"#)?
///     .id(id)
///     .at(bob)
///     .deadline(Duration::from_secs(60)) // never runs later
///     .timeout(Duration::from_secs(5)) // only ends the waiting
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use]
pub struct Act {
    kernel: Kernel,
    key: ObjectKey,
    at: Option<KernelId>,
    name: String,
    arguments: Bytes,
    id: Option<Uuid>,
    given: Vec<Given>,
    deadline: Option<Duration>,
    timeout: Option<Duration>,
}

impl Kernel {
    /// Does something to an object, once, wherever its home is. `arguments` is one JSON value.
    ///
    /// ```no_run
    /// # async fn f(kernel: once::Kernel, counter: once::Ior) -> Result<(), once::Error> {
    /// let done = kernel.act(&counter, "add", r#"{"by": 2}"#)?.await?;
    /// println!("{}", String::from_utf8_lossy(&done.result));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the IOR names no object, or says neither which of its lines is meant nor is one of them here.
    pub fn act(&self, ior: &Ior, name: impl Into<String>, arguments: impl Into<Bytes>) -> Result<Act, Error> {
        let uuid =
            ior.uuid().ok_or_else(|| Error::usage(format!("{ior} names no object: it has no UUID")))?;
        let key = match ior.line() {
            Some(line) => ObjectKey { uuid, line },
            None => self.only(uuid)?,
        };
        Ok(self.act_on(key, ior.home(), name, arguments))
    }

    /// Like [`Kernel::act`], for an object by its key. `at`: its home, needed for an object that is not here.
    ///
    /// ```no_run
    /// # async fn run(alice: once::Kernel, key: once::ObjectKey, home: once::KernelId) -> Result<(), once::Error> {
    /// let done = alice.act_on(key, Some(home), "add", r#"{"by": 2}"#).await?;
    /// println!("{}", String::from_utf8_lossy(&done.result));
    /// # Ok(())
    /// # }
    /// ```
    pub fn act_on(
        &self,
        key: ObjectKey,
        at: Option<KernelId>,
        name: impl Into<String>,
        arguments: impl Into<Bytes>,
    ) -> Act {
        Act {
            kernel: self.clone(),
            key,
            at,
            name: name.into(),
            arguments: arguments.into(),
            id: None,
            given: Vec::new(),
            deadline: None,
            timeout: None,
        }
    }

    /// The one living object of a UUID that is here.
    fn only(&self, uuid: Uuid) -> Result<ObjectKey, Error> {
        let found = once_core::object::find(&self.shared().snapshot(), &uuid, None).or_error()?;
        let mut living = found.iter().filter(|head| !head.header.tombstone).map(|head| head.header.key());
        match (living.next(), living.next()) {
            (Some(key), None) => Ok(key),
            (None, _) => Err(Error::not_found(format!("no object {uuid} on this kernel")).with_hint(
                "name an object elsewhere by its whole IOR, as 'once show OBJECT' prints it there",
            )),
            _ => Err(Error::ambiguous(format!("more than one object here has the UUID {uuid}"))
                .with_hint("name it with its lineage: UUID#LINEAGE")),
        }
    }

    /// Like [`Kernel::outcome`], but returns failures and refusals as values.
    pub(crate) fn outcome_of(&self, id: Uuid) -> Result<Option<Outcome>, Error> {
        let row = self.shared().requested(&id).or_error()?;
        Ok(row.ok_or_else(|| nothing_known(id))?.outcome)
    }

    /// What came of an action that was accepted here; `None` while it has no outcome yet.
    ///
    /// ```no_run
    /// # fn run(alice: once::Kernel, id: once::model::ids::Uuid) -> Result<(), once::Error> {
    /// match alice.outcome(id)? {
    ///     Some(done) => println!("{}", String::from_utf8_lossy(&done.result)),
    ///     None => println!("not known yet"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When no action of that id was accepted here, or it failed, or was refused.
    pub fn outcome(&self, id: Uuid) -> Result<Option<ActionResult>, Error> {
        let row = self.shared().requested(&id).or_error()?.ok_or_else(|| nothing_known(id))?;
        row.outcome.map(|outcome| acted(id, outcome, row.after)).transpose()
    }
}

impl Kernel {
    /// What is kept here of an object's history, oldest first: what this kernel has recorded, and what former homes have given to it.
    pub(crate) fn recorded(&self, key: ObjectKey) -> Result<Vec<Recorded>, Error> {
        once_core::archive::history(&self.shared().snapshot(), &key).or_error()
    }
}

pub(crate) fn nothing_known(id: Uuid) -> Error {
    once_core::Refusal::NoAction(id).into_error()
}

/// The action may or may not have run.
pub(crate) fn unknown(id: Uuid) -> Error {
    Error::unknown(format!("the action {id} has no outcome yet: whether it runs is not known here"))
        .with_hint(format!("`once outcome {id}` says what came of it once its home has answered"))
        .about(id)
}

/// What the engine answered when an action was taken back.
pub(crate) fn cancelled(id: Uuid, answer: Answer) -> Result<ActionResult, Error> {
    match answer {
        Answer::Acted { outcome, after } => acted(id, outcome, after),
        // Its home is no peer any more.
        Answer::Accepted => Err(unknown(id)),
        other => Err(Error::fault(format!("the engine answered {other:?}"))),
    }
}

impl Act {
    /// Gives it this id (a UUID of version 7) instead of a new one: asking again with the same id is the same action.
    pub fn id(mut self, id: Uuid) -> Self {
        self.id = Some(id);
        self
    }

    /// Sends it to this kernel: needed for an unclaimed object, which has no home that could be asked.
    pub fn at(mut self, peer: KernelId) -> Self {
        self.at = Some(peer);
        self
    }

    /// The same, but refused if the object is known to have its home elsewhere: that is where it would act.
    pub(crate) fn only_at(self, peer: KernelId) -> Result<Self, Error> {
        let shared = self.kernel.shared();
        let head = once_core::object::head(&shared.snapshot(), &self.key).or_error()?;
        match head.and_then(|head| head.home) {
            Some(home) if home != peer => {
                let home = if home == shared.me { "this kernel".to_owned() } else { shared.called(&home) };
                Err(Error::not_home(format!(
                    "{} has its home at {home}, not at {}",
                    self.key,
                    shared.called(&peer)
                ))
                .with_hint("leave that peer out, or name the object that is there by its IOR"))
            }
            _ => Ok(self.at(peer)),
        }
    }

    /// Adds a scenario that it depends on: the home asks for it if it lacks it, and refuses the action if it does not come.
    pub fn given(mut self, given: Given) -> Self {
        self.given.push(given);
        self
    }

    /// Expires the action: if it has not run by then, it is refused as `expired`. Which of the two it is, the object's home
    /// says; it ends no waiting, for that is [`Act::timeout`].
    pub fn deadline(mut self, after: Duration) -> Self {
        self.deadline = Some(after);
        self
    }

    /// Stops waiting for the outcome after this time, with the code `unknown`. The action goes on: what expires it is
    /// [`Act::deadline`].
    pub fn timeout(mut self, after: Duration) -> Self {
        self.timeout = Some(after);
        self
    }

    /// Returns the action's id when it is durable here: it will have an outcome, whatever happens meanwhile.
    ///
    /// # Errors
    /// When it is not accepted: the home is not known or no peer, the id belongs to another action, the disk is full.
    pub async fn send(self) -> Result<Uuid, Error> {
        let (kernel, id, command) = self.command(false);
        kernel.command(command).await.map(|_| id)
    }

    fn command(self, wait: bool) -> (Kernel, Uuid, Command) {
        let id = self.id.unwrap_or_else(new_action_id);
        let (name, arguments) = (self.name, self.arguments);
        let action = Action { id, name, arguments, given: self.given, acting: None, answers: None };
        let deadline_ms = self.deadline.map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX));
        (self.kernel, id, Command::Act { key: self.key, at: self.at, action, deadline_ms, wait })
    }

    /// The outcome; nothing if it is not known at the timeout.
    pub(crate) async fn answer(self) -> Result<(Uuid, Option<Outcome>), Error> {
        let (id, answer) = self.told().await?;
        Ok((id, answer.map(|(outcome, _)| outcome)))
    }

    async fn told(self) -> Result<(Uuid, Option<(Outcome, Option<After>)>), Error> {
        let timeout = self.timeout;
        let (kernel, id, command) = self.command(true);
        let reply = kernel.command(command);
        let answer = match timeout {
            None => reply.await?,
            Some(after) => match tokio::time::timeout(after, reply).await {
                Ok(answer) => answer?,
                Err(_) => return Ok((id, None)),
            },
        };
        match answer {
            Answer::Acted { outcome, after } => Ok((id, Some((outcome, after)))),
            // Its home is no peer any more.
            Answer::Accepted => Ok((id, None)),
            other => Err(Error::fault(format!("the engine answered {other:?}"))),
        }
    }

    async fn run(self) -> Result<ActionResult, Error> {
        let key = self.key;
        let called = crate::object::short_key(&key);
        // What is not accepted names the object as it can be written.
        let told = self.told().await.map_err(|error| {
            let message = error.message().replace(&key.to_string(), &called);
            error.said(message)
        });
        match told? {
            (id, Some((Outcome::Refused(code @ (Code::Denied | Code::NotHome)), _))) => {
                let message = format!(
                    "act: object {called} is not at its home (any more), or its home does not permit this"
                );
                Err(refused(code).said(message).about(id))
            }
            (id, Some((outcome, after))) => acted(id, outcome, after),
            (id, None) => Err(unknown(id)),
        }
    }
}

impl IntoFuture for Act {
    type Output = Result<ActionResult, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

fn acted(id: Uuid, outcome: Outcome, after: Option<After>) -> Result<ActionResult, Error> {
    match outcome {
        Outcome::Done(result) => Ok(ActionResult { id, result, after }),
        Outcome::Failed(reason) => Err(Error::failed(format!(
            "the action failed, the component rejected it: {}",
            String::from_utf8_lossy(&reason)
        ))
        .about(id)),
        Outcome::Refused(code) => Err(refused(code).about(id)),
    }
}

pub(crate) fn refused(code: Code) -> Error {
    match code {
        // The home may be this kernel.
        Code::Denied | Code::NotHome => {
            let message = "act: its home has no such object (any more), or does not permit this";
            Error::from_code(code, "act").said(message).with_hint(
                "if it is still there, its owner can permit it: 'once grant KERNEL act' there, with the id that `once status` \
                 prints here; then act with a new id, for this one stays refused. Is that kernel still its home?",
            )
        }
        Code::NoComponent => Error::invalid("the object's home has no component that does this to it")
            .with_hint("its component reads older versions only, or does not know the action: 'once actions OBJECT' there says which"),
        Code::Cancelled => Error::cancelled("the action was taken back before it ran"),
        Code::Lacking => Error::invalid(
            "the action never ran: a scenario that it depends on was not at the home, and did not come in time or could \
             not",
        )
        .with_hint(
            "this kernel must have it with these very bytes, and needs the right to share with the home",
        ),
        code => Error::from_code(code, "act"),
    }
}

/// An id for an action of this moment: a UUID of version 7. To be able to ask again, make it first and keep it.
///
/// ```
/// assert_eq!(once::new_action_id().get_version_num(), 7);
/// ```
#[must_use]
pub fn new_action_id() -> Uuid {
    once_model::action::client_id(now_ms(), &crate::datadir::random())
}
