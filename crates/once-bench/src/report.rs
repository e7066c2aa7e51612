//! What a run found: tables for people, or one JSON object whose bars are `null` until they are measured.

use std::fmt;

use serde_json::{Map, Value, json};

use crate::machine::Machine;
use crate::rounds::{Absent, Book};
use crate::rows::FDATASYNC;

/// A whole run.
pub struct Report {
    pub machine: Machine,
    pub book: Book,
    pub rounds: usize,
    pub quick: bool,
}

/// One promise about speed.
struct Bar {
    key: &'static str,
    from: From,
    limit: Limit,
}

enum From {
    /// Ratio of the medians of two figures.
    Ratio(&'static str, &'static str),
    /// Median of one figure.
    Median(&'static str),
    /// p99.9 of a row's times over all rounds, in ms.
    Tail(&'static str),
}

enum Limit {
    AtMost(f64),
    AtLeast(f64),
    Under(f64),
    /// Told, not judged.
    None,
}

const fn bar(key: &'static str, from: From, limit: Limit) -> Bar {
    Bar { key, from, limit }
}

/// The bars of the issues on exchange, on actions and on moves.
const BARS: [Bar; 39] = [
    bar("request_p50_ratio", From::Ratio("request_p50_us", "echo_p50_us"), Limit::AtMost(1.5)),
    bar("share_p50_ratio", From::Ratio("share_p50_us", "durable_p50_us"), Limit::AtMost(1.5)),
    bar("share_rate_ratio", From::Ratio("share_rate", "store_share_rate"), Limit::AtLeast(0.4)),
    bar("exchange_all_ratio", From::Ratio("exchange_all_rate", "store_exchange_rate"), Limit::AtLeast(0.4)),
    bar("exchange_delta_bytes", From::Median("exchange_delta_bytes"), Limit::Under(150_000.0)),
    bar("bulk_ratio", From::Ratio("bulk_rate", "bare_bulk_rate"), Limit::AtLeast(0.6)),
    bar("bulk_broken", From::Median("bulk_broken"), Limit::AtMost(0.0)),
    bar("start_ms_1000", From::Median("start_ms_1000"), Limit::Under(100.0)),
    bar("start_ms_100000", From::Median("start_ms_100000"), Limit::Under(300.0)),
    bar("start_after_kill_ms", From::Median("start_after_kill_ms"), Limit::Under(1_000.0)),
    bar("rss_idle_mib", From::Median("rss_idle_mib"), Limit::Under(40.0)),
    bar("rss_after_mib", From::Median("rss_after_mib"), Limit::Under(40.0)),
    bar("binary_bytes", From::Median("binary_bytes"), Limit::None),
    bar("request_p999_ms", From::Tail("request"), Limit::Under(50.0)),
    bar("share_p999_ms", From::Tail("share"), Limit::Under(50.0)),
    bar("durable_p999_ms", From::Tail("durable"), Limit::None),
    bar("act_p50_ratio", From::Ratio("act_p50_us", "call_p50_us"), Limit::AtMost(1.5)),
    bar("act_p50_us", From::Median("act_p50_us"), Limit::None),
    bar("act_p99_us", From::Median("act_p99_us"), Limit::None),
    bar("act_p99_over_p50", From::Ratio("act_p99_us", "act_p50_us"), Limit::AtMost(5.0)),
    bar("act_rate_ratio", From::Ratio("act_rate_per_s", "store_act_rate"), Limit::AtLeast(0.4)),
    bar("act_rate_per_s", From::Median("act_rate_per_s"), Limit::None),
    bar(
        "act_local_rate_ratio",
        From::Ratio("act_local_rate_per_s", "store_act_local_rate"),
        Limit::AtLeast(0.5),
    ),
    bar("move_p50_ratio", From::Ratio("move_p50_us", "call_p50_us"), Limit::AtMost(5.0)),
    bar("move_p50_us", From::Median("move_p50_us"), Limit::None),
    bar("move_rate_ratio", From::Ratio("move_rate", "store_move_rate"), Limit::AtLeast(0.2)),
    bar("act_while_moving_p99_us", From::Median("act_while_moving_p99_us"), Limit::Under(20_000.0)),
    bar("act_after_move_ratio", From::Ratio("act_after_move_p50_us", "act_p50_us"), Limit::AtMost(2.5)),
    bar("act_after_move_p50_us", From::Median("act_after_move_p50_us"), Limit::None),
    bar("restore_added_us", From::Median("restore_added_us"), Limit::AtMost(100.0)),
    bar("start_million_ms", From::Median("start_million_ms"), Limit::Under(400.0)),
    bar("rss_million_mib", From::Median("rss_million_mib"), Limit::None),
    bar("rss_thousand_mib", From::Median("rss_thousand_mib"), Limit::None),
    bar("rss_million_ratio", From::Ratio("rss_million_mib", "rss_thousand_mib"), Limit::AtMost(1.0)),
    bar("find_index_p50_us", From::Median("find_index_p50_us"), Limit::Under(20_000.0)),
    bar("find_scan_first_ms", From::Median("find_scan_first_ms"), Limit::Under(200.0)),
    bar("watch_resume_ms", From::Median("watch_resume_ms"), Limit::Under(1_000.0)),
    bar("find_scan_all_ms", From::Median("find_scan_all_ms"), Limit::Under(1_000.0)),
    bar("act_cpu_s_per_100k", From::Median("act_cpu_s_per_100k"), Limit::None),
];

impl Bar {
    fn value(&self, book: &Book) -> Option<f64> {
        match self.from {
            From::Ratio(engine, yard) => Some(book.median(engine)? / book.median(yard)?),
            From::Median(key) => book.median(key),
            From::Tail(row) => book.tail_ms(row),
        }
    }

    fn met(&self, value: f64) -> bool {
        match self.limit {
            Limit::AtMost(limit) => value <= limit,
            Limit::AtLeast(limit) => value >= limit,
            Limit::Under(limit) => value < limit,
            Limit::None => true,
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, limit) = match self {
            Limit::AtMost(limit) => ("at most", limit),
            Limit::AtLeast(limit) => ("at least", limit),
            Limit::Under(limit) => ("under", limit),
            Limit::None => return f.pad("-"),
        };
        f.pad(&format!("{word} {limit}"))
    }
}

impl Report {
    /// One flat object: a key for each bar, then everything it came from.
    pub fn json(&self) -> Value {
        let mut all = Map::new();
        for bar in &BARS {
            all.insert(bar.key.to_owned(), json!(bar.value(&self.book)));
        }
        let missed: Vec<_> =
            BARS.iter().filter(|bar| bar.value(&self.book).is_some_and(|v| !bar.met(v))).collect();
        all.insert("missed".to_owned(), missed.iter().map(|bar| bar.key).collect());
        let mut rows = Map::new();
        for s in &self.book.series {
            let row = json!({
                "unit": s.unit, "median": s.median(), "min": s.min(), "max": s.max(), "rounds": s.rounds,
            });
            rows.insert(s.key.clone(), row);
        }
        all.insert("rows".to_owned(), Value::Object(rows));
        let absent = self.book.absent.iter().map(|(name, why)| ((*name).to_owned(), json!(why.to_string())));
        all.insert("absent".to_owned(), Value::Object(absent.collect()));
        all.insert("plans".to_owned(), json!(self.book.plans));
        let machine = json!({
            "cpus": self.machine.cpus,
            "dir": self.machine.dir.display().to_string(),
            "file_system": self.machine.file_system,
            "fdatasync_p50_us": self.book.median("fdatasync_p50_us"),
            "fdatasync_p999_us": self.book.tail_ms(FDATASYNC).map(|ms| ms * 1e3),
        });
        all.insert("machine".to_owned(), machine);
        all.insert("rounds".to_owned(), json!(self.rounds));
        all.insert("quick".to_owned(), json!(self.quick));
        Value::Object(all)
    }
}

impl fmt::Display for Absent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Absent::NotMeasured => f.write_str("not measured"),
            Absent::Refused(why) => write!(f, "refused: {why}"),
            Absent::Failed(why) => write!(f, "failed: {why}"),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let smoke = if self.quick { " (--quick: smoke figures, no evidence)" } else { "" };
        writeln!(f, "{}\n{} interleaved rounds{smoke}\n", self.machine, self.rounds)?;
        writeln!(f, "{:<24}{:>12}{:>12}{:>12}  unit", "figure", "median", "min", "max")?;
        for s in &self.book.series {
            let [median, min, max] = [s.median(), s.min(), s.max()].map(number);
            writeln!(f, "{:<24}{median:>12}{min:>12}{max:>12}  {}", s.key, s.unit)?;
        }
        writeln!(f, "\n{:<24}{:>12}  limit", "bar", "value")?;
        for bar in &BARS {
            let value = bar.value(&self.book);
            let verdict = match value {
                Some(value) if !bar.met(value) => "MISSED",
                Some(_) if !matches!(bar.limit, Limit::None) => "met",
                _ => "",
            };
            let line = format!("{:<24}{:>12}  {:<16}{verdict}", bar.key, number(value), bar.limit);
            writeln!(f, "{}", line.trim_end())?;
        }
        writeln!(f)?;
        for (name, plan) in &self.book.plans {
            writeln!(f, "{name} wrote {plan}")?;
        }
        for (name, why) in &self.book.absent {
            match why {
                Absent::NotMeasured => {}
                // Why is the same for all of them, and was said on the way.
                Absent::Refused(_) => writeln!(f, "{name}: refused on {}", self.machine.file_system)?,
                Absent::Failed(_) => writeln!(f, "{name}: {why}")?,
            }
        }
        Ok(())
    }
}

/// Three digits that count are enough; whole numbers stay whole.
fn number(value: Option<f64>) -> String {
    match value {
        None => "not measured".to_owned(),
        Some(v) if v.fract() == 0.0 || v.abs() >= 1_000.0 => format!("{v:.0}"),
        Some(v) if v.abs() >= 100.0 => format!("{v:.1}"),
        Some(v) => format!("{v:.2}"),
    }
}
