//! What is wrong with a JSON value, in the words of JSON: serde's speak of Rust's types.

use std::fmt;

use serde::de::value::Error as Plain;
use serde::de::{Deserialize, DeserializeOwned, Deserializer, Error as _, Visitor};
use serde::forward_to_deserialize_any;

/// Reads a value from JSON. An array is never taken for an object, whose members it would fill by their order.
pub(crate) fn read<'a, T: Deserialize<'a>>(json: &'a str) -> Result<T, String> {
    if is_array(json) && wants_object::<T>() {
        return Err(NO_ARRAY.to_owned());
    }
    serde_json::from_str(json).map_err(|error| plain(&error))
}

/// Why an array is refused where members have names.
pub(crate) const NO_ARRAY: &str = "expected an object, found an array";

/// Longest name from outside in a message, in characters.
const SHOWN_MAX_CHARS: usize = 64;

/// A name from outside, fit for a message: not too long, and without control characters.
pub(crate) fn shown(name: &str) -> String {
    let mut plain = name.chars().filter(|c| !c.is_control());
    let mut shown: String = plain.by_ref().take(SHOWN_MAX_CHARS).collect();
    if plain.next().is_some() {
        shown.push('…');
    }
    shown
}

/// Whether JSON is an array.
pub(crate) fn is_array(json: &str) -> bool {
    json.trim_ascii_start().starts_with('[')
}

/// Whether JSON is one of these.
pub(crate) fn is<T: DeserializeOwned>(json: &str) -> Result<(), String> {
    read::<T>(json).map(drop)
}

/// What serde says, for people who do not know the types behind it; with the place.
pub(crate) fn plain(error: &serde_json::Error) -> String {
    match error.line() {
        0 => bare(error),
        line => format!("{} (line {line}, column {})", bare(error), error.column()),
    }
}

/// The same without the place.
pub(crate) fn bare(error: &serde_json::Error) -> String {
    let said = error.to_string();
    let said = said.rsplit_once(" at line ").map_or(said.as_str(), |(said, _)| said);
    let wrong = ["invalid type: ", "invalid value: "].iter().find_map(|begin| said.strip_prefix(begin));
    match wrong.and_then(|wrong| wrong.rsplit_once(", expected ")) {
        Some((found, wanted)) => format!("expected {}, found {}", wanted_words(wanted), found_words(found)),
        None => said.replacen(" field `", " member `", 1),
    }
}

fn found_words(found: &str) -> String {
    let value = found.split_once('`').and_then(|(_, rest)| rest.split_once('`')).map(|(value, _)| value);
    match (found.split(' ').next().unwrap_or_default(), value) {
        ("integer" | "floating", Some(number)) => format!("the number {number}"),
        ("boolean", Some(value)) => value.to_owned(),
        ("string", _) => format!("the {found}"),
        ("sequence", _) => "an array".to_owned(),
        ("map", _) => "an object".to_owned(),
        ("unit", _) => "null".to_owned(),
        _ => found.to_owned(),
    }
}

fn wanted_words(wanted: &str) -> &str {
    match wanted.split(' ').next().unwrap_or_default() {
        "struct" | "internally" => "an object",
        "tuple" => "an array",
        "i8" | "i16" | "i32" | "i64" | "i128" | "isize" => "a whole number",
        "u8" | "u16" | "u32" | "u64" | "u128" | "usize" => "a whole number that is not negative",
        "f32" | "f64" => "a number",
        "unit" => "null",
        "enum" | "variant" => "one of the forms that it has",
        "borrowed" | "string" => "a string",
        _ => match wanted {
            "a sequence" => "an array",
            "a map" => "an object",
            "a boolean" => "true or false",
            other => other,
        },
    }
}

/// Whether a type reads JSON objects by the names of their members.
fn wants_object<'a, T: Deserialize<'a>>() -> bool {
    const OBJECT: &str = "object";
    T::deserialize(Probe(OBJECT)).err().is_some_and(|error| error.to_string() == OBJECT)
}

/// Answers with an error that says what was asked for first.
struct Probe(&'static str);

impl<'de> Deserializer<'de> for Probe {
    type Error = Plain;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Plain> {
        Err(Plain::custom("another"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Plain> {
        Err(Plain::custom(self.0))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Plain> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Plain> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map enum identifier ignored_any
    }
}

impl fmt::Debug for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Probe")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use serde_json::Value;

    #[derive(Debug, Deserialize)]
    #[allow(dead_code)] // Only read.
    struct Add {
        by: i64,
    }

    #[derive(Debug, Deserialize)]
    #[allow(dead_code)] // Only read.
    struct Wrapped(Option<Add>);

    fn said<T: DeserializeOwned>(json: &str) -> String {
        read::<T>(json).err().unwrap_or_default()
    }

    #[test]
    fn what_is_wrong_is_said_in_the_words_of_json() {
        assert_eq!(
            said::<Add>(r#"{"by":"x"}"#),
            "expected a whole number, found the string \"x\" (line 1, column 9)"
        );
        assert_eq!(
            said::<Add>(r#"{"by":1.5}"#),
            "expected a whole number, found the number 1.5 (line 1, column 9)"
        );
        assert_eq!(said::<Add>("7"), "expected an object, found the number 7 (line 1, column 1)");
        assert_eq!(said::<Add>("null"), "expected an object, found null (line 1, column 4)");
        assert_eq!(said::<Add>("{}"), "missing member `by` (line 1, column 2)");
        assert_eq!(
            said::<u8>("-1"),
            "expected a whole number that is not negative, found the number -1 (line 1, column 2)"
        );
        assert_eq!(said::<Vec<u8>>("{}"), "expected an array, found an object (line 1, column 0)");
        assert_eq!(said::<bool>("[]"), "expected true or false, found an array (line 1, column 0)");
        for said in [said::<Add>("7"), said::<Vec<u8>>("{}"), said::<Wrapped>("1")] {
            assert!(!said.contains("struct") && !said.contains("sequence"), "{said}");
        }
    }

    #[test]
    fn an_array_is_no_object() {
        assert_eq!(said::<Add>("[1]"), "expected an object, found an array");
        assert_eq!(said::<Option<Add>>(" [1]"), "expected an object, found an array");
        assert_eq!(said::<Wrapped>("[1]"), "expected an object, found an array");
        assert!(
            read::<(i64,)>("[1]").is_ok() && read::<Vec<i64>>("[1]").is_ok() && read::<Value>("[1]").is_ok()
        );
        assert!(read::<Add>(r#" {"by":1}"#).is_ok() && read::<Option<Add>>("null").is_ok());
    }
}
