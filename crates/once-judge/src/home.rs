//! An act at its object's home: what came, what rows 6 and 7 say of it, and what may be answered (protocol 5.5).

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use once_model::action::{Act, ActOutcome, Action, After, BUILT_IN_FROM, LaneName, Missing, Outcome};
use once_model::ids::{Hash, KernelId, ObjectKey};
use once_model::wire::Code;

use crate::check::{Check, How};
use crate::eyes::{Eyes, LaneId};
use crate::kernel::Kernel;
use crate::objects::Head;
use crate::peers::Conn;
use crate::rights::Clock;
use crate::runs::Run;

/// What is recorded of one place of a lane.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) id: once_model::ids::Uuid,
    pub(crate) action: Hash,
    /// It was told to its origin.
    pub(crate) told: bool,
    pub(crate) outcome: Outcome,
    pub(crate) after: After,
    pub(crate) entry: Hash,
    pub(crate) certificate: Option<Hash>,
    /// It came with its object: unless it was recorded here when that lived here before, it is not known under which certificate
    /// that was, and where in the history.
    pub(crate) came: bool,
}

/// A lane at its home.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lane {
    pub(crate) mark: u64,
    /// The highest floor that an act of it has told.
    pub(crate) floor: u64,
    pub(crate) rows: BTreeMap<u64, Row>,
}

/// An act that came and is not recorded; of one place there may be several.
#[derive(Debug, Clone)]
pub(crate) struct Copy {
    pub(crate) act: Act,
    pub(crate) hash: Hash,
    /// The lane's mark when it came first.
    pub(crate) mark: u64,
    /// The lowest floor that a copy of it named; `act` names the highest.
    pub(crate) low_floor: u64,
    /// On which connections it came.
    pub(crate) conns: BTreeSet<u64>,
    /// When the time of each copy that came is over, by the home's clock; none: never.
    pub(crate) ends: Vec<Option<u64>>,
    /// Codes that rows 6 and 7 had for it at some time since it came.
    pub(crate) codes: BTreeSet<Code>,
    /// They let it pass at some time.
    pub(crate) passes: bool,
    /// Its refusal was told.
    pub(crate) told: bool,
    /// It would begin a lane, and the quota may have no room for one.
    pub(crate) begins: bool,
    /// Which of what it is given its origin has shared since.
    pub(crate) shown: BTreeSet<usize>,
    /// Which of it perhaps.
    pub(crate) perhaps: BTreeSet<usize>,
    /// What was asked for first, by its place.
    pub(crate) needed: Option<BTreeSet<usize>>,
    /// The time to show what it is given is over from here on, by the home's clock; and when it began, in the world's time.
    pub(crate) lacking_from: Option<(u64, u64)>,
    /// When its last connection was gone before anything was asked for, by the home's clock and in the world's time.
    pub(crate) unasked: Option<(u64, u64)>,
    /// A share of what it is given was refused for good.
    pub(crate) lost: bool,
}

/// What a kernel knows as a home.
#[derive(Debug, Clone, Default)]
pub(crate) struct Home {
    pub(crate) lanes: BTreeMap<LaneId, Lane>,
    pub(crate) copies: BTreeMap<(LaneId, u64), Vec<Copy>>,
    pub(crate) runs: BTreeMap<u64, Run>,
    pub(crate) running: BTreeMap<ObjectKey, u64>,
    /// Objects whose component could not be asked when it was asked last.
    pub(crate) put_off: BTreeSet<ObjectKey>,
    /// Acts behind which their lane has gone on, and in which group: their refusal may be on its way.
    passed: BTreeMap<(LaneId, u64), (u64, Vec<Copy>)>,
    /// Gaps that acts have shown lately: the lane, its next place then, and the group.
    pub(crate) gaps: Vec<(LaneId, u64, u64)>,
    /// In which group a peer has shared something last.
    pub(crate) shared: BTreeMap<KernelId, u64>,
    /// Places that are recorded and were asked for again, on each connection: whether by the same action,
    /// and what it takes while it waits.
    pub(crate) again: BTreeMap<(u64, LaneId, u64), (bool, usize)>,
    /// What was refused by 6 and 7 on each connection, latest last.
    pub(crate) refused: BTreeMap<u64, VecDeque<(LaneId, u64, Code)>>,
}

impl Home {
    pub(crate) fn forget_memory(&mut self) {
        self.copies.clear();
        self.runs.clear();
        self.running.clear();
        self.put_off.clear();
        self.gaps.clear();
        self.passed.clear();
        self.refused.clear();
        self.again.clear();
    }

