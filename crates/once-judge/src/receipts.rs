//! Receipts and entries: proofs of what is recorded (protocol 6.4, 8 Later).

use once_model::ids::{Hash, KernelId};
use once_model::receipt::{Entries, Receipt, ReceiptOf};
use once_model::wire::Code;

use crate::check::{Check, How};
use crate::eyes::Eyes;
use crate::home::Row;
use crate::kernel::Kernel;

impl Kernel {
    fn row_of(&self, conn: u64, peer: KernelId, of: &ReceiptOf) -> Option<&Row> {
        let lane = self.lane_of(conn, peer, of.lane)?;
        self.home.row(&lane, of.sequence).filter(|row| row.id == of.id)
    }

    /// A receipt leaves: it is of the action that was asked for, and true.
    pub(crate) fn receipt_left(
        &mut self,
        conn: u64,
        stream: u64,
        peer: KernelId,
        receipt: &Receipt,
        eyes: &mut Eyes<'_>,
    ) {
        let Some(of) = self.clients.receipts.remove(&(conn, stream)) else {
            return eyes.not_made(Check::ReceiptTrue);
        };
        if self.row_of(conn, peer, &of).is_some_and(|row| row.came) {
            return eyes.not_made(Check::ReceiptTrue);
        }
        let right = self.row_of(conn, peer, &of).is_some_and(|row| self.is_true(receipt, row));
        eyes.exact(Check::ReceiptTrue, right, || {
            format!("the receipt of sequence {} is of another action, or not true", of.sequence)
        });
    }

    /// Whether a receipt says what is recorded, and proves it.
    pub(crate) fn is_true(&self, receipt: &Receipt, row: &Row) -> bool {
        let at = self.objects.entries.get(&row.entry).map(|(_, at)| *at);
        receipt.entry.hash() == row.entry
            && receipt.outcome.as_ref().is_none_or(|outcome| *outcome == row.outcome)
            && Some(receipt.at_ms) == at
            && receipt.chain.is_some() == receipt.entry.object.lineage().is_some()
            && receipt.verify(&self.me).is_ok()
    }

    /// No receipt: nothing is recorded there, or another id, or it is long over.
    pub(crate) fn receipt_denied(
        &self,
        conn: u64,
        peer: KernelId,
        of: &ReceiptOf,
        code: Code,
        eyes: &mut Eyes<'_>,
    ) {
        let lane = self.lane_of(conn, peer, of.lane);
        let mark = lane.map_or(0, |lane| self.home.mark(&lane));
        let over = mark.saturating_sub(of.sequence) >= eyes.limits.ledger_rows;
        // It may have been asked for before the row was there: only what is on the disk for a commit longer counts.
        let there = self.row_of(conn, peer, of).is_some_and(|row| !row.came)
            && eyes.disk.is_some_and(|disk| disk.row_of_lane(lane, of))
            && !over;
        let right = if code == Code::Denied { !there } else { matches!(code, Code::Busy | Code::Stopping) };
        eyes.check(Check::ReceiptTrue, How::exact_if(!over), right, || {
            format!("no receipt of sequence {}, which is recorded ({})", of.sequence, code.name())
        });
    }

    fn row_of_lane(&self, lane: Option<crate::eyes::LaneId>, of: &ReceiptOf) -> bool {
        lane.is_some_and(|lane| self.home.row(&lane, of.sequence).is_some_and(|row| row.id == of.id))
    }

    /// Entries leave: those of the object, each the one before the one in front of it.
    pub(crate) fn entries_left(&mut self, conn: u64, peer: KernelId, entries: &Entries, eyes: &mut Eyes<'_>) {
        let asked = self
            .clients
            .entries
            .iter()
            .position(|(on, of)| *on == conn && of.key == entries.key && of.newest == entries.newest);
        let Some(asked) = asked else { return eyes.not_made(Check::EntriesTrue) };
        self.clients.entries.remove(asked);
        if entries.entries.is_empty() {
            return eyes.not_made(Check::EntriesTrue);
        }
        let mut next: Hash = entries.newest;
        let row = entries.entries.iter().all(|entry| {
            let right = entry.hash() == next && self.objects.entries.contains_key(&next);
            next = entry.previous;
            right
        });
        let few = entries.entries.len() <= once_model::limits::ENTRIES_MAX;
        eyes.exact(Check::EntriesTrue, row && few, || format!("entries of {} that are none", entries.key));
        let head = self.objects.find(&entries.key);
        let may = head.map_or(crate::rights::Tri::No, |head| self.may_have_read(peer, head));
        eyes.check(Check::ReadAllowed, How::exact_if(may.sure()), may.can(), || {
            format!("entries of {} go to {}, who may not read it", entries.key, peer.short())
        });
    }
}
