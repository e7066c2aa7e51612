//! Flips one stored byte behind the second kernel's back: the check must notice.

use std::fs;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::folder::{Entry, Folder};
use super::node::Node;
use crate::failure::{Done, Failure};
use crate::ui;

/// Bytes of a scenario's text that are searched for.
const SNIPPET_BYTES: usize = 48;

/// Scenarios that are tried: the largest, since their bodies lie apart from their rows.
const TRIED_MAX: usize = 32;

/// Stops the kernel, flips a byte in the middle of a stored scenario, and starts it again.
pub async fn flip_one_byte(bob: &mut Node, entries: &Folder) -> Done<String> {
    bob.stop().await;
    let mut files = Vec::new();
    collect(&bob.data.join("store"), &mut files)?;
    let mut by_size: Vec<(u64, &Entry)> = Vec::new();
    for entry in &entries.entries {
        by_size.push((fs::metadata(&entry.path).map_or(0, |meta| meta.len()), entry));
    }
    by_size.sort_by_key(|(size, _)| std::cmp::Reverse(*size));
    for (_, entry) in by_size.into_iter().take(TRIED_MAX) {
        let text = entry.expected(0)?;
        let middle = text.len() / 2;
        let Some(snippet) = text.as_bytes().get(middle..middle + SNIPPET_BYTES) else { continue };
        let Some((path, at)) = find(&files, snippet)? else { continue };
        flip(&path, at)?;
        let name = path.strip_prefix(&bob.data).unwrap_or(&path).to_owned();
        bob.restart().await.map_err(|failure| {
            Failure::failed(format!("bob noticed the damage and did not start: {}", failure.message))
        })?;
        return Ok(format!("{} at {at}, in {}", ui::shown_path(&name), entry.uuid));
    }
    Err(Failure::failed("no scenario was found in the store's files, so none could be damaged"))
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Done<()> {
    let entries = fs::read_dir(folder).map_err(|error| Failure::io(folder, &error))?;
    for entry in entries {
        let path = entry.map_err(|error| Failure::io(folder, &error))?.path();
        if path.is_dir() { collect(&path, files)? } else { files.push(path) }
    }
    Ok(())
}

/// A table before a journal, and of several the newest: that is what is read. A journal keeps what the tables have taken over.
fn find(files: &[PathBuf], snippet: &[u8]) -> Done<Option<(PathBuf, u64)>> {
    let mut found = None;
    for path in files {
        let bytes = fs::read(path).map_err(|error| Failure::io(path, &error))?;
        let Some(at) = bytes.windows(snippet.len()).position(|window| window == snippet) else { continue };
        let written = fs::metadata(path).and_then(|meta| meta.modified());
        let written = written.map_err(|error| Failure::io(path, &error))?;
        let is_table = path.extension().is_none_or(|extension| extension != "jnl");
        found = found.max(Some(((is_table, written), path.clone(), at as u64)));
    }
    Ok(found.map(|(_, path, at)| (path, at)))
}

fn flip(path: &Path, at: u64) -> Done<()> {
    let flip = || {
        let mut file = fs::File::options().read(true).write(true).open(path)?;
        let mut byte = [0];
        file.seek(SeekFrom::Start(at))?;
        file.read_exact(&mut byte)?;
        file.seek(SeekFrom::Start(at))?;
        file.write_all(&byte.map(|byte| byte ^ 1))?;
        file.sync_all()
    };
    flip().map_err(|error| Failure::io(path, &error))
}
