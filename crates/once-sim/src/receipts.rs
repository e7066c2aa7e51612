//! Receipts, once everything has healed: each origin asks the kernels that have recorded an action of it, today's homes and former
//! ones, for the proof of that (protocol 6.4). Nothing is drawn by lot, and nothing changes.

use std::ops::ControlFlow;

use once_core::store::{Read, Store, Table};
use once_core::{archive, peers};
use once_judge::seen::Direction;
use once_model::action::{BUILT_IN_FROM, LaneName};
use once_model::ids::{Incarnation, KernelId, ObjectKey, Uuid};
use once_model::receipt::ReceiptOf;
use once_model::wire::{Absent, Code, Frame};

use crate::check;
use crate::disk::Disk;
use crate::judged::Stream;
use crate::net::Who;
use crate::world::World;

/// So many are asked for of each kernel.
const OF_KERNEL: usize = 48;

/// A place of a lane that a kernel has recorded, and whose lane that is.
struct Place {
    origin: KernelId,
    incarnation: Incarnation,
    of: ReceiptOf,
}

impl World {
    /// Origins ask for receipts.
    pub(crate) fn ask_for_receipts(&mut self) {
        let mut stream = 1;
        for index in (0..self.nodes.len()).filter(|index| self.nodes[*index].is_up()).collect::<Vec<_>>() {
            for place in recorded(&self.nodes[index].disk) {
                let asker = self.who.get(&place.origin).copied();
                let Some(conn) = asker.and_then(|asker| self.net.between(Who::Kernel(index), asker)) else {
                    continue;
                };
                // Of an earlier life of the origin nothing is given any more.
                let row = peers::peer(&self.nodes[index].disk, &place.origin).ok().flatten();
                let life = row.and_then(|row| row.seen.first().map(|seen| seen.incarnation));
                if life == Some(place.incarnation) {
                    let at = Stream { node: index, peer: place.origin, conn, stream };
                    self.receipt(at, &place);
                    stream += 1;
                }
            }
        }
    }

    fn receipt(&mut self, at: Stream, place: &Place) {
        let node = &self.nodes[at.node];
        let origin = (place.origin, place.incarnation);
        let answer = match archive::receipt(&node.disk.snapshot(), &node.key, origin, &place.of) {
            Ok(Some(receipt)) => Frame::Receipt(Box::new(receipt)),
            Ok(None) => Frame::Absent(Absent { call: 0, code: Code::Denied }),
            Err(error) => return self.violated(4, at.node, format!("a receipt cannot be made: {error}")),
        };
        self.cover.met("frame ReceiptOf");
        self.judge_frame(at, Direction::In, &Frame::ReceiptOf(place.of));
        self.judge_frame(at, Direction::Out, &answer);
    }
}

/// The newest places that a kernel has recorded of others.
fn recorded(disk: &Disk) -> Vec<Place> {
    let mut found = Vec::new();
    let read = disk.scan(Table::Ledger, &[], None, &mut |row, value| {
        found.extend(place(row, &value));
        ControlFlow::Continue(())
    });
    let first = found.len().saturating_sub(OF_KERNEL);
    if read.is_err() { Vec::new() } else { found.split_off(first) }
}

/// The row's key is the lane and the sequence, a lane's is its name, the origin and its incarnation (docs/store.md, 33).
fn place(row: &[u8], value: &bytes::Bytes) -> Option<Place> {
    let (lane, sequence) = row.split_last_chunk()?;
    let (rest, incarnation) = lane.split_last_chunk::<{ Incarnation::LEN }>()?;
    let key = ObjectKey::from_row(rest.get(..ObjectKey::ROW_LEN)?)?;
    let sequence = u64::from_be_bytes(*sequence);
    let id: Uuid = check::ledger::id_of(value)?;
    let of = ReceiptOf { lane: LaneName { key, takeover: None }, sequence, id };
    let origin = check::rows::origin_of_lane(lane)?;
    let incarnation = Incarnation::from_bytes(*incarnation);
    (sequence < BUILT_IN_FROM).then_some(Place { origin, incarnation, of })
}
