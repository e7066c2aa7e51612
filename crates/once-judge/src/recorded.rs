//! What is recorded: the entry in the object's history, the place in the lane, and the outcome that was due.

use once_model::action::{Action, BUILT_IN_FROM, Outcome};
use once_model::certificate::Chain;
use once_model::header::Cause;
use once_model::ids::{Hash, ObjectKey};
use once_model::receipt::Entry;

use crate::check::{Check, How};
use crate::eyes::{Eyes, LaneId};
use crate::home::{Row, next_place};
use crate::hosting::Continued;
use crate::kernel::Kernel;
use crate::objects::{Head, Tip, began_as};
use crate::runs::{Run, predicted};
use crate::seen::{Recorded, Revised, Said};

const ZERO: Hash = Hash::from_bytes([0; 32]);

impl Kernel {
    /// An action is recorded.
    pub(crate) fn recorded(&mut self, recorded: &Recorded, eyes: &mut Eyes<'_>) {
        let entry = &recorded.entry;
        let began = self.claim_of(recorded);
        let moved = self.continued(recorded);
        let named = began.unwrap_or(entry.object);
        let before = match &moved {
            Some(moved) => Some(moved.before.clone()),
            None => self.objects.heads.get(&named).cloned(),
        };
        let tip = match &moved {
            Some(moved) => moved.tip,
            None => self.objects.tips.get(&named).copied(),
        };
        if let Some(moved) = &moved {
            self.goes_on(recorded, moved, eyes);
        }
        self.still_while_sealed(recorded, moved.as_ref(), eyes);
        self.entry_follows(recorded, began, before.as_ref(), tip, eyes);
        if let Some(revised) = &recorded.revision {
            self.revision_follows(entry, revised, before.as_ref(), began.is_some(), eyes);
        }
        let word = self.word_run(entry);
        let run = if let Some(run) = word {
            self.word_recorded(recorded, &run, before.as_ref(), eyes);
            Some(run)
        } else if entry.sequence >= BUILT_IN_FROM {
            let name = moved.as_ref().map(|moved| moved.name);
            self.built_in(recorded, before.as_ref(), began, name, eyes);
            None
        } else {
            self.lane_recorded(recorded, before.as_ref(), eyes)
        };
        self.keep(recorded, began);
        self.is_home_again(recorded, moved.as_ref(), eyes);
        if let Some(run) = run {
            self.effects_of(recorded, &run);
        }
    }

    /// The unclaimed copy that this entry claims.
    fn claim_of(&self, recorded: &Recorded) -> Option<ObjectKey> {
        let revised = recorded.revision.as_ref()?;
        let began = began_as(&revised.chain);
        let first = revised.header.revision == 1 && !self.objects.heads.contains_key(&recorded.entry.object);
        (first && self.objects.heads.contains_key(&began)).then_some(began)
    }

