//! Finding objects by what they are: the question, its answer, and what fits. `docs/protocol.md`, 6.5.

use std::str::Chars;

use bytes::Bytes;
use minicbor::{Decode, Encode};

use crate::cbor::{json_bytes, option_bytes};
use crate::ids::{KernelId, ObjectKey};
use crate::json;
use crate::limits::{
    FIND_CONDITIONS_MAX, FIND_CURSOR_MAX_BYTES, FIND_PAGE_MAX_OBJECTS, FIND_POINTER_MAX_BYTES,
    FIND_TEXT_MAX_BYTES, NAME_MAX_BYTES,
};

/// Which objects are wanted. What is absent does not matter; what is there must all fit.
///
/// ```
/// use once_model::find::Question;
/// let question = Question { name: Some("pump *".into()), ..Question::default() };
/// assert!(question.check().is_ok());
/// assert!(question.fits_name(Some("Pump 7")));
/// assert!(!question.fits_name(Some("a pump")));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Question {
    /// Stands somewhere in the scenario, as it is spelled there; ASCII letters in either case.
    #[n(0)]
    pub text: Option<String>,
    /// The component, exactly.
    #[n(1)]
    pub component: Option<String>,
    /// The whole name: `*` is any run of characters, `?` is one character; ASCII letters in either case.
    #[n(2)]
    pub name: Option<String>,
    /// Values that the scenario has.
    #[n(3)]
    pub conditions: Vec<Condition>,
    /// The newest revision was stored by the answering kernel at this time or later, by its clock, in milliseconds since 1970.
    #[n(4)]
    pub changed_since_ms: Option<u64>,
    /// The home that the objects have.
    #[n(5)]
    pub home: Option<KernelId>,
    /// Where to go on: [`Findings::next`] of the page before, from the same kernel.
    #[cbor(
        n(6),
        encode_with = "option_bytes::encode",
        decode_with = "option_bytes::decode",
        is_nil = "option_bytes::is_nil",
        nil = "option_bytes::nil"
    )]
    pub after: Option<Bytes>,
    /// At most so many objects in the answer; 0, or more than a page holds: as many as a page holds.
    #[n(7)]
    pub limit: u32,
}

/// A value that a scenario has at one place.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Condition {
    /// Where: a JSON pointer (RFC 6901).
    #[n(0)]
    pub pointer: String,
    /// What: a JSON string, number, `true`, `false` or `null`.
    #[cbor(n(1), with = "json_bytes")]
    pub value: Bytes,
}

/// One object that was found, as the answering kernel knows it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Finding {
    /// The object that was found.
    #[n(0)]
    pub key: ObjectKey,
    /// Its component; empty if it names none.
    #[n(1)]
    pub component: String,
    /// The component's version; empty if it names none.
    #[n(2)]
    pub version: String,
    /// The name in its model.
    #[n(3)]
    pub name: Option<String>,
    /// Its home; nobody's for an unclaimed object.
    #[n(4)]
    pub home: Option<KernelId>,
    /// The epoch of the newest revision there.
    #[n(5)]
    pub epoch: u64,
    /// The revision's number, which counts the object's changes.
    #[n(6)]
    pub revision: u64,
    /// The scenario's size in bytes.
    #[n(7)]
    pub size: u64,
    /// When it was stored there, by that kernel's clock, in milliseconds since 1970.
    #[n(8)]
    pub changed_ms: u64,
}

/// The answer to a [`Question`]: one page, in the order of the objects' keys.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Findings {
    /// What was found.
    #[n(0)]
    pub objects: Vec<Finding>,
    /// There is more to look at: ask again with this as [`Question::after`]. Means something to the answering kernel only.
    #[cbor(
        n(1),
        encode_with = "option_bytes::encode",
        decode_with = "option_bytes::decode",
        is_nil = "option_bytes::is_nil",
        nil = "option_bytes::nil"
    )]
    pub next: Option<Bytes>,
}

/// Why a question is not asked, or an answer not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FindError {
    /// The text is empty or too long.
    #[error("a text to look for has 1 to {FIND_TEXT_MAX_BYTES} bytes")]
    Text,
    /// The component or the name is too long.
    #[error("a component or a name has at most {NAME_MAX_BYTES} bytes")]
    Name,
    /// Too many conditions.
    #[error("at most {FIND_CONDITIONS_MAX} conditions")]
    Conditions,
    /// A condition's pointer is none.
    #[error(
        "the place of a condition is a JSON pointer like /model/color, of at most {FIND_POINTER_MAX_BYTES} bytes"
    )]
    Pointer,
    /// A condition's value is none that can be compared.
    #[error(
        "the value of a condition is a JSON string, number, true, false or null, of at most {FIND_TEXT_MAX_BYTES} bytes"
    )]
    Value,
    /// What says where to go on is too long.
    #[error("a place to go on from has at most {FIND_CURSOR_MAX_BYTES} bytes")]
    Cursor,
    /// More objects than were asked for.
    #[error("more objects than were asked for")]
    TooMany,
    /// Objects that are out of order, or come twice.
    #[error("objects that are out of order")]
    Order,
    /// An object that was not asked for.
    #[error("an object that was not asked for")]
    Unasked,
}

