//! What a component says, and what follows from it: docs/protocol.md, 5.5, *Effects*.

use once_model::action::Outcome;
use once_model::ids::Uuid;
use once_model::limits::{ARGUMENTS_MAX_BYTES, EFFECTS_MAX, NAME_MAX_BYTES, REMINDER_MAX_BYTES};
use once_model::scenario::Scenario;
use once_model::wire::Code;

use super::tests::{act, did, effects, home, nth, refused, say};
use crate::act::{broken_link, history};
use crate::store::Table;
use crate::waist::{Consequence, Event, RunResult, Then};

#[test]
fn what_a_component_says_is_recorded_as_it_is() {
    let (mut kernel, _) = home();
    let key = kernel.object(1, "Puppet");
    let string = |bytes: usize| format!("\"{}\"", "x".repeat(bytes - 2));
    let state = |uuid, n: u32| {
        Some(
            Scenario::compose(Uuid::from_u128(uuid), "Puppet", "1", "me", &format!("{{\"n\":{n}}}")).unwrap(),
        )
    };
    let done = |state, result: String| RunResult::Done { state, result: result.into(), consequences: vec![] };
    let (long, longer) = (string(ARGUMENTS_MAX_BYTES), string(ARGUMENTS_MAX_BYTES + 1));
    let failed = |reason: &str| Outcome::Failed(reason.to_owned().into());
    let said = [
        (done(state(1, 1), long.clone()), Outcome::Done(long.clone().into()), 2),
        (done(state(1, 2), longer.clone()), Outcome::Refused(Code::TooLarge), 2),
        (RunResult::Failed(long.clone().into()), failed(&long), 2),
        (RunResult::Failed(longer.into()), Outcome::Refused(Code::TooLarge), 2),
        (RunResult::Refused(Code::NoComponent), Outcome::Refused(Code::NoComponent), 2),
        (done(state(2, 1), "1".into()), Outcome::Refused(Code::Invalid), 2),
        // The same bytes are no new revision.
        (done(state(1, 1), "1".into()), Outcome::Done("1".into()), 2),
        (done(state(1, 3), "1".into()), Outcome::Done("1".into()), 3),
        (done(None, "1".into()), Outcome::Done("1".into()), 3),
    ];
    for (sequence, (result, outcome, revision)) in (1..).zip(said) {
        let before = kernel.head(&key).unwrap();
        say(&mut kernel, result);
        kernel.events.clear();
        assert_eq!(act(&mut kernel, nth(key, sequence)), [(sequence, outcome.clone())]);
        let head = kernel.head(&key).unwrap();
        assert_eq!(head.revision, revision, "{sequence}");
        let acted = kernel.events.iter().any(|event| {
            matches!(event, Event::Acted { id, outcome: told, name, .. }
                if (*id, told) == (Uuid::from_u128(u128::from(sequence)), &outcome)
                    && *name == nth(key, sequence).action.name)
        });
        assert!(acted, "{sequence}");
        let changed = kernel.events.iter().any(|event| matches!(event, Event::Changed { .. }));
        assert_eq!(changed, head.revision > before.revision);
        if changed {
            let cause = head.cause.as_ref().unwrap();
            assert_eq!((cause.sequence, cause.id), (sequence, Uuid::from_u128(u128::from(sequence))));
            assert_eq!(head.parent, Some(before.id()));
        }
    }
    assert_eq!(broken_link(&history(&kernel.store, &key).unwrap()), None);
}

pub(super) fn timer(name: &str, action: &str, with: String) -> Consequence {
    let then = Then { action: action.into(), with: with.into() };
    Consequence::Timer { name: name.into(), after_ms: 60_000, then }
}

#[test]
fn effects_that_no_kernel_takes_are_refused_whole() {
    let (mut kernel, _) = home();
    let key = kernel.object(1, "Puppet");
    let string = |bytes: usize| format!("\"{}\"", "x".repeat(bytes - 2));
    let publish = |name: &str, data: String| Consequence::Publish { name: name.into(), data: data.into() };
    let work = |name: &str, arguments: String, with: &str| Consequence::Activity {
        name: name.into(),
        arguments: arguments.into(),
        then: Then { action: "made".into(), with: with.to_owned().into() },
    };
    let good = |n: usize| (0..n).map(|_| publish("p", "1".into())).collect::<Vec<_>>();
    let long = "n".repeat(NAME_MAX_BYTES);
    let bad = [
        (good(EFFECTS_MAX + 1), Code::TooLarge),
        (vec![publish("", "1".into())], Code::Invalid),
        (vec![publish("once:p", "1".into())], Code::Invalid),
        (vec![publish("p", "{".into())], Code::Invalid),
        (vec![publish("p", string(ARGUMENTS_MAX_BYTES + 1))], Code::TooLarge),
        (vec![publish(&format!("{long}n"), "1".into())], Code::TooLarge),
        (vec![timer("", "rang", "1".into())], Code::Invalid),
        (vec![timer("t", "", "1".into())], Code::Invalid),
        (vec![timer("t", "rang", string(REMINDER_MAX_BYTES + 1))], Code::TooLarge),
        (vec![timer("t", "rang", "]".into())], Code::Invalid),
        (vec![Consequence::CancelTimer { name: String::new() }], Code::Invalid),
        (vec![work("", "1".into(), "1")], Code::Invalid),
        (vec![work("w", "{".into(), "1")], Code::Invalid),
        (vec![work("w", string(ARGUMENTS_MAX_BYTES + 1), "1")], Code::TooLarge),
        (vec![work("w", "1".into(), "}")], Code::Invalid),
        // One that is good does not come to be beside one that is not.
        (vec![timer("t", "rang", "1".into()), publish("", "1".into())], Code::Invalid),
    ];
    let mut sequence = 0;
    for (consequences, code) in bad {
        sequence += 1;
        say(&mut kernel, effects(consequences));
        assert_eq!(act(&mut kernel, nth(key, sequence)), refused(sequence, code), "{sequence}");
    }
    assert!(kernel.rows().iter().all(|(table, ..)| !matches!(table, Table::Timer | Table::Activity)));
    assert!(kernel.works.is_empty());
    let most = vec![
        publish(&long, string(ARGUMENTS_MAX_BYTES)),
        timer(&long, "rang", string(REMINDER_MAX_BYTES)),
        work("w", string(ARGUMENTS_MAX_BYTES), "1"),
        Consequence::CancelTimer { name: "none".into() },
    ];
    for consequences in [good(EFFECTS_MAX), most] {
        sequence += 1;
        say(&mut kernel, effects(consequences));
        kernel.events.clear();
        assert_eq!(act(&mut kernel, nth(key, sequence)), did(sequence, "1"));
        assert!(kernel.events.iter().any(|event| matches!(event, Event::Published { .. })));
    }
    let published = Event::Published { key, name: long, data: string(ARGUMENTS_MAX_BYTES).into() };
    assert!(kernel.events.contains(&published));
    assert_eq!(kernel.works.len(), 1);
}
