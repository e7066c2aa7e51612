//! Timers of objects and their work outside: docs/protocol.md, 5.5, *Effects* and *Answers*.

use once_model::ids::ObjectKey;

use crate::store::{Batch, Table};
use crate::testing::{Alone, NOW_MS};
use crate::waist::{Command, Consequence, Input, RunResult, Then, Timer};

fn timer(name: &str, after_ms: u64, with: &str) -> Consequence {
    let then = Then { action: "rang".into(), with: with.to_owned().into() };
    Consequence::Timer { name: name.into(), after_ms, then }
}

fn work(with: &str) -> Consequence {
    let then = Then { action: "made".into(), with: with.to_owned().into() };
    Consequence::Activity { name: "mail".into(), arguments: "[1]".into(), then }
}

fn puppet() -> (Alone, ObjectKey) {
    let mut kernel = Alone::new();
    let key = kernel.object(1, "Puppet");
    (kernel, key)
}

/// The object is asked for something, and wants this.
fn wants(kernel: &mut Alone, key: ObjectKey, n: u64, consequences: Vec<Consequence>) {
    let result = RunResult::Done { state: None, result: "1".into(), consequences };
    kernel.desk.says.lock().unwrap().push_back(result);
    let token = kernel.act(key, n);
    assert!(kernel.outcome(token).is_some());
}

/// What the object was told since: at which time after the beginning, and with what.
fn told(kernel: &Alone) -> Vec<(u64, String)> {
    let mut seen = kernel.desk.seen.lock().unwrap();
    let told = seen.drain(..).filter(|run| run.action.answers.is_some()).map(|run| {
        let text = std::str::from_utf8(&run.action.arguments).unwrap();
        (run.now_ms - NOW_MS, text.split_once("\"status\"").unwrap().1.to_owned())
    });
    told.collect()
}

fn due(with: &str) -> String {
    format!(":\"due\",\"with\":{with}}}")
}

fn rows(kernel: &Alone, table: Table) -> usize {
    kernel.rows().iter().filter(|(of, ..)| *of == table).count()
}

#[test]
fn a_timer_rings_once_when_it_is_due_and_not_before() {
    let (mut kernel, key) = puppet();
    let all = [("a", 1), ("b", 2), ("c", 1000), ("d", 65_536), ("e", 200_000)];
    wants(&mut kernel, key, 1, all.iter().map(|(name, ms)| timer(name, *ms, &ms.to_string())).collect());
    kernel.desk.seen.lock().unwrap().clear();
    for (_, ms) in all {
        kernel.pass(NOW_MS + ms - 1 - kernel.ctx.now_ms);
        assert_eq!(told(&kernel), [], "before {ms}");
        kernel.pass(1);
        assert_eq!(told(&kernel), [(ms, due(&ms.to_string()))]);
    }
    assert_eq!((rows(&kernel, Table::Timer), rows(&kernel, Table::Due)), (0, 0));
    kernel.pass(500_000);
    assert_eq!(told(&kernel), []);
    assert!(
        kernel.timers.iter().all(|(_, timer)| !matches!(timer, Timer::Due(_))),
        "no clock runs for nothing"
    );
}

#[test]
fn a_timer_of_the_same_name_takes_its_place_and_one_that_is_ended_is_silent() {
    let (mut kernel, key) = puppet();
    let other = kernel.object(2, "Puppet");
    wants(&mut kernel, key, 1, vec![timer("t", 1000, "1"), timer("u", 1500, "9")]);
    wants(&mut kernel, other, 2, vec![timer("t", 1200, "7")]);
    wants(&mut kernel, key, 3, vec![timer("t", 2000, "2")]);
    let end = Consequence::CancelTimer { name: "u".into() };
    wants(&mut kernel, key, 4, vec![end.clone(), end]);
    kernel.desk.seen.lock().unwrap().clear();
    kernel.pass(100_000);
    assert_eq!(told(&kernel), [(1200, due("7")), (2000, due("2"))]);
    assert_eq!((rows(&kernel, Table::Timer), rows(&kernel, Table::Due)), (0, 0));
}

