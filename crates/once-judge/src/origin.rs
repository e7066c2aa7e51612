//! An action at its origin: accepted, given its place, sent until it has its outcome (protocol 5.5 The origin, Voids).

use std::collections::{BTreeMap, BTreeSet};

use once_model::action::{Act, ActOutcome, Action, After, Given, LaneName, Missing, Need, Outcome};
use once_model::ids::{Hash, KernelId, ObjectKey, Uuid};
use once_model::wire::Code;

use crate::check::{Check, How};
use crate::eyes::Eyes;
use crate::kernel::Kernel;

/// What became of an action.
#[derive(Debug, Clone)]
pub(crate) struct Settled {
    pub(crate) outcome: Outcome,
    /// In which group it was taken.
    pub(crate) group: u64,
    /// The home has a record of it.
    pub(crate) recorded: bool,
}

/// An action that this kernel has accepted.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) action: Action,
    pub(crate) hash: Hash,
    /// As it was asked for.
    pub(crate) object: ObjectKey,
    pub(crate) home: KernelId,
    /// The kernel that was named with it.
    pub(crate) named: Option<KernelId>,
    /// Its acting object was a guest when it was accepted.
    pub(crate) guest: bool,
    /// The order of acceptance.
    pub(crate) order: u64,
    /// It is certainly accepted.
    pub(crate) sure: bool,
    /// By the kernel's clock.
    pub(crate) deadline: Option<u64>,
    /// The clock has shown it at some time, and was set since.
    pub(crate) was_over: bool,
    /// How much earlier the deadline may be: the page does not say from when an effect's counts.
    pub(crate) slack_ms: u64,
    /// In which group it was taken back.
    pub(crate) cancelled: Option<u64>,
    pub(crate) void_sent: Option<Code>,
    /// What its home has asked for.
    pub(crate) needs: Vec<Given>,
    pub(crate) place: Option<(LaneName, u64)>,
    pub(crate) settled: Option<Settled>,
    /// Codes of rows 6 and 7, if its home is here.
    pub(crate) codes: BTreeSet<Code>,
    /// On which connections it was sent, and when last.
    pub(crate) sent: BTreeMap<u64, u64>,
    /// How often its lane had been missing when it was sent last.
    pub(crate) missing: usize,
    /// Its home before, and the group in which that was another one.
    pub(crate) was: Option<(KernelId, u64)>,
}

/// A lane at its origin.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sending {
    pub(crate) places: BTreeMap<u64, Uuid>,
    /// The lowest place without an outcome.
    pub(crate) low: u64,
    /// The highest place below `low` that was refused without a record, and the group in which `low` passed it.
    pub(crate) passed: Option<(u64, u64)>,
    /// Each `Missing` that was to be heeded: in which group it came, and from where it asks.
    pub(crate) missing: Vec<(u64, u64)>,
    /// On which connection and when the last of them came; heeded anew after an outcome.
    heeded: (u64, u64),
    pub(crate) moved: bool,
    /// It began as a lane of this kernel to itself: not each of its places was seen.
    patchy: bool,
}

/// What a kernel knows as an origin.
#[derive(Debug, Clone, Default)]
pub(crate) struct Origin {
    pub(crate) items: BTreeMap<Uuid, Item>,
    pub(crate) lanes: BTreeMap<(KernelId, LaneName), Sending>,
    /// What a home calls an object since it was claimed there.
    pub(crate) names: BTreeMap<(KernelId, ObjectKey), ObjectKey>,
    /// Actions on this kernel's own objects that have no outcome.
    pub(crate) own: BTreeSet<Uuid>,
    /// Ids that clients have used, for actions and for changes without a component.
    pub(crate) ids: usize,
    next: u64,
    under_way: BTreeMap<u64, BTreeSet<Uuid>>,
}

impl Origin {
    pub(crate) fn forget_memory(&mut self) {
        self.under_way.clear();
        self.lanes.values_mut().for_each(|lane| lane.moved = true);
    }

    pub(crate) fn link_down(&mut self, conn: u64, peer: Option<KernelId>) {
        self.under_way.remove(&conn);
        // On a new connection `Missing` is heeded again.
        let to = self.lanes.iter_mut().filter(|((home, _), _)| Some(*home) == peer);
        to.for_each(|(_, lane)| lane.moved = true);
    }

    /// A new life: nothing of the old one is sent any more.
    pub(crate) fn clear(&mut self) {
        *self = Self { next: self.next, ids: self.ids, ..Self::default() };
    }

