//! The glossary: each word once, in the order of the alphabet; and wordings that it gives up are used nowhere.
//!
//! A wording that is given up stands in the second table of the page: in the first column what is not said, in the second what is said
//! instead.

use std::collections::BTreeSet;
use std::path::Path;

use super::Finding;
use super::pages;
use super::source::Source;

const PAGE: &str = "docs/glossary.md";

/// Pages that may say how things were called.
const OF_THE_PAST: [&str; 3] = ["CHANGELOG.md", "docs/adr/", PAGE];

/// Looks at the glossary, and for what it gives up at all pages and all sources.
///
/// # Errors
///
/// A page cannot be read.
pub fn look(root: &Path, source: &Source) -> Result<Vec<Finding>, String> {
    let Ok(text) = std::fs::read_to_string(root.join(PAGE)) else { return Ok(Vec::new()) };
    let mut found = ordered(&text);
    let given_up = given_up(&text);
    let mut texts = pages::read(root)?;
    texts.retain(|(path, _)| !OF_THE_PAST.iter().any(|past| path.starts_with(past)));
    texts.extend(source.files().map(|file| (file.path.clone(), file.text.clone())));
    for (path, text) in &texts {
        for (at, line) in text.lines().enumerate() {
            let line = line.to_lowercase();
            found.extend(given_up.iter().filter(|wording| line.contains(&wording.0)).map(|wording| {
                Finding {
                    file: path.clone(),
                    line: at + 1,
                    rule: "one word, one meaning",
                    what: format!("'{}': the glossary says '{}'", wording.0, wording.1),
                    todo: "say it in the words of docs/glossary.md",
                }
            }));
        }
    }
    Ok(found)
}

/// Rows of the first table that are out of order, or there twice.
fn ordered(text: &str) -> Vec<Finding> {
    let mut seen = BTreeSet::new();
    let mut before = String::new();
    let mut found = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let Some(word) = line.strip_prefix("| **").and_then(|rest| rest.split("**").next()) else { continue };
        let word = word.to_lowercase();
        let mut finding = |what: String, todo| {
            let (file, rule) = (PAGE.to_owned(), "the glossary");
            found.push(Finding { file, line: at + 1, rule, what, todo });
        };
        if !seen.insert(word.clone()) {
            finding(format!("'{word}' is there twice"), "say it once");
        } else if word < before {
            finding(format!("'{word}' comes after '{before}'"), "put it where the alphabet has it");
        }
        before = word;
    }
    found
}

/// What is not said, in lower case, and what is said instead.
fn given_up(text: &str) -> Vec<(String, String)> {
    let table = text.lines().skip_while(|line| !line.starts_with("| not |")).skip(2);
    let rows = table.map_while(|line| {
        let mut cells = line.strip_prefix('|')?.split('|').map(str::trim);
        Some((cells.next()?.to_lowercase(), cells.next()?.to_owned()))
    });
    rows.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_in_order_and_there_once() {
        let found = ordered(
            "| **act** | x |\n| **call** | x |\n| **boot** | x |\n| **act** | x |\n| **seal** | x |\n",
        );
        let found: Vec<_> = found.iter().map(|finding| finding.what.as_str()).collect();
        assert_eq!(found, ["'boot' comes after 'call'", "'act' is there twice"]);
    }

    #[test]
    fn what_is_given_up_is_found() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("docs")).unwrap();
        let glossary =
            "| word | meaning |\n|---|---|\n| **act** | x |\n\n| not | but |\n|---|---|\n| Frobs | turns |\n";
        std::fs::write(dir.path().join(PAGE), glossary).unwrap();
        std::fs::write(dir.path().join("README.md"), "fine\nIt frobs well.\n").unwrap();
        let found = look(dir.path(), &Source { crates: Vec::new() }).unwrap();
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].file.as_str(), found[0].line), ("README.md", 2));
    }
}
