//! Changing parts of a JSON text and nothing else.
//!
//! A scenario is kept byte for byte, so an edit must not read it into a tree and write it anew: that would reorder
//! keys, respell numbers and strings and lose duplicate keys. Instead both texts are walked by the scanner, which notes
//! where the few values lie that the edit is about ([`outline`]); then the old text is copied, with other bytes at
//! those places ([`splice`]). Time and memory are linear in the texts (but for the logarithm of looking up keys), and
//! the limits hold while the result is written: white space that new members imitate is bounded too.
//!
//! Of duplicate keys the last one counts, as everywhere in this crate. So a new value goes to the last of them, and
//! removing a key removes all of them, since otherwise an earlier one would come to light. Keys are equal if they read
//! the same, however they are spelled; lone surrogates are compared as `JSON.parse` does.

mod error;
mod layout;
mod outline;
mod pointer;
mod splice;
mod token;

#[cfg(test)]
mod corpus;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

pub use error::{EditError, EditErrorKind};

use layout::Holder;
use outline::{Pattern, outline};
use splice::{New, Out, Source};

use super::error::{Fault, JsonError};
use super::{Kind, quote};
use crate::limits::JSON_MAX_DEPTH;

/// Applies a merge patch (RFC 7396) to a JSON text. What the patch does not touch keeps its bytes.
///
/// - A changed value takes the place of the old one, as it is spelled in the patch. Of an object that takes the place
///   of something else, or is new, the members that are `null` are left out, and so are those that a later one of the
///   same key hides: both as if they had been removed from it.
/// - A removed member takes its comma and the white space before it along (the first one: the white space after it),
///   which is its line where each member has one. An object that loses its last member becomes `{}`.
/// - A new member comes last in its object, spaced like the member before it. In an empty object it is spaced like the
///   member that holds the object, one level deeper, or without any space if that stands on one line with others.
/// - If a key is there more than once, its last member gets the new value (the others stay: they mean nothing), and
///   removing it removes all of them. Of a key that the patch has more than once, the last one counts.
///
/// So the patch `{}` gives back an object as it is (and, by the RFC, makes `{}` of anything else), and adding a member and
/// then removing it restores the text to the byte, unless the object held nothing but white space.
///
/// A byte order mark before the text stays, though nothing else in this crate accepts one.
///
/// ```
/// use once_model::json::merge;
///
/// let old = "{\n  \"name\": \"a\\u0062c\",\n  \"size\": 1.50,\n  \"tags\": [ ]\n}\n";
/// let new = merge(old, r#"{"size": 18446744073709551616, "tags": null, "seen": {"by": null, "n": 1}}"#)?;
/// assert_eq!(
///     new,
///     "{\n  \"name\": \"a\\u0062c\",\n  \"size\": 18446744073709551616,\n  \"seen\": {\"n\": 1}\n}\n"
/// );
/// assert_eq!(merge(old, "{}")?, old);
/// # Ok::<(), once_model::json::EditError>(())
/// ```
///
/// # Errors
///
/// If one of the texts is no JSON within the limits, or the result would be beyond them.
pub fn merge(target: &str, patch: &str) -> Result<String, EditError> {
    let new = outline(patch, Some(Pattern::All)).map_err(EditError::patch)?;
    let (mark, body) = split_mark(target);
    let old = outline(body, new.root.object().map(Pattern::Patch)).map_err(EditError::target)?;

    let mut out = Out::new(mark, body, old.root.nodes, patch);
    out.merge(&old.root, &new.root, None)?;
    out.finish()
}

