//! The pages: every link in them leads somewhere, every file that they name is there, and the book has all of `docs`.
//!
//! Links are relative to the page, as a reader on disk, in a repository browser and in the book follows them. The book is made of
//! `docs` alone, so a page of it links to nothing outside of it: such a file is named as code.

use std::collections::{BTreeSet, HashMap};
use std::path::{Component, Path, PathBuf};

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use super::Finding;

/// The table of contents of the book.
const SUMMARY: &str = "docs/SUMMARY.md";

/// Pages of `docs` that are no chapter. `SUMMARY.md` is the list of chapters itself.
const NO_CHAPTER: [&str; 1] = [SUMMARY];

/// What names files of other times: how things were called then is no error.
const OF_THE_PAST: [&str; 2] = ["CHANGELOG.md", "docs/adr/"];

/// Names of files that end so are looked for. Others may be anything: a branch, a MIME type, a path of the reader.
const ENDINGS: [&str; 8] = ["md", "rs", "py", "mjs", "json", "cddl", "toml", "yml"];

/// Folders of the repository that commands name files of.
const OURS: [&str; 4] = ["docs/", "crates/", "examples/", "fuzz/"];

/// Folders that no page is in.
const SKIPPED: [&str; 3] = ["target", ".git", "node_modules"];

/// One page, read.
struct Page {
    /// Relative to the repository, with `/`.
    path: String,
    /// What its headings are called in links.
    anchors: BTreeSet<String>,
    /// Line and target.
    links: Vec<(usize, String)>,
    /// Line and text of what is set as code in a sentence.
    code: Vec<(usize, String)>,
}

/// Looks at every page of the repository.
///
/// # Errors
///
/// A folder or a page cannot be read.
pub fn look(root: &Path) -> Result<Vec<Finding>, String> {
    let mut files = BTreeSet::new();
    list(root, root, &mut files)?;
    let mut pages = HashMap::new();
    for path in files.iter().filter(|path| path.ends_with(".md")) {
        let text = std::fs::read_to_string(root.join(path)).map_err(|error| format!("{path}: {error}"))?;
        pages.insert(path.as_str(), Page::read(path, &text));
    }
    let mut found = Vec::new();
    for page in pages.values() {
        found.extend(page.links.iter().filter_map(|link| dead(page, link, &pages, &files)));
        found.extend(page.code.iter().filter_map(|code| missing(page, code, &files)));
    }
    let no_summary = Page::read(SUMMARY, "");
    found.extend(left_out(pages.get(SUMMARY).unwrap_or(&no_summary), &pages));
    Ok(found)
}

/// Every page of the repository, with its text.
///
/// # Errors
///
/// A folder or a page cannot be read.
pub fn read(root: &Path) -> Result<Vec<(String, String)>, String> {
    let mut files = BTreeSet::new();
    list(root, root, &mut files)?;
    let pages = files.into_iter().filter(|path| path.ends_with(".md"));
    let read = |path: String| match std::fs::read_to_string(root.join(&path)) {
        Ok(text) => Ok((path, text)),
        Err(error) => Err(format!("{path}: {error}")),
    };
    pages.map(read).collect()
}

/// The files under a folder, relative to the repository.
fn list(root: &Path, folder: &Path, files: &mut BTreeSet<String>) -> Result<(), String> {
    let cannot = |error| format!("{}: {error}", folder.display());
    for entry in std::fs::read_dir(folder).map_err(cannot)? {
        let entry = entry.map_err(cannot)?;
        let name = entry.file_name();
        let kind = entry.file_type().map_err(cannot)?;
        if kind.is_dir() && !SKIPPED.iter().any(|skipped| name == *skipped) {
            list(root, &entry.path(), files)?;
        } else if kind.is_file()
            && let Ok(path) = entry.path().strip_prefix(root)
        {
            files.insert(path.to_string_lossy().replace('\\', "/"));
        }
    }
    Ok(())
}

