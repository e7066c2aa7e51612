//! Dead letters: what this kernel owes or waits for that does not go on by itself, or has not for too long. They are not kept
//! apart: each is found where it waits (the outbox, the queue of actions, work outside, rows that cannot be read), so that
//! what is solved is gone from the list. Only what a removed peer was owed has a place of its own: it waits nowhere else.

mod kinds;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Duration;

use bytes::Bytes;
use once_core::act;
use once_core::parked::Damage;
use once_core::peers;
use once_core::share::{self, Kind, OutboxRow, Owed};
use once_core::store::{Read, Table};
use once_core::waist::{Command, Input, Stands, StandsFor};
use once_model::hash::record_hash;
use once_model::ids::{KernelId, ObjectKey, Uuid};
use once_model::wire::Code;
use tokio::sync::oneshot;

use crate::error::OrError;
use crate::shell::{Mail, now_ms};
use crate::{Error, Kernel, stands};
pub use kinds::{DeadLetterKind, DeadLetterReason};

/// What waits longer than this is a dead letter, unless somebody asks for another age. A connection comes back within seconds,
/// a program that is started anew within minutes.
pub(crate) const WAITS_TOO_LONG: Duration = Duration::from_secs(3600);

/// Rows of one kind that are looked at: the list is to be there at once.
const LOOKED_AT_MAX: usize = 100_000;

/// Dead letters in one list; further ones come when these are solved.
const LETTERS_MAX: usize = 10_000;

/// The reason with which an object is told that work outside is given up.
const GIVEN_UP: &[u8] = b"\"given up by a person: nobody says whether it was done\"";

/// Something that does not go on by itself, or has not for too long.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadLetter {
    /// What tells it apart from the others: an action's or a work's own id, else a short hash.
    pub id: String,
    /// What kind of thing waits.
    pub kind: DeadLetterKind,
    /// Why it is a dead letter.
    pub reason: DeadLetterReason,
    /// The same in words, with what is known of it now.
    pub detail: String,
    /// The name of the action or work; of damage, the table.
    pub name: Option<String>,
    /// The object that it is about.
    pub object: Option<ObjectKey>,
    /// The kernel for which it waits.
    pub peer: Option<KernelId>,
    /// Since when, by this kernel's clock, in milliseconds since 1970. Of damage nobody knows.
    pub since_ms: Option<u64>,
    /// Whether it can be dropped.
    pub can_drop: bool,
    place: Place,
}

/// Where it waits.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Action { home: KernelId, sequence: u64, id: Uuid, of_client: bool, is_void: bool },
    Share,
    Work { id: Uuid },
    Damage,
}

