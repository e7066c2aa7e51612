//! Tools for working on this repository: `cargo xtask`. Nothing of it is shipped.

mod attributes;
mod deb;
mod mutants;
mod tidy;

use std::process::ExitCode;

const USAGE: &str = "cargo xtask mutants-sample N [SEED] [--jobs J] [--folder F]
cargo xtask mutants-list
cargo xtask tidy [--compared]
cargo xtask deb [--binary PATH] [--out DIR] [--fast]

mutants-sample  change the engine in N places drawn at random, one at a time, and see whether the core's tests, the
                stories and 300 seeds of the simulator notice
  SEED          a number that says which places (default: the first 16 digits of HEAD's hash)
  --jobs J      mutants that are judged at the same time (default 2)
  --folder F    only places in this folder of once-core (`moving`), or in this file at its top (`lib`)
mutants-list    print each of the places, and what would be changed there
tidy            hold the house: arrows between crates, circles between files, sizes, where planted bugs stand, a checker
                for each capability, links of pages that lead somewhere, the words of the glossary,
                pages that follow the files which they describe. What breaks a rule today is listed in crates/xtask/src/tidy/exceptions.rs
  --compared    says that each page was compared with the files that it describes, as they are now
deb             make a package for Debian in target/deb
  --binary PATH the binary that is packed (default: one that is built now, with the profile `dist`)
  --out DIR     where it is put together
  --fast        packed quickly instead of tightly

The last line of mutants-sample is `caught C survived S timeout T`. A run that was stopped goes on where it was, if it is started with the
same numbers on the same sources.

Exit codes: 0 all N were judged, whatever came of it, or nothing breaks a rule; 1 they could not be, or something does;
2 wrong use.";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.iter().any(|arg| arg == "--help" || arg == "-h") {
        println!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    let done = match args.split_first() {
        Some((name, rest)) if name == "mutants-sample" => {
            mutants::Wanted::read(rest).map(|wanted| mutants::sample(&wanted))
        }
        Some((name, [])) if name == "mutants-list" => Ok(mutants::list()),
        Some((name, [])) if name == "tidy" => Ok(tidy::run()),
        Some((name, [flag])) if name == "tidy" && flag == "--compared" => Ok(tidy::compared()),
        Some((name, rest)) if name == "deb" => deb::Wanted::read(rest).map(|wanted| deb::run(&wanted)),
        Some((name, _)) => Err(format!("what is '{name}', with these arguments?")),
        None => Err("which tool?".to_owned()),
    };
    match done {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("error: {error}\n\n{USAGE}");
            ExitCode::from(2)
        }
    }
}
