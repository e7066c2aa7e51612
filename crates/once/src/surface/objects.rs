//! Objects of this kernel: keeping scenarios, changing, listing, reading.

use bytes::Bytes;
use once_core::waist::Command;
use once_model::ids::{Hash, ObjectKey};
use once_model::scenario::Scenario;

use super::awaited;
use crate::api::contract::{self, ListResult, ObjectState, RefsResult, Sort};
use crate::api::{list, methods, names};
use crate::{Change, Error, Kernel, Object};

/// Builder of an import. Awaiting it returns the object, and what became of it.
///
/// ```no_run
/// # async fn run(alice: once::Kernel, revision: once::model::ids::Hash) -> Result<(), once::Error> {
/// let text = r#"{"ior":{"component":"Note"},"model":{"text":"hello"}}"#;
/// alice.import(text).source("notes/hello.json").await?;
/// // Although the object has gone on since the file was imported.
/// alice.import(text).source("notes/hello.json").over(revision).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use]
pub struct Import {
    kernel: Kernel,
    bytes: Bytes,
    source: Option<String>,
    over: Option<Hash>,
}

impl Import {
    /// Names where it came from: the same source with other bytes later is a new revision of the same object.
    pub fn source(mut self, name: impl Into<String>) -> Self {
        self.source = Some(name.into());
        self
    }

    /// Lays it over this revision of its object ([`Object::revision_id`]), although the object has gone on since the source was
    /// imported. It is refused if that is not the newest revision.
    pub fn over(mut self, revision: Hash) -> Self {
        self.over = Some(revision);
        self
    }

    async fn run(self) -> Result<(Object, Change), Error> {
        let scenario = Scenario::parse(self.bytes)?;
        self.kernel.change(Command::Import { source: self.source, over: self.over, scenario }).await
    }
}

/// Builder of a new state of an object. Awaiting it returns the object, and what became of it.
///
/// ```no_run
/// # async fn run(alice: once::Kernel, key: once::ObjectKey, revision: once::model::ids::Hash) -> Result<(), once::Error> {
/// let text = r#"{"ior":{"component":"Note"},"model":{"text":"hello"}}"#;
/// alice.put(key, text).base(revision).await?; // refused if the object has changed since
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use]
pub struct Put {
    kernel: Kernel,
    key: ObjectKey,
    bytes: Bytes,
    base: Option<Hash>,
}

impl Put {
    /// Only if this is still the newest revision ([`Object::revision_id`]).
    pub fn base(mut self, revision: Hash) -> Self {
        self.base = Some(revision);
        self
    }

    async fn run(self) -> Result<(Object, Change), Error> {
        let scenario = Scenario::parse(self.bytes)?;
        self.kernel.change(Command::Put { key: self.key, base: self.base, scenario }).await
    }
}

/// Builder of a listing of objects. Awaiting it returns the page, and where the next one begins.
///
/// ```no_run
/// # async fn run(alice: once::Kernel) -> Result<(), once::Error> {
/// use once::api::contract::{ObjectState, Sort};
///
/// let pumps = alice.list().component("Pump").name("pump *").sort(Sort::Name).limit(100).await?;
/// let mine = alice.list().state(ObjectState::Home).tombstones().await?;
/// if let Some(next) = mine.next {
///     let more = alice.list().state(ObjectState::Home).tombstones().after(next).await?;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use]
pub struct List {
    kernel: Kernel,
    params: contract::List,
}

impl List {
    /// Of this component only.
    pub fn component(mut self, name: impl Into<String>) -> Self {
        self.params.component = Some(name.into());
        self
    }

    /// With a name that fits: `*` stands for anything.
    pub fn name(mut self, glob: impl Into<String>) -> Self {
        self.params.name = Some(glob.into());
        self
    }

    /// That stand so to this kernel.
    pub fn state(mut self, state: ObjectState) -> Self {
        self.params.state = Some(state);
        self
    }

    /// In this order.
    pub fn sort(mut self, by: Sort) -> Self {
        self.params.sort = by;
        self
    }

    /// Removed ones, too.
    pub fn tombstones(mut self) -> Self {
        self.params.tombstones = true;
        self
    }

    /// At most so many in the page.
    pub fn limit(mut self, objects: usize) -> Self {
        self.params.limit = Some(objects);
        self
    }

    /// Begins behind the [`ListResult::next`] of another page in the same order.
    pub fn after(mut self, next: impl Into<String>) -> Self {
        self.params.after = Some(next.into());
        self
    }

    async fn run(self) -> Result<ListResult, Error> {
        list::list(&self.kernel, self.params).await
    }
}

awaited! {
    Import => (Object, Change);
    Put => (Object, Change);
    List => ListResult;
}

impl Kernel {
    /// Keeps a scenario from outside, byte for byte. If its object has gone on since its source was imported last, it is kept beside
    /// it ([`Change::KeptBeside`]), never laid over what happened.
    ///
    /// ```
    /// # async fn run(alice: once::Kernel) -> Result<(), once::Error> {
    /// use once::Change;
    ///
    /// let note = r#"{"ior":{"component":"Note"},"model":{"text":"hello"}}"#;
    /// let (object, change) = alice.import(note).source("notes/hello.json").await?;
    /// assert_eq!((object.component(), change), ("Note", Change::New));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the bytes are no scenario, or the disk is nearly full.
    pub fn import(&self, bytes: impl Into<Bytes>) -> Import {
        Import { kernel: self.clone(), bytes: bytes.into(), source: None, over: None }
    }

    /// Gives an object that has its home here a new state. An unclaimed object is claimed by it.
    ///
    /// ```no_run
    /// # async fn run(alice: once::Kernel, object: once::Object, text: String) -> Result<(), once::Error> {
    /// let (object, _) = alice.put(object.key(), text).base(object.revision_id()).await?;
    /// println!("revision {}", object.revision());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When this kernel is not its home, the bytes are no scenario of it, or the object has changed since the base that was given.
    pub fn put(&self, key: ObjectKey, bytes: impl Into<Bytes>) -> Put {
        Put { kernel: self.clone(), key, bytes: bytes.into(), base: None }
    }

    /// What is on this kernel, page by page.
    ///
    /// ```no_run
    /// # async fn run(alice: once::Kernel) -> Result<(), once::Error> {
    /// let mut page = alice.list().component("Note").limit(100).await?;
    /// while let Some(next) = page.next.take() {
    ///     page = alice.list().component("Note").limit(100).after(next).await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the store cannot be read, or removed objects are wanted in another order than by their keys.
    pub fn list(&self) -> List {
        List { kernel: self.clone(), params: contract::List::default() }
    }

    /// What an object refers to, and which of that is here.
    ///
    /// ```no_run
    /// # fn run(alice: once::Kernel, key: once::ObjectKey) -> Result<(), once::Error> {
    /// for reference in alice.references(key)?.references {
    ///     println!("{} at {}", reference.target, reference.path);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the object is not here, or cannot be read.
    pub fn references(&self, key: ObjectKey) -> Result<RefsResult, Error> {
        methods::refs(self, &contract::Refs { object: names::key_text(&key) })
    }
}
