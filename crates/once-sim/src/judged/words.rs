//! The engine's words in those of the judge: commands, refusals, answers, what components say.

use once_core::Refusal;
use once_core::access::{self, Right, Scope};
use once_core::waist::{Answer, Command, Consequence, RunResult, Then};
use once_judge::seen::{self, Ask, AskAct, Effect, Grant, Grantee, Reply, Said, State};
use once_model::scenario::{Identity, Scenario};
use once_model::wire::Code;

/// A scenario as the judge sees one.
pub(super) fn state(scenario: &Scenario) -> State {
    State {
        uuid: scenario.uuid(),
        derived: matches!(scenario.identity(), Identity::Derived),
        content: scenario.hash(),
        size: scenario.bytes().len() as u64,
        component: scenario.component().unwrap_or_default().to_owned(),
    }
}

pub(super) fn grant(grant: &access::Grant) -> Grant {
    Grant {
        to: grant.object.map_or(Grantee::Kernel(grant.kernel), Grantee::Object),
        home: grant.object.map(|_| grant.kernel),
        right: match grant.right {
            Right::Share => seen::Right::Share,
            Right::Read => seen::Right::Read,
            Right::Act => seen::Right::Act,
            Right::Host => seen::Right::Host,
            Right::Find => seen::Right::Find,
        },
        scope: match &grant.scope {
            Scope::Kernel => seen::Scope::All,
            Scope::Component(name) => seen::Scope::Component(name.clone()),
            Scope::Object(key) => seen::Scope::Object(*key),
        },
        expires_ms: grant.expires_ms,
        actions: grant.actions.clone(),
    }
}

/// A command; none, if it is one that the judge does not look at.
pub(super) fn ask(command: &Command) -> Option<Ask> {
    Some(match command {
        Command::Import { scenario, .. } => Ask::Import(state(scenario)),
        Command::Put { key, base, scenario } => Ask::Put { key: *key, state: state(scenario), base: *base },
        Command::Create { scenario } => Ask::Create(state(scenario)),
        Command::Claim { key } => Ask::Claim(*key),
        Command::Remove { key } => Ask::Remove(*key),
        Command::Keep { key, revision } => Ask::Keep { key: *key, revision: *revision },
        Command::Discard { key, revision } => Ask::Drop { key: *key, revision: *revision },
        Command::Share { key, to, .. } => Ask::Share { key: *key, to: *to },
        Command::Act { key, at, action, deadline_ms, wait } => Ask::Act(Box::new(AskAct {
            id: action.id,
            object: *key,
            home: *at,
            name: action.name.clone(),
            arguments: action.arguments.to_vec(),
            given: action.given.clone(),
            deadline_ms: *deadline_ms,
            wait: *wait,
        })),
        Command::Cancel { id, .. } => Ask::Cancel(*id),
        Command::Drop { id, .. } => Ask::OutboxDrop(*id),
        Command::GiveUp { peer, key } => Ask::GiveUp { key: *key, to: *peer },
        Command::Follow { key, from } => Ask::Follow { key: *key, from: *from },
        Command::Unfollow { key, from } => Ask::Unfollow { key: *key, from: *from },
        Command::Invite { expires_ms, secret_hash, .. } => {
            Ask::Invite { hash: *secret_hash, expires_ms: *expires_ms }
        }
        Command::RevokeInvite { secret_hash } => Ask::InviteRevoke(*secret_hash),
        Command::EndQuarantine { without } => Ask::QuarantineEnd { without: without.clone() },
        Command::Move { key, to, leave_calls, .. } => {
            Ask::Move { key: *key, to: *to, leaves_calls: *leave_calls }
        }
        Command::WouldMove { key, to } => Ask::WouldMove { key: *key, to: *to },
        Command::Stay { key } => Ask::Stay(*key),
        Command::AcceptClock => Ask::ClockAccept,
        Command::Join { peer, .. } => Ask::Join(*peer),
        Command::AddPeer { peer, .. } => Ask::PeerAdd(*peer),
        Command::RemovePeer { peer } => Ask::PeerRemove(*peer),
        Command::Grant(given) => Ask::Grant(grant(given)),
        Command::Revoke(taken) => Ask::Revoke(grant(taken)),
        _ => return None,
    })
}

