//! What is seen at a kernel: one closed enum. The crate's documentation says in which order it is given.

use once_model::action::{Action, Given, Outcome};
use once_model::certificate::Chain;
use once_model::header::Header;
use once_model::ids::{BootId, Hash, Incarnation, KernelId, ObjectKey, Uuid};
use once_model::moving::Handoff;
use once_model::receipt::{Entry, Receipt};
use once_model::wire::Frame;

pub use crate::ask::{Ask, AskAct, Grant, Grantee, Refusal, Reply, Right, Scope};

/// JSON as it was spelled.
pub type Json = Vec<u8>;

/// Which way a frame goes, as the kernel sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The kernel has read it and takes it now.
    In,
    /// It has left the kernel.
    Out,
}

/// One thing that is seen at one kernel.
#[derive(Debug, Clone)]
pub enum Seen {
    /// Its process begins, on what is on the disk. Also the first time of all.
    Started {
        /// The life of its data directory.
        incarnation: Incarnation,
        /// Counts the starts in it.
        boot: u64,
        /// The id of this start.
        boot_id: BootId,
        /// What its clock says.
        now_ms: u64,
    },
    /// The process is gone, with all that is not on the disk. Of the commits since the last [`Seen::Durable`] the first
    /// `kept` are on the disk all the same.
    Crashed {
        /// How many of them.
        kept: u64,
    },
    /// Somebody copies the data directory, as it is on the disk.
    BackedUp {
        /// A name for the copy.
        copy: u64,
    },
    /// Somebody puts that copy in its place; the kernel is not running.
    RolledBack {
        /// The name of the copy.
        copy: u64,
    },
    /// From now on its clock says this (and goes on from there). Said whenever it jumps.
    Clock {
        /// Milliseconds since 1970.
        now_ms: u64,
    },
    /// Whether its disk is nearly full, from now on.
    Room {
        /// Fewer bytes than the reserve are free.
        short: bool,
    },
    /// A connection is there; nobody is admitted yet.
    LinkUp {
        /// Its number at this kernel, never used twice.
        conn: u64,
        /// Whose key the other side has.
        peer: KernelId,
        /// This kernel has dialled it.
        dialled: bool,
    },
    /// A connection is gone for this kernel.
    LinkDown {
        /// The connection's number.
        conn: u64,
        /// The other side.
        peer: KernelId,
    },
    /// A frame is taken, or leaves.
    Frame {
        /// Whether the frame came in or went out.
        direction: Direction,
        /// On which connection.
        conn: u64,
        /// On which of its streams: 0 is the control stream.
        stream: u64,
        /// The other side.
        peer: KernelId,
        /// The frame, decoded.
        frame: Box<Frame>,
    },
    /// A client's command is taken.
    Client {
        /// Comes back in the answers.
        token: u64,
        /// What the client asked for.
        ask: Ask,
    },
    /// A client is answered. An act may be answered twice: that it is accepted, and what came of it.
    Answered {
        /// Of the command.
        token: u64,
        /// What it is told.
        answer: Result<Reply, Refusal>,
    },
    /// The kernel asks a component to run an action.
    Asked(Box<Asked>),
    /// What came of asking. Whether it is of use the kernel decides.
    Ran {
        /// As in [`Asked::run`].
        run: u64,
        /// What the component said.
        said: Said,
    },
    /// The kernel asks for work outside.
    Work {
        /// The effect's id.
        id: Uuid,
        /// Whose work it is.
        object: ObjectKey,
        /// The action's name.
        name: String,
        /// The arguments, as JSON.
        arguments: Json,
    },
    /// Whoever listens is told.
    Published {
        /// The object that tells.
        object: ObjectKey,
        /// Under which name.
        name: String,
        /// What was published, as JSON.
        data: Json,
    },
    /// An action is recorded: ledger, mark, entry, and the revision that it made.
    Recorded(Box<Recorded>),
    /// A revision is kept that no entry of this kernel made: from a peer, or an import that nobody has claimed.
    Kept(Box<Kept>),
    /// An object is sealed: what is handed over, without its body.
    Sealed(Box<Handoff>),
    /// Luggage that was pulled is taken.
    Luggage {
        /// The handoff that it belongs to.
        certificate: Hash,
        /// All of it, as it travels.
        bytes: Json,
    },
    /// The copy of an object here is gone, without a tombstone.
    Dropped {
        /// The object that was told.
        key: ObjectKey,
    },
    /// What was taken since the last commit was written, in one batch, and not synced.
    Committed,
    /// The same, and everything of this kernel up to here is on the disk.
    Durable,
}

