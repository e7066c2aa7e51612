//! What programs that are connected say of the actions that they serve.

use std::collections::BTreeMap;

use super::describe::ActionDescription;
use super::served::Served;

impl Served {
    /// What the programs that are connected say of the actions of a component. Nothing if none is connected, or one of
    /// them is asked for every action.
    pub fn described(&self, component: &str) -> Option<Vec<ActionDescription>> {
        let inner = self.inner();
        let offers = inner.clients.values().flat_map(|client| &client.offers);
        let mut offers: Vec<_> = offers.filter(|(_, offer)| offer.component == component).collect();
        // The newest is asked first: what it says counts.
        offers.sort_by_key(|(since, _)| *since);
        let mut found = BTreeMap::new();
        let mut says_all = !offers.is_empty();
        for (_, offer) in offers {
            says_all &= offer.actions.is_some() || !offer.descriptions.is_empty();
            for name in offer.actions.iter().flatten() {
                found.entry(name.clone()).or_insert_with(|| ActionDescription::named(name));
            }
            found.extend(offer.descriptions.clone());
        }
        says_all.then(|| found.into_values().collect())
    }
}
