//! What a kernel learns of where an object lives, without a revision of it.

use once_model::certificate::Chain;
use once_model::ids::ObjectKey;

use super::{HeadRow, chains, rows};
use crate::engine::Step;
use crate::store::{StoreError, Table};

/// Writes down a chain that goes on behind the one that is here, and has a replica name its home of now: what a head says of the
/// home is what the newest certificate says. That an object comes here, or leaves, is more than that, and not done by this.
pub(crate) fn learn_chain(s: &mut Step<'_, '_>, key: &ObjectKey, chain: &Chain) -> Result<(), StoreError> {
    let Some(lineage) = key.lineage() else { return Ok(()) };
    chains::put_chain(s.txn, &lineage, chain)?;
    if mutant!(HeadOfFormerHome) {
        return Ok(());
    }
    let (me, home) = (s.ctx.me, chain.home());
    let head = rows::head(s.txn, key)?;
    let is_replica = |head: &HeadRow| head.home.is_some_and(|known| known != me && known != home);
    if let Some(head) = head.filter(is_replica).filter(|_| home != me) {
        s.txn.put(Table::Head, &key.to_row(), &HeadRow { home: Some(home), ..head });
    }
    Ok(())
}
