//! What a run met: every fault, input, effect, frame, answer and refusal has a name here, and what no seed met is
//! reported.

use std::collections::BTreeSet;

use once_core::Refusal;
use once_core::waist::{Answer, Change, Command, Effect, Event, Input, LinkEvent, Timer, Why};
use once_model::action::Outcome;
use once_model::wire::{Code, Frame, ShareAnswer};

/// The names that were met.
#[derive(Debug, Clone, Default)]
pub struct Coverage(BTreeSet<&'static str>);

impl Coverage {
    /// Notes a name.
    pub fn met(&mut self, name: &'static str) {
        self.0.insert(name);
    }

    /// Adds what another run met.
    pub fn add(&mut self, other: &Self) {
        self.0.extend(&other.0);
    }

    /// What should have been met and was not.
    #[must_use]
    pub fn never_reached(&self) -> Vec<&'static str> {
        EXPECTED.iter().copied().filter(|name| !self.0.contains(name)).collect()
    }

    /// What was met without being expected: a name that is missing in the list below.
    #[must_use]
    pub fn unexpected(&self) -> Vec<&'static str> {
        self.0.iter().copied().filter(|name| !EXPECTED.contains(name) && !RARE.contains(name)).collect()
    }
}

/// What one seed in some thousand meets.
const RARE: &[&str] = &[
    "event LaneForked",
    "outcome Refused for another reason",
    "refusal InviteUsed",
    "refusal TooManyConflicts",
    "refusal NoBytes",
    "refusal NoQuarantine",
    "refusal EarlierLife",
    "refusal NotHeard",
];

