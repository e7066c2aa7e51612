//! One place in the engine's sources, and one change that can be made there.

use std::ops::Range;

/// A place and a change.
#[derive(Debug, Clone)]
pub struct Site {
    /// The file, relative to the crate's `src`.
    pub file: String,
    pub line: usize,
    /// The function, with the type it belongs to.
    pub function: String,
    /// What is changed, in words.
    pub change: String,
    /// Which bytes of the file it concerns. Empty where something is put in.
    pub range: Range<usize>,
    pub edit: Edit,
}

/// How the change is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// Another expression takes the place of this one.
    Replace(String),
    /// The statement is left out.
    Delete,
    /// The function returns this at once.
    Return(String),
    /// The arm of a `match` that ends here, before its `=>`, never matches.
    SkipArm,
}

impl Site {
    /// The part of a sample that the site belongs to: a capability's folder, or a file at the top.
    pub fn stratum(&self) -> &str {
        let first = self.file.split('/').next().unwrap_or(&self.file);
        first.strip_suffix(".rs").unwrap_or(first)
    }
}

impl std::fmt::Display for Site {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "crates/once-core/src/{}:{} {}: {}", self.file, self.line, self.function, self.change)
    }
}
