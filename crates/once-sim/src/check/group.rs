//! What a group should have done, input by input: rights at the moment of effect, replies, admissions.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use once_core::access::Grant;
use once_core::object::{self, HeadRow};
use once_core::share::{self, Debt};
use once_core::store::Table;
use once_core::waist::{Answer, Arrival, Change, Command, ConnId, Effect, Event, Input, Token, Why};
use once_core::{Refusal, txn};
use once_model::ids::{Hash, KernelId, Line, ObjectKey};
use once_model::wire::{Code, Frame, ShareAnswer, Shared};

use super::access;
use super::handing::{self, may_bring, may_share};
use super::peers::{admitted, denied, hello};
use super::shadow::{InviteShadow, Leaving, Rights, Shadow};
use super::share::{Owed, Promises, needed, pulls};
use super::{Checker, Group, history, visitors};
use crate::coverage::Coverage;

/// What the inputs of a group allow.
#[derive(Default)]
pub(super) struct Allowed {
    /// Revisions that may be stored, by who sent them.
    pub arrivals: BTreeSet<(KernelId, Hash)>,
    /// Objects that peers may follow.
    pub followable: BTreeSet<(KernelId, ObjectKey)>,
    /// Answers to shares.
    pub answered: BTreeMap<(KernelId, ObjectKey), Vec<Hash>>,
    /// Copies that a client removed.
    pub dropped: BTreeSet<ObjectKey>,
    /// What peers were owed, and people have given up (`docs/protocol.md`, "A share, at its sender").
    pub given_up: BTreeSet<(KernelId, ObjectKey)>,
    /// Peers that were removed.
    pub removed: BTreeSet<KernelId>,
    /// A new life begins: nothing is owed from the one before.
    pub new_life: bool,
    /// Rights before the group.
    pub before: Option<Rights>,
    /// Rights that came along with objects that moved in.
    pub came_with: Vec<Grant>,
    /// Revisions that came along beside objects that moved in.
    pub came_beside: BTreeSet<Hash>,
}

type Answers = BTreeMap<(KernelId, ConnId, ObjectKey, Hash), VecDeque<ShareAnswer>>;

/// What the effects say, by what they answer.
#[derive(Default)]
struct Said<'a> {
    replies: BTreeMap<Token, &'a Result<Answer, Refusal>>,
    answers: Answers,
    admitted: BTreeSet<(KernelId, ConnId)>,
    connected: BTreeSet<(KernelId, ConnId)>,
}

impl<'a> Said<'a> {
    fn by(group: &Group<'a>) -> Self {
        let mut said = Self::default();
        for (effect, _) in group.effects {
            match effect {
                Effect::Reply { token, reply } => {
                    said.replies.insert(*token, reply);
                }
                Effect::Send { peer, conn, frame: Frame::Shared(Shared { key, id, answer, .. }) } => {
                    said.answers.entry((*peer, *conn, *key, *id)).or_default().push_back(*answer);
                }
                Effect::Send { peer, conn, frame: Frame::Admitted(_) } => {
                    said.admitted.insert((*peer, *conn));
                }
                Effect::Event(Event::Connected { peer, conn, .. }) => {
                    said.connected.insert((*peer, *conn));
                }
                _ => {}
            }
        }
        said
    }
}

impl Checker {
    /// Looks at one group from all sides.
    pub fn group(&mut self, group: &Group<'_>, cover: &mut Coverage) {
        let mut allowed = Allowed::default();
        if group.failed {
            self.in_vain(group);
        } else {
            self.walk(group, &mut allowed, cover);
        }
        if let Some(shadow) = self.shadows.get_mut(&group.kernel) {
            shadow.take_marks(group.store);
        }
        self.note_given_up(group, &allowed);
        self.promised(group);
        self.acts(group, cover);
        self.answers(group);
        self.floors(group);
        self.moving(group, &allowed, cover);
        self.guests(group, cover);
        self.made_in(group);
        self.leaving_early(group);
        if let Some(commit) = group.commit {
            self.rows(group, commit, &allowed, cover);
            self.histories(group, commit);
            self.ledger(group, commit);
            self.row_laws(group, commit);
        }
        self.archives(group, group.commit, cover);
        self.event_log(group);
        self.leaving(group, &allowed, cover);
        if let Some(shadow) = self.shadows.get_mut(&group.kernel) {
            shadow.promises.end_without_rows(group);
        }
    }

