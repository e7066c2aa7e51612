//! The checks, each with the place of the page that it goes by, and the count of how often each was made.

use std::fmt;

use once_model::ids::KernelId;

macro_rules! checks {
    ($($(#[$doc:meta])* $name:ident => $cite:literal,)*) => {
        /// What is checked. A closed list: each has its own count in the [`Tally`].
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Check { $($(#[$doc])* $name,)* }

        impl Check {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Where it is written.
            #[must_use]
            pub const fn cite(self) -> &'static str {
                match self { $(Self::$name => $cite,)* }
            }

            /// Its name, for tables.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }
        }
    };
}

checks! {
    // Rights.
    /// A run began only for who had the right.
    ActAllowed => "protocol 5.5 Rights, row 6",
    /// `denied` was said only where there was no right or no object.
    DeniedAllowed => "protocol 5.5 rows 6 and 7",
    /// Found, given, pulled or followed was only what the peer may read.
    ReadAllowed => "protocol 5.3, 5.4, 6.1, 6.2",
    /// Something was kept of a peer only with the right to share, or because it is followed.
    ShareAllowed => "protocol 5.2, rules (347-350)",
    /// Something was said only to a peer that is admitted.
    PeerOnly => "protocol 5.1 (263-270)",
    /// A kernel that is no peer comes and goes as a visitor only while it has a right on an object here, or is owed news.
    VisitTrue => "protocol 5.6 Visitors",
    /// Of two connections the one that prevails is kept, and only on that something is said.
    Prevails => "protocol 5.1 Which connection prevails",
    /// A kernel was admitted only as a peer or by an invite that is open.
    InviteOpen => "protocol 5.1 step 2",
    /// In quarantine nothing runs and nothing but `Hello` and `Denied` leaves.
    QuarantineSilent => "protocol 5.1 Put back from a backup (298-303)",
    // Lanes, at the home.
    /// A place of a lane is recorded once, and an action once in the world.
    Once => "protocol 5.5 rows 4 and 5; promise 3",
    /// No place of a lane is run or recorded before those that no floor has passed.
    LaneOrder => "protocol 5.5 row 8; promise 5",
    /// What runs and what is recorded is what was asked.
    ActKnown => "protocol 5.5 The home",
    /// An outcome that is told is the one that is recorded, each time.
    OutcomeStable => "protocol 5.5 row 4 (392)",
    /// What is recorded is answered again, as long as no floor has passed it; another action in its place is not.
    AnsweredAgain => "protocol 5.5 rows 4 and 5 (497)",
    /// An outcome that tells of a record has one.
    OutcomeRecorded => "protocol 5.5 (482-484)",
    /// An outcome leaves after its commit is on the disk.
    OutcomeDurable => "protocol 5.5 (483)",
    /// What is recorded is what the table says of this action and of what the component said.
    OutcomePredicted => "protocol 5.5 rows 11 to 22",
    /// A refusal without a record has the code of its row.
    RefusalCode => "protocol 5.5 rows 6, 7 and 9",
    /// What rows 6 and 7 refuse is answered at once.
    RefusalDue => "protocol 5.5 row 1 (at its end), rows 6 and 7",
    /// What was refused on a connection stays refused on it.
    RefusedStays => "protocol 5.5 row 9 (487-488)",
    /// `Missing` asks from the place that is next, and only for a gap.
    MissingFrom => "protocol 5.5 row 8",
    /// `Need` lists just what the origin has not shown.
    NeedLacks => "protocol 5.5 row 14, Given",
    /// An action runs only with what it is given shown by its origin, and here.
    GivenShown => "protocol 5.5 rows 14 and 15, Given",
    /// An object runs one action at a time.
    OneRun => "protocol 5.5 (492-494)",
    /// A run is made, and counts, on the newest revision only.
    RunBase => "protocol 5.5 (492)",
    /// What has no time left, or is void, does not begin to run.
    DeadlineRun => "protocol 5.5 rows 11 and 12",
    // The origin.
    /// A sequence belongs to one action for ever, in the order of acceptance, without a gap.
    SequenceGiven => "protocol 5.5 The origin (415)",
    /// An act that is sent is one that was accepted, as it was, to its object's home.
    ActAccepted => "protocol 5.5 The origin (415-419)",
    /// An act leaves, and a client is told, after its action is on the disk.
    ActDurable => "protocol 5.5 The origin (415)",
    /// An act leaves only to who knows feature 1.
    ActFeature => "protocol 5.5 (408)",
    /// On a connection a lane is sent in its order.
    ActOrder => "protocol 5.5 The origin (423)",
    /// At most a window of actions is under way.
    ActWindow => "protocol 5.5 The origin (424)",
    /// An act is sent again after 10 s, when it is missing, or when it becomes a void; not before.
    ActResend => "protocol 5.5 The origin (423-424, 434-437), Voids (450)",
    /// A floor is told only if every outcome below it is on the disk.
    FloorTold => "protocol 5.5 The origin (426)",
    /// A floor passes what was refused without a record.
    FloorPasses => "protocol 5.5 The origin (427-430)",
    /// What remains of a deadline is said in each act.
    RemainingSaid => "protocol 5.5 The origin (438)",
    /// A void has a reason that is true, and keeps it; what was taken back is sent as one.
    VoidReason => "protocol 5.5 Voids",
    /// What has its outcome is not sent again.
    SentSettled => "protocol 5.5 The origin (415-416)",
    // Effects.
    /// An action that no client asked for was named by a component, and by no other.
    EffectKnown => "protocol 5.5 Effects",
    /// New objects and the object's end are in the commit of their action.
    EffectAtomic => "protocol 5.5 Effects (540)",
    /// An effect that is recorded happens.
    EffectDue => "protocol 5.5 Effects; promise 4",
    /// An answer is told of an effect that has one, when there is one, and only by its own kernel.
    AnswerKnown => "protocol 5.5 Answers",
    /// An answer says just what came of the effect.
    AnswerArguments => "protocol 5.5 Answers (564-576)",
    /// An object is told.
    ToldDue => "protocol 5.5 Answers (559-562)",
    /// A timer does not ring before its time.
    TimerEarly => "protocol 5.5 Effects, timer",
    /// A timer that has ended or rung does not ring.
    TimerEnded => "protocol 5.5 Effects, timer: neither lost nor doubled",
    /// A timer rings.
    TimerDue => "protocol 5.5 Effects, timer: neither lost nor doubled",
    /// Work outside is asked for only if an object wants it and it is not done.
    WorkKnown => "protocol 5.5 Effects, activity",
    /// Work outside is asked for at each start.
    WorkDue => "protocol 5.5 Effects, activity",
    /// News is told at most once, and only what a component named.
    PublishOnce => "protocol 5.5 Effects, publish",
    // Objects and their history.
    /// Entries of an object are numbered from 1 without gaps.
    EntryNumber => "protocol 5.5 History (600)",
    /// Each entry holds the hash of the one before.
    EntryChain => "protocol 5.5 History (601)",
    /// An entry says what was recorded.
    EntryFields => "protocol 5.5 History, CDDL entry",
    /// A revision names its entry, cause and parent, and has the bytes that were said.
    RevisionFields => "protocol 4 Header; 5.5 History (602-604)",
    /// A change without a component is a built-in action, with its arguments.
    BuiltIn => "protocol 5.5 Built-in actions",
    /// What was removed stays removed.
    RemovedStays => "protocol 5.5 row 7; 8",
    /// Only the home makes revisions.
    OneHome => "promise 2; protocol 4",
    // Moves.
    /// An object is offered only to whom its people move it, and as it is.
    MoveAsked => "protocol 5.6 A, at rest and leaving",
    /// Whether an object would be taken is answered as the page says, after the commit.
    WelcomeTrue => "protocol 5.6 B, `Ahead`",
    /// An object is sealed when its receiver has said yes and nothing is under way, as it is then.
    SealRight => "protocol 5.6 A, leaving; 4 Certificate",
    /// What moves with an object is what belongs to it.
    LuggageTrue => "protocol 5.6 Luggage",
    /// Nothing runs and nothing is recorded of an object that is sealed.
    SealedStill => "protocol 5.6 A, sealed",
    /// An object is told that it leaves, or that it has come, when it is so, and of its coming first.
    WordDue => "protocol 5.6, What it is told",
    /// A handoff is always the same, to its receiver.
    HandoffSame => "protocol 5.6 A, sealed; store, At the seal",
    /// A handoff has one answer, which is true; what was not welcome is not taken on.
    HandedOnce => "protocol 5.6 B, `Handoff`",
    /// At another home an object goes on where it was.
    MoveContinues => "protocol 5.6 B, accepts; A, reopens",
    /// `Moved` says where an object is, and is said by a former home.
    MovedTrue => "protocol 5.6 A, a replica",
    /// `Moved` is said only to who had something to do with the object.
    MovedAllowed => "protocol 5.6 A, a replica",
    /// What is sealed moves or is reopened.
    MoveDue => "protocol 5.6 A, sealed; B, `Handoff`",
    /// An act of what moved in says so.
    GuestSaid => "protocol 5.6 Rights of what moved in",
    // Sharing.
    /// What is shared is owed, and for a reason that allows it.
    ShareOwed => "protocol 5.2 (336-341)",
    /// What is shared is the newest revision.
    ShareNewest => "protocol 5.2 (342)",
    /// A parcel has the form that the page says, and its home's signature if it leaves another kernel.
    ParcelForm => "protocol 5.2 (309-312)",
    /// `stored` and `known` are said of what is on the disk.
    SharedDurable => "protocol 5.2 (327)",
    /// The answer to a share is that of sections 7 and 8.
    SharedAnswer => "protocol 5.2, 7 and 8",
    /// What is kept of a peer fits the tables of sections 7 and 8.
    Placed => "protocol 7 and 8",
    /// At most a window of shares is under way, and one of an object; what is not answered comes again after 10 s.
    ShareWindow => "protocol 5.2 (335, 344-345)",
    /// A share that came is answered.
    SharedDue => "protocol 5.2 (314)",
    /// What is owed arrives.
    ShareDue => "protocol 5.2; promise 10",
    /// A subscription is answered as the page says.
    FollowAnswer => "protocol 5.4",
    /// A subscription is answered.
    FollowDue => "protocol 5.4",
    /// A request or a pull is answered as the page says.
    AbsentCode => "protocol 5.3, 6.1",
    // Proofs.
    /// A receipt is of the action that was asked for, as it is recorded, and verifies.
    ReceiptTrue => "protocol 6.4",
    /// Entries that are sent are those of the object's history, in a row.
    EntriesTrue => "protocol 8 Later",
    // Clients.
    /// A client is told what came of its action, and nothing else.
    ClientOutcome => "local-api act; protocol 5.5 The origin (418, 431)",
    /// A command is refused with a code that the page has for it, and done where nothing forbids it.
    ClientCode => "local-api Errors",
    /// A client is answered.
    ClientDue => "promise 4",
    /// An accepted action has an outcome.
    OutcomeDue => "promise 4; protocol 12 An action",
}

/// Something that the page does not allow, or that it promises and that did not happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which check found it.
    pub check: Check,
    /// Where it is written.
    pub cite: &'static str,
    /// At which kernel.
    pub kernel: KernelId,
    /// When, in the time of the world.
    pub at_ms: u64,
    /// What is wrong, in words.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} ms, {}: {} ({}: {})",
            self.at_ms,
            self.kernel.short(),
            self.what,
            self.check.name(),
            self.cite
        )
    }
}

/// How often one check was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// With one answer that would have been right.
    pub exact: u64,
    /// With more than one.
    pub set: u64,
    /// It would have been its turn, and something that it needs was not seen.
    pub not_made: u64,
}

