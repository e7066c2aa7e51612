//! What objects are told when they move.

use once_model::ids::KernelId;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};

use super::{Context, Typed};

/// An object is about to leave this kernel: [`Typed::leaving`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct DepartureNotice {
    /// The kernel that is to be its home.
    #[serde(deserialize_with = "kernel")]
    pub to: KernelId,
}

/// An object has come to this kernel: [`Typed::arrived`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct ArrivalNotice {
    /// From where; this kernel itself if the object was told that it leaves, and stays after all.
    #[serde(deserialize_with = "kernel")]
    pub from: KernelId,
}

fn kernel<'de, D: Deserializer<'de>>(text: D) -> Result<KernelId, D::Error> {
    String::deserialize(text)?.parse().map_err(D::Error::custom)
}

impl<S: Serialize + DeserializeOwned + Send + 'static> Typed<S> {
    /// Tells its objects when they are about to leave, as the last action at the home before. What follows from it comes to its end
    /// before the object goes. With an error the object stays, and whoever moved it is told that.
    ///
    /// ```
    /// # use once::{Component, Context, DepartureNotice};
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Serialize, Deserialize)]
    /// # struct Lamp { on: bool }
    /// Component::of::<Lamp>("Lamp", "1.0").leaving(|lamp: &mut Lamp, _: DepartureNotice, _: &Context| {
    ///     if lamp.on { Err("it is on") } else { Ok(()) }
    /// });
    /// ```
    pub fn leaving<T: Serialize, F: Serialize>(
        self,
        act: impl Fn(&mut S, DepartureNotice, &Context) -> Result<T, F> + Send + Sync + 'static,
    ) -> Self {
        self.action("once:leaving", act)
    }

    /// Tells its objects when they have come, as the first action at the new home: whatever else they are asked waits for that. An
    /// error is recorded, and changes nothing.
    pub fn arrived<T: Serialize, F: Serialize>(
        self,
        act: impl Fn(&mut S, ArrivalNotice, &Context) -> Result<T, F> + Send + Sync + 'static,
    ) -> Self {
        self.action("once:arrived", act)
    }
}