    pub(crate) fn mark(&self, lane: &LaneId) -> u64 {
        self.lanes.get(lane).map_or(0, |lane| lane.mark)
    }

    pub(crate) fn row(&self, lane: &LaneId, sequence: u64) -> Option<&Row> {
        self.lanes.get(lane).and_then(|lane| lane.rows.get(&sequence))
    }

    /// A connection is gone, and these are left: what came on it alone begins to wait without being asked for.
    pub(crate) fn link_down(&mut self, conn: u64, left: &BTreeMap<u64, Conn>, clock: &Clock) {
        self.refused.remove(&conn);
        self.again.retain(|(on, ..), _| *on != conn);
        for copy in self.copies.values_mut().flatten().filter(|copy| copy.conns.contains(&conn)) {
            if copy.lacking_from.is_none() && !copy.conns.iter().any(|conn| left.contains_key(conn)) {
                copy.unasked.get_or_insert((clock.now(), clock.at));
            }
        }
    }

    /// A lane has gone on to here: what came of it before counts no more.
    pub(crate) fn pass(&mut self, lane: &LaneId, mark: u64, group: u64) {
        self.passed.retain(|_, (then, _)| *then + 1 >= group);
        let gone = self.copies.extract_if((*lane, 0)..=(*lane, mark), |_, _| true);
        self.passed.extend(gone.map(|(place, copies)| (place, (group, copies))));
    }

    /// What came for a place, also if its lane has gone on within this group or the last.
    fn came_for(&self, place: &(LaneId, u64), group: u64) -> &[Copy] {
        let passed = self.passed.get(place).filter(|(then, _)| *then + 1 >= group).map(|(_, copies)| copies);
        self.copies.get(place).or(passed).map_or(&[], Vec::as_slice)
    }

    /// Whether something of a lane may wait: what comes behind it waits, too (row 2).
    pub(crate) fn lane_waits(&self, lane: &LaneId) -> bool {
        let all = self.copies.range((*lane, 0)..=(*lane, u64::MAX));
        all.flat_map(|(_, copies)| copies).any(|copy| copy.passes)
    }

    /// The most that can wait of an origin: actions, and what they count.
    fn most_waiting(&self, origin: &KernelId) -> (usize, usize) {
        let copies = self.copies.iter().filter(|((lane, _), _)| lane.origin == *origin);
        let copies = copies.flat_map(|(_, copies)| copies).map(|copy| cost(&copy.act));
        let again = self.again.iter().filter(|((_, lane, _), _)| lane.origin == *origin);
        let all = copies.chain(again.map(|(_, (_, cost))| *cost));
        all.fold((0, 0), |(acts, bytes), cost| (acts + 1, bytes + cost))
    }

    /// The code that a connection remembers for a place.
    fn remembered(&self, conn: u64, lane: &LaneId, sequence: u64) -> Option<Code> {
        let places = self.refused.get(&conn)?;
        places.iter().rev().find(|(l, s, _)| l == lane && *s == sequence).map(|(_, _, code)| *code)
    }
}

/// What an action counts while it waits (row 1).
fn cost(act: &Act) -> usize {
    let Action { name, arguments, given, .. } = &act.action;
    once_model::limits::WAITING_ACT_BYTES + name.len() + arguments.len() + size_of_val(given.as_slice())
}

/// What rows 6 and 7 say: codes that are right, and whether it may pass.
#[derive(Debug, Clone, Default)]
pub(crate) struct Look {
    pub(crate) codes: Vec<Code>,
    pub(crate) passes: bool,
    /// Row 6 may let it pass.
    pub(crate) may: bool,
}

/// The place behind everything that is recorded or passed by a floor (row 8).
pub(crate) fn next_place(mark: u64, floor: u64) -> u64 {
    mark.max(floor.saturating_sub(1)).saturating_add(1)
}

impl Kernel {
    /// Rows 6 and 7, as things stand.
    pub(crate) fn look(&self, origin: KernelId, key: &ObjectKey, action: &Action, guest: bool) -> Look {
        let Some(head) = self.objects.find(key) else {
            // A lineage here that names this copy as its beginning: whether that is "such an object" is open.
            let named = self.objects.named.contains_key(key).then_some(Code::NotHome);
            return Look {
                codes: [Code::Denied].into_iter().chain(named).collect(),
                passes: false,
                may: false,
            };
        };
        let right = match origin == self.me {
            true => self.may_act_here(head, action),
            false => self.may_act(origin, head, action, guest),
        };
        let mut look = Look { may: right.can(), ..Look::default() };
        if right.can_not() {
            look.codes.push(Code::Denied);
        }
        if right.can() {
            look.codes.extend(self.row_seven(head));
            look.passes = self.row_seven(head).is_empty();
        }
        look
    }

