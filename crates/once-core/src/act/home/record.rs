//! What came of an action is written, and answered after the commit.

use once_model::action::{Act, ActOutcome, After, Outcome};
use once_model::archive::{OutcomeStatus, Summary};
use once_model::certificate::Tip;
use once_model::header::Cause;
use once_model::ids::{Hash, KernelId, ObjectKey};
use once_model::wire::{Code, Frame};

use super::come::Come;
use super::{history, marks};
use crate::act::origin::ask;
use crate::act::rows::{LedgerRow, Origin, PlaceRow, lane_key, ledger_key};
use crate::engine::Step;
use crate::object::{self, Draft, HeadRow};
use crate::store::{StoreError, Table};
use crate::waist::{Effect, Event};
use crate::{peers, txn};

/// An action has ended, and its object is as it was.
pub(crate) fn end(
    s: &mut Step<'_, '_>,
    come: &Come,
    outcome: Outcome,
    head: HeadRow,
) -> Result<(), StoreError> {
    record(s, &come.origin, &come.act, outcome, Made::Nothing(head)).map(drop)
}

/// What an action made of its object.
pub(crate) enum Made {
    /// It is as it was.
    Nothing(HeadRow),
    /// Its next revision, which is not written yet.
    Revision(Draft),
}

/// Writes what came of an action, and answers after the commit. Returns the object after it.
pub(crate) fn record(
    s: &mut Step<'_, '_>,
    origin: &Origin,
    act: &Act,
    outcome: Outcome,
    made: Made,
) -> Result<ObjectKey, StoreError> {
    let (head, after) = write(s, origin, act, &outcome, made)?;
    s.out.push(Effect::Event(Event::Acted {
        key: after.key,
        id: act.action.id,
        name: act.action.name.clone(),
        origin: origin.kernel,
        acting: act.action.acting,
        outcome: outcome.clone(),
    }));
    let key = head.header.key();
    s.engine.moving.touch(&key);
    answer(s, origin, act, Said { outcome, after: Some(after), certificate: head.header.certificate })?;
    Ok(key)
}

/// Writes an action's entry in the history of its object, with the revision that it made: the one road for change.
pub(crate) fn write(
    s: &mut Step<'_, '_>,
    origin: &Origin,
    act: &Act,
    outcome: &Outcome,
    made: Made,
) -> Result<(HeadRow, After), StoreError> {
    let place = lane_key(&act.lane, origin);
    let known = marks::lane(s, &place)?;
    if known.is_none() && origin.kernel != s.ctx.me {
        object::charge(s, &origin.kernel, i64::try_from(object::LANE_COST_BYTES).unwrap_or(i64::MAX))?;
    }
    let (before, base, header) = match &made {
        Made::Nothing(head) => (Some(head), head.header.id(), &head.header),
        Made::Revision(draft) => (draft.before(), draft.base(), draft.header()),
    };
    let mut tip = history::tip(s.txn, before)?;
    if mutant!(BrokenLedger) {
        tip.hash = Hash::from_bytes([0; 32]);
    }
    let place_row = PlaceRow {
        number: tip.number + 1,
        previous: tip.hash,
        before: base,
        outcome: outcome.hash(),
        status: Some(OutcomeStatus::from(outcome)),
        revision: header.revision,
        content: header.content,
        certificate: header.certificate,
    };
    // An origin here has it as soon as this is written.
    let forgets = mutant!(ForgetResult);
    let kept = (origin.kernel != s.ctx.me && !forgets).then(|| outcome.clone());
    let told = (s.engine.limits.told_rows > 0).then(|| Summary::new(&act.action));
    let mut row = LedgerRow {
        id: act.action.id,
        hash: act.action.hash(&act.lane.key.uuid),
        told: if kept.is_some() { told } else { told.map(|told| told.with_result_of(outcome)) },
        outcome: kept,
        // The id of a revision holds the hash of the entry that makes it: it is filled in below.
        after: Some(After { key: header.key(), revision: base }),
        at_ms: s.ctx.now_ms,
        place: Some(place_row),
    };
    let tip = Tip::of(&row.entry_at(&place_row, &act.lane.key, origin, act.sequence));
    let head = match made {
        Made::Nothing(head) => {
            let head = HeadRow { tip: Some(tip), ..head };
            s.txn.put(Table::Head, &head.header.key().to_row(), &head);
            head
        }
        Made::Revision(draft) => {
            let cause = Cause {
                origin: origin.kernel,
                incarnation: origin.incarnation,
                sequence: act.sequence,
                id: act.action.id,
                acting: act.action.acting,
            };
            draft.write(s, cause, tip)?
        }
    };
    let after = After { key: head.header.key(), revision: head.header.id() };
    row.after = Some(after);
    s.txn.put(Table::Ledger, &ledger_key(&place, act.sequence), &row);
    marks::recorded(s, act, (&place, known), (&after.key, tip.number))?;
    Ok((head, after))
}

/// A sequence that has its outcome already. The same action gets it again; another one shows that one of the two
/// kernels has lost what it had written, and gets nothing.
pub(crate) fn answer_again(
    s: &mut Step<'_, '_>,
    origin: &Origin,
    lane: &[u8],
    act: &Act,
) -> Result<(), StoreError> {
    let row: Option<LedgerRow> = txn::get(s.txn, Table::Ledger, &ledger_key(lane, act.sequence))?;
    let same = |row: &LedgerRow| row.id == act.action.id && row.hash == act.action.hash(&act.lane.key.uuid);
    match row {
        Some(row) if same(&row) => match row.outcome {
            Some(outcome) => {
                let certificate = row.place.and_then(|place| place.certificate);
                answer(s, origin, act, Said { outcome, after: row.after, certificate })
            }
            // Its floor said that it has it.
            None => Ok(()),
        },
        Some(_) => {
            let event = Event::LaneForked { peer: origin.kernel, key: act.lane.key, sequence: act.sequence };
            s.out.push(Effect::Event(event));
            Ok(())
        }
        None => Ok(()),
    }
}

/// What an origin is told of its action.
pub(crate) struct Said {
    pub outcome: Outcome,
    /// The object after it, if it was recorded.
    pub after: Option<After>,
    /// The one under which it was recorded, if that was here.
    pub certificate: Option<Hash>,
}

impl Said {
    /// Nothing was recorded.
    pub fn refused(code: Code) -> Self {
        Self { outcome: Outcome::Refused(code), after: None, certificate: None }
    }
}

pub(crate) fn answer(s: &mut Step<'_, '_>, origin: &Origin, act: &Act, said: Said) -> Result<(), StoreError> {
    let Said { outcome, after, certificate } = said;
    let commit = Some(peers::told_after_commit(s));
    let (lane, sequence, id) = (act.lane, act.sequence, act.action.id);
    let outcome = ActOutcome { lane, sequence, id, outcome, after, commit, certificate };
    tell(s, origin, Frame::Outcome(outcome))
}

/// Says something to the origin of a lane, which may be this kernel.
pub(crate) fn tell(s: &mut Step<'_, '_>, origin: &Origin, frame: Frame) -> Result<(), StoreError> {
    let peer: KernelId = origin.kernel;
    match frame {
        Frame::Outcome(outcome) if peer == s.ctx.me => ask::outcome(s, peer, &outcome),
        // Here nothing is lost between the two sides.
        _ if peer == s.ctx.me => Ok(()),
        frame => {
            if let Some(conn) = s.up(&peer) {
                s.out.send(peer, conn, frame);
            }
            Ok(())
        }
    }
}
