//! `--hold`: the load goes on, whoever is killed, until Ctrl-C: exchanges here, and beside them the actions of `acts`.
//!
//! Objects are changed on alice, shared, and asked for at bob. What alice acknowledged must be there whenever she is
//! asked; what bob acknowledged must be there whenever he is asked. A change that was under way when alice died may
//! have happened or not, but nothing in between.

use std::time::{Duration, Instant};

use once::api::contract::{Exchange, Get, Method, Put, Share};

use super::folder::Folder;
use super::node::Node;
use super::play::{exchange, wait_until_nothing_is_owed};
use super::report::{Report, Stage};
use super::travel::Travel;
use super::world::World;
use super::{acts, change};
use crate::cmd::up::Signals;
use crate::failure::{Done, Failure};
use crate::ui;

/// Objects that are changed again and again.
const TARGETS: usize = 100;

/// After so many changes everything is exchanged.
const EXCHANGE_EVERY: u64 = 500;

/// How often a line says how it goes.
const SAY_EVERY: Duration = Duration::from_secs(10);

/// How long a call may take before the kernel is looked at.
const CALL_MAX: Duration = Duration::from_secs(10);

/// How long alice waits for bob's answer to one share.
const SHARE_MS: u64 = 2_000;

/// An object, and what is known for sure.
struct Target {
    /// Its place in the folder.
    entry: usize,
    /// Alice acknowledged this edition.
    put: u64,
    /// She was asked for this one, and died or did not answer: it may be there.
    maybe: Option<u64>,
    /// Bob acknowledged this edition.
    delivered: u64,
}

struct Load {
    targets: Vec<Target>,
    edition: u64,
    shares: u64,
    checks: u64,
    wrong: Option<String>,
}

/// Loads until a signal comes, then lets everything arrive and compares all of it.
pub async fn hold(world: &mut World, stage: &Stage, report: &mut Report, signals: &mut Signals) -> Done<()> {
    let mut all = world.all()?;
    // Clients of all three act beside the exchanges.
    let acts = acts::Load::begin(&mut all, u64::MAX).await?;
    let travel = Travel::begin(&all, u64::MAX).await?;
    let [alice, bob, carol] = &all;
    stage.talk(&format!(
        "\nGoing on. Kill what you like: alice is pid {}, bob is pid {}, carol is pid {}. Ctrl-C ends it.",
        alice.pid(),
        bob.pid(),
        carol.pid()
    ));
    let (alice, bob, carol, folder) = world.whole()?;
    let targets = folder.some_that_can_change(TARGETS).into_iter().map(|entry| {
        let edition = folder.entries.get(entry).map_or(0, |entry| entry.edition);
        Target { entry, put: edition, maybe: None, delivered: edition }
    });
    let mut load = Load { targets: targets.collect(), edition: 1, shares: 0, checks: 0, wrong: None };
    if load.targets.is_empty() {
        return Err(Failure::failed("nothing in the folder can be changed, so there is no load"));
    }
    let mut said = Instant::now();
    stage.begin("working");
    while load.wrong.is_none() {
        revive(alice, stage, report).await?;
        revive(bob, stage, report).await?;
        revive(carol, stage, report).await?;
        tokio::select! {
            () = load.round(alice, bob, folder) => {}
            () = signals.next() => break,
        }
        if said.elapsed() > SAY_EVERY {
            said = Instant::now();
            stage.talk(&load.line(&acts, &travel, report));
            stage.begin("working");
        }
    }
    stage.talk(&load.line(&acts, &travel, report));
    acts.stop();
    travel.go_home();
    finish(alice, bob, folder, &mut load, stage, report).await?;
    stage.begin("letting every action come to its end");
    let mut all = world.all()?;
    acts.end(&mut all, None, stage, report).await?;
    stage.begin("letting the traveller come home");
    travel.end(&mut all, stage, report).await
}

/// Starts a kernel again that was killed, or that has stopped to answer.
async fn revive(node: &mut Node, stage: &Stage, report: &mut Report) -> Done<()> {
    if !node.has_ended() {
        return Ok(());
    }
    report.kills += 1;
    let pid = node.pid();
    let took = node.restart().await?;
    let took = ui::duration_us(took.as_micros() as u64);
    stage.done(
        &format!("{} was killed (pid {pid})", node.name),
        &format!("back after {took} as pid {}", node.pid()),
    );
    stage.begin("working");
    Ok(())
}

impl Load {
    fn line(&self, acts: &acts::Load, travel: &Travel, report: &Report) -> String {
        let (shares, checks) = (ui::number(self.shares), ui::number(self.checks));
        let so_far = self.wrong.as_deref().unwrap_or("nothing lost so far");
        let kills = ui::count(report.kills, "kill");
        let (acts, moves) = (ui::number(acts.outcomes()), ui::count(travel.moves(), "move"));
        format!(
            "  {shares} changes delivered, {checks} comparisons, {acts} actions, {moves}, {kills}: {so_far}"
        )
    }

