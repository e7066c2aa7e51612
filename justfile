# What one does here. `just` lists it; each line also works on its own.

default:
    @just --list

# Two kernels, one killed in the middle, every byte compared.
demo *ARGS:
    cargo run --release -- demo {{ARGS}}

# All tests.
test:
    cargo test --workspace

# What the command line prints, written anew (`once-cli/tests/snapshots`): look at `git diff` then.
snapshots:
    INSTA_UPDATE=always cargo test -p once-cli --test snapshots

# Everything that must hold before a change lands.
ci:
    .ci/run

# Format and lint.
lint:
    cargo fmt --all
    cargo clippy --workspace --all-targets -- -D warnings

# Arrows between crates, circles between files, sizes: what ARCHITECTURE.md says of the house.
tidy:
    cargo xtask tidy

# The documentation, as its readers see it.
doc:
    cargo doc --workspace --no-deps --open

# The book, as a web site in target/book (needs mdbook: `cargo install --locked mdbook --version 0.5.4`).
book *ARGS:
    mdbook build {{ARGS}}

# Worlds of kernels in virtual time: `just sim --seeds 2000`, `just sim --seed 7`, `just sim --mutants`.
sim *ARGS:
    cargo run --release -p once-sim -- {{ARGS}}

# How many of N random changes of the engine are noticed: `just mutants-sample 200 7`; without SEED it is made of HEAD's hash.
# `just mutants-sample 60 7 --folder moving`: of one part alone.
mutants-sample N *SEED:
    cargo xtask mutants-sample {{N}} {{SEED}}

# What takes hours on two cores and is too long for `just ci`: 100,000 seeds, 200 random mutants drawn by HEAD's hash, every
# measurement. Its figures belong into the note of whoever closes an issue.
full:
    cargo run --profile dist -p once-sim -- --seeds 100000
    cargo xtask mutants-sample 200
    cargo run --release -p once-bench

# Measurements beside yardsticks.
bench *ARGS:
    cargo run --release -p once-bench -- {{ARGS}}

# How long `just fuzz` runs.
seconds := "60"

# What reads bytes from outside, fuzzed (needs nightly and cargo-fuzz): `just fuzz edit`. See fuzz/README.md.
fuzz TARGET *ARGS:
    mkdir -p fuzz/corpus/{{TARGET}}
    cargo +nightly fuzz run {{ARGS}} {{TARGET}} fuzz/corpus/{{TARGET}} fuzz/seeds/{{TARGET}} -- -max_total_time={{seconds}}

# Licences, bans, sources, advisories (needs cargo-deny).
deny:
    cargo deny check

# The package for Debian, in target/deb.
deb *ARGS:
    cargo xtask deb {{ARGS}}

# The binary that is shipped.
dist:
    cargo build --profile dist -p once-cli