impl Kernel {
    /// Lists what does not go on by itself, or has waited longer than `older_than`; the oldest first, at most 10,000.
    ///
    /// ```no_run
    /// # async fn f(kernel: once::Kernel) -> Result<(), once::Error> {
    /// for letter in kernel.dead_letters(std::time::Duration::from_secs(3600)).await? {
    ///     println!("{}: {}", letter.id, letter.detail);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn dead_letters(&self, older_than: Duration) -> Result<Vec<DeadLetter>, Error> {
        let (stands, damaged) = stands::look(self).await?;
        let snapshot = self.shared().snapshot();
        let older_ms = u64::try_from(older_than.as_millis()).unwrap_or(u64::MAX);
        let before_ms = now_ms().saturating_sub(older_ms);
        let list = List { kernel: self, rows: &snapshot, before_ms };
        let mut letters: Vec<DeadLetter> = damaged.iter().map(damage).collect();
        letters.extend(list.actions(&stands)?);
        letters.extend(list.shares()?);
        letters.extend(list.unsent()?);
        letters.extend(list.work()?);
        letters.sort_by(|one, other| (one.since_ms, &one.id).cmp(&(other.since_ms, &other.id)));
        letters.truncate(LETTERS_MAX);
        Ok(letters)
    }

    /// Tries a dead letter again now, and says what that means: its kernel is called, or the programs of its component are
    /// asked. Whether it gets through shows when it is gone from the list.
    ///
    /// ```no_run
    /// # async fn run(alice: once::Kernel) -> Result<(), once::Error> {
    /// use std::time::Duration;
    ///
    /// for letter in alice.dead_letters(Duration::from_secs(60 * 60)).await? {
    ///     println!("{}", alice.retry_dead_letter(&letter).await?);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When nothing that this kernel could do would help; the hint says what does.
    pub async fn retry_dead_letter(&self, letter: &DeadLetter) -> Result<String, Error> {
        match (&letter.place, letter.peer) {
            (Place::Damage, _) => Err(Error::invalid(letter.detail.clone()).with_hint(
                "check this disk, and put back from a copy what is damaged: what waits goes on when it can be read",
            )),
            (Place::Work { .. }, _) => self.retry_work(letter),
            (_, Some(peer)) if peer != self.id() => self.retry_at(peer, letter).await,
            _ => self.retry_here(letter).await,
        }
    }

    fn retry_work(&self, letter: &DeadLetter) -> Result<String, Error> {
        let name = letter.name.clone().unwrap_or_default();
        match self.shared().components.does(&name) {
            true => Ok(format!("it is with whoever does the work '{name}' here")),
            false => Err(Error::invalid(format!("nobody here does the work '{name}'"))
                .with_hint("start the program that serves it: it is asked by itself then")),
        }
    }

    async fn retry_at(&self, peer: KernelId, letter: &DeadLetter) -> Result<String, Error> {
        let called = self.shared().called(&peer);
        if peers::peer(&self.shared().snapshot(), &peer).or_error()?.is_none() {
            return Err(Error::invalid(format!(
                "kernel {called} is no peer of this kernel: nothing is sent there"
            ))
            .with_hint(match letter.kind {
                DeadLetterKind::Share => {
                    "make it one again with `once join TICKET`, and retry then: the object is shared with it anew"
                }
                _ => "make it one again with `once join TICKET`: what waits goes on by itself then",
            }));
        }
        if let (DeadLetterReason::NoPeer, Place::Share, Some(key)) =
            (letter.reason, &letter.place, letter.object)
        {
            self.command(Command::Share { key, to: peer, delivered: false }).await?;
            return Ok(format!("{called} is a peer again: the object is shared with it anew"));
        }
        let Some(net) = self.net() else {
            return Err(Error::unreachable("this kernel is not running: nothing is sent")
                .with_hint("start it with `once up`"));
        };
        if net.seen(&peer).conn.is_some() {
            return Ok(format!(
                "{called} is connected: it is sent again every 10 s; 'once doctor' there may say why it is not taken"
            ));
        }
        self.command(Command::Dial { peer }).await?;
        Ok(format!("{called} is called now: what waits is sent when it answers"))
    }

    /// Whoever has the object's component is asked again.
    async fn retry_here(&self, letter: &DeadLetter) -> Result<String, Error> {
        let head = letter
            .object
            .map(|key| once_core::object::head(&self.shared().snapshot(), &key))
            .transpose()
            .or_error()?;
        let component = head.flatten().map(|row| row.header.component).unwrap_or_default();
        let (told, is_told) = oneshot::channel();
        let mail = Mail::Told(Input::Ready { component: component.clone() }, told);
        self.shared().mail.send(mail).await.map_err(|_| self.shared().gone())?;
        match is_told.await {
            Ok(()) => Ok(format!("whoever has the component {component} here is asked again")),
            Err(_) => Err(self.shared().gone()),
        }
    }

    /// Gives a dead letter up. An action is taken back: it does not run any more, unless it has run already, which its home
    /// says. A peer is not owed the object any more, until it changes. An object that wants work outside is told that it failed.
    ///
    /// ```no_run
    /// # async fn run(alice: once::Kernel, letter: once::DeadLetter) -> Result<(), once::Error> {
    /// println!("{}", alice.drop_dead_letter(&letter).await?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When it cannot be given up, and why; or it was solved meanwhile.
    pub async fn drop_dead_letter(&self, letter: &DeadLetter) -> Result<String, Error> {
        match (&letter.place, letter.object, letter.peer) {
            (Place::Action { is_void: true, .. }, ..) => Err(Error::invalid(
                "it was taken back already, and its home has not said whether that was in time: it may have run",
            )
            .with_hint(
                "its place in the lane is kept until its home answers: else what comes behind it would be out of order",
            )),
            (Place::Action { id, of_client: true, .. }, ..) => {
                self.cancel(*id).send().await?;
                self.taken_back(letter.peer, "")
            }
            (Place::Action { home, sequence, id, .. }, Some(key), _) => {
                self.command(Command::Drop { home: *home, key, sequence: *sequence, id: *id }).await?;
                self.taken_back(letter.peer, "; the object that waits for it is told so")
            }
            (Place::Share, Some(key), Some(peer)) => {
                self.command(Command::GiveUp { peer, key }).await?;
                Ok("not owed any more; who follows it is owed its next revision all the same".to_owned())
            }
            (Place::Work { id }, Some(key), _) => self.drop_work(key, *id).await,
            _ => Err(Error::invalid("what cannot be read cannot be given up: it may be anything").with_hint(
                "check this disk, and put back from a copy what is damaged",
            )),
        }
    }

    /// What dropping an action comes to. `told`: who hears of that, where its home can be asked.
    fn taken_back(&self, home: Option<KernelId>, told: &str) -> Result<String, Error> {
        let is_home = |home: KernelId| {
            Ok(home == self.id() || peers::peer(&self.shared().snapshot(), &home).or_error()?.is_some())
        };
        Ok(match home.map_or(Ok::<_, Error>(true), is_home)? {
            true => format!("taken back, unless it has run already{told}"),
            false => "given up, unless it has run already: its home is no peer, so nobody says; it is not listed any more".to_owned(),
        })
    }

    async fn drop_work(&self, key: ObjectKey, id: Uuid) -> Result<String, Error> {
        let shared = self.shared();
        let gone = || Error::not_found(format!("no work {id} waits here")).with_hint("it was done meanwhile");
        let name = act::work_of(&shared.snapshot(), &key, &id).or_error()?.ok_or_else(gone)?;
        let (told, is_told) = oneshot::channel();
        let result = Err(Bytes::from_static(GIVEN_UP));
        shared
            .mail
            .send(Mail::Told(Input::Worked { key, id, result }, told))
            .await
            .map_err(|_| shared.gone())?;
        let done = is_told.await.is_ok();
        shared.components.served.settled(key, id, &name, done);
        match done {
            true => Ok("given up: the object that wants it is told that it failed".to_owned()),
            false => Err(shared.gone()),
        }
    }
}