    fn entry_follows(
        &self,
        recorded: &Recorded,
        began: Option<ObjectKey>,
        before: Option<&Head>,
        tip: Option<Tip>,
        eyes: &mut Eyes<'_>,
    ) {
        let entry = &recorded.entry;
        let (number, previous) = tip.map_or((1, ZERO), |tip| (tip.number + 1, tip.hash));
        eyes.exact(Check::EntryNumber, entry.number == number, || {
            format!("an entry of {} has number {} and not {number}", entry.object, entry.number)
        });
        eyes.exact(Check::EntryChain, entry.previous == previous, || {
            format!("entry {} of {} does not name the one before", entry.number, entry.object)
        });
        let was = before.map_or(ZERO, |head| head.id);
        let (revision, content) = match (&recorded.revision, before) {
            (Some(revised), _) => (revised.header.revision, revised.header.content),
            (None, Some(head)) => (head.header.revision, head.header.content),
            (None, None) => (0, ZERO),
        };
        let chain =
            recorded.revision.as_ref().map(|r| &r.chain).or(before.and_then(|head| head.chain.as_ref()));
        // Of a claim the page does not say whether the unclaimed header is the revision before.
        let before_fits = entry.before == was || began.is_some() && entry.before == ZERO;
        let fits = before_fits
            && entry.revision == revision
            && entry.content == content
            && entry.outcome == recorded.outcome.hash()
            && entry.certificate == chain.map(Chain::certificate)
            && entry.sequence > 0;
        eyes.check(Check::EntryFields, How::exact_if(began.is_none()), fits, || {
            format!("entry {} of {} says another thing than what was recorded", entry.number, entry.object)
        });
        let home =
            chain.is_none_or(|chain| chain.home() == self.me && chain.incarnation() == self.incarnation);
        // What is known of it counts, but where its chain has grown by this.
        let known = before.and_then(|head| head.chain.as_ref());
        let stays = known.is_none_or(|known| {
            known.home() == self.me || chain.is_some_and(|chain| chain.links.len() > known.links.len())
        });
        eyes.exact(Check::OneHome, home && stays, || {
            format!("{} is not at home here, and has a record", entry.object)
        });
        if let (Some(revised), true) = (&recorded.revision, eyes.live()) {
            let under = (entry.object, revised.chain.certificate());
            let first = *eyes.world.makers.entry(under).or_insert(self.me);
            eyes.exact(Check::OneHome, first == self.me, || {
                format!(
                    "{} is changed here under a certificate under which {} has changed it",
                    entry.object,
                    first.short()
                )
            });
        }
    }

    /// Of an object that is sealed nothing is recorded but that it works again.
    fn still_while_sealed(&self, recorded: &Recorded, moved: Option<&Continued>, eyes: &mut Eyes<'_>) {
        let key = recorded.entry.object;
        if self.moves.sealed.contains_key(&key) {
            let reopens = moved.is_some_and(|moved| moved.handoff.is_none());
            eyes.exact(Check::SealedStill, reopens, || {
                format!("entry {} of {key} is recorded, and it is sealed", recorded.entry.number)
            });
        }
    }

    /// An object that moved here, or is home again, works from now on.
    fn is_home_again(&mut self, recorded: &Recorded, moved: Option<&Continued>, eyes: &Eyes<'_>) {
        let key = recorded.entry.object;
        match (moved, &recorded.revision) {
            (Some(Continued { handoff: Some((from, handoff)), .. }), Some(revised)) => {
                self.moved_in(&key, handoff, &revised.chain, eyes);
                self.word_due(key, *from, recorded.entry.number);
            }
            (Some(_), _) => self.reopened(&key),
            (None, _) => {}
        }
    }

    fn revision_follows(
        &self,
        entry: &Entry,
        revised: &Revised,
        before: Option<&Head>,
        claim: bool,
        eyes: &mut Eyes<'_>,
    ) {
        let header = &revised.header;
        let head = before.filter(|_| !claim);
        let removed = head.is_some_and(|head| head.header.tombstone);
        eyes.exact(Check::RemovedStays, !removed, || format!("{} was removed, and is changed", entry.object));
        let cause = header.cause.as_ref();
        let caused = cause.is_some_and(|cause: &Cause| {
            (cause.origin, cause.incarnation, cause.sequence, cause.id)
                == (entry.origin, entry.incarnation, entry.sequence, entry.id)
        });
        let bytes = !claim || before.is_some_and(|head| head.header.content == header.content);
        let fits = header.key() == entry.object
            && header.entry == Some(entry.hash())
            && header.parent == head.map(|head| head.id)
            && header.revision == head.map_or(1, |head| head.header.revision + 1)
            && header.epoch == revised.chain.epoch()
            && header.certificate == Some(revised.chain.certificate())
            && caused
            && bytes;
        eyes.exact(Check::RevisionFields, fits, || {
            format!("revision {} of {} does not follow from its entry", header.revision, entry.object)
        });
        let chained = header.lineage.is_some_and(|lineage| {
            head.is_some_and(|head| head.chain.as_ref() == Some(&revised.chain))
                || revised.chain.verify(lineage).is_ok()
        });
        let first = head.is_some() || revised.chain.genesis.content == header.content;
        eyes.exact(Check::RevisionFields, chained && first, || {
            format!("the chain of {} does not lead to revision {}", entry.object, header.revision)
        });
    }