    /// Row 7 but for the quota. Of a removed object whose home is elsewhere the page leaves open which comes first.
    fn row_seven(&self, head: &Head) -> Vec<Code> {
        let gone = head.header.tombstone.then_some(Code::Denied);
        match (&head.chain, head.home()) {
            (Some(chain), Some(home)) if home == self.me => {
                let ended = chain.incarnation() != self.incarnation;
                gone.into_iter().chain(ended.then_some(Code::Quarantined)).collect()
            }
            (Some(_), _) => gone.into_iter().chain([Code::NotHome]).collect(),
            (None, _) if head.from.is_some() => vec![Code::NotHome],
            (None, _) => Vec::new(),
        }
    }

    /// Something has changed: what waits is looked at anew.
    pub(crate) fn look_again(&mut self) {
        self.look_again_at(None);
    }

    /// An object has changed: what waits for it is looked at anew.
    pub(crate) fn look_again_at(&mut self, key: Option<&ObjectKey>) {
        let mut copies = std::mem::take(&mut self.home.copies);
        for ((lane, _), copies) in &mut copies {
            if key.is_none_or(|key| self.objects.name(&lane.name.key) == *key) {
                copies.iter_mut().for_each(|copy| self.look_at(lane, copy));
            }
        }
        self.home.copies = copies;
        self.look_at_own(key);
    }

    fn look_at(&self, lane: &LaneId, copy: &mut Copy) {
        let guest = copy.act.guest == Some(true);
        let mut look = self.look(lane.origin, &copy.act.lane.key, &copy.act.action, guest);
        // Row 7: it speaks of another home than this one.
        if look.may && self.is_of_another_chain(&copy.act) {
            look.codes.push(Code::NotHome);
            look.passes = false;
        }
        copy.codes.extend(look.codes);
        copy.passes |= look.passes;
        copy.begins |= look.passes && !self.home.lanes.contains_key(lane);
    }

    /// Whether an act names a certificate, or its lane a takeover, that is not the last here.
    fn is_of_another_chain(&self, act: &Act) -> bool {
        let Some(head) = self.objects.find(&act.lane.key) else { return false };
        let links = head.chain.iter().flat_map(|chain| &chain.links);
        let mut takeovers = links.filter(|link| {
            use once_model::certificate::CertificateKind as Kind;
            matches!(link.kind, Kind::Adopt | Kind::Reinstate | Kind::Promote)
        });
        let last = takeovers.next_back().map(once_model::certificate::Certificate::id);
        let other = |said: Option<Hash>, here: Option<Hash>| said.is_some() && said != here;
        act.lane.takeover != last || other(act.certificate, head.header.certificate)
    }

    /// The lane of an act on a connection.
    pub(crate) fn lane_of(&self, conn: u64, peer: KernelId, name: LaneName) -> Option<LaneId> {
        let incarnation = self.conns.get(&conn)?.incarnation?;
        Some(LaneId { origin: peer, incarnation, name })
    }

    /// An act came.
    pub(crate) fn act_came(&mut self, conn: u64, peer: KernelId, act: &Act, eyes: &mut Eyes<'_>) {
        // Ignored without a word (409-411).
        if act.action.answers.is_some() || act.sequence == 0 || act.sequence >= BUILT_IN_FROM {
            return;
        }
        let Some(lane) = self.lane_of(conn, peer, act.lane) else { return };
        let hash = act.action.hash(&act.lane.key.uuid);
        if let Some(known) = self.home.lanes.get_mut(&lane) {
            known.floor = known.floor.max(act.floor);
            let floor = known.floor;
            // What a floor has passed may be dropped, also while it waits to be answered again.
            self.home
                .again
                .retain(|(_, of, sequence), (same, _)| *of != lane || *sequence >= floor || !*same);
        }
        if act.sequence <= self.home.mark(&lane) {
            return self.came_again(conn, lane, act, hash, eyes);
        }
        let end = act.remaining_ms.map(|ms| self.clock.now().saturating_add(ms));
        let mark = self.home.mark(&lane);
        let next = next_place(mark, act.floor);
        if act.sequence > next {
            let group = self.group;
            self.home.gaps.retain(|(.., then)| *then + 1 >= group);
            self.home.gaps.push((lane, next, group));
        }
        let copies = self.home.copies.entry((lane, act.sequence)).or_default();
        let same =
            copies.iter_mut().find(|c| c.hash == hash && c.act.void == act.void && c.act.guest == act.guest);
        if let Some(copy) = same {
            copy.low_floor = copy.low_floor.min(act.floor);
            copy.act.floor = copy.act.floor.max(act.floor);
            copy.conns.insert(conn);
            copy.ends.push(end);
        } else {
            copies.push(Copy {
                act: act.clone(),
                hash,
                mark,
                low_floor: act.floor,
                conns: BTreeSet::from([conn]),
                ends: vec![end],
                codes: BTreeSet::new(),
                passes: false,
                told: false,
                begins: false,
                shown: BTreeSet::new(),
                perhaps: BTreeSet::new(),
                needed: None,
                lacking_from: None,
                unasked: None,
                lost: false,
            });
        }
        let mut copies = self.home.copies.remove(&(lane, act.sequence)).unwrap_or_default();
        for copy in &mut copies {
            self.look_at(&lane, copy);
        }
        self.home.copies.insert((lane, act.sequence), copies);
    }

