//! What an action is given: shown by its origin, or asked for (protocol 5.5 Given).

use std::collections::BTreeSet;

use once_model::action::{Given, Need};
use once_model::header::Header;
use once_model::ids::KernelId;
use once_model::wire::{Code, ShareAnswer};

use crate::check::{Check, How};
use crate::eyes::Eyes;
use crate::home::Copy;
use crate::kernel::Kernel;
use crate::rights::{Clock, Tri};

impl Kernel {
    /// Whether the origin of an act has shown what it is given in this place.
    pub(crate) fn shown(&self, origin: KernelId, copy: &Copy, place: usize, given: &Given) -> Tri {
        if copy.shown.contains(&place) {
            return Tri::Yes;
        }
        let perhaps = if copy.perhaps.contains(&place) { Tri::Open } else { Tri::No };
        let Some(head) = self.objects.find(&given.key) else { return perhaps };
        if head.header.content != given.content || head.header.tombstone {
            return perhaps;
        }
        if head.from == Some(origin) {
            return Tri::Yes;
        }
        let came = self.objects.shown.contains(&(origin, given.key.uuid, given.content));
        let open = if came { Tri::Open } else { Tri::No };
        self.may_read(origin, head).or(open).or(perhaps)
    }

    /// Whether the bytes of what is given are here, under the key that the action names, as the newest revision.
    pub(crate) fn has_given(&self, given: &Given) -> Tri {
        match self.objects.find(&given.key) {
            Some(head) if head.header.content == given.content && !head.header.tombstone => Tri::Yes,
            // It is kept beside the head, or was the head: the page says only "here under the key".
            Some(head) if head.beside.values().any(|h| h.content == given.content) => Tri::Open,
            _ => Tri::No,
        }
    }

    /// `Need` leaves (row 14).
    pub(crate) fn need_left(&mut self, conn: u64, peer: KernelId, need: &Need, eyes: &mut Eyes<'_>) {
        let Some(lane) = self.lane_of(conn, peer, need.lane) else { return eyes.not_made(Check::NeedLacks) };
        let Some(mut copies) = self.home.copies.remove(&(lane, need.sequence)) else {
            let durable = self.home.row(&lane, need.sequence).is_some();
            return eyes.exact(Check::ActKnown, durable, || "a need of what was never asked for".into());
        };
        let now = self.clock.now();
        let mut right = false;
        let mut exact = true;
        for copy in &mut copies {
            let states = self.states(peer, copy);
            let listed: BTreeSet<_> = need.lacks.iter().map(key_of).collect();
            // What waited is forgotten when the wait is over; a copy that comes then is looked at as it stands now.
            if copy.lacking_from.is_some_and(|(end_ms, _)| now >= end_ms) {
                exact = false;
                right |= self.lacks_now(peer, copy, need);
            }
            let all_shown = |needed: &BTreeSet<usize>| {
                needed.iter().all(|place| copy.shown.contains(place) || copy.perhaps.contains(place))
            };
            // When all of it was shown the act is looked at again, and what had been shown before may be no more.
            if let Some(needed) = copy.needed.as_ref().filter(|needed| !all_shown(needed)) {
                // Asked again on another connection: what was asked for and has not been shared since. That it came in
                // another way, or may be read by now, is nothing.
                let left = |place: &&usize| !copy.shown.contains(place);
                let keys = |place: &usize| copy.act.action.given.get(*place).map(key_of);
                let may: BTreeSet<_> = needed.iter().filter(left).filter_map(keys).collect();
                let sure = |place: &&usize| !copy.perhaps.contains(place);
                let must: BTreeSet<_> = needed.iter().filter(left).filter(sure).filter_map(keys).collect();
                right |= must.is_subset(&listed) && listed.is_subset(&may);
                exact &= must == may;
                continue;
            }
            // It may have waited since an earlier connection that was gone before it was asked for: then what lacked at that time
            // is asked for, and what might be read at that time is looked at again only when that has come (rows 3 and 14).
            let waited = copy.needed.is_none() && copy.conns.len() > 1;
            let again_sure = copy.needed.iter().flatten().all(|place| copy.shown.contains(place));
            let places = copy.act.action.given.iter().enumerate();
            copy.needed = Some(
                places.filter(|(_, given)| listed.contains(&key_of(given))).map(|(place, _)| place).collect(),
            );
            let must = waited
                || states.iter().filter(|(_, s)| *s == Tri::No).all(|(g, _)| listed.contains(&key_of(g)));
            // What was shared or granted in its group may have come too late for it.
            let shared = self.home.shared.get(&peer).is_some_and(|group| group + 1 >= self.group);
            let late = shared || self.rights_changed + 1 >= self.group;
            let may: BTreeSet<_> =
                states.iter().filter(|(_, s)| late || s.can_not()).map(|(given, _)| key_of(given)).collect();
            right |= must && listed.is_subset(&may) && !listed.is_empty() && copy.passes;
            exact &= !waited && states.iter().all(|(_, state)| state.sure());
            let end = (now.saturating_add(eyes.limits.given_wait_ms), eyes.at);
            if again_sure {
                copy.lacking_from = Some(end);
            }
            copy.lacking_from.get_or_insert(end);
        }
        eyes.check(Check::NeedLacks, How::exact_if(exact), right, || {
            format!(
                "the need of sequence {} lists {:?}, and that is not what is lacking",
                need.sequence, need.lacks
            )
        });
        self.home.copies.insert((lane, need.sequence), copies);
    }

