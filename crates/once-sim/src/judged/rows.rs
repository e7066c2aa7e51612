//! What a step wrote, in the words of the judge: places of lanes and histories, revisions, what is gone.

use std::collections::{BTreeMap, BTreeSet};

use once_core::act::{LedgerRow, QueueRow};
use once_core::object::{self, HeadRow};
use once_core::store::{Read, StoreError, Table};
use once_core::txn::{self, Savepoint, Txn, Write};
use once_core::waist::Arrival;
use once_judge::seen::{Kept, Recorded, Revised};
use once_model::action::{LaneName, Outcome};
use once_model::certificate::Chain;
use once_model::header::Header;
use once_model::ids::{Hash, Incarnation, KernelId, Line, ObjectKey, Uuid};
use once_model::moving::Handoff;
use once_model::receipt::Entry;

use super::leaving;

/// The tables that it looks at.
const TABLES: [Table; 8] = [
    Table::Meta,
    Table::Boot,
    Table::Head,
    Table::Conflict,
    Table::Ledger,
    Table::Queue,
    Table::Activity,
    Table::Leaving,
];

/// One thing that was written.
#[derive(Debug)]
pub(super) enum Row {
    Recorded(Box<Recorded>),
    Kept(Box<Kept>),
    Sealed(Box<Handoff>),
    Dropped(ObjectKey),
}

/// What one step has written.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub rows: Vec<Row>,
    /// Places of actions in lanes of this kernel: the action's id and the sequence.
    pub places: Vec<(Uuid, u64)>,
    /// Work outside that has ended.
    pub worked: Vec<Uuid>,
    /// The start of the process that begins.
    pub boot: Option<u64>,
    /// The life that begins.
    pub incarnation: Option<Incarnation>,
}

/// Reads what a step has written since `from`. What came of actions is found by its hash in `said`.
pub(super) fn read(
    txn: &Txn<'_>,
    from: Savepoint,
    said: &BTreeMap<Hash, Outcome>,
    arrival: Option<&Arrival>,
) -> Result<Rows, StoreError> {
    let writes = txn.writes_since(from, &TABLES)?;
    let places: Vec<_> = writes.iter().map(place).collect();
    let entries: BTreeSet<Hash> = places.iter().flatten().map(|place| place.entry.hash()).collect();
    let mut reader = Reader { txn, arrival, entries, made: BTreeMap::new(), found: Rows::default() };
    for (write, place) in writes.iter().zip(places) {
        match write.table {
            Table::Ledger => reader.recorded(place, said)?,
            Table::Head => reader.head(write)?,
            Table::Conflict => reader.conflict(write)?,
            Table::Queue => reader.queue(write),
            Table::Leaving => reader.leaving(write)?,
            Table::Activity if write.values[1].is_none() => {
                let id = write.key.last_chunk().copied().map(Uuid::from_bytes);
                reader.found.worked.extend(id);
            }
            Table::Boot if write.values[1].is_some() => {
                let boot = write.key.first_chunk().copied().map(u64::from_be_bytes);
                reader.found.boot = boot.max(reader.found.boot);
            }
            Table::Meta if write.key == b"identity" => {
                reader.found.incarnation = once_core::meta::incarnation(txn).ok();
            }
            _ => {}
        }
    }
    Ok(reader.found)
}

/// A place in a lane at its home that was not there before.
struct Place {
    lane: LaneName,
    row: LedgerRow,
    entry: Entry,
}

fn place(write: &Write) -> Option<Place> {
    let [None, Some(value)] = &write.values else { return None };
    if write.table != Table::Ledger {
        return None;
    }
    let row: LedgerRow = txn::decode(Table::Ledger, value).ok()?;
    let (rest, sequence) = write.key.split_last_chunk::<8>()?;
    let (rest, incarnation) = rest.split_last_chunk::<16>()?;
    let (name, origin) = rest.split_last_chunk::<32>()?;
    let (key, takeover) = name.split_at_checked(ObjectKey::ROW_LEN)?;
    let lane = LaneName {
        key: ObjectKey::from_row(key)?,
        takeover: takeover.get(1..).filter(|takeover| !takeover.is_empty()).and_then(Hash::from_slice),
    };
    let at = row.place?;
    let entry = Entry {
        object: row.after.map_or(lane.key, |after| after.key),
        number: at.number,
        previous: at.previous,
        origin: KernelId::from_bytes(*origin),
        incarnation: Incarnation::from_bytes(*incarnation),
        sequence: u64::from_be_bytes(*sequence),
        id: row.id,
        action: row.hash,
        outcome: at.outcome,
        before: at.before,
        revision: at.revision,
        content: at.content,
        certificate: at.certificate,
    };
    Some(Place { lane, row, entry })
}