impl Question {
    /// Whether it keeps to the limits. A kernel answers no other one.
    ///
    /// # Errors
    /// What is too long, too much, or none of what it should be.
    pub fn check(&self) -> Result<(), FindError> {
        if self.text.as_ref().is_some_and(|text| text.is_empty() || text.len() > FIND_TEXT_MAX_BYTES) {
            return Err(FindError::Text);
        }
        if [&self.component, &self.name].into_iter().flatten().any(|name| name.len() > NAME_MAX_BYTES) {
            return Err(FindError::Name);
        }
        if self.conditions.len() > FIND_CONDITIONS_MAX {
            return Err(FindError::Conditions);
        }
        if self.after.as_ref().is_some_and(|after| after.len() > FIND_CURSOR_MAX_BYTES) {
            return Err(FindError::Cursor);
        }
        self.conditions.iter().try_for_each(Condition::check)
    }

    /// Most objects in the answer.
    #[must_use]
    pub fn most(&self) -> usize {
        match usize::try_from(self.limit) {
            Ok(limit @ 1..=FIND_PAGE_MAX_OBJECTS) => limit,
            _ => FIND_PAGE_MAX_OBJECTS,
        }
    }

    /// Whether it is about what an object is found by without looking at its scenario.
    #[must_use]
    pub fn narrows(&self) -> bool {
        self.component.is_some()
            || self.name.is_some()
            || self.home.is_some()
            || self.changed_since_ms.is_some()
    }

    /// Whether only the scenario's bytes tell what fits. Who may not read an object is not told anything by them.
    #[must_use]
    pub fn asks_content(&self) -> bool {
        self.text.is_some() || !self.conditions.is_empty()
    }

    /// Whether component, home and time are as asked for.
    #[must_use]
    pub fn fits_head(&self, component: &str, home: Option<KernelId>, changed_ms: u64) -> bool {
        self.component.as_deref().is_none_or(|wanted| wanted == component)
            && self.home.is_none_or(|wanted| home == Some(wanted))
            && self.changed_since_ms.is_none_or(|since| changed_ms >= since)
    }

    /// Whether the name is as asked for.
    #[must_use]
    pub fn fits_name(&self, name: Option<&str>) -> bool {
        self.name.as_deref().is_none_or(|glob| name.is_some_and(|name| fits_glob(glob, name)))
    }

    /// Whether the scenario's bytes are as asked for. What is no JSON has no values.
    #[must_use]
    pub fn fits_content(&self, text: &str) -> bool {
        self.text.as_deref().is_none_or(|wanted| contains(text, &wanted.to_ascii_lowercase()))
            && self.conditions.iter().all(|condition| condition.is_met(text))
    }

    /// What looking at one object costs besides reading its scenario, in bytes: a glob may try each character of a name for
    /// each of its own.
    #[must_use]
    pub fn cost_bytes(&self, name: Option<&str>) -> u64 {
        let product = self.name.as_ref().map_or(0, String::len) * name.map_or(0, str::len);
        u64::try_from(product).unwrap_or(u64::MAX)
    }

    /// Whether an answer can be one to this question. `last` is the last object of the page before.
    ///
    /// # Errors
    /// What cannot be. Nothing of such an answer is believed.
    pub fn accepts(&self, answer: &Findings, last: Option<&ObjectKey>) -> Result<(), FindError> {
        if answer.objects.len() > self.most() {
            return Err(FindError::TooMany);
        }
        if answer.next.as_ref().is_some_and(|next| next.len() > FIND_CURSOR_MAX_BYTES) {
            return Err(FindError::Cursor);
        }
        let mut last = last;
        for found in &answer.objects {
            if last.is_some_and(|last| *last >= found.key) {
                return Err(FindError::Order);
            }
            let names = [Some(&found.component), Some(&found.version), found.name.as_ref()];
            if names.into_iter().flatten().any(|name| name.len() > NAME_MAX_BYTES) {
                return Err(FindError::Name);
            }
            let fits = self.fits_head(&found.component, found.home, found.changed_ms);
            if !fits || !self.fits_name(found.name.as_deref()) {
                return Err(FindError::Unasked);
            }
            last = Some(&found.key);
        }
        Ok(())
    }
}

