//! The acts of the demo, in order.

use std::path::Path;
use std::pin::pin;
use std::time::{Duration, Instant};

use once::ErrorKind;
use once::api::EventFeed;
use once::api::contract::{
    Event, Exchange, ExchangeResult, Get, Grant, Invite, Join, Listen, Outbox, PeersSet, Put, Right, Share,
};

use super::folder::Folder;
use super::node::Node;
use super::report::{Report, Stage};
use super::world::World;
use super::{acts, damage, examples, measure, travel};
use crate::failure::{Done, Failure, UNREACHABLE};
use crate::ui;

/// How many scenarios are changed.
const CHANGES: usize = 10;

/// Objects in one call of `share`.
const SHARE_MAX_OBJECTS: usize = 5000;

/// How long a wait goes on without any progress.
const STALL_MAX: Duration = Duration::from_secs(30);
const STALL_STEP: Duration = Duration::from_millis(5);

/// How long a call may take that has all the time it wants.
const PATIENT_MS: u64 = 600_000;

/// What the second kernel may store for the first beyond the folder: what is measured with, and changes.
const QUOTA_SPARE_BYTES: u64 = 256 * 1024 * 1024;

/// Everything up to the verdict.
pub async fn play(world: &mut World, folder: Option<&Path>, stage: &Stage, report: &mut Report) -> Done<()> {
    if let Some(folder) = folder {
        // Whether it is there is known before anything is started.
        std::fs::metadata(folder).map_err(|error| Failure::io(folder, &error))?;
    }
    stage.talk("Two kernels on this machine, each a process of its own.\n");
    start(world, stage).await?;
    let scratch = world.scratch().to_owned();
    let path = match folder {
        Some(folder) => folder.to_owned(),
        None => examples::write(&scratch.join("examples"))?,
    };
    let (alice, bob, entries) = world.parts()?;
    pair(alice, bob, &scratch, stage, report).await?;
    import(alice, entries, &path, folder.is_none(), stage, report).await?;
    let quota = QUOTA_SPARE_BYTES + 4 * report.bytes;
    bob.ask(PeersSet { peer: alice.kernel.clone(), quota_bytes: Some(quota), ..PeersSet::default() }).await?;
    share_and_kill(alice, bob, entries, stage, report).await?;
    if std::env::var_os("ONCE_DEMO_DAMAGE").is_some_and(|value| value == "1") {
        let what = damage::flip_one_byte(bob, entries).await?;
        stage.done("one stored byte flipped", &what);
    }
    check(bob, entries, stage, report).await;
    if !report.is_ok() {
        return Ok(());
    }
    change_and_exchange(alice, bob, entries, stage, report).await?;
    measure::measure(alice, bob, stage, report).await?;
    check(bob, entries, stage, report).await;
    if !report.is_ok() {
        return Ok(());
    }
    third(world, stage).await?;
    let mut all = world.all()?;
    acts::play(&mut all, stage, report).await?;
    if !report.is_ok() {
        return Ok(());
    }
    travel::play(&mut all, stage, report).await
}

/// A third kernel, a peer of both.
async fn third(world: &mut World, stage: &Stage) -> Done<()> {
    stage.begin("starting carol");
    let begun = Instant::now();
    let scratch = world.scratch().to_owned();
    let carol = Node::start("carol", &scratch).await?;
    let (alice, bob, _) = world.parts()?;
    for host in [alice, bob] {
        let invite = host.ask(invite_for("carol")).await?;
        carol.ask(join(&invite.ticket, Some(host.name))).await?;
    }
    let took = ui::duration_us(begun.elapsed().as_micros() as u64);
    stage.done("carol is up", &format!("pid {}, a peer of both after {took}", carol.pid()));
    world.carol = Some(carol);
    Ok(())
}

/// An invite under this petname, for ten minutes.
fn invite_for(name: &str) -> Invite {
    Invite { name: Some(name.to_owned()), expires_s: Some(600) }
}

fn join(ticket: &str, name: Option<&str>) -> Join {
    Join { ticket: ticket.to_owned(), name: name.map(str::to_owned), timeout_ms: None }
}

/// A right on the whole kernel.
pub fn grant(to: &Node, right: Right) -> Grant {
    Grant { peer: Some(to.kernel.clone()), right, ..Grant::default() }
}

async fn start(world: &mut World, stage: &Stage) -> Done<()> {
    stage.begin("starting alice and bob");
    let begun = Instant::now();
    let up = |node: &Node, begun: Instant| {
        let took = ui::duration_us(begun.elapsed().as_micros() as u64);
        let numbers = format!("pid {}, {}, ready after {took}", node.pid(), node.address);
        stage.done(&format!("{} is up", node.name), &numbers);
    };
    let scratch = world.scratch().to_owned();
    up(world.alice.insert(Node::start("alice", &scratch).await?), begun);
    let begun = Instant::now();
    up(world.bob.insert(Node::start("bob", &scratch).await?), begun);
    Ok(())
}