    /// One object: change, share, compare on both sides.
    async fn round(&mut self, alice: &Node, bob: &Node, folder: &mut Folder) {
        self.edition += 1;
        let at = self.edition as usize % self.targets.len();
        let edition = self.edition;
        let Some(target) = self.targets.get_mut(at) else { return };
        let Some(entry) = folder.entries.get_mut(target.entry) else { return };
        let new = match entry.expected(edition) {
            Ok(new) => new,
            Err(failure) => return self.is_wrong(&failure.message),
        };
        // What an earlier call left open is settled before the next one.
        if target.maybe.is_some() {
            match text(alice, &entry.key).await {
                Some(text) => {
                    let there = change::read(&text);
                    let may_be = there == target.put || Some(there) == target.maybe;
                    if !may_be || !entry.expected(there).is_ok_and(|expected| expected == text) {
                        let put = target.put;
                        return self
                            .is_wrong(&format!("alice has edition {there} of an object instead of {put}"));
                    }
                    (target.put, target.maybe) = (there, None);
                }
                None => return pause().await,
            }
        }
        target.maybe = Some(edition);
        let put = Put { object: entry.key.clone(), text: new, base: None };
        let Some(answer) = call(alice, put).await else { return pause().await };
        entry.key = answer.object.key;
        entry.edition = edition;
        (target.put, target.maybe) = (edition, None);
        let share = Share {
            objects: vec![entry.key.clone()],
            to: bob.kernel.clone(),
            delivered: true,
            timeout_ms: Some(SHARE_MS),
            ..Share::default()
        };
        if call(alice, share).await.is_some_and(|answer| answer.delivered == 1) {
            target.delivered = edition;
            self.shares += 1;
        }
        if edition.is_multiple_of(EXCHANGE_EVERY) {
            // It may be cut off by a kill: what arrives is what counts.
            let _ = call(alice, Exchange { with: bob.kernel.clone(), timeout_ms: None }).await;
        }
        self.compare(at, bob, folder).await;
    }

    /// Bob has an edition that he acknowledged, or a newer one, and each exactly as it was written.
    async fn compare(&mut self, at: usize, bob: &Node, folder: &Folder) {
        let Some(target) = self.targets.get(at) else { return };
        let Some(entry) = folder.entries.get(target.entry) else { return };
        let Some(text) = text(bob, &entry.key).await else { return };
        let there = change::read(&text);
        self.checks += 1;
        let (least, most) = (target.delivered, target.maybe.unwrap_or(target.put));
        if there < least || there > most {
            self.is_wrong(&format!("bob has edition {there} of an object, and acknowledged {least}"));
        } else if !entry.expected(there).is_ok_and(|expected| expected == text) {
            self.is_wrong(&format!("bob has other bytes than edition {there} of an object"));
        }
    }

    fn is_wrong(&mut self, what: &str) {
        self.wrong.get_or_insert_with(|| what.to_owned());
    }
}

/// A call that may fail because somebody was killed.
async fn call<M: Method>(node: &Node, params: M) -> Option<M::Result> {
    tokio::time::timeout(CALL_MAX, node.ask(params)).await.ok()?.ok()
}

/// What a kernel has of an object, if it says so.
async fn text(node: &Node, key: &str) -> Option<String> {
    call(node, Get { object: key.to_owned(), bytes: None, revision: None })
        .await
        .map(|answer| answer.text.unwrap_or_default())
}

/// The kernel is gone or busy: no hurry to ask again.
async fn pause() {
    tokio::time::sleep(Duration::from_millis(20)).await;
}

/// Everything arrives, and is compared.
async fn finish(
    alice: &mut Node,
    bob: &mut Node,
    folder: &mut Folder,
    load: &mut Load,
    stage: &Stage,
    report: &mut Report,
) -> Done<()> {
    stage.begin("letting everything arrive");
    for node in [&mut *alice, &mut *bob] {
        if !node.answers(CALL_MAX).await {
            // Killed in this moment, or stopped by a SIGSTOP.
            node.kill()?;
            revive(node, stage, report).await?;
        }
    }
    for target in &mut load.targets {
        let Some(entry) = folder.entries.get_mut(target.entry) else { continue };
        let answer = alice.ask(Get { object: entry.key.clone(), bytes: None, revision: None }).await?;
        entry.edition = change::read(&answer.text.unwrap_or_default());
        if entry.edition != target.put && Some(entry.edition) != target.maybe {
            load.wrong.get_or_insert_with(|| {
                format!("alice has edition {} of an object instead of {}", entry.edition, target.put)
            });
        }
    }
    wait_until_nothing_is_owed(alice).await?;
    exchange(alice, bob).await?;
    let bar = stage.bar("comparing byte for byte", folder.entries.len() as u64);
    let check = folder.check(bob, &bar).await;
    drop(bar);
    report.lost = check.lost;
    let total = check.equal + check.lost;
    let numbers = format!("{} of {} files equal what bob has", ui::number(check.equal), ui::number(total));
    if check.lost == 0 {
        stage.done("compared byte for byte", &numbers);
    } else {
        stage.failed("compared byte for byte", &numbers);
        report.fail(format!("{} lost or changed on the way: {}", check.lost, check.named.join("; ")));
    }
    if let Some(wrong) = &load.wrong {
        report.fail(wrong.clone());
    }
    Ok(())
}