impl Condition {
    fn check(&self) -> Result<(), FindError> {
        if self.pointer.len() > FIND_POINTER_MAX_BYTES || json::get("null", &self.pointer).is_err() {
            return Err(FindError::Pointer);
        }
        let value: Option<serde_json::Value> = serde_json::from_slice(&self.value).ok();
        let fits = self.value.len() <= FIND_TEXT_MAX_BYTES
            && value.is_some_and(|value| !value.is_array() && !value.is_object());
        if fits { Ok(()) } else { Err(FindError::Value) }
    }

    fn is_met(&self, text: &str) -> bool {
        // An escape takes six bytes for one: what is longer cannot be the same.
        let longest = self.value.len() * 6 + 2;
        let Ok(Some(found)) = json::get(text, &self.pointer) else { return false };
        if found.len() > longest {
            return false;
        }
        let (Ok(found), Ok(wanted)) = (serde_json::from_str(found), serde_json::from_slice(&self.value))
        else {
            return false;
        };
        is_same(&found, &wanted)
    }
}

/// Numbers are compared by value, however they are spelled; everything else as it is.
fn is_same(a: &serde_json::Value, b: &serde_json::Value) -> bool {
    match (a, b) {
        (serde_json::Value::Number(a), serde_json::Value::Number(b)) => {
            a == b || (!(is_whole(a) && is_whole(b)) && a.as_f64() == b.as_f64())
        }
        _ => a == b,
    }
}

fn is_whole(number: &serde_json::Number) -> bool {
    number.is_u64() || number.is_i64()
}

/// Whether a name fits a glob: in one pass, going back only to the last `*`, so a glob cannot make it explode.
fn fits_glob(glob: &str, name: &str) -> bool {
    let (mut glob, mut name) = (glob.chars(), name.chars());
    // Behind the last `*`, and what of the name it has not taken.
    let mut back: Option<(Chars<'_>, Chars<'_>)> = None;
    loop {
        let before = name.clone();
        let Some(char) = name.next() else { return glob.all(|char| char == '*') };
        match glob.next() {
            Some('*') => {
                back = Some((glob.clone(), before.clone()));
                name = before;
            }
            Some(wanted) if wanted == '?' || wanted.eq_ignore_ascii_case(&char) => {}
            _ => {
                // The last `*` takes one character more.
                let Some((star, left)) = &mut back else { return false };
                left.next();
                (glob, name) = (star.clone(), left.clone());
            }
        }
    }
}

/// Text that is looked at in one go, in bytes: a copy of it in lower case is made.
const WINDOW_BYTES: usize = 64 * 1024;