/// What 2,000 seeds must meet. Left out are `Refusal::Stopping` and `Code::Stopping`: only the
/// shell says them.
#[rustfmt::skip]
pub const EXPECTED: &[&str] = &[
    "fault loss", "fault duplicate", "fault reorder", "fault delay", "fault dropped connection", "fault partition",
    "fault one-way partition", "fault crash", "fault crash loses unsynced writes", "fault crash during the sync",
    "fault crash between commit and effects", "fault disk full", "fault disk low", "fault failed sync",
    "fault failed read", "fault failed read at a start", "fault disk fills by bytes", "fault disk full to the last byte",
    "state start waits for room", "fault reconnect storm",
    "fault clock jump", "fault clock off", "fault address changed", "fault backup put back",
    "input Command", "input Frame", "input Arrived Shared", "input Arrived Asked", "input Arrived Offered", "input Unfit",
    "input Link Up dialled", "input Link Up accepted", "input Link Moved", "input Link Down", "input Link DialFailed", "input Disk",
    "input NetworkChanged",
    "timer Redial", "timer Hello", "timer Resend", "timer Pump", "timer Expiry", "timer Chores",
    "timer Progress", "command EndQuarantine", "refusal Quarantined",
    "command Import", "command Put", "command Create", "command Claim", "command Remove", "command Share",
    "command Keep", "command Discard", "answer Object ClaimedAndChanged", "answer Object KeptBeside",
    "answer Object Resolved", "answer Object BesideTombstone", "refusal NotClaimed", "refusal NoConflict", "refusal NoRevision",
    "state file kept beside", "frame EntriesOf", "frame Entries", "frame ReceiptOf", "state head kept for a proof", "state proof came",
    "command Act", "command Follow", "command Unfollow", "command Invite", "command Join", "command AddPeer",
    "command ChangePeer", "command RemovePeer", "command Grant", "command Revoke", "command Dial",
    "effect Reply", "effect Send", "effect Send before the commit", "effect Dial", "effect Close", "effect Pull",
    "effect Timer", "effect Event", "effect Run", "input Ran",
    "event Acted", "event Outcome", "frame Act", "frame Outcome", "frame Missing", "answer Accepted",
    "answer Acted", "refusal IdReused", "refusal BadId", "refusal IdAhead", "refusal BadAction", "refusal NoHome",
    "refusal AskedElsewhere",
    "outcome Done", "outcome Failed", "outcome Refused Denied", "outcome Refused NoComponent",
    "outcome Refused TooLarge", "outcome Refused Expired", "outcome Refused Cancelled",
    "outcome Refused Lacking", "command Cancel", "input Worked", "timer Given", "timer Due", "effect Work",
    "command Standing", "answer Standing", "command Drop", "command GiveUp", "refusal NotOwed", "state answer given up", "frame Need", "event Published", "refusal NoAction", "refusal IdTooOld", "state coins counted",
    "state action asked", "state action repeated", "state action put off", "state run given up", "input Ready",
    "event Changed", "event Dropped", "event Delivered", "event FollowDenied", "event Connected",
    "event Quarantined", "event Disconnected",
    "frame Hello", "frame Admitted", "frame Denied", "frame Share", "frame Shared", "frame Request",
    "frame Found", "frame Absent", "frame Follow", "frame Unfollow", "frame Following", "frame Pull",
    "frame Body", "frame Reconcile", "frame Want", "frame Give", "frame Given", "frame Offer", "frame Kept", "frame Find", "frame Findings",
    "state search ended", "state search of several pages", "state search with an index", "state search met a change", "right to find",
    "answer Object New", "answer Object Same", "answer Object Changed", "answer Object Beside",
    "answer Object Claimed", "answer Object Removed", "answer Object Dropped", "answer Owed",
    "answer Delivered", "answer Kept", "answer Joined", "answer Done",
    "refusal NoObject", "refusal Removed", "refusal NotHome", "refusal Stale", "refusal OtherUuid",
    "refusal NotFollowed", "refusal NoGrant", "refusal NoPeer", "refusal BeingRemoved", "refusal OnlyForObjects", "refusal Denied", "refusal Myself",
    "refusal TooManyPeers", "refusal Unsigned", "refusal OutboxFull", "refusal DiskFull", "refusal NameTooLong",
    "refusal NameTaken", "refusal BadName", "event Came", "command RevokeInvite", "command AcceptClock",
    "refusal NoInvite",
    "share Stored", "share Known", "share Conflict", "share Refused Denied", "share Refused Quota",
    "share Refused Busy", "share Refused DiskFull", "share Refused Invalid", "share Refused TooLarge",
    "code Denied", "code Quarantined", "frame Progress", "code Ambiguous", "code Unsupported", "code Busy",
    "state two claims side by side", "state unclaimed copy became a replica", "state conflict kept",
    "state conflicts full", "state conflict moved", "state conflict not kept but counted", "state tombstone at a replica",
    "state simultaneous dial", "state superseded connection", "state mailbox full", "state stranger denied",
    "state stranger's frame dropped", "state invite reused", "state invite expired", "state frame too large",
    "state frame malformed", "state relayed revision verified", "state body pulled", "state pull resumed",
    "state pull broke", "state exchange finished", "state exchange broke", "state exchange refused",
    "state full window", "state outbox full", "state lane full at its origin", "state quota reached", "state group of many inputs", "state one UUID in two files",
    "state invalid scenario", "fault damaged row", "fault body lost", "event Parked", "refusal Damaged", "state engine thrown away", "fault engine begins anew in its process", "state peer removed while connected",
    "state peer removed in slices", "state new life in slices", "state removal goes on after a crash",
    "state revoked while followed", "state re-import is a put", "state unanswered client after a crash",
    "right to act on the kernel", "right to act on a component", "right to act on an object",
    "right to act by a list of names", "right to act for a while", "right to act of an object",
    "right to act of a hostile kernel", "right to act on some actions taken back", "right given again at once", "fault crash in a chore", "share through another kernel, whose quota is used up", "rights on a copy and on what it has become", "change while followers are told of the one before", "share of what is followed",
    "state hostile kernel acted by right", "refusal TooManyActions", "refusal WholeGrant",
    "command Move", "command WouldMove", "answer Welcome", "state record moved as what it is", "frame Welcome NoComponent", "command Stay", "timer Leaving", "event Moved", "event MovedIn", "frame Ahead", "frame Welcome",
    "frame Handoff", "frame Handed", "frame Moved", "frame Heard", "frame Withdraw", "frame Guest", "state guest acted by its own right", "state guest made an object", "answer Moved", "refusal Leaving", "refusal NotLeaving",
    "refusal HandsOver", "refusal Unmoved", "state object moved", "state object sealed at a crash",
    "state handoff refused and reopened", "state call left behind", "state moved without its home", "state object told that it has come", "state object did not want to leave", "state arrival waits", "state object told that it stays", "state object stays and nobody was told", "state object goes by itself", "input Luggage", "state luggage pulled", "state luggage asked for by others",
    "state pull of luggage broke", "state object moved on", "state object moved back", "state came back before its going was heard of",
    "state visitor let in", "state visitor admitted", "state visit over", "state host gone to",
    "state right of a removed kernel moved in", "state right beyond objects refused to a visitor",
    "state beginning of a chain known", "state beginning of a chain pulled",
    "command Archive", "command Receipted", "frame Archive", "frame Archived", "answer Archived", "refusal NotConnected", "refusal NotArchived",
    "state entry of a former home kept", "command FollowInstead", "frame FollowInstead", "frame FollowedInstead",
    "refusal NotFollowedInstead", "state followed in place of another",
    "format A", "format B", "format C", "format D", "format E", "format F", "format other",
];

