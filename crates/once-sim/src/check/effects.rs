//! What leaves a kernel: nothing before the commit it rests on, nothing to strangers, nothing beyond the windows, and
//! each reply once.

use bytes::Bytes;
use once_core::object::{self, HeadRow};
use once_core::store::{Read, Table};
use once_core::waist::{Answer, Change, ConnId, Effect, Input, Token};
use once_core::{Refusal, meta};
use once_model::action::{After, Outcome};
use once_model::hash::content_hash;
use once_model::ids::{KernelId, ObjectKey};
use once_model::limits::RESEND_AFTER_MS;
use once_model::wire::{Code, Following, Frame, Greeting, Parcel, ShareAnswer, Shared};

use super::group::{Allowed, candidates};
use super::shadow::{Leaving, Shadow};
use super::{Checker, Group};
use crate::coverage::Coverage;

type Wrong = Vec<(u8, String)>;

/// A share is under way on a connection from now on. What is wrong with that.
fn under_way(
    shadow: &mut Shadow,
    group: &Group<'_>,
    (peer, conn): (KernelId, ConnId),
    parcel: &Parcel,
) -> Option<(u8, String)> {
    let key = parcel.header.key();
    // Sent again and answered in one group: which of the two came first is not seen here.
    let answered = shadow.just_answered.allow(group, &peer, &key, &parcel.header.content);
    let window = shadow.windows.entry((peer, conn)).or_default();
    // What left before the commit came first to leave, but perhaps not to be sent: in one group the smaller may be older.
    let bytes = parcel.body.as_ref().map_or(0, Bytes::len);
    let is_before = |(sent, other): &&(u64, usize)| *sent != group.now_ms || *other <= bytes;
    let before: usize = window.values().filter(is_before).map(|(_, bytes)| bytes).sum();
    let full = window.len() >= shadow.limits.window || before >= shadow.limits.window_bytes;
    let wrong = (full && !window.contains_key(&key))
        .then(|| (9, format!("{} shares to {peer:.10} are under way", window.len() + 1)));
    if !answered {
        window.insert(key, (group.now_ms, bytes));
    }
    wrong
}

impl Checker {
    /// Before the commit only a share may leave, of a revision that is on disk already, and an outcome that its home has
    /// on its disk.
    pub(super) fn leaving_early(&mut self, group: &Group<'_>) {
        for (effect, _) in group.effects.iter().filter(|(_, early)| *early) {
            let what = match effect {
                Effect::Send { peer, frame: Frame::Share(parcel), .. } => {
                    let shadow = self.shadows.get(&group.kernel);
                    if is_apart(parcel) && is_new_debt(group, peer, &parcel.header.key()) {
                        format!("{} was announced before its bytes could be pulled", parcel.header.key())
                    } else if shadow.is_some_and(|shadow| shadow.durable.contains(&parcel.header.id())) {
                        continue;
                    } else {
                        format!("{} left before its revision was on disk", parcel.header.key())
                    }
                }
                Effect::Reply { reply: Ok(Answer::Acted { outcome, after }), .. }
                    if !matches!(outcome, Outcome::Refused(_)) && came(group, outcome, after) =>
                {
                    continue;
                }
                Effect::Told { outcome, after, .. } if came(group, outcome, after) => continue,
                other => format!("this left before the commit: {:.200}", format!("{other:?}")),
            };
            self.violation(6, &group.kernel, group.at_ms, what);
        }
    }

    pub(super) fn leaving(&mut self, group: &Group<'_>, allowed: &Allowed, cover: &mut Coverage) {
        let mut wrong = Wrong::new();
        self.forget_late(group);
        super::follow::unfollowed(group, &mut wrong);
        if !group.failed {
            super::follow::ended_by_all_names(group, &mut wrong);
            super::follow::follows_again(group, &mut wrong);
        }
        for (effect, early) in group.effects {
            match effect {
                Effect::Reply { token, reply } => self.replied(group, *token, reply, &mut wrong),
                Effect::Send { peer, conn, frame } => {
                    self.sent(group, allowed, (*peer, *conn), frame, *early, &mut wrong, cover);
                }
                _ => {}
            }
        }
        for (promise, what) in wrong {
            self.violation(promise, &group.kernel, group.at_ms, what);
        }
    }

