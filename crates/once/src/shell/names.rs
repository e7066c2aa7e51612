//! The engine knows kernels by their ids; people know peers by their names.

use once_core::Refusal;
use once_model::ids::KernelId;

use super::lack::what_to_free;
use super::shared::Shared;
use crate::Error;
use crate::error::IntoError;

impl Shared {
    /// How a peer is called here, and what tells it apart: `bob (a1b2c3d4e5)`. The id alone if it has no name here.
    pub fn called(&self, id: &KernelId) -> String {
        self.named(id).unwrap_or_else(|| id.short())
    }

    fn named(&self, id: &KernelId) -> Option<String> {
        let row = once_core::peers::peer(&self.snapshot(), id).ok()??;
        (!row.name().is_empty()).then(|| format!("{} ({})", row.name(), id.short()))
    }

    /// The engine knows kernels by their ids; people know peers by their names.
    pub(super) fn refused(&self, refusal: Refusal) -> Error {
        let about = match &refusal {
            Refusal::NotHome { home: id, .. }
            | Refusal::NotFollowed { from: id, .. }
            | Refusal::NoGrant { kernel: id, .. }
            | Refusal::WholeGrant { kernel: id }
            | Refusal::InviteUsed(id)
            | Refusal::Denied(id)
            | Refusal::HandsOver { peer: id, .. }
            | Refusal::NotOwed { peer: id, .. }
            | Refusal::NotHeard(id)
            | Refusal::OutboxFull { peer: id, .. } => Some(*id),
            _ => None,
        };
        let full = matches!(refusal, Refusal::DiskFull { .. });
        let mut error = refusal.into_error();
        // What another kernel's people are to type names this one.
        let hint = error.hint().map(|hint| hint.replace("{me}", &self.me.to_string()));
        error = error.hinting(hint);
        if let Some((id, name)) = about.and_then(|id| Some((id, self.named(&id)?))) {
            let message = error.message().replace(&id.to_string(), &name);
            // A command in the hint keeps the id: it is one word, and means one kernel.
            let parts = |hint: &str| {
                let named = hint.split('`').enumerate().map(|(at, part)| match at % 2 {
                    0 => part.replace(&id.short(), &name),
                    _ => part.to_owned(),
                });
                named.collect::<Vec<_>>().join("`")
            };
            let hint = error.hint().map(parts);
            error = error.said(message).hinting(hint);
        }
        if full {
            error = error.with_hint(what_to_free(&self.data));
        }
        error
    }
}
