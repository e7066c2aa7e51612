//! What cannot be read: the objects, and whatever else rows belong to, that stand still by a fault of this disk. Only in
//! memory: it is found again when it is touched again.

use std::collections::BTreeMap;
use std::fmt;

use once_model::ids::ObjectKey;

use crate::store::Table;

/// Damaged rows that are remembered. There are rarely more, and each is found again.
const PARKED_MAX: usize = 1024;

/// A row that is not what this version writes, or that is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The table of the row that cannot be read.
    pub table: Table,
    /// Its key; nothing if it is not known.
    pub row: Vec<u8>,
    /// The object that stands still because of it, if it belongs to one.
    pub object: Option<ObjectKey>,
    /// What is wrong with it.
    pub reason: String,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "what the store has of {} is damaged", self.table.holds())?;
        if let Some(object) = &self.object {
            write!(f, " (object {object})")?;
        }
        write!(f, ": {}", self.reason)
    }
}

/// The damage that was found since this engine began.
#[derive(Debug, Default)]
pub(crate) struct Parked(BTreeMap<(Table, Vec<u8>, Option<ObjectKey>), Damage>);

impl Parked {
    pub fn park(&mut self, damage: &Damage) {
        if self.0.len() < PARKED_MAX {
            self.0.insert((damage.table, damage.row.clone(), damage.object), damage.clone());
        }
    }

    pub fn list(&self) -> Vec<Damage> {
        self.0.values().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use once_model::action::Outcome;

    use crate::store::Table;
    use crate::testing::Alone;
    use crate::waist::{Answer, Command, Input, LinkEvent};

    /// Whatever row is damaged: the kernel starts, and an object that it does not belong to acts, is shared and removed.
    #[test]
    fn a_damaged_row_holds_up_nothing_else() {
        let (kernel, objects) = Alone::populated();
        let free = objects[0];
        let mut noticed = 0;
        for (table, key, _) in kernel.rows() {
            if table == Table::Meta {
                continue;
            }
            let mut damaged = kernel.with_row(table, &key, b"\xff");
            let peer = damaged.peer_id(9);
            let event = LinkEvent::Up { conn: 1, dialled: true, address: None };
            damaged.input(Input::Link { peer, event });
            damaged.ctx.now_ms += 70_000;
            damaged.ring(|_| true);
            // Of what cannot be read, whatever is asked is refused.
            for (n, object) in (100..).zip(&objects) {
                if *object != free {
                    let _ = damaged.try_act(*object, n);
                    let _ = damaged.try_command(Command::Share { key: *object, to: peer, delivered: false });
                    let _ = damaged.try_command(Command::Remove { key: *object });
                }
            }
            let _ = damaged.try_command(Command::RemovePeer { peer });
            noticed += damaged.damaged().len();
            let of = crate::of_object::object_of(table, &key);
            let mine = of.is_some_and(|of| of.uuid == free.uuid || of.line == free.line);
            if !mine {
                let token = damaged.act(free, 999);
                let answer = damaged.answered.get(&token);
                let done = matches!(answer, Some(Answer::Acted { outcome: Outcome::Done(_), .. }));
                assert!(done, "{table:?}: {answer:?}, {:?}", damaged.refused.get(&token));
            }
        }
        assert!(noticed > 20, "{noticed}");
    }
}