/// A kernel asks a component: run this action on that revision.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Names the run; never used twice at a kernel.
    pub run: u64,
    /// The object, as it is called now.
    pub object: ObjectKey,
    /// The id of the revision that it runs on.
    pub base: Hash,
    /// Whose action it is.
    pub origin: KernelId,
    /// In which life of that kernel.
    pub incarnation: Incarnation,
    /// Its place in its lane.
    pub sequence: u64,
    /// What was asked.
    pub action: Action,
}

/// What a component said.
#[derive(Debug, Clone)]
pub enum Said {
    /// It did it.
    Done {
        /// The new state; none: the same bytes.
        state: Option<State>,
        /// The component's result, as JSON.
        result: Json,
        /// What follows, in the order in which it was named.
        effects: Vec<Effect>,
    },
    /// The component rejected it, or panicked.
    Failed(Json),
    /// No component here reads this object or knows the action.
    NoComponent,
    /// The component is unavailable or at capacity.
    NotNow,
}

/// A scenario as bytes would show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// The UUID that the bytes bear, or the one that is derived from them.
    pub uuid: Uuid,
    /// Whether it is derived: then they fit every object from revision 2 on.
    pub derived: bool,
    /// The hash of the bytes.
    pub content: Hash,
    /// How many they are.
    pub size: u64,
    /// The component that they name.
    pub component: String,
}

/// Who in an object is told what came of an effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Then {
    /// The name of the action.
    pub action: String,
    /// What the object is reminded of.
    pub with: Json,
}

/// What follows from an action (protocol 5.5, Effects).
#[derive(Debug, Clone)]
pub enum Effect {
    /// An action on an object.
    Act {
        /// The object that is acted on.
        object: ObjectKey,
        /// Its home, as the component or this kernel knows it.
        home: Option<KernelId>,
        /// The action's name.
        name: String,
        /// The arguments, as JSON.
        arguments: Json,
        /// What it depends on.
        given: Vec<Given>,
        /// How long it is wanted, in milliseconds.
        deadline_ms: Option<u64>,
        /// Who is told.
        then: Option<Then>,
    },
    /// A new object.
    Create(State),
    /// The object's end.
    Remove,
    /// The object gets another home.
    Move {
        /// The kernel that is to be its home.
        to: KernelId,
    },
    /// An action of this object, later.
    Timer {
        /// One of the same name ends.
        name: String,
        /// In how many milliseconds.
        after_ms: u64,
        /// The action that the timer brings.
        then: Then,
    },
    /// That timer ends.
    EndTimer {
        /// The timer's name.
        name: String,
    },
    /// Work in the outside world.
    Activity {
        /// The kind of work.
        name: String,
        /// The arguments, as JSON.
        arguments: Json,
        /// Who is told.
        then: Then,
    },
    /// Something is published.
    Publish {
        /// The topic.
        name: String,
        /// What is said, as JSON.
        data: Json,
    },
}

/// What one action leaves in the home's rows, all in one commit.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// The lane's object key and takeover are those of the act; of built-in actions the object's own key.
    pub lane: once_model::action::LaneName,
    /// Its place in the history.
    pub entry: Entry,
    /// What came of it.
    pub outcome: Outcome,
    /// The revision that it made, if it made one.
    pub revision: Option<Revised>,
}

/// A revision as it was written.
#[derive(Debug, Clone)]
pub struct Revised {
    /// Header of the revision.
    pub header: Header,
    /// The chain of its object.
    pub chain: Chain,
}

/// A revision that came as it is.
#[derive(Debug, Clone)]
pub struct Kept {
    /// Header of the revision.
    pub header: Header,
    /// Its chain, if it is claimed.
    pub chain: Option<Chain>,
    /// The peer that sent it; none: imported here.
    pub from: Option<KernelId>,
    /// Kept beside the head, and not in its place.
    pub beside: bool,
}

/// A receipt as a client has it.
pub type Proof = Box<Receipt>;
