//! Receipts of what was asked here: from the home that recorded it, also if the object has moved on since.

use std::time::Duration;

use once_core::act::Requested;
use once_core::{archive, object};
use once_model::action::Outcome;
use once_model::ids::{KernelId, Uuid};
use once_model::receipt::{Receipt, ReceiptOf};

use crate::acting::{nothing_known, unknown};
use crate::error::OrError;
use crate::{Error, Kernel, net};

impl Kernel {
    /// The receipt of an action that was accepted here, from the home that recorded it.
    pub(crate) async fn proof(&self, id: Uuid, timeout: Duration) -> Result<Receipt, Error> {
        let row = self.shared().requested(&id).or_error()?.ok_or_else(|| nothing_known(id))?;
        if row.outcome.is_none() {
            return Err(unknown(id));
        }
        let homes = self.homes(&row)?;
        let mut missed = None;
        for home in &homes {
            match self.receipt_of(home, &row, id, timeout).await {
                Ok(Some(receipt)) => return self.checked(receipt, (home, &homes), row, id),
                Ok(None) => {}
                Err(error) => missed = missed.or(Some(error)),
            }
        }
        let asked: Vec<_> = homes.iter().map(|home| self.shared().called(home)).collect();
        Err(missed.unwrap_or_else(|| {
            Error::not_found(format!("kernel {} keeps no record of the action {id}", asked.join(", or ")))
                .with_hint(
                    "what was refused for want of a right is not recorded, and what is long over is dropped",
                )
        }))
    }

    /// Who may have recorded it: who said the outcome, and every other home that the object has had, the newest first.
    fn homes(&self, row: &Requested) -> Result<Vec<KernelId>, Error> {
        let snapshot = self.shared().snapshot();
        let here = object::find(&snapshot, &row.key.uuid, Some(row.key.line)).or_error()?;
        let named = row.after.map(|after| after.key).into_iter().chain([row.key]);
        let mut keys = named.chain(here.iter().map(|head| head.header.key()));
        let chain = match keys.find_map(|key| key.lineage()) {
            Some(lineage) => object::chain(&snapshot, &lineage).or_error()?,
            None => None,
        };
        let of_chain: Vec<_> = chain.iter().flat_map(|chain| chain.homes()).collect();
        let mut homes = vec![row.home];
        for home in of_chain.into_iter().rev() {
            if !homes.contains(&home) {
                homes.push(home);
            }
        }
        Ok(homes)
    }

    async fn receipt_of(
        &self,
        home: &KernelId,
        row: &Requested,
        id: Uuid,
        timeout: Duration,
    ) -> Result<Option<Receipt>, Error> {
        let of = ReceiptOf { lane: row.key.into(), sequence: row.sequence, id };
        if *home != self.id() {
            let session = self.session(*home, timeout).await?;
            let answer = net::receipt(self.online()?, &session, of, timeout).await;
            // Another connection has taken its place, or it was a dead one: asked once more on the next.
            if answer.is_ok() || session.connection.close_reason().is_none() {
                return answer;
            }
            let session = self.session(*home, timeout).await?;
            return net::receipt(self.online()?, &session, of, timeout).await;
        }
        let snapshot = self.shared().snapshot();
        let origin = (*home, once_core::meta::incarnation(&snapshot).or_error()?);
        archive::receipt(&snapshot, &self.shared().key, origin, &of).or_error()
    }

    /// It is what was asked for, and proven.
    fn checked(
        &self,
        mut receipt: Receipt,
        (home, homes): (&KernelId, &[KernelId]),
        row: Requested,
        id: Uuid,
    ) -> Result<Receipt, Error> {
        let called = self.shared().called(home);
        let wrong = |why: String| Error::invalid(format!("the receipt of kernel {called}: {why}"));
        // A former home may have given what it recorded to the one that was asked.
        let signer = if homes.contains(&receipt.home) { receipt.home } else { *home };
        receipt.verify(&signer).map_err(|error| wrong(error.to_string()))?;
        let told = row.outcome.as_ref().map(Outcome::hash);
        let (entry, me) = (&receipt.entry, self.id());
        if (entry.id, entry.action, entry.origin, entry.sequence) != (id, row.hash, me, row.sequence)
            || told != Some(entry.outcome)
        {
            return Err(wrong("it is for another action".into()));
        }
        // The home drops a result once it is here; the hash of it is signed.
        if receipt.outcome.is_none() {
            receipt.outcome = row.outcome.filter(|outcome| outcome.hash() == receipt.entry.outcome);
        }
        Ok(receipt)
    }
}