/// Bob is admitted by an invite. Someone who finds the ticket afterwards is not.
async fn pair(alice: &Node, bob: &Node, scratch: &Path, stage: &Stage, report: &mut Report) -> Done<()> {
    stage.begin("pairing");
    let invite = alice.ask(invite_for("bob")).await?;
    let ticket = &invite.ticket;
    bob.ask(join(ticket, Some("alice"))).await?;
    stage.done("paired by an invite", "each authenticated by its key; default deny until now");
    stage.begin("trying the ticket again");
    let mut eve = Node::start("eve", scratch).await?;
    let again = eve.ask(join(ticket, None)).await;
    eve.stop().await;
    match again {
        Err(failure) if failure.kind == ErrorKind::Denied => {
            stage.done("the same ticket again", "refused: a third kernel found it too late");
        }
        Ok(_) => {
            stage.failed("the same ticket again", "it admitted a third kernel");
            report.fail("an invite was used twice");
        }
        Err(failure) => {
            stage.failed("the same ticket again", &ui::capped(&failure.message, 200));
            report.fail(format!("the used ticket was not refused, but: {}", failure.message));
        }
    }
    // An exchange gives what the other may read.
    alice.ask(grant(bob, Right::Read)).await?;
    bob.ask(grant(alice, Right::Read)).await?;
    Ok(())
}

async fn import(
    alice: &Node,
    entries: &mut Folder,
    path: &Path,
    generated: bool,
    stage: &Stage,
    report: &mut Report,
) -> Done<()> {
    let bar = stage.bar("importing", 0);
    let summary = entries.import(alice, path, &bar).await?;
    drop(bar);
    report.scenarios = entries.entries.len() as u64;
    report.broken = summary.broken.len() as u64;
    report.bytes = summary.bytes;
    let what = if generated { "imported generated examples" } else { "imported the folder" };
    let (files, bytes) = (ui::count(report.scenarios, "scenario"), ui::bytes(report.bytes));
    let took = ui::duration_us(summary.took.as_micros() as u64);
    let beside = match summary.beside {
        0 => String::new(),
        n => format!(", {} beside one of the same UUID", ui::number(n)),
    };
    stage.done(what, &format!("{files}, {bytes}{beside}, {took}"));
    for broken in &summary.broken {
        stage.talk(&format!("  broken, left out: {}", broken.line()));
    }
    if entries.entries.is_empty() {
        return Err(Failure::failed(format!("no scenario in {}", ui::shown_path(path))));
    }
    Ok(())
}

/// A third is delivered, a third is under way when bob dies, and the last third is shared while he is dead.
async fn share_and_kill(
    alice: &Node,
    bob: &mut Node,
    entries: &Folder,
    stage: &Stage,
    report: &mut Report,
) -> Done<()> {
    let keys = entries.keys();
    let (first, rest) = keys.split_at(keys.len().div_ceil(3));
    let (second, third) = rest.split_at(rest.len().div_ceil(2));
    let to = bob.kernel.clone();
    let bar = stage.bar("sharing everything with bob", keys.len() as u64);
    share(alice, &to, first, true, &bar).await?;
    // A connection of its own: it goes when nobody listens any more.
    let listener = alice.connect().await?;
    let mut events = listener.listen(Listen::default()).await?;
    let mut sharing = pin!(share(alice, &to, second, false, &bar));
    let (mut handed_over, begun) = (false, Instant::now());
    while !second.is_empty() {
        tokio::select! {
            handed = &mut sharing, if !handed_over => {
                handed?;
                handed_over = true;
            }
            () = delivered(&mut events) => break,
            () = tokio::time::sleep(STALL_MAX.saturating_sub(begun.elapsed())) => return Err(stalled("a share")),
        }
    }
    let pid = bob.pid();
    bob.kill()?;
    report.kills += 1;
    if !handed_over {
        sharing.await?;
    }
    share(alice, &to, third, false, &bar).await?;
    let owed = owed(alice).await?;
    bar.clear();
    let total = keys.len() as u64;
    let arrived = ui::number(total.saturating_sub(owed));
    let numbers = format!("SIGKILL to pid {pid} with {arrived} of {} delivered", ui::number(total));
    stage.done("killed bob in the middle", &numbers);
    stage.begin("starting bob again");
    let took = bob.restart().await?;
    let begun = Instant::now();
    wait_until_nothing_is_owed(alice).await?;
    let rest = ui::duration_us(begun.elapsed().as_micros() as u64);
    let ready = ui::duration_us(took.as_micros() as u64);
    let rest = match owed {
        0 => "nothing was owed".to_owned(),
        n => format!("the other {} arrived {rest} later", ui::number(n)),
    };
    let numbers = format!("pid {}, ready after {ready}, {rest}", bob.pid());
    stage.done("bob is back", &numbers);
    Ok(())
}

