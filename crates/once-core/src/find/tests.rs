//! Pages, rights and the index, on one engine.

use bytes::Bytes;
use once_model::find::{Condition, Findings, Question};
use once_model::ids::{KernelId, ObjectKey, Uuid};
use once_model::scenario::Scenario;
use once_model::wire::{Absent, Code, Frame};

use super::*;
use crate::access::{Right, Scope};
use crate::testing::{Alone, NOW_MS};
use crate::waist::Command;

fn named(kernel: &mut Alone, n: u128, component: &str, name: &str) -> ObjectKey {
    let model = format!(r#"{{"name":"{name}","n":{n}}}"#);
    let scenario = Scenario::compose(Uuid::from_u128(n), component, "1", "me", &model).unwrap();
    kernel.command(Command::Create { scenario });
    let (found, _) = (object::find(&kernel.store, &Uuid::from_u128(n), None).unwrap(), ());
    found[0].header.key()
}

fn ask<'a>(question: &'a Question, after: Option<ObjectKey>, objects: usize) -> Ask<'a> {
    Ask { reader: None, question, after, budget: Budget { objects, ..Budget::default() } }
}

/// All pages of what this kernel itself finds, and how many there were.
fn all(kernel: &Alone, index: Option<&Index>, question: &Question, objects: usize) -> (Vec<u128>, usize) {
    let (mut found, mut after, mut pages) = (Vec::new(), None, 0);
    loop {
        let page = page(&kernel.store, index, &ask(question, after, objects)).unwrap();
        pages += 1;
        found.extend(page.objects.iter().map(|found| found.key.uuid.as_u128()));
        match page.next {
            Some(next) => after = Some(next),
            None => return (found, pages),
        }
    }
}

fn condition(pointer: &str, value: &str) -> Vec<Condition> {
    vec![Condition { pointer: pointer.into(), value: Bytes::copy_from_slice(value.as_bytes()) }]
}

