//! The golden vectors of protocol `once/2`: what was written once is read, hashed, signed and written the same for ever.
//!
//! `docs/vectors/check.py` checks the same files without this code. The files are never edited; a new capability adds
//! vectors. A vector that fails here is a change of the protocol: change the code back.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // all of this file is a test

use std::path::Path;

use data_encoding::HEXLOWER;
use once_model::action::{Action, LaneName, Outcome, answer_id, effect_id};
use once_model::cbor::{from_cbor, to_cbor};
use once_model::certificate::{Certificate, Chain, Genesis};
use once_model::hash::{content_hash, record_hash};
use once_model::header::Header;
use once_model::ids::{Hash, KernelId, Lineage, ObjectKey, Uuid};
use once_model::ior::{Form, Ior};
use once_model::moving::Luggage;
use once_model::progress::Progress;
use once_model::receipt::{Entry, Receipt, ReceiptError};
use once_model::scenario::Scenario;
use once_model::sign::{KernelKey, Purpose};
use once_model::wire::{Frame, Parcel, WireError};
use serde_json::Value;

/// The vectors of one file.
fn vectors(group: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../docs/vectors/{group}.json"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let Value::Object(mut file) = serde_json::from_str(&text).unwrap() else { panic!("{group}: no object") };
    let Some(Value::Array(vectors)) = file.remove("vectors") else { panic!("{group}: no vectors") };
    assert!(!vectors.is_empty());
    vectors
}

fn text<'v>(vector: &'v Value, field: &str) -> &'v str {
    vector[field].as_str().unwrap_or_else(|| panic!("{}: no text {field}", vector["name"]))
}

fn hex(vector: &Value) -> Vec<u8> {
    HEXLOWER.decode(text(vector, "hex").as_bytes()).unwrap()
}

/// The bytes of `h'…'`.
fn raw(value: &Value) -> Vec<u8> {
    let digits = value.as_str().and_then(|v| v.strip_prefix("h'")?.strip_suffix('\'')).expect("h'…'");
    HEXLOWER.decode(digits.as_bytes()).unwrap()
}

fn hash(value: &Value) -> Hash {
    Hash::from_slice(&raw(value)).unwrap()
}

fn kernel(value: &Value) -> KernelId {
    KernelId::from_slice(&raw(value)).unwrap()
}

fn lineage(value: &Value) -> Lineage {
    Lineage::from_slice(&raw(value)).unwrap()
}

fn uuid(vector: &Value, field: &str) -> Uuid {
    text(vector, field).parse().unwrap()
}

/// Reads the vector's bytes as `T`, checks that writing it gives them again, and returns it.
fn round<T>(vector: &Value) -> T
where
    T: for<'b> minicbor::Decode<'b, ()> + minicbor::Encode<()>,
{
    let bytes = hex(vector);
    let value: T = from_cbor(&bytes).unwrap_or_else(|e| panic!("{}: {e}", vector["name"]));
    assert_eq!(HEXLOWER.encode(&to_cbor(&value)), HEXLOWER.encode(&bytes), "{}", vector["name"]);
    value
}

/// The name under which the vectors know a frame. A new frame needs vectors of its own.
fn frame_name(frame: &Frame) -> &'static str {
    match frame {
        Frame::Hello(_) => "hello",
        Frame::Admitted(_) => "admitted",
        Frame::Denied(_) => "denied",
        Frame::Share(_) => "share",
        Frame::Shared(_) => "shared",
        Frame::Request(_) => "request",
        Frame::Found(_) => "found",
        Frame::Absent(_) => "absent",
        Frame::Follow(_) => "follow",
        Frame::Unfollow(_) => "unfollow",
        Frame::Following(_) => "following",
        Frame::Progress(_) => "progress",
        Frame::Alive => "alive",
        Frame::Pull(_) => "pull",
        Frame::Body(_) => "body",
        Frame::Reconcile(_) => "reconcile",
        Frame::Want(_) => "want",
        Frame::Give(_) => "give",
        Frame::Given(_) => "given",
        Frame::Offer(_) => "offer",
        Frame::Kept(_) => "kept",
        Frame::Act(_) => "act",
        Frame::Outcome(_) => "outcome",
        Frame::Missing(_) => "missing",
        Frame::Need(_) => "need",
        Frame::ReceiptOf(_) => "receipt-of",
        Frame::EntriesOf(_) => "entries-of",
        Frame::Entries(_) => "entries",
        Frame::Receipt(_) => "receipt",
        Frame::Ahead(_) => "ahead",
        Frame::Welcome(_) => "welcome",
        Frame::Handoff(_) => "handoff",
        Frame::Handed(_) => "handed",
        Frame::Moved(_) => "moved",
        Frame::Guest(_) => "guest",
        Frame::Heard(_) => "heard",
        Frame::Withdraw(_) => "withdraw",
        Frame::Find(_) => "find",
        Frame::Findings(_) => "findings",
        other => panic!("no vectors for {other:?}"),
    }
}

