//! What a program that was asked for it went away over, or did not answer in time. That may have been the fault of something
//! else, so it is asked for again: after everything else, one at a time, and after a pause that grows each time.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use once_model::ids::{ObjectKey, Uuid};

/// The pause after the second time; the first time there is none, since several are suspected then. Doubled each time.
const PAUSE_MIN: Duration = Duration::from_secs(1);

/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(300);

/// Most that are remembered. Of further ones the oldest is no longer suspected.
const SUSPECTS_MAX: usize = 1024;

/// The object, and what stands for the action or the work.
pub(super) type Place = (ObjectKey, Uuid);

/// What is suspected of being more than its program can bear.
#[derive(Debug, Clone)]
pub(crate) struct Suspect {
    /// The component, or the kind of work.
    pub of: String,
    /// The action's name.
    pub name: String,
    /// The object that it is on.
    pub object: ObjectKey,
    /// The action's id, or that of the work.
    pub id: Uuid,
    /// How often a program went away over it.
    pub times: u32,
    /// It is not asked for before that.
    pub until: Instant,
    /// It was to be asked for since, and was not.
    waits: bool,
    since: u64,
}

#[derive(Debug, Default)]
pub(super) struct Suspects {
    all: BTreeMap<Place, Suspect>,
    count: u64,
}

impl Suspects {
    /// A program went away while it was asked for all of these: those that are suspected already did it; if none is, it
    /// may have been any.
    pub fn blame(&mut self, asked: Vec<(Place, String, String, Uuid)>) {
        let known = asked.iter().any(|(place, ..)| self.all.contains_key(place));
        for (place, of, name, id) in asked {
            if known && !self.all.contains_key(&place) {
                continue;
            }
            self.count += 1;
            let new = Suspect {
                of,
                name,
                object: place.0,
                id,
                times: 0,
                until: Instant::now(),
                waits: false,
                since: self.count,
            };
            let suspect = self.all.entry(place).or_insert(new);
            suspect.times = suspect.times.saturating_add(1);
            let doubled = 1_u32.checked_shl(suspect.times.saturating_sub(2)).unwrap_or(u32::MAX);
            let pause = if suspect.times < 2 { Duration::ZERO } else { PAUSE_MIN.saturating_mul(doubled) };
            suspect.until = Instant::now() + pause.min(PAUSE_MAX);
        }
        while self.all.len() > SUSPECTS_MAX {
            let oldest = self.all.iter().min_by_key(|(_, suspect)| suspect.since);
            let Some(oldest) = oldest.map(|(place, _)| *place) else { return };
            self.all.remove(&oldest);
        }
    }

    /// It has its answer.
    pub fn clear(&mut self, place: &Place) {
        self.all.remove(place);
    }

    /// Nobody serves these any more.
    pub fn clear_of(&mut self, of: &str) {
        self.all.retain(|_, suspect| suspect.of != of);
    }

    /// Whether it has to wait still; `others` are asked for now.
    pub fn is_to_wait(&mut self, place: &Place, mut others: impl Iterator<Item = Place>) -> bool {
        let Some(suspect) = self.all.get(place) else { return false };
        let of = suspect.of.as_str();
        let waits = suspect.until > Instant::now()
            || others.any(|other| self.all.get(&other).is_some_and(|other| other.of == of));
        if let Some(suspect) = self.all.get_mut(place) {
            suspect.waits = waits;
        }
        waits
    }

    /// Whose pause is over and who is to be asked for again: of which component or kind of work.
    pub fn due(&mut self, others: impl Iterator<Item = Place>) -> Vec<String> {
        let now = Instant::now();
        let busy: Vec<String> =
            others.filter_map(|other| self.all.get(&other)).map(|other| other.of.clone()).collect();
        let mut due = Vec::new();
        for suspect in self.all.values_mut() {
            if suspect.waits && suspect.until <= now && !busy.contains(&suspect.of) {
                suspect.waits = false;
                due.push(suspect.of.clone());
            }
        }
        due.sort_unstable();
        due.dedup();
        due
    }

    /// When to look again.
    pub fn next(&self) -> Option<Instant> {
        let now = Instant::now();
        let pauses = self.all.values().filter(|suspect| suspect.waits && suspect.until > now);
        pauses.map(|suspect| suspect.until).min()
    }

    /// All that are suspected with some reason: a program went away over them more than once.
    pub fn list(&self) -> Vec<Suspect> {
        let mut all: Vec<_> = self.all.values().filter(|suspect| suspect.times > 1).cloned().collect();
        all.sort_by_key(|suspect| std::cmp::Reverse(suspect.times));
        all
    }
}