/// How often each check was made, and how sharply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    counts: Vec<Count>,
}

impl Default for Tally {
    fn default() -> Self {
        Self { counts: vec![Count::default(); Check::ALL.len()] }
    }
}

impl Tally {
    /// The count of one check.
    #[must_use]
    pub fn of(&self, check: Check) -> Count {
        self.counts.get(check as usize).copied().unwrap_or_default()
    }

    /// All counts, in the order of [`Check::ALL`].
    pub fn all(&self) -> impl Iterator<Item = (Check, Count)> + '_ {
        Check::ALL.iter().copied().zip(self.counts.iter().copied())
    }

    /// Checks that were not made at all.
    #[must_use]
    pub fn never(&self) -> Vec<Check> {
        self.all().filter(|(_, count)| count.exact + count.set == 0).map(|(check, _)| check).collect()
    }

    /// Of the checks that were made, how many in a thousand had one right answer.
    #[must_use]
    pub fn exact_permille(&self) -> u64 {
        let exact: u64 = self.counts.iter().map(|c| c.exact).sum();
        let all: u64 = self.counts.iter().map(|c| c.exact + c.set).sum();
        (exact * 1000).checked_div(all).unwrap_or(1000)
    }

    /// Adds what another run counted.
    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            mine.exact += theirs.exact;
            mine.set += theirs.set;
            mine.not_made += theirs.not_made;
        }
    }

    pub(crate) fn count(&mut self, check: Check, how: How) {
        if let Some(count) = self.counts.get_mut(check as usize) {
            match how {
                How::Exact => count.exact += 1,
                How::Set => count.set += 1,
                How::NotMade => count.not_made += 1,
            }
        }
    }
}

/// How sharp a check was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// One answer is right.
    Exact,
    /// Several answers are right.
    Set,
    /// It could not be made.
    NotMade,
}

impl How {
    /// Exact, unless the page leaves it open.
    pub(crate) const fn exact_if(exact: bool) -> Self {
        if exact { Self::Exact } else { Self::Set }
    }
}
