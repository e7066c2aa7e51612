//! What the engine's thread and everyone else share.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use once_core::events::Cursor;
use once_core::shell::{ToldEarly, acts};
use once_core::store::StoreError;
use once_core::waist::{Answer, Command};
use once_core::{Refusal, act};
use once_model::ids::{KernelId, Uuid};
use once_model::sign::KernelKey;
use tokio::sync::{mpsc, oneshot};

use super::kept::Kept;
use super::lack::{Lack, what_to_free};
use super::mail::{Mail, Unanswered};
use super::snapshot::Snapshot;
use crate::Error;
use crate::catalog::Catalog;
use crate::component::Components;
use crate::error::IntoError;
use crate::metrics::Metrics;
use crate::tidy::Tidy;
use crate::troubles::Troubles;

/// What the engine's thread and everyone else share.
pub(crate) struct Shared {
    pub key: KernelKey,
    pub me: KernelId,
    pub data: PathBuf,
    pub components: Arc<Components>,
    /// What is kept of the past.
    pub kept: Kept,
    pub mail: mpsc::Sender<Mail>,
    /// The place of the newest event of which all that rests on it was told: whoever wants to know what happens reads the event log up
    /// to there.
    pub happened: tokio::sync::watch::Sender<Cursor>,
    pub metrics: Mutex<Metrics>,
    pub tidy: Arc<Tidy>,
    /// By what objects are found.
    pub catalog: Catalog,
    /// Lanes that do not go on.
    pub troubles: Mutex<Troubles>,
    /// Outcomes that clients were told and the last commit does not show.
    pub told_early: Mutex<ToldEarly>,
    /// The store as of the last commit. A snapshot must not be taken during a commit, so the engine takes it after.
    pub(super) snapshot: RwLock<Snapshot>,
    /// What was cut off the journal and not confirmed: read when the store is opened, so that telling it needs no file.
    pub losses: Mutex<Vec<once_store::Loss>>,
    /// Set while the engine lacks room on the disk, or files: it only reads.
    pub only_reads: AtomicBool,
    /// How often drains were cancelled: who drains looks at it.
    pub drains_cancelled: AtomicU64,
    /// Which files of the store are damaged, for people, if any is known to be.
    pub damage: Mutex<Option<String>>,
    /// Why the engine stopped by itself.
    pub fault: tokio::sync::watch::Sender<Option<Error>>,
}

impl Shared {
    /// The store as of the last commit.
    pub fn snapshot(&self) -> Snapshot {
        self.snapshot.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What is known of an action that a client asked for here: never less than somebody was told of it.
    pub fn requested(&self, id: &Uuid) -> Result<Option<act::Requested>, StoreError> {
        // Before the snapshot: what is taken out of here meanwhile is in that one.
        let told = crate::net::lock(&self.told_early).get(id);
        let mut row = act::request(&self.snapshot(), id)?;
        if let (Some(row), Some((outcome, after))) = (&mut row, told)
            && row.outcome.is_none()
        {
            (row.outcome, row.after) = (Some(outcome), after);
        }
        Ok(row)
    }

    /// Carries a command out.
    pub async fn command(&self, command: Command) -> Result<Answer, Error> {
        let acts = acts(&command);
        let (reply, answer) = oneshot::channel();
        let done = match self.mail.send(Mail::Command(command, reply)).await {
            // The engine had ended before: nobody has seen the command.
            Err(_) => Err(self.gone()),
            Ok(()) => match answer.await {
                Ok(Ok(answer)) => Ok(answer),
                Ok(Err(Unanswered::Refused(refusal))) => Err(self.refused(refusal)),
                Ok(Err(Unanswered::CutOff(lack))) => Err(match (acts, lack) {
                    (Some(id), lack) => Error::outcome_unknown(id, &lack.to_string()),
                    (None, Lack::Room) => {
                        Unanswered::CutOff(lack).into_error().with_hint(what_to_free(&self.data))
                    }
                    (None, Lack::Files) => Unanswered::CutOff(lack).into_error(),
                    (None, Lack::Damage) => {
                        Unanswered::CutOff(lack).into_error().hinting(Refusal::StoreDamaged.hint())
                    }
                }),
                Err(_) => Err(match acts {
                    Some(id) => Error::outcome_unknown(id, self.gone().message()),
                    None => self.gone(),
                }),
            },
        };
        done.map_err(|error| match acts {
            Some(id) => error.about(id),
            None => error,
        })
    }

    /// Why the engine answers no more.
    pub fn gone(&self) -> Error {
        self.fault.borrow().clone().unwrap_or_else(Error::stopping)
    }
}