    /// Nothing of this group remains, but what was shared in it may have left already.
    fn in_vain(&mut self, group: &Group<'_>) {
        let Some(shadow) = self.shadows.get_mut(&group.kernel) else { return };
        for input in group.inputs {
            if let Input::Command { command: Command::Share { key, to, .. }, .. } = input {
                shadow.in_vain.add(*to, claimed_as(group, key).unwrap_or(*key), Owed::Newest);
            }
            if let Input::Frame { peer, frame: Frame::Need(need), .. } = input {
                for (key, content) in needed(group, *peer, need) {
                    shadow.in_vain.add(*peer, key, Owed::Only(content));
                }
            }
            if let Input::Frame { peer, frame: Frame::Shared(shared), .. } = input {
                answered(shadow, peer, &shared.key);
            }
        }
    }

    /// Revisions that were made in this group, also those that others of the same group have followed already.
    fn made_in(&mut self, group: &Group<'_>) {
        for (effect, _) in group.effects {
            let Effect::Event(Event::Changed { header, from }) = effect else { continue };
            if let Some(shadow) = self.shadows.get_mut(&group.kernel) {
                shadow.pending.push(header.id());
            }
            if let (None, Some(_), Some(certificate)) = (from, header.lineage, header.certificate)
                && let Some(what) = self.make(&group.kernel, certificate, header.revision, header.id())
            {
                self.violation(2, &group.kernel, group.at_ms, what);
            }
        }
    }

    fn walk(&mut self, group: &Group<'_>, allowed: &mut Allowed, cover: &mut Coverage) {
        let Some(mut shadow) = self.shadows.remove(&group.kernel) else { return };
        shadow.just_answered.clear();
        let mut leaving = Leaving::of(group.store);
        let ended = group.commit.iter().flat_map(|commit| &commit.rows);
        ended.filter(|row| row.table == Table::Chore).for_each(|row| leaving.add(&row.key));
        if !leaving.peers.is_empty() {
            cover.met("state peer removed in slices");
        }
        if leaving.all {
            cover.met("state new life in slices");
        }
        (allowed.removed, allowed.new_life) = (leaving.peers, leaving.all);
        shadow.end(group.now_ms);
        visitors::begin(&mut shadow, group, allowed);
        let mut said = Said::by(group);
        let (mut wrong, mut laid_over) = (Vec::new(), Vec::new());
        let changes_rights = |input: &Input| {
            matches!(input, Input::Command { .. } | Input::Frame { .. } | Input::Luggage { .. })
                && !matches!(input, Input::Frame { frame: Frame::Share(_) | Frame::Shared(_), .. })
        };
        if group.inputs.iter().any(changes_rights) {
            allowed.before = Some(shadow.rights.clone());
        }
        fresh_windows(&mut shadow, group);
        for input in group.inputs {
            handing::moves(&mut shadow, group, input, allowed);
            let result = match input {
                Input::Command { token, command } => {
                    let reply = said.replies.get(token).copied();
                    if let Some(Ok(answer)) = reply {
                        let kept = history::imported(&mut shadow, command, answer, cover);
                        laid_over.extend(kept.err());
                    }
                    let visits = visitors::commanded(&mut shadow, command, reply, cover);
                    commanded(&mut shadow, group, command, reply, allowed, cover);
                    visits
                }
                Input::Frame { peer, conn, frame } => {
                    framed(&mut shadow, group, (*peer, *conn), frame, &mut said, allowed, cover)
                }
                Input::Arrived { peer, arrival, why } => {
                    arrived(&shadow, group, peer, arrival, *why, &mut said, allowed, cover)
                }
                Input::Unfit { peer, conn, share: (key, id, _), code } => {
                    // Its answer comes before that of a copy that arrived in the same group.
                    let answers = said.answers.entry((*peer, *conn, *key, *id)).or_default();
                    answers.pop_front_if(|answer| *answer == ShareAnswer::Refused(*code));
                    Ok(())
                }
                Input::Timer(_)
                | Input::Link { .. }
                | Input::NetworkChanged
                | Input::Disk { .. }
                | Input::Ran(_)
                | Input::Ready { .. }
                | Input::Luggage { .. }
                | Input::Worked { .. } => Ok(()),
            };
            wrong.extend(result.err());
        }
        handing::gone(&mut shadow, group);
        let mut broken = visitors::came(&mut shadow, group, allowed, cover);
        broken.extend(wrong.into_iter().map(|what| (7, what)));
        broken.extend(laid_over.into_iter().map(|what| (4, what)));
        self.shadows.insert(group.kernel, shadow);
        for (promise, what) in broken {
            self.violation(promise, &group.kernel, group.at_ms, what);
        }
    }
}

