//! `up.log`, where a kernel in the background says what it says: with times, one run after the other, bounded.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::ui;

const NAME: &str = "up.log";

/// A log that is longer begins anew, beside the ones before it.
const MAX_BYTES: u64 = 1024 * 1024;

/// Older logs that are kept: `up.log.1` is the newest of them.
const OLDER_MAX: u32 = 3;

/// How often a kernel looks at how long its log is.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// Where the log of a data directory is.
pub fn path(data: &Path) -> PathBuf {
    data.join(NAME)
}

/// Opens it for one more run. Only its owner may read it: it names peers.
///
/// # Errors
/// When it cannot be written.
pub fn open(data: &Path) -> io::Result<File> {
    let path = path(data);
    if is_long(&path, MAX_BYTES) {
        turn(&path)?;
    }
    OpenOptions::new().append(true).create(true).mode(0o600).open(&path)
}

fn is_long(path: &Path, max_bytes: u64) -> bool {
    fs::metadata(path).is_ok_and(|meta| meta.len() > max_bytes)
}

/// Each log takes the place of the next older one.
fn turn(path: &Path) -> io::Result<()> {
    let older = |n: u32| path.with_extension(format!("log.{n}"));
    for n in (1..OLDER_MAX).rev() {
        match fs::rename(older(n), older(n + 1)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    fs::rename(path, older(1))
}

/// Keeps the log of this process, which writes to it, within its bound.
pub async fn keep_short(data: &Path) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        if !is_long(&path(data), MAX_BYTES) {
            continue;
        }
        // A log that cannot be turned goes on as it is: no reason to end a kernel.
        if let Err(error) = open(data).and_then(|file| {
            rustix::stdio::dup2_stdout(&file)?;
            rustix::stdio::dup2_stderr(&file)?;
            Ok(())
        }) {
            ui::say(&format!("the log cannot begin anew: {error}"));
        }
    }
}

/// What a run that did not get far said, from this byte of the log on: its error and its hint.
pub fn last_words(data: &Path, from: u64) -> (Option<String>, Option<String>) {
    let bytes = fs::read(path(data)).unwrap_or_default();
    let said = bytes.get(usize::try_from(from).unwrap_or(usize::MAX)..).unwrap_or(&bytes);
    let text = String::from_utf8_lossy(said);
    // With `--log-format json` each line is an object.
    let said = |line: &str| match serde_json::from_str::<Value>(line) {
        Ok(line) => format!(" {}", line["fields"]["message"].as_str().unwrap_or_default()),
        Err(_) => line.to_owned(),
    };
    let lines: Vec<_> = text.lines().map(said).collect();
    let find = |what: &str| {
        let line = lines.iter().rev().find_map(|line| line.split_once(what).map(|(_, said)| said));
        line.map(str::to_owned)
    };
    (find(" error: "), find(" hint: "))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_log_goes_on_and_begins_anew_when_it_is_long() {
        let dir = tempfile::tempdir().unwrap();
        for n in 0..OLDER_MAX + 3 {
            let mut file = open(dir.path()).unwrap();
            writeln!(file, "run {n}").unwrap();
            drop(file);
            let mut file = open(dir.path()).unwrap();
            file.write_all(&vec![b'x'; MAX_BYTES as usize]).unwrap();
        }
        let text = fs::read_to_string(path(dir.path())).unwrap();
        assert!(text.starts_with(&format!("run {}", OLDER_MAX + 2)));
        let mut names: Vec<_> =
            fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["up.log", "up.log.1", "up.log.2", "up.log.3"]);
    }

    #[test]
    fn only_the_last_run_is_quoted() {
        let dir = tempfile::tempdir().unwrap();
        let mut file = open(dir.path()).unwrap();
        writeln!(file, "2026-02-03 04:05:06 UTC error: an old one").unwrap();
        let from = file.metadata().unwrap().len();
        assert_eq!(last_words(dir.path(), from), (None, None));
        writeln!(
            file,
            "2026-02-03 04:05:07 UTC error: that port\n2026-02-03 04:05:07 UTC hint: take another"
        )
        .unwrap();
        assert_eq!(last_words(dir.path(), from), (Some("that port".into()), Some("take another".into())));
        writeln!(file, r#"{{"level":"ERROR","fields":{{"message":"error: \"this\" port"}}}}"#).unwrap();
        assert_eq!(last_words(dir.path(), from).0, Some("\"this\" port".into()));
    }
}