/// Why a command was refused (`docs/local-api.md`, Errors).
pub(super) fn refusal(refusal: &Refusal) -> seen::Refusal {
    use seen::Refusal as R;
    match refusal {
        Refusal::NoObject(_)
        | Refusal::NoPeer(_)
        | Refusal::NotFollowed { .. }
        | Refusal::NoHome(_)
        | Refusal::NoAction(_)
        | Refusal::NoInvite
        | Refusal::NotOwed { .. }
        | Refusal::NoGrant { .. }
        | Refusal::NoConflict { .. }
        | Refusal::NoRevision { .. } => R::NotFound,
        Refusal::AskedElsewhere { .. } => R::Ambiguous,
        Refusal::Removed(_) => R::Removed,
        Refusal::NotHome { .. } => R::NotHome,
        Refusal::NotClaimed(_) => R::Unclaimed,
        Refusal::TooManyConflicts(_)
        | Refusal::OutboxFull { .. }
        | Refusal::TooManyPeers(_)
        | Refusal::TooManyActions(_) => R::Quota,
        Refusal::Stale { .. } => R::Stale,
        Refusal::Denied(_) => R::Denied,
        Refusal::IdReused { .. } => R::IdReused,
        Refusal::IdTooOld { .. } => R::IdTooOld,
        Refusal::BadId { .. }
        | Refusal::IdAhead { .. }
        | Refusal::BadAction { .. }
        | Refusal::NameTaken(_)
        | Refusal::NameTooLong { .. }
        | Refusal::BadName { .. }
        | Refusal::Myself => R::Usage,
        Refusal::DiskFull { .. } => R::DiskFull,
        Refusal::Damaged(_) => R::Fault,
        Refusal::StoreDamaged => R::Damaged,
        Refusal::Stopping => R::Stopping,
        Refusal::BeingRemoved(_) => R::Busy,
        Refusal::Quarantined | Refusal::EarlierLife(_) => R::Quarantined,
        _ => R::Invalid,
    }
}

/// What a client is told.
pub(super) fn reply(ask: &Ask, answer: &Answer) -> Reply {
    match (ask, answer) {
        (_, Answer::Object { header, .. }) => {
            Reply::Changed { key: header.key(), revision: Some(header.id()) }
        }
        (Ask::Cancel(_), Answer::Accepted) => Reply::Cancelling,
        (_, Answer::Accepted) => Reply::Accepted,
        (_, Answer::Acted { outcome, .. }) => Reply::Outcome(outcome.clone()),
        _ => Reply::Done,
    }
}

fn then(then: &Then) -> seen::Then {
    seen::Then { action: then.action.clone(), with: then.with.to_vec() }
}

fn effect(consequence: &Consequence) -> Option<Effect> {
    Some(match consequence {
        Consequence::Act(call) => Effect::Act {
            object: call.key,
            home: call.at,
            name: call.name.clone(),
            arguments: call.arguments.to_vec(),
            given: call.given.clone(),
            deadline_ms: call.deadline_ms,
            then: call.then.as_ref().map(then),
        },
        Consequence::Create(scenario) => Effect::Create(state(scenario)),
        Consequence::Remove => Effect::Remove,
        Consequence::Move { to } => Effect::Move { to: *to },
        Consequence::Timer { name, after_ms, then: told } => {
            Effect::Timer { name: name.clone(), after_ms: *after_ms, then: then(told) }
        }
        Consequence::CancelTimer { name } => Effect::EndTimer { name: name.clone() },
        Consequence::Publish { name, data } => Effect::Publish { name: name.clone(), data: data.to_vec() },
        Consequence::Activity { name, arguments, then: told } => {
            Effect::Activity { name: name.clone(), arguments: arguments.to_vec(), then: then(told) }
        }
        _ => return None,
    })
}

/// What a component said.
pub(super) fn said(result: &RunResult) -> Said {
    match result {
        RunResult::Done { state: new, result, consequences } => Said::Done {
            state: new.as_ref().map(state),
            result: result.to_vec(),
            effects: consequences.iter().filter_map(effect).collect(),
        },
        RunResult::Failed(why) => Said::Failed(why.to_vec()),
        RunResult::Refused(Code::NoComponent) => Said::NoComponent,
        RunResult::Refused(_) => Said::NotNow,
        RunResult::Later(_) => Said::NotNow,
    }
}
