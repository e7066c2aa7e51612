//! What an object is told of its effects, as the arguments of an action (protocol 5.5 Answers).

use once_model::ids::Uuid;
use once_model::wire::Code;

use crate::seen::Json;

/// What an object is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Told {
    Done(Json),
    Failed(Json),
    Refused(Code),
    Due,
    /// The object moved, and did not wait for it.
    Unknown,
}

/// The arguments of an answer, byte for byte (564-576).
pub(crate) fn told_json(effect: &Uuid, told: &Told, with: &[u8]) -> Json {
    let mut json = format!("{{\"effect\":\"{effect}\",\"status\":").into_bytes();
    match told {
        Told::Done(result) => {
            json.extend_from_slice(b"\"done\",\"result\":");
            json.extend_from_slice(inner(result));
        }
        Told::Failed(reason) => {
            json.extend_from_slice(b"\"failed\",\"reason\":");
            json.extend_from_slice(inner(reason));
        }
        Told::Refused(code) => {
            json.extend_from_slice(b"\"refused\",\"code\":\"");
            json.extend_from_slice(code.name().as_bytes());
            json.push(b'"');
        }
        Told::Due => json.extend_from_slice(b"\"due\""),
        Told::Unknown => json.extend_from_slice(b"\"unknown\""),
    }
    json.extend_from_slice(b",\"with\":");
    json.extend_from_slice(inner(with));
    json.push(b'}');
    json
}

/// JSON of others as it stands one level deeper; `null` for what is none, too large or too deep.
fn inner(json: &[u8]) -> &[u8] {
    let deeper = [b"[", json, b"]"].concat();
    let fits = json.len() <= 65_536
        && once_model::json::validate(json).is_ok()
        && once_model::json::validate(&deeper).is_ok();
    if fits { json } else { b"null" }
}
