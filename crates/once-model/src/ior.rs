//! Internet Object References: ours, and every form that Web4 has used so far.
//!
//! An [`Ior`] is the text as it was read, whatever its form, so that printing it gives back the same bytes. [`Ior::form`]
//! is the typed view of it. What is recognised as an IOR, but of no known form, is kept like the others.

mod error;
mod foreign;
mod form;
mod once;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

pub use error::IorError;
pub(crate) use error::bare_uuid;
pub use form::Form;
pub use once::OnceIor;

use crate::ids::{Hash, KernelId, Line, Lineage};
use crate::limits::IOR_MAX_BYTES;

/// A reference to an object. Cheap to clone; two are equal if their texts are.
///
/// ```
/// use once_model::ior::{Form, Ior};
///
/// let text = "ior:esm:/ONCE/0.3.22.2/File";
/// let ior: Ior = text.parse()?;
/// assert!(matches!(ior.form(), Form::Esm { package: "ONCE", version: "0.3.22.2", name: "File" }));
/// assert_eq!(ior.to_string(), text);
/// # Ok::<(), once_model::ior::IorError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ior(Arc<str>);

impl Ior {
    /// Reads a reference of any form: what starts with `ior:` or `web4:`, and bare UUIDs.
    ///
    /// # Errors
    ///
    /// If the text is none of these, is longer than [`IOR_MAX_BYTES`], has control characters, or starts with
    /// `ior:once:` but is no valid reference of ours.
    pub fn parse(text: &str) -> Result<Self, IorError> {
        if text.len() > IOR_MAX_BYTES {
            return Err(IorError::TooLong { bytes: text.len() });
        }
        if bare_uuid(text).is_none() && !foreign::has_scheme(text) {
            return Err(IorError::NotAnIor);
        }
        if text.chars().any(char::is_control) {
            return Err(IorError::ControlCharacter);
        }
        if let Some(rest) = text.strip_prefix(once::PREFIX) {
            once::read(rest)?;
        }
        Ok(Self(text.into()))
    }

    /// Writes a reference of ours.
    ///
    /// ```
    /// use once_model::ior::{Ior, OnceIor};
    /// use uuid::Uuid;
    ///
    /// let ior = Ior::once(&OnceIor {
    ///     component: "Counter".into(),
    ///     version: "1.0".into(),
    ///     at: vec!["10.0.0.7:42777".into()],
    ///     ..OnceIor::new(Uuid::from_u128(7))
    /// })?;
    /// assert_eq!(
    ///     ior.to_string(),
    ///     "ior:once://-/Counter/1.0/00000000-0000-0000-0000-000000000007?at=10.0.0.7:42777"
    /// );
    /// # Ok::<(), once_model::ior::IorError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If an address is none, or the whole is longer than [`IOR_MAX_BYTES`].
    pub fn once(parts: &OnceIor) -> Result<Self, IorError> {
        let text = once::write(parts)?;
        if text.len() > IOR_MAX_BYTES {
            return Err(IorError::TooLong { bytes: text.len() });
        }
        Ok(Self(text.into()))
    }

    /// A reference that is only a UUID.
    #[must_use]
    pub fn bare(uuid: Uuid) -> Self {
        Self(uuid.to_string().into())
    }

    /// The text, as it was read.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What the reference says, by its form.
    #[must_use]
    pub fn form(&self) -> Form<'_> {
        if let Some(rest) = self.0.strip_prefix(once::PREFIX) {
            return once::read(rest).map_or(Form::Other, Form::Once);
        }
        bare_uuid(&self.0).map_or_else(|| foreign::read(&self.0), Form::Bare)
    }

    /// What a reference of ours says; `None` for the others.
    #[must_use]
    pub fn as_once(&self) -> Option<OnceIor> {
        match self.form() {
            Form::Once(parts) => Some(parts),
            _ => None,
        }
    }

    /// The UUID of the object, if the reference has one.
    #[must_use]
    pub fn uuid(&self) -> Option<Uuid> {
        match self.form() {
            Form::Once(OnceIor { uuid, .. }) | Form::Bare(uuid) | Form::Unit(uuid) => Some(uuid),
            Form::Http { uuid, .. } => Some(uuid),
            Form::Web4 { uuid, .. } => uuid,
            _ => None,
        }
    }

    /// The component of the object, if the reference names it.
    #[must_use]
    pub fn component(&self) -> Option<Cow<'_, str>> {
        match self.form() {
            Form::Once(parts) => {
                Some(parts.component).filter(|component| !component.is_empty()).map(Cow::Owned)
            }
            Form::Http { component, .. } => Some(Cow::Borrowed(component)),
            Form::Web4 { component, .. } => component.map(Cow::Borrowed),
            _ => None,
        }
    }

    /// The lineage of the object. Only our references have one.
    #[must_use]
    pub fn lineage(&self) -> Option<Lineage> {
        self.as_once()?.lineage
    }

    /// The content hash of an unclaimed object. Only our references have one.
    #[must_use]
    pub fn content(&self) -> Option<Hash> {
        self.as_once()?.content
    }

    /// Which object of its UUID is meant, if the reference says so.
    #[must_use]
    pub fn line(&self) -> Option<Line> {
        self.lineage().map(Line::Claimed).or_else(|| self.content().map(Line::Unclaimed))
    }

    /// Where the object was at home when the reference was made: a hint. Only our references have one.
    #[must_use]
    pub fn home(&self) -> Option<KernelId> {
        self.as_once()?.home
    }
}

impl fmt::Display for Ior {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Ior {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ior({:?})", self.as_str())
    }
}

impl FromStr for Ior {
    type Err = IorError;

    fn from_str(text: &str) -> Result<Self, IorError> {
        Self::parse(text)
    }
}

impl AsRef<str> for Ior {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl Serialize for Ior {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Ior {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}
