//! Scenarios for the workload: every format known from the wild, in many sizes, some of them broken.

use once_model::ids::Uuid;
use once_model::limits::INLINE_MAX_BYTES;
use once_model::scenario::{Format, Scenario};

use crate::rng::Rng;

/// The components that the workload uses; some are named in no scenario.
pub const COMPONENTS: [&str; 4] = ["Counter", "Unit", "User", "Web4TSComponent"];

/// A scenario in a random format with this UUID.
pub fn text(rng: &mut Rng, uuid: Uuid) -> String {
    let component = rng.pick(&COMPONENTS).copied().unwrap_or_default();
    let n = rng.next();
    let mut filler = "x".repeat(rng.index(600));
    if rng.one_in(10) {
        filler.push_str("é — \\u0000 \\ud83d\\ude00 \\\\ \\\"");
    }
    if rng.one_in(60) {
        filler.push_str(&"large ".repeat(rng.between(1, 3) as usize * INLINE_MAX_BYTES / 5));
    }
    let model = format!(
        "{{\"uuid\":\"{uuid}\",\"name\":\"{component} {n}\",\"count\":{n}{n}, \"ratio\":1.0e+2,\"nothing\":null,\
         \"count\":1,\"filler\":\"{filler}\"}}"
    );
    match rng.up_to(9) {
        0 | 1 => format!(
            "{{\"ior\":{{\"uuid\":\"{uuid}\",\"component\":\"{component}\",\"version\":\"0.3.22.2\"}},\
             \"owner\":\"system\",\"model\":{model},\"unit\":{{\"references\":[]}}}}"
        ),
        2 | 3 => format!(
            "{{\n  \"ior\": {{\n    \"uuid\": \"{uuid}\",\n    \"component\": \"{component}\",\n    \
             \"version\": {{\"major\":1}}\n  }},\n  \"owner\": \"\",\n  \"model\": {model}\n}}\n"
        ),
        4 => format!(
            "{{\"uuid\":\"{uuid}\",\"objectType\":\"{component}\",\"version\":\"1.0\",\"state\":{model},\
             \"metadata\":{{\"created\":\"2025-01-01\",\"tags\":[]}}}}"
        ),
        5 => format!(
            "{{\"IOR\":{{\"uuid\":\"{uuid}\",\"component\":\"{component}\",\"version\":\"v1.0\"}},\
             \"owner\":{{\"userId\":\"u\"}},\"model\":{model},\"unitIndex\":null}}"
        ),
        6 => format!("{{\"IOR\":{{\"uuid\":\"{uuid}\"}},\"owner\":\"bWU=\",\"model\":{model}}}"),
        7 => format!("{{\"ior\":{{\"uuid\":\"unknown\"}},\"model\":{model}}}"),
        _ => format!("{{\"what\":\"an object of no known format\",\"n\":{n},\"model\":{model}}}"),
    }
}

/// A scenario in a random format with this UUID, if its format names one.
pub fn scenario(rng: &mut Rng, uuid: Uuid) -> Option<Scenario> {
    Scenario::parse(text(rng, uuid)).ok()
}

/// The next state of an object: surely with its UUID and other bytes than any before.
pub fn next_state(rng: &mut Rng, uuid: Uuid) -> Option<Scenario> {
    let component = rng.pick(&COMPONENTS).copied().unwrap_or_default();
    let mut model = format!("{{\"count\":{}}}", rng.next());
    if rng.one_in(80) {
        model = format!(
            "{{\"n\":{},\"large\":\"{}\"}}",
            rng.next(),
            "y".repeat(INLINE_MAX_BYTES + rng.index(9000))
        );
    }
    Scenario::compose(uuid, component, "1.0", "sim", &model).ok()
}

/// Bytes that are no scenario.
pub fn broken(rng: &mut Rng, uuid: Uuid) -> Vec<u8> {
    let whole = text(rng, uuid).into_bytes();
    match rng.up_to(4) {
        0 => whole[..whole.len() / 2].to_vec(),
        1 => b"<<<<<<< HEAD\n{}\n=======\n{}\n>>>>>>> other\n".to_vec(),
        2 => b"[1,2,3]".to_vec(),
        _ => [b"{\"a\":\"".as_slice(), &[0xff, 0xfe], b"\"}"].concat(),
    }
}

/// The name of a format in the coverage list.
#[must_use]
pub fn format_name(format: Format) -> &'static str {
    match format {
        Format::A => "format A",
        Format::B => "format B",
        Format::C => "format C",
        Format::D => "format D",
        Format::E => "format E",
        Format::F => "format F",
        _ => "format other",
    }
}
