//! Promises 3, 4 and 5 for actions: every one has effect at most once, exactly once if it is said to be done, and in
//! the order in which its origin accepted it.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use once_core::Refusal;
use once_core::object;
use once_core::store::{Read, Table};
use once_core::waist::{Answer, Command, Effect, Input, Token};

use once_model::action::{Act, Action, Given, Outcome};
use once_model::ids::{Hash, KernelId, ObjectKey, Uuid};
use once_model::wire::Frame;

use super::access::Grantee;
use super::{Checker, Group, head_in};
use crate::coverage::Coverage;
use crate::disk::Disk;
use crate::journal;

/// What a peer asked: of which object, which action, in the name of which object, and whether that is its guest.
type Came = (ObjectKey, String, Option<ObjectKey>, bool);

/// What is known of all actions, from their clients alone.
#[derive(Debug, Default)]
pub(crate) struct Acts {
    /// What each client asks.
    asked: BTreeMap<(KernelId, Token), (Uuid, Hash)>,
    /// The content under each id that its origin took first.
    contents: BTreeMap<(KernelId, Uuid), Hash>,
    /// By origin and object: the marks in the order in which they were accepted.
    order: BTreeMap<(KernelId, Uuid), Vec<Uuid>>,
    /// What was said to have come of them, by origin and mark.
    outcomes: BTreeMap<(KernelId, Uuid), Outcome>,
    /// The marks of those that are meant to be written down.
    notes: BTreeSet<Uuid>,
    /// The marks of what hostile kernels asked: they may use an id as often as they like.
    hostile: BTreeSet<Uuid>,
    /// By the token of its question: an action that a client takes back.
    cancels: BTreeMap<(KernelId, Token), Uuid>,
    /// Those of which it was told that this is certain.
    taken_back: BTreeSet<(KernelId, Uuid)>,
    /// What came, at which kernel and from whom.
    arrived: BTreeSet<(KernelId, KernelId, Hash)>,
    /// By origin and id: what came to be done, to which object, and in the name of which.
    came: BTreeMap<(KernelId, Uuid), BTreeSet<Came>>,
    /// By origin and object: some were accepted in a group that failed, and may be there all the same.
    in_doubt: BTreeSet<(KernelId, Uuid)>,
}

impl Checker {
    pub(super) fn acts(&mut self, group: &Group<'_>, cover: &mut Coverage) {
        let mut wrong = Vec::new();
        for input in group.inputs {
            match input {
                Input::Command { token, command: Command::Act { key, action, .. } } => {
                    self.acts.asked.insert((group.kernel, *token), (action.id, action.hash(&key.uuid)));
                    self.asks(group, &key.uuid, action, cover);
                }
                Input::Command { token, command: Command::Cancel { id, .. } } => {
                    if let Some(hash) = self.acts.contents.get(&(group.kernel, *id)) {
                        self.acts.asked.insert((group.kernel, *token), (*id, *hash));
                        self.acts.cancels.insert((group.kernel, *token), *id);
                    }
                }
                Input::Arrived { peer, arrival, .. } => {
                    self.acts.arrived.insert((group.kernel, *peer, arrival.header.content));
                }
                Input::Frame { peer, frame: Frame::Act(act), .. } => {
                    self.act_came(*peer, act);
                }
                _ => {}
            }
        }
        for (effect, _) in group.effects {
            match effect {
                Effect::Reply { token, reply } => wrong.extend(self.told(group, *token, reply)),
                Effect::Send { frame: Frame::Act(act), .. }
                    if act.void.is_none()
                        && self.acts.taken_back.contains(&(group.kernel, act.action.id)) =>
                {
                    wrong.push((3, format!("sends the action {}, which was taken back", act.action.id)));
                }
                Effect::Run(run) if run.origin != group.kernel => {
                    for given in &run.action.given {
                        if !self.was_shown(group, &run.origin, given) {
                            let what =
                                format!("{} was taken for given: its origin may not read it", given.key);
                            wrong.push((7, what));
                        }
                    }
                }
                Effect::Send { peer, frame: Frame::Outcome(told), .. } => {
                    cover.met(crate::coverage::outcome(&told.outcome));
                    if told.outcome == Outcome::Failed(journal::WRONG_GIVEN.into()) {
                        wrong.push((3, format!("the action {} was given another scenario", told.id)));
                    }
                    if matches!(told.outcome, Outcome::Done(_))
                        && !self.moves.is_carried(&group.kernel, peer, &told.id)
                        && !self.may_act_at(group, peer, &told.id)
                    {
                        wrong.push((7, format!("lets {peer:.10} act, which has no right to")));
                    }
                }
                _ => {}
            }
        }
        for row in group.changed().filter(|row| row.table == Table::Body) {
            let Some(marks) = row.after.as_ref().and_then(|body| journal::entries(body)) else { continue };
            let key = ObjectKey::from_row(row.key.get(..ObjectKey::ROW_LEN).unwrap_or_default());
            self.journals.extend(key.map(|key| key.uuid));
            if let Some(twice) = twice(&marks, &self.acts.hostile) {
                wrong.push((3, format!("the action with the mark {twice} had effect twice")));
            }
        }
        wrong.extend(self.continued(group));
        for (promise, what) in wrong {
            self.violation(promise, &group.kernel, group.at_ms, what);
        }
    }

