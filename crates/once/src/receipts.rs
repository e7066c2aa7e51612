//! Receipts as files: JSON that people can read, around the bytes that the object's home signed. Who checks one needs
//! no kernel and no network, only to know the home's key.
//!
//! What people can read is a copy: [`read`] takes nothing from it, and refuses a file in which it differs from what was
//! signed.

use std::collections::BTreeSet;
use std::fmt;

use data_encoding::BASE64;
use once_model::action::Outcome;
use once_model::cbor::{from_cbor, to_cbor};
use once_model::ids::KernelId;
use once_model::receipt::Receipt;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value};

use crate::Error;
use crate::api::contract::ReceiptInfo;
use crate::object::key_text;

/// The version of the form, in the member `once_receipt`.
pub const FORM: u64 = 2;

/// Largest file in bytes: the longest chain and the largest result take less than half of it.
const FILE_MAX_BYTES: usize = 1024 * 1024;

/// Members that people read. Which of the last three there is depends on the outcome.
const READABLE: [&str; 19] = [
    "once_receipt",
    "home",
    "at_ms",
    "object",
    "number",
    "previous",
    "origin",
    "incarnation",
    "sequence",
    "id",
    "action",
    "before",
    "revision",
    "content",
    "certificate",
    "outcome_hash",
    "outcome",
    "result_text",
    "code",
];

/// A receipt that was read from a file.
#[derive(Debug, Clone)]
pub struct Read {
    /// The receipt, from the signed bytes alone. Not verified yet.
    pub receipt: Receipt,
    /// Members of the file that say nothing here: nobody signed them.
    pub unknown: Vec<String>,
}

/// A receipt as it is written to a file.
#[must_use]
pub fn to_json(receipt: &Receipt) -> Value {
    serde_json::to_value(info(receipt)).unwrap_or_default()
}

/// What a receipt says, for people: every member of [`to_json`] but the signed bytes.
#[must_use]
pub fn readable(receipt: &Receipt) -> Map<String, Value> {
    let mut members = match to_json(receipt) {
        Value::Object(members) => members,
        _ => Map::new(),
    };
    members.remove("cbor");
    members
}

/// A receipt as the local API has it.
#[must_use]
pub fn info(receipt: &Receipt) -> ReceiptInfo {
    let entry = &receipt.entry;
    let (mut outcome, mut result_text, mut code) = (None, None, None);
    match &receipt.outcome {
        None => {}
        Some(Outcome::Refused(why)) => {
            (outcome, code) = (Some("refused".to_owned()), Some(why.name().to_owned()));
        }
        Some(said @ (Outcome::Done(json) | Outcome::Failed(json))) => {
            outcome = Some(said.word().to_owned());
            result_text = Some(String::from_utf8_lossy(json).into_owned());
        }
    }
    ReceiptInfo {
        once_receipt: FORM,
        home: receipt.home.to_string(),
        at_ms: receipt.at_ms,
        object: key_text(&entry.object),
        number: entry.number,
        previous: entry.previous.to_string(),
        origin: entry.origin.to_string(),
        incarnation: entry.incarnation.to_string(),
        sequence: entry.sequence,
        id: entry.id,
        action: entry.action.to_string(),
        before: entry.before.to_string(),
        revision: entry.revision,
        content: entry.content.to_string(),
        certificate: entry.certificate.map(|certificate| certificate.to_string()),
        outcome_hash: entry.outcome.to_string(),
        outcome,
        result_text,
        code,
        cbor: BASE64.encode(&to_cbor(receipt)),
    }
}

