//! Writing JSON: the same tokens with other white space between them.

use super::{JsonError, validate};
use crate::limits::SCENARIO_MAX_BYTES;

/// The document without white space between its tokens. Numbers, escapes and the order of keys stay as they are.
///
/// ```
/// assert_eq!(once_model::json::compact(r#"{ "n" : [ 1.0, 2 ] }"#)?, r#"{"n":[1.0,2]}"#);
/// # Ok::<(), once_model::json::JsonError>(())
/// ```
///
/// # Errors
///
/// If the text is no JSON: see [`validate`].
pub fn compact(json: &str) -> Result<String, JsonError> {
    respace(validate(json.as_bytes())?, None)
}

/// The document with one value a line, indented by two spaces a level, as scenario files are. Its first line is not
/// indented, the others by `level` levels more: so it can be put into another document.
///
/// ```
/// assert_eq!(once_model::json::pretty(r#"{"n":[1.0],"m":{}}"#, 0)?, "{\n  \"n\": [\n    1.0\n  ],\n  \"m\": {}\n}");
/// # Ok::<(), once_model::json::JsonError>(())
/// ```
///
/// # Errors
///
/// If the text is no JSON (see [`validate`]), or too large once it is indented.
pub fn pretty(json: &str, level: usize) -> Result<String, JsonError> {
    respace(validate(json.as_bytes())?, Some(level))
}

/// A text as a JSON string, in quotes.
///
/// ```
/// assert_eq!(once_model::json::quote("a \"b\""), r#""a \"b\"""#);
/// ```
#[must_use]
pub fn quote(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Copies valid JSON, replacing the white space outside of strings.
fn respace(json: &str, level: Option<usize>) -> Result<String, JsonError> {
    let mut out = String::with_capacity(json.len());
    let mut depth = level.unwrap_or_default();
    let line = |out: &mut String, depth: usize| {
        if level.is_some() {
            out.push('\n');
            out.extend(std::iter::repeat_n("  ", depth));
        }
    };
    let (mut quoted, mut escaped, mut opened) = (false, false, false);
    for c in json.chars() {
        if quoted {
            out.push(c);
            quoted = escaped || c != '"';
            escaped = c == '\\' && !escaped;
            continue;
        }
        if matches!(c, ' ' | '\n' | '\r' | '\t') {
            continue;
        }
        let closes = matches!(c, '}' | ']');
        if closes {
            depth = depth.saturating_sub(1);
        }
        if opened != closes {
            line(&mut out, depth); // after an opening bracket or before a closing one, but not inside of `{}`
        }
        opened = matches!(c, '{' | '[');
        out.push(c);
        match c {
            '{' | '[' => depth += 1,
            ',' => line(&mut out, depth),
            ':' if level.is_some() => out.push(' '),
            '"' => quoted = true,
            _ => {}
        }
        // Indentation can make a deep and flat document many times as large.
        if out.len() > SCENARIO_MAX_BYTES {
            return Err(JsonError::too_large(out.len()));
        }
    }
    Ok(out)
}