/// The name of an input.
#[must_use]
pub fn input(input: &Input) -> &'static str {
    match input {
        Input::Command { .. } => "input Command",
        Input::Frame { .. } => "input Frame",
        Input::Arrived { why: Why::Shared { .. }, .. } => "input Arrived Shared",
        Input::Arrived { why: Why::Asked { .. }, .. } => "input Arrived Asked",
        Input::Arrived { why: Why::Offered { .. }, .. } => "input Arrived Offered",
        Input::Link { event: LinkEvent::Up { dialled: true, .. }, .. } => "input Link Up dialled",
        Input::Link { event: LinkEvent::Up { dialled: false, .. }, .. } => "input Link Up accepted",
        Input::Link { event: LinkEvent::Moved { .. }, .. } => "input Link Moved",
        Input::Link { event: LinkEvent::Down { .. }, .. } => "input Link Down",
        Input::Link { event: LinkEvent::DialFailed { .. }, .. } => "input Link DialFailed",
        Input::Timer(Timer::Redial(..)) => "timer Redial",
        Input::Timer(Timer::Hello(..)) => "timer Hello",
        Input::Timer(Timer::Resend(..)) => "timer Resend",
        Input::Timer(Timer::Pump(_)) => "timer Pump",
        Input::Ran(_) => "input Ran",
        Input::Worked { .. } => "input Worked",
        Input::Ready { .. } => "input Ready",
        Input::Timer(Timer::Given) => "timer Given",
        Input::Timer(Timer::Due(_)) => "timer Due",
        Input::Timer(Timer::Progress) => "timer Progress",
        Input::Timer(Timer::Expiry(_)) => "timer Expiry",
        Input::Timer(Timer::Chores) => "timer Chores",
        Input::Timer(Timer::Leaving) => "timer Leaving",
        Input::Unfit { .. } => "input Unfit",
        Input::Luggage { .. } => "input Luggage",
        Input::NetworkChanged => "input NetworkChanged",
        Input::Disk { .. } => "input Disk",
    }
}

