//! Interleaved rounds: every row once, then every row again, so that a machine that slows down or speeds up does so
//! for both sides of a ratio.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use crate::machine::Machine;
use crate::rows::Row;
use crate::{Bench, Res};

/// Times of single requests, in nanoseconds.
pub type Latency = Histogram<u64>;

/// Up to a minute, to three digits.
pub fn latency() -> Res<Latency> {
    Ok(Histogram::new_with_bounds(1, 60_000_000_000, 3)?)
}

/// One figure of one row over the rounds.
pub struct Series {
    pub key: String,
    pub unit: &'static str,
    pub rounds: Vec<f64>,
}

impl Series {
    /// The middle round; the mean of the two middle ones when their number is even.
    pub fn median(&self) -> Option<f64> {
        let mut sorted = self.rounds.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        let upper = sorted.get(middle).copied()?;
        if sorted.len() % 2 == 1 {
            return Some(upper);
        }
        Some((sorted.get(middle.checked_sub(1)?)? + upper) / 2.0)
    }

    pub fn min(&self) -> Option<f64> {
        self.rounds.iter().copied().min_by(f64::total_cmp)
    }

    pub fn max(&self) -> Option<f64> {
        self.rounds.iter().copied().max_by(f64::total_cmp)
    }
}

/// Why a row has no figures.
pub enum Absent {
    /// The engine cannot do this yet.
    NotMeasured,
    /// The figure would mean nothing here.
    Refused(String),
    /// It was tried.
    Failed(String),
}

/// Everything that was measured so far.
#[derive(Default)]
pub struct Book {
    pub series: Vec<Series>,
    pub absent: Vec<(&'static str, Absent)>,
    /// What the stores were given to write.
    pub plans: BTreeMap<&'static str, String>,
    tails: Vec<(&'static str, Latency)>,
}

impl Book {
    /// One round's value of a figure.
    pub fn value(&mut self, key: impl Into<String>, unit: &'static str, value: f64) {
        let key = key.into();
        match self.series.iter_mut().find(|s| s.key == key) {
            Some(series) => series.rounds.push(value),
            None => self.series.push(Series { key, unit, rounds: vec![value] }),
        }
    }

    /// One round's times, as the figures `NAME_p50_us`, `_p99_us`, `_p999_us`.
    pub fn latency(&mut self, name: &'static str, times: &Latency) -> Res<()> {
        for (suffix, quantile) in [("p50", 0.5), ("p99", 0.99), ("p999", 0.999)] {
            let us = times.value_at_quantile(quantile) as f64 / 1e3;
            self.value(format!("{name}_{suffix}_us"), "us", us);
        }
        match self.tails.iter_mut().find(|(of, _)| *of == name) {
            Some((_, all)) => all.add(times)?,
            None => self.tails.push((name, times.clone())),
        }
        Ok(())
    }

    /// The median of a figure, if it was measured.
    pub fn median(&self, key: &str) -> Option<f64> {
        self.series.iter().find(|s| s.key == key)?.median()
    }

    /// p99.9 over all rounds together: a tail is no place for medians.
    pub fn tail_ms(&self, name: &str) -> Option<f64> {
        let (_, all) = self.tails.iter().find(|(of, _)| *of == name)?;
        Some(all.value_at_quantile(0.999) as f64 / 1e6)
    }

    /// Whether any row went wrong.
    pub fn any_failed(&self) -> bool {
        self.absent.iter().any(|(_, why)| matches!(why, Absent::Failed(_)))
    }
}

/// Runs all rounds. A row that fails is left out from then on; the others go on.
pub async fn run(bench: &Bench, machine: &Machine, rows: &[Row], rounds: usize) -> Book {
    let mut book = Book::default();
    let mut left: Vec<Row> = rows.to_vec();
    if let Some(why) = machine.refuses_durable() {
        eprintln!("durable rows refused: {why}");
        for row in left.extract_if(.., |row| row.durable) {
            book.absent.push((row.name, Absent::Refused(why.clone())));
        }
    }
    for round in 1..=rounds {
        let mut next = Vec::new();
        for row in left {
            eprintln!("round {round}/{rounds}: {}", row.name);
            match row.run(bench, &mut book).await {
                Ok(true) if row.once => {}
                Ok(true) => next.push(row),
                Ok(false) => book.absent.push((row.name, Absent::NotMeasured)),
                Err(err) => {
                    eprintln!("round {round}/{rounds}: {} failed: {err}", row.name);
                    book.absent.push((row.name, Absent::Failed(err.to_string())));
                }
            }
        }
        left = next;
    }
    book
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_the_middle_round() {
        let mut book = Book::default();
        for value in [9.0, 1.0, 5.0] {
            book.value("x", "us", value);
        }
        assert_eq!(book.median("x"), Some(5.0));
        book.value("x", "us", 7.0);
        assert_eq!(book.median("x"), Some(6.0));
        assert_eq!(book.median("y"), None);
    }

    #[test]
    fn a_tail_counts_every_round() {
        let mut book = Book::default();
        for slow_ns in [1_000, 50_000_000] {
            let mut times = latency().unwrap();
            times.record_n(1_000, 99).unwrap();
            times.record(slow_ns).unwrap();
            book.latency("x", &times).unwrap();
        }
        assert!(book.tail_ms("x").unwrap() > 49.0);
        assert_eq!(book.series.len(), 3);
    }
}
