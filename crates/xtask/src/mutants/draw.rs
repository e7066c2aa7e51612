//! Draws a sample: random, in proportion to the parts of the engine, and the same for the same seed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::site::Site;

/// Random numbers that are the same everywhere (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        let wide = u128::from(self.next()) * end as u128;
        usize::try_from(wide >> 64).unwrap_or_default()
    }
}

/// The sites of each part of the engine, by the part's name.
pub fn strata(sites: &[Site]) -> BTreeMap<&str, Vec<usize>> {
    let mut strata: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (n, site) in sites.iter().enumerate() {
        strata.entry(site.stratum()).or_default().push(n);
    }
    strata
}

/// Chooses `count` sites (fewer if there are fewer) without those that were rejected because they do not compile.
///
/// All sites stand in a row, part after part, each part shuffled; every so many-th is taken, from a random start. So
/// each part gets its share whatever the count is. For a rejected one the next of the same part is taken.
pub fn draw(sites: &[Site], count: usize, seed: u64, rejected: &BTreeSet<usize>) -> BTreeSet<usize> {
    let mut random = Random(seed);
    let mut queues: Vec<(usize, VecDeque<usize>)> = Vec::new();
    for mut part in strata(sites).into_values() {
        shuffle(&mut part, random.next());
        let size = part.len();
        queues.push((size, part.into_iter().filter(|site| !rejected.contains(site)).collect()));
    }
    let start = random.below(sites.len().max(1));
    let mut chosen = BTreeSet::new();
    for n in 0..count {
        let mut place = (start + n * sites.len() / count) % sites.len().max(1);
        let mut of = 0;
        while queues.get(of).is_some_and(|(size, _)| place >= *size) {
            place -= queues[of].0;
            of += 1;
        }
        // A part that has no more leaves its place to the next one.
        let parts = queues.len();
        let next = (0..parts).find_map(|more| queues[(of + more) % parts].1.pop_front());
        chosen.extend(next);
    }
    chosen
}

/// In random order: then what was judged before a run is stopped is a sample, too.
pub fn shuffle<T>(items: &mut [T], seed: u64) {
    let mut random = Random(seed);
    for n in (1..items.len()).rev() {
        items.swap(n, random.below(n + 1));
    }
}

#[cfg(test)]
mod tests {
    use super::super::site::Edit;
    use super::*;

    fn sites(parts: &[(&str, usize)]) -> Vec<Site> {
        let site = |file: &str| Site {
            file: file.to_owned(),
            line: 1,
            function: "f".to_owned(),
            change: String::new(),
            range: 0..0,
            edit: Edit::Delete,
        };
        parts.iter().flat_map(|(file, count)| std::iter::repeat_n(site(file), *count)).collect()
    }

    fn of_parts(sites: &[Site], chosen: &BTreeSet<usize>) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for site in chosen {
            *counts.entry(sites[*site].stratum().to_owned()).or_default() += 1;
        }
        counts
    }

    #[test]
    fn each_part_gets_its_share_and_the_seed_says_which() {
        let sites =
            sites(&[("actions/home.rs", 500), ("actions/send.rs", 100), ("rights.rs", 200), ("txn.rs", 200)]);
        let none = BTreeSet::new();
        for seed in 0..50 {
            let chosen = draw(&sites, 50, seed, &none);
            assert_eq!(chosen, draw(&sites, 50, seed, &none));
            let parts = of_parts(&sites, &chosen);
            assert_eq!(
                parts,
                BTreeMap::from([("actions".into(), 30), ("rights".into(), 10), ("txn".into(), 10)])
            );
        }
        assert_ne!(draw(&sites, 50, 1, &none), draw(&sites, 50, 2, &none));
    }

    #[test]
    fn a_rejected_site_is_replaced_by_one_of_the_same_part_and_the_others_stay() {
        let sites = sites(&[("actions/home.rs", 60), ("rights.rs", 40)]);
        let first = draw(&sites, 10, 7, &BTreeSet::new());
        let rejected: BTreeSet<usize> = first.iter().copied().take(3).collect();
        let second = draw(&sites, 10, 7, &rejected);
        assert!(second.is_disjoint(&rejected));
        assert!(first.difference(&rejected).all(|site| second.contains(site)));
        assert_eq!(of_parts(&sites, &first), of_parts(&sites, &second));
    }

    #[test]
    fn shuffling_keeps_all_and_follows_the_seed() {
        let shuffled = |seed| {
            let mut items: Vec<u32> = (0..50).collect();
            shuffle(&mut items, seed);
            items
        };
        assert_eq!(shuffled(1), shuffled(1));
        assert_ne!(shuffled(1), shuffled(2));
        let mut sorted = shuffled(3);
        sorted.sort_unstable();
        assert_eq!(sorted, (0..50).collect::<Vec<_>>());
    }

    #[test]
    fn all_are_chosen_when_there_are_no_more() {
        let sites = sites(&[("actions/home.rs", 3), ("rights.rs", 2)]);
        assert_eq!(draw(&sites, 9, 1, &BTreeSet::new()).len(), 5);
        assert!(draw(&[], 9, 1, &BTreeSet::new()).is_empty());
    }
}