/// The name of a command.
#[must_use]
pub fn command(command: &Command) -> &'static str {
    match command {
        Command::Import { .. } => "command Import",
        Command::Put { .. } => "command Put",
        Command::Create { .. } => "command Create",
        Command::Claim { .. } => "command Claim",
        Command::Remove { .. } => "command Remove",
        Command::Keep { .. } => "command Keep",
        Command::Discard { .. } => "command Discard",
        Command::Share { .. } => "command Share",
        Command::Act { .. } => "command Act",
        Command::Cancel { .. } => "command Cancel",
        Command::Drop { .. } => "command Drop",
        Command::GiveUp { .. } => "command GiveUp",
        Command::Move { .. } => "command Move",
        Command::Stay { .. } => "command Stay",
        Command::WouldMove { .. } => "command WouldMove",
        Command::Archive { .. } => "command Archive",
        Command::FollowInstead { .. } => "command FollowInstead",
        Command::Receipted { .. } => "command Receipted",
        Command::Standing => "command Standing",
        Command::Follow { .. } => "command Follow",
        Command::Unfollow { .. } => "command Unfollow",
        Command::Invite { .. } => "command Invite",
        Command::Join { .. } => "command Join",
        Command::AddPeer { .. } => "command AddPeer",
        Command::ChangePeer { .. } => "command ChangePeer",
        Command::RemovePeer { .. } => "command RemovePeer",
        Command::RevokeInvite { .. } => "command RevokeInvite",
        Command::EndQuarantine { .. } => "command EndQuarantine",
        Command::AcceptClock => "command AcceptClock",
        Command::Grant(_) => "command Grant",
        Command::Revoke(_) => "command Revoke",
        Command::Dial { .. } => "command Dial",
        _ => "command of a later version",
    }
}

/// The name of an effect.
#[must_use]
pub fn effect(effect: &Effect) -> &'static str {
    match effect {
        Effect::Reply { .. } => "effect Reply",
        Effect::Told { .. } => "effect Told",
        Effect::Send { .. } => "effect Send",
        Effect::Dial { .. } => "effect Dial",
        Effect::Close { .. } => "effect Close",
        Effect::Pull { .. } => "effect Pull",
        Effect::Run(_) => "effect Run",
        Effect::Work(_) => "effect Work",
        Effect::Timer { .. } => "effect Timer",
        Effect::Event(_) => "effect Event",
    }
}

/// The name of an event for clients.
#[must_use]
pub fn event(event: &Event) -> &'static str {
    match event {
        Event::Changed { .. } => "event Changed",
        Event::Dropped { .. } => "event Dropped",
        Event::Delivered { .. } => "event Delivered",
        Event::FollowDenied { .. } => "event FollowDenied",
        Event::Came { .. } => "event Came",
        Event::Quarantined { .. } => "event Quarantined",
        Event::Connected { .. } => "event Connected",
        Event::Acted { .. } => "event Acted",
        Event::Outcome { .. } => "event Outcome",
        Event::LaneForked { .. } => "event LaneForked",
        Event::Published { .. } => "event Published",
        Event::Parked { .. } => "event Parked",
        Event::Disconnected { .. } => "event Disconnected",
        Event::Moved { .. } => "event Moved",
        Event::MovedIn { .. } => "event MovedIn",
        _ => "event of a later version",
    }
}

/// The name of a frame.
#[must_use]
pub fn frame(frame: &Frame) -> &'static str {
    match frame {
        Frame::Hello(_) => "frame Hello",
        Frame::Admitted(_) => "frame Admitted",
        Frame::Denied(_) => "frame Denied",
        Frame::Share(_) => "frame Share",
        Frame::Progress(_) => "frame Progress",
        Frame::Shared(_) => "frame Shared",
        Frame::Request(_) => "frame Request",
        Frame::Found(_) => "frame Found",
        Frame::Absent(_) => "frame Absent",
        Frame::Follow(_) => "frame Follow",
        Frame::Unfollow(_) => "frame Unfollow",
        Frame::Following(_) => "frame Following",
        Frame::Alive => "frame Alive",
        Frame::Pull(_) => "frame Pull",
        Frame::Body(_) => "frame Body",
        Frame::Reconcile(_) => "frame Reconcile",
        Frame::Want(_) => "frame Want",
        Frame::Give(_) => "frame Give",
        Frame::Given(_) => "frame Given",
        Frame::Offer(_) => "frame Offer",
        Frame::Kept(_) => "frame Kept",
        Frame::Act(_) => "frame Act",
        Frame::Outcome(_) => "frame Outcome",
        Frame::Missing(_) => "frame Missing",
        Frame::Need(_) => "frame Need",
        Frame::EntriesOf(_) => "frame EntriesOf",
        Frame::Entries(_) => "frame Entries",
        Frame::Ahead(_) => "frame Ahead",
        Frame::Welcome(said) if said.code == Some(Code::NoComponent) => "frame Welcome NoComponent",
        Frame::Welcome(_) => "frame Welcome",
        Frame::Handoff(_) => "frame Handoff",
        Frame::Handed(_) => "frame Handed",
        Frame::Moved(_) => "frame Moved",
        Frame::Guest(_) => "frame Guest",
        Frame::Heard(_) => "frame Heard",
        Frame::Withdraw(_) => "frame Withdraw",
        Frame::Archive(_) => "frame Archive",
        Frame::FollowInstead(_) => "frame FollowInstead",
        Frame::FollowedInstead(_) => "frame FollowedInstead",
        Frame::Archived(_) => "frame Archived",
        Frame::Find(_) => "frame Find",
        Frame::Findings(_) => "frame Findings",
        _ => "frame of a later version",
    }
}