    /// An act of a place that is recorded came (rows 4 and 5).
    fn came_again(&mut self, conn: u64, lane: LaneId, act: &Act, hash: Hash, eyes: &mut Eyes<'_>) {
        let Some(row) = self.home.row(&lane, act.sequence) else { return };
        // Of what has its home elsewhere it is told where it is.
        let at_home = self.objects.find(&act.lane.key).and_then(Head::home);
        if at_home.is_some_and(|home| home != self.me) {
            return eyes.not_made(Check::AnsweredAgain);
        }
        let same = row.id == act.action.id && row.action == hash;
        // What waits before it may leave no room for it (row 1); of what came, no more can be waiting than this.
        let (acts, bytes) = self.home.most_waiting(&lane.origin);
        let waiting = acts >= eyes.limits.waiting || bytes + cost(act) > eyes.limits.waiting_bytes;
        let passed = self.home.lanes.get(&lane).is_some_and(|lane| lane.floor > act.sequence);
        let place = (conn, lane, act.sequence);
        if same && (waiting || passed) {
            // It may be dropped, or its result may be.
            self.home.again.remove(&place);
            eyes.not_made(Check::AnsweredAgain);
        } else if same || row.told {
            let known = self.home.again.entry(place).or_insert((same, cost(act)));
            known.0 |= same;
        }
    }

    /// An outcome leaves: it is the recorded one, or a refusal of rows 6 to 9.
    pub(crate) fn outcome_left(&mut self, conn: u64, peer: KernelId, told: &ActOutcome, eyes: &mut Eyes<'_>) {
        let Some(lane) = self.lane_of(conn, peer, told.lane) else {
            return eyes.not_made(Check::OutcomeStable);
        };
        if let Some(row) = self.home.row(&lane, told.sequence) {
            let same = row.id == told.id
                && row.outcome == told.outcome
                && (told.after == Some(row.after) || self.ended_with(told))
                && (told.certificate == row.certificate || row.came && told.certificate.is_none());
            let words = format!("{} is told of sequence {}", told.outcome.word(), told.sequence);
            eyes.exact(Check::OutcomeStable, same, || format!("{words}, and another is recorded"));
            let durable = eyes.disk.is_some_and(|disk| disk.home.row(&lane, told.sequence).is_some());
            eyes.exact(Check::OutcomeDurable, durable, || format!("{words} before it is on the disk"));
            self.stays(&lane, told, eyes);
            let same = self.home.again.remove(&(conn, lane, told.sequence)).is_none_or(|(same, _)| same);
            eyes.exact(Check::AnsweredAgain, same, || {
                format!("sequence {} is answered to another action", told.sequence)
            });
            let row = self.home.lanes.get_mut(&lane).and_then(|lane| lane.rows.get_mut(&told.sequence));
            row.into_iter().for_each(|row| row.told = true);
            return;
        }
        let Outcome::Refused(code) = told.outcome else {
            return eyes.exact(Check::OutcomeRecorded, false, || {
                format!(
                    "{} is told of sequence {}, and nothing is recorded",
                    told.outcome.word(),
                    told.sequence
                )
            });
        };
        self.refused_unrecorded(conn, &lane, told, code, eyes);
    }

