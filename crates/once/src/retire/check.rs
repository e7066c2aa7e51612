//! What a look at a kernel before it is erased says of each thing.

use once_model::ids::ObjectKey;

/// Things that are named where there are many; further ones are counted.
const NAMED_MAX: usize = 8;

/// One thing that a kernel must be done with before it can be erased.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetireCheck {
    /// Its name: `objects`, `read-only`, `copies`, `conflicts`, `owed`, `actions`, `news`, `history`, and of
    /// a kernel that was put back from a backup `backup`, which is fine only if its people give up what it did after the backup
    /// ([`crate::Retire::loss_given_up`]): that is not here, and cannot be looked for.
    pub check: &'static str,
    /// Whether nothing of it is missing.
    pub ok: bool,
    /// What there is of it.
    pub message: String,
    /// What to do about it.
    pub hint: Option<&'static str>,
}

impl RetireCheck {
    pub(super) fn done(check: &'static str, message: &str) -> Self {
        Self { check, ok: true, message: message.to_owned(), hint: None }
    }

    pub(super) fn missing(check: &'static str, message: String, hint: &'static str) -> Self {
        Self { check, ok: false, message, hint: Some(hint) }
    }
}

/// Objects: how many, and a few of them.
#[derive(Debug, Default)]
pub(super) struct Named {
    pub count: u64,
    pub first: Vec<ObjectKey>,
}

impl Named {
    pub fn add(&mut self, key: ObjectKey) {
        self.count += 1;
        if self.first.len() < NAMED_MAX {
            self.first.push(key);
        }
    }

    /// Each of the first as it is said, and whether there are more.
    pub fn list(&self, said: impl Fn(&ObjectKey) -> String) -> String {
        let more = (self.count > self.first.len() as u64).then(|| "…".to_owned());
        self.first.iter().map(said).chain(more).collect::<Vec<_>>().join(", ")
    }
}

/// `1 object`, `2 objects`.
pub(super) fn objects_of(n: u64) -> String {
    format!("{n} {}", if n == 1 { "object" } else { "objects" })
}
