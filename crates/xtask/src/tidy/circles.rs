//! No file of a crate uses another one that uses it, at whatever distance: each can be read, tested and moved after those
//! that it rests on.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::exceptions::Exceptions;
use super::source::{Crate, Source};
use super::{Finding, paths, struck};

const CRATES: [&str; 3] = ["once-model", "once-core", "once"];

/// Which files each file uses.
type Graph = BTreeMap<usize, BTreeSet<usize>>;

/// Looks for circles.
pub fn look(source: &Source, except: &Exceptions) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut unneeded: Vec<_> = except.circles.to_vec();
    for one in CRATES.iter().filter_map(|name| source.named(name)) {
        let uses = paths::uses(one);
        let (mut all, mut allowed) = (Graph::new(), Graph::new());
        for &(from, to) in uses.keys() {
            all.entry(from).or_default().insert(to);
            let names = (one.files[from].path.as_str(), one.files[to].path.as_str());
            if !except.circles.contains(&names) {
                allowed.entry(from).or_default().insert(to);
            }
        }
        unneeded.retain(|(from, to)| {
            let place = |path: &str| one.files.iter().position(|file| file.path == path);
            !matches!((place(from), place(to)), (Some(from), Some(to))
                if uses.contains_key(&(from, to)) && way(&all, to, from).is_some())
        });
        found.extend(circles(&allowed).into_iter().map(|circle| finding(one, &uses, &circle)));
    }
    let text = |(from, to)| struck(format!("{from} closes no circle by what it uses of {to}"));
    found.extend(unneeded.into_iter().map(text));
    found
}

fn finding(one: &Crate, uses: &BTreeMap<(usize, usize), usize>, circle: &[usize]) -> Finding {
    let path = |n: usize| one.files[n].path.as_str();
    let steps = circle.windows(2).map(|pair| {
        let line = uses.get(&(pair[0], pair[1])).copied().unwrap_or(1);
        format!("\n      {}:{line} uses {}", path(pair[0]), path(pair[1]))
    });
    Finding {
        file: path(circle[0]).to_owned(),
        line: uses.get(&(circle[0], circle[1])).copied().unwrap_or(1),
        rule: "no circles between files",
        what: steps.collect(),
        todo: "move what both need to a file below them, or let the upper one call and the lower one answer",
    }
}

/// One circle, the shortest, of each group of files that all reach each other. The first file is there again at the end.
fn circles(graph: &Graph) -> Vec<Vec<usize>> {
    let mut found: Vec<Vec<usize>> = Vec::new();
    let mut left: BTreeSet<usize> = graph.keys().copied().collect();
    while let Some(start) = left.pop_first() {
        let Some(circle) = way(graph, start, start) else { continue };
        // All that reach each other count once, with the shortest circle among them.
        let group: Vec<usize> = (left.iter().copied())
            .filter(|other| way(graph, start, *other).is_some() && way(graph, *other, start).is_some())
            .collect();
        left.retain(|other| !group.contains(other));
        let circles = group.iter().filter_map(|other| way(graph, *other, *other)).chain([circle]);
        found.extend(circles.min_by_key(Vec::len));
    }
    found
}

/// The shortest way, with both ends, of at least one step.
fn way(graph: &Graph, from: usize, to: usize) -> Option<Vec<usize>> {
    let (mut queue, mut came_from) = (VecDeque::from([from]), BTreeMap::new());
    while let Some(here) = queue.pop_front() {
        for next in graph.get(&here).into_iter().flatten() {
            if came_from.contains_key(next) {
                continue;
            }
            came_from.insert(*next, here);
            if *next == to {
                let mut way = vec![to];
                while let Some(before) = came_from.get(way.last()?) {
                    way.push(*before);
                    if *before == from {
                        way.reverse();
                        return Some(way);
                    }
                }
            }
            queue.push_back(*next);
        }
    }
    None
}