/// Replaces the value at a JSON pointer (RFC 6901). All other bytes stay, and the new value is put in as it is spelled,
/// without the white space around it.
///
/// If the last step of the pointer leads to nothing yet, the value is added: as the last member of its object, or, if
/// that step is `-` or the length of the array, as its last element. It is spaced as by [`merge`]. The empty pointer
/// replaces the whole value; the white space around it stays.
///
/// ```
/// use once_model::json::replace;
///
/// assert_eq!(replace(r#"{"a/b": [1.0, 2], "c": 3}"#, "/a~1b/1", "\"x\"")?, r#"{"a/b": [1.0, "x"], "c": 3}"#);
/// assert_eq!(replace("[ 1, 2 ]\n", "/-", "3")?, "[ 1, 2, 3 ]\n");
/// assert_eq!(replace(r#"{"a": {}}"#, "/a/b", "null")?, r#"{"a": {"b": null}}"#);
/// let error = replace("{\n  \"a\": [1]\n}", "/a/7", "0").unwrap_err();
/// assert_eq!(error.to_string(), "line 2, column 8: nothing at `/a/7`: it would be number 7 of an array of 1");
/// # Ok::<(), once_model::json::EditError>(())
/// ```
///
/// # Errors
///
/// If one of the texts is no JSON within the limits, the pointer is none or leads nowhere, or the result would be beyond
/// the limits.
pub fn replace(target: &str, pointer: &str, value: &str) -> Result<String, EditError> {
    let tokens = pointer::parse(pointer)?;
    let new = outline(value, None).map_err(EditError::patch)?;
    let (mark, body) = split_mark(target);
    let old = outline(body, Some(Pattern::Path(&tokens))).map_err(EditError::target)?;

    let mut at = &old.root;
    let mut holder = None;
    let mut rest = tokens.as_slice();
    while let (Some(member), Some((_, after))) = (at.last_member(), rest.split_first()) {
        holder = Some(Holder::new(at, member));
        (at, rest) = (&member.value, after);
    }
    let key = match rest {
        [] => None,
        [token] if at.kind == Kind::Object => Some(quote(&token.text).into()),
        [token] if at.kind == Kind::Array && (token.text == "-" || token.index == Some(at.count())) => {
            Some("".into())
        }
        [token, ..] => return Err(EditError::not_found(body, pointer, token, at)),
    };
    if tokens.len() + new.levels > JSON_MAX_DEPTH {
        let fault = JsonError::found(body, at.span.start, String::new(), Fault::TooDeep);
        return Err(EditError::result(fault));
    }

    let mut out = Out::new(mark, body, old.root.nodes, value);
    let source = Source::Verbatim(&new.root);
    match key {
        None => out.put_at(at, &source)?,
        Some(key) => out.add(at, holder.as_ref(), [New { key, source }].into_iter(), false)?,
    }
    out.finish()
}

/// The value at a JSON pointer (RFC 6901), as it is spelled; `None` if there is none. The empty pointer is the whole
/// value, without the white space around it. Of duplicate keys the last one counts.
///
/// ```
/// use once_model::json::get;
///
/// let text = r#"{"a": 1, "list": [1.50, {"x~y": 1E400}], "\u0061": 2}"#;
/// assert_eq!(get(text, "/list/1/x~0y")?, Some("1E400"));
/// assert_eq!(get(text, "/a")?, Some("2"));
/// assert_eq!(get(text, "/list/-")?, None);
/// # Ok::<(), once_model::json::EditError>(())
/// ```
///
/// # Errors
///
/// If the text is no JSON within the limits, or the pointer is none.
pub fn get<'t>(target: &'t str, pointer: &str) -> Result<Option<&'t str>, EditError> {
    let tokens = pointer::parse(pointer)?;
    let (_, body) = split_mark(target);
    let old = outline(body, Some(Pattern::Path(&tokens))).map_err(EditError::target)?;
    let mut at = &old.root;
    for _ in &tokens {
        match at.last_member() {
            Some(member) => at = &member.value,
            None => return Ok(None),
        }
    }
    Ok(body.get(at.span.clone()))
}

/// A byte order mark, and the text behind it.
fn split_mark(text: &str) -> (&str, &str) {
    const MARK: char = '\u{feff}';
    if text.starts_with(MARK) { text.split_at(MARK.len_utf8()) } else { ("", text) }
}
