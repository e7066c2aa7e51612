//! Frames on a stream: a 32-bit big-endian length, then that many bytes.

use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use iroh::endpoint::{RecvStream, SendStream};
use once_model::limits::FRAME_MAX_BYTES;
use once_model::wire::{Frame, WireError};

/// How much is read from the transport at once, in bytes.
const CHUNK: usize = 64 * 1024;

/// A stream on which nothing moves for this long, while something should, has failed: whoever stops reading or writing
/// in the middle must not keep for ever what is reserved for it here.
const STALL_MAX: Duration = Duration::from_secs(30);

/// Of a body, so much must get through within [`STALL_MAX`], in bytes.
const BODY_PIECE: usize = 128 * 1024;

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
    #[error("unexpected frame: {0}")]
    Unexpected(&'static str),
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

    /// The next frame, where one must come.
    pub async fn expect(&mut self) -> Result<Frame, NetError> {
        self.next().await?.ok_or(NetError::Torn)
    }

    /// Raw bytes.
    pub async fn raw(&mut self, length: usize) -> Result<Bytes, NetError> {
        let mut out = Vec::with_capacity(length);
        self.raw_into(&mut out, length).await?;
        Ok(out.into())
    }

    /// Raw bytes, until there are `length` of them. What came before a break stays in `out`.
    pub async fn raw_into(&mut self, out: &mut Vec<u8>, length: usize) -> Result<(), NetError> {
        let have = self.buffer.len().min(length.saturating_sub(out.len()));
        out.extend_from_slice(&self.buffer.split_to(have));
        while out.len() < length {
            let piece = out.len() + (length - out.len()).min(BODY_PIECE);
            let read = async {
                while out.len() < piece {
                    let chunk = self.chunk(piece - out.len()).await?;
                    out.extend_from_slice(&chunk.ok_or(NetError::Torn)?);
                }
                Ok::<_, NetError>(())
            };
            // A byte now and then is not progress: what is reserved for it here others wait for.
            tokio::time::timeout(STALL_MAX, read).await.map_err(|_| NetError::Stalled)??;
        }
        Ok(())
    }
}

/// Adds a frame to a buffer.
pub(crate) fn put(buffer: &mut Vec<u8>, frame: &Frame) {
    let bytes = frame.encode();
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

/// Sends bytes.
pub(crate) async fn write(stream: &mut SendStream, mut bytes: &[u8]) -> Result<(), NetError> {
    while !bytes.is_empty() {
        let written = tokio::time::timeout(STALL_MAX, stream.write(bytes)).await;
        let written = written.map_err(|_| NetError::Stalled)?.map_err(|e| NetError::Broken(e.to_string()))?;
        bytes = bytes.get(written..).unwrap_or_default();
    }
    Ok(())
}

/// Sends a large body, without copying it.
pub(crate) async fn write_body(stream: &mut SendStream, mut body: Bytes) -> Result<(), NetError> {
    while !body.is_empty() {
        let piece = body.split_to(body.len().min(BODY_PIECE));
        let written = tokio::time::timeout(STALL_MAX, stream.write_chunk(piece)).await;
        written.map_err(|_| NetError::Stalled)?.map_err(|e| NetError::Broken(e.to_string()))?;
    }
    Ok(())
}