    /// A place of a lane: it is the next, its action was asked for, and the outcome is the one that was due.
    fn lane_recorded(
        &mut self,
        recorded: &Recorded,
        before: Option<&Head>,
        eyes: &mut Eyes<'_>,
    ) -> Option<Run> {
        let entry = &recorded.entry;
        let lane = LaneId { origin: entry.origin, incarnation: entry.incarnation, name: recorded.lane };
        let (sequence, mark) = (entry.sequence, self.home.mark(&lane));
        let again = self.home.row(&lane, sequence).is_some() || sequence <= mark;
        eyes.exact(Check::Once, !again, || format!("sequence {sequence} is recorded again"));
        let runs = self.home.runs.iter().filter(|(_, run)| {
            run.said.is_some()
                && (run.origin, run.sequence, run.action.id) == (entry.origin, sequence, entry.id)
        });
        // The latest run of it is the one that counts.
        let run = runs.max_by_key(|(number, _)| **number).map(|(number, run)| (*number, run.clone()));
        let mut right: Vec<Outcome> = Vec::new();
        let mut exact = true;
        if let Some((_, run)) = &run {
            let fresh = before.is_some_and(|head| head.id == run.base || self.claimed_from(head, &run.base));
            let ran = !matches!(recorded.outcome, Outcome::Refused(_));
            eyes.exact(Check::RunBase, fresh || !ran, || {
                format!("what is recorded of sequence {sequence} was run on an older revision")
            });
            right.extend(predicted(run, eyes.limits));
        }
        if entry.origin == self.me {
            right.extend(self.own_recorded(recorded, eyes));
        } else {
            right.extend(self.peers_recorded(&lane, entry, again, eyes));
        }
        right.dedup();
        exact &= right.len() < 2;
        if !again {
            eyes.check(
                Check::OutcomePredicted,
                How::exact_if(exact),
                right.contains(&recorded.outcome),
                || {
                    format!(
                        "{:?} is recorded of sequence {sequence}, and right is {right:?}",
                        recorded.outcome
                    )
                },
            );
        }
        self.revision_fits(recorded, before, run.as_ref().map(|(_, run)| run), eyes);
        let (_, run) = run?;
        self.right_at_the_end(&lane, &run, eyes);
        self.home.runs.retain(|_, it| {
            (it.origin, it.sequence, it.action.id) != (run.origin, run.sequence, run.action.id)
        });
        Some(run)
    }

    /// A place of a peer's lane: what may be recorded of it without a run.
    fn peers_recorded(&self, lane: &LaneId, entry: &Entry, again: bool, eyes: &mut Eyes<'_>) -> Vec<Outcome> {
        let (sequence, mark) = (entry.sequence, self.home.mark(lane));
        let mut right = Vec::new();
        let copies: Vec<_> = self.home.copies.get(&(*lane, sequence)).into_iter().flatten().collect();
        let fits: Vec<_> =
            copies.iter().filter(|c| c.hash == entry.action && c.act.action.id == entry.id).collect();
        eyes.exact(Check::ActKnown, again || !fits.is_empty(), || {
            format!("sequence {sequence} is recorded, and nobody asked for that")
        });
        let floor = fits.iter().map(|copy| copy.act.floor).max().unwrap_or(0);
        eyes.exact(Check::LaneOrder, again || sequence <= next_place(mark, floor), || {
            format!("sequence {sequence} is recorded, and the mark is {mark}")
        });
        for copy in &fits {
            right.extend(self.without_run(lane.origin, copy, eyes).into_iter().map(Outcome::Refused));
        }
        let passes = again || fits.iter().any(|copy| copy.passes);
        eyes.exact(Check::ActAllowed, passes, || format!("sequence {sequence} is recorded without a right"));
        right
    }

