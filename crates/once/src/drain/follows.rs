//! What this kernel follows at others, the other kernel is asked to follow in its place.

use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use once_core::waist::Command;
use once_model::ids::{KernelId, ObjectKey};

use super::done::DrainReport;
use crate::{Error, ErrorKind, Kernel};

/// Asked at the same time.
const AT_ONCE: usize = 16;

/// Asks for each of them. Who does not answer once is not asked again.
pub(super) async fn run(
    kernel: &Kernel,
    to: KernelId,
    patience: Duration,
    all: Vec<(ObjectKey, KernelId)>,
    done: &mut DrainReport,
) {
    let ask = |(key, at): (ObjectKey, KernelId)| async move {
        let asked = kernel.command(Command::FollowInstead { key, at, to });
        match tokio::time::timeout(patience, asked).await {
            Ok(answer) => answer.map(drop),
            Err(_) => Err(Error::timeout(format!(
                "kernel {} was asked to follow an object, and did not answer",
                kernel.shared().called(&to)
            ))),
        }
    };
    let mut answers = stream::iter(all).map(ask).buffer_unordered(AT_ONCE);
    while let Some(answer) = answers.next().await {
        match answer {
            Ok(()) => done.followed += 1,
            Err(error) => {
                let is_silent = error.kind() == ErrorKind::Timeout || error.kind() == ErrorKind::Unreachable;
                done.unfollowed.get_or_insert(error);
                if is_silent {
                    break;
                }
            }
        }
    }
}