/// The name of a reply.
#[must_use]
pub fn reply(reply: &Result<Answer, Refusal>) -> &'static str {
    match reply {
        Ok(Answer::Object { change, .. }) => match change {
            Change::New => "answer Object New",
            Change::Same => "answer Object Same",
            Change::Changed => "answer Object Changed",
            Change::Beside => "answer Object Beside",
            Change::Claimed => "answer Object Claimed",
            Change::Removed => "answer Object Removed",
            Change::Dropped => "answer Object Dropped",
            Change::ClaimedAndChanged => "answer Object ClaimedAndChanged",
            Change::KeptBeside => "answer Object KeptBeside",
            Change::Resolved => "answer Object Resolved",
            Change::BesideTombstone => "answer Object BesideTombstone",
        },
        Ok(Answer::Owed) => "answer Owed",
        Ok(Answer::Delivered(_)) => "answer Delivered",
        Ok(Answer::Kept(_)) => "answer Kept",
        Ok(Answer::Joined { .. }) => "answer Joined",
        Ok(Answer::Accepted) => "answer Accepted",
        Ok(Answer::Acted { .. }) => "answer Acted",
        Ok(Answer::Done) => "answer Done",
        Ok(Answer::Standing { .. }) => "answer Standing",
        Ok(Answer::Moved { .. }) => "answer Moved",
        Ok(Answer::Archived { .. }) => "answer Archived",
        Ok(Answer::Welcome) => "answer Welcome",
        Ok(_) => "answer of a later version",
        Err(refusal) => self::refusal(refusal),
    }
}