/// Hands objects to the outbox, or waits until they are delivered.
pub async fn share(alice: &Node, to: &str, keys: &[String], delivered: bool, bar: &ui::Bar) -> Done<()> {
    for part in keys.chunks(SHARE_MAX_OBJECTS) {
        let params = Share {
            objects: part.to_vec(),
            to: to.to_owned(),
            delivered,
            timeout_ms: Some(PATIENT_MS),
            ..Share::default()
        };
        let answer = alice.ask(params).await?;
        if let Some(refused) = answer.refused.first() {
            let code = ui::shown(&refused.code);
            return Err(Failure::failed(format!("bob refused {} ({code})", ui::shown(&refused.object))));
        }
        if delivered {
            bar.more(part.len() as u64);
        }
    }
    Ok(())
}

/// Until something was delivered.
async fn delivered(events: &mut EventFeed) {
    while let Some(event) = events.next().await {
        if matches!(event.event, Event::Delivered { .. } | Event::Gap { .. }) {
            return;
        }
    }
}

async fn owed(alice: &Node) -> Done<u64> {
    Ok(alice.ask(Outbox {}).await?.owed.iter().map(|row| row.rows).sum())
}

/// Waits as long as there is progress.
pub async fn wait_until_nothing_is_owed(alice: &Node) -> Done<()> {
    let (mut least, mut since) = (u64::MAX, Instant::now());
    loop {
        let owed = owed(alice).await?;
        if owed == 0 {
            return Ok(());
        }
        if owed < least {
            (least, since) = (owed, Instant::now());
        }
        if since.elapsed() > STALL_MAX {
            return Err(stalled(&format!("{} to bob", ui::count(owed, "scenario"))));
        }
        tokio::time::sleep(STALL_STEP).await;
    }
}

fn stalled(what: &str) -> Failure {
    Failure::failed(format!("{what}: nothing arrived for {} s", STALL_MAX.as_secs()))
}

/// Compares and sends what differs. It is cut off if alice has not noticed yet that bob is a new process; then again.
pub async fn exchange(alice: &Node, bob: &Node) -> Done<ExchangeResult> {
    let begun = Instant::now();
    loop {
        let params = Exchange { with: bob.kernel.clone(), timeout_ms: Some(PATIENT_MS) };
        match alice.ask(params).await {
            Err(failure) if failure.exit == UNREACHABLE && begun.elapsed() < STALL_MAX => {
                tokio::time::sleep(STALL_STEP).await;
            }
            ended => return ended,
        }
    }
}

/// Every file is read again and compared with what bob has.
async fn check(bob: &Node, entries: &Folder, stage: &Stage, report: &mut Report) {
    let total = entries.entries.len() as u64;
    let bar = stage.bar("comparing byte for byte", total);
    let check = entries.check(bob, &bar).await;
    drop(bar);
    report.lost = check.lost;
    let numbers = format!("{} of {} files equal what bob has", ui::number(check.equal), ui::number(total));
    if check.lost == 0 {
        return stage.done("compared byte for byte", &numbers);
    }
    stage.failed("compared byte for byte", &numbers);
    for lost in &check.named {
        stage.talk(&format!("  {lost}"));
    }
    report.fail(format!(
        "{} of {} lost or changed on the way",
        ui::number(check.lost),
        ui::count(total, "scenario")
    ));
}

async fn change_and_exchange(
    alice: &Node,
    bob: &Node,
    entries: &mut Folder,
    stage: &Stage,
    report: &mut Report,
) -> Done<()> {
    stage.begin("changing ten and exchanging again");
    let chosen = entries.some_that_can_change(CHANGES);
    for at in &chosen {
        if let Some(entry) = entries.entries.get_mut(*at) {
            let new = entry.expected(1)?;
            let answer = alice.ask(Put { object: entry.key.clone(), text: new, base: None }).await?;
            entry.key = answer.object.key;
            entry.edition = 1;
        }
    }
    let exchanged = exchange(alice, bob).await?;
    report.delta_wire_bytes = exchanged.bytes_sent + exchanged.bytes_received;
    for at in &chosen {
        let Some(entry) = entries.entries.get(*at) else { continue };
        let there = bob.ask(Get { object: entry.key.clone(), bytes: None, revision: None }).await;
        if there.is_ok_and(|answer| entry.expected(1).is_ok_and(|new| answer.text == Some(new))) {
            report.changed += 1;
        }
    }
    let (changed, wire) = (ui::number(chosen.len() as u64), ui::bytes(report.delta_wire_bytes));
    let what = format!("changed {changed}, exchanged again");
    let took = ui::duration_us(exchanged.took_us);
    let compared = ui::number(exchanged.compared);
    let numbers =
        format!("{} crossed, {compared} compared, {wire} on the wire, {took}", ui::number(report.changed));
    if report.changed == chosen.len() as u64 {
        stage.done(&what, &numbers);
    } else {
        stage.failed(&what, &numbers);
        report.fail(format!("only {} of {changed} changes arrived", report.changed));
    }
    Ok(())
}