/// The only key of the described value.
fn described_name(vector: &Value) -> &str {
    let only = || vector["value"].as_object().and_then(|value| value.keys().next()).map(String::as_str);
    vector["value"].as_str().or_else(only).unwrap()
}

#[test]
fn every_frame_is_read_and_written_as_ever() {
    let mut seen = std::collections::BTreeSet::new();
    for vector in vectors("frames") {
        let frame: Frame = round(&vector);
        assert_eq!(frame_name(&frame), described_name(&vector), "{}", vector["name"]);
        assert_eq!(Frame::decode(&frame.encode()), Ok(frame.clone()));
        seen.insert(frame_name(&frame));
    }
    assert_eq!(seen.len(), 29, "vectors for {seen:?} only");
}

#[test]
fn the_frames_of_moves_are_read_and_written_as_ever() {
    let (mut seen, mut handoffs, mut known) = (std::collections::BTreeSet::new(), Vec::new(), None);
    for vector in vectors("moves") {
        let frame: Frame = round(&vector);
        assert_eq!(frame_name(&frame), described_name(&vector), "{}", vector["name"]);
        seen.insert(frame_name(&frame));
        match frame {
            Frame::Handoff(handoff) => {
                let apart = || HEXLOWER.decode(text(&vector, "apart").as_bytes()).unwrap().into();
                let packed = handoff.luggage.clone().unwrap_or_else(apart);
                assert_eq!(handoff.luggage_bytes(), Some(packed.len() as u64));
                let luggage = Luggage::unpack(&packed).unwrap();
                assert_eq!(handoff.unpack(&packed), Some(luggage.clone()));
                let (bytes, hash) = luggage.pack();
                assert_eq!(bytes, packed);
                let (certificate, _) = handoff.split().unwrap();
                assert_eq!((certificate.luggage, certificate.base_id), (Some(hash), handoff.header.id()));
                handoffs.push(certificate.clone());
            }
            Frame::Handed(handed) => {
                assert!(handoffs.iter().any(|handoff| handed.answer.is_to(handoff)), "{}", vector["name"]);
            }
            Frame::Moved(moved) => {
                known = Some(moved.key);
                moved.chain.verify(moved.key.lineage().unwrap()).unwrap();
            }
            Frame::Withdraw(said) => {
                assert!(handoffs.contains(said.split().unwrap().0));
                assert_eq!(Some(said.key()), known);
            }
            Frame::Guest(guest) => guest.chain.verify(guest.key.lineage().unwrap()).unwrap(),
            _ => {}
        }
    }
    assert_eq!(seen.len(), 8, "vectors for {seen:?} only");
}