/// Of an object that a kernel is owed, or was.
fn owed_letter(
    peer: KernelId,
    key: ObjectKey,
    since_ms: u64,
    (reason, detail): (DeadLetterReason, String),
) -> DeadLetter {
    DeadLetter {
        id: short_id("share", &[peer.as_bytes(), &key.to_row()]),
        kind: DeadLetterKind::Share,
        reason,
        detail,
        name: None,
        object: Some(key),
        peer: Some(peer),
        since_ms: Some(since_ms),
        can_drop: true,
        place: Place::Share,
    }
}

/// What tells a letter without an id of its own apart.
fn short_id(what: &str, parts: &[&[u8]]) -> String {
    record_hash(&format!("once/2 dead letter {what}"), &parts.concat()).to_string().chars().take(12).collect()
}

fn damage(of: &Damage) -> DeadLetter {
    let table = format!("{:?}", of.table);
    DeadLetter {
        id: short_id("damage", &[table.as_bytes(), &of.row]),
        kind: DeadLetterKind::Damage,
        reason: DeadLetterReason::Damaged,
        detail: of.to_string(),
        name: Some(table),
        object: of.object,
        peer: None,
        since_ms: None,
        can_drop: false,
        place: Place::Damage,
    }
}

/// A list in the making.
struct List<'a> {
    kernel: &'a Kernel,
    rows: &'a dyn Read,
    /// What waits since before then has waited too long.
    before_ms: u64,
}

