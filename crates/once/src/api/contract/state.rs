//! How an object stands on a kernel.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How an object stands on a kernel: the same words wherever an object is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ObjectState {
    /// This kernel is its home and may change it.
    Home,
    /// This kernel is its home, and it is about to move: what is asked of it meanwhile is done before that, or at its new home.
    Leaving,
    /// It is handed over, and its receiver has not answered: nobody changes it until then.
    Sealed,
    /// It is only read here: this kernel was its home and was put back from a backup, so that others may know more of it.
    ReadOnly,
    /// A copy: another kernel is its home.
    Replica,
    /// Imported and never changed: it has no home yet.
    Unclaimed,
}

impl ObjectState {
    /// Each of them.
    pub const ALL: [Self; 6] =
        [Self::Home, Self::Leaving, Self::Sealed, Self::ReadOnly, Self::Replica, Self::Unclaimed];

    /// Its name, the same here, in JSON and on the command line.
    ///
    /// ```
    /// assert_eq!(once::ObjectState::ReadOnly.name(), "read-only");
    /// ```
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Home => "home",
            Self::Leaving => "leaving",
            Self::Sealed => "sealed",
            Self::ReadOnly => "read-only",
            Self::Replica => "replica",
            Self::Unclaimed => "unclaimed",
        }
    }

    /// What it means for who wants to change the object, in a few words.
    ///
    /// ```
    /// assert_eq!(once::ObjectState::Home.says(), "it may be changed here");
    /// ```
    #[must_use]
    pub const fn says(self) -> &'static str {
        match self {
            Self::Home => "it may be changed here",
            Self::Leaving => {
                "it is about to move: what is asked of it meanwhile is done before that, or at its new home"
            }
            Self::Sealed => "it is handed over and not answered: nobody changes it until it is",
            Self::ReadOnly => "this kernel was put back from a backup: it is read here and not changed",
            Self::Replica => "a copy: another kernel is its home",
            Self::Unclaimed => "nobody has changed it yet",
        }
    }

    /// Whether this kernel is, or was when it was put back, the object's home.
    ///
    /// ```
    /// assert!(once::ObjectState::Sealed.is_at_home() && !once::ObjectState::Replica.is_at_home());
    /// ```
    #[must_use]
    pub const fn is_at_home(self) -> bool {
        !matches!(self, Self::Replica | Self::Unclaimed)
    }
}