/// A connection that becomes ready has an empty window.
fn fresh_windows(shadow: &mut Shadow, group: &Group<'_>) {
    for (effect, _) in group.effects {
        if let Effect::Event(Event::Connected { peer, .. }) = effect {
            shadow.windows.retain(|(to, _), _| to != peer);
        }
    }
}

/// The head of an object after the group, or else before it: an unclaimed key also stands for what it became.
pub(super) fn candidates(group: &Group<'_>, key: &ObjectKey) -> Vec<HeadRow> {
    let mut found = Vec::new();
    let mut keys = vec![*key];
    keys.extend(claimed_as(group, key));
    for key in keys {
        found.extend(object::head(group.store, &key).ok().flatten());
        let row = key.to_row();
        let before = group.commit.iter().flat_map(|commit| &commit.rows);
        let before = before.filter(|changed| changed.table == Table::Head && changed.key == row);
        found.extend(before.filter_map(|changed| txn::decode(Table::Head, changed.before.as_ref()?).ok()));
    }
    found
}

/// What an unclaimed object has become at this kernel.
pub(super) fn claimed_as(group: &Group<'_>, key: &ObjectKey) -> Option<ObjectKey> {
    let Line::Unclaimed(content) = key.line else { return None };
    let place = [key.uuid.as_bytes().as_slice(), content.as_bytes()].concat();
    let lineage = txn::get(group.store, Table::Genesis, &place).ok()??;
    Some(ObjectKey { uuid: key.uuid, line: Line::Claimed(lineage) })
}

/// A client uses a ticket of a kernel.
fn joins(shadow: &mut Shadow, peer: KernelId, reply: Option<&Result<Answer, Refusal>>) {
    let refused = matches!(
        reply,
        Some(Err(Refusal::Myself
            | Refusal::TooManyPeers(_)
            | Refusal::BeingRemoved(_)
            | Refusal::BadName { .. }
            | Refusal::NameTaken(_)))
    );
    // Who visits, or is visited, keeps what people have set.
    let visits = shadow.rights.visitors.contains_key(&peer);
    match shadow.rights.peers.get_mut(&peer).filter(|known| known.active || visits) {
        _ if refused => {}
        Some(known) => known.joining = true,
        None => {
            let new = shadow.new_peer(&peer, false);
            shadow.rights.peers.insert(peer, new);
        }
    }
}

