//! Tickets: the text that people paste, and the record behind its base32, which the fuzzer would not find.

#![cfg_attr(not(test), no_main)]

use data_encoding::BASE32_NOPAD;
use once::Ticket;
use once_model::hash::record_hash;
use once_model::limits::ADDRESSES_MAX;

#[cfg(not(test))]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| run(bytes));

pub fn run(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        reads(text);
    }
    reads(&text_of(bytes));
    // A fuzzer does not find check values.
    let check = record_hash("once/2 ticket", bytes);
    reads(&text_of(&[bytes, &check.as_bytes()[..4]].concat()));
}

fn text_of(bytes: &[u8]) -> String {
    format!("once{}", BASE32_NOPAD.encode(bytes).to_ascii_lowercase())
}

fn reads(text: &str) {
    match text.parse::<Ticket>() {
        Ok(ticket) => {
            assert!(ticket.addresses().len() <= ADDRESSES_MAX);
            let printed = ticket.to_string();
            assert!(printed.starts_with("once") && printed.bytes().all(|byte| byte.is_ascii_alphanumeric()));
            assert_eq!(printed.parse().as_ref(), Ok(&ticket));
        }
        Err(error) => {
            let shown = error.to_string();
            assert!(shown.len() < 512 && !shown.chars().any(char::is_control), "{shown:?}");
        }
    }
}