impl Page {
    fn read(path: &str, text: &str) -> Self {
        let mut page =
            Self { path: path.to_owned(), anchors: BTreeSet::new(), links: Vec::new(), code: Vec::new() };
        let line = |at: usize| text[..at].matches('\n').count() + 1;
        let mut heading: Option<String> = None;
        for (event, range) in Parser::new_ext(text, Options::ENABLE_TABLES).into_offset_iter() {
            if let (Some(heading), Event::Text(text) | Event::Code(text)) = (&mut heading, &event) {
                heading.push_str(text);
            }
            match event {
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::End(TagEnd::Heading(_)) => page.anchor(&heading.take().unwrap_or_default()),
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    page.links.push((line(range.start), dest_url.into_string()));
                }
                Event::Code(code) => page.code.push((line(range.start), code.into_string())),
                _ => {}
            }
        }
        page
    }

    /// What repository browsers and the book call a heading: lower case, `-` for each space, nothing else but letters, digits, `-`
    /// and `_`; of headings that are alike, the second ends with `-1`.
    fn anchor(&mut self, heading: &str) {
        let kept = heading.trim().to_lowercase().replace(' ', "-");
        let slug: String = kept.chars().filter(|c| c.is_alphanumeric() || *c == '-' || *c == '_').collect();
        let free = (0..).map(|n| if n == 0 { slug.clone() } else { format!("{slug}-{n}") });
        let free = free.into_iter().find(|name| !self.anchors.contains(name));
        self.anchors.extend(free);
    }

    fn finding(&self, line: usize, rule: &'static str, what: String, todo: &'static str) -> Finding {
        Finding { file: self.path.clone(), line, rule, what, todo }
    }
}

/// A link that leads nowhere, or out of the book.
fn dead(
    page: &Page,
    (line, target): &(usize, String),
    pages: &HashMap<&str, Page>,
    files: &BTreeSet<String>,
) -> Option<Finding> {
    const RULE: &str = "links of pages";
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (path, anchor) = target.split_once('#').map_or((target.as_str(), None), |(p, a)| (p, Some(a)));
    let file = if path.is_empty() { page.path.clone() } else { beside(&page.path, path) };
    let folder = format!("{}/", file.trim_end_matches('/'));
    if !files.contains(&file) && !files.iter().any(|other| other.starts_with(&folder)) {
        let what = format!("{target} leads to no file");
        return Some(page.finding(*line, RULE, what, "name a file that is there, relative to this page"));
    }
    if page.path.starts_with("docs/") && !file.starts_with("docs/") {
        let what = format!("{target} leads out of the book");
        return Some(page.finding(
            *line,
            RULE,
            what,
            "the book has only what is in docs: name the file as code instead",
        ));
    }
    let anchor = anchor?;
    let is_there = pages.get(file.as_str()).is_some_and(|other| other.anchors.contains(anchor));
    let what = format!("{target}: {file} has no heading of this name");
    (!is_there).then(|| page.finding(*line, RULE, what, "name a heading that is there"))
}

/// Where a link leads, from the root of the repository on.
fn beside(page: &str, link: &str) -> String {
    let mut path = Path::new(page).parent().map(Path::to_owned).unwrap_or_default();
    for part in Path::new(link).components() {
        match part {
            Component::ParentDir => {
                path.pop();
            }
            Component::CurDir => {}
            other => path.push(other),
        }
    }
    text_of(&path)
}

fn text_of(path: &Path) -> String {
    PathBuf::from(path).to_string_lossy().replace('\\', "/")
}

/// A file that a page names, and that is not there. The name may leave out the folders at its beginning; in a command only what
/// begins with a folder of the repository is such a name, the rest is the reader's.
fn missing(page: &Page, (line, code): &(usize, String), files: &BTreeSet<String>) -> Option<Finding> {
    if OF_THE_PAST.iter().any(|past| page.path.starts_with(past)) {
        return None;
    }
    let is_command = code.contains(' ');
    let names = code.split([' ', ',']).map(|word| word.trim_start_matches("./"));
    let is_there = |name: &str| {
        let end = format!("/{name}");
        files.iter().any(|file| file == name || file.ends_with(&end))
    };
    let mut named = names.filter(|name| is_name(name));
    let lost = named.find(|name| {
        !is_there(name) && (!is_command || OURS.iter().any(|folder| name.starts_with(folder)))
    })?;
    let todo = "name the file as it is called now";
    Some(page.finding(*line, "files that pages name", format!("there is no {lost}"), todo))
}

/// Whether a word looks like the name of a file in some folder.
fn is_name(word: &str) -> bool {
    word.contains('/')
        && word.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c))
        && word.rsplit_once('.').is_some_and(|(_, ending)| ENDINGS.contains(&ending))
}

/// The pages of `docs` that the book has no chapter for.
fn left_out(summary: &Page, pages: &HashMap<&str, Page>) -> Vec<Finding> {
    let chapters: BTreeSet<String> = summary.links.iter().map(|(_, link)| beside(SUMMARY, link)).collect();
    let of_docs = pages.keys().filter(|path| path.starts_with("docs/") && !NO_CHAPTER.contains(path));
    let missing = of_docs.filter(|path| !chapters.contains(**path));
    missing
        .map(|path| {
            let todo = "add a line for it, or name it in `NO_CHAPTER` of crates/xtask/src/tidy/pages.rs";
            summary.finding(1, "the book has every page", format!("{path} is no chapter"), todo)
        })
        .collect()
}
