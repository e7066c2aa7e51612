//! What is known of a sample so far, a line of JSON for each thing: a run that was stopped goes on from there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// What came of a mutant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Caught,
    Survived,
    /// No time or no memory left: not caught.
    Timeout,
}

/// A mutant that was judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    pub id: u32,
    pub verdict: Verdict,
    /// Which stage ended it.
    pub stage: Option<String>,
    /// What that stage said.
    pub why: Option<String>,
    /// Which stages came to its place.
    pub reached: Vec<String>,
    /// What the simulator's seeds come to without it, and not with it.
    pub missed: Vec<String>,
    pub seconds: f64,
}

impl Judged {
    /// Nothing has noticed it yet.
    pub fn survived(id: u32) -> Self {
        let (reached, missed) = (Vec::new(), Vec::new());
        Self { id, verdict: Verdict::Survived, stage: None, why: None, reached, missed, seconds: 0.0 }
    }
}

/// A line of the file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    /// These do not compile.
    Rejected(BTreeSet<u32>),
    Judged(Judged),
}

/// The file, and what it says.
pub struct Record {
    file: File,
    pub rejected: BTreeSet<u32>,
    pub judged: BTreeMap<u32, Judged>,
}

impl Record {
    /// Reads the file, or begins it. A last line that was not written to its end is forgotten.
    ///
    /// # Errors
    ///
    /// It cannot be read or written.
    pub fn open(path: &Path) -> Result<Self, String> {
        let wrong = |error: std::io::Error| format!("{}: {error}", path.display());
        let text = match std::fs::read_to_string(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            read => read.map_err(wrong)?,
        };
        let file = OpenOptions::new().create(true).append(true).open(path).map_err(wrong)?;
        let mut record = Self { file, rejected: BTreeSet::new(), judged: BTreeMap::new() };
        for line in text.lines().filter_map(|line| serde_json::from_str(line).ok()) {
            record.take(line);
        }
        if !text.is_empty() && !text.ends_with('\n') {
            record.file.write_all(b"\n").map_err(wrong)?;
        }
        Ok(record)
    }

    fn take(&mut self, line: Line) {
        match line {
            Line::Rejected(ids) => self.rejected.extend(ids),
            Line::Judged(judged) => drop(self.judged.insert(judged.id, judged)),
        }
    }

    fn add(&mut self, line: Line) -> Result<(), String> {
        let text = serde_json::to_string(&line).map_err(|error| error.to_string())?;
        self.file
            .write_all(format!("{text}\n").as_bytes())
            .map_err(|error| format!("the record: {error}"))?;
        self.take(line);
        Ok(())
    }

    /// Writes down which do not compile.
    ///
    /// # Errors
    ///
    /// It cannot be written.
    pub fn reject(&mut self, ids: BTreeSet<u32>) -> Result<(), String> {
        self.add(Line::Rejected(ids))
    }

    /// Writes down what came of one.
    ///
    /// # Errors
    ///
    /// It cannot be written.
    pub fn judge(&mut self, judged: Judged) -> Result<(), String> {
        self.add(Line::Judged(judged))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_there_again_and_half_a_line_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("record.jsonl");
        let judged = |id, verdict| Judged {
            verdict,
            why: Some("a \"quoted\"\nline".to_owned()),
            reached: vec!["core".to_owned()],
            seconds: 1.5,
            ..Judged::survived(id)
        };
        let mut record = Record::open(&path).unwrap();
        record.reject(BTreeSet::from([3, 4])).unwrap();
        record.judge(judged(7, Verdict::Survived)).unwrap();
        drop(record);
        let half = std::fs::read_to_string(&path).unwrap() + "{\"judged\":{\"id\":8,";
        std::fs::write(&path, half).unwrap();
        let mut record = Record::open(&path).unwrap();
        record.judge(judged(9, Verdict::Caught)).unwrap();
        let record = Record::open(&path).unwrap();
        assert_eq!(record.rejected, BTreeSet::from([3, 4]));
        let expected = [(7, judged(7, Verdict::Survived)), (9, judged(9, Verdict::Caught))];
        assert_eq!(record.judged, BTreeMap::from(expected));
    }
}