    /// An action that removes its object: whether its newest revision "then" is the tombstone is open.
    fn ended_with(&self, told: &ActOutcome) -> bool {
        let Some(after) = told.after else { return false };
        let head = self.objects.heads.get(&after.key);
        head.is_some_and(|head| head.header.tombstone && head.id == after.revision)
    }

    /// What was told of a place is told again, over every crash.
    fn stays(&self, lane: &LaneId, told: &ActOutcome, eyes: &mut Eyes<'_>) {
        if !eyes.live() || eyes.world.rolled.contains(&self.me) {
            return;
        }
        let hash = told.outcome.hash();
        let first = *eyes.world.told.entry((self.me, *lane, told.sequence)).or_insert(hash);
        eyes.exact(Check::OutcomeStable, first == hash, || {
            format!("the outcome of sequence {} has changed", told.sequence)
        });
    }

    fn refused_unrecorded(
        &mut self,
        conn: u64,
        lane: &LaneId,
        told: &ActOutcome,
        code: Code,
        eyes: &mut Eyes<'_>,
    ) {
        let remembered = self.home.remembered(conn, lane, told.sequence);
        let copies = self.home.came_for(&(*lane, told.sequence), self.group);
        let copies: Vec<&Copy> = copies.iter().filter(|copy| copy.act.action.id == told.id).collect();
        let known = !copies.is_empty();
        if !known && self.has_moved_on(&self.objects.name(&lane.name.key)) {
            // Who waited for scenarios is told where the object is, and may be refused later, too: its origin asks there by then.
            return eyes.not_made(Check::ActKnown);
        }
        eyes.exact(Check::ActKnown, known, || format!("sequence {} was never asked for", told.sequence));
        if !known {
            return;
        }
        let quota = code == Code::Quota && copies.iter().any(|copy| copy.begins);
        let right = copies.iter().any(|copy| copy.codes.contains(&code)) || remembered == Some(code) || quota;
        let one = copies.iter().all(|copy| !copy.passes && copy.codes.len() == 1);
        let check = if code == Code::Denied { Check::DeniedAllowed } else { Check::RefusalCode };
        let how =
            How::exact_if(one || copies.iter().all(|copy| copy.passes && copy.codes.is_empty()) && !quota);
        eyes.check(check, how, right, || {
            format!("sequence {} is refused {} without a reason", told.sequence, code.name())
        });
        eyes.exact(Check::OutcomeRecorded, told.after.is_none(), || {
            format!("`after` is said of sequence {}, of which nothing is recorded", told.sequence)
        });
        for copy in self.home.copies.get_mut(&(*lane, told.sequence)).into_iter().flatten() {
            copy.told |= copy.act.action.id == told.id;
        }
        let places = self.home.refused.entry(conn).or_default();
        places.push_back((*lane, told.sequence, code));
        if places.len() > eyes.limits.refused_places {
            places.pop_front();
        }
    }

    /// Whether an act must still be refused by row 9: it came on no connection but one on which it was.
    pub(crate) fn stays_refused(&self, lane: &LaneId, sequence: u64, copy: &Copy) -> bool {
        !copy.conns.is_empty()
            && copy.conns.iter().all(|conn| {
                self.conns.contains_key(conn) && self.home.remembered(*conn, lane, sequence).is_some()
            })
    }

    /// `Missing` leaves: there is an act behind a gap, and it asks for the first of that (row 8).
    pub(crate) fn missing_left(&mut self, conn: u64, peer: KernelId, missing: &Missing, eyes: &mut Eyes<'_>) {
        let Some(lane) = self.lane_of(conn, peer, missing.lane) else {
            return eyes.not_made(Check::MissingFrom);
        };
        let mark = self.home.mark(&lane);
        let from = (lane, 0)..=(lane, u64::MAX);
        let mut behind =
            self.home.copies.range(from).flat_map(|((_, s), copies)| copies.iter().map(move |c| (*s, c)));
        // The mark and the floor may have moved since the act was looked at; never back.
        let fits = |(sequence, copy): (u64, &Copy)| {
            let places = next_place(copy.mark, copy.low_floor)..=next_place(mark, copy.act.floor);
            sequence > missing.from && places.contains(&missing.from)
        };
        // What was missing when the act came may have come behind it in the same group.
        let lately = |(of, from, group): &(LaneId, u64, u64)| {
            *of == lane && *from == missing.from && *group + 1 >= self.group
        };
        let right = behind.any(fits) || self.home.gaps.iter().any(lately);
        eyes.check(Check::MissingFrom, How::Set, right, || {
            format!("missing from {} is said, the mark is {mark}", missing.from)
        });
    }
}
