//! What happens on a kernel, for whoever watches it: as it happens, and what happened while nobody did.

mod cursor;
mod reader;
mod shape;

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::stream::{self, Stream, StreamExt};
use once_model::ids::{KernelId, ObjectKey};

use crate::api::contract::EventInfo;
use crate::error::OrError;
use crate::kernel::Weak;
use crate::{Error, Kernel};

pub use cursor::EventCursor;
pub(crate) use reader::{Entry, Filter, Reader};
use shape::Shaper;

/// Builder of a look into the event log, made by [`Kernel::watch`]: which events, and from where on.
///
/// ```no_run
/// # async fn run(alice: once::Kernel, bob: once::KernelId, key: once::ObjectKey, cursor: once::EventCursor) -> Result<(), once::Error> {
/// let page = alice.watch().since(cursor).component("Pump").page(100).await?;
/// let mut news = alice.watch().object(key).peer(bob).stream()?;
/// while let Some(event) = news.next().await {
///     println!("{:?}", event?.event);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "nothing is read before `stream` or `page`"]
pub struct Watch {
    kernel: Kernel,
    since: Option<EventCursor>,
    filter: Filter,
}

impl Watch {
    /// Begins after this event, instead of now: what has happened since comes first.
    pub fn since(mut self, cursor: EventCursor) -> Self {
        self.since = Some(cursor);
        self
    }

    /// Only what is about this object.
    pub fn object(mut self, key: ObjectKey) -> Self {
        self.filter.object = Some(key);
        self
    }

    /// Only what is about objects of this component.
    pub fn component(mut self, name: impl Into<String>) -> Self {
        self.filter.component = Some(name.into());
        self
    }

    /// Only what is about this kernel: who sent, acted, answered or is connected.
    pub fn peer(mut self, kernel: KernelId) -> Self {
        self.filter.peer = Some(kernel);
        self
    }

    /// Reads what happened, and goes on with what happens. It keeps no kernel running; when the kernel has stopped, the stream ends.
    ///
    /// # Errors
    /// When the place is none of this kernel, or the log cannot be read.
    pub fn stream(self) -> Result<EventStream, Error> {
        let snapshot = self.kernel.shared().snapshot();
        let reader = match self.since {
            None => Reader::from_now(&self.kernel, self.filter)?,
            Some(cursor) => Reader::since(&self.kernel, self.filter, cursor.place_in(&snapshot)?),
        };
        let begins = EventCursor::of(&snapshot, reader.after()).or_error()?;
        let state = State { reader, kernel: self.kernel.downgrade(), shaper: Shaper::default() };
        let parts = stream::try_unfold(state, State::part);
        Ok(EventStream { parts: parts.boxed().fuse(), events: VecDeque::new(), ahead: None, begins })
    }

    /// What is in the log behind that place, about so many events at most: a page ends with a commit, whose events belong
    /// together. Without a place, from the oldest on.
    ///
    /// # Errors
    /// When the place is none of this kernel, or the log cannot be read.
    pub async fn page(self, limit: usize) -> Result<EventPage, Error> {
        let snapshot = self.kernel.shared().snapshot();
        let after = self.since.unwrap_or(EventCursor::START).place_in(&snapshot)?;
        let (kernel, filter) = (self.kernel.clone(), self.filter);
        let read = crate::beside::wait_for(move || {
            let (mut entries, mut after) = (VecDeque::new(), after);
            loop {
                let part = reader::read(&snapshot, after, None, &filter)?;
                entries.extend(part.entries);
                after = part.after;
                if part.is_last || entries.len() >= limit {
                    let mut shaper = Shaper::default();
                    let events = entries
                        .iter()
                        .map(|entry| shaper.info(&kernel, &snapshot, entry))
                        .collect::<Result<_, _>>()?;
                    return Ok(EventPage {
                        events,
                        cursor: EventCursor::of(&snapshot, after).or_error()?,
                        is_last: part.is_last,
                    });
                }
            }
        });
        read.await.map_err(|_| Error::fault("reading the event log panicked"))?
    }
}

/// A reader, and what makes shapes of what it reads.
struct State {
    reader: Reader,
    kernel: Weak,
    shaper: Shaper,
}

