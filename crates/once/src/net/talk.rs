//! What is said on a connection, as long as it lives: reading, writing, answering.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use iroh::endpoint::{Connection, ConnectionError, SendStream, VarInt};
use once_core::access;
use once_core::shell::{Asked, Heard, checked, hear, share_of};
use once_core::waist::{Input, LinkEvent};
use once_model::ids::KernelId;
use once_model::limits::HELLO_TIMEOUT_MS;
use once_model::sign::KernelKey;
use once_model::wire::{Code, FEATURE_FIND, Frame, Parcel};
use tokio::sync::mpsc;

use super::frames::{self, FrameReader, NetError};
use super::outgoing::{Outgoing, answer_bytes};
use super::strangers::Opened;
use super::{Net, address, chains, lock, pulls, streams};
use crate::net::Out;
use crate::shell::{Mail, Snapshot, now_ms};

use super::session::{Session, close_code};

/// Requests of a peer that may wait to be answered. Whoever asks for more is read no further until then.
const REQUESTS_MAX: usize = 128;

/// Of these, so many are answered in one go: with 64 KiB each a MiB.
const REQUESTS_AT_ONCE: usize = 16;

/// What was said last should arrive before the connection goes; whoever is slower than this does without.
const CLOSE_PATIENCE: Duration = Duration::from_millis(500);

/// Bytes that are written at once.
const WRITE_BYTES: usize = 128 * 1024;

impl Session {
    /// Tells the engine what the peer said, as soon as it has a place.
    pub(super) async fn pass_on(&self, net: &Net, input: Input) {
        // The places are never closed; a closed mailbox means that the kernel stops.
        if let Ok(place) = Arc::clone(&self.places).acquire_owned().await {
            let _ = net.shared.mail.send(Mail::Said(input, place)).await;
        }
    }

    /// Looks into the store as of the last commit, because the peer wants something of it: beside the network's thread,
    /// one look at a time for each connection.
    pub(super) async fn read_beside<T: Send + 'static>(
        &self,
        net: &Net,
        look: impl FnOnce(&Snapshot) -> T + Send + 'static,
    ) -> Result<T, NetError> {
        let stopping = |_| NetError::Stopping;
        let _mine = self.reading.acquire().await.map_err(stopping)?;
        let _all = net.reading.acquire().await.map_err(stopping)?;
        let snapshot = net.shared.snapshot();
        crate::beside::wait_for(move || look(&snapshot)).await.map_err(|_| NetError::Stopping)
    }
}

/// Runs a connection until it ends.
pub(super) async fn run(
    net: &Arc<Net>,
    connection: Connection,
    peer: KernelId,
    dialled: bool,
    opened: Option<Opened>,
) {
    let conn = net.next_conn();
    let (out, outgoing) = Outgoing::new();
    let session = Arc::new(Session::new(connection.clone(), peer, conn, dialled, out.clone()));
    lock(&net.sessions).insert(conn, Arc::clone(&session));
    net.connects.notify_one();
    let mail = &net.shared.mail;
    let address = address::address_of(&connection);
    let _ = mail.send(Mail::Conn { conn, out }).await;
    net.tell(Input::Link { peer, event: LinkEvent::Up { conn, dialled, address } }).await;

    let streams = tokio::spawn(streams::serve(Arc::clone(net), Arc::clone(&session), peer));
    let ended = talk(net, &session, opened, outgoing).await;
    streams.abort();
    match &ended {
        Ok(()) => tracing::debug!(peer = %peer.short(), conn, "the session ended"),
        Err(error) => tracing::debug!(peer = %peer.short(), conn, %error, "the session ended"),
    }
    if ended.as_ref().is_err_and(|error| error.code() == Code::Invalid) {
        connection.close(VarInt::from_u32(close_code(Code::Invalid)), b"not the protocol");
    }
    match session.closing.get() {
        // Also when the other side has let go of the stream before this one came to say so.
        Some(code) => connection.close(VarInt::from_u32(close_code(*code)), b""),
        None if ended.is_ok() => {
            // The stream's end comes first; why the connection closes comes right behind it.
            let _ = tokio::time::timeout(CLOSE_PATIENCE, connection.closed()).await;
        }
        None => {}
    }
    if let Some(ConnectionError::ApplicationClosed(close)) = connection.close_reason() {
        let says = |code| close.error_code == VarInt::from_u32(close_code(code));
        // A denial that came only as the close of the connection is a denial all the same.
        if says(Code::Denied) {
            net.tell(Input::Frame { peer, conn, frame: Frame::Denied(Code::Denied) }).await;
        }
    }
    let reason = session.end().to_owned();
    connection.close(VarInt::from_u32(0), b"");
    lock(&net.sessions).remove(&conn);
    lock(&session.calls).clear();
    if !access::is_admitted(&net.shared.snapshot(), &peer).unwrap_or(true) {
        net.incoming.sweep(|other| *other != peer);
    }
    net.tell(Input::Link { peer, event: LinkEvent::Down { conn, reason } }).await;
    let _ = mail.send(Mail::Gone { conn }).await;
}

