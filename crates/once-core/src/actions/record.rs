//! What came of an action is written, and answered after the commit.

use std::ops::ControlFlow;

use once_model::action::{Act, ActOutcome, After, BUILT_IN_FROM, Outcome};
use once_model::header::Cause;
use once_model::ids::{Hash, KernelId, ObjectKey};
use once_model::limits::LEDGER_KEPT_ROWS;
use once_model::wire::Frame;

use super::home::Come;
use super::rows::{LaneRow, LedgerRow, Origin, OutcomeStatus, PlaceRow, ToldRow, lane_key, ledger_key};
use super::{history, origin};
use crate::content::{self, Draft};
use crate::peers;
use crate::rows::{self, HeadRow};
use crate::step::Step;
use crate::store::{Read, StoreError, Table};
use crate::txn;
use crate::waist::{Effect, Event};

/// An action has ended, and its object is as it was.
pub(super) fn end(
    s: &mut Step<'_, '_>,
    come: &Come,
    outcome: Outcome,
    head: HeadRow,
) -> Result<(), StoreError> {
    record(s, &come.origin, &come.act, outcome, Made::Nothing(head)).map(drop)
}

/// What an action made of its object.
pub(super) enum Made {
    /// It is as it was.
    Nothing(HeadRow),
    /// Its next revision, which is not written yet.
    Revision(Draft),
}

/// Writes what came of an action, and answers after the commit. Returns the object after it.
pub(super) fn record(
    s: &mut Step<'_, '_>,
    origin: &Origin,
    act: &Act,
    outcome: Outcome,
    made: Made,
) -> Result<ObjectKey, StoreError> {
    let (head, after) = write(s, origin, act, &outcome, made)?;
    s.out.push(Effect::Event(Event::Acted { key: after.key, id: act.action.id, outcome: outcome.clone() }));
    answer(s, origin, act, outcome, Some(after))?;
    Ok(head.header.key())
}

/// Writes an action's entry in the history of its object, with the revision that it made: the one road for change.
pub(super) fn write(
    s: &mut Step<'_, '_>,
    origin: &Origin,
    act: &Act,
    outcome: &Outcome,
    made: Made,
) -> Result<(HeadRow, After), StoreError> {
    let place = lane_key(&act.lane.key, origin);
    let known: Option<LaneRow> = txn::get(s.txn, Table::Lane, &place)?;
    if known.is_none() && origin.kernel != s.ctx.me {
        content::charge(s, &origin.kernel, i64::try_from(rows::LANE_COST_BYTES).unwrap_or(i64::MAX))?;
    }
    let lane = known.unwrap_or_default();
    let is_built_in = act.sequence >= BUILT_IN_FROM;
    let (mark, kept_from) = if is_built_in {
        (lane.mark, lane.kept_from)
    } else {
        (act.sequence, forget_results(s, &place, lane.kept_from, act.floor.min(act.sequence))?)
    };
    let (before, base, header) = match &made {
        Made::Nothing(head) => (head.header.key(), head.header.id(), &head.header),
        Made::Revision(draft) => (draft.key_before(), draft.base(), draft.header()),
    };
    let tip = history::tip(s, &before)?;
    let place_row = PlaceRow {
        number: tip.number + 1,
        previous: if mutant!(BrokenLedger) { Hash::from_bytes([0; 32]) } else { tip.hash },
        before: base,
        outcome: outcome.hash(),
        status: Some(OutcomeStatus::from(outcome)),
        revision: header.revision,
        content: header.content,
        certificate: header.certificate,
    };
    let mut row = LedgerRow {
        id: act.action.id,
        hash: act.action.hash(&act.lane.key.uuid),
        // An origin here has it as soon as this is written.
        outcome: (origin.kernel != s.ctx.me && !mutant!(ForgetResult)).then(|| outcome.clone()),
        // The id of a revision holds the hash of the entry that makes it: it is filled in below.
        after: Some(After { key: header.key(), revision: base }),
        at_ms: s.ctx.now_ms,
        place: Some(place_row),
        told: (s.engine.told_rows > 0).then(|| ToldRow::new(&act.action, outcome)),
    };
    let tip = history::grow(s, &before, &row, &act.lane.key, origin, act.sequence);
    let head = match made {
        Made::Nothing(head) => head,
        Made::Revision(draft) => {
            let cause = Cause {
                origin: origin.kernel,
                incarnation: origin.incarnation,
                sequence: act.sequence,
                id: act.action.id,
                acting: act.action.acting,
            };
            draft.write(s, cause, tip.hash)?
        }
    };
    let after = After { key: head.header.key(), revision: head.header.id() };
    row.after = Some(after);
    if !mutant!(ForgetMark) || is_built_in {
        s.txn.put(Table::Lane, &place, &LaneRow { mark, kept_from, tip: Some(tip) });
    }
    s.txn.put(Table::Ledger, &ledger_key(&place, act.sequence), &row);
    if let Some(old) = act.sequence.checked_sub(s.engine.told_rows) {
        forget_told(s, &ledger_key(&place, old))?;
    }
    if is_built_in {
        forget_built_ins(s, &place, tip.number)?;
    }
    Ok((head, after))
}

