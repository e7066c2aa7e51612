//! Progress of a call that takes its time.

use serde_json::Value;

/// Where progress goes, if the caller wants it.
pub(super) type Tell<'a> = &'a (dyn Fn(Value) + Send + Sync);
