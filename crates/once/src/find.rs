//! Looking for objects by what they are, here and at peers.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt};
use once_core::find::{Ask, Budget, page};
use once_core::peers::{self, PeerStatus};
use once_model::find::{Condition, FindError, Finding, Findings, Question};
use once_model::ids::{KernelId, ObjectKey};

use crate::error::OrError;
use crate::net::{self, FindFailed};
use crate::{Error, Kernel};

/// How long a search may take at each kernel unless told otherwise.
pub(crate) const SEARCH_MAX: Duration = Duration::from_secs(30);

/// How long it is waited for a connection to a kernel.
const CONNECTION_MAX: Duration = Duration::from_secs(5);

/// An object that was found, as the kernel that told of it knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundObject {
    kernel: KernelId,
    finding: Finding,
}

impl FoundObject {
    /// The kernel that has it: its home, or one with a replica.
    #[must_use]
    pub fn kernel(&self) -> KernelId {
        self.kernel
    }

    /// Its identity: UUID + line.
    #[must_use]
    pub fn key(&self) -> ObjectKey {
        self.finding.key
    }

    /// The component named in the scenario, or empty.
    #[must_use]
    pub fn component(&self) -> &str {
        &self.finding.component
    }

    /// The component's version, or empty.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.finding.version
    }

    /// The name in its model. It comes from whoever wrote the scenario: escape it for a terminal or a page.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.finding.name.as_deref()
    }

    /// Its home, once claimed.
    #[must_use]
    pub fn home(&self) -> Option<KernelId> {
        self.finding.home
    }

    /// The number of the newest revision at that kernel; 0 for an unclaimed object.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.finding.revision
    }

    /// The scenario's length in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.finding.size
    }

    /// When that kernel stored the newest revision, by its clock, in milliseconds since 1970.
    #[must_use]
    pub fn changed_ms(&self) -> u64 {
        self.finding.changed_ms
    }
}

/// The result of a search: what was found, and which kernels could not be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FoundObjects {
    /// What was found, each kernel's in the order of keys. One object may be found at several kernels.
    pub objects: Vec<FoundObject>,
    /// Kernels that did not answer, or not all of it, and why.
    pub missing: Vec<(KernelId, Error)>,
}

/// One step of a search.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FindStep {
    /// An object was found.
    Object(FoundObject),
    /// A kernel does not answer, or not all of it. The search goes on at the others.
    Missing {
        /// The kernel that could not be asked.
        kernel: KernelId,
        /// Why it could not.
        error: Error,
    },
}

/// Builder of a search: which conditions an object must meet, and where to look. Awaiting it waits for all; [`Find::stream`]
/// tells what is found as it comes. Dropping it ends the search.
///
/// ```no_run
/// # async fn run(alice: once::Kernel, bob: once::KernelId) -> Result<(), once::Error> {
/// let found = alice.find().component("Pump").name("pump *").everywhere().await?;
/// for object in &found.objects {
///     println!("{:?} at {}", object.name(), object.kernel());
/// }
/// for (kernel, why) in &found.missing {
///     eprintln!("{kernel} was not asked: {why}");
/// }
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct Find {
    kernel: Kernel,
    question: Question,
    at: Vec<KernelId>,
    everywhere: bool,
    limit: Option<usize>,
    timeout: Duration,
}

