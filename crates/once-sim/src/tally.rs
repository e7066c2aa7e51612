//! How often, how sharply, and in how many seeds the judge made each of its checks.

use std::collections::BTreeMap;
use std::fmt;

use once_judge::{Check, Tally};

/// So many seeds are named for each check, to be played again.
const NAMED: usize = 12;

/// Of many seeds.
#[derive(Debug, Default)]
pub struct Checks {
    seeds: u64,
    all: Tally,
    /// In how many seeds each was made.
    made_in: Vec<u64>,
    /// Complaints that fail nothing: it is not decided who is right.
    undecided: BTreeMap<&'static str, Undecided>,
}

/// The complaints of one undecided check.
#[derive(Debug, Default)]
struct Undecided {
    count: u64,
    /// The first seeds that met one.
    seeds: Vec<u64>,
}

impl Undecided {
    fn add(&mut self, count: u64, seeds: &[u64]) {
        self.count += count;
        self.seeds.extend(seeds);
        self.seeds.truncate(NAMED);
    }
}

impl Checks {
    /// With one seed more.
    pub fn add(&mut self, seed: u64, tally: &Tally, undecided: &BTreeMap<&'static str, u64>) {
        for (name, count) in undecided {
            self.undecided.entry(name).or_default().add(*count, &[seed]);
        }
        self.seeds += 1;
        self.all.add(tally);
        self.made_in.resize(Check::ALL.len(), 0);
        for (made_in, (_, count)) in self.made_in.iter_mut().zip(tally.all()) {
            *made_in += u64::from(count.exact + count.set > 0);
        }
    }

    /// With what others counted.
    pub fn join(&mut self, other: &Self) {
        for (name, theirs) in &other.undecided {
            self.undecided.entry(name).or_default().add(theirs.count, &theirs.seeds);
        }
        self.seeds += other.seeds;
        self.all.add(&other.all);
        self.made_in.resize(Check::ALL.len(), 0);
        self.made_in.iter_mut().zip(&other.made_in).for_each(|(mine, theirs)| *mine += theirs);
    }

    /// Each check: its name, how often it was made, how often one answer was right and it could not be made, and in how many
    /// of 1,000 seeds it was made.
    fn rows(&self) -> impl Iterator<Item = (&'static str, u64, u64, u64, u64)> + '_ {
        self.all.all().zip(&self.made_in).map(|((check, count), made_in)| {
            let share = made_in * 1000 / self.seeds.max(1);
            (check.name(), count.exact + count.set, count.exact, count.not_made, share)
        })
    }

    /// As one JSON object.
    pub fn json(&self) -> String {
        let checks: Vec<_> = self
            .rows()
            .map(|(name, made, exact, not_made, share)| {
                format!(
                    "\"{name}\":{{\"made\":{made},\"exact\":{exact},\"not_made\":{not_made},\"seeds_permille\":{share}}}"
                )
            })
            .collect();
        let undecided: Vec<_> =
            self.undecided.iter().map(|(name, found)| format!("\"{name}\":{}", found.count)).collect();
        format!(
            "{{\"exact_permille\":{},\"undecided\":{{{}}},\"checks\":{{{}}}}}",
            self.all.exact_permille(),
            undecided.join(","),
            checks.join(",")
        )
    }
}

impl fmt::Display for Checks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, made, exact, not_made, share) in self.rows() {
            writeln!(
                f,
                "check {name:<18} made {made:>9}  exact {exact:>9}  not made {not_made:>8}  in {:>5.1} % of the seeds",
                share as f64 / 10.0
            )?;
        }
        for (name, Undecided { count, seeds }) in &self.undecided {
            writeln!(f, "undecided {name} {count}, first in seeds {seeds:?}")?;
        }
        writeln!(f, "exact_permille {}", self.all.exact_permille())
    }
}