/// What a peer is answered, all pages: object numbers.
fn told(kernel: &Alone, peer: &KernelId, question: &Question, budget: Budget) -> Result<Vec<u128>, Code> {
    let (mut question, mut found) = (question.clone(), Vec::new());
    loop {
        let who = (&kernel.ctx.key, peer);
        match answer(&kernel.store, None, who, &question, (budget, NOW_MS)).unwrap() {
            Frame::Findings(Findings { objects, next }) => {
                found.extend(objects.iter().map(|found| found.key.uuid.as_u128()));
                match next {
                    Some(next) => question.after = Some(next),
                    None => return Ok(found),
                }
            }
            Frame::Absent(Absent { code, .. }) => return Err(code),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn pages_have_each_object_once_with_an_index_and_without() {
    let mut kernel = Alone::new();
    for n in 1..=20 {
        named(&mut kernel, n, if n % 2 == 0 { "Pump" } else { "Valve" }, &format!("no {n}"));
    }
    let gone = named(&mut kernel, 21, "Pump", "gone");
    kernel.command(Command::Remove { key: gone });
    let index = Index::build(&kernel.store).unwrap().unwrap();
    let questions = [
        (Question::default(), (1..=20).collect::<Vec<u128>>()),
        (
            Question { component: Some("Pump".into()), ..Question::default() },
            (1..=10).map(|n| 2 * n).collect(),
        ),
        (Question { name: Some("no 1?".into()), ..Question::default() }, (10..=19).collect()),
        (Question { text: Some("NO 7".into()), ..Question::default() }, vec![7]),
        (Question { conditions: condition("/model/n", "7.0"), ..Question::default() }, vec![7]),
        (Question { home: Some(kernel.id()), limit: 3, ..Question::default() }, (1..=20).collect()),
        (Question { home: Some(kernel.peer_id(9)), ..Question::default() }, vec![]),
        (Question { changed_since_ms: Some(NOW_MS + 1), ..Question::default() }, vec![]),
    ];
    for (question, wanted) in &questions {
        for (index, objects) in [(None, 1), (None, 7), (None, 1000), (Some(&index), 1), (Some(&index), 7)] {
            let (found, pages) = all(&kernel, index, question, objects);
            assert_eq!(&found, wanted, "{question:?}, {objects} a page, index: {}", index.is_some());
            assert!(index.is_some() || objects > 1 || pages >= 20);
        }
    }
}

#[test]
fn a_large_scenario_ends_its_page() {
    let mut kernel = Alone::new();
    for n in 1..=4 {
        named(&mut kernel, n, "Pump", &"x".repeat(200));
    }
    let question = Question { text: Some("nowhere".into()), ..Question::default() };
    let budget = Budget { bytes: 1, ..Budget::default() };
    let first = page(&kernel.store, None, &Ask { budget, ..ask(&question, None, 9) }).unwrap();
    assert_eq!(first.next.map(|key| key.uuid.as_u128()), Some(1));
}

#[test]
fn a_peer_is_told_what_it_may_read_or_find_and_nothing_else() {
    let mut kernel = Alone::new();
    let [peer, other] = [8, 9].map(|n| kernel.befriend(n));
    for n in 1..=6 {
        named(&mut kernel, n, if n <= 3 { "Pump" } else { "Valve" }, &format!("no {n}"));
    }
    let everything = Question::default();
    let content = Question { text: Some("no".into()), ..Question::default() };
    let tells = |kernel: &Alone, question: &Question| told(kernel, &peer, question, Budget::default());
    assert_eq!(tells(&kernel, &everything), Ok(vec![]));
    assert_eq!(told(&kernel, &kernel.peer_id(77), &everything, Budget::default()), Err(Code::Denied));
    let pumps = kernel.grant(peer, Right::Find, Scope::Component("Pump".into()));
    assert_eq!(tells(&kernel, &everything), Ok(vec![1, 2, 3]));
    assert_eq!(tells(&kernel, &content), Ok(vec![]));
    let five = object::find(&kernel.store, &Uuid::from_u128(5), None).unwrap()[0].header.key();
    kernel.grant(peer, Right::Read, Scope::Object(five));
    assert_eq!(tells(&kernel, &everything), Ok(vec![1, 2, 3, 5]));
    assert_eq!(tells(&kernel, &content), Ok(vec![5]));
    kernel.grant(peer, Right::Read, Scope::Component("Pump".into()));
    kernel.command(Command::Revoke(pumps));
    assert_eq!(tells(&kernel, &content), Ok(vec![1, 2, 3, 5]));
    assert_eq!(told(&kernel, &other, &everything, Budget::default()), Ok(vec![]));
}

#[test]
fn where_a_page_ends_tells_a_peer_nothing_of_what_it_may_not_find() {
    let mut kernel = Alone::new();
    let peer = kernel.befriend(8);
    let hidden = named(&mut kernel, 0x77aa_77aa, "Secret", "hidden");
    named(&mut kernel, 0x77aa_77ab, "Secret", "hidden, too");
    let who = (&kernel.ctx.key, &peer);
    let budget = Budget { objects: 1, ..Budget::default() };
    let first = answer(&kernel.store, None, who, &Question::default(), (budget, NOW_MS)).unwrap();
    let Frame::Findings(Findings { objects, next: Some(next) }) = first else { panic!("{first:?}") };
    assert!(objects.is_empty());
    assert!(!next.windows(4).any(|part| hidden.uuid.as_bytes().ends_with(part)));
    // It goes on from there, and from nothing that it makes up.
    let question = Question { after: Some(hidden.to_row().to_vec().into()), ..Question::default() };
    let made_up = answer(&kernel.store, None, who, &question, (budget, NOW_MS)).unwrap();
    assert_eq!(made_up, Frame::Absent(Absent { call: 0, code: Code::Invalid }));
    let text = Question { text: Some(String::new()), ..Question::default() };
    let empty = answer(&kernel.store, None, who, &text, (budget, NOW_MS)).unwrap();
    assert_eq!(empty, Frame::Absent(Absent { call: 0, code: Code::Invalid }));
}

#[test]
fn the_index_is_told_what_has_changed() {
    let mut kernel = Alone::new();
    let (one, two) = (named(&mut kernel, 1, "Pump", "old"), named(&mut kernel, 2, "Pump", "old"));
    let mut index = Index::build(&kernel.store).unwrap().unwrap();
    let scenario = Scenario::compose(one.uuid, "Pump", "1", "me", r#"{"name":"new"}"#).unwrap();
    kernel.command(Command::Put { key: one, base: None, scenario });
    kernel.command(Command::Remove { key: two });
    let three = named(&mut kernel, 3, "Pump", "new");
    let question = Question { name: Some("new".into()), ..Question::default() };
    // It has not heard of it: then at least nothing wrong is told.
    assert_eq!(all(&kernel, Some(&index), &question, 9).0, Vec::<u128>::new());
    let old = Question { name: Some("old".into()), ..Question::default() };
    assert_eq!(all(&kernel, Some(&index), &old, 9).0, Vec::<u128>::new());
    for key in [one, two, three] {
        index.update(&kernel.store, &key).unwrap();
    }
    assert_eq!(all(&kernel, Some(&index), &question, 9).0, [1, 3]);
    assert_eq!(index.after(None).count(), 2);
    assert_eq!(index.after(Some(&one)).count(), 1);
}
