//! Progress of a call that takes its time.

use super::contract::Progress;

/// Where progress goes, if the caller wants it.
pub(super) type Tell<'a> = &'a (dyn Fn(Progress) + Send + Sync);