    /// A share that stayed unanswered for long is no longer under way: it may be sent again, or later.
    fn forget_late(&mut self, group: &Group<'_>) {
        let Some(shadow) = self.shadows.get_mut(&group.kernel) else { return };
        for window in shadow.windows.values_mut() {
            let late = |sent: u64| group.now_ms < sent || group.now_ms - sent >= RESEND_AFTER_MS;
            window.retain(|_, (sent, _)| !late(*sent));
        }
    }

    fn replied(
        &mut self,
        group: &Group<'_>,
        token: Token,
        reply: &Result<Answer, Refusal>,
        wrong: &mut Wrong,
    ) {
        let Some(shadow) = self.shadows.get_mut(&group.kernel) else { return };
        if shadow.tokens.remove(&token).is_none() {
            wrong.push((
                4,
                format!("replies to {token}, which nobody asked or which was answered: {reply:?}"),
            ));
        }
        match reply {
            Ok(Answer::Object { header, change }) if *change != Change::Dropped => {
                let key = header.key();
                if !is_durable(group, Table::Head, &key.to_row()) {
                    wrong.push((6, format!("{change:?} {key} was told before it was on disk")));
                }
                // It may have gone on, or away, within the group.
                if object::head(group.store, &key).is_ok_and(|head| head.is_some()) {
                    let fact = shadow.facts.entry(key).or_default();
                    *fact = (*fact).max((header.epoch, header.revision));
                }
            }
            Ok(_) => {
                // What commands write has been compared with the shadow; that it is durable shows here.
                let rows = group.commit.iter().flat_map(|commit| &commit.rows);
                // What a removal takes away in slices goes lazily: nobody is told of it before the last of them.
                let leaving = Leaving::of(group.store);
                let in_slices = leaving.all || !leaving.peers.is_empty();
                let rows = rows.filter(|row| row.after.is_some() || !in_slices);
                let lazy = rows.filter(|row| {
                    let told =
                        matches!(row.table, Table::Peer | Table::Grant | Table::Invite | Table::Subscription);
                    // A share whose client still waits for the answer is not promised yet.
                    let owed =
                        row.table == Table::Outbox && row.after.is_some() && *reply == Ok(Answer::Owed);
                    (told || owed) && row.before.is_some() != row.after.is_some()
                });
                for row in lazy {
                    if !is_durable(group, row.table, &row.key) {
                        wrong.push((6, format!("a reply left before a row of {:?} was on disk", row.table)));
                    }
                }
            }
            Err(_) => {}
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn sent(
        &mut self,
        group: &Group<'_>,
        allowed: &Allowed,
        (peer, conn): (KernelId, ConnId),
        frame: &Frame,
        early: bool,
        wrong: &mut Wrong,
        cover: &mut Coverage,
    ) {
        let Some(shadow) = self.shadows.get_mut(&group.kernel) else { return };
        let known = |rights: &super::shadow::Rights| rights.knows(&peer);
        let denial = matches!(
            frame,
            Frame::Denied(_) | Frame::Shared(Shared { answer: ShareAnswer::Refused(Code::Denied), .. })
        );
        let known = known(&shadow.rights)
            || allowed.before.as_ref().is_some_and(known)
            || allowed.removed.contains(&peer);
        if !denial && !known {
            wrong.push((7, format!("says to a stranger: {}", crate::shell::brief(frame))));
        }
        match frame {
            Frame::Hello(greeting) | Frame::Admitted(greeting) => greeted(group, greeting, wrong),
            Frame::Share(parcel) => {
                let key = parcel.header.key();
                let mut heads = candidates(group, &key);
                // A revision that was followed within the group is judged as what it is.
                heads.extend(heads.first().cloned().map(|head| HeadRow {
                    header: parcel.header.clone(),
                    home: parcel.chain.as_ref().map(|chain| chain.home()),
                    ..head
                }));
                let asked = [&shadow.promises, &shadow.in_vain, &shadow.just_answered]
                    .iter()
                    .any(|said| said.allow(group, &peer, &key, &parcel.header.content));
                let may_by = |rights: &super::shadow::Rights| {
                    heads.iter().any(|head| rights.may_read(&peer, head, group.now_ms))
                };
                let may = may_by(&shadow.rights) || allowed.before.as_ref().is_some_and(may_by);
                // Who was removed later in the group was a peer when this was sent.
                if !asked && !may && !allowed.removed.contains(&peer) {
                    wrong.push((7, format!("sends {key} to {peer:.10}, which may not read it")));
                }
                if !early && !shadow.durable.contains(&parcel.header.id()) {
                    wrong.push((6, format!("{key} left before its revision was on disk")));
                }
                well_formed(parcel, wrong);
                if let Some(full) = under_way(shadow, group, (peer, conn), parcel) {
                    wrong.push(full);
                }
                if is_full(shadow, (peer, conn)) {
                    cover.met("state full window");
                }
            }
            Frame::Shared(Shared { key, answer: ShareAnswer::Stored, .. }) => {
                if !is_durable(group, Table::Head, &key.to_row()) {
                    wrong.push((6, format!("{key} was acknowledged before it was on disk")));
                }
                if let Ok(Some(head)) = object::head(group.store, key) {
                    let fact = shadow.facts.entry(*key).or_default();
                    *fact = (*fact).max((head.header.epoch, head.header.revision));
                }
            }
            Frame::Shared(Shared { key, answer: ShareAnswer::Known, .. }) => {
                let heads = candidates(group, key);
                if heads.is_empty() {
                    wrong.push((4, format!("{key} was called known, and nothing of it is here")));
                }
            }
            Frame::Following(Following { key, on: true, .. })
                if !allowed.followable.contains(&(peer, *key)) =>
            {
                wrong.push((7, format!("tells {peer:.10} that it follows {key}, which it may not read")));
            }
            Frame::Following(Following { key, code: Some(code), .. }) if *code != Code::Denied => {
                wrong.push((7, format!("tells why {key} cannot be followed: {code:?}")));
            }
            _ => {}
        }
    }
}

/// Whether a home said so in this group.
fn came(group: &Group<'_>, outcome: &Outcome, after: &Option<After>) -> bool {
    group.inputs.iter().any(|input| {
        matches!(input, Input::Frame { frame: Frame::Outcome(said), .. } if said.outcome == *outcome && said.after == *after)
    })
}

/// Whether as many shares are under way as may be.
fn is_full(shadow: &Shadow, to: (KernelId, ConnId)) -> bool {
    shadow.windows.get(&to).is_some_and(|window| window.len() == shadow.limits.window)
}

/// Whether a row that a process sees would survive a crash, in the parts that matter.
fn is_durable(group: &Group<'_>, table: Table, key: &[u8]) -> bool {
    let live = group.store.get(table, key).ok().flatten();
    let durable = group.store.durable(table, key);
    match (&live, durable) {
        (None, None) => true,
        (Some(live), Some(durable)) if table == Table::Head => {
            let id = |value: &[u8]| {
                once_core::txn::decode::<object::HeadRow>(table, value).ok().map(|head| head.header.id())
            };
            id(live) == id(durable)
        }
        (Some(_), Some(_)) => true,
        _ => false,
    }
}

/// What a kernel says of itself must not be more than its disk can keep.
fn greeted(group: &Group<'_>, greeting: &Greeting, wrong: &mut Wrong) {
    let kept = group
        .store
        .durable(Table::Meta, b"commit")
        .and_then(|bytes| <[u8; 8]>::try_from(bytes.as_ref()).ok());
    let kept = kept.map_or(0, u64::from_be_bytes);
    if greeting.progress.commit > kept {
        wrong.push((
            6,
            format!("tells a peer of commit {}, and only {kept} is on disk", greeting.progress.commit),
        ));
    }
    let identity = meta::identity(group.store).ok().flatten();
    if identity.is_some_and(|identity| identity.incarnation != greeting.progress.incarnation) {
        wrong.push((6, "tells a peer of another incarnation".into()));
    }
}

/// What leaves must be whole.
pub(super) fn well_formed(parcel: &Parcel, wrong: &mut Wrong) {
    if let Some(body) = &parcel.body
        && content_hash(body) != parcel.header.content
    {
        wrong.push((1, format!("{} leaves with other bytes", parcel.header.key())));
    }
}

/// Whether a parcel's bytes are to be pulled.
fn is_apart(parcel: &Parcel) -> bool {
    parcel.body.is_none() && !parcel.header.tombstone
}

/// Whether a debt was not there before this group.
fn is_new_debt(group: &Group<'_>, peer: &KernelId, key: &ObjectKey) -> bool {
    let place = once_core::share::Owed::Object(*key).key(peer);
    let mut written = group.commit.iter().flat_map(|commit| &commit.rows);
    written.any(|row| row.table == Table::Outbox && row.key == place && row.before.is_none())
}
