//! Looking for what is damaged, and remembering it.

use once_core::store::StoreError;

use super::lack::Lack;
use super::shared::Shared;

impl Shared {
    /// Remembers which files of the store are damaged.
    pub fn found_damaged(&self, files: &[String]) {
        let (shown, more) = (files.iter().take(3).cloned().collect::<Vec<_>>().join(", "), files.len() > 3);
        let text = format!("damaged files of the store: {shown}{}", if more { " and more" } else { "" });
        tracing::error!("{text}; `once doctor` says more");
        *crate::net::lock(&self.damage) = Some(text);
    }

    /// The same in words.
    pub fn damage_said(&self) -> String {
        crate::net::lock(&self.damage)
            .clone()
            .unwrap_or_else(|| "something of the store is damaged".to_owned())
    }

    /// What a group failed for; `None` if the engine has to end. A write that failed leaves a store that has to be opened again,
    /// unless it failed over a damaged file.
    pub fn lacks(&self, error: &StoreError) -> Option<Lack> {
        match error {
            StoreError::Full => Some(Lack::Room),
            StoreError::OutOfFiles => Some(Lack::Files),
            StoreError::Damaged { .. } => {
                let _ = self.look_for_damage();
                Some(Lack::Damage)
            }
            StoreError::Io(_) => Lack::now(&self.data).or_else(|| self.look_for_damage()),
            _ => None,
        }
    }

    /// What is damaged, and whether a write can fail over it: blob files are not merged.
    pub fn look_for_damage(&self) -> Option<Lack> {
        let files = once_store::damaged_files(&self.data);
        if !files.is_empty() {
            self.found_damaged(&files);
        }
        files.iter().any(|file| file.contains("/tables/")).then_some(Lack::Damage)
    }
}