#[test]
fn timers_survive_power_losses_and_clocks_that_jump() {
    let (mut kernel, key) = puppet();
    wants(&mut kernel, key, 1, vec![timer("a", 1000, "1"), timer("b", 50_000, "2"), timer("c", 90_000, "3")]);
    kernel.desk.seen.lock().unwrap().clear();
    kernel.crash(0);
    kernel.pass(1000);
    assert_eq!(told(&kernel), [(1000, due("1"))]);
    // The power goes before that is on the disk: it rings again, and is the same action.
    kernel.crash(0);
    kernel.pass(1);
    assert!(told(&kernel).len() <= 1);
    // Down while it was due: at the start.
    kernel.ctx.now_ms = NOW_MS + 60_000;
    kernel.restart();
    kernel.pass(1);
    assert_eq!(told(&kernel), [(60_001, due("2"))]);
    // Set back it is late, set forward early; neither is lost.
    kernel.ctx.now_ms -= 30_000;
    kernel.pass(100_000);
    assert_eq!(told(&kernel), [(90_000, due("3"))]);
    let entries = crate::act::history(&kernel.store, &key).unwrap();
    let rang = entries.iter().filter(|row| row.told.as_ref().is_some_and(|told| told.name == "rang")).count();
    assert_eq!(rang, 3);
}

/// A timer is due, and cannot be read at that time. It can be again when this returns.
fn misses(kernel: &mut Alone, key: ObjectKey) {
    wants(kernel, key, 1, vec![timer("t", 1000, "1")]);
    kernel.desk.seen.lock().unwrap().clear();
    let row = kernel.rows().into_iter().find(|(table, ..)| *table == Table::Timer).unwrap();
    let put = |value| Batch { rows: vec![(Table::Timer, row.1.clone(), Some(value))] };
    kernel.put_rows(put(bytes::Bytes::from_static(b"\xff")));
    kernel.pass(1500);
    assert_eq!(told(kernel), []);
    kernel.put_rows(put(row.2.clone()));
    kernel.restart();
}

#[test]
fn a_timer_that_could_not_be_read_when_it_was_due_rings_when_it_can_be() {
    let (mut kernel, key) = puppet();
    misses(&mut kernel, key);
    kernel.pass(30_000);
    assert_eq!(told(&kernel).into_iter().map(|(_, what)| what).collect::<Vec<_>>(), [due("1")]);
}

#[test]
fn what_takes_the_place_of_a_missed_timer_rings_at_its_own_time() {
    let (mut kernel, key) = puppet();
    misses(&mut kernel, key);
    wants(&mut kernel, key, 2, vec![timer("t", 100_000, "2")]);
    kernel.pass(50_000);
    assert_eq!(told(&kernel), []);
    kernel.pass(60_000);
    assert_eq!(told(&kernel).into_iter().map(|(_, what)| what).collect::<Vec<_>>(), [due("2")]);
}

#[test]
fn many_timers_that_are_due_together_all_ring() {
    let (mut kernel, key) = puppet();
    for n in 0..3 {
        wants(&mut kernel, key, n, (0..80).map(|m| timer(&format!("{n}-{m}"), 1000, "1")).collect());
    }
    kernel.desk.seen.lock().unwrap().clear();
    // Some in each step.
    kernel.pass(1000);
    assert!(told(&kernel).len() < 100);
    kernel.pass(5);
    let entries = crate::act::history(&kernel.store, &key).unwrap();
    assert_eq!(entries.len(), 1 + 3 + 240);
    assert_eq!((rows(&kernel, Table::Timer), rows(&kernel, Table::Due)), (0, 0));
}

#[test]
fn a_removed_object_hears_nothing_any_more() {
    let (mut kernel, key) = puppet();
    wants(&mut kernel, key, 1, vec![timer("t", 1000, "1"), work("1")]);
    let asked = kernel.works[0].clone();
    wants(&mut kernel, key, 2, vec![Consequence::Remove]);
    assert!(kernel.head(&key).unwrap().tombstone);
    assert_eq!(
        (rows(&kernel, Table::Timer), rows(&kernel, Table::Due), rows(&kernel, Table::Activity)),
        (0, 0, 0)
    );
    kernel.desk.seen.lock().unwrap().clear();
    kernel.pass(2000);
    kernel.input(Input::Worked { key, id: asked.id, result: Ok("1".into()) });
    assert_eq!(told(&kernel), []);
    kernel.works.clear();
    kernel.restart();
    assert_eq!(kernel.works, []);
}

