//! Texts that others wrote (names in scenarios, petnames, file names) before they reach a terminal.

use std::io::IsTerminal;
use std::path::Path;

/// As much of a foreign text as a table cell or a sentence bears, in characters.
const SHOWN_MAX_CHARS: usize = 80;

/// A foreign text, fit for a terminal: control characters and such that turn the writing direction are escaped, and it
/// is cut at 80 characters.
pub fn shown(text: &str) -> String {
    capped(text, SHOWN_MAX_CHARS)
}

/// Like [`shown`], with another length.
pub fn capped(text: &str, max_chars: usize) -> String {
    let mut out = String::new();
    for (at, c) in text.chars().enumerate() {
        if at == max_chars {
            out.push('…');
            break;
        }
        push(&mut out, c);
    }
    out
}

/// A foreign text in a table: on a terminal no longer than that, so that one text does not fill it; in a pipe whole.
pub fn cell(text: &str, max_chars: usize) -> String {
    capped(text, if std::io::stdout().is_terminal() { max_chars } else { usize::MAX })
}

/// The name of an object, short: the UUID, and of lineage or hash as much as tells two of them apart.
pub fn key(key: &str) -> String {
    const LINE_CHARS: usize = 12;
    match key.find(['#', '@']) {
        Some(at) => shown(key.get(..at + 1 + LINE_CHARS).unwrap_or(key)),
        None => shown(key),
    }
}

/// A path, whole: whoever has to find the file needs all of it.
pub fn shown_path(path: &Path) -> String {
    let mut out = String::new();
    path.to_string_lossy().chars().for_each(|c| push(&mut out, c));
    out
}

/// A whole JSON document for a terminal: its line breaks stay, what could act on the terminal becomes `\u009b`. In
/// strings that means the same; outside of strings JSON has no such characters.
pub fn document(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' => out.push(c),
            '\r' => {}
            c if acts(c) => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out
}

fn push(out: &mut String, c: char) {
    if acts(c) { out.extend(c.escape_default()) } else { out.push(c) }
}

/// Whether a terminal would do something else with it than draw it: controls (C0, DEL, C1), bidirectional overrides,
/// invisible joiners and line separators.
fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_foreign_text_acts_on_the_terminal() {
        assert_eq!(shown("a\u{1b}[31mred\u{7}"), "a\\u{1b}[31mred\\u{7}");
        assert_eq!(shown("invoice\u{202e}gpj.exe"), "invoice\\u{202e}gpj.exe");
        assert_eq!(shown("two\nlines"), "two\\nlines");
        assert_eq!(shown("Größe 日本"), "Größe 日本");
        assert_eq!(shown(&"x".repeat(200)), format!("{}…", "x".repeat(80)));
    }

    #[test]
    fn an_object_has_a_short_name() {
        let uuid = "0012bda9-f833-4909-a891-a75b183be4c8";
        assert_eq!(key(&format!("{uuid}#{}", "9f".repeat(32))), format!("{uuid}#9f9f9f9f9f9f"));
        assert_eq!(key(uuid), uuid);
    }

    #[test]
    fn a_document_stays_readable() {
        assert_eq!(document("{\r\n\t\"a\": \"\u{9b}31m\"\n}"), "{\n\t\"a\": \"\\u009b31m\"\n}");
    }
}