fn commanded(
    shadow: &mut Shadow,
    group: &Group<'_>,
    command: &Command,
    reply: Option<&Result<Answer, Refusal>>,
    allowed: &mut Allowed,
    cover: &mut Coverage,
) {
    let done = matches!(reply, Some(Ok(_)));
    // Holds from here on; its client is answered when nothing is left of it.
    let begun = !matches!(reply, Some(Err(_)));
    match command {
        Command::Share { key, to, .. } if !matches!(reply, Some(Err(_))) => {
            // It may have left as what it was before another input of this group claimed it.
            shadow.promises.add(*to, *key, Owed::Newest);
            let key = claimed_as(group, key).unwrap_or(*key);
            shadow.promises.add(*to, key, Owed::Newest);
            let row = share::debt(group.store, to, &key).ok().flatten();
            if reply == Some(&Ok(Answer::Owed)) && row.is_some_and(|row| row.debt == Debt::Promised) {
                shadow.owed.insert((*to, key));
            }
        }
        // From then on it is not due; what had left by then may still be fetched.
        Command::GiveUp { peer, key } if done => {
            allowed.given_up.insert((*peer, *key));
            shadow.owed.remove(&(*peer, *key));
            for owed in shadow.promises.take(peer, key) {
                shadow.just_answered.add(*peer, *key, owed);
            }
        }
        Command::Remove { key } => {
            if let Some(Ok(Answer::Object { header, change: Change::Dropped })) = reply {
                allowed.dropped.extend([*key, header.key()]);
            }
        }
        Command::Follow { key, from } if done => {
            shadow.subscriptions.insert((*from, *key));
        }
        Command::Unfollow { key, from } if done => {
            shadow.subscriptions.remove(&(*from, *key));
            if let Some(key) = claimed_as(group, key) {
                shadow.subscriptions.remove(&(*from, key));
            }
        }
        Command::Invite { secret_hash, expires_ms, .. } if done => {
            shadow
                .invites
                .insert(*secret_hash, InviteShadow { expires_ms: *expires_ms, used: false, ended: false });
        }
        Command::EndQuarantine { .. } if begun => {
            allowed.new_life = true;
            shadow.rights.grants.clear();
            shadow.invites.clear();
            shadow.promises = Promises::default();
            shadow.in_vain = Promises::default();
            shadow.owed.clear();
        }
        Command::RevokeInvite { secret_hash } if done => {
            shadow.invites.remove(secret_hash);
        }
        Command::Join { peer, .. } => joins(shadow, *peer, reply),
        Command::AddPeer { peer, .. } if done => {
            let new = shadow.new_peer(peer, true);
            shadow.rights.peers.entry(*peer).or_insert(new).active = true;
        }
        Command::ChangePeer { peer, quota_bytes: Some(quota), .. } if done => {
            shadow.rights.set_quota(peer, *quota);
        }
        Command::RemovePeer { peer } if begun => {
            if shadow.windows.keys().any(|(to, _)| to == peer) {
                cover.met("state peer removed while connected");
            }
            shadow.forget(peer);
            allowed.removed.insert(*peer);
        }
        Command::Grant(_) | Command::Revoke(_) => access::commanded(shadow, group, command, reply),
        _ => {}
    }
}

/// A share is no longer under way.
fn answered(shadow: &mut Shadow, peer: &KernelId, key: &ObjectKey) {
    for ((to, _), window) in &mut shadow.windows {
        if to == peer {
            window.remove(key);
        }
    }
}

