//! Frames on a stream: a 32-bit big-endian length, then that many bytes.

use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use iroh::endpoint::{RecvStream, SendStream};
use once_model::limits::FRAME_MAX_BYTES;
use once_model::wire::{Code, Frame, WireError};

/// How much is read from the transport at once, in bytes.
const CHUNK: usize = 64 * 1024;

/// A stream on which nothing moves for this long, while something should, has failed: whoever stops reading or writing
/// in the middle must not keep for ever what is reserved for it here.
pub(super) const STALL_MAX: Duration = Duration::from_secs(30);

/// Of a body, so much must get through within [`STALL_MAX`], in bytes.
pub(super) const BODY_PIECE: usize = 128 * 1024;

/// Why a stream ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NetError {
    #[error("the stream ended in the middle of a frame")]
    Torn,
    #[error("a frame of {0} bytes is longer than the limit of {FRAME_MAX_BYTES}")]
    TooLong(usize),
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error("the stream broke: {0}")]
    Broken(String),
    #[error("nothing moved for {} s", STALL_MAX.as_secs())]
    Stalled,
    #[error("the peer has other bytes by now")]
    Gone,
    #[error("the peer is too busy to give it now")]
    Busy,
    #[error("there is no room here for what has come of it")]
    NoRoom,
    #[error("no control stream was opened in time")]
    NoStream,
    #[error("this kernel is stopping")]
    Stopping,
    #[error("unexpected frame: {0}")]
    Unexpected(&'static str),
}

impl NetError {
    /// What was announced has changed since.
    pub(crate) fn is_gone(&self) -> bool {
        matches!(self, Self::Gone)
    }

    /// With what a stream is reset that ends because of it.
    pub fn code(&self) -> Code {
        match self {
            Self::Wire(_) | Self::TooLong(_) | Self::Torn | Self::Unexpected(_) => Code::Invalid,
            Self::Stopping => Code::Stopping,
            _ => Code::Busy,
        }
    }
}

/// Reads frames, and raw bytes between them.
pub(crate) struct FrameReader {
    stream: RecvStream,
    buffer: BytesMut,
    /// Whether something must come within [`STALL_MAX`] whenever it is waited for.
    hurried: bool,
}

impl FrameReader {
    /// A control stream: it may be silent for as long as the connection lives.
    pub fn new(stream: RecvStream) -> Self {
        Self { stream, buffer: BytesMut::new(), hurried: false }
    }

    /// A stream for one purpose: the other side has something to say whenever this side waits.
    pub fn hurried(stream: RecvStream) -> Self {
        Self { hurried: true, ..Self::new(stream) }
    }

    /// The next frame's bytes; `None` at the end of the stream.
    async fn next_bytes(&mut self) -> Result<Option<BytesMut>, NetError> {
        loop {
            if let Some((length, _)) = self.buffer.split_first_chunk::<4>() {
                let length = u32::from_be_bytes(*length) as usize;
                if length > FRAME_MAX_BYTES {
                    return Err(NetError::TooLong(length));
                }
                if self.buffer.len() >= 4 + length {
                    self.buffer.advance(4);
                    return Ok(Some(self.buffer.split_to(length)));
                }
            }
            if !self.fill().await? {
                return if self.buffer.is_empty() { Ok(None) } else { Err(NetError::Torn) };
            }
        }
    }

    async fn chunk(&mut self, max: usize) -> Result<Option<Bytes>, NetError> {
        let read = self.stream.read_chunk(max);
        let read = match self.hurried {
            true => tokio::time::timeout(STALL_MAX, read).await.map_err(|_| NetError::Stalled)?,
            false => read.await,
        };
        read.map_err(|e| NetError::Broken(e.to_string()))
    }

    async fn fill(&mut self) -> Result<bool, NetError> {
        match self.chunk(CHUNK).await? {
            Some(chunk) => {
                self.buffer.extend_from_slice(&chunk);
                Ok(true)
            }
            None => Ok(false),
        }
    }

    /// The next frame that this version knows; `None` at the end of the stream. Frames of unknown number are skipped:
    /// a newer peer may say more.
    pub async fn next(&mut self) -> Result<Option<Frame>, NetError> {
        loop {
            let Some(bytes) = self.next_bytes().await? else { return Ok(None) };
            match Frame::decode(&bytes) {
                Ok(frame) => return Ok(Some(frame)),
                Err(error @ WireError::Unknown(_)) => tracing::debug!(%error, "skipped"),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The first frame of a stream, which says what it is about: one of unknown number does not, and is skipped nowhere.
    pub async fn first(&mut self) -> Result<Frame, NetError> {
        let bytes = self.next_bytes().await?.ok_or(NetError::Torn)?;
        match Frame::decode(&bytes) {
            Err(WireError::Unknown(_)) => Err(NetError::Unexpected("a stream of an unknown kind")),
            decoded => Ok(decoded?),
        }
    }

    /// The next frame, where one must come.
    pub async fn expect(&mut self) -> Result<Frame, NetError> {
        self.next().await?.ok_or(NetError::Torn)
    }

    /// Raw bytes, so many, as they come. A byte now and then is not progress: all of them must come within
    /// [`STALL_MAX`]. A stream that ends before that has broken, however it ended.
    pub async fn raw(&mut self, mut length: usize, mut take: impl FnMut(&[u8])) -> Result<(), NetError> {
        let have = self.buffer.split_to(self.buffer.len().min(length));
        length -= have.len();
        take(&have);
        let read = async {
            while length > 0 {
                let chunk = self.chunk(length).await?;
                let chunk = chunk.ok_or_else(|| NetError::Broken("the body ended early".into()))?;
                length -= chunk.len();
                take(&chunk);
            }
            Ok(())
        };
        tokio::time::timeout(STALL_MAX, read).await.map_err(|_| NetError::Stalled)?
    }
}

/// Adds a frame to a buffer.
pub(crate) fn put(buffer: &mut Vec<u8>, frame: &Frame) {
    let bytes = frame.shortened().map_or_else(|| frame.encode(), |short| short.encode());
    // An encoded frame is bounded by what this kernel puts into it, far below 4 GiB.
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    buffer.extend_from_slice(&length.to_be_bytes());
    buffer.extend_from_slice(&bytes);
}

/// Sends one frame.
pub(crate) async fn send(stream: &mut SendStream, frame: &Frame) -> Result<(), NetError> {
    let mut buffer = Vec::new();
    put(&mut buffer, frame);
    write(stream, &buffer).await
}

/// Writes all of the bytes, unless nothing moves for too long.
pub(crate) async fn write(stream: &mut SendStream, mut bytes: &[u8]) -> Result<(), NetError> {
    while !bytes.is_empty() {
        let written = tokio::time::timeout(STALL_MAX, stream.write(bytes)).await;
        let written = written.map_err(|_| NetError::Stalled)?.map_err(|e| NetError::Broken(e.to_string()))?;
        bytes = bytes.get(written..).unwrap_or_default();
    }
    Ok(())
}

/// Sends a piece of a body, of at most [`BODY_PIECE`] bytes, without copying it.
pub(super) async fn write_piece(stream: &mut SendStream, piece: Bytes) -> Result<(), NetError> {
    let written = tokio::time::timeout(STALL_MAX, stream.write_chunk(piece)).await;
    written.map_err(|_| NetError::Stalled)?.map_err(|e| NetError::Broken(e.to_string()))
}