fn refusal(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::NoObject(_) => "refusal NoObject",
        Refusal::Removed(_) => "refusal Removed",
        Refusal::NotHome { .. } => "refusal NotHome",
        Refusal::Stale { .. } => "refusal Stale",
        Refusal::NotClaimed(_) => "refusal NotClaimed",
        Refusal::NoConflict { .. } => "refusal NoConflict",
        Refusal::NoRevision { .. } => "refusal NoRevision",
        Refusal::NoBytes { .. } => "refusal NoBytes",
        Refusal::TooManyConflicts(_) => "refusal TooManyConflicts",
        Refusal::OtherUuid { .. } => "refusal OtherUuid",
        Refusal::NotFollowed { .. } => "refusal NotFollowed",
        Refusal::NoGrant { .. } => "refusal NoGrant",
        Refusal::WholeGrant { .. } => "refusal WholeGrant",
        Refusal::TooManyActions(_) => "refusal TooManyActions",
        Refusal::NoPeer(_) => "refusal NoPeer",
        Refusal::OnlyForObjects(_) => "refusal OnlyForObjects",
        Refusal::BeingRemoved(_) => "refusal BeingRemoved",
        Refusal::Damaged(_) => "refusal Damaged",
        Refusal::Denied(_) => "refusal Denied",
        Refusal::Myself => "refusal Myself",
        Refusal::TooManyPeers(_) => "refusal TooManyPeers",
        Refusal::Unsigned(_) => "refusal Unsigned",
        Refusal::OutboxFull { .. } => "refusal OutboxFull",
        Refusal::NotOwed { .. } => "refusal NotOwed",
        Refusal::DiskFull { .. } => "refusal DiskFull",
        Refusal::NameTooLong { .. } => "refusal NameTooLong",
        Refusal::IdReused { .. } => "refusal IdReused",
        Refusal::BadId { .. } => "refusal BadId",
        Refusal::IdAhead { .. } => "refusal IdAhead",
        Refusal::IdTooOld { .. } => "refusal IdTooOld",
        Refusal::NoAction(_) => "refusal NoAction",
        Refusal::BadAction { .. } => "refusal BadAction",
        Refusal::NoHome(_) => "refusal NoHome",
        Refusal::AskedElsewhere { .. } => "refusal AskedElsewhere",
        Refusal::NameTaken(_) => "refusal NameTaken",
        Refusal::BadName { .. } => "refusal BadName",
        Refusal::Quarantined => "refusal Quarantined",
        Refusal::NoQuarantine => "refusal NoQuarantine",
        Refusal::NotHeard(_) => "refusal NotHeard",
        Refusal::EarlierLife(_) => "refusal EarlierLife",
        Refusal::NoInvite => "refusal NoInvite",
        Refusal::InviteUsed(_) => "refusal InviteUsed",
        Refusal::Leaving(_) | Refusal::Arriving(_) => "refusal Leaving",
        Refusal::NotLeaving(_) => "refusal NotLeaving",
        Refusal::HandsOver { .. } => "refusal HandsOver",
        Refusal::Unmoved { .. } => "refusal Unmoved",
        Refusal::NotConnected(_) => "refusal NotConnected",
        Refusal::NotArchived { .. } => "refusal NotArchived",
        Refusal::NotFollowedInstead { .. } => "refusal NotFollowedInstead",
        _ => "refusal of a later version",
    }
}

/// The name of what came of an action.
#[must_use]
pub fn outcome(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Done(_) => "outcome Done",
        Outcome::Failed(_) => "outcome Failed",
        Outcome::Refused(Code::Denied) => "outcome Refused Denied",
        Outcome::Refused(Code::NoComponent) => "outcome Refused NoComponent",
        Outcome::Refused(Code::Expired) => "outcome Refused Expired",
        Outcome::Refused(Code::Cancelled) => "outcome Refused Cancelled",
        Outcome::Refused(Code::Lacking) => "outcome Refused Lacking",
        Outcome::Refused(Code::TooLarge) => "outcome Refused TooLarge",
        Outcome::Refused(_) => "outcome Refused for another reason",
    }
}

/// The name of an answer to a share.
#[must_use]
pub fn share(answer: ShareAnswer) -> &'static str {
    match answer {
        ShareAnswer::Stored => "share Stored",
        ShareAnswer::Known => "share Known",
        ShareAnswer::Conflict => "share Conflict",
        ShareAnswer::Refused(Code::Denied) => "share Refused Denied",
        ShareAnswer::Refused(Code::Quota) => "share Refused Quota",
        ShareAnswer::Refused(Code::Busy) => "share Refused Busy",
        ShareAnswer::Refused(Code::DiskFull) => "share Refused DiskFull",
        ShareAnswer::Refused(Code::Invalid) => "share Refused Invalid",
        ShareAnswer::Refused(Code::TooLarge) => "share Refused TooLarge",
        ShareAnswer::Refused(_) => "share Refused for another reason",
    }
}

/// The name of a code, as far as a connection or a request ends with it.
#[must_use]
pub fn code(code: Code) -> &'static str {
    match code {
        Code::Denied => "code Denied",
        Code::Ambiguous => "code Ambiguous",
        Code::Unsupported => "code Unsupported",
        Code::Busy => "code Busy",
        Code::Quarantined => "code Quarantined",
        _ => "code of another kind",
    }
}
