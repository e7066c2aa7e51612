//! An act that leaves: it is the one that was accepted, goes where its object is, and tells a floor that holds (protocol 5.5).

use once_model::action::Act;
use once_model::ids::{KernelId, ObjectKey};

use crate::check::{Check, How};
use crate::eyes::Eyes;
use crate::kernel::Kernel;
use crate::leads::holders;
use crate::origin::Item;

impl Kernel {
    /// It is what was accepted, to its object's home. Where lanes to an unclaimed copy lead whose object has moved is not said.
    pub(crate) fn as_accepted(&self, peer: KernelId, act: &Act, item: &Item, eyes: &mut Eyes<'_>) {
        // Who names a copy and no kernel means what it has become here.
        let current = item.named.is_none() && self.objects.name(&item.object) == act.lane.key;
        let named = current || self.is_named(peer, &item.object, &act.lane.key);
        let same = act.action == item.action && act.action.answers.is_none() && named;
        if same && item.home != peer && self.is_adrift(&item.object, item.home) {
            return eyes.not_made(Check::ActAccepted);
        }
        eyes.exact(Check::ActAccepted, same && item.home == peer, || {
            format!("{} is sent to {}, and was not accepted so", act.action.name, peer.short())
        });
    }

    /// Whether an action on an object may be sent in a lane of this name.
    fn is_named(&self, peer: KernelId, object: &ObjectKey, lane: &ObjectKey) -> bool {
        // What the copy has become here, where it was at home before.
        let here = self.objects.name(object) == *lane
            && self.chain_of(lane).is_some_and(|chain| holders(chain).any(|home| home != peer));
        let led = self.moves.led.contains(&(*object, *lane));
        lane == object || self.origin.names.get(&(peer, *object)) == Some(lane) || here || led
    }

    /// A floor passes what has its outcome on the disk, and what was refused without a record.
    pub(crate) fn floor_told(&self, peer: KernelId, act: &Act, eyes: &mut Eyes<'_>) {
        let key = (peer, act.lane);
        let on_disk = eyes.disk.map_or(1, |disk| disk.origin.lowest(&key));
        eyes.exact(Check::FloorTold, act.floor <= on_disk, || {
            format!("the floor {} is told, and outcomes are on the disk below {on_disk}", act.floor)
        });
        let passed = self.origin.lanes.get(&key).and_then(|lane| lane.passed);
        if let Some((place, group)) = passed.filter(|(place, _)| *place < act.sequence) {
            // What was made in the group in which the outcome came does not know it yet.
            let must = group + 1 < self.group;
            eyes.check(Check::FloorPasses, How::exact_if(must), !must || act.floor > place, || {
                format!("the floor {} does not pass {place}, which was refused without a record", act.floor)
            });
        }
    }
}
