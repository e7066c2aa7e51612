//! `docs/cli.md`, written from the command line's own definitions.

use std::fmt::Write;
use std::path::Path;

use clap::{Arg, Command, CommandFactory};

use crate::cli::Cli;
use crate::help::TASKS;

/// Set, the test writes the page anew instead of comparing it.
const REWRITE: &str = "ONCE_WRITE_DOCS";

const FILE: &str = "docs/cli.md";

const HEAD: &str = "\
<!-- Written from the code: ONCE_WRITE_DOCS=1 cargo test -p once-cli reference -->

# The command line

`--help` behind a command says the same in a terminal. Data goes to stdout, what is said to people goes to stderr; `--json` prints one JSON object
for each command, in the form of [the local API](local-api.md). A hint in backticks is a command that works when it is pasted.

";

#[test]
fn the_page_of_the_command_line_is_written_from_the_code() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(FILE);
    let new = page();
    if std::env::var_os(REWRITE).is_some() {
        std::fs::write(&file, new).unwrap();
        return;
    }
    let old = std::fs::read_to_string(&file).unwrap_or_default();
    let differs = old.lines().zip(new.lines()).position(|(old, new)| old != new);
    assert!(
        old == new,
        "{FILE} is not what the commands say, from line {:?} on: {REWRITE}=1 cargo test -p once-cli reference writes it",
        differs.map(|line| line + 1)
    );
}

#[test]
fn every_command_that_a_page_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut once = Cli::command();
    once.build();
    let (mut pages, mut named, mut wrong) = (Vec::new(), 0, Vec::new());
    for folder in ["", "docs", "docs/how-to", "docs/tutorials", "docs/operations"] {
        // A folder may not be there yet.
        let entries = std::fs::read_dir(root.join(folder)).into_iter().flatten();
        pages.extend(entries.map(|entry| entry.unwrap().path()));
    }
    for page in pages.iter().filter(|page| page.extension().is_some_and(|ending| ending == "md")) {
        if page.ends_with("CHANGELOG.md") {
            continue; // it tells of other times
        }
        for command in commands(&std::fs::read_to_string(page).unwrap()) {
            named += 1;
            wrong.extend(
                unknown(&once, &command).map(|word| format!("{}: `{command}`: {word}", page.display())),
            );
        }
    }
    assert!(named > 100, "only {named} commands are named");
    assert!(wrong.is_empty(), "no such command or option:\n{}", wrong.join("\n"));
}

/// What stands between backticks, outside of blocks, and begins with `once`.
fn commands(page: &str) -> Vec<String> {
    let outside = page.split("```").step_by(2);
    let code = outside.flat_map(|text| text.split('`').skip(1).step_by(2));
    let lines = code.map(|code| code.split_whitespace().collect::<Vec<_>>().join(" "));
    lines.filter(|line| line.starts_with("once ")).collect()
}

/// The first word of a command that is no command and no option of it. What follows a command is a value, if it is no option.
fn unknown(once: &Command, line: &str) -> Option<String> {
    let mut command = once;
    for word in line.split_whitespace().skip(1) {
        if let Some(inner) = command.find_subcommand(word) {
            command = inner;
        } else if let Some(name) = word.strip_prefix("--").map(|name| name.split('=').next().unwrap_or(name))
        {
            let is_there = command.get_arguments().any(|arg| arg.get_long() == Some(name));
            if !is_there && name != "help" && name != "version" && !name.is_empty() {
                return Some(word.to_owned());
            }
        } else if command.get_name() == "once" && word.chars().all(|c| c.is_ascii_lowercase() || c == '-') {
            return Some(word.to_owned());
        }
    }
    None
}

fn page() -> String {
    let mut once = Cli::command();
    once.build();
    let mut page = HEAD.to_owned();
    for line in once.get_after_help().map(|text| text.to_string()).unwrap_or_default().split("\n\n") {
        let _ = writeln!(page, "{}\n", prose(line));
    }
    page.push_str("## Options of every command\n\n");
    let global: Vec<_> = once.get_arguments().filter(|arg| arg.is_global_set()).collect();
    table(&mut page, &global);
    for (task, names) in TASKS {
        let _ = writeln!(page, "## {task}\n");
        for name in names {
            let command = once.find_subcommand(name).unwrap();
            describe(&mut page, command, &format!("once {name}"), 3);
        }
    }
    format!("{}\n", page.trim_end())
}

