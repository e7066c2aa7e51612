//! The list of commands by task: what `once --help` and `once` alone show.

use std::fmt::Write;

use clap::Command;

/// The commands by task, in the order in which somebody meets them.
pub const TASKS: [(&str, &[&str]); 8] = [
    ("Begin", &["init", "up", "stop", "status", "service", "demo"]),
    ("Connect kernels", &["invite", "invites", "join", "peers", "grant", "revoke", "grants"]),
    ("Objects", &["import", "export", "ls", "find", "show", "refs", "create", "put", "rm", "claim"]),
    ("Act", &["act", "actions", "outcome", "cancel", "coordinate", "coordination", "coordinations"]),
    ("Share", &["share", "request", "exchange", "follow", "unfollow", "conflicts"]),
    ("Watch and audit", &["watch", "history", "receipt", "verify-receipt", "outbox", "dead-letters"]),
    ("Move", &["move", "moves", "drain", "retire"]),
    ("Care", &["doctor", "metrics", "clock", "quarantine", "api", "completions", "man", "help"]),
];

/// Clap's own page, but for the list of commands.
const TEMPLATE: &str = "{about-with-newline}\n{usage-heading} {usage}\n\n{commands}{all-args}{after-help}";

/// The same command line, whose help lists the commands by task.
pub fn by_task(command: Command) -> Command {
    // What clap adds by itself is named here, too.
    let mut built = command;
    built.build();
    let mut list = String::new();
    for (task, names) in TASKS {
        let _ = writeln!(list, "{task}:");
        for name in names {
            let about = built.find_subcommand(name).and_then(|found| found.get_about());
            if let Some(about) = about {
                let _ = writeln!(list, "  {name:<15} {about}");
            }
        }
        list.push('\n');
    }
    // Each stands in the list; only its own page is left to clap.
    built
        .override_usage("once [OPTIONS] <COMMAND>")
        .mut_subcommands(|command| command.hide(true))
        .help_template(TEMPLATE.replace("{commands}", &list))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn every_command_stands_in_one_task() {
        let mut built = Cli::command();
        built.build();
        let there: BTreeSet<_> = built.get_subcommands().map(Command::get_name).collect();
        let listed: Vec<_> = TASKS.iter().flat_map(|(_, names)| names.iter().copied()).collect();
        let once: BTreeSet<_> = listed.iter().copied().collect();
        assert_eq!(once.len(), listed.len(), "a command is listed twice");
        assert_eq!(once, there);
    }

    #[test]
    fn the_list_fits_into_80_columns() {
        let help = by_task(Cli::command()).render_help().to_string();
        let commands = help.split("Options").next().unwrap_or_default();
        for line in commands.lines().filter(|line| line.starts_with("  ")) {
            assert!(line.chars().count() <= 80, "{line}");
        }
        assert!(help.contains("Watch and audit:\n  watch "), "{help}");
    }
}
