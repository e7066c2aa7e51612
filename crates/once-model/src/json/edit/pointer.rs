//! JSON pointers (RFC 6901).

use std::borrow::Cow;

use super::EditError;
use super::token::Token;
use crate::limits::JSON_MAX_DEPTH;

/// The steps of a pointer: one more than there can be in a document, if there are more.
pub(super) fn parse(pointer: &str) -> Result<Vec<Token<'_>>, EditError> {
    let mut tokens = Vec::new();
    let mut at = 0;
    for (count, raw) in pointer.split('/').enumerate() {
        if count == 0 {
            if !raw.is_empty() {
                return Err(EditError::pointer(pointer, 0, "it must be empty or begin with `/`"));
            }
            continue;
        }
        let start = at + 1;
        at = start + raw.len();
        for (tilde, _) in raw.match_indices('~') {
            if !matches!(raw.as_bytes().get(tilde + 1), Some(b'0' | b'1')) {
                return Err(EditError::pointer(pointer, start + tilde, "`~` must be written `~0`"));
            }
        }
        if tokens.len() <= JSON_MAX_DEPTH {
            let text = match raw.contains('~') {
                true => Cow::Owned(raw.replace("~1", "/").replace("~0", "~")),
                false => Cow::Borrowed(raw),
            };
            tokens.push(Token { index: index(raw), text, end: at });
        }
    }
    Ok(tokens)
}

/// A number without signs and leading zeros.
fn index(raw: &str) -> Option<usize> {
    let plain = raw == "0" || (!raw.starts_with('0') && raw.bytes().all(|b| b.is_ascii_digit()));
    if plain { raw.parse().ok() } else { None }
}
