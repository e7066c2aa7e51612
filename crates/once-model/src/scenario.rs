//! A scenario: an object at rest, as the verbatim bytes it came as, with a typed view of its envelope.
//!
//! [`Scenario::parse`] reads every format that is known from the wild (see [`Format`]) in one pass, notes where in the
//! bytes the few things lie that the engine needs, and never changes a byte. What it does not know it keeps.

mod edit;
mod envelope;
mod error;
mod form;
mod owner;
#[cfg(test)]
mod tests;

use std::fmt;
use std::ops::Range;
use std::sync::OnceLock;

use bytes::Bytes;
use uuid::Uuid;

pub use error::{ScenarioError, ScenarioErrorKind};
pub use form::{Format, Identity};
use form::{Shown, is_identity};
pub use owner::Owner;

use crate::hash::content_hash;
use crate::ids::Hash;
use crate::json;

/// The namespace of UUIDs that are derived from content: `v5(NAMESPACE_URL, "ior:once:content")`.
pub const CONTENT_NAMESPACE: Uuid = Uuid::from_u128(0x8c32dc12_3f88_5ba9_81ec_a739831d3411);

/// An object at rest. Cheap to clone; two are equal if their bytes are.
///
/// Texts that it shows come from whoever wrote the scenario: they are cut at [`crate::limits::NAME_MAX_BYTES`], but escaping them for a
/// terminal or a page is up to the caller.
///
/// ```
/// use once_model::scenario::{Format, Identity, Scenario};
///
/// let bytes = br#"{"ior":{"uuid":"unknown","component":"Counter","version":"1.0"},"owner":"system",
///     "model":{"uuid":"0012bda9-f833-4909-a891-a75b183be4c8","name":"hits","count":18446744073709551616}}"#;
/// let scenario = Scenario::parse(&bytes[..])?;
///
/// assert_eq!(scenario.format(), Format::B);
/// assert_eq!(scenario.uuid().to_string(), "0012bda9-f833-4909-a891-a75b183be4c8");
/// assert_eq!(scenario.identity(), Identity::Model);
/// assert_eq!(scenario.component(), Some("Counter"));
/// assert_eq!(scenario.name(), Some("hits"));
/// assert_eq!(scenario.bytes(), &bytes[..]);
/// # Ok::<(), once_model::scenario::ScenarioError>(())
/// ```
#[derive(Clone)]
pub struct Scenario {
    bytes: Bytes,
    hash: OnceLock<Hash>,
    uuid: Uuid,
    identity: Identity,
    format: Format,
    component: Option<Shown>,
    version: Option<Shown>,
    name: Option<Shown>,
    owner: Option<Range<usize>>,
    model: Option<Range<usize>>,
}

impl Scenario {
    /// Reads a scenario in any format. The bytes are kept as they are.
    ///
    /// # Errors
    ///
    /// If the bytes are no JSON object within the limits. Everything that is one is accepted.
    pub fn parse(bytes: impl Into<Bytes>) -> Result<Self, ScenarioError> {
        let bytes = bytes.into();
        let envelope = envelope::read(json::utf8(&bytes)?)?;
        let hash = OnceLock::new();
        let (uuid, identity) = envelope.uuid.unwrap_or_else(|| {
            let content = hash.get_or_init(|| content_hash(&bytes));
            (Uuid::new_v5(&CONTENT_NAMESPACE, content.as_bytes()), Identity::Derived)
        });
        let envelope::Envelope { format, component, version, name, owner, model, .. } = envelope;
        Ok(Self { bytes, hash, uuid, identity, format, component, version, name, owner, model })
    }

    /// Writes the scenario of an object that is born here: format [`Format::A`], indented as such files are. The same
    /// arguments always give the same bytes, so it bears no times.
    ///
    /// ```
    /// use once_model::scenario::{Format, Scenario};
    /// use uuid::Uuid;
    ///
    /// let scenario = Scenario::compose(Uuid::from_u128(7), "Counter", "1.0", "alice", r#"{"count":0}"#)?;
    /// assert_eq!(scenario.format(), Format::A);
    /// assert_eq!(scenario.uuid(), Uuid::from_u128(7));
    /// # Ok::<(), once_model::scenario::ScenarioError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the model is no JSON within the limits, the component or version is empty, has control characters or is longer
    /// than [`crate::limits::NAME_MAX_BYTES`], or the UUID is nil or max.
    pub fn compose(
        uuid: Uuid,
        component: &str,
        version: &str,
        owner: &str,
        model_json: &str,
    ) -> Result<Self, ScenarioError> {
        if !is_identity(&uuid) {
            return Err(ScenarioError::bad_name("UUID", "all its bits are the same"));
        }
        envelope::check_name("component", component)?;
        envelope::check_name("version", version)?;
        let model = json::pretty(model_json, 1)?;
        Self::parse(envelope::write(uuid, component, version, owner, &model))
    }