    /// An action is accepted.
    pub(crate) fn accept(&mut self, me: KernelId, item: Item) {
        if item.home == me {
            self.own.insert(item.action.id);
        }
        self.items.insert(item.action.id, Item { order: self.next, ..item });
        self.next += 1;
    }

    /// An object has another home: what waits for it leads there, in the same lanes.
    pub(crate) fn lead(
        &mut self,
        (old, new): (KernelId, KernelId),
        me: KernelId,
        group: u64,
        names: &[ObjectKey],
    ) {
        let is_it = |key: &ObjectKey| names.contains(key);
        // What waits there, also because the object was there before, may be sent once more.
        let there = self.lanes.iter_mut().filter(|((home, name), _)| *home == new && is_it(&name.key));
        there.for_each(|(_, lane)| lane.missing.push((group, 1)));
        let under_way = &mut self.under_way;
        let waits = self.items.values_mut().filter(|item| item.settled.is_none() && item.home == old);
        for item in waits.filter(|item| is_it(&item.object)) {
            (item.home, item.was) = (new, Some((old, group)));
            item.codes.clear();
            // What waits there is sent as on a new connection.
            (item.sent, item.missing) = (BTreeMap::new(), 0);
            for set in under_way.values_mut() {
                set.remove(&item.action.id);
            }
            if old == me {
                self.own.remove(&item.action.id);
            }
            if new == me {
                self.own.insert(item.action.id);
            }
        }
        let lanes: Vec<_> =
            self.lanes.extract_if(.., |(home, name), _| *home == old && is_it(&name.key)).collect();
        for ((_, name), lane) in lanes {
            let patchy = lane.patchy || old == me || self.lanes.contains_key(&(new, name));
            let there = self.lanes.entry((new, name)).or_default();
            let places = lane.places.into_iter().chain(std::mem::take(&mut there.places)).collect();
            *there = Sending { places, low: lane.low.max(1), moved: true, patchy, ..Sending::default() };
        }
        if old == me {
            // Of what this kernel has asked itself only what was recorded was seen.
            for name in names.iter().map(|key| LaneName::from(*key)) {
                let lane = self.lanes.entry((new, name)).or_default();
                (lane.low, lane.patchy) = (lane.low.max(1), true);
            }
        }
    }

    /// The lowest place without an outcome of a lane, as far as places were seen.
    pub(crate) fn lowest(&self, key: &(KernelId, LaneName)) -> u64 {
        let elsewhere = self.lanes.iter().filter(|((home, name), _)| *home != key.0 && *name == key.1);
        match self.lanes.get(key) {
            // A lane of a copy's name goes on where the others of its name have ended (5.5, One copy at several kernels).
            Some(lane) if key.1.key.lineage().is_none() => {
                elsewhere.map(|(_, other)| self.lowest_in(other)).fold(self.lowest_in(lane), u64::max)
            }
            Some(lane) => self.lowest_in(lane),
            // On the disk it may lead to a former home yet.
            None => elsewhere.map(|(_, other)| self.lowest_in(other)).max().unwrap_or(1),
        }
    }

    fn lowest_in(&self, lane: &Sending) -> u64 {
        if !lane.patchy && lane.low > 0 {
            return lane.low;
        }
        let mut open = lane
            .places
            .iter()
            .filter(|(_, id)| self.items.get(id).is_some_and(|item| item.settled.is_none()));
        open.next().map_or(u64::MAX, |(place, _)| *place)
    }

    pub(crate) fn forget(&mut self, id: &Uuid) {
        self.items.remove(id);
        self.own.remove(id);
    }

    /// `Missing` came: it is heeded once, until an outcome, a new connection or, by the kernel's own clock, the time of a resend
    /// (434-437).
    pub(crate) fn missing_came(
        &mut self,
        (conn, peer): (u64, KernelId),
        missing: &Missing,
        group: u64,
        (now, resend_ms): (u64, u64),
    ) {
        let Some(lane) = self.lanes.get_mut(&(peer, missing.lane)) else { return };
        // Of what was never sent on this connection nothing is missing; but it may be sent in this very group.
        let mut items = lane.places.values().filter_map(|id| self.items.get(id));
        if !items.any(|item| item.settled.is_none() && item.sent.contains_key(&conn)) {
            lane.missing.push((group, missing.from));
            return;
        }
        let (on, heeded) = lane.heeded;
        let over = now < heeded || now >= heeded.saturating_add(resend_ms);
        if lane.missing.is_empty() || lane.moved || on != conn || over {
            lane.missing.push((group, missing.from));
            (lane.heeded, lane.moved) = ((conn, now), false);
        }
    }

