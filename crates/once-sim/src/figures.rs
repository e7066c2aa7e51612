//! What came of a range of seeds, in figures.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use once_core::mutants::{Mutant, plant};
use once_judge::Tally;
use once_sim::coverage::Coverage;
use once_sim::seed::{self, Eyes, Outcome};

use crate::tally::Checks;

/// Worker threads. The result does not depend on how many there are.
const THREADS: usize = 2;

/// Figures of the seeds from `first` on.
pub struct Figures {
    pub first: u64,
    pub seeds: u64,
    pub cover: Coverage,
    pub judged: Checks,
    /// Those of them that broke a promise.
    broken: Vec<Outcome>,
    /// Of each seed.
    events: Vec<u64>,
    hash: u64,
}

/// Runs `count` seeds from `first`.
pub fn measure(first: u64, count: u64, mutant: Option<Mutant>, eyes: Eyes) -> Figures {
    let started = std::time::Instant::now();
    let mut outcomes = parallel(first, count, |seed| {
        plant(mutant);
        Some(seed::run_before(eyes, seed, false))
    });
    outcomes.sort_by_key(|outcome| outcome.seed);
    let mut figures = Figures::new(first);
    for outcome in outcomes {
        figures.seeds += 1;
        figures.events.push(outcome.events);
        figures.hash =
            (figures.hash.rotate_left(7) ^ outcome.seed).wrapping_mul(0x517c_c1b7_2722_0a95) ^ outcome.hash;
        figures.cover.add(&outcome.cover);
        figures.judged.add(outcome.seed, &outcome.tally, &outcome.undecided);
        if !outcome.violations.is_empty() {
            figures.broken.push(outcome);
        }
    }
    eprintln!(
        "seeds {first} to {}: {:.1} s",
        first + count.saturating_sub(1),
        started.elapsed().as_secs_f64()
    );
    figures
}

impl Figures {
    /// Of no seeds yet.
    pub fn new(first: u64) -> Self {
        Self {
            first,
            seeds: 0,
            cover: Coverage::default(),
            judged: Checks::default(),
            broken: Vec::new(),
            events: Vec::new(),
            hash: 0,
        }
    }

    /// With the seeds that come next.
    pub fn add(&mut self, next: &Self) {
        self.seeds += next.seeds;
        self.cover.add(&next.cover);
        self.judged.join(&next.judged);
        self.events.extend(&next.events);
        self.broken.extend(next.broken.iter().map(|outcome| Outcome {
            cover: Coverage::default(),
            tally: Tally::default(),
            undecided: BTreeMap::new(),
            violations: outcome.violations.clone(),
            ..*outcome
        }));
    }

    /// How many promises were broken.
    pub fn violations(&self) -> usize {
        self.broken.iter().map(|outcome| outcome.violations.len()).sum()
    }

    /// Half of the seeds have so many events, or fewer.
    pub fn events_p50(&self) -> u64 {
        let mut events = self.events.clone();
        events.sort_unstable();
        events.get(events.len() / 2).copied().unwrap_or(0)
    }

    /// All that happened, as one number.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// Says on stderr what a person has to look at.
    pub fn tell(&self) {
        for outcome in self.broken.iter().take(10) {
            eprintln!("seed {}:", outcome.seed);
            outcome.violations.iter().take(4).for_each(|violation| eprintln!("  {violation}"));
            eprintln!("  replay: cargo run --release -p once-sim -- --seed {}", outcome.seed);
        }
        for name in self.cover.unexpected() {
            eprintln!("met, but not in the list: {name}");
        }
    }

    /// On one line.
    pub fn json(&self) -> String {
        let never: Vec<_> = self.cover.never_reached().iter().map(|name| format!("\"{name}\"")).collect();
        format!(
            "{{\"first_seed\":{},\"seeds\":{},\"violations\":{},\"events_per_seed_p50\":{},\
             \"event_hash\":\"{:016x}\",\"never_reached\":[{}],\"judged\":{}}}",
            self.first,
            self.seeds,
            self.violations(),
            self.events_p50(),
            self.hash,
            never.join(","),
            self.judged.json()
        )
    }
}

/// Runs `work` for each number from `first`, on all threads, until it says that that is enough.
pub fn parallel<T: Send>(first: u64, count: u64, work: impl Fn(u64) -> Option<T> + Sync) -> Vec<T> {
    let next = AtomicU64::new(0);
    let one = || {
        let mut found = Vec::new();
        loop {
            let n = next.fetch_add(1, Ordering::Relaxed);
            if n >= count {
                return found;
            }
            found.extend(work(first + n));
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(one)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap_or_default()).collect()
    })
}
