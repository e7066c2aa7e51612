//! Commands in what is said, so that they work when they are pasted.
//!
//! Wherever a text is made (here, in the library, in the engine, in a kernel that runs), a command for this kernel stands in
//! it as `` `once NAME …` ``. Before the text is shown, [`pasted`] puts in how the user called this program: its name, and
//! `--data DIR` if that was given. A command for another machine stands between apostrophes instead, 'once NAME …', and
//! stays as it is. `tests/hints.rs` runs all of them.

use std::ffi::OsString;
use std::path::Path;
use std::sync::OnceLock;

/// How the user called this program.
static CALLED: OnceLock<String> = OnceLock::new();

/// Where a command begins in a text.
const COMMAND: &str = "`once ";

/// Notes how the program was called. `data`: the directory, if it was named on the command line; one that comes from the
/// environment is still there when the hint is pasted.
pub fn called(program: Option<OsString>, data: Option<&Path>) {
    let program = program.map_or_else(|| "once".to_owned(), |name| word(&name.to_string_lossy()));
    // Whoever is first is right: there is one command line.
    let _ = CALLED.set(begin(&program, data));
}

/// A text with its commands as they can be pasted.
pub fn pasted(text: &str) -> String {
    CALLED.get().map_or_else(|| text.to_owned(), |called| with(text, called))
}

fn begin(program: &str, data: Option<&Path>) -> String {
    let data = data.map(|data| format!("--data {} ", word(&data.to_string_lossy())));
    format!("`{program} {}", data.unwrap_or_default())
}

fn with(text: &str, called: &str) -> String {
    let mut parts = text.split(COMMAND);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let command = part.split('`').next().unwrap_or_default();
        // One that names its own directory is for that one.
        let own = command.split(' ').any(|word| word == "--data");
        out.push_str(if own { COMMAND } else { called });
        out.push_str(part);
    }
    out
}

/// As one word of a shell.
pub fn word(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._-+=:,@%~".contains(c);
    // A tilde is only one's home at the beginning, and then the shell has replaced it already.
    match !word.is_empty() && word.chars().all(plain) && !word.starts_with('~') {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_one_that_can_be_pasted() {
        let text = "start it with `once up`, or make one with `once init --data DIR`; there: 'once up'";
        assert_eq!(with(text, &begin("once", None)), text);
        let called = begin("./once", Some(Path::new("my data")));
        let said = "start it with `./once --data 'my data' up`, or make one with `once init --data DIR`; there: 'once up'";
        assert_eq!(with(text, &called), said);
        assert_eq!(with("`once", &called), "`once");
    }

    #[test]
    fn a_word_stays_one_word() {
        for (said, written) in [
            ("./alice", "./alice"),
            ("a b", "'a b'"),
            ("it's", r"'it'\''s'"),
            ("", "''"),
            ("~x", "'~x'"),
            ("$x", "'$x'"),
        ] {
            assert_eq!(word(said), written);
        }
    }
}