    /// An outcome is here: the first one counts.
    pub(crate) fn settle(&mut self, id: &Uuid, outcome: &Outcome, recorded: bool, group: u64) -> bool {
        let Some(item) = self.items.get_mut(id).filter(|item| item.settled.is_none()) else { return false };
        item.settled = Some(Settled { outcome: outcome.clone(), group, recorded });
        self.own.remove(id);
        for set in self.under_way.values_mut() {
            set.remove(id);
        }
        let Some((name, _)) = item.place else { return true };
        let key = (item.home, name);
        let Some(lane) = self.lanes.get_mut(&key) else { return true };
        lane.moved = true;
        while let Some(item) = lane.places.get(&lane.low).and_then(|id| self.items.get(id)) {
            let Some(settled) = &item.settled else { break };
            if !settled.recorded {
                lane.passed = Some((lane.low, group));
            }
            lane.low += 1;
        }
        true
    }
}

impl Kernel {
    /// An act leaves.
    pub(crate) fn act_left(&mut self, conn: u64, peer: KernelId, act: &Act, eyes: &mut Eyes<'_>) {
        let id = act.action.id;
        self.leads_there(&id, peer);
        let Some(item) = self.origin.items.get(&id).cloned() else {
            let by_effect = id.get_version_num() == 8;
            let check = if by_effect { Check::EffectKnown } else { Check::ActAccepted };
            return eyes
                .exact(check, false, || format!("{} is sent, and nobody asked for it", act.action.name));
        };
        if id.get_version_num() == 8 {
            eyes.exact(Check::EffectKnown, true, String::new);
        }
        if item.was.is_some_and(|(was, group)| was == peer && group + 1 >= self.group) {
            // It was made before this kernel knew that the object is elsewhere.
            return eyes.not_made(Check::ActAccepted);
        }
        eyes.exact(Check::GuestSaid, (act.guest == Some(true)) == item.guest, || {
            format!("{} says {:?}; that a guest asked for it is {}", act.action.name, act.guest, item.guest)
        });
        self.as_accepted(peer, act, &item, eyes);
        let durable = eyes.disk.is_some_and(|disk| disk.origin.items.contains_key(&id));
        eyes.exact(Check::ActDurable, durable, || {
            format!("{} is sent before it is on the disk", act.action.name)
        });
        let acts = self.conns.get(&conn).is_none_or(|conn| conn.acts);
        eyes.exact(Check::ActFeature, acts, || "an act is sent to who does not know feature 1".into());
        let settled = item.settled.as_ref().is_some_and(|settled| settled.group + 1 < self.group);
        eyes.exact(Check::SentSettled, !settled, || {
            format!(
                "{} in {}, sequence {}, has its outcome, and is sent",
                act.action.name, act.lane.key, act.sequence
            )
        });
        self.place_given(peer, act, &item, eyes);
        self.sent_in_order(conn, peer, act, eyes);
        self.floor_told(peer, act, eyes);
        self.time_and_void(act, &item, eyes);
        let used = self.not_too_often(conn, peer, act, &item, eyes);
        let under_way = self.origin.under_way.entry(conn).or_default();
        if item.settled.is_none() {
            under_way.insert(id);
        }
        // What had no answer for as long as a resend takes, or is missing at its home, is under way no more.
        let (at, resend_ms, set_at) = (eyes.at, eyes.limits.resend_ms, self.clock.set_at);
        let is_under_way = |other: &&Uuid| {
            let Some(item) = self.origin.items.get(*other) else { return false };
            let sent = item.sent.get(&conn).copied().unwrap_or(eyes.at);
            let asked_for = item.place.is_some_and(|(name, place)| {
                let lane = self.origin.lanes.get(&(peer, name));
                lane.is_some_and(|lane| {
                    lane.missing.iter().skip(item.missing).any(|(_, from)| *from <= place)
                })
            });
            **other == id || at < sent.saturating_add(resend_ms) && set_at <= sent && !asked_for
        };
        let count = self.origin.under_way.get(&conn).into_iter().flatten().filter(is_under_way).count();
        eyes.exact(Check::ActWindow, count <= eyes.limits.window, || format!("{count} acts are under way"));
        // What came in this group may have come after it was made.
        let before = |(group, _): &&(u64, u64)| *group + 1 < self.group;
        let lane = self.origin.lanes.get(&(peer, act.lane));
        let missing = lane.map_or(0, |lane| lane.missing.iter().take_while(before).count());
        if let Some(item) = self.origin.items.get_mut(&id) {
            item.sent.insert(conn, eyes.at);
            item.missing = missing.max(used);
            item.void_sent = item.void_sent.or(act.void);
            item.sure = true;
        }
    }