    /// A run that ended in another transaction than it began in: the right is looked up again (492-494, 531).
    fn right_at_the_end(&self, lane: &LaneId, run: &Run, eyes: &mut Eyes<'_>) {
        if run.origin == self.me || run.group == self.group {
            return;
        }
        // It names itself as the one that acts, and was claimed in this transaction, after its right was looked up.
        let key = self.objects.name(&lane.name.key);
        let claimed = self.objects.heads.get(&key).is_some_and(|head| self.claimed_from(head, &run.base));
        if claimed && run.action.acting.is_some_and(|acting| self.objects.name(&acting) == key) {
            return eyes.not_made(Check::ActAllowed);
        }
        let copies = self.home.copies.get(&(*lane, run.sequence)).into_iter().flatten();
        let guest = copies.into_iter().any(|copy| copy.act.guest == Some(true));
        let look = self.look(run.origin, &lane.name.key, &run.action, guest);
        eyes.check(
            Check::ActAllowed,
            How::exact_if(!look.passes || look.codes.is_empty()),
            look.passes,
            || format!("{} may not do {} any more, and it is recorded", run.origin.short(), run.action.name),
        );
    }

    /// Whether the head is the first revision of the unclaimed copy that an action ran on.
    fn claimed_from(&self, head: &Head, base: &Hash) -> bool {
        let copy = head.chain.as_ref().map(began_as);
        head.header.revision == 1 && copy.is_some() && self.objects.lately.contains_key(base)
    }

    /// The revision is there exactly if the component changed the bytes, and has them.
    pub(crate) fn revision_fits(
        &self,
        recorded: &Recorded,
        before: Option<&Head>,
        run: Option<&Run>,
        eyes: &mut Eyes<'_>,
    ) {
        let made = recorded.revision.as_ref().map(|revised| revised.header.content);
        let said = match (&recorded.outcome, run.and_then(|run| run.said.as_ref())) {
            (Outcome::Done(_), Some(Said::Done { state: Some(state), .. })) => Some(state.content),
            _ => None,
        };
        let due = said.filter(|content| before.is_none_or(|head| head.header.content != *content));
        eyes.exact(Check::RevisionFields, made == due, || {
            format!("the revision of sequence {} is not what the component said", recorded.entry.sequence)
        });
        if let (Some(revised), Some(run), Some(Said::Done { state: Some(state), .. })) =
            (&recorded.revision, run, run.and_then(|run| run.said.as_ref()))
        {
            let header = &revised.header;
            let acting = header.cause.as_ref().and_then(|cause| cause.acting);
            let right = acting == run.action.acting
                && (header.size, &header.component) == (state.size, &state.component);
            eyes.exact(Check::RevisionFields, right, || {
                format!(
                    "the header of sequence {} is not of its action and its bytes",
                    recorded.entry.sequence
                )
            });
        }
        let followed = match run.and_then(|run| run.said.as_ref()) {
            Some(Said::Done { effects, .. }) if matches!(recorded.outcome, Outcome::Done(_)) => {
                !effects.is_empty()
            }
            _ => false,
        };
        let unclaimed = before.is_some_and(|head| head.chain.is_none());
        eyes.exact(Check::BuiltIn, !unclaimed || made.is_none() && !followed, || {
            format!("{} is changed before it is claimed", recorded.entry.object)
        });
    }