/// What was asked and said so long ago is not shown any more; that it ran stays.
fn forget_told(s: &mut Step<'_, '_>, place: &[u8]) -> Result<(), StoreError> {
    let row: Option<LedgerRow> = txn::get(s.txn, Table::Ledger, place)?;
    if let Some(row) = row.filter(|row| row.told.is_some()) {
        s.txn.put_lazily(Table::Ledger, place, &LedgerRow { told: None, ..row });
    }
    Ok(())
}

/// Of the built-in actions of a kernel, those that are long over go whole, a few at once.
fn forget_built_ins(s: &mut Step<'_, '_>, lane: &[u8], number: u64) -> Result<(), StoreError> {
    const AT_ONCE: usize = 8;
    let Some(old) = number.checked_sub(LEDGER_KEPT_ROWS) else { return Ok(()) };
    let (from, to) = (ledger_key(lane, BUILT_IN_FROM), ledger_key(lane, BUILT_IN_FROM + old + 1));
    let mut found = Vec::new();
    s.txn.scan(Table::Ledger, &from, Some(&to), &mut |key, _| {
        found.push(key.to_vec());
        if found.len() < AT_ONCE { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    for key in found {
        s.txn.delete_lazily(Table::Ledger, &key);
    }
    Ok(())
}

/// Results that the origin has on its disk are dropped here; that they ran stays. At most a few at once: the floor
/// moves with every action.
fn forget_results(s: &mut Step<'_, '_>, lane: &[u8], from: u64, floor: u64) -> Result<u64, StoreError> {
    const AT_ONCE: u64 = 8;
    let from = from.max(1);
    let to = floor.min(from.saturating_add(AT_ONCE));
    for sequence in from..to {
        let place = ledger_key(lane, sequence);
        let row: Option<LedgerRow> = txn::get(s.txn, Table::Ledger, &place)?;
        if let Some(row) = row.filter(|row| row.outcome.is_some()) {
            s.txn.put_lazily(Table::Ledger, &place, &LedgerRow { outcome: None, ..row });
        }
        // What is long over goes whole: the mark says that it ran.
        if let Some(old) = sequence.checked_sub(LEDGER_KEPT_ROWS) {
            s.txn.delete_lazily(Table::Ledger, &ledger_key(lane, old));
        }
    }
    Ok(to.max(from))
}

/// A sequence that has its outcome already. The same action gets it again; another one shows that one of the two
/// kernels has lost what it had written, and gets nothing.
pub(super) fn answer_again(
    s: &mut Step<'_, '_>,
    origin: &Origin,
    lane: &[u8],
    act: &Act,
) -> Result<(), StoreError> {
    let row: Option<LedgerRow> = txn::get(s.txn, Table::Ledger, &ledger_key(lane, act.sequence))?;
    let same = |row: &LedgerRow| row.id == act.action.id && row.hash == act.action.hash(&act.lane.key.uuid);
    match row {
        Some(row) if same(&row) => match row.outcome {
            Some(outcome) => answer(s, origin, act, outcome, row.after),
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

pub(super) fn answer(
    s: &mut Step<'_, '_>,
    origin: &Origin,
    act: &Act,
    outcome: Outcome,
    after: Option<After>,
) -> Result<(), StoreError> {
    let commit = Some(peers::told_after_commit(s));
    let certificate = match &after {
        Some(after) => rows::head(s.txn, &after.key)?.and_then(|head| head.header.certificate),
        None => None,
    };
    let (lane, sequence, id) = (act.lane, act.sequence, act.action.id);
    let outcome = ActOutcome { lane, sequence, id, outcome, after, commit, certificate };
    tell(s, origin, Frame::Outcome(outcome))
}

/// Says something to the origin of a lane, which may be this kernel.
pub(super) fn tell(s: &mut Step<'_, '_>, origin: &Origin, frame: Frame) -> Result<(), StoreError> {
    let peer: KernelId = origin.kernel;
    match frame {
        Frame::Outcome(outcome) if peer == s.ctx.me => origin::outcome(s, peer, &outcome),
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
