//! Objects that live in exactly one place, travel anywhere, and are acted on exactly once: peer to peer, through crashes, retries, moves
//! and partitions, with no server between the machines.
//!
//! This crate is the engine behind the command `once`, as a library. A program embeds a [`Kernel`], gives it components, and works with
//! objects of its own and of other kernels.
//!
//! # Quick start
//!
//! Two kernels, a counter on one of them, and an action from the other one:
//!
//! ```
//! use once::component::{Add, Counter, counter};
//! use once::{InitOptions, Kernel, Right};
//!
//! # async fn run(folder: &std::path::Path) -> Result<(), Box<dyn std::error::Error>> {
//! // Once for each data directory: it makes the kernel's key.
//! for name in ["alice", "bob"] {
//!     once::init(&folder.join(name), InitOptions { name: Some(name.into()), ..InitOptions::default() })?;
//! }
//! let alice = Kernel::builder(folder.join("alice")).listen("127.0.0.1:0").component(counter()).start().await?;
//! let bob = Kernel::builder(folder.join("bob")).listen("127.0.0.1:0").component(counter()).start().await?;
//!
//! // An invite makes them peers. A peer may do nothing until it is given a right.
//! bob.join(&alice.invite().await?).await?;
//! alice.grant(bob.id(), Right::Act).await?;
//!
//! // The counter lives on alice. Its reference names it everywhere.
//! let here = alice.create_object(Counter::default()).await?;
//! let there = bob.object::<Counter>(here.ior())?;
//! assert_eq!(there.act(Add { by: 2 }).await?, 2);
//! assert_eq!(here.state()?.count, 2);
//! # alice.stop().await?;
//! # bob.stop().await?;
//! # Ok(())
//! # }
//! # let folder = tempfile::tempdir().unwrap();
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(run(folder.path())).unwrap();
//! ```
//!
//! # Five nouns
//!
//! - A **kernel** ([`Kernel`]) is a peer: a key, a data directory, a process. It is known by its key ([`KernelId`]), and called by a
//!   name that its user gave it.
//! - A **scenario** ([`model::scenario::Scenario`]) is an object at rest: its whole state as JSON, kept byte for byte.
//! - An **object** ([`Object`], [`ObjectRef`]) is what a scenario describes. It lives at one kernel, its *home*, which alone may change it;
//!   others may keep copies. A reference ([`Ior`]) names it wherever it is.
//! - A **component** ([`Component`]) is the type of an object: which actions it understands, and what they do to its state.
//! - An **action** ([`ObjectRef::act`], [`Kernel::act`]) is a request to one object. It is durable before it is sent, has effect once, and has one
//!   outcome, which can be asked for again by its id.
//!
//! # Where to go next
//!
//! | to | begin with |
//! |---|---|
//! | write a component, and types for its actions | [`component`] |
//! | keep, change, list and find scenarios | [`Kernel::import`], [`Kernel::put`], [`Kernel::list`], [`Kernel::find`] |
//! | send copies, and stay up to date | [`Kernel::share`], [`Kernel::request`], [`Kernel::exchange`], [`Kernel::follow`] |
//! | act on several objects, all or nothing | [`Kernel::coordinate`] |
//! | move an object, or everything | [`Kernel::move_to`], [`Kernel::drain`], [`Kernel::retire`] |
//! | say who may do what | [`Kernel::invite`], [`Kernel::join`], [`Kernel::grant`], [`Kernel::revoke`] |
//! | prove what was done | [`Kernel::history`], [`Kernel::receipt`], [`receipts`] |
//! | look after a kernel | [`Kernel::status`], [`Kernel::doctor`], [`Kernel::conflicts`], [`Kernel::outbox`] |
//! | let other programs of the machine use it | [`Kernel::serve_api`], [`api`] |
//!
//! # Conventions
//!
//! - A method that has options returns a builder. The builder is awaited: `kernel.invite().petname("bob").await?`.
//! - `timeout` ends the waiting and nothing else: what was accepted goes on. `deadline` and `expires` end the thing itself.
//! - Dropping a future never takes back what was accepted.
//! - Every method fails with [`Error`]. Programs decide by its [`ErrorKind`], people read its message and its hint. A typed action fails with
//!   [`ActError`], which tells *failed*, *refused* and *unknown* apart.
//! - Everything runs on the tokio runtime that a kernel was started on. The library installs no subscriber for `tracing`.

mod acting;
mod actions;
pub mod api;
mod beside;
mod builder;
mod calls;
mod catalog;
mod change;
pub mod component;
mod coordinate;
mod coordinations;
mod datadir;
mod dead_letters;
mod drain;
mod error;
mod events;
mod find;
mod kernel;
mod lock;
mod metrics;
mod moving;
mod net;
mod object;
mod private;
mod proof;
pub mod receipts;
mod retire;
mod revisions;
mod shell;
mod stands;
mod surface;
mod survey;
mod tidy;
mod troubles;
mod typed;
mod way;
mod would_move;

pub use acting::{Act, ActionResult, new_action_id};
pub use actions::{ActionsKnown, ObjectActions};
pub use api::contract::{Event, EventInfo, ObjectState, Right};
pub use builder::Builder;
pub use calls::{Delivery, Following, ObjectCopy, Request, Share, ShareTo};
pub use change::Change;
pub use component::{
    Action, ActionDescription, Activity, ArrivalNotice, CallError, Component, Context, DepartureNotice,
    EffectError, Model, PendingCall, Reply,
};
pub use component::{
    CoordinationStatus, Plan, PlanError, RunState, StepOutcome, StepState, StepStatus, StepTimes,
};
pub use coordinate::{Coordinate, Coordination};
pub use coordinations::{Coordinations, CoordinationsPage};
pub use datadir::{InitOptions, NewKernel, check_free, damaged_files, init, is_initialised, lost_key};
pub use dead_letters::{DeadLetter, DeadLetterKind, DeadLetterReason};
pub use drain::{Drain, DrainCancellation, DrainPlan, DrainProgress, DrainReport};
pub use error::{Error, ErrorKind, UnknownErrorKind};
pub use events::{EventCursor, EventPage, EventStream, Watch};
pub use find::{Find, FindStep, FindStream, FoundObject, FoundObjects};
pub use kernel::Kernel;
pub use moving::{Departure, FailedMove, Move, NewsOwed, PendingArrival};
pub use net::{Chatter, Progress, Report, Ticket};
pub use object::Object;
pub use retire::{Retire, RetireCheck};
pub use surface::{AddPeer, Cancel, ChangePeer, Conflicts, Dial, Doctor, DropDebts, EndQuarantine, Exchange};
pub use surface::{
    Grant, History, Import, Invite, Join, List, Put, ReceiptRequest, Receipts, Revoke, Survey,
};
pub use typed::{ActError, ObjectRef, PendingAction, TypedAct};
pub use way::{Way, WayNewest, WayStep};

pub use once_model as model;
pub use once_model::archive::OutcomeStatus;
pub use once_model::ids::{KernelId, ObjectKey};
pub use once_model::ior::Ior;