    /// It is so from now on.
    fn keep(&mut self, recorded: &Recorded, began: Option<ObjectKey>) {
        let entry = &recorded.entry;
        if let Some(old) = began {
            self.rename(&old, &entry.object);
        }
        if entry.sequence >= BUILT_IN_FROM && entry.id.get_version_num() == 7 {
            self.origin.ids += 1;
        }
        let hash = entry.hash();
        self.objects.tips.insert(entry.object, Tip { number: entry.number, hash });
        self.objects.entries.insert(hash, (entry.clone(), self.clock.now()));
        if let Some(revised) = &recorded.revision {
            let head = Head::new(revised.header.clone(), Some(revised.chain.clone()), None);
            // What began with these bytes here answers to the name of their copy.
            self.objects.became.entry(began_as(&revised.chain)).or_insert(entry.object);
            self.objects.put(head, self.group);
            self.revision_made(&entry.object, None);
        }
        let after = self.objects.heads.get(&entry.object).map_or(ZERO, |head| head.id);
        let lane = LaneId { origin: entry.origin, incarnation: entry.incarnation, name: recorded.lane };
        let row = Row {
            id: entry.id,
            action: entry.action,
            told: false,
            outcome: recorded.outcome.clone(),
            after: once_model::action::After { key: entry.object, revision: after },
            entry: hash,
            certificate: entry.certificate,
            came: false,
        };
        let kept = self.home.lanes.entry(lane).or_default();
        kept.rows.insert(entry.sequence, row);
        if entry.sequence < BUILT_IN_FROM {
            kept.mark = kept.mark.max(entry.sequence);
        }
        let mark = kept.mark;
        self.home.pass(&lane, mark, self.group);
    }

    /// An unclaimed copy is called otherwise: what belongs to it goes along.
    pub(crate) fn rename(&mut self, old: &ObjectKey, new: &ObjectKey) {
        self.objects.claimed(old, new, self.group);
        self.rights.rename(old, new, &self.clock);
        self.shares.rename(old, new);
        self.follows.rename(old, new);
    }

    /// A change that needs no component: its place, its arguments, its result.
    fn built_in(
        &mut self,
        recorded: &Recorded,
        before: Option<&Head>,
        began: Option<ObjectKey>,
        moved: Option<&'static str>,
        eyes: &mut Eyes<'_>,
    ) {
        let entry = &recorded.entry;
        let own = (entry.origin, entry.incarnation) == (self.me, self.incarnation);
        let place = entry.sequence == BUILT_IN_FROM + entry.number;
        let done = recorded.outcome == Outcome::Done("null".into());
        let made = recorded.revision.as_ref();
        let name = made.and_then(|revised| self.built_in_name(entry, revised, before, (began, moved)));
        eyes.exact(Check::BuiltIn, own && place && done && name.is_some(), || {
            format!("entry {} of {} is no built-in action", entry.number, entry.object)
        });
        let living = made.filter(|revised| !revised.header.tombstone).map(|revised| revised.header.content);
        let content = if made.is_none() { Some(ZERO) } else { living };
        self.built_in_known(entry, name, content, eyes);
    }

    /// Which built-in action an entry is of: the one whose hash it has.
    fn built_in_name(
        &self,
        entry: &Entry,
        revised: &Revised,
        before: Option<&Head>,
        (began, moved): (Option<ObjectKey>, Option<&'static str>),
    ) -> Option<&'static str> {
        let content = revised.header.content;
        let base = before.map_or(ZERO, |head| head.id);
        let moved = moved.as_slice();
        let names: &[&'static str] = match (before, began) {
            _ if !moved.is_empty() => moved,
            (None, _) => &["once:create"],
            (_, Some(_)) => &["once:claim"],
            _ if revised.header.tombstone => &["once:remove"],
            _ => &["once:put", "once:import", "once:keep"],
        };
        let acting = revised.header.cause.as_ref().and_then(|cause| cause.acting);
        let fits = |name: &&&str| {
            let arguments = match **name {
                "once:create" => format!("{{\"content\":\"{content}\"}}"),
                "once:remove" => format!("{{\"base\":\"{base}\"}}"),
                _ => format!("{{\"base\":\"{base}\",\"content\":\"{content}\"}}"),
            };
            let action = Action {
                id: entry.id,
                name: (**name).to_owned(),
                arguments: arguments.into(),
                given: Vec::new(),
                acting,
                answers: None,
            };
            action.hash(&entry.object.uuid) == entry.action
        };
        names.iter().find(fits).copied()
    }
}
