//! Actions: arguments are checked, and whatever passes is run by the component that the scenario names, `Record` if nobody
//! knows that one; `Any` is a component of ours, whose state is any object. The input is `scenario RS name RS arguments RS effect`, where RS is the byte 1e, and the last part, if
//! it is a UUID, the effect that the action answers.

#![cfg_attr(not(test), no_main)]

use once::component::runner;
use once::{Component, Context};
use once_core::waist::{Consequence, Run, RunResult, Runner};
use once_model::action::Action;
use once_model::header::Header;
use once_model::ids::{Hash, KernelId, Uuid};
use once_model::json::{get, merge, validate};
use once_model::limits::{ARGUMENTS_MAX_BYTES, EFFECTS_MAX, NAME_MAX_BYTES};
use once_model::scenario::Scenario;
use once_model::wire::Code;
use serde_json::{Map, Value};

#[cfg(not(test))]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| run(bytes));

pub fn run(bytes: &[u8]) {
    let mut parts = bytes.splitn(4, |byte| *byte == 0x1e);
    let mut part = || parts.next().unwrap_or_default();
    let (body, name, arguments, effect) = (part(), part(), part(), part());
    let Ok(name) = std::str::from_utf8(name) else { return };
    let action = Action {
        id: Uuid::from_u128(7),
        name: name.to_owned(),
        arguments: arguments.to_vec().into(),
        given: Vec::new(),
        acting: None,
        answers: Uuid::try_parse_ascii(effect).ok(),
    };
    let json = validate(arguments).ok();
    match (action.check(), json) {
        (Ok(()), Some(arguments)) => {
            assert!((1..=NAME_MAX_BYTES).contains(&name.len()) && arguments.len() <= ARGUMENTS_MAX_BYTES);
            acts(body, action, arguments);
        }
        (Err(Code::TooLarge), _) => assert!(name.len().max(arguments.len()) > NAME_MAX_BYTES),
        (Err(Code::Invalid), json) => assert!(json.is_none() || name.is_empty()),
        (checked, json) => panic!("{checked:?} {json:?}"),
    }
}

fn acts(body: &[u8], action: Action, arguments: &str) {
    let scenario = Scenario::parse(body.to_vec());
    let header = Header {
        uuid: Uuid::from_u128(1),
        lineage: None,
        epoch: 0,
        revision: 0,
        certificate: None,
        parent: None,
        content: once_model::hash::content_hash(body),
        size: body.len() as u64,
        tombstone: false,
        component: scenario.as_ref().ok().and_then(|old| old.component()).unwrap_or_default().to_owned(),
        version: String::new(),
        cause: None,
        signature: None,
        entry: None,
    };
    let name = action.name.clone();
    let run = Run {
        cause: Uuid::from_u128(3),
        seed: Hash::from_bytes([3; 32]),
        run: 1,
        key: header.key(),
        header,
        body: body.to_vec().into(),
        action,
        given: Vec::new(),
        origin: KernelId::from_bytes([2; 32]),
        now_ms: 1_760_000_000_000,
    };
    let kernel = runner(vec![any()]);
    let Some(result) = kernel.run(&run) else { return };
    is_the_same(&run, &result, kernel.run(&run));
    let Ok(old) = scenario else { return assert!(matches!(result, RunResult::Refused(Code::Invalid))) };
    match &result {
        RunResult::Done { state, result, consequences } => {
            assert!(validate(result).is_ok());
            if let Some(new) = state {
                changes(&old, new);
                // The object is awake now: that must not be seen.
                let header = Header { content: new.hash(), ..run.header.clone() };
                let next = Run { header, body: new.bytes().clone(), ..run.clone() };
                if let Some(fresh) = runner(vec![any()]).run(&next) {
                    is_the_same(&next, &fresh, kernel.run(&next));
                }
            }
            assert!(consequences.len() <= EFFECTS_MAX);
            consequences.iter().for_each(is_in_order);
        }
        RunResult::Failed(why) => {
            let why: String =
                serde_json::from_slice(why).expect("the components of every kernel say why in words");
            assert_ne!(why, "the component panicked");
        }
        RunResult::Refused(code) => assert!(matches!(code, Code::NoComponent)),
        other => panic!("{other:?}"),
    }
    match (run.header.component.as_str(), name.as_str(), &result) {
        ("Counter", "add", RunResult::Done { state, result, .. }) => {
            let new = state.as_ref().unwrap_or(&old).editable();
            // The state is also read from a list of its fields.
            if new.starts_with('{') {
                let count = get(new, "/count").expect("it was read").unwrap_or("0");
                assert_eq!(count.as_bytes(), result);
            }
        }
        ("Any", "set", RunResult::Done { state, result, .. }) => {
            let new = state.as_ref().unwrap_or(&old).editable();
            let (written, told): (Value, Value) = (read(new.as_bytes()), read(result));
            assert_eq!(written, told);
        }
        ("Account" | "Any" | "Coordination" | "Counter", ..) => {}
        (_, name, result) => records(&old, name, arguments, result),
    }
}

