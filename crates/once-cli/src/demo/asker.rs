//! A client of one kernel, which goes on when that kernel was killed and is there again.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use once::ErrorKind;
use once::api::contract::{Method, exit_of_error};
use once::api::{ApiError, Client};
use once::model::ids::Uuid;

use super::examples::Dice;
use crate::failure::UNREACHABLE;

/// How long a client waits for one answer before it asks again, in milliseconds.
pub const ANSWER_MS: u64 = 4_000;

/// How long all of it may go on without an outcome.
pub const STALL_MAX: Duration = Duration::from_secs(60);

/// How long a client pauses before it asks a kernel again that does not answer.
const PAUSE: Duration = Duration::from_millis(10);

/// Asks one kernel until it has an outcome.
pub struct Asker {
    data: PathBuf,
    client: Option<Client>,
}

impl Asker {
    /// Of the kernel with this data directory.
    pub fn new(data: PathBuf) -> Self {
        Self { data, client: None }
    }

    /// Asks until there is an outcome, with the same words: the kernel may have been killed, the home may be away. Says how
    /// often it had to ask; `requests` counts that, too.
    pub async fn ask<M: Method + Clone>(
        &mut self,
        params: &M,
        requests: &AtomicU64,
    ) -> (Result<M::Result, String>, u64) {
        let begun = Instant::now();
        for tries in 1.. {
            if self.client.is_none() {
                self.client = Client::connect(&self.data).await.ok().flatten();
            }
            let Some(open) = self.client.as_ref() else {
                if begun.elapsed() > STALL_MAX {
                    return (Err("a kernel does not come back".into()), tries);
                }
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            requests.fetch_add(1, Ordering::Relaxed);
            let call = open.ask(params.clone());
            match tokio::time::timeout(2 * Duration::from_millis(ANSWER_MS), call).await {
                Ok(Ok(answer)) => return (Ok(answer), tries),
                // Refused or failed for good: nothing here may be.
                Ok(Err(error)) if is_final(&error) && error.kind() != ErrorKind::DiskFull => {
                    return (Err(format!("{}: {error}", M::NAME)), tries);
                }
                _ if begun.elapsed() > STALL_MAX => {
                    return (Err(format!("{}: no outcome for {} s", M::NAME, STALL_MAX.as_secs())), tries);
                }
                Ok(Err(error)) if error.kind() == ErrorKind::Unknown => {}
                _ => {
                    self.client = None;
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
        (Err("asked too often".into()), u64::MAX)
    }

    /// Asks once: nothing if the kernel does not answer, or says no.
    pub async fn try_once<M: Method>(&mut self, params: M) -> Option<M::Result> {
        if self.client.is_none() {
            self.client = Client::connect(&self.data).await.ok().flatten();
        }
        let call = self.client.as_ref()?.ask(params);
        match tokio::time::timeout(2 * Duration::from_millis(ANSWER_MS), call).await {
            Ok(Ok(answer)) => Some(answer),
            // It refused: the connection is good.
            Ok(Err(error)) if is_final(&error) => None,
            _ => {
                self.client = None;
                None
            }
        }
    }
}

/// A UUID of version 7.
pub fn new_id(dice: &mut Dice) -> Uuid {
    let ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
    let mut bytes = *dice.uuid().as_bytes();
    bytes[..6].copy_from_slice(&ms.to_be_bytes()[2..]);
    bytes[6] = 0x70 | bytes[6] & 0x0f;
    Uuid::from_bytes(bytes)
}

/// The kernel was reached and said what came of it: neither away, nor stopping, nor unsure.
fn is_final(error: &ApiError) -> bool {
    exit_of_error(error) != UNREACHABLE
}
