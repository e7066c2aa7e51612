//! Peer-to-peer scenario communication for ONCE kernels.
//!
//! A [`Kernel`] lives in a data directory, is known by its key, and talks to its peers over authenticated, encrypted
//! connections with no server between them. [`init`] makes one, [`Kernel::builder`] starts it, [`Kernel::invite`] and
//! [`Kernel::join`] make peers, [`Kernel::share`], [`Kernel::request`], [`Kernel::exchange`] and [`Kernel::follow`]
//! move scenarios. A [`Component`] gives objects behaviour; [`ObjectRef::act`] and [`Kernel::act`] act on them, exactly once,
//! wherever they are. [`api`] is how other programs on the machine talk to a running kernel.

mod acting;
pub mod api;
mod beside;
mod builder;
mod calls;
mod catalog;
mod change;
pub mod component;
mod coordinate;
mod datadir;
mod drain;
mod error;
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
mod shell;
mod surface;
mod survey;
mod tidy;
mod troubles;
mod typed;
mod way;

pub use acting::{Act, ActionResult, new_action_id};
pub use api::contract::Right;
pub use builder::Builder;
pub use calls::{Delivery, Events, Following, Heard, ObjectCopy, Request, Share, ShareTo};
pub use change::Change;
pub use component::{Action, Activity, ArrivalNotice, Component, Context, EffectError, PendingCall, Reply};
pub use component::{CallError, DepartureNotice, Model};
pub use component::{CoordinationStatus, Plan, PlanError, RunState, StepOutcome, StepState, StepStatus};
pub use coordinate::{Coordinate, Coordination};
pub use datadir::{InitOptions, NewKernel, check_free, damaged_files, init, is_initialised, lost_key};
pub use drain::{Drain, DrainCancellation, DrainPlan, DrainProgress, DrainReport};
pub use error::{Error, ErrorKind, UnknownErrorKind};
pub use find::{Find, FindStep, FindStream, FoundObject, FoundObjects};
pub use kernel::Kernel;
pub use moving::{Departure, FailedMove, Move, NewsOwed, PendingArrival};
pub use net::{Chatter, Progress, Report, Ticket};
pub use object::{Object, State};
pub use retire::{Retire, RetireCheck};
pub use surface::{AddPeer, Cancel, ChangePeer, Conflicts, Dial, Doctor, DropDebts, EndQuarantine, Exchange};
pub use surface::{
    Grant, History, Import, Invite, Join, List, Put, ReceiptRequest, Receipts, Revoke, Survey,
};
pub use typed::{ActError, ObjectRef, PendingAction, TypedAct};
pub use way::{Way, WayNewest, WayStep};

pub use once_core::waist::Event;
pub use once_model as model;
pub use once_model::archive::OutcomeStatus;
pub use once_model::ids::{KernelId, ObjectKey};
pub use once_model::ior::Ior;
