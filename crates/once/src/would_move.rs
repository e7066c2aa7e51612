//! Asking another kernel whether it would take objects, before anything moves.

use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use once_core::waist::Command;
use once_model::ids::{KernelId, ObjectKey};

use crate::{Error, ErrorKind, Kernel};

/// Asked at the same time.
const AT_ONCE: usize = 64;

/// How long the other kernel is waited for, each time.
const PATIENCE: Duration = Duration::from_secs(10);

/// What another kernel says to objects that might move there.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    /// What it would not take, or could not leave, and why.
    pub refused: Vec<(ObjectKey, Error)>,
    /// Why it was not asked, or not for all of them.
    pub unasked: Option<Error>,
}

/// Asks for each of them. Who cannot be reached is not asked again.
pub(crate) async fn ask(kernel: &Kernel, to: KernelId, keys: Vec<ObjectKey>) -> Asked {
    let mut asked = Asked::default();
    if keys.is_empty() {
        return asked;
    }
    if let Err(error) = kernel.session(to, PATIENCE).await {
        asked.unasked = Some(error);
        return asked;
    }
    let one = |key: ObjectKey| async move {
        let answer = tokio::time::timeout(PATIENCE, kernel.command(Command::WouldMove { key, to })).await;
        let silent = || {
            let to = kernel.shared().called(&to);
            Err(Error::timeout(format!("kernel {to} was asked, and did not answer within {PATIENCE:?}")))
        };
        (key, answer.unwrap_or_else(|_| silent()))
    };
    let mut answers = stream::iter(keys).map(one).buffer_unordered(AT_ONCE);
    while let Some((key, answer)) = answers.next().await {
        match answer {
            Ok(_) => {}
            Err(error) if is_about_the_way(error.kind()) => {
                asked.unasked = Some(error);
                break;
            }
            Err(error) => asked.refused.push((key, error)),
        }
    }
    asked.refused.sort_by_key(|(key, _)| *key);
    asked
}

/// Whether it says nothing of the object.
fn is_about_the_way(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Timeout | ErrorKind::Unreachable | ErrorKind::Stopping | ErrorKind::Fault)
}
