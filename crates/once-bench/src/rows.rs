//! What is measured, in the order of a round: each engine row right after its yardstick.

use crate::engine::{acts, find, moves, rest, watch};
use crate::rounds::{Book, Latency};
use crate::yard::store::Plan;
use crate::yard::{bulk, call, durable, echo, store};
use crate::{Bench, Res, engine, machine};

/// The row that tells what the disk does; never left out.
pub const FDATASYNC: &str = "fdatasync";
const FDATASYNC_COUNT: usize = 2_000;

/// One row of a round.
#[derive(Clone, Copy)]
pub struct Row {
    /// For `--only`, and the beginning of its figures' names.
    pub name: &'static str,
    /// What it is compared with.
    yardstick: Option<&'static str>,
    /// Means nothing where a sync costs nothing.
    pub durable: bool,
    /// Too slow, or too steady, to be repeated each round.
    pub once: bool,
    what: What,
}

#[derive(Clone, Copy)]
enum What {
    Fdatasync,
    Echo,
    Request,
    Durable,
    Call,
    Share,
    StoreShare,
    ShareRate,
    StoreExchange,
    ExchangeAll,
    ExchangeDelta,
    Act,
    StoreAct,
    ActRate,
    StoreActLocal,
    ActLocal,
    Move,
    StoreMove,
    MoveRate,
    ActWhileMoving,
    ActAfterMove,
    Restore,
    FindIndex,
    FindScan,
    WatchResume,
    BareBulk,
    Bulk,
    BulkBroken,
    Start(usize),
    StartAfterKill,
    StartHome(usize),
    RssHome(usize),
    RssIdle,
    RssAfter,
    Binary,
}

const fn row(name: &'static str, what: What) -> Row {
    Row { name, yardstick: None, durable: false, once: false, what }
}

impl Row {
    const fn beside(self, yardstick: &'static str) -> Self {
        Self { yardstick: Some(yardstick), ..self }
    }

    const fn durable(self) -> Self {
        Self { durable: true, ..self }
    }

    const fn once(self) -> Self {
        Self { once: true, ..self }
    }

    /// One round; false when the engine cannot do this yet.
    pub async fn run(&self, bench: &Bench, book: &mut Book) -> Res<bool> {
        match self.what {
            What::Fdatasync => {
                let dir = bench.fresh_dir(self.name)?;
                self.times(Some(machine::fdatasync(&dir, bench.scaled(FDATASYNC_COUNT))?), book)
            }
            What::Echo => echo_figures("echo", "echo_rate", echo::measure(bench).await?, book),
            What::Durable => echo_figures("durable", "durable_rate", durable::measure(bench).await?, book),
            What::Call => echo_figures("call", "call_rate", call::measure(bench).await?, book),
            What::StoreShare => self.store(engine::share_plan(bench), bench, book).await,
            What::StoreExchange => self.store(engine::exchange_plan(bench), bench, book).await,
            What::StoreAct => self.store(acts::act_plan(bench), bench, book).await,
            What::StoreActLocal => self.store(acts::act_local_plan(bench), bench, book).await,
            What::BareBulk => self.figure("bare_bulk_rate", "MB/s", Some(bulk::measure(bench).await?), book),
            What::Request => self.times(engine::request_p50(bench).await?, book),
            What::Share => self.times(engine::share_p50(bench).await?, book),
            What::ShareRate => self.figure("share_rate", "items/s", engine::share_rate(bench).await?, book),
            What::ExchangeAll => {
                self.figure("exchange_all_rate", "items/s", engine::exchange_all(bench).await?, book)
            }
            What::ExchangeDelta => {
                self.figure("exchange_delta_bytes", "B", engine::exchange_delta_bytes(bench).await?, book)
            }
            What::Act => self.times(acts::act_p50(bench).await?, book),
            What::ActRate => {
                let Some(rate) = acts::act_rate(bench).await? else { return Ok(false) };
                self.figure("act_cpu_s_per_100k", "s", rate.cpu_s_per_100k, book)?;
                self.figure("act_rate_per_s", "acts/s", Some(rate.per_s), book)
            }
            What::ActLocal => {
                self.figure("act_local_rate_per_s", "acts/s", acts::act_local(bench).await?, book)
            }
            What::Move => self.times(moves::move_p50(bench).await?, book),
            What::StoreMove => self.store(moves::move_plan(bench), bench, book).await,
            What::MoveRate => self.figure("move_rate", "moves/s", moves::move_rate(bench).await?, book),
            What::ActWhileMoving => self.times(moves::act_while_moving(bench).await?, book),
            What::ActAfterMove => self.times(moves::act_after_move(bench).await?, book),
            What::Restore => {
                let Some(restored) = rest::restore(bench).await? else { return Ok(false) };
                book.latency("restore_cold", &restored.cold)?;
                book.latency("restore_warm", &restored.warm)?;
                self.figure("restore_added_us", "us", Some(restored.added_us()), book)
            }
            What::FindIndex => self.times(find::by_index(bench).await?, book),
            What::FindScan => self.scan(find::by_scan(bench).await?, book),
            What::WatchResume => self.figure("watch_resume_ms", "ms", watch::resume(bench).await?, book),
            What::Bulk => self.figure("bulk_rate", "MB/s", engine::bulk(bench).await?, book),
            What::BulkBroken => self.figure("bulk_broken", "of 100", engine::bulk_broken(bench).await?, book),
            What::Start(scenarios) => {
                self.figure(self.name, "ms", engine::start_ms(bench, scenarios).await?, book)
            }
            What::StartAfterKill => {
                self.figure(self.name, "ms", engine::start_after_kill_ms(bench).await?, book)
            }
            What::StartHome(objects) => {
                self.figure(self.name, "ms", rest::start_ms(bench, objects).await?, book)
            }
            What::RssHome(objects) => {
                self.figure(self.name, "MiB", rest::rss_mib(bench, objects).await?, book)
            }
            What::RssIdle => self.figure(self.name, "MiB", engine::rss_idle_mib(bench).await?, book),
            What::RssAfter => self.figure(self.name, "MiB", engine::rss_after_mib(bench).await?, book),
            What::Binary => {
                let len = engine::binary()?.map(std::fs::metadata).transpose()?.map(|meta| meta.len() as f64);
                self.figure(self.name, "B", len, book)
            }
        }
    }