impl Find {
    /// Only objects in whose scenario this text stands, as it is spelled there; ASCII letters in either case.
    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.question.text = Some(text.into());
        self
    }

    /// Only objects of this component.
    pub fn component(mut self, component: impl Into<String>) -> Self {
        self.question.component = Some(component.into());
        self
    }

    /// Only objects whose whole name fits: `*` is any run of characters, `?` is one; ASCII letters in either case.
    pub fn name(mut self, glob: impl Into<String>) -> Self {
        self.question.name = Some(glob.into());
        self
    }

    /// Only objects whose scenario has this value at this place, a JSON pointer like `/model/color`: a text, a number, a truth
    /// value or null.
    pub fn matching(mut self, pointer: impl Into<String>, value: impl Into<serde_json::Value>) -> Self {
        let value = Bytes::from(value.into().to_string());
        self.question.conditions.push(Condition { pointer: pointer.into(), value });
        self
    }

    /// Only objects whose newest revision was stored by the kernel that has it at this time or later, by its clock.
    pub fn changed_since(mut self, time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        self.question.changed_since_ms = Some(u64::try_from(since.as_millis()).unwrap_or(u64::MAX));
        self
    }

    /// Only objects with this home.
    pub fn home(mut self, home: KernelId) -> Self {
        self.question.home = Some(home);
        self
    }

    /// Look at this kernel, instead of here. For several: call it for each.
    pub fn at(mut self, kernel: KernelId) -> Self {
        self.at.push(kernel);
        self
    }

    /// Look here and at every peer.
    pub fn everywhere(mut self) -> Self {
        self.everywhere = true;
        self
    }

    /// At most so many objects, of all kernels together.
    pub fn limit(mut self, objects: usize) -> Self {
        self.limit = Some(objects);
        self
    }

    /// Ends the search at each kernel after this time (default 30 s): what it has not told by then is missing.
    pub fn timeout(mut self, after: Duration) -> Self {
        self.timeout = after;
        self
    }

    /// What is found, as it comes.
    ///
    /// # Errors
    /// When what is asked for is beyond the limits, or the store cannot be read.
    pub fn stream(self) -> Result<FindStream, Error> {
        self.question.check().map_err(wrong)?;
        let mut kernels = self.at;
        if self.everywhere {
            kernels.push(self.kernel.id());
            let all = peers::all(&self.kernel.shared().snapshot()).or_error()?;
            kernels.extend(
                all.into_iter().filter(|(_, row)| row.status == PeerStatus::Active).map(|(peer, _)| peer),
            );
        }
        if kernels.is_empty() {
            kernels.push(self.kernel.id());
        }
        kernels.sort_unstable();
        kernels.dedup();
        let ends = Instant::now() + self.timeout;
        let searches = kernels.into_iter().map(|at| {
            let search =
                Search { kernel: self.kernel.clone(), at, question: self.question.clone(), last: None, ends };
            stream::unfold(Some(search), |search| async { Some(search?.step().await) })
                .flat_map(stream::iter)
                .boxed()
        });
        Ok(FindStream { steps: stream::select_all(searches).boxed(), left: self.limit.unwrap_or(usize::MAX) })
    }
}

impl IntoFuture for Find {
    type Output = Result<FoundObjects, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let mut steps = self.stream()?;
            let mut all = FoundObjects { objects: Vec::new(), missing: Vec::new() };
            while let Some(step) = steps.next().await {
                match step {
                    FindStep::Object(object) => all.objects.push(object),
                    FindStep::Missing { kernel, error } => all.missing.push((kernel, error)),
                }
            }
            all.objects.sort_by_key(|found| (found.kernel, found.finding.key));
            Ok(all)
        })
    }
}

/// What a search finds, as it comes.
#[must_use]
pub struct FindStream {
    steps: Pin<Box<dyn Stream<Item = FindStep> + Send>>,
    left: usize,
}

impl Stream for FindStream {
    type Item = FindStep;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<FindStep>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let step = self.steps.as_mut().poll_next(context);
        if matches!(step, Poll::Ready(Some(FindStep::Object(_)))) {
            self.left -= 1;
        }
        step
    }
}

/// A search at one kernel.
struct Search {
    kernel: Kernel,
    at: KernelId,
    question: Question,
    /// The last object that it told.
    last: Option<ObjectKey>,
    ends: Instant,
}

impl Search {
    /// One page, and how it goes on.
    async fn step(mut self) -> (Vec<FindStep>, Option<Self>) {
        let left = self.ends.saturating_duration_since(Instant::now());
        let found = self.kernel.find_page(self.at, &self.question, self.last.as_ref(), left).await;
        let kernel = self.at;
        match found {
            Ok(Findings { objects, next }) => {
                self.last = objects.last().map(|found| found.key).or(self.last);
                let going_on = next.is_some().then(|| {
                    self.question.after = next;
                    self
                });
                let told =
                    objects.into_iter().map(|finding| FindStep::Object(FoundObject { kernel, finding }));
                (told.collect(), going_on)
            }
            Err(error) => (vec![FindStep::Missing { kernel, error }], None),
        }
    }
}