    /// What an act is given, and whether that was shown. What leaves now was decided in a group that has gone on since: what it
    /// replaced was shown then, perhaps.
    fn states(&self, peer: KernelId, copy: &Copy) -> Vec<(Given, Tri)> {
        let was = |given: &Given| match self.objects.was_newest(given.key.uuid, given.content, self.group) {
            true => Tri::Open,
            false => Tri::No,
        };
        let given = copy.act.action.given.iter().enumerate();
        given.map(|(place, given)| (*given, self.shown(peer, copy, place, given).or(was(given)))).collect()
    }

    /// Whether this is what an act lacks that comes now for the first time.
    fn lacks_now(&self, peer: KernelId, copy: &Copy, need: &Need) -> bool {
        let listed: BTreeSet<_> = need.lacks.iter().map(key_of).collect();
        let first = Copy { shown: BTreeSet::new(), perhaps: BTreeSet::new(), ..copy.clone() };
        let mut given = first.act.action.given.iter().enumerate();
        let fits = |(place, given): (usize, &Given)| {
            let state = self.shown(peer, &first, place, given);
            if listed.contains(&key_of(given)) { state.can_not() } else { state != Tri::No }
        };
        !listed.is_empty() && given.all(fits)
    }

    /// A share of a peer was answered, or is to be: what waits for it counts it as shown, or is lacking.
    pub(crate) fn given_came(&mut self, peer: KernelId, header: &Header, answer: ShareAnswer, sure: bool) {
        let later = matches!(
            answer,
            ShareAnswer::Refused(Code::Busy | Code::DiskFull | Code::Stopping | Code::Quarantined)
        );
        if later {
            return;
        }
        if !matches!(answer, ShareAnswer::Refused(_)) {
            self.objects.shown.insert((peer, header.uuid, header.content));
        }
        let clock = self.clock;
        // On a nearly full disk it is looked at, and forgotten with what was shown (row 10).
        let stays = sure && !self.was_short();
        let waits = self.home.copies.iter_mut().filter(|((lane, _), _)| lane.origin == peer);
        for copy in waits.flat_map(|(_, copies)| copies) {
            for (place, given) in copy.act.action.given.iter().enumerate() {
                if given.key.uuid != header.uuid || given.content != header.content {
                    continue;
                }
                if matches!(answer, ShareAnswer::Refused(_)) {
                    copy.lost = true;
                } else if stays
                    && copy.lacking_from.is_some_and(|(end, began)| still_waits(end, began, &clock))
                {
                    copy.shown.insert(place);
                } else {
                    copy.perhaps.insert(place);
                }
            }
        }
    }
}

/// Whether the time of what waits for scenarios is not over: one that could not be refused then, since the disk was nearly full,
/// waits no more.
fn still_waits(end: u64, began: u64, clock: &Clock) -> bool {
    clock.now() < end && clock.set_at <= began
}

fn key_of(given: &Given) -> (once_model::ids::ObjectKey, once_model::ids::Hash) {
    (given.key, given.content)
}