    fn place_given(&mut self, peer: KernelId, act: &Act, item: &Item, eyes: &mut Eyes<'_>) {
        let sequence = act.sequence;
        let (goes_on, twice) = self.given_elsewhere(peer, act);
        let lane = self
            .origin
            .lanes
            .entry((peer, act.lane))
            .or_insert_with(|| Sending { low: 1, ..Sending::default() });
        let holder = lane.places.get(&sequence).copied();
        let mine = item.place.is_none_or(|place| place == (act.lane, sequence));
        let order = |id: &Uuid| self.origin.items.get(id).map_or(0, |item| item.order);
        let before = lane.places.range(..sequence).next_back().map(|(_, id)| order(id));
        let after = lane.places.range(sequence + 1..).next().map(|(_, id)| order(id));
        let in_order = before.is_none_or(|o| o < item.order) && after.is_none_or(|o| o > item.order);
        let next = lane.places.contains_key(&(sequence - 1));
        let follows = sequence == 1 || next || lane.patchy || goes_on;
        if goes_on && !next && lane.places.range(lane.low..).next().is_none() {
            lane.low = lane.low.max(sequence);
        }
        let how = How::exact_if(!lane.patchy);
        let right = match holder {
            Some(holder) => holder == item.action.id,
            None => mine && in_order && follows && !twice,
        };
        eyes.check(Check::SequenceGiven, how, right, || {
            format!("sequence {sequence} is given to {}, out of turn or twice", act.action.name)
        });
        if holder.is_none() {
            lane.places.insert(sequence, item.action.id);
        }
        if let Some(item) = self.origin.items.get_mut(&act.action.id) {
            item.place.get_or_insert((act.lane, sequence));
        }
    }

    fn sent_in_order(&self, conn: u64, peer: KernelId, act: &Act, eyes: &mut Eyes<'_>) {
        let Some(lane) = self.origin.lanes.get(&(peer, act.lane)) else { return };
        let mut earlier = lane
            .places
            .range(lane.low.min(act.sequence)..act.sequence)
            .filter_map(|(_, id)| self.origin.items.get(id));
        let skipped = earlier.any(|item| item.settled.is_none() && !item.sent.contains_key(&conn));
        eyes.exact(Check::ActOrder, !skipped, || {
            format!("sequence {} is sent before one that has no outcome", act.sequence)
        });
    }

    /// Checks it, and says how many times `Missing` came of which this is the answer to the last: each is good for once.
    fn not_too_often(&self, conn: u64, peer: KernelId, act: &Act, item: &Item, eyes: &mut Eyes<'_>) -> usize {
        let Some(last) = item.sent.get(&conn) else { return 0 };
        let heeded = self.origin.lanes.get(&(peer, act.lane)).map_or(&[][..], |lane| &lane.missing);
        let mut heeded = heeded.iter().enumerate().skip(item.missing);
        let missing = heeded.find(|(_, (_, from))| act.sequence >= *from).map(|(at, _)| at + 1);
        let void = act.void.is_some() && item.void_sent.is_none();
        // Its waits are by its own clock.
        let set = self.clock.set_at > *last;
        let right = eyes.at >= last.saturating_add(eyes.limits.resend_ms) || missing.is_some() || void || set;
        eyes.exact(Check::ActResend, right, || format!("sequence {} is sent again too soon", act.sequence));
        // A void that leaves at once is no answer to a `Missing` that came in the same group.
        missing.filter(|_| !void).unwrap_or(0)
    }