struct Reader<'a, 't> {
    txn: &'a Txn<'t>,
    arrival: Option<&'a Arrival>,
    /// The entries that this step makes.
    entries: BTreeSet<Hash>,
    /// Revisions that were written, and whose entry comes next.
    made: BTreeMap<Hash, Header>,
    found: Rows,
}

impl Reader<'_, '_> {
    fn recorded(&mut self, place: Option<Place>, said: &BTreeMap<Hash, Outcome>) -> Result<(), StoreError> {
        let Some(Place { lane, row, entry }) = place else { return Ok(()) };
        let null = Outcome::Done("null".into());
        let outcome = row.outcome.or_else(|| said.get(&entry.outcome).cloned()).unwrap_or(null);
        let revision = match self.made.remove(&entry.hash()) {
            Some(header) => self.chain(&header)?.map(|chain| Revised { header, chain }),
            None => None,
        };
        self.found.rows.push(Row::Recorded(Box::new(Recorded { lane, entry, outcome, revision })));
        Ok(())
    }

    fn chain(&self, header: &Header) -> Result<Option<Chain>, StoreError> {
        match &header.lineage {
            Some(lineage) => object::chain(self.txn, lineage),
            None => Ok(None),
        }
    }

    fn head(&mut self, write: &Write) -> Result<(), StoreError> {
        let [before, after] = write.values.each_ref().map(|value| decode(value.as_deref()));
        let Some(row) = after else {
            return match before {
                Some(before) => self.gone(&before.header),
                None => Ok(()),
            };
        };
        if before.is_some_and(|before| before.header.id() == row.header.id()) {
            return Ok(());
        }
        if let Some(entry) = row.header.entry.filter(|entry| self.entries.contains(entry)) {
            self.made.insert(entry, row.header);
            return Ok(());
        }
        self.kept(row, false)
    }

    /// A head is gone: what was claimed is there under another name.
    fn gone(&mut self, header: &Header) -> Result<(), StoreError> {
        let key = header.key();
        if let Line::Unclaimed(content) = key.line
            && txn::get::<once_model::ids::Lineage>(
                self.txn,
                Table::Genesis,
                &object::content_key(&key.uuid, &content),
            )?
            .is_some()
        {
            return Ok(());
        }
        self.found.rows.push(Row::Dropped(key));
        Ok(())
    }

    fn conflict(&mut self, write: &Write) -> Result<(), StoreError> {
        let [None, Some(value)] = &write.values else { return Ok(()) };
        match decode(Some(value)) {
            Some(row) if !row.is_replaced() => self.kept(row, true),
            _ => Ok(()),
        }
    }

    fn kept(&mut self, row: HeadRow, beside: bool) -> Result<(), StoreError> {
        let came = self.arrival.filter(|arrival| arrival.header.id() == row.header.id());
        let chain = match came {
            Some(arrival) => arrival.chain.clone(),
            None => self.chain(&row.header)?,
        };
        let kept = Kept { header: row.header, chain, from: row.from, beside };
        self.found.rows.push(Row::Kept(Box::new(kept)));
        Ok(())
    }

    /// An object that is about to leave is sealed.
    fn leaving(&mut self, write: &Write) -> Result<(), StoreError> {
        let [before, after] = &write.values;
        let luggage = self.txn.get(Table::Luggage, &write.key)?;
        let before = leaving::sealed(before.as_deref(), None);
        if let (None, Some(handoff)) = (before, leaving::sealed(after.as_deref(), luggage)) {
            self.found.rows.push(Row::Sealed(Box::new(handoff)));
        }
        Ok(())
    }

    fn queue(&mut self, write: &Write) {
        let value = write.values[1].as_ref();
        let Some(QueueRow::Waiting(row)) = value.and_then(|v| txn::decode(Table::Queue, v).ok()) else {
            return;
        };
        let sequence = write.key.last_chunk().copied().map(u64::from_be_bytes);
        self.found.places.extend(sequence.map(|sequence| (row.action.id, sequence)));
    }
}

fn decode(value: Option<&[u8]>) -> Option<HeadRow> {
    txn::decode(Table::Head, value?).ok()
}