fn framed(
    shadow: &mut Shadow,
    group: &Group<'_>,
    (peer, conn): (KernelId, ConnId),
    frame: &Frame,
    said: &mut Said<'_>,
    allowed: &mut Allowed,
    cover: &mut Coverage,
) -> Result<(), String> {
    match frame {
        Frame::Hello(greeting) => {
            shadow.windows.insert((peer, conn), BTreeMap::new());
            let admitted = said.admitted.contains(&(peer, conn));
            hello(shadow, group, allowed, (peer, admitted), greeting, cover)?;
        }
        Frame::Admitted(greeting) => {
            shadow.windows.insert((peer, conn), BTreeMap::new());
            let connected = said.connected.contains(&(peer, conn));
            admitted(shadow, group, peer, connected, greeting)?;
        }
        Frame::Denied(_) => denied(shadow, group, peer),
        Frame::Need(need) => {
            for (key, content) in needed(group, peer, need) {
                shadow.promises.add(peer, key, Owed::Only(content));
            }
        }
        Frame::Share(parcel) => {
            let keys = arrival_keys(&parcel.header.key(), parcel.chain.as_ref());
            let may = may_bring(shadow, group, &peer, &parcel.header, &keys);
            let place = (peer, conn, parcel.header.key(), parcel.header.id());
            let pulled = group.effects.iter().any(|(effect, _)| pulls(effect, conn, &place.3));
            if pulled && !may {
                return Err(format!("pulls {} of {peer:.10}, which may not share", place.2));
            }
            if !pulled
                && let Some(answer) = said.answers.get_mut(&place).and_then(VecDeque::pop_front)
                && !may
                && answer != ShareAnswer::Refused(Code::Denied)
            {
                return Err(format!("answers {answer:?} to {peer:.10}, which may not share"));
            }
        }
        Frame::Shared(shared) => {
            allowed.answered.entry((peer, shared.key)).or_default().push(shared.id);
            answered(shadow, &peer, &shared.key);
        }
        Frame::Following(following) if !following.on => {
            // From here on it is no longer asked for.
            for (effect, _) in group.effects {
                if let Effect::Event(Event::FollowDenied { peer: by, key }) = effect
                    && (*by, key.uuid) == (peer, following.key.uuid)
                {
                    shadow.subscriptions.remove(&(peer, *key));
                }
            }
        }
        Frame::FollowInstead(asked) => {
            return super::follow::asked_instead(shadow, group, (&peer, asked), allowed, cover);
        }
        Frame::Follow(follow) => {
            let heads = candidates(group, &follow.key);
            if heads.iter().any(|head| shadow.rights.may_read(&peer, head, group.now_ms)) {
                allowed.followable.insert((peer, follow.key));
                allowed.followable.extend(heads.iter().map(|head| (peer, head.header.key())));
            }
        }
        _ => {}
    }
    Ok(())
}

/// The keys under which an arriving object may have been asked for: its own, and that of the copy it began from.
fn arrival_keys(key: &ObjectKey, chain: Option<&once_model::certificate::Chain>) -> Vec<ObjectKey> {
    let copy = chain.map(|chain| ObjectKey { uuid: key.uuid, line: Line::Unclaimed(chain.genesis.content) });
    [Some(*key), copy].into_iter().flatten().collect()
}

#[allow(clippy::too_many_arguments)]
fn arrived(
    shadow: &Shadow,
    group: &Group<'_>,
    peer: &KernelId,
    arrival: &Arrival,
    why: Why,
    said: &mut Said<'_>,
    allowed: &mut Allowed,
    cover: &mut Coverage,
) -> Result<(), String> {
    let (key, id) = (arrival.header.key(), arrival.header.id());
    let keys = arrival_keys(&key, arrival.chain.as_ref());
    let may = may_bring(shadow, group, peer, &arrival.header, &keys);
    let (answer, may) = match why {
        Why::Shared { conn } => {
            (said.answers.get_mut(&(*peer, conn, key, id)).and_then(VecDeque::pop_front), may)
        }
        Why::Asked { token } | Why::Offered { token } => match said.replies.get(&token) {
            Some(Ok(Answer::Kept(answer))) => (Some(*answer), may || matches!(why, Why::Asked { .. })),
            // What stands in its place cannot be read.
            Some(Err(Refusal::Damaged(_))) => return Ok(()),
            _ => (None, may),
        },
    };
    let answer = match (answer, why) {
        (Some(answer), _) => answer,
        // What comes late from an older connection is shared again on the next.
        (None, Why::Shared { .. }) => return Ok(()),
        (None, _) => return Err(format!("does not say what became of {key}")),
    };
    cover.met(crate::coverage::share(answer));
    if may {
        allowed.arrivals.insert((*peer, id));
    }
    match (may, answer == ShareAnswer::Refused(Code::Denied)) {
        (false, false) => Err(format!("answers {answer:?} for {key} of {peer:.10}, which may not share")),
        // That it is about to be handed over may have become known later within the group.
        (true, true) if may_share(shadow, group, peer, &keys) => {
            Err(format!("denies {key} of {peer:.10}, which may share"))
        }
        _ => Ok(()),
    }
}
