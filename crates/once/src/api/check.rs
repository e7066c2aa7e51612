//! One line of what `doctor` says.

use serde_json::{Value, json};

pub(super) fn check(name: &str, ok: bool, message: &str, hint: Option<&str>) -> Value {
    json!({ "check": name, "ok": ok, "message": message, "hint": hint.filter(|_| !ok) })
}
