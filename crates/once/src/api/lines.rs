//! Lines that clients say, within one budget of memory for all of them.
//!
//! A short line is nobody else's business. A longer one takes a place first: one of several for lines up to a MiB, or the one
//! turn for those up to the longest. Whoever has its place has all that it needs, so that nobody waits for each other; the
//! place is free again when the line was understood.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufRead, AsyncBufReadExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::Error;
use crate::component::Slot;

/// Longest line in bytes, either way: a scenario of 64 MiB as a JSON text, with room for escapes.
pub(super) const LINE_MAX_BYTES: usize = 128 * 1024 * 1024;

/// So much of a line needs no place. What one connection may hold without one.
const SHORT_MAX_BYTES: usize = 64 * 1024;

/// The longest line that needs no turn, and how many of them there may be.
const MIDDLE_MAX_BYTES: usize = 1024 * 1024;
const MIDDLE_AT_ONCE: usize = 32;

/// Lines beyond that, at once.
const LONG_AT_ONCE: usize = 1;

/// How long a client waits for a place before it is refused.
const PLACE_WAIT: Duration = Duration::from_millis(if cfg!(test) { 50 } else { 30_000 });

/// A client that has a place and says nothing for so long loses it, with its connection.
const SILENCE_MAX: Duration = Duration::from_millis(if cfg!(test) { 50 } else { 5_000 });

/// The places of one kernel.
#[derive(Debug, Clone)]
pub(super) struct Places {
    middle: Arc<Semaphore>,
    long: Arc<Semaphore>,
}

impl Default for Places {
    fn default() -> Self {
        let (middle, long) = (Semaphore::new(MIDDLE_AT_ONCE), Semaphore::new(LONG_AT_ONCE));
        Self { middle: Arc::new(middle), long: Arc::new(long) }
    }
}

/// A line, and its place.
#[derive(Debug, Default)]
pub(super) struct Spoken {
    pub bytes: Vec<u8>,
    place: Option<OwnedSemaphorePermit>,
    /// Bytes that the place is for.
    most: usize,
}

impl Spoken {
    /// Room for so many bytes more.
    async fn grow(&mut self, more: usize, places: &Places) -> Result<(), Error> {
        let needed = self.bytes.len() + more;
        if needed > LINE_MAX_BYTES {
            return Err(Error::usage(format!("a line is longer than {LINE_MAX_BYTES} bytes")));
        }
        if needed > SHORT_MAX_BYTES.max(self.most) {
            let (kind, most) = match needed {
                ..=MIDDLE_MAX_BYTES => (&places.middle, MIDDLE_MAX_BYTES),
                _ => (&places.long, LINE_MAX_BYTES),
            };
            let place = tokio::time::timeout(PLACE_WAIT, Arc::clone(kind).acquire_owned()).await;
            let Ok(Ok(place)) = place else {
                return Err(Error::quota("other clients say long lines: there is no room for this one")
                    .with_hint("try again when they have ended, or say less in one line"));
            };
            (self.place, self.most) = (Some(place), most);
        }
        if needed > self.bytes.capacity() {
            // By doubling, but never beyond what the place is for.
            let limit = SHORT_MAX_BYTES.max(self.most);
            let capacity = needed.max(2 * self.bytes.capacity()).min(limit);
            self.bytes.reserve_exact(capacity - self.bytes.len());
        }
        Ok(())
    }
}

/// The next line; `None` at the end, also if the client broke off.
///
/// # Errors
/// When the line is too long, or there is no room for it: the rest of it must not be taken for another line.
pub(super) async fn next(
    reader: &mut (impl AsyncBufRead + Unpin),
    places: &Places,
) -> Result<Option<Spoken>, Error> {
    let mut line = Spoken::default();
    loop {
        let chunk = match line.place {
            None => reader.fill_buf().await,
            Some(_) => match tokio::time::timeout(SILENCE_MAX, reader.fill_buf()).await {
                Ok(chunk) => chunk,
                Err(_) => {
                    return Err(Error::timeout(format!(
                        "a long line stopped for {} s: its place is needed by others",
                        SILENCE_MAX.as_secs()
                    )));
                }
            },
        };
        let chunk = match chunk {
            Ok([]) => return Ok(Some(line).filter(|line| !line.bytes.is_empty())),
            Ok(chunk) => chunk,
            Err(_) => return Ok(None),
        };
        let end = chunk.iter().position(|byte| *byte == b'\n');
        let part = chunk.get(..end.unwrap_or(chunk.len())).unwrap_or(chunk);
        line.grow(part.len(), places).await?;
        line.bytes.extend_from_slice(part);
        let taken = part.len() + usize::from(end.is_some());
        reader.consume(taken);
        if end.is_some() {
            return Ok(Some(line));
        }
    }
}

/// One line for the client.
pub(super) struct Line {
    pub text: String,
    /// Dropped when the line is written.
    pub slot: Option<Arc<Slot>>,
}

impl From<String> for Line {
    fn from(text: String) -> Self {
        Self { text, slot: None }
    }
}

impl From<Value> for Line {
    fn from(line: Value) -> Self {
        Self { text: line.to_string(), slot: None }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::BufReader;

    use super::*;
    use crate::ErrorKind;

    fn run<T>(test: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(test)
    }

    /// What all of them hold, whatever they say.
    fn held(lines: &[Spoken]) -> usize {
        lines.iter().map(|line| line.bytes.capacity()).sum()
    }

    #[test]
    fn lines_come_one_by_one_and_the_last_needs_no_end() {
        run(async {
            let mut reader = BufReader::with_capacity(3, &b"ab\n\nlonger\nend"[..]);
            let places = Places::default();
            for expected in ["ab", "", "longer", "end"] {
                assert_eq!(next(&mut reader, &places).await.unwrap().unwrap().bytes, expected.as_bytes());
            }
            assert!(next(&mut reader, &places).await.unwrap().is_none());
        });
    }

    #[test]
    fn many_unfinished_lines_stay_within_one_budget() {
        run(async {
            let places = Places::default();
            let mut lines: Vec<Spoken> = (0..100).map(|_| Spoken::default()).collect();
            let mut refused = 0;
            for line in &mut lines {
                for _ in 0..20 {
                    let part = vec![b'x'; 128 * 1024];
                    match line.grow(part.len(), &places).await {
                        Ok(()) => line.bytes.extend(part),
                        Err(error) => {
                            assert_eq!(error.kind(), ErrorKind::Quota);
                            refused += 1;
                            break;
                        }
                    }
                }
            }
            assert!(refused > 0);
            let budget = LINE_MAX_BYTES + MIDDLE_AT_ONCE * MIDDLE_MAX_BYTES + lines.len() * SHORT_MAX_BYTES;
            assert!(held(&lines) <= budget, "{} of {budget}", held(&lines));
            // What is understood makes room for others.
            drop(lines);
            let mut late = Spoken::default();
            late.grow(2 * MIDDLE_MAX_BYTES, &places).await.unwrap();
        });
    }

    #[test]
    fn who_stops_within_a_long_line_loses_the_place() {
        run(async {
            let (said, mut heard) = tokio::io::duplex(4 * MIDDLE_MAX_BYTES);
            let mut said = said;
            tokio::io::AsyncWriteExt::write_all(&mut said, &vec![b'x'; 2 * MIDDLE_MAX_BYTES]).await.unwrap();
            let places = Places::default();
            let error = next(&mut BufReader::new(&mut heard), &places).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Timeout);
            assert_eq!(places.long.available_permits(), LONG_AT_ONCE);
        });
    }
}
