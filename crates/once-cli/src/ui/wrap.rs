//! Prose on a terminal: broken between words, and what goes on is indented. A command stays on one line, so that it can be pasted;
//! a terminal that is too narrow for it breaks it without a line break. In a pipe nothing is broken.

use std::io::IsTerminal;
use std::os::fd::AsFd;

use super::table::width_of;

/// A terminal that does not say how wide it is.
const USUAL_WIDTH: u16 = 80;

/// Longer lines are hard to read, however wide the terminal is.
const WIDTH_MAX: u16 = 100;

/// Further lines of a sentence without a label begin so much further right.
const HANG: usize = 2;

/// What stands before the text on a line ends within so many columns, or it is no label.
const LABEL_MAX: usize = 16;

/// How wide the terminal is; nothing where there is none.
pub fn columns(end: &(impl IsTerminal + AsFd)) -> Option<u16> {
    let width = || rustix::termios::tcgetwinsize(end).ok().map(|size| size.ws_col).filter(|width| *width > 0);
    end.is_terminal().then(|| width().unwrap_or(USUAL_WIDTH))
}

/// A text for a terminal that is so wide; as it is where there is none.
pub fn wrapped(text: &str, columns: Option<u16>) -> String {
    let Some(columns) = columns else { return text.to_owned() };
    let room = usize::from(columns.min(WIDTH_MAX));
    text.split('\n').map(|line| broken(line, room)).collect::<Vec<_>>().join("\n")
}

fn broken(line: &str, room: usize) -> String {
    if width(line) <= room {
        return line.to_owned();
    }
    let hang = Some(hang_of(line)).filter(|hang| *hang <= room / 2).unwrap_or(HANG);
    let (mut out, mut at) = (String::new(), 0);
    for (place, unit) in units(line).into_iter().enumerate() {
        let wide = width(unit);
        if at > hang && at + 1 + wide > room {
            out.truncate(out.trim_end().len());
            out.push('\n');
            out.push_str(&" ".repeat(hang));
            at = hang;
        } else if place > 0 {
            out.push(' ');
            at += 1;
        }
        out.push_str(unit);
        at += wide;
    }
    out
}

/// Where the text of a line begins: behind its label, which ends with a colon or fills a column.
fn hang_of(line: &str) -> usize {
    let plain = unpainted(line);
    let text = plain.trim_start();
    let indent = plain.len() - text.len();
    let label = text.split(' ').next().unwrap_or_default();
    if label.ends_with(':') && label.len() <= LABEL_MAX {
        return indent + width(label) + 1;
    }
    match text.split_once("  ") {
        Some((label, rest)) if width(label) <= LABEL_MAX => {
            indent + width(label) + 2 + rest.len() - rest.trim_start().len()
        }
        _ => indent + HANG,
    }
}

/// The words of a line, of which a command is one: `` `once …` ``, or 'once …' for another machine.
fn units(line: &str) -> Vec<&str> {
    let (mut found, mut begin, mut whole_to) = (Vec::new(), 0, 0);
    for (at, c) in line.char_indices().filter(|(_, c)| matches!(c, '`' | '\'' | ' ')) {
        let rest = line.get(at + 1..).unwrap_or_default();
        match c {
            _ if at < whole_to => {}
            ' ' => {
                found.extend(line.get(begin..at));
                begin = at + 1;
            }
            // What has no end is no command.
            quote if quote == '`' || rest.starts_with("once ") => {
                whole_to = rest.find(quote).map_or(at, |end| at + 1 + end + 1);
            }
            _ => {}
        }
    }
    found.extend(line.get(begin..));
    found
}

fn width(text: &str) -> usize {
    let plain = unpainted(text);
    // A table gives nothing a column.
    if plain.is_empty() { 0 } else { usize::from(width_of(&plain)) }
}

/// A text without its colours.
fn unpainted(text: &str) -> String {
    let mut parts = text.split("\u{1b}[");
    let mut out = parts.next().unwrap_or_default().to_owned();
    out.extend(parts.filter_map(|part| part.split_once('m')).map(|(_, rest)| rest));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_on_stands_below_the_text() {
        let said = |text: &str| wrapped(text, Some(30));
        assert_eq!(
            said("error: the kernel in /tmp/a is not running any more"),
            "error: the kernel in /tmp/a is\n       not running any more"
        );
        assert_eq!(said("a sentence that has no label in front"), "a sentence that has no label\n  in front");
        assert_eq!(
            said("✓ copies       nothing unclaimed is kept"),
            "✓ copies       nothing\n               unclaimed is\n               kept"
        );
        assert_eq!(
            said("short\n  and with an indent that stays there"),
            "short\n  and with an indent that\n    stays there"
        );
        assert_eq!(
            said("\u{1b}[31;1merror:\u{1b}[0m 12345678901234567890123"),
            "\u{1b}[31;1merror:\u{1b}[0m 12345678901234567890123"
        );
    }

    #[test]
    fn a_command_is_never_broken() {
        let command = "`once --data 'my data' quarantine end --without carol`";
        let said = wrapped(&format!("hint: wait for it, or say {command}; then go on"), Some(40));
        assert_eq!(said, format!("hint: wait for it, or say\n      {command};\n      then go on"));
        let there = wrapped("it is at its home: 'once show OBJECT' there shows it", Some(36));
        assert_eq!(there, "it is at its home:\n  'once show OBJECT' there shows it");
        let open = wrapped("a text with one ` that nothing ends", Some(20));
        assert_eq!(open, "a text with one `\n  that nothing ends");
        let word = "x".repeat(50);
        assert_eq!(wrapped(&format!("ior        {word}"), Some(40)), format!("ior        {word}"));
    }

    #[test]
    fn a_pipe_breaks_nothing_and_no_terminal_is_too_wide() {
        let long = "word ".repeat(60);
        assert_eq!(wrapped(&long, None), long);
        assert!(wrapped(&long, Some(300)).lines().all(|line| line.len() <= 100));
        // No room for the label and the text.
        assert_eq!(wrapped("warning: of something", Some(12)), "warning: of\n  something");
    }
}
