//! Frames: whatever a peer sends is a frame or an error, and what was read is written in one way only. All that can be
//! asked of the records inside is asked, however false they are.

#![cfg_attr(not(test), no_main)]

use once_model::action::Action;
use once_model::cbor::{from_cbor, to_cbor};
use once_model::certificate::Chain;
use once_model::header::Header;
use once_model::ids::ObjectKey;
use once_model::json::validate;
use once_model::limits::{
    ANSWER_MAX_BYTES, ARGUMENTS_MAX_BYTES, GIVEN_MAX, NAME_MAX_BYTES, RECOVERY_KEYS_MAX,
};
use once_model::wire::{Code, Frame, Parcel, WireError};

#[cfg(not(test))]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| run(bytes));

pub fn run(bytes: &[u8]) {
    let frame = match Frame::decode(bytes) {
        Ok(frame) => frame,
        Err(error) => return refused(&error, bytes),
    };
    let written = frame.encode();
    assert_eq!(Frame::decode(&written).as_ref(), Ok(&frame));
    assert_eq!(Frame::decode(&written).map(|again| again.encode()).as_ref(), Ok(&written));
    assert!(written.len() <= 2 * bytes.len(), "it grows");

    let longer = [bytes, &[0]].concat();
    assert_eq!(Frame::decode(&longer), Err(WireError::Trailing(1)));
    let shorter = Frame::decode(bytes.split_last().map_or(&[], |(_, rest)| rest));
    assert!(matches!(shorter, Err(WireError::Malformed(_))), "{shorter:?}");

    match frame {
        Frame::Share(parcel) | Frame::Give(parcel) => carries(&parcel),
        Frame::Found(found) => carries(&found.parcel),
        Frame::Act(act) => {
            assert_eq!(from_cbor(&to_cbor(&act.action)).as_ref(), Ok(&act.action));
            asks(&act.action);
            let _ = act.action.hash(&act.lane.key.uuid);
            names(&act.lane.key);
        }
        Frame::Outcome(outcome) => {
            let _ = (outcome.outcome.bytes(), outcome.outcome.word(), outcome.outcome.hash());
            names(&outcome.lane.key);
        }
        Frame::Receipt(receipt) => {
            let _ = (receipt.verify(&receipt.home), receipt.entry.hash());
            names(&receipt.entry.object);
        }
        Frame::Shared(shared) => names(&shared.key),
        Frame::Follow(follow) => names(&follow.key),
        _ => {}
    }
}

fn carries(parcel: &Parcel) {
    let header = &parcel.header;
    names(&header.key());
    let unsigned = Header { signature: None, ..header.clone() };
    assert_eq!(header.id(), unsigned.id());
    assert_eq!(header.item_id(), unsigned.item_id());
    let Some(chain) = &parcel.chain else { return };
    // Nothing is asked of the key that the chain names: it may be no key at all.
    let _ = header.signed_by(&chain.home());
    let lineage = chain.genesis.lineage();
    assert_eq!(
        Chain::new(chain.genesis.clone()).verify(lineage).is_ok(),
        chain.genesis.recovery.len() <= RECOVERY_KEYS_MAX
    );
    if chain.verify(lineage).is_ok() {
        let (home, epoch) = (chain.home(), chain.epoch());
        assert_eq!(chain.holder(&chain.certificate()), Some((home, epoch)));
        assert!(epoch as usize > chain.links.len());
    }
    if header.lineage.is_some_and(|other| other != lineage) {
        assert!(header.lineage.is_some_and(|other| chain.verify(other).is_err()));
    }
}

fn asks(action: &Action) {
    let (name, arguments, given) = (action.name.len(), action.arguments.len(), action.given.len());
    let most = if action.answers.is_some() { ANSWER_MAX_BYTES } else { ARGUMENTS_MAX_BYTES };
    let large = name > NAME_MAX_BYTES || arguments > most || given > GIVEN_MAX;
    let expected = match (large, name > 0 && validate(&action.arguments).is_ok()) {
        (true, _) => Err(Code::TooLarge),
        (false, valid) => valid.then_some(()).ok_or(Code::Invalid),
    };
    assert_eq!(action.check(), expected);
}

fn names(key: &ObjectKey) {
    assert_eq!(ObjectKey::from_row(&key.to_row()), Some(*key));
    assert!(key.to_string().len() < 128);
}

fn refused(error: &WireError, bytes: &[u8]) {
    let shown = error.to_string();
    assert!(shown.len() < 1024 && !shown.chars().any(char::is_control), "{shown:?}");
    match (error, bytes) {
        (WireError::Unknown(number), [0x82, byte @ 0..=23, ..] | [0x82, 24, byte, ..]) => {
            assert_eq!(*number, u32::from(*byte));
        }
        (WireError::Trailing(rest), _) => assert!((1..bytes.len()).contains(rest)),
        _ => {}
    }
}