    /// A peer asks for something.
    fn act_came(&mut self, peer: KernelId, act: &Act) {
        let is_guest = act.guest == Some(true);
        let came = (act.lane.key, act.action.name.clone(), act.action.acting, is_guest);
        self.acts.came.entry((peer, act.action.id)).or_default().insert(came);
        if !self.shadows.contains_key(&peer) {
            self.acts.hostile.insert(journal::mark(&peer, &act.action.id));
        }
    }

    /// What an action wrote goes on from what was there.
    fn continued(&mut self, group: &Group<'_>) -> Vec<(u8, String)> {
        let (mut wrong, mut laid_back) = (Vec::new(), Vec::new());
        for row in group.changed().filter(|row| row.table == Table::Head) {
            let [before, after] = [&row.before, &row.after].map(|value| head_in(value.as_ref()));
            let (Some(before), Some(after)) = (before, after) else { continue };
            // What moved in goes on from what its home before had, which the handoff says.
            let moved_in = before.header.certificate != after.header.certificate;
            let acted = after.from.is_none() && after.header.cause.is_some() && !moved_in;
            let body = group.store.get(Table::Body, &object::body_key(&after.header)).ok().flatten();
            let (Some(was), Some(is)) = (self.bodies.get(&before.header.content), body.filter(|_| acted))
            else {
                continue;
            };
            let goes_on = match (journal::entries(was), journal::entries(&is)) {
                (Some(was), Some(is)) => is.starts_with(&was),
                (None, Some(_)) => false,
                _ => true,
            };
            if goes_on {
                continue;
            }
            // In the same group a client may have changed it, and then it was acted on. What was kept beside may be an older state.
            let uuid = after.header.uuid;
            let is_put = |input: &Input| match input {
                Input::Command { command: Command::Put { key, .. } | Command::Keep { key, .. }, .. } => {
                    key.uuid == uuid
                }
                Input::Command { command: Command::Import { scenario, .. }, .. } => scenario.uuid() == uuid,
                _ => false,
            };
            if group.inputs.iter().any(is_put) {
                laid_back.push(uuid);
            } else {
                wrong.push((3, format!("an action on {} took place on an older state", after.header.key())));
            }
        }
        self.laid_back.extend(laid_back);
        wrong
    }

    fn asks(&mut self, group: &Group<'_>, object: &Uuid, action: &Action, cover: &mut Coverage) {
        let place = (group.kernel, action.id);
        let known = self.acts.contents.contains_key(&place);
        cover.met(if known { "state action repeated" } else { "state action asked" });
        if group.failed {
            self.acts.in_doubt.insert((group.kernel, *object));
        }
        if !known && !group.failed {
            let hash = action.hash(object);
            // Whether it was accepted, its row says; what was refused may be asked again.
            let row = once_core::act::request(group.store, &action.id);
            if row.is_ok_and(|row| row.is_some_and(|row| row.hash == hash)) {
                if !matches!(action.name.as_str(), "no" | "look" | "fly" | "paid") {
                    self.acts.notes.insert(journal::mark(&group.kernel, &action.id));
                }
                self.acts.contents.insert(place, hash);
                let order = self.acts.order.entry((group.kernel, *object)).or_default();
                order.push(journal::mark(&group.kernel, &action.id));
            }
        }
    }

    fn told(
        &mut self,
        group: &Group<'_>,
        token: Token,
        reply: &Result<Answer, Refusal>,
    ) -> Option<(u8, String)> {
        let (id, hash) = self.acts.asked.remove(&(group.kernel, token))?;
        if self.acts.cancels.remove(&(group.kernel, token)).is_some() && *reply == Ok(Answer::Accepted) {
            self.acts.taken_back.insert((group.kernel, id));
        }
        let first = self.acts.contents.get(&(group.kernel, id)).copied();
        match reply {
            Ok(Answer::Acted { .. } | Answer::Accepted) if first.is_some_and(|first| first != hash) => {
                Some((3, format!("the id {id} was taken for two actions")))
            }
            Ok(Answer::Acted { outcome, .. }) => {
                let place = (group.kernel, journal::mark(&group.kernel, &id));
                let told = self.acts.outcomes.entry(place).or_insert_with(|| outcome.clone());
                (told != outcome).then(|| (3, format!("the action {id} has two outcomes")))
            }
            _ => None,
        }
    }