/// Reads the text of a file. What people can read in it must agree with the signed bytes; what is returned comes from
/// those alone. Whether the signature holds is another question: [`verify`].
///
/// # Errors
/// `invalid` when the text is no receipt, `unproven` when it says something else than the signed bytes.
pub fn read(text: &[u8]) -> Result<Read, Error> {
    if text.len() > FILE_MAX_BYTES {
        return Err(Error::invalid(format!("no receipt: one has at most {FILE_MAX_BYTES} bytes")));
    }
    let Members(members) = serde_json::from_slice(text).map_err(|error| {
        let said = Error::invalid(format!("no receipt: {}", without_place(&error.to_string())));
        let said = said.at(error.line(), error.column());
        said.with_hint("a receipt is the JSON that 'once receipt ID' prints")
    })?;
    let member = |name: &str| members.iter().find(|(known, _)| known == name).map(|(_, value)| value);
    match member("once_receipt").and_then(Value::as_u64) {
        Some(FORM) => {}
        Some(other) => {
            let hint = match other < FORM {
                true => {
                    "an older `once` wrote it: check it with that, or ask for it again where it came from"
                }
                false => "a newer `once` wrote it: check it with that",
            };
            return Err(Error::invalid(format!("this receipt has the form {other}, known here is {FORM}"))
                .with_hint(hint));
        }
        None => {
            return Err(Error::invalid("no receipt: the member `once_receipt` is missing")
                .with_hint("a receipt is the JSON that 'once receipt ID' prints"));
        }
    }
    let damaged = |why: String| Error::invalid(format!("no receipt: the member `cbor` is {why}"));
    let cbor = member("cbor").and_then(Value::as_str).ok_or_else(|| damaged("missing".into()))?;
    let bytes = BASE64.decode(cbor.as_bytes()).map_err(|error| damaged(format!("not base64: {error}")))?;
    let receipt: Receipt = from_cbor(&bytes).map_err(|error| damaged(format!("damaged: {error}")))?;
    let signed = readable(&receipt);
    let mut unknown = Vec::new();
    for (name, value) in members.iter().filter(|(name, _)| name != "cbor") {
        if !READABLE.contains(&name.as_str()) {
            unknown.push(name.clone());
        } else if signed.get(name) != Some(value) {
            return Err(Error::unproven(format!(
                "the file says something else than what is signed in it: its `{name}` was changed"
            ))
            .with_hint("ask for the receipt again where it came from"));
        }
    }
    Ok(Read { receipt, unknown })
}

/// Checks the signature against a key, the chain from the genesis to that kernel, and the result's hash.
///
/// # Errors
/// `unproven` when the receipt does not prove what it says.
pub fn verify(receipt: &Receipt, home: &KernelId) -> Result<(), Error> {
    receipt.verify(home).map_err(|error| Error::unproven(format!("the receipt proves nothing: {error}")))
}

/// serde says the place as well, and that has members of its own.
fn without_place(text: &str) -> &str {
    text.rsplit_once(" at line ").map_or(text, |(front, _)| front)
}

/// The members of a JSON object, none of them twice: of two, people might read the one that was not compared.
struct Members(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(Once)
    }
}

struct Once;

impl<'de> Visitor<'de> for Once {
    type Value = Members;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
        let (mut members, mut names) = (Vec::new(), BTreeSet::new());
        while let Some((name, value)) = map.next_entry::<String, Value>()? {
            if !names.insert(name.clone()) {
                let name: String = name.chars().filter(|c| !c.is_control()).take(40).collect();
                return Err(serde::de::Error::custom(format!("the member `{name}` is there twice")));
            }
            members.push((name, value));
        }
        Ok(Members(members))
    }
}

#[cfg(test)]
mod tests {
    use once_model::certificate::{Chain, Genesis};
    use once_model::ids::{Hash, Incarnation, Line, ObjectKey, Uuid};
    use once_model::receipt::Entry;
    use once_model::sign::KernelKey;
    use once_model::wire::Code;

    use serde_json::json;

    use super::*;
    use crate::ErrorKind;

    fn receipt(outcome: Outcome) -> Receipt {
        let (home, zero) = (KernelKey::from_bytes(&[1; 32]), Hash::from_bytes([0; 32]));
        let uuid = Uuid::from_u128(1);
        let genesis = Genesis {
            uuid,
            home: home.id(),
            recovery: vec![],
            content: zero,
            nonce: [0; 16],
            incarnation: Incarnation::from_bytes([0; 16]),
        };
        let entry = Entry {
            object: ObjectKey { uuid, line: Line::Claimed(genesis.lineage()) },
            number: 3,
            previous: Hash::from_bytes([2; 32]),
            origin: KernelKey::from_bytes(&[2; 32]).id(),
            incarnation: Incarnation::from_bytes([3; 16]),
            sequence: 7,
            id: Uuid::from_u128(2),
            action: Hash::from_bytes([4; 32]),
            outcome: outcome.hash(),
            before: Hash::from_bytes([5; 32]),
            revision: 4,
            content: Hash::from_bytes([6; 32]),
            certificate: Some(Hash::from_bytes(*genesis.lineage().as_bytes())),
        };
        Receipt::sign(entry, Some(outcome), 1_700_000_000_000, Some(Chain::new(genesis)), &home)
    }