impl State {
    /// The next part of the log, in its shape; nothing when the kernel has stopped.
    async fn part(mut self) -> Result<Option<(VecDeque<EventInfo>, Self)>, Error> {
        let Some(entries) = self.reader.part().await? else { return Ok(None) };
        let Some(kernel) = self.kernel.upgrade() else { return Ok(None) };
        let mut shaper = self.shaper;
        let shaped = crate::beside::wait_for(move || {
            let snapshot = kernel.shared().snapshot();
            let infos: Result<VecDeque<_>, Error> =
                entries.iter().map(|entry| shaper.info(&kernel, &snapshot, entry)).collect();
            (infos, shaper)
        });
        let (infos, shaper) = shaped.await.map_err(|_| Error::fault("reading the event log panicked"))?;
        Ok(Some((infos?, Self { shaper, ..self })))
    }
}

/// A page of the event log.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EventPage {
    /// What happened, oldest first.
    pub events: Vec<EventInfo>,
    /// The place behind the last event that was looked at.
    pub cursor: EventCursor,
    /// Whether this is all that there is now.
    pub is_last: bool,
}

/// What happens on a kernel, in its order. Each event has its place. Keep the place of the last one that you have seen, and you miss
/// nothing, however long you are away. What the log does not have any more is told as [`Event::Gap`](crate::Event::Gap), with its size.
#[must_use = "a stream does nothing unless it is read"]
pub struct EventStream {
    /// Parts of the log, as they are read.
    parts: Parts,
    /// What is left of the part that is being told.
    events: VecDeque<EventInfo>,
    /// The next one: read beside, while this one is told.
    ahead: Option<Result<VecDeque<EventInfo>, Error>>,
    begins: EventCursor,
}

type Parts = stream::Fuse<stream::BoxStream<'static, Result<VecDeque<EventInfo>, Error>>>;

impl EventStream {
    /// The place behind which it began.
    #[must_use]
    pub fn begins(&self) -> EventCursor {
        self.begins
    }

    /// The next event; `None` when the kernel has stopped.
    ///
    /// # Errors
    /// When the log cannot be read; the stream has ended then.
    pub async fn next(&mut self) -> Option<Result<EventInfo, Error>> {
        StreamExt::next(self).await
    }
}

impl Stream for EventStream {
    type Item = Result<EventInfo, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if self.ahead.is_none() {
                match self.parts.poll_next_unpin(context) {
                    Poll::Ready(Some(part)) => self.ahead = Some(part),
                    Poll::Ready(None) if self.events.is_empty() => return Poll::Ready(None),
                    Poll::Pending if self.events.is_empty() => return Poll::Pending,
                    Poll::Ready(None) | Poll::Pending => {}
                }
            }
            if let Some(event) = self.events.pop_front() {
                return Poll::Ready(Some(Ok(event)));
            }
            match self.ahead.take() {
                Some(Ok(part)) => self.events = part,
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => {}
            }
        }
    }
}

impl Kernel {
    /// Watches what happens on this kernel: from now on, or since a place that somebody kept.
    ///
    /// ```
    /// # async fn run() -> Result<(), once::Error> {
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let data = dir.path().join("alice");
    /// # once::init(&data, once::InitOptions::default())?;
    /// # let alice = once::Kernel::builder(&data).listen("127.0.0.1:0").start().await?;
    /// let mut events = alice.watch().component("Note").stream()?;
    /// alice.import(r#"{"ior":{"component":"Note"},"model":{"text":"hello"}}"#).await?;
    /// let seen = events.next().await.expect("the kernel runs")?;
    /// assert!(matches!(seen.event, once::Event::Changed(_)));
    ///
    /// // Later, perhaps after a restart: all that has happened since.
    /// let later = alice.watch().since(seen.cursor.parse()?).page(100).await?;
    /// assert!(later.is_last && later.events.is_empty());
    /// # alice.stop().await
    /// # }
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(run()).unwrap();
    /// ```
    pub fn watch(&self) -> Watch {
        Watch { kernel: self.clone(), since: None, filter: Filter::default() }
    }

    /// The place of the newest event in the log.
    ///
    /// ```no_run
    /// # async fn run(alice: once::Kernel) -> Result<(), once::Error> {
    /// let now = alice.newest_event()?;
    /// let page = alice.watch().since(now).page(100).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn newest_event(&self) -> Result<EventCursor, Error> {
        let (newest, snapshot) = reader::newest(self)?;
        EventCursor::of(&snapshot, newest).or_error()
    }
}