#[test]
fn work_outside_is_asked_for_until_its_end_and_its_object_hears_of_it_once() {
    let (mut kernel, key) = puppet();
    wants(&mut kernel, key, 1, vec![work("1"), work("{\"a\":2}")]);
    kernel.desk.seen.lock().unwrap().clear();
    let works = kernel.works.clone();
    assert_eq!(works.len(), 2);
    assert_eq!(
        (works[0].key, works[0].name.as_str(), works[0].arguments.as_ref()),
        (key, "mail", b"[1]".as_slice())
    );
    assert_ne!(works[0].id, works[1].id);
    // Again at each start, under the same id.
    kernel.works.clear();
    kernel.crash(0);
    let mut again: Vec<_> = kernel.works.iter().map(|work| work.id).collect();
    again.sort_unstable();
    let mut wanted: Vec<_> = works.iter().map(|work| work.id).collect();
    wanted.sort_unstable();
    assert_eq!(again, wanted);
    assert_eq!(crate::act::works(&kernel.store).unwrap().len(), 2);
    assert_eq!(crate::act::work_of(&kernel.store, &key, &works[0].id).unwrap().as_deref(), Some("mail"));
    let ends = |kernel: &mut Alone, n: usize, result: Result<&str, &str>| {
        let result = result.map(|text| text.to_owned().into()).map_err(|text| text.to_owned().into());
        kernel.input(Input::Worked { key, id: works[n].id, result });
    };
    ends(&mut kernel, 0, Ok("7"));
    assert_eq!(told(&kernel), [(0, ":\"done\",\"result\":7,\"with\":1}".to_owned())]);
    ends(&mut kernel, 0, Ok("8"));
    assert_eq!(told(&kernel), []);
    ends(&mut kernel, 1, Err("\"no\""));
    assert_eq!(told(&kernel), [(0, ":\"failed\",\"reason\":\"no\",\"with\":{\"a\":2}}".to_owned())]);
    kernel.works.clear();
    kernel.crash(0);
    assert_eq!((kernel.works.len(), rows(&kernel, Table::Activity)), (0, 0));
}

#[test]
fn an_object_makes_others_once() {
    let (mut kernel, key) = puppet();
    let made = |n: u32| {
        let uuid = once_model::ids::Uuid::from_u128(50);
        once_model::scenario::Scenario::compose(uuid, "Paper", "1", "me", &format!("{{\"n\":{n}}}")).unwrap()
    };
    let heads = |kernel: &Alone| {
        let rows = kernel.rows().into_iter().filter(|(table, key, _)| *table == Table::Head && key[15] == 50);
        rows.map(|(_, key, _)| ObjectKey::from_row(&key).unwrap()).collect::<Vec<_>>()
    };
    wants(&mut kernel, key, 1, vec![Consequence::Create(made(1))]);
    let first = heads(&kernel);
    assert_eq!(first.len(), 1);
    let head = kernel.head(&first[0]).unwrap();
    assert_eq!((head.revision, head.cause.as_ref().unwrap().acting), (1, Some(key)));
    // One that began with these bytes is here already, or was removed here.
    wants(&mut kernel, key, 2, vec![Consequence::Create(made(1))]);
    assert_eq!(heads(&kernel), first);
    kernel.command(Command::Remove { key: first[0] });
    wants(&mut kernel, key, 3, vec![Consequence::Create(made(1))]);
    assert_eq!(heads(&kernel), first);
    // Of the same UUID with other bytes: beside it. What was imported is claimed.
    wants(&mut kernel, key, 4, vec![Consequence::Create(made(2))]);
    assert_eq!(heads(&kernel).len(), 2);
    kernel.command(Command::Import { source: None, over: None, scenario: made(3) });
    wants(&mut kernel, key, 5, vec![Consequence::Create(made(3))]);
    let now = heads(&kernel);
    assert!(now.len() == 3 && now.iter().all(|key| key.lineage().is_some()));
}