/// A command and the commands in it.
fn describe(page: &mut String, command: &Command, name: &str, level: usize) {
    // What clap adds by itself says nothing of its own.
    let arguments: Vec<_> = command
        .get_arguments()
        .filter(|arg| !arg.is_hide_set() && !arg.is_global_set() && arg.get_id() != "help")
        .collect();
    let _ = writeln!(page, "{} {name}\n", "#".repeat(level));
    let about = command.get_long_about().or_else(|| command.get_about());
    for part in about.map(|text| text.to_string()).unwrap_or_default().split("\n\n") {
        let part = prose(part);
        let end = if part.ends_with(['.', ':', '?']) { "" } else { "." };
        let _ = writeln!(page, "{part}{end}\n");
    }
    let usage = command.clone().bin_name(name).render_usage().to_string();
    let usage: Vec<_> = usage.trim_start_matches("Usage:").lines().map(str::trim).collect();
    let _ = writeln!(page, "```text\n{}\n```\n", usage.join("\n"));
    table(page, &arguments);
    if let Some(after) = command.get_after_help() {
        let _ = writeln!(page, "```text\n{}\n```\n", after.to_string().trim());
    }
    // `help` has every command in it once more.
    let inner =
        command.get_subcommands().filter(|inner| inner.get_name() != "help" && command.get_name() != "help");
    for inner in inner {
        describe(page, inner, &format!("{name} {}", inner.get_name()), level + 1);
    }
}

/// What a command may be given: what stands by its place first, then options.
fn table(page: &mut String, arguments: &[&Arg]) {
    if arguments.is_empty() {
        return;
    }
    page.push_str("| | |\n|---|---|\n");
    let (by_place, options): (Vec<&Arg>, Vec<&Arg>) = arguments.iter().partition(|arg| arg.is_positional());
    for arg in by_place.into_iter().chain(options) {
        let _ = writeln!(page, "| `{}` | {} |", called(arg), meaning(arg).replace('|', "\\|"));
    }
    page.push('\n');
}

/// `-n, --limit N`
fn called(arg: &Arg) -> String {
    let value = if arg.get_action().takes_values() {
        let names = arg.get_value_names().unwrap_or_default().iter().map(ToString::to_string);
        names.collect::<Vec<_>>().join(" ")
    } else {
        String::new()
    };
    let names = [arg.get_short().map(|c| format!("-{c}")), arg.get_long().map(|name| format!("--{name}"))];
    let names: Vec<_> = names.into_iter().flatten().collect();
    match (names.is_empty(), value.is_empty()) {
        (true, _) if arg.get_num_args().is_some_and(|range| range.max_values() > 1) => format!("{value}..."),
        (true, _) => value,
        (false, true) => names.join(", "),
        (false, false) => format!("{} {value}", names.join(", ")),
    }
    .replace('|', "\\|")
}

fn meaning(arg: &Arg) -> String {
    let help = arg.get_long_help().or_else(|| arg.get_help()).map(|text| prose(&text.to_string()));
    let mut parts = vec![help.unwrap_or_default()];
    let values: Vec<_> = arg
        .get_possible_values()
        .into_iter()
        .filter(|value| !value.is_hide_set() && arg.get_action().takes_values())
        .map(|value| match value.get_help() {
            Some(help) => format!("`{}` ({})", value.get_name(), prose(&help.to_string())),
            None => format!("`{}`", value.get_name()),
        })
        .collect();
    if !values.is_empty() {
        parts.push(format!("One of {}", values.join(", ")));
    }
    let defaults: Vec<_> = arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    if !defaults.is_empty() && arg.get_action().takes_values() && !arg.is_hide_default_value_set() {
        parts.push(format!("Default: `{}`", defaults.join(" ")));
    }
    if let Some(name) = arg.get_env() {
        parts.push(format!("Also by `{}`", name.to_string_lossy()));
    }
    parts.join(". ")
}

/// On one line, and no HTML: what is not code and begins with `<` would be taken for a tag.
fn prose(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let parts = line.split('`').enumerate();
    let parts: Vec<_> =
        parts.map(|(n, part)| if n % 2 == 0 { part.replace('<', "&lt;") } else { part.to_owned() }).collect();
    parts.join("`")
}
