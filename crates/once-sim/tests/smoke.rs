//! Some random worlds in each test run, and the proof that bugs would be found. `ONCE_SCALE=50` runs 2,000 seeds.

use once_core::mutants::{Mutant, plant};
use once_sim::seed;

fn scaled(count: u64) -> u64 {
    let scale = std::env::var("ONCE_SCALE").ok().and_then(|scale| scale.parse::<f64>().ok());
    (count as f64 * scale.unwrap_or(1.0)) as u64
}

#[test]
fn no_seed_breaks_a_promise() {
    for n in 0..scaled(40) {
        let outcome = seed::run(n, false);
        assert!(
            outcome.violations.is_empty(),
            "{:#?}\nreplay: cargo run --release -p once-sim -- --seed {n}",
            outcome.violations
        );
    }
}

#[test]
fn a_seed_always_comes_to_the_same() {
    for n in 10..18 {
        let runs = [(); 2].map(|()| seed::run(n, false));
        assert_eq!((runs[0].events, runs[0].hash), (runs[1].events, runs[1].hash), "seed {n}");
        assert_ne!(runs[0].hash, seed::run(n + 1, false).hash);
    }
}

#[test]
fn planted_bugs_are_found() {
    for mutant in [Mutant::AckBeforeCommit, Mutant::DropOutboxAtSend, Mutant::SkipShareRight] {
        plant(Some(mutant));
        let caught = (0..20).any(|n| !seed::run(n, false).violations.is_empty());
        plant(None);
        assert!(caught, "{} survived", mutant.name());
    }
}