/// `set` sets members of the state, and returns the whole.
fn any() -> Component {
    let set = |state: &mut Map<String, Value>, members: Map<String, Value>, _: &Context| {
        state.extend(members);
        Ok::<_, String>(state.clone())
    };
    Component::of::<Map<String, Value>>("Any", "1.0").action("set", set).into()
}

fn read(json: &[u8]) -> Value {
    serde_json::from_slice(json).expect("it was written")
}

/// What it asks of others can be asked.
fn is_in_order(consequence: &Consequence) {
    match consequence {
        Consequence::Act(call) => {
            assert!(validate(&call.arguments).is_ok() && call.arguments.len() <= ARGUMENTS_MAX_BYTES);
            assert!((1..=NAME_MAX_BYTES).contains(&call.name.len()));
        }
        Consequence::Publish { data, .. } => assert!(validate(data).is_ok()),
        other => panic!("{other:?}"),
    }
}

/// A run that was lost is run again.
fn is_the_same(run: &Run, one: &RunResult, other: Option<RunResult>) {
    let told = |result: &RunResult| match result {
        RunResult::Done { state: Some(state), .. } => (Some(state.bytes().clone()), format!("{result:?}")),
        _ => (None, format!("{result:?}")),
    };
    assert_eq!(Some(told(one)), other.as_ref().map(told), "{}", run.action.name);
}

/// The same object with another model.
fn changes(old: &Scenario, new: &Scenario) {
    assert_eq!(Scenario::parse(new.bytes().clone()).as_ref(), Ok(new));
    assert_eq!((new.uuid(), new.component(), new.version()), (old.uuid(), old.component(), old.version()));
    assert_eq!(new.owner(), old.owner());
    if let (Some(before), Some(after)) = (old.model(), new.model()) {
        assert_eq!(old.with_model(after).as_ref(), Ok(new));
        assert_eq!(new.with_model(before).as_ref(), Ok(old));
    }
}

/// What `Record` does is what the edits of the model do.
fn records(old: &Scenario, name: &str, arguments: &str, result: &RunResult) {
    match (name, result) {
        ("merge", RunResult::Done { state: Some(new), result, .. }) => {
            assert_eq!(merge(old.editable(), arguments).as_deref(), Ok(new.editable()));
            assert_eq!(result, "null");
        }
        ("replace", RunResult::Done { state: Some(_), result, .. }) => assert_eq!(result, "null"),
        ("get", RunResult::Done { state: None, result, .. }) => {
            let whole = old.editable().trim();
            assert!(result == "null" || whole.contains(std::str::from_utf8(result).expect("JSON")));
        }
        ("merge" | "replace" | "get", RunResult::Failed(_)) => {}
        (_, RunResult::Failed(why)) => {
            let said = std::str::from_utf8(why).expect("JSON");
            assert!(said.contains("understands no action"), "{said}");
        }
        (name, result) => panic!("{name}: {result:?}"),
    }
}
