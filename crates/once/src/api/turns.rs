//! Calls about many things. The kernel's tasks share one thread, and all calls share the engine's mailbox: such a call takes
//! a few things at a time, so that what others ask goes in between.

use crate::Error;

/// Things of one call that the engine is asked for at once: about what it takes in one group.
pub(super) const AHEAD: usize = 256;

/// Things that are looked at in one go.
const LOOKED_AT: usize = 64;

/// Lets others have their turn, now and then.
#[derive(Debug, Default)]
pub(super) struct Turns(usize);

impl Turns {
    /// To be called for each thing.
    pub async fn next(&mut self) {
        self.0 += 1;
        if self.0.is_multiple_of(LOOKED_AT) {
            tokio::task::yield_now().await;
        }
    }
}

/// What each of many things is.
///
/// # Errors
/// The first that there is.
pub(super) async fn each<T, U>(things: &[T], one: impl Fn(&T) -> Result<U, Error>) -> Result<Vec<U>, Error> {
    let (mut found, mut turns) = (Vec::new(), Turns::default());
    for thing in things {
        turns.next().await;
        found.push(one(thing)?);
    }
    Ok(found)
}
