//! One line of what `doctor` says.

use super::contract::CheckInfo;

pub(super) fn check(name: &str, ok: bool, message: &str, hint: Option<&str>) -> CheckInfo {
    let hint = hint.filter(|_| !ok).map(str::to_owned);
    CheckInfo { check: name.to_owned(), ok, message: message.to_owned(), hint }
}