/// Whether a text has another one in it, that is in lower case. Linear in both.
fn contains(text: &str, lower: &str) -> bool {
    let mut at = 0;
    loop {
        let end = text.floor_char_boundary(at + WINDOW_BYTES + lower.len());
        if text.get(at..end).is_some_and(|window| window.to_ascii_lowercase().contains(lower)) {
            return true;
        }
        if end == text.len() {
            return false;
        }
        at = text.floor_char_boundary(at + WINDOW_BYTES);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{Hash, Line, Uuid};

    fn condition(pointer: &str, value: &str) -> Condition {
        Condition { pointer: pointer.into(), value: Bytes::copy_from_slice(value.as_bytes()) }
    }

    #[test]
    fn a_glob_is_about_the_whole_name() {
        let fits = |glob, name| fits_glob(glob, name);
        assert!(fits("pump", "Pump") && !fits("pump", "pump 1") && !fits("pump", "a pump"));
        assert!(fits("*", "") && fits("pump*", "pump") && fits("*7", "pump 7") && fits("p*m*7", "pump no 7"));
        assert!(fits("p?mp", "pömp") && !fits("p?mp", "pmp") && !fits("?", ""));
        assert!(fits("*ab*ab", "abxabab") && !fits("*ab*ab", "ab"));
    }

    #[test]
    fn a_glob_of_many_stars_takes_no_more_than_the_product() {
        let glob = "a*".repeat(127) + "b";
        let begun = std::time::Instant::now();
        for _ in 0..100 {
            assert!(!fits_glob(&glob, &"a".repeat(255)));
        }
        assert!(begun.elapsed().as_secs() < 5);
    }

    #[test]
    fn a_text_is_found_across_the_windows_in_which_it_is_looked_for() {
        for at in [0, WINDOW_BYTES - 3, WINDOW_BYTES, 2 * WINDOW_BYTES - 1] {
            let text = format!("{}NEEDLE{}", "ö".repeat(at / 2), " ".repeat(100_000));
            assert!(contains(&text, "needle"), "{at}");
            assert!(!contains(&text, "needles"), "{at}");
        }
        assert!(!contains("", "x"));
    }

    #[test]
    fn a_value_is_compared_and_not_its_spelling() {
        let text = r#"{"model":{"n":1.50,"big":18446744073709551615,"s":"\u0061b","list":[true,null]}}"#;
        let met = |pointer, value| condition(pointer, value).is_met(text);
        assert!(met("/model/n", "1.5") && met("/model/n", "15e-1") && !met("/model/n", "\"1.5\""));
        assert!(met("/model/big", "18446744073709551615") && !met("/model/big", "18446744073709551614"));
        assert!(met("/model/s", "\"ab\"") && !met("/model/s", "\"a\""));
        assert!(
            met("/model/list/0", "true") && met("/model/list/1", "null") && !met("/model/list/2", "null")
        );
        assert!(!condition("/a", "1").is_met("no JSON"));
    }

    #[test]
    fn a_question_beyond_the_limits_is_refused() {
        let with = |question: Question| question.check();
        assert_eq!(with(Question::default()), Ok(()));
        assert_eq!(with(Question { text: Some(String::new()), ..Question::default() }), Err(FindError::Text));
        let long = Some("x".repeat(FIND_TEXT_MAX_BYTES + 1));
        assert_eq!(with(Question { text: long, ..Question::default() }), Err(FindError::Text));
        let name = Some("*".repeat(NAME_MAX_BYTES + 1));
        assert_eq!(with(Question { name, ..Question::default() }), Err(FindError::Name));
        let after = Some(Bytes::from(vec![0; FIND_CURSOR_MAX_BYTES + 1]));
        assert_eq!(with(Question { after, ..Question::default() }), Err(FindError::Cursor));
        let conditions = |all: Vec<Condition>| with(Question { conditions: all, ..Question::default() });
        assert_eq!(conditions(vec![condition("/a", "1"); FIND_CONDITIONS_MAX]), Ok(()));
        assert_eq!(
            conditions(vec![condition("/a", "1"); FIND_CONDITIONS_MAX + 1]),
            Err(FindError::Conditions)
        );
        assert_eq!(conditions(vec![condition("a", "1")]), Err(FindError::Pointer));
        assert_eq!(conditions(vec![condition("/a", "[1]")]), Err(FindError::Value));
        assert_eq!(conditions(vec![condition("/a", "red")]), Err(FindError::Value));
    }

    fn finding(n: u128, name: &str) -> Finding {
        let key = ObjectKey { uuid: Uuid::from_u128(n), line: Line::Unclaimed(Hash::from_bytes([1; 32])) };
        let (component, version) = ("Pump".to_owned(), "1".to_owned());
        let name = Some(name.to_owned());
        Finding { key, component, version, name, home: None, epoch: 0, revision: 0, size: 9, changed_ms: 5 }
    }

    #[test]
    fn an_answer_that_cannot_be_one_is_not_believed() {
        let question = Question { name: Some("a*".into()), limit: 2, ..Question::default() };
        let said = |objects: Vec<Finding>, last: Option<&ObjectKey>| {
            question.accepts(&Findings { objects, next: None }, last)
        };
        let (one, two, three) = (finding(1, "a"), finding(2, "ab"), finding(3, "abc"));
        assert_eq!(said(vec![one.clone(), two.clone()], None), Ok(()));
        assert_eq!(said(vec![two.clone()], Some(&one.key)), Ok(()));
        assert_eq!(said(vec![two.clone()], Some(&two.key)), Err(FindError::Order));
        assert_eq!(said(vec![two.clone(), one.clone()], None), Err(FindError::Order));
        assert_eq!(said(vec![one, two, three], None), Err(FindError::TooMany));
        assert_eq!(said(vec![finding(4, "b")], None), Err(FindError::Unasked));
        let long = Finding { version: "v".repeat(NAME_MAX_BYTES + 1), ..finding(5, "a") };
        assert_eq!(said(vec![long], None), Err(FindError::Name));
        let next = Some(Bytes::from(vec![0; FIND_CURSOR_MAX_BYTES + 1]));
        assert_eq!(question.accepts(&Findings { objects: Vec::new(), next }, None), Err(FindError::Cursor));
    }
}