/// Opens the control stream and speaks on it, both ways.
async fn talk(
    net: &Arc<Net>,
    session: &Session,
    opened: Option<Opened>,
    outgoing: mpsc::UnboundedReceiver<Out>,
) -> Result<(), NetError> {
    let (send, reader, first) = match opened {
        Some(Opened { send, reader, first }) => (send, reader, Some(first)),
        None => {
            let open = async {
                match session.dialled {
                    true => session.connection.open_bi().await,
                    false => session.connection.accept_bi().await,
                }
            };
            let limit = Duration::from_millis(HELLO_TIMEOUT_MS);
            let opened = tokio::time::timeout(limit, open).await;
            let (send, recv) =
                opened.map_err(|_| NetError::NoStream)?.map_err(|e| NetError::Broken(e.to_string()))?;
            (send, FrameReader::new(recv), None)
        }
    };
    session.control_taken.notify_one();
    let (ask, asked) = mpsc::channel(REQUESTS_MAX);
    tokio::select! {
        ended = read(net, session, reader, first, ask) => ended,
        ended = answer(net, session, asked) => ended,
        ended = write(send, outgoing, session) => ended,
    }
}

async fn write(
    mut stream: SendStream,
    mut outgoing: mpsc::UnboundedReceiver<Out>,
    session: &Session,
) -> Result<(), NetError> {
    let mut buffer = Vec::new();
    while let Some(mut out) = outgoing.recv().await {
        let mut close = None;
        let (mut count, mut bytes) = (0, 0);
        loop {
            match out {
                Out::Frame(frame) => {
                    frames::put(&mut buffer, &frame);
                    let answer = answer_bytes(&frame);
                    count += usize::from(answer.is_some());
                    bytes += answer.unwrap_or(0);
                }
                Out::Close(code) => {
                    close = Some(code);
                    break;
                }
            }
            if buffer.len() >= WRITE_BYTES {
                break;
            }
            match outgoing.try_recv() {
                Ok(next) => out = next,
                Err(_) => break,
            }
        }
        frames::write(&mut stream, &buffer).await?;
        buffer.clear();
        session.out.written(count, bytes);
        if let Some(code) = close {
            let _ = session.closing.set(code);
            let _ = stream.finish();
            let _ = tokio::time::timeout(CLOSE_PATIENCE, stream.stopped()).await;
            return Ok(());
        }
    }
    Ok(())
}

async fn read(
    net: &Arc<Net>,
    session: &Session,
    mut reader: FrameReader,
    first: Option<Frame>,
    ask: mpsc::Sender<Asked>,
) -> Result<(), NetError> {
    let (peer, conn) = (session.peer, session.conn);
    let mut next = first;
    loop {
        let mut frame = match next.take() {
            Some(frame) => frame,
            None => match reader.next().await? {
                Some(frame) => frame,
                None => return Ok(()),
            },
        };
        session.out.room().await;
        if let Frame::Hello(greeting) | Frame::Admitted(greeting) = &frame {
            session.finds.store(greeting.features.contains(&FEATURE_FIND), Ordering::Relaxed);
        }
        if !chains::complete(net, session, frame.chain_mut()).await? {
            continue;
        }
        match hear(peer, conn, frame) {
            Heard::Tell(input) => session.pass_on(net, input).await,
            Heard::Check(parcel) => shared(net, session, parcel).await?,
            Heard::Answer(asked) => ask.send(asked).await.map_err(|_| NetError::Stopping)?,
            Heard::Answers(call, frame) => answered(session, call, frame),
            Heard::Nothing => {}
        }
    }
}

/// The answer; none if what was asked for cannot be read, and the peer need not know.
fn look_up(asked: &Asked, snapshot: &Snapshot, key: &KernelKey, peer: &KernelId) -> Option<Frame> {
    asked.answer(snapshot, key, peer, now_ms()).map_or_else(
        |error| {
            tracing::error!(%error, "what a peer asked for could not be read");
            asked.unread()
        },
        Some,
    )
}

/// Answers what the peer asks for, as of a commit after it was asked.
async fn answer(
    net: &Arc<Net>,
    session: &Session,
    mut waiting: mpsc::Receiver<Asked>,
) -> Result<(), NetError> {
    // The first may have come right behind `admitted`, which is on its way through the engine.
    session.admitted().await;
    let mut some = Vec::with_capacity(REQUESTS_AT_ONCE);
    while waiting.recv_many(&mut some, REQUESTS_AT_ONCE).await > 0 {
        // One that costs little: a thread's turn would cost more. With a second one behind it, it may be a flood.
        if let [asked] = some.as_slice() {
            let snapshot = net.shared.snapshot();
            if asked.is_quick(&snapshot) {
                let answers = some
                    .drain(..)
                    .filter_map(|asked| look_up(&asked, &snapshot, &net.shared.key, &session.peer));
                answers.for_each(|frame| session.say(frame));
                continue;
            }
        }
        let (shared, peer, some) = (Arc::clone(&net.shared), session.peer, std::mem::take(&mut some));
        let answers = session.read_beside(net, move |snapshot| {
            some.into_iter()
                .filter_map(|asked| look_up(&asked, snapshot, &shared.key, &peer))
                .collect::<Vec<_>>()
        });
        for frame in answers.await? {
            session.out.room().await;
            session.say(frame);
        }
    }
    // Nobody asks any more, but the connection goes on until the reader says why it ends.
    std::future::pending().await
}

/// A share with its bytes: checked here, beside the engine.
async fn shared(net: &Net, session: &Session, parcel: Parcel) -> Result<(), NetError> {
    let (peer, conn) = (session.peer, session.conn);
    let share = share_of(&parcel);
    let result = pulls::check(peer, parcel).await?;
    if let Err(code) = result {
        super::say_of!(net, peer, warn, key = %share.0, ?code, "refused an invalid share");
    }
    session.pass_on(net, checked(peer, conn, share, result)).await;
    Ok(())
}

fn answered(session: &Session, call: u64, frame: Frame) {
    if let Some(reply) = lock(&session.calls).remove(&call) {
        let _ = reply.send(frame);
    }
}