    fn time_and_void(&self, act: &Act, item: &Item, eyes: &mut Eyes<'_>) {
        let now = self.clock.now();
        let remaining = match (act.void, item.deadline) {
            (Some(_), _) => Some(0),
            (None, deadline) => deadline.map(|deadline| deadline.saturating_sub(now)),
        };
        let least = remaining.map(|ms| if act.void.is_some() { 0 } else { ms.saturating_sub(item.slack_ms) });
        let right = act.remaining_ms >= least && act.remaining_ms <= remaining;
        eyes.check(Check::RemainingSaid, How::exact_if(item.slack_ms == 0), right, || {
            format!(
                "{:?} ms are said to remain of {}, it is {remaining:?}",
                act.remaining_ms, act.action.name
            )
        });
        let wanted = item.cancelled.is_none_or(|group| group + 1 >= self.group);
        let right = match (act.void, item.void_sent) {
            (void, Some(first)) => void == Some(first),
            (None, None) => wanted,
            (Some(Code::Cancelled), None) => item.cancelled.is_some(),
            (Some(Code::Expired), None) => self.is_over(item),
            (Some(Code::Lacking), None) => item.needs.iter().any(|given| self.lacks(given)),
            // An act of a guest, to who does not know what that is.
            (Some(Code::Denied), None) => item.guest,
            (Some(_), None) => false,
        };
        eyes.exact(Check::VoidReason, right, || {
            format!("{} is sent with the void {:?}, for no reason", act.action.name, act.void)
        });
    }

    /// Whether an action's time is over, also if the clock was set back since.
    pub(crate) fn is_over(&self, item: &Item) -> bool {
        let over = |deadline| deadline <= self.clock.now().saturating_add(item.slack_ms);
        item.was_over || item.deadline.is_some_and(over)
    }

    /// The clock is about to be set: what it has shown to be over stays so.
    pub(crate) fn note_over(&mut self) {
        let now = self.clock.now();
        for item in self.origin.items.values_mut().filter(|item| item.settled.is_none()) {
            item.was_over |=
                item.deadline.is_some_and(|deadline| deadline <= now.saturating_add(item.slack_ms));
        }
    }

    /// Whether this kernel has other bytes of what an action is given, or none.
    fn lacks(&self, given: &Given) -> bool {
        self.objects.lacks(given)
    }

    /// An outcome came.
    pub(crate) fn outcome_came(
        &mut self,
        _conn: u64,
        peer: KernelId,
        told: &ActOutcome,
        eyes: &mut Eyes<'_>,
    ) {
        // Whoever is no peer any more says nothing.
        if !self.knows(&peer) {
            return;
        }
        let lane = self.origin.lanes.get(&(peer, told.lane));
        if lane.and_then(|lane| lane.places.get(&told.sequence)) != Some(&told.id) {
            return;
        }
        if let Some(After { key, .. }) = told.after.filter(|after| after.key != told.lane.key) {
            self.origin.names.insert((peer, told.lane.key), key);
        }
        self.outcome_is(&told.id, &told.outcome, told.after.is_some(), eyes);
    }

    /// An action has its outcome: whoever waits is to be told.
    pub(crate) fn outcome_is(&mut self, id: &Uuid, outcome: &Outcome, recorded: bool, _eyes: &mut Eyes<'_>) {
        if self.origin.settle(id, outcome, recorded, self.group) {
            self.effects.outcome(id, outcome);
        }
    }

    /// The home asks for what an action is given: that is owed now, as long as it has those bytes.
    pub(crate) fn need_came(&mut self, peer: KernelId, need: &Need) {
        let lane = self.origin.lanes.get(&(peer, need.lane));
        let Some(id) = lane.and_then(|lane| lane.places.get(&need.sequence)).copied() else { return };
        let Some(item) = self.origin.items.get_mut(&id).filter(|item| item.settled.is_none()) else { return };
        let named: Vec<Given> =
            need.lacks.iter().filter(|given| item.action.given.contains(given)).copied().collect();
        item.needs.extend(&named);
        // For a void nothing is shared; at its deadline it may be one already.
        if item.cancelled.is_some() || item.void_sent.is_some() {
            return;
        }
        if named.iter().any(|given| self.objects.lacks(given)) {
            return;
        }
        let perhaps = item.was_over || item.deadline.is_some_and(|deadline| deadline <= self.clock.now());
        for given in named {
            let key = self.objects.name(&given.key);
            self.shares.give(peer, key, given.content, perhaps);
        }
    }

    /// What waits for an object of this kernel is looked at anew.
    pub(crate) fn look_at_own(&mut self, key: Option<&ObjectKey>) {
        let own: Vec<Uuid> = self.origin.own.iter().copied().collect();
        for id in own {
            let Some(item) = self.origin.items.get(&id) else { continue };
            if key.is_some_and(|key| self.objects.name(&item.object) != *key) {
                continue;
            }
            let codes = self.look(self.me, &item.object, &item.action, false).codes;
            if let Some(item) = self.origin.items.get_mut(&id) {
                item.codes.extend(codes);
            }
        }
    }
}