    /// The same scenario with another model (of a legacy one: another state). All other bytes stay.
    ///
    /// The UUID stays too, unless it came from the model ([`Identity::Model`]) or the content ([`Identity::Derived`]).
    ///
    /// ```
    /// # use once_model::scenario::Scenario;
    /// let old = Scenario::parse(&br#"{"ior":{}, "model": {"n": 1} , "x":1.0}"#[..])?;
    /// let new = old.with_model(r#"{"n":2}"#)?;
    /// assert_eq!(new.bytes(), &br#"{"ior":{}, "model": {"n":2} , "x":1.0}"#[..]);
    /// # Ok::<(), once_model::scenario::ScenarioError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the new model is no JSON within the limits (lines and columns count from its start), or if this scenario has
    /// no model.
    pub fn with_model(&self, new_model_json: &str) -> Result<Self, ScenarioError> {
        let model = self.model.clone().ok_or_else(ScenarioError::no_model)?;
        // On its own first: `1, "owner": "me"` would fit into the gap, but is no model.
        let new = json::validate(new_model_json.as_bytes())?.trim();
        let (before, after) = (self.bytes.get(..model.start), self.bytes.get(model.end..));
        Self::parse([before.unwrap_or_default(), new.as_bytes(), after.unwrap_or_default()].concat())
    }

    /// The bytes, as they came.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The hash of the bytes: computed once, when it is first asked for.
    #[must_use]
    pub fn hash(&self) -> Hash {
        *self.hash.get_or_init(|| content_hash(&self.bytes))
    }

    /// The object's UUID; [`Self::identity`] tells where it comes from.
    #[must_use]
    pub fn uuid(&self) -> Uuid {
        self.uuid
    }

    /// Where the UUID comes from.
    #[must_use]
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// Which of the known envelopes it has.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// The object's type: `ior.component`, or `objectType` of a legacy scenario.
    #[must_use]
    pub fn component(&self) -> Option<&str> {
        self.shown(self.component.as_ref())
    }

    /// The version of the type: `ior.version`, or `version` of a legacy scenario. One that is no text is shown as
    /// compact JSON.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.shown(self.version.as_ref())
    }

    /// What people call the object: `model.name`, or `state.name` or `name` at the top.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.shown(self.name.as_ref())
    }

    /// Who owns it, by its own account: data to show, never a right. Decoded anew on each call.
    #[must_use]
    pub fn owner(&self) -> Owner {
        self.owner.as_ref().map_or(Owner::Absent, |owner| Owner::read(self.text(owner)))
    }

    /// The model (of a legacy scenario: the state), as it is spelled.
    #[must_use]
    pub fn model(&self) -> Option<&str> {
        self.model.as_ref().map(|model| self.text(model))
    }

    /// The whole document as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.text(&(0..self.bytes.len()))
    }

    /// A part of the document. The scan has seen that it is UTF-8 and ends between characters; checking again costs
    /// little (tens of GB/s for ASCII), unsafe code would cost more.
    fn text(&self, range: &Range<usize>) -> &str {
        let bytes = self.bytes.get(range.clone()).unwrap_or_default();
        std::str::from_utf8(bytes).unwrap_or_default()
    }

    fn shown<'a>(&'a self, shown: Option<&'a Shown>) -> Option<&'a str> {
        shown.map(|shown| match shown {
            Shown::Verbatim(range) => self.text(range),
            Shown::Decoded(text) => text,
        })
    }
}

impl PartialEq for Scenario {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for Scenario {}

impl fmt::Debug for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scenario")
            .field("uuid", &self.uuid)
            .field("format", &self.format)
            .field("component", &self.component())
            .field("bytes", &self.bytes.len())
            .finish_non_exhaustive()
    }
}
