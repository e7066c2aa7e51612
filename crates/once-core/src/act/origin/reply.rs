//! An object is told what came of its effect: as an action on it, by the right of what it asked for.

use once_model::action::{Action, Outcome, answer_id};
use once_model::ids::{ObjectKey, Uuid};
use once_model::json;
use once_model::limits::ARGUMENTS_MAX_BYTES;

use super::place::enqueue;
use super::{lanes, send};
use crate::act::rows::WaitingRow;
use crate::engine::Step;
use crate::object;
use crate::store::StoreError;
use crate::waist::Then;

/// What became of an effect.
pub(crate) enum Came {
    /// The action on another object, or the work outside, ended so.
    Outcome(Outcome),
    /// The timer is due.
    Due,
    /// The object moved and did not wait for it: nobody tells it what came of the action.
    Unknown,
}

/// Tells an object what came of its effect `id`: as an action on it, by the right of what it asked for.
pub(crate) fn tell(
    s: &mut Step<'_, '_>,
    object: ObjectKey,
    id: Uuid,
    then: &Then,
    came: &Came,
) -> Result<(), StoreError> {
    let object = object::current_key(s.txn, &object)?;
    let action = Action {
        id: answer_id(&id),
        name: then.action.clone(),
        arguments: arguments(&id, came, &then.with).into(),
        given: Vec::new(),
        acting: None,
        answers: Some(id),
    };
    let row =
        WaitingRow { action, since_ms: s.ctx.now_ms, deadline_ms: None, void: None, call: None, guest: None };
    let own = lanes::to(s, object, s.ctx.me)?;
    let (place, lane) = enqueue(s, &own, row)?;
    s.engine.moving.touch(&object);
    send::owe_later(s, &place.lane, lane.home)
}

/// `{"effect":…,"status":…,"result"|"reason"|"code":…,"with":…}`, the JSON of others verbatim inside.
fn arguments(id: &Uuid, came: &Came, with: &[u8]) -> Vec<u8> {
    let (word, detail): (&str, Option<(&str, Vec<u8>)>) = match came {
        Came::Due => ("due", None),
        Came::Unknown => ("unknown", None),
        Came::Outcome(outcome) => (
            outcome.word(),
            Some(match outcome {
                Outcome::Done(result) => ("result", verbatim(result)),
                Outcome::Failed(reason) => ("reason", verbatim(reason)),
                Outcome::Refused(code) => ("code", format!("\"{}\"", code.name()).into_bytes()),
            }),
        ),
    };
    let mut text = format!("{{\"effect\":\"{id}\",\"status\":\"{word}\"").into_bytes();
    if let Some((name, value)) = detail {
        text.extend_from_slice(format!(",\"{name}\":").as_bytes());
        text.extend_from_slice(&value);
    }
    text.extend_from_slice(b",\"with\":");
    text.extend_from_slice(&verbatim(with));
    text.push(b'}');
    text
}

/// JSON as it is. What another kernel calls JSON may be none, or more than an answer has room for: also in depth, since
/// it stands one level deeper there.
fn verbatim(json: &[u8]) -> Vec<u8> {
    let inside = [b"[", json, b"]"].concat();
    let fits = json.len() <= ARGUMENTS_MAX_BYTES && json::validate(&inside).is_ok();
    // More than one value would make a list of it.
    let one = fits && json::validate(json).is_ok();
    if one { json.to_vec() } else { b"null".to_vec() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use once_model::limits::JSON_MAX_DEPTH;
    use once_model::wire::Code;

    #[test]
    fn an_answer_is_one_json_value_whatever_the_other_side_said() {
        let id = Uuid::from_u128(7);
        let said = |outcome| {
            let text = arguments(&id, &Came::Outcome(outcome), b"{\"step\":1}");
            json::validate(&text).unwrap();
            String::from_utf8(text).unwrap()
        };
        assert_eq!(
            said(Outcome::Done("[1.0e2]".into())),
            format!(r#"{{"effect":"{id}","status":"done","result":[1.0e2],"with":{{"step":1}}}}"#)
        );
        assert!(said(Outcome::Failed("}{".into())).contains(r#""reason":null"#));
        let nested =
            |levels: usize| Outcome::Done([b"[".repeat(levels), b"]".repeat(levels)].concat().into());
        assert!(said(nested(JSON_MAX_DEPTH - 1)).contains("[[]]"));
        assert!(said(nested(JSON_MAX_DEPTH)).contains(r#""result":null"#));
        assert!(said(Outcome::Refused(Code::Lacking)).contains(r#""code":"lacking""#));
        let due = arguments(&id, &Came::Due, b"null");
        let unknown = arguments(&id, &Came::Unknown, b"1");
        assert_eq!(unknown, format!(r#"{{"effect":"{id}","status":"unknown","with":1}}"#).into_bytes());
        assert_eq!(due, format!(r#"{{"effect":"{id}","status":"due","with":null}}"#).into_bytes());
    }
}
