//! Giving the bytes of a large body to a peer that pulls them.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use iroh::endpoint::SendStream;
use once_core::exchange;
use once_model::wire::{Absent, Code, Frame, Pull};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::bodies::{HELD_FOR, SCRATCH_UNIT, Way};
use super::frames::{self, BODY_PIECE, NetError};
use super::incoming::Incoming;
use super::{Net, Session};
use crate::shell::now_ms;

/// A body up to this many bytes is held in memory while it is sent: at most two of each peer. A larger one is for
/// [`HELD_FOR`]; what is left then lies in a file without a name, so that a peer that reads slowly holds no memory.
const SMALL_BYTES: u64 = 1024 * 1024;

/// How long a pull waits for room for its file. The asker gives up after 30 s.
const SCRATCH_PATIENCE: Duration = Duration::from_secs(20);

/// Bodies go after everything else that a connection has to say, and share what is left.
const BODY_PRIORITY: i32 = -1;

/// The bytes of a body from an offset on.
enum Source {
    Small(Bytes),
    Held { bytes: Bytes, until: Instant, memory: OwnedSemaphorePermit, room: OwnedSemaphorePermit },
    File { file: Arc<File>, bytes: u64, _room: OwnedSemaphorePermit },
}

/// What became of a pull at first sight.
enum Looked {
    /// Small enough to be sent from memory, or not to be had.
    Done(Result<Bytes, Code>),
    /// A body of so many bytes.
    Large(u64),
}

/// Answers a pull.
pub(super) async fn give(
    net: &Arc<Net>,
    session: &Session,
    send: &mut SendStream,
    pull: Pull,
) -> Result<(), NetError> {
    let _turn = session.large_going.acquire().await;
    // It fails only if the stream is gone.
    let _ = send.set_priority(BODY_PRIORITY);
    let mut source = match find(net, session, &pull).await? {
        Ok(source) => source,
        Err(code) => return frames::send(send, &Frame::Absent(Absent { call: 0, code })).await,
    };
    let bytes = source.len();
    let body = Frame::Body(bytes);
    source = source.while_going(net, std::pin::pin!(frames::send(send, &body))).await?;
    let moving = net.transfers.begin(Way::Out, session.peer, pull.key, pull.offset + bytes);
    let (mut at, mut piece) = (0, source.piece(0).await?);
    while !piece.is_empty() {
        at += piece.len() as u64;
        let going = std::pin::pin!(frames::write_piece(send, piece));
        source = source.while_going(net, going).await?;
        moving.reached(pull.offset + at);
        session.body_moved();
        piece = source.piece(at).await?;
    }
    Ok(())
}

/// The bytes as of one commit, whatever becomes of the object.
async fn find(net: &Arc<Net>, session: &Session, pull: &Pull) -> Result<Result<Source, Code>, NetError> {
    let (peer, asked) = (session.peer, pull.clone());
    let looked = session.read_beside(net, move |snapshot| {
        match exchange::pull_bytes(snapshot, &peer, &asked, now_ms())? {
            Ok(size) if size > SMALL_BYTES => Ok(Looked::Large(size)),
            Ok(_) => exchange::pulled(snapshot, &peer, &asked, now_ms()).map(Looked::Done),
            Err(code) => Ok(Looked::Done(Err(code))),
        }
    });
    let size = match looked.await? {
        Ok(Looked::Done(found)) => return Ok(found.map(Source::Small)),
        Ok(Looked::Large(size)) => size,
        Err(error) => return Ok(Err(unreadable(&error))),
    };
    let Some(room) = room(net, size).await else { return Ok(Err(Code::Busy)) };
    let Some(memory) = net.memory.hold(size).await else { return Ok(Err(Code::Stopping)) };
    let asked = pull.clone();
    let read = session.read_beside(net, move |snapshot| exchange::pulled(snapshot, &peer, &asked, now_ms()));
    let read = read.await?;
    net.shared.tidy.used(usize::try_from(size).unwrap_or(usize::MAX));
    match read {
        Ok(Ok(bytes)) => Ok(Ok(Source::Held { bytes, until: Instant::now() + HELD_FOR, memory, room })),
        Ok(Err(code)) => Ok(Err(code)),
        Err(error) => Ok(Err(unreadable(&error))),
    }
}

/// Room for a copy on the disk.
async fn room(net: &Net, bytes: u64) -> Option<OwnedSemaphorePermit> {
    let units = u32::try_from(bytes.div_ceil(SCRATCH_UNIT)).ok()?;
    let room = Arc::clone(&net.scratch).acquire_many_owned(units);
    let room = tokio::time::timeout(SCRATCH_PATIENCE, room).await.ok()?.ok()?;
    net.incoming.has_disk_for(bytes).then_some(room)
}

fn unreadable(error: &once_core::store::StoreError) -> Code {
    tracing::error!(%error, "a body could not be read");
    Code::Busy
}

impl Source {
    fn len(&self) -> u64 {
        match self {
            Self::Small(bytes) | Self::Held { bytes, .. } => bytes.len() as u64,
            Self::File { bytes, .. } => *bytes,
        }
    }

    /// Waits until a piece has gone. A peer that is slow keeps nothing in memory meanwhile but that piece.
    async fn while_going(
        self,
        net: &Net,
        mut going: Pin<&mut impl Future<Output = Result<(), NetError>>>,
    ) -> Result<Self, NetError> {
        let Self::Held { until, .. } = &self else { return going.await.map(|()| self) };
        if let Ok(gone) = tokio::time::timeout_at(*until, &mut going).await {
            return gone.map(|()| self);
        }
        let kept = self.spilled(&net.incoming).await?;
        going.await.map(|()| kept)
    }

    /// Takes it out of memory.
    async fn spilled(self, incoming: &Arc<Incoming>) -> Result<Self, NetError> {
        let Self::Held { bytes, memory, room, .. } = self else { return Ok(self) };
        let incoming = Arc::clone(incoming);
        let copied = crate::beside::wait_for(move || {
            let _memory = memory;
            let file = incoming.scratch()?;
            file.write_all_at(&bytes, 0)?;
            Ok::<_, io::Error>((file, bytes.len() as u64))
        });
        match copied.await.map_err(|_| NetError::Stopping)? {
            Ok((file, bytes)) => Ok(Self::File { file: Arc::new(file), bytes, _room: room }),
            Err(error) => {
                tracing::warn!(%error, "a large body could not be copied for a peer");
                Err(NetError::Busy)
            }
        }
    }

    /// The next bytes; none at the end.
    async fn piece(&self, at: u64) -> Result<Bytes, NetError> {
        let length = usize::try_from(self.len() - at).unwrap_or(usize::MAX).min(BODY_PIECE);
        if length == 0 {
            return Ok(Bytes::new());
        }
        let from = usize::try_from(at).unwrap_or(usize::MAX);
        match self {
            Self::Small(bytes) => Ok(bytes.slice(from..from + length)),
            // A copy: a slice would keep all of it.
            Self::Held { bytes, .. } => Ok(Bytes::copy_from_slice(&bytes[from..from + length])),
            Self::File { file, .. } => {
                let file = Arc::clone(file);
                let read = crate::beside::wait_for(move || {
                    let mut piece = vec![0; length];
                    file.read_exact_at(&mut piece, at).map(|()| piece)
                });
                let piece = read.await.map_err(|_| NetError::Stopping)?;
                piece.map(Bytes::from).map_err(|error| NetError::Broken(error.to_string()))
            }
        }
    }
}
