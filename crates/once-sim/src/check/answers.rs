//! Promise 4 for objects: what came of an effect is told to its object, and never refused for want of somebody who can
//! tell it. Only a person gives it up: then it is a recorded void.

use once_core::act::{LedgerRow, QueueRow};
use once_core::store::Table;
use once_core::txn;
use once_core::waist::{Command, Input};
use once_model::archive::OutcomeStatus;
use once_model::wire::Code;

use super::{Checker, Group};

impl Checker {
    pub(super) fn answers(&mut self, group: &Group<'_>) {
        let mut wrong = Vec::new();
        let rows = || group.commit.iter().flat_map(|commit| &commit.rows);
        let ended = rows().filter(|row| row.table == Table::Queue && row.after.is_none());
        for row in ended {
            let before = row.before.as_ref().and_then(|row| txn::decode(Table::Queue, row).ok());
            let Some(QueueRow::Waiting(queued)) = before else { continue };
            if queued.action.answers.is_none() {
                continue;
            }
            let id = queued.action.id;
            let dropped = |input: &Input| matches!(input, Input::Command { command: Command::Drop { id: dropped, .. }, .. } if *dropped == id);
            let given_up = queued.void == Some(Code::Cancelled) || group.inputs.iter().any(dropped);
            let ledger = rows().filter(|row| row.table == Table::Ledger);
            let recorded = ledger
                .filter_map(|row| txn::decode::<LedgerRow>(Table::Ledger, row.after.as_ref()?).ok())
                .find(|ledger| ledger.id == id);
            let status = recorded.and_then(|ledger| ledger.place?.status);
            if let Some(OutcomeStatus::Refused(code)) = status
                && !(given_up && code == Code::Cancelled)
            {
                wrong.push(format!("the answer {id} was refused for ever: {}", code.name()));
            }
        }
        for what in wrong {
            self.violation(4, &group.kernel, group.at_ms, what);
        }
    }
}
