//! One line of what `doctor` says.

use super::contract::CheckInfo;

pub(super) fn check(name: &str, ok: bool, message: &str, hint: Option<&str>) -> CheckInfo {
    let hint = hint.filter(|_| !ok).map(str::to_owned);
    CheckInfo { check: name.to_owned(), ok, unexamined: false, message: message.to_owned(), hint }
}

/// What only a kernel that runs can say.
pub(super) fn unexamined(name: &str) -> CheckInfo {
    let skipped = check(name, true, "not examined: this kernel is not running", None);
    CheckInfo { unexamined: true, ..skipped }
}