    fn figure(&self, key: &str, unit: &'static str, value: Option<f64>, book: &mut Book) -> Res<bool> {
        Ok(value.map(|value| book.value(key, unit, value)).is_some())
    }

    fn scan(&self, scan: Option<find::Scan>, book: &mut Book) -> Res<bool> {
        self.figure("find_scan_first_ms", "ms", scan.as_ref().map(|scan| scan.first_ms), book)?;
        self.figure("find_scan_all_ms", "ms", scan.map(|scan| scan.all_ms), book)
    }

    fn times(&self, times: Option<Latency>, book: &mut Book) -> Res<bool> {
        Ok(times.map(|times| book.latency(self.name, &times)).transpose()?.is_some())
    }

    /// On a thread of its own, so that an interrupt is still heard.
    async fn store(&self, plan: Plan, bench: &Bench, book: &mut Book) -> Res<bool> {
        book.plans.insert(self.name, plan.to_string());
        let dir = bench.fresh_dir(self.name)?;
        let place = dir.clone();
        let rate = tokio::task::spawn_blocking(move || store::measure(&plan, &place)).await??;
        std::fs::remove_dir_all(dir)?;
        self.figure(&format!("{}_rate", self.name), "items/s", Some(rate), book)
    }
}

fn echo_figures(name: &'static str, rate: &str, figures: echo::Figures, book: &mut Book) -> Res<bool> {
    book.latency(name, &figures.latency)?;
    book.value(rate, "req/s", figures.rate);
    Ok(true)
}

/// All rows, in the order of the report.
const ROWS: [Row; 37] = [
    row(FDATASYNC, What::Fdatasync).durable(),
    row("echo", What::Echo),
    row("request", What::Request).beside("echo"),
    row("durable", What::Durable).durable(),
    row("share", What::Share).beside("durable").durable(),
    row("store_share", What::StoreShare).durable(),
    row("share_rate", What::ShareRate).beside("store_share").durable(),
    row("store_exchange", What::StoreExchange).durable(),
    row("exchange_all", What::ExchangeAll).beside("store_exchange").durable(),
    row("exchange_delta", What::ExchangeDelta),
    row("call", What::Call).durable(),
    row("act", What::Act).beside("call").durable(),
    row("store_act", What::StoreAct).durable(),
    row("act_rate", What::ActRate).beside("store_act").durable(),
    row("store_act_local", What::StoreActLocal).durable(),
    row("act_local", What::ActLocal).beside("store_act_local").durable(),
    row("move", What::Move).beside("call").durable(),
    row("store_move", What::StoreMove).durable(),
    row("move_rate", What::MoveRate).beside("store_move").durable(),
    row("act_while_moving", What::ActWhileMoving).durable(),
    row("act_after_move", What::ActAfterMove).beside("act").durable(),
    row("restore", What::Restore).durable(),
    row("find_index", What::FindIndex),
    row("find_scan", What::FindScan),
    row("watch_resume", What::WatchResume),
    row("bare_bulk", What::BareBulk),
    row("bulk", What::Bulk).beside("bare_bulk"),
    row("bulk_broken", What::BulkBroken).once(),
    row("start_ms_1000", What::Start(1_000)),
    row("start_ms_100000", What::Start(100_000)),
    row("start_after_kill_ms", What::StartAfterKill),
    row("start_million_ms", What::StartHome(1_000_000)),
    row("rss_thousand_mib", What::RssHome(1_000)),
    row("rss_million_mib", What::RssHome(1_000_000)).beside("rss_thousand_mib"),
    row("rss_idle_mib", What::RssIdle).once(),
    row("rss_after_mib", What::RssAfter).once(),
    row("binary_bytes", What::Binary).once(),
];

/// The named rows, their yardsticks and the disk, in the order of a round; all when none is named.
pub fn select(only: &[String]) -> Res<Vec<Row>> {
    let known: Vec<&str> = ROWS.iter().map(|row| row.name).collect();
    if let Some(name) = only.iter().find(|name| !known.contains(&name.as_str())) {
        return Err(format!("no row is called {name}\nhint: the rows are {}", known.join(", ")).into());
    }
    let named = |name: &str| only.iter().any(|n| n == name);
    let needed = |yard: &str| ROWS.iter().any(|row| row.yardstick == Some(yard) && named(row.name));
    let wanted = |row: &&Row| only.is_empty() || row.name == FDATASYNC || named(row.name) || needed(row.name);
    Ok(ROWS.iter().filter(wanted).copied().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_brings_its_yardstick() {
        let rows = select(&["share".to_owned()]).unwrap();
        assert_eq!(rows.iter().map(|row| row.name).collect::<Vec<_>>(), [FDATASYNC, "durable", "share"]);
        assert!(select(&["nonsense".to_owned()]).is_err());
    }

    #[test]
    fn every_yardstick_is_a_row() {
        for yard in ROWS.iter().filter_map(|row| row.yardstick) {
            assert!(ROWS.iter().any(|row| row.name == yard), "{yard}");
        }
    }
}