impl List<'_> {
    /// Actions without an outcome. Of a lane to an object here the first one says why all stand still.
    fn actions(&self, stands: &[Stands]) -> Result<Vec<DeadLetter>, Error> {
        let me = self.kernel.id();
        let mut own: BTreeMap<ObjectKey, &Stands> =
            stands.iter().filter(|stands| stands.origin == me).map(|stands| (stands.key, stands)).collect();
        let mut ways: BTreeMap<KernelId, Way> = BTreeMap::new();
        let (mut letters, mut looked, mut failed) = (Vec::new(), 0, None);
        act::waiting(self.rows, &mut |home, key, sequence, row| {
            looked += 1;
            let stands = if home == me { own.remove(&key) } else { None };
            let way = match ways.get(&home) {
                Some(way) => way.clone(),
                None => match self.way(&home) {
                    Ok(way) => ways.entry(home).or_insert(way).clone(),
                    Err(error) => {
                        failed = Some(error);
                        return ControlFlow::Break(());
                    }
                },
            };
            let is_old = row.since_ms <= self.before_ms;
            let cannot_run = stands.filter(|stands| matches!(stands.why, StandsFor::Refused(_)));
            let reason = match (&way, row.void) {
                // Nobody there answers any more: what was taken back, or has expired, is over for this kernel.
                (Way::NoPeer, Some(_)) => None,
                (Way::NoPeer, None) => Some(DeadLetterReason::NoPeer),
                (_, Some(Code::Cancelled)) if is_old => Some(DeadLetterReason::TakenBack),
                _ if cannot_run.is_some() => Some(DeadLetterReason::CannotRun),
                _ => is_old.then_some(DeadLetterReason::TooOld),
            };
            if let Some(reason) = reason {
                let detail = match stands {
                    Some(stands) => stands::why(self.kernel, stands),
                    None => self.words(&home, &way),
                };
                let of_client = row.action.acting.is_none() && row.action.answers.is_none();
                let (id, is_void) = (row.action.id, row.void.is_some());
                letters.push(DeadLetter {
                    id: id.to_string(),
                    kind: DeadLetterKind::Action,
                    reason,
                    detail: if is_void { format!("taken back; {detail}") } else { detail },
                    name: Some(row.action.name),
                    object: Some(key),
                    peer: Some(home),
                    since_ms: Some(row.since_ms),
                    can_drop: !is_void,
                    place: Place::Action { home, sequence, id, of_client, is_void },
                });
            }
            let is_enough = looked >= LOOKED_AT_MAX || letters.len() >= LETTERS_MAX;
            if is_enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .or_error()?;
        failed.map_or(Ok(letters), Err)
    }

    /// What kernels were owed when they were removed: it stays here until it is dropped.
    fn unsent(&self) -> Result<Vec<DeadLetter>, Error> {
        let mut letters = Vec::new();
        share::unsent(self.rows, &mut |peer, key, row| {
            let detail =
                format!("kernel {} was removed while it was owed this: nothing is sent", peer.short());
            letters.push(owed_letter(peer, key, row.since_ms, (DeadLetterReason::NoPeer, detail)));
            if letters.len() >= LETTERS_MAX { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .or_error()?;
        Ok(letters)
    }

    /// Objects that peers are owed.
    fn shares(&self) -> Result<Vec<DeadLetter>, Error> {
        let mut letters = Vec::new();
        for (peer, _) in peers::all(self.rows).or_error()? {
            let (way, mut looked) = (self.way(&peer)?, 0);
            share::owed(self.rows, &peer, Kind::Objects, &[], &mut |owed, value| {
                looked += 1;
                let row = once_core::txn::decode(Table::Outbox, value);
                if let (Owed::Object(key), Ok(OutboxRow::Object(row))) = (owed, row)
                    && row.since_ms <= self.before_ms
                {
                    let why = (DeadLetterReason::TooOld, self.words(&peer, &way));
                    letters.push(owed_letter(peer, key, row.since_ms, why));
                }
                let is_enough = looked >= LOOKED_AT_MAX || letters.len() >= LETTERS_MAX;
                if is_enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })
            .or_error()?;
        }
        Ok(letters)
    }

    fn work(&self) -> Result<Vec<DeadLetter>, Error> {
        let (mut letters, mut looked) = (Vec::new(), 0);
        act::activities(self.rows, &mut |key, id, row| {
            looked += 1;
            if row.since_ms <= self.before_ms {
                let detail = match self.kernel.shared().components.does(&row.name) {
                    true => "whoever does such work here has not answered",
                    false => "nobody here does such work: no program serves it",
                };
                letters.push(DeadLetter {
                    id: id.to_string(),
                    kind: DeadLetterKind::Work,
                    reason: DeadLetterReason::TooOld,
                    detail: detail.to_owned(),
                    name: Some(row.name),
                    object: Some(key),
                    peer: None,
                    since_ms: Some(row.since_ms),
                    can_drop: true,
                    place: Place::Work { id },
                });
            }
            let is_enough = looked >= LOOKED_AT_MAX || letters.len() >= LETTERS_MAX;
            if is_enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .or_error()?;
        Ok(letters)
    }

    /// How it stands with the way to a kernel.
    fn way(&self, home: &KernelId) -> Result<Way, Error> {
        if *home == self.kernel.id() {
            return Ok(Way::Here);
        }
        if peers::peer(self.rows, home).or_error()?.is_none() {
            return Ok(Way::NoPeer);
        }
        let Some(net) = self.kernel.net() else { return Ok(Way::Unknown) };
        let seen = net.seen(home);
        Ok(match seen.conn {
            Some(_) => Way::Connected,
            None => Way::Away(seen.last_error),
        })
    }

    fn words(&self, home: &KernelId, way: &Way) -> String {
        let called = || self.kernel.shared().called(home);
        match way {
            Way::Here => "it has no outcome yet: it runs, or waits for its turn".to_owned(),
            Way::NoPeer => format!("kernel {} is no peer of this kernel: nothing is sent", home.short()),
            Way::Unknown => "this kernel is not running".to_owned(),
            Way::Connected => format!("{} is connected, and has not answered", called()),
            Way::Away(None) => format!("{} is not connected", called()),
            Way::Away(Some(error)) => format!("{} is not connected: {error}", called()),
        }
    }
}

/// The way to a kernel.
#[derive(Debug, Clone)]
enum Way {
    Here,
    NoPeer,
    /// This kernel does not run.
    Unknown,
    Connected,
    /// Why the last try to reach it failed.
    Away(Option<String>),
}