/// A question that is not asked.
pub(crate) fn wrong(error: FindError) -> Error {
    Error::usage(error.to_string())
}

impl Kernel {
    /// Looks for objects by what they are: here, or at peers. Peers tell what this kernel may read there, and what it holds the
    /// right to find.
    ///
    /// ```no_run
    /// # async fn run(alice: once::Kernel, bob: once::KernelId) -> Result<(), once::Error> {
    /// use futures_util::StreamExt;
    /// let mut steps = alice.find().matching("/model/color", "red").at(bob).stream()?;
    /// while let Some(step) = steps.next().await {
    ///     println!("{step:?}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn find(&self) -> Find {
        let (kernel, question) = (self.clone(), Question::default());
        Find { kernel, question, at: Vec::new(), everywhere: false, limit: None, timeout: SEARCH_MAX }
    }

    /// One page of what is found at a kernel. `last` is the last object of the page before.
    pub(crate) async fn find_page(
        &self,
        at: KernelId,
        question: &Question,
        last: Option<&ObjectKey>,
        within: Duration,
    ) -> Result<Findings, Error> {
        question.check().map_err(wrong)?;
        if at == self.id() {
            return self.find_here(question.clone()).await;
        }
        match self.ask_once(at, question, within).await? {
            // The peer had gone without a word: what it said since is on a new connection.
            Err(FindFailed::Net(_)) => self.ask_once(at, question, within).await?,
            asked => asked,
        }
        .and_then(|findings| {
            question.accepts(&findings, last)?;
            // Else a kernel that lies could keep this one asking, page after page.
            let stands_still = findings.next.is_some() && findings.next == question.after;
            if stands_still { Err(FindError::Order.into()) } else { Ok(findings) }
        })
        .map_err(|failed| self.find_failed(&at, failed))
    }

    async fn ask_once(
        &self,
        at: KernelId,
        question: &Question,
        within: Duration,
    ) -> Result<Result<Findings, FindFailed>, Error> {
        let begun = Instant::now();
        let session = self.session(at, within.min(CONNECTION_MAX)).await?;
        Ok(net::find(&session, question.clone(), within.saturating_sub(begun.elapsed())).await)
    }

    async fn find_here(&self, question: Question) -> Result<Findings, Error> {
        let row = |row: &Bytes| {
            ObjectKey::from_row(row).ok_or_else(|| Error::usage("this is no place to go on from"))
        };
        let after = question.after.as_ref().map(row).transpose()?;
        let shared = std::sync::Arc::clone(self.shared());
        // One that is opened for a single command is gone before an index is of use.
        if self.net().is_some() {
            net::build_index(&shared);
        }
        let looked = crate::beside::wait_for(move || {
            let ask = Ask { reader: None, question: &question, after, budget: Budget::default() };
            shared.catalog.look(|| shared.snapshot(), |rows, index| page(rows, index, &ask))
        });
        let page = looked.await.map_err(|_| self.shared().gone())?.or_error()?;
        let next = page.next.map(|next| Bytes::copy_from_slice(&next.to_row()));
        Ok(Findings { objects: page.objects, next })
    }

    fn find_failed(&self, at: &KernelId, failed: FindFailed) -> Error {
        let what = format!("find at {}", self.shared().called(at));
        match failed {
            FindFailed::Refused(code) => Error::from_code(code, &what),
            FindFailed::Late(_) => Error::timeout(format!("{what}: {failed}")),
            FindFailed::Unknown => Error::invalid(format!("{what}: {failed}")),
            FindFailed::Wrong(_) => Error::invalid(format!("{what}: {failed}"))
                .with_hint("that kernel is broken or lies: nothing of this page is shown"),
            FindFailed::Net(_) => Error::unreachable(format!("{what}: {failed}")).with_hint("try again"),
        }
    }
}
