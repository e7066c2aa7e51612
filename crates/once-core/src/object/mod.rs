//! What is kept: importing, changing, claiming, removing, and accepting what comes from peers.

mod accept;
mod ancestry;
mod beside;
mod chains;
mod change;
mod changeable;
mod draft;
mod keep;
mod learned;
mod query;
mod revisions;
mod rows;
mod state;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_proofs;
#[cfg(test)]
mod tests_query;
#[cfg(test)]
mod tests_revisions;
mod verify;

pub(crate) use accept::{accept, copy_of, over_quota};
pub(crate) use ancestry::{ask_again, entries};
pub(crate) use beside::{discard, moved as beside_moved, pack as pack_beside, unpack as unpack_beside};
pub use chains::{ChainPartRow, ChainRow, chain};
pub(crate) use chains::{chain_of, genesis, put_chain, try_chains};
pub(crate) use change::{born, changed, claim, create, import, living, put, remove, remove_by_client, take};
pub use changeable::is_of_another_life;
pub(crate) use changeable::{is_of_earlier_life, may_change};
pub(crate) use draft::Draft;
pub(crate) use keep::{charge, has_many_claims, tell_follower};
pub(crate) use learned::learn_chain;
pub use query::{body, conflicts, count_beside, find, heads, heads_after, with_prefix};
pub(crate) use query::{current_key, readable, try_heads};
pub use revisions::{RevisionRow, revision, revision_key, revisions};
pub use rows::{
    HeadRow, LANE_COST_BYTES, SourceRow, body_key, conflict_key, content_key, cost, head, object_peer_key,
    peer_object_key,
};
pub(crate) use state::State;
pub(crate) use verify::verify_but_chain;
pub use verify::{is_asked_for, verify};

use once_model::header::Header;
use once_model::ids::Uuid;
use once_model::scenario::{Identity, Scenario};

/// The header of a scenario as an unclaimed object.
#[must_use]
pub fn unclaimed(scenario: &Scenario) -> Header {
    let (component, version) = described(scenario);
    Header {
        uuid: scenario.uuid(),
        lineage: None,
        epoch: 0,
        revision: 0,
        certificate: None,
        parent: None,
        content: scenario.hash(),
        size: scenario.bytes().len() as u64,
        tombstone: false,
        component,
        version,
        cause: None,
        signature: None,
        entry: None,
    }
}

/// Component and version as they stand in a header: empty when the scenario names none.
fn described(scenario: &Scenario) -> (String, String) {
    let [component, version] = [scenario.component(), scenario.version()].map(Option::unwrap_or_default);
    (component.to_owned(), version.to_owned())
}

/// Whether a scenario can be a later revision of an object: it has the object's UUID, or none of its own (the one
/// derived from its first content then stays with the object).
fn continues(scenario: &Scenario, uuid: &Uuid) -> bool {
    scenario.uuid() == *uuid || scenario.identity() == Identity::Derived
}
