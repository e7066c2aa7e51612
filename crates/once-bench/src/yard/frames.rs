//! Frames with a u32 length before them, on one long-lived stream, and the two ways to load such a stream.

use std::fs::File;
use std::io::Write;
use std::time::Instant;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use iroh::endpoint::{RecvStream, SendStream};
use tokio::io::AsyncReadExt;

use crate::Res;
use crate::rounds::{Latency, latency};

/// A small scenario.
pub const REQUEST_LEN: usize = 1024;
/// An acknowledgement with an id, a hash and a status.
pub const ANSWER_LEN: usize = 64;
/// Before a frame.
const HEADER_LEN: usize = 4;
/// What one read takes at most: a full house of requests.
const READ_LEN: usize = 512 * 1024;
/// Enough to leave slow start and fill the caches.
const WARM_UP: usize = 500;

/// A frame ready to be written, its length in front.
pub fn frame(body_len: usize) -> Vec<u8> {
    let mut frame = Vec::with_capacity(HEADER_LEN + body_len);
    frame.put_u32(body_len as u32);
    frame.resize(HEADER_LEN + body_len, b'x');
    frame
}

/// Cuts a stream into frames.
pub struct Frames {
    stream: RecvStream,
    buffer: BytesMut,
}

impl Frames {
    /// Reads from this stream.
    pub fn new(stream: RecvStream) -> Self {
        Self { stream, buffer: BytesMut::with_capacity(READ_LEN) }
    }

    /// Waits for at least one frame and returns all that are there; none when the stream or connection ended.
    pub async fn queued(&mut self) -> Vec<Bytes> {
        let mut frames = Vec::new();
        while frames.is_empty() {
            self.buffer.reserve(READ_LEN);
            match self.stream.read_buf(&mut self.buffer).await {
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            }
            while let Some(frame) = self.cut() {
                frames.push(frame);
            }
        }
        frames
    }

    fn cut(&mut self) -> Option<Bytes> {
        let body_len = self.buffer.first_chunk::<HEADER_LEN>().map(|h| u32::from_be_bytes(*h) as usize)?;
        if self.buffer.len() < HEADER_LEN + body_len {
            return None;
        }
        self.buffer.advance(HEADER_LEN);
        Some(self.buffer.split_to(body_len).freeze())
    }
}

/// Appends requests to the sender's file, if it keeps one, and syncs it.
fn keep(log: Option<&File>, requests: &[u8]) -> Res<()> {
    if let Some(mut log) = log {
        log.write_all(requests)?;
        log.sync_data()?;
    }
    Ok(())
}

/// Asks one request after the other, one in flight.
pub async fn one_by_one(
    send: &mut SendStream,
    answers: &mut Frames,
    count: usize,
    log: Option<&File>,
) -> Res<Latency> {
    let request = frame(REQUEST_LEN);
    let mut times = latency()?;
    for i in 0..WARM_UP + count {
        let start = Instant::now();
        keep(log, &request)?;
        send.write_all(&request).await?;
        if answers.queued().await.is_empty() {
            return Err("the answers ended early".into());
        }
        if i >= WARM_UP {
            times.saturating_record(start.elapsed().as_nanos() as u64);
        }
    }
    Ok(times)
}

/// Keeps `in_flight` requests on their way and returns answers per second.
pub async fn flooded(
    send: &mut SendStream,
    answers: &mut Frames,
    count: usize,
    in_flight: usize,
    log: Option<&File>,
) -> Res<f64> {
    let request_len = HEADER_LEN + REQUEST_LEN;
    let requests = frame(REQUEST_LEN).repeat(in_flight);
    let start = Instant::now();
    let mut sent = in_flight.min(count);
    keep(log, &requests[..sent * request_len])?;
    send.write_all(&requests[..sent * request_len]).await?;
    let mut answered = 0;
    while answered < count {
        let got = answers.queued().await.len();
        if got == 0 {
            return Err("the answers ended early".into());
        }
        answered += got;
        let more = got.min(count - sent);
        if more == 0 {
            continue;
        }
        keep(log, &requests[..more * request_len])?;
        send.write_all(&requests[..more * request_len]).await?;
        sent += more;
    }
    Ok(count as f64 / start.elapsed().as_secs_f64())
}