    fn is_proven(text: &[u8]) -> Result<(), Error> {
        let read = read(text)?;
        verify(&read.receipt, &KernelKey::from_bytes(&[1; 32]).id())
    }

    #[test]
    fn a_file_brings_the_receipt_back() {
        for outcome in [
            Outcome::Done("[1.0e2]".into()),
            Outcome::Failed("\"no\"".into()),
            Outcome::Refused(Code::Lacking),
        ] {
            let made = receipt(outcome);
            let text = to_json(&made).to_string();
            let read = read(text.as_bytes()).unwrap();
            assert_eq!((read.receipt, read.unknown), (made, Vec::<String>::new()));
            is_proven(text.as_bytes()).unwrap();
        }
    }

    #[test]
    fn whatever_is_changed_in_what_people_read_is_noticed() {
        let made = to_json(&receipt(Outcome::Done("41".into())));
        for name in READABLE.iter().filter(|name| !["once_receipt", "code"].contains(name)) {
            for other in [json!(1), json!("x"), json!(null), json!({ "a": 1 })] {
                let mut changed = made.clone();
                changed[*name] = other;
                let error = is_proven(changed.to_string().as_bytes()).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Unproven, "{name}: {error}");
                assert!(error.message().contains(name), "{error}");
            }
        }
        // What a refusal would have, and this is none.
        let mut changed = made.clone();
        changed["code"] = json!("denied");
        assert_eq!(is_proven(changed.to_string().as_bytes()).unwrap_err().kind(), ErrorKind::Unproven);
        // Nobody signed this, and nobody says so.
        changed = made;
        changed["amount"] = json!(1_000_000);
        assert_eq!(read(changed.to_string().as_bytes()).unwrap().unknown, ["amount"]);
    }

    #[test]
    fn no_byte_of_what_is_signed_can_be_changed() {
        let made = receipt(Outcome::Done("41".into()));
        let bytes = to_cbor(&made);
        for at in 0..bytes.len() {
            for bit in [0x01, 0x80] {
                let mut other = bytes.clone();
                other[at] ^= bit;
                let text = json!({ "once_receipt": FORM, "cbor": BASE64.encode(&other) }).to_string();
                let Ok(read) = read(text.as_bytes()) else { continue };
                let verified = verify(&read.receipt, &made.home).is_ok();
                // A receipt may do without the result: then it says less, and nothing else.
                let whole = Receipt { outcome: made.outcome.clone(), ..read.receipt.clone() };
                let same = whole == made && [&None, &made.outcome].contains(&&read.receipt.outcome);
                assert_eq!(verified, same, "byte {at}");
            }
        }
    }

    #[test]
    fn a_receipt_of_another_form_says_which_program_is_older() {
        let hint = |form: u64| {
            read(json!({ "once_receipt": form }).to_string().as_bytes())
                .unwrap_err()
                .hint()
                .unwrap()
                .to_owned()
        };
        assert!(hint(FORM - 1).contains("an older"), "{}", hint(FORM - 1));
        assert!(hint(FORM + 1).contains("a newer"), "{}", hint(FORM + 1));
    }

    #[test]
    fn what_is_no_receipt_is_said_so() {
        let said = |text: &str| {
            let error = is_proven(text.as_bytes()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{text}: {error}");
            (error.to_string(), error.position())
        };
        assert_eq!(said("{\n \"once_receipt\": 2,, }").1, Some((2, 20)));
        assert!(said("").0.contains("EOF"));
        assert!(said("[1]").0.contains("expected a JSON object"));
        assert!(said("{}").0.contains("`once_receipt` is missing"));
        assert!(said(r#"{"once_receipt":1}"#).0.contains("the form 1"));
        assert!(said(r#"{"once_receipt":2}"#).0.contains("`cbor` is missing"));
        assert!(said(r#"{"once_receipt":2,"cbor":"%"}"#).0.contains("not base64"));
        assert!(said(r#"{"once_receipt":2,"cbor":"AAAA"}"#).0.contains("damaged"));
        assert!(said(r#"{"once_receipt":2,"home":"a","home":"b"}"#).0.contains("`home` is there twice"));
        assert!(said(&" ".repeat(FILE_MAX_BYTES + 1)).0.contains("at most"));
    }
}