    /// A process starts on a disk: what it had not told anybody when it crashed may be gone.
    pub(super) fn acts_started(&mut self, kernel: &KernelId, disk: &Disk) {
        let acts = &mut self.acts;
        let is_there = |id: &Uuid| once_core::act::request(disk, id).is_ok_and(|row| row.is_some());
        let mut gone = BTreeSet::new();
        acts.contents.retain(|(origin, id), _| {
            let stays = origin != kernel || is_there(id);
            if !stays {
                gone.insert(journal::mark(kernel, id));
            }
            stays
        });
        for ((origin, _), marks) in &mut acts.order {
            marks.retain(|mark| origin != kernel || !gone.contains(mark));
        }
    }

    /// Whether an origin may use a scenario at a home: it may read it there, or has sent its bytes.
    fn was_shown(&self, group: &Group<'_>, origin: &KernelId, given: &Given) -> bool {
        if self.acts.arrived.contains(&(group.kernel, *origin, given.content)) {
            return true;
        }
        self.shadows.get(&group.kernel).is_some_and(|shadow| {
            super::group::candidates(group, &given.key)
                .iter()
                .any(|head| head.from == Some(*origin) || shadow.rights.may_read(origin, head, group.now_ms))
        })
    }

    /// Whether an origin, or its object, had a right to this at some time: what it did while it had it, it may be told of
    /// later. (Whether it had it at that moment, the judge says.)
    fn may_act_at(&self, group: &Group<'_>, peer: &KernelId, id: &Uuid) -> bool {
        let Some(shadow) = self.shadows.get(&group.kernel) else { return false };
        self.acts.came.get(&(*peer, *id)).into_iter().flatten().any(|(key, action, acting, is_guest)| {
            let heads = super::group::candidates(group, key);
            let mut objects: Vec<_> = heads.iter().map(|head| head.header.key()).collect();
            objects.extend([Some(*key), super::group::claimed_as(group, key)].into_iter().flatten());
            let mut components: Vec<_> = heads.into_iter().map(|head| head.header.component).collect();
            components.push(journal::NAME.to_owned());
            let could = |who| shadow.acted.could(who, action, &objects, &components);
            (!is_guest && could(Grantee::Kernel(*peer)))
                || acting.is_some_and(|object| could(Grantee::Object(object)))
        })
    }

    /// Whether a guest of a peer asked for this.
    pub(super) fn is_of_guest(&self, peer: &KernelId, id: &Uuid) -> bool {
        self.acts.came.get(&(*peer, *id)).into_iter().flatten().any(|(.., is_guest)| *is_guest)
    }

    /// After everything has healed: what the objects say at their homes, against what the clients were told. Nothing
    /// can be said of an object that was removed or overwritten.
    pub fn acted(&self, bodies: &BTreeMap<Uuid, Vec<Option<Bytes>>>) -> Vec<(u8, String)> {
        let mut wrong = Vec::new();
        for ((origin, object), ids) in &self.acts.order {
            if self.laid_back.contains(object) {
                continue;
            }
            let read = |body: &Option<Bytes>| journal::entries(body.as_ref()?);
            let journals: Option<Vec<Vec<Uuid>>> =
                bodies.get(object).and_then(|bodies| bodies.iter().map(read).collect());
            for entries in journals.iter().flatten() {
                let mine: Vec<_> = entries.iter().filter(|id| ids.contains(id)).collect();
                let expected: Vec<_> = ids.iter().filter(|id| entries.contains(id)).collect();
                if mine != expected && !self.acts.in_doubt.contains(&(*origin, *object)) {
                    wrong.push((5, format!("actions of {origin:.10} on {object} ran in another order")));
                }
            }
            for id in journals.iter().flat_map(|_| ids) {
                let count = journals.iter().flatten().flatten().filter(|entry| *entry == id).count();
                let told = self.acts.outcomes.get(&(*origin, *id));
                let right = match told {
                    Some(Outcome::Done(_)) if self.acts.notes.contains(id) => count == 1,
                    Some(_) => count == 0,
                    None => count <= 1,
                };
                if !right {
                    wrong.push((
                        3,
                        format!(
                            "the action with the mark {id} of {origin:.10} on {object} had effect {count} times, told was {told:?}"
                        ),
                    ));
                }
            }
        }
        wrong
    }
}

fn twice(marks: &[Uuid], hostile: &BTreeSet<Uuid>) -> Option<Uuid> {
    let mut seen = BTreeSet::new();
    marks.iter().find(|mark| !seen.insert(**mark) && !hostile.contains(*mark)).copied()
}
