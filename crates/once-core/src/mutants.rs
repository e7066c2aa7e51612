//! Planted bugs, to prove that the simulator would find real ones. Off unless the feature `mutants` is on, and then
//! still off until a test plants one: without the feature `mutant!` is the constant `false`.
//!
//! To plant another: add a variant to `Mutant` with the promise that it breaks, ask `if mutant!(Name)` at the place
//! of the bug, and run `cargo run --release -p once-sim -- --mutants`.

/// Asks whether this bug is planted in the running thread.
macro_rules! mutant {
    ($name:ident) => {{
        #[cfg(feature = "mutants")]
        let planted = $crate::mutants::is_planted($crate::mutants::Mutant::$name);
        #[cfg(not(feature = "mutants"))]
        let planted = false;
        planted
    }};
}

#[cfg(feature = "mutants")]
pub use switch::{Mutant, is_planted, plant};

#[cfg(feature = "mutants")]
mod switch {
    use std::cell::Cell;

    macro_rules! mutants {
        ($($(#[doc = $doc:literal])* $name:ident breaks $promise:literal,)*) => {
            /// A bug that can be planted.
            #[derive(Debug, Clone, Copy, PartialEq, Eq)]
            pub enum Mutant { $($(#[doc = $doc])* $name,)* }

            impl Mutant {
                /// Every planted bug, in the order of this list.
                pub const ALL: &'static [Self] = &[$(Self::$name),*];

                /// The bug's name.
                #[must_use]
                pub const fn name(self) -> &'static str {
                    match self { $(Self::$name => stringify!($name)),* }
                }

                /// The promise (ARCHITECTURE.md, "Promises") that it breaks first.
                #[must_use]
                pub const fn promise(self) -> u8 {
                    match self { $(Self::$name => $promise),* }
                }
            }
        };
    }

    mutants! {
        /// Effects leave before the commit.
        AckBeforeCommit breaks 6,
        /// What happens is not written down in the event log.
        ForgetEvents breaks 4,
        /// The event log grows without end.
        KeepOldEvents breaks 9,
        /// A debt is forgotten when it is sent, not when it is answered.
        DropOutboxAtSend breaks 4,
        /// A debt is settled by an answer to an older revision.
        SettleByAnyAnswer breaks 4,
        /// A share may leave in the group that makes its revision.
        ShareBeforeSync breaks 6,
        /// A large share may leave before the debt by which its bytes may be pulled.
        AnnounceBeforeDebt breaks 6,
        /// A later revision takes the place of the head without a proof, and nothing is kept.
        ForgetReplaced breaks 4,
        /// A file that was imported before is laid over what happened since.
        ImportOver breaks 4,
        /// New heads do not wait for the disk.
        LazyHeads breaks 6,
        /// Debts do not wait for the disk.
        LazyDebts breaks 6,
        /// A right that was taken back may return after a crash.
        LazyRevoke breaks 6,
        /// Peers are told of commits that are not on disk.
        TellUnsyncedCommit breaks 6,
        /// A changed object keeps its revision.
        ReuseRevision breaks 2,
        /// Clients are not told of the answer to their share.
        ForgetDelivery breaks 4,
        /// An older revision replaces a newer one.
        AcceptOlder breaks 4,
        /// A revision that does not continue the chain replaces the head.
        ConflictOverwritesHead breaks 4,
        /// Conflicts are kept without bound.
        EndlessConflicts breaks 9,
        /// A replica may be changed where it is.
        ChangeReplica breaks 2,
        /// A chain may end in another home than that of the revision.
        LongerChain breaks 2,
        /// A third party's word is taken for the home's.
        SkipSignature breaks 2,
        /// The bytes are not compared with the hash.
        SkipContentHash breaks 1,
        /// A body goes although a conflict of the object has the same bytes.
        DropSharedBody breaks 1,
        /// The bytes of a revision that is kept go with the head.
        ForgetRevisionBody breaks 4,
        /// Whoever is a peer may read everything.
        SkipReadRight breaks 7,
        /// Whoever is a peer may share.
        SkipShareRight breaks 7,
        /// Whoever is a peer finds everything.
        FindWithoutRight breaks 7,
        /// Who may find an object, and not read it, learns by its content whether that fits.
        FindContentWithoutRead breaks 7,
        /// A page ends at its limit, and the next one begins one object later.
        FindSkipsObject breaks 4,
        /// The index is not told of an object that has another name.
        FindStaleIndex breaks 4,
        /// Bytes are given by hash to any peer.
        PullWithoutRight breaks 7,
        /// A peer is told that an object is there which it may not read.
        SayWhyNot breaks 7,
        /// A grant never ends.
        GrantNeverExpires breaks 7,
        /// An invite admits again and again.
        InviteTwice breaks 7,
        /// An invite admits after its end.
        InviteNeverExpires breaks 7,
        /// Rights survive the removal of their peer.
        RemovePeerLeavesGrants breaks 7,
        /// Who lost the right to read is still sent what it followed.
        RevokedFollowerServed breaks 7,
        /// A debt is paid with whatever is the newest revision.
        DebtWithoutLimit breaks 7,
        /// What peers store is not counted.
        ForgetQuota breaks 9,
        /// The window has no end.
        EndlessWindow breaks 9,
        /// Each share sets a timer of its own.
        TimerFlood breaks 9,
        /// Whoever is a peer may act.
        SkipActRight breaks 7,
        /// The lane's mark stays where it is.
        ForgetMark breaks 3,
        /// After a start, a lane's mark is where its row was written.
        ForgetMarksSince breaks 4,
        /// An action that ran on an older state is committed.
        RunOnStaleState breaks 3,
        /// An accepted action does not wait for the disk.
        LazyQueue breaks 4,
        /// A result is dropped before the origin has it.
        ForgetResult breaks 4,
        /// Results are dropped with what was asked, whether the origin has them or not.
        DropResultsEarly breaks 4,
        /// An action that was refused without a record blocks its lane.
        ForgetFloor breaks 4,
        /// One id may be used for two actions.
        IdForTwo breaks 3,
        /// What follows from an action is forgotten.
        ForgetEffects breaks 4,
        /// Whoever waits for an outcome is not told.
        ForgetCallback breaks 4,
        /// An answer that no program here can take is refused for ever.
        RefuseAnswer breaks 4,
        /// A timer rings twice.
        TimerTwice breaks 3,
        /// A lane is always full.
        FullOutbox breaks 4,
        /// A void is sent as the action that it takes back.
        ForgetVoid breaks 3,
        /// Whoever knows the hash of a scenario may have it read here.
        GivenWithoutRight breaks 7,
        /// The history of an object does not hold together.
        BrokenLedger breaks 8,
        /// An id may be used again when its result was dropped.
        NoFloor breaks 3,
        /// An object may act where only another one may.
        SkipObjectRight breaks 7,
        /// Subscriptions are not repeated at hello.
        FollowOnce breaks 10,
        /// A new connection does not send what the old one left unanswered.
        ForgetUnanswered breaks 10,
        /// A claimed object leaves the followers of its unclaimed copy behind.
        ClaimLosesFollowers breaks 10,
        /// An entry that made no revision is taken for a proof that a replaced head is a fork.
        ForkTooSoon breaks 8,
        /// A head makes room for whoever replaces it, whoever it was charged to.
        QuotaOfOthers breaks 9,
        /// What a client shares of that which is followed is owed as if nobody had promised it.
        ForgetPromise breaks 4,
        /// Each engine of a process counts its runs from the beginning.
        RunNumbersAgain breaks 3,
        /// Invites outlive the life in which they were made.
        InvitesSurvive breaks 7,
        /// Work outside is asked for again although its object is gone.
        WorkOfNobody breaks 3,
        /// What is to begin anew when it is through ends.
        ForgetAgain breaks 10,
        /// What comes back before the answer to its handoff is sealed where it lives.
        ComesBackSealed breaks 2,
        /// What waits of a peer goes on waiting when it is a peer no longer.
        RemovedWaits breaks 10,
        /// A receipt of what was recorded before an object moved on goes with the chain of today.
        ReceiptOfToday breaks 4,
        /// What a peer was owed because it followed is sent to it when it follows no longer.
        UnfollowedServed breaks 7,
        /// Who unfollows an object by the name of its copy goes on following it.
        UnfollowByName breaks 7,
        /// A claim puts the grants on the copy in the place of those on the object.
        ClaimOverGrants breaks 4,
        /// News and timers that are ended do not count among the effects.
        UncountedEffects breaks 3,
        /// An object that moves leaves the outcomes behind that its origins may not have.
        MoveWithoutResults breaks 4,
        /// An object that moves leaves its lanes behind.
        MoveWithoutLanes breaks 3,
        /// An object has moved as soon as it is handed over.
        MoveUnaccepted breaks 2,
        /// What goes along is put together anew for each time that it is said.
        LuggageAnew breaks 2,
        /// Whoever knows its hash may pull what belongs to an object that moves.
        LuggageForAll breaks 7,
        /// A sealed object is its home's again after a while.
        UnsealByTimer breaks 2,
        /// Rights on an object stay at its former home.
        MoveLeavesGrants breaks 7,
        /// What is kept beside an object comes along, and is forgotten.
        ForgetBeside breaks 4,
        /// What is kept beside an object goes along, and stays.
        BesideAtBoth breaks 2,
        /// A timer goes along and stays.
        TimerAtBoth breaks 3,
        /// An object is sealed while it waits for an outcome.
        SealUnderWay breaks 4,
        /// A replica goes on naming the home before the one that the newest certificate names.
        HeadOfFormerHome breaks 10,
        /// An object is taken although nobody here has its component, and its home has it.
        TakeWhatNobodyReads breaks 4,
        /// Every object that moves is said to be a plain record.
        AllAreRecords breaks 4,
        /// Whoever is a peer may move objects here.
        SkipHostRight breaks 7,
        /// The names of who has to do with an object that moves in are not written down.
        ForgetAcquaintances breaks 10,
        /// Who has to do with an object is not owed the news of where it is.
        ForgetNews breaks 10,
        /// A sealed object is its home's again as soon as people want it back.
        UnsealByWish breaks 2,
        /// A handoff leaves before its seal is on the disk.
        LazySeal breaks 6,
        /// The acts of a guest do not say that it is one.
        GuestAsHost breaks 7,
        /// A guest may do what the kernel may that it lives on.
        GuestByHost breaks 7,
        /// Who has a right on an object that moves in is not let in for it.
        NoVisitors breaks 10,
        /// A visitor stays one when it has no right any more.
        VisitorStays breaks 7,
        /// A kernel that people removed comes back as a visitor.
        RemovedComesBack breaks 7,
        /// A call that an object does not wait for any more is told of at its former home, too.
        LeftCallAtBoth breaks 3,
        /// An object is not told that a call was left behind.
        ForgetLeftCalls breaks 4,
        /// An object is not asked before it leaves.
        LeaveUnasked breaks 4,
        /// That an object was told that it leaves is not written down.
        ForgetLeaving breaks 4,
        /// An object leaves, although its component says no.
        LeaveUnwilling breaks 4,
        /// Why an object stays that wanted to move is not written down.
        ForgetStay breaks 4,
        /// A kernel follows what others ask it to, whoever asks.
        FollowsForAnybody breaks 7,
        /// An archive is given away when it is sent, not when it is answered.
        ArchiveForgottenAtSend breaks 4,
        /// Of a page of an archive only the first entry is kept.
        ArchiveKeepsTheFirst breaks 4,
        /// A timer that ends, or is replaced, leaves behind that it is due.
        EndLeavesDue breaks 3,
        /// Who only followed an object that has left is not remembered.
        ForgetWhoFollowed breaks 10,
        /// An object that goes back to where it came from is not followed there anew.
        FollowOnlyOnce breaks 10,
        /// A tombstone takes away the heads that nobody has proven, too.
        BuryUnproven breaks 8,
        /// That a right to follow has ended is said under one of two names.
        EndByOneName breaks 4,
        /// What a removed kernel was no longer followed for stays.
        UnfollowStays breaks 9,
        /// Who is refused with an object may still hand it over.
        WelcomeStays breaks 9,
        /// At a start the newest row of the event log does not count.
        NewestUncounted breaks 9,
        /// A sealed object was not told that it leaves, once its kernel has begun anew.
        ToldUntilTheStart breaks 4,
        /// The chain of a guest is shown on the first connection only.
        GuestShownOnce breaks 7,
    }

    thread_local! {
        static PLANTED: Cell<Option<Mutant>> = const { Cell::new(None) };
    }

    /// Plants a bug in this thread, or none.
    pub fn plant(mutant: Option<Mutant>) {
        PLANTED.set(mutant);
    }

    /// Whether the bug is planted in this thread.
    #[must_use]
    pub fn is_planted(mutant: Mutant) -> bool {
        PLANTED.get() == Some(mutant)
    }
}