#[test]
fn the_frames_of_finding_are_read_and_written_as_ever() {
    let (mut questions, mut answers) = (0, 0);
    for vector in vectors("finds") {
        let frame: Frame = round(&vector);
        assert_eq!(frame_name(&frame), described_name(&vector), "{}", vector["name"]);
        assert_eq!(Frame::decode(&frame.encode()), Ok(frame.clone()));
        match frame {
            Frame::Find(question) => {
                questions += 1;
                assert_eq!(question.check(), Ok(()), "{}", vector["name"]);
                assert_eq!(question.most(), 128);
            }
            Frame::Findings(findings) => {
                answers += 1;
                let all = once_model::find::Question::default();
                assert_eq!(all.accepts(&findings, None), Ok(()), "{}", vector["name"]);
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((questions, answers), (4, 4));
}

#[test]
fn what_a_later_version_may_say_is_understood() {
    for vector in vectors("tolerated") {
        let frame = Frame::decode(&hex(&vector)).unwrap_or_else(|e| panic!("{}: {e}", vector["name"]));
        assert_eq!(frame_name(&frame), described_name(&vector));
        assert_eq!(HEXLOWER.encode(&frame.encode()), text(&vector, "canonical"), "{}", vector["name"]);
    }
}

#[test]
fn what_is_no_frame_of_this_version_is_an_error() {
    for vector in vectors("unknown") {
        let read = Frame::decode(&hex(&vector));
        assert!(matches!(read, Err(WireError::Unknown(_))), "{}: {read:?}", vector["name"]);
    }
    // What is malformed ends the stream; only a frame that is unknown is skipped.
    for vector in vectors("refused") {
        let read = Frame::decode(&hex(&vector));
        let is_skipped = matches!(read, Err(WireError::Unknown(_)));
        assert!(read.is_err() && !is_skipped, "{}: {read:?}", vector["name"]);
    }
}

#[test]
fn records_and_their_hashes_and_signatures_are_as_ever() {
    for vector in vectors("records") {
        let name = &vector["name"];
        match text(&vector, "type") {
            "header" => {
                let header: Header = round(&vector);
                assert_eq!(header.id(), hash(&vector["id"]), "{name}");
                assert_eq!(header.item_id().as_bytes().as_slice(), raw(&vector["item"]), "{name}");
                match vector.get("signer") {
                    Some(signer) => assert!(header.signed_by(&kernel(signer)), "{name}"),
                    None => assert_eq!(header.signature, None, "{name}"),
                }
            }
            "genesis" => {
                assert_eq!(round::<Genesis>(&vector).lineage(), lineage(&vector["lineage"]), "{name}");
            }
            "certificate" => {
                let link: Certificate = round(&vector);
                assert_eq!(link.id(), hash(&vector["id"]), "{name}");
                assert_eq!(link.signer, kernel(&vector["signer"]), "{name}");
                let signature = link.signature.unwrap();
                assert!(signature.verifies(Purpose::Certificate, &link.id(), &link.signer), "{name}");
            }
            "chain" => {
                let chain: Chain = round(&vector);
                let valid = chain.verify(lineage(&vector["lineage"])).is_ok();
                assert_eq!(Value::from(valid), vector["valid"], "{name}");
                assert_eq!(chain.home(), kernel(&vector["home"]), "{name}");
                assert_eq!(Value::from(chain.epoch()), vector["epoch"], "{name}");
                assert_eq!(chain.certificate(), hash(&vector["certificate"]), "{name}");
            }
            "object-key" => {
                assert_eq!(round::<ObjectKey>(&vector).to_row().as_slice(), raw(&vector["row"]), "{name}");
            }
            "action" => {
                let found = round::<Action>(&vector).hash(&uuid(&vector, "object"));
                assert_eq!(found, hash(&vector["hash"]), "{name}");
            }
            "outcome" => {
                assert_eq!(round::<Outcome>(&vector).hash(), hash(&vector["hash"]), "{name}");
            }
            "entry" => assert_eq!(round::<Entry>(&vector).hash(), hash(&vector["hash"]), "{name}"),
            "receipt" => receipt(&vector),
            "progress" => assert!(round::<Progress>(&vector).signed_by(&kernel(&vector["signer"])), "{name}"),
            "lane" => drop(round::<LaneName>(&vector)),
            other => panic!("{name}: unknown type {other}"),
        }
    }
}

/// A receipt proves what the vector says; with the home's secret, the same one is made again.
fn receipt(vector: &Value) {
    let name = &vector["name"];
    let receipt: Receipt = round(vector);
    let verdict = match receipt.verify(&kernel(&vector["expected"])) {
        Ok(()) => "ok",
        Err(ReceiptError::OtherHome(_)) => "other-home",
        Err(ReceiptError::Signature) => "signature",
        Err(ReceiptError::Outcome) => "outcome",
        Err(ReceiptError::Chain) => "chain",
        Err(other) => panic!("{name}: {other}"),
    };
    assert_eq!(verdict, text(vector, "verdict"), "{name}");
    if let Some(secret) = vector.get("secret") {
        let key = KernelKey::from_bytes(&raw(secret).try_into().unwrap());
        let Receipt { entry, outcome, at_ms, chain, .. } = receipt.clone();
        assert_eq!(Receipt::sign(entry, outcome, at_ms, chain, &key), receipt, "{name}");
    }
}

#[test]
fn hashes_signatures_ids_and_readings_are_as_ever() {
    for vector in vectors("hashes") {
        let name = &vector["name"];
        match text(&vector, "type") {
            "content" => assert_eq!(content_hash(&raw(&vector["input"])), hash(&vector["hash"]), "{name}"),
            "record" => {
                let found = record_hash(text(&vector, "context"), &raw(&vector["input"]));
                assert_eq!(found, hash(&vector["hash"]), "{name}");
            }
            "signature" => {
                let key = KernelKey::from_bytes(&raw(&vector["secret"]).try_into().unwrap());
                let purpose = match text(&vector, "purpose") {
                    "revision" => Purpose::Revision,
                    "certificate" => Purpose::Certificate,
                    "receipt" => Purpose::Receipt,
                    "progress" => Purpose::Progress,
                    "answer" => Purpose::Answer,
                    "naming" => Purpose::Naming,
                    other => panic!("{name}: unknown purpose {other}"),
                };
                assert_eq!(key.id(), kernel(&vector["public"]), "{name}");
                let signature = key.sign(purpose, &hash(&vector["hash"]));
                assert_eq!(signature.as_bytes().as_slice(), raw(&vector["signature"]), "{name}");
                let message = [purpose.context(), hash(&vector["hash"]).as_bytes()].concat();
                assert_eq!(message, raw(&vector["message"]), "{name}");
            }
            "kernel-id" => {
                assert_eq!(kernel(&vector["bytes"]).to_string(), text(&vector, "text"), "{name}");
                assert_eq!(text(&vector, "text").parse(), Ok(kernel(&vector["bytes"])), "{name}");
            }
            "effect-id" => {
                let index = u32::try_from(vector["index"].as_u64().unwrap()).unwrap();
                let found = effect_id(&kernel(&vector["origin"]), &uuid(&vector, "cause"), index);
                assert_eq!(found, uuid(&vector, "id"), "{name}");
            }
            "answer-id" => {
                assert_eq!(answer_id(&uuid(&vector, "effect")), uuid(&vector, "id"), "{name}");
            }
            "derived-uuid" => {
                let scenario = Scenario::parse(raw(&vector["input"])).unwrap();
                assert_eq!(scenario.uuid().to_string(), text(&vector, "uuid"), "{name}");
            }
            "scenario" => {
                let scenario = Scenario::parse(raw(&vector["input"])).unwrap();
                assert_eq!(scenario.uuid().to_string(), text(&vector, "uuid"), "{name}");
                assert_eq!(scenario.component().unwrap_or_default(), text(&vector, "component"), "{name}");
                assert_eq!(scenario.version().unwrap_or_default(), text(&vector, "version"), "{name}");
                assert_eq!(scenario.hash(), hash(&vector["content"]), "{name}");
            }
            other => panic!("{name}: unknown type {other}"),
        }
    }
}

/// What verdict the checks come to is up to `once-core`; here it counts that the parcels are read and written alike.
#[test]
fn parcels_are_read_and_written_as_ever() {
    for vector in vectors("parcels") {
        let parcel: Parcel = round(&vector);
        assert_eq!(Frame::decode(&Frame::Share(parcel.clone()).encode()), Ok(Frame::Share(parcel)));
    }
}

#[test]
fn references_are_read_and_printed_as_ever() {
    for vector in vectors("iors") {
        let (name, text, form) = (&vector["name"], text(&vector, "text"), text(&vector, "form"));
        let parsed: Result<Ior, _> = text.parse();
        if form == "refused" {
            assert!(parsed.is_err(), "{name}");
            continue;
        }
        let ior = parsed.unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(ior.to_string(), text, "{name}");
        let found = match ior.form() {
            Form::Once(_) => "once",
            Form::Bare(_) => "bare",
            Form::Unit(_) => "unit",
            Form::Esm { .. } => "esm",
            Form::Git { .. } => "git",
            Form::GitHash(_) => "git-hash",
            Form::GitText { .. } => "git-text",
            Form::Local { .. } => "local",
            Form::Web4 { .. } => "web4",
            Form::Http { .. } => "http",
            _ => "other",
        };
        assert_eq!(found, form, "{name}");
        let value = &vector["value"];
        if let Some(uuid) = value.get("uuid") {
            assert_eq!(ior.uuid().map(|uuid| Value::from(uuid.to_string())).as_ref(), Some(uuid), "{name}");
        }
        let Some(once) = ior.as_once() else { continue };
        assert_eq!(once.home, value.get("home").map(kernel), "{name}");
        assert_eq!(Value::from(once.component.clone()), value["component"], "{name}");
        assert_eq!(Value::from(once.version.clone()), value["version"], "{name}");
        assert_eq!(once.lineage, value.get("lineage").map(lineage), "{name}");
        assert_eq!(once.content, value.get("hash").map(hash), "{name}");
        assert_eq!(Value::from(once.at.clone()), value["at"], "{name}");
        let printed = vector["printed"].as_str().unwrap();
        assert_eq!(Ior::once(&once).unwrap().as_str(), printed, "{name}");
    }
}
