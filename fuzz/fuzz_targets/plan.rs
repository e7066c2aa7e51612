//! Plans: whatever the text is, it is a plan within the limits, kept as it was written, or an error with its place.

#![cfg_attr(not(test), no_main)]

use std::collections::BTreeSet;

use once::Plan;
use once_model::hash::content_hash;
use once_model::json::validate;
use once_model::limits::{PLAN_MAX_BYTES, PLAN_MAX_STEPS, PLAN_NAME_MAX_BYTES};

#[cfg(not(test))]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| run(bytes));

pub fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match Plan::parse(text) {
        Ok(plan) => {
            assert_eq!(plan.as_str(), text.trim_ascii());
            assert_eq!(validate(plan.as_str().as_bytes()), Ok(plan.as_str()));
            assert!(plan.as_str().len() <= PLAN_MAX_BYTES);
            assert_eq!(plan.hash(), content_hash(plan.as_str().as_bytes()));
            let again = Plan::parse(plan.as_str()).expect("it was one");
            assert!(again.steps().eq(plan.steps()));
            assert!((1..=PLAN_MAX_STEPS).contains(&plan.steps().len()));
            assert!(plan.steps().all(|name| (1..=PLAN_NAME_MAX_BYTES).contains(&name.len())));
            assert_eq!(plan.steps().collect::<BTreeSet<_>>().len(), plan.steps().len(), "two of one name");
        }
        Err(error) => {
            let (shown, _) = (error.to_string(), error.hint());
            assert!(!shown.is_empty());
            let lines = text.matches('\n').count() + 1;
            assert!((1..=lines).contains(&error.line()), "{shown}: line {}", error.line());
            assert!((1..=text.len() + 1).contains(&error.column()), "{shown}: column {}", error.column());
        }
    }
}
