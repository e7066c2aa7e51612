//! Chores: work that grows with what others placed here, done a few rows in each step.
//!
//! What must come to its end whatever happens is lasting: it has a row that says how far it is, written in the batch of what
//! made it necessary, and removed in that of the last rows. A run that ends in between leaves the row, and the next goes on
//! from there. The others are passing: they end with the run. A chore of few rows is done at once, and needs no row.

mod rows;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Bound, ControlFlow};

use minicbor::{Decode, Encode};
use once_model::ids::{KernelId, ObjectKey};

use crate::refusal::{Failure, Refusal};
use crate::step::Step;
use crate::store::{Read, StoreError, Table};
use crate::txn;
use crate::waist::{Answer, Effect, Timer, Token};

/// Rows that one step looks at, of all chores together.
const SLICE_ROWS: usize = 64;

/// A slice also ends when its rows have come to so many bytes.
const SLICE_BYTES: usize = 1024 * 1024;

/// What is to be done, row by row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Chore {
    /// Forgets what is left of a kernel that is no peer any more: rights, debts, subscriptions. Until that is done it cannot
    /// become one again.
    ForgetPeer(KernelId),
    /// Forgets the timers and the work outside of an object that is gone.
    ForgetObject(ObjectKey),
    /// Owes the newest revision of an object to whoever follows it here; ends the following if there is none any more.
    TellFollowers(ObjectKey),
    /// Ends what a kernel follows here and may no longer read.
    EndFollowing(KernelId),
    /// Forgets what a new life of this kernel begins without. The kernel stays in quarantine until that is done.
    BeginLife,
    /// Says on a new connection what is followed there, and asks for the proofs that are missing.
    Greet(KernelId),
    /// Dials every peer.
    Dial,
    /// Asks again for the work outside that is not done yet.
    Work,
    /// Marks the grants and invites whose time is over.
    Sweep,
}

const FORGET_PEER: u8 = 1;
const FORGET_OBJECT: u8 = 2;
const END_FOLLOWING: u8 = 3;
const BEGIN_LIFE: u8 = 4;
const TELL_FOLLOWERS: u8 = 5;

/// The first byte of rows that belong to an object, whose key comes behind it.
pub(crate) const OF_OBJECT: [u8; 2] = [FORGET_OBJECT, TELL_FOLLOWERS];

impl Chore {
    /// Key of its row, if it is lasting. `None`: it is passing.
    #[must_use]
    pub fn to_row(self) -> Option<Vec<u8>> {
        Some(match self {
            Self::ForgetPeer(peer) => [&[FORGET_PEER], peer.as_bytes().as_slice()].concat(),
            Self::ForgetObject(key) => [&[FORGET_OBJECT], key.to_row().as_slice()].concat(),
            Self::TellFollowers(key) => [&[TELL_FOLLOWERS], key.to_row().as_slice()].concat(),
            Self::EndFollowing(kernel) => [&[END_FOLLOWING], kernel.as_bytes().as_slice()].concat(),
            Self::BeginLife => vec![BEGIN_LIFE],
            Self::Greet(_) | Self::Dial | Self::Work | Self::Sweep => return None,
        })
    }

    /// From such a key.
    #[must_use]
    pub fn from_row(key: &[u8]) -> Option<Self> {
        let (tag, of) = key.split_first()?;
        match *tag {
            FORGET_PEER => KernelId::from_slice(of).map(Self::ForgetPeer),
            FORGET_OBJECT => ObjectKey::from_row(of).map(Self::ForgetObject),
            TELL_FOLLOWERS => ObjectKey::from_row(of).map(Self::TellFollowers),
            END_FOLLOWING => KernelId::from_slice(of).map(Self::EndFollowing),
            BEGIN_LIFE if of.is_empty() => Some(Self::BeginLife),
            _ => None,
        }
    }
}

/// [`Table::Chore`]: how far a chore is. Of one that cannot be read it is begun anew.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(map)]
pub struct ChoreRow {
    /// Parts of it that are done.
    #[n(0)]
    pub part: u8,
    /// Where the part under way goes on: the first key that is not done yet, or nothing.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub next: Vec<u8>,
    /// It became necessary again meanwhile: when it is through it begins anew. So who is first does not keep the others
    /// from their turn.
    #[n(2)]
    pub again: bool,
}

/// What the engine knows of its chores. Which lasting ones there are, only the rows say.
#[derive(Debug)]
pub(crate) struct Chores {
    /// Those that end with the run.
    passing: BTreeMap<Chore, ChoreRow>,
    /// There may be rows of lasting ones.
    lasting: bool,
    /// All of those are held up: none has a turn before one begins.
    all_stuck: bool,
    /// Clients that wait for the end of one.
    tokens: BTreeMap<Chore, Vec<Token>>,
    /// Those that a damaged row holds up, until the next start.
    stuck: BTreeSet<Chore>,
    /// Who had a turn last: of the passing ones, and of the lasting ones, by its row.
    last: (Option<Chore>, Vec<u8>),
    timer_set: bool,
    slice_rows: usize,
}

impl Default for Chores {
    fn default() -> Self {
        Self {
            passing: BTreeMap::new(),
            lasting: false,
            all_stuck: false,
            tokens: BTreeMap::new(),
            stuck: BTreeSet::new(),
            last: (None, Vec::new()),
            timer_set: false,
            slice_rows: SLICE_ROWS,
        }
    }
}

impl Chores {
    /// Looks at so many rows in a step.
    pub fn slice(&mut self, rows: usize) {
        self.slice_rows = rows.max(1);
    }

    /// What it is about is no more.
    pub fn drop(&mut self, chore: Chore) {
        self.passing.remove(&chore);
    }

    /// Whether a passing one is under way.
    pub fn is_passing(&self, chore: Chore) -> bool {
        self.passing.contains_key(&chore)
    }

    /// Whether a passing one still comes by a row.
    pub fn comes_by(&self, chore: Chore, table: Table, key: &[u8]) -> bool {
        self.passing.get(&chore).is_some_and(|at| rows::is_ahead(chore, at, table, key))
    }

    /// Nobody waits any more under this token.
    pub fn forget(&mut self, token: Token) {
        self.tokens.values_mut().for_each(|tokens| tokens.retain(|waits| *waits != token));
    }

    fn next_passing(&mut self) -> Option<(Chore, ChoreRow)> {
        let after = self.last.0.map_or(Bound::Unbounded, Bound::Excluded);
        let mut behind = self.passing.range((after, Bound::Unbounded));
        let chore = *behind.next().or_else(|| self.passing.first_key_value())?.0;
        self.last.0 = Some(chore);
        self.passing.remove(&chore).map(|at| (chore, at))
    }
}

/// At the start of a run: what the last one left goes on.
pub(crate) fn resume(s: &mut Step<'_, '_>) -> Result<(), StoreError> {
    let mut any = false;
    s.txn.scan(Table::Chore, &[], None, &mut |_, _| {
        any = true;
        ControlFlow::Break(())
    })?;
    s.engine.chores.lasting = any;
    Ok(())
}

/// Whether a lasting one is under way.
pub(crate) fn is_under_way(s: &Step<'_, '_>, chore: Chore) -> Result<bool, StoreError> {
    let Some(key) = chore.to_row().filter(|_| s.engine.chores.lasting) else { return Ok(false) };
    Ok(s.txn.get(Table::Chore, &key)?.is_some())
}

fn row_of(s: &Step<'_, '_>, chore: Chore) -> Result<ChoreRow, StoreError> {
    let row = s.txn.get(Table::Chore, &chore.to_row().unwrap_or_default())?;
    Ok(row.and_then(|row| txn::decode(Table::Chore, &row).ok()).unwrap_or_default())
}

/// Does what one step has room for; the rest follows in later steps. Whether nothing is left.
pub(crate) fn begin(s: &mut Step<'_, '_>, chore: Chore) -> Result<bool, StoreError> {
    s.engine.chores.stuck.remove(&chore);
    if chore.to_row().is_some() {
        s.txn.require_sync();
    }
    let rows = s.engine.chores.slice_rows;
    let at = match is_under_way(s, chore)? {
        true => ChoreRow { again: true, ..row_of(s, chore)? },
        false => ChoreRow::default(),
    };
    go_on(s, chore, at, rows)
}

/// The same for a client, who is answered when all is done.
pub(crate) fn begin_for(s: &mut Step<'_, '_>, chore: Chore, token: Token) -> Result<Option<Answer>, Failure> {
    if begin(s, chore)? {
        return Ok(Some(Answer::Done));
    }
    Ok(wait(s, chore, token))
}

/// A client waits for the end of what is under way.
pub(crate) fn wait(s: &mut Step<'_, '_>, chore: Chore, token: Token) -> Option<Answer> {
    s.engine.chores.tokens.entry(chore).or_default().push(token);
    None
}

/// At the end of each step: one timer for whatever is left.
pub(crate) fn go_on_later(s: &mut Step<'_, '_>) {
    let chores = &mut s.engine.chores;
    let any = chores.lasting && !chores.all_stuck || !chores.passing.is_empty();
    if any && !std::mem::replace(&mut chores.timer_set, true) {
        s.out.push(Effect::Timer { after_ms: 0, timer: Timer::Chores });
    }
}

/// The timer came: one chore of each sort has its turn.
pub(crate) fn rang(s: &mut Step<'_, '_>) -> Result<(), StoreError> {
    s.engine.chores.timer_set = false;
    let rows = s.engine.chores.slice_rows.div_ceil(2);
    if let Some((chore, at)) = s.engine.chores.next_passing() {
        turn(s, chore, at, rows)?;
    }
    match next_lasting(s)? {
        Some((chore, at)) => turn(s, chore, at, rows)?,
        // Those that are held up are still under way.
        None => {
            s.engine.chores.lasting = !s.engine.chores.stuck.is_empty();
            s.engine.chores.all_stuck = s.engine.chores.lasting;
        }
    }
    Ok(())
}

/// The next lasting one that is not held up.
fn next_lasting(s: &mut Step<'_, '_>) -> Result<Option<(Chore, ChoreRow)>, StoreError> {
    if !s.engine.chores.lasting || s.engine.chores.all_stuck {
        return Ok(None);
    }
    let last = std::mem::take(&mut s.engine.chores.last.1);
    for (from, to) in
        [([last.as_slice(), &[0]].concat(), None), (Vec::new(), Some([last.as_slice(), &[0]].concat()))]
    {
        let mut found = None;
        s.txn.scan(Table::Chore, &from, to.as_deref(), &mut |key, value| {
            let chore = Chore::from_row(key).filter(|chore| !s.engine.chores.stuck.contains(chore));
            let at = txn::decode::<ChoreRow>(Table::Chore, &value).unwrap_or_default();
            found = chore.map(|chore| (key.to_vec(), chore, at));
            if found.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        if let Some((key, chore, at)) = found {
            s.engine.chores.last.1 = key;
            return Ok(Some((chore, at)));
        }
    }
    Ok(None)
}

fn turn(s: &mut Step<'_, '_>, chore: Chore, at: ChoreRow, rows: usize) -> Result<(), StoreError> {
    let Err(damage) = s.tried(|s| go_on(s, chore, at, rows))? else { return Ok(()) };
    s.engine.chores.stuck.insert(chore);
    for token in s.engine.chores.tokens.remove(&chore).unwrap_or_default() {
        s.out.push(Effect::Reply { token, reply: Err(Refusal::Damaged(damage.clone())) });
    }
    Ok(())
}

/// Does as many rows of a chore; whether nothing is left of it. A row that cannot be read holds up only itself.
fn go_on(s: &mut Step<'_, '_>, chore: Chore, mut at: ChoreRow, rows: usize) -> Result<bool, StoreError> {
    let parts = rows::parts(chore);
    let mut left = rows;
    while left > 0
        && let Some(part) = parts.get(usize::from(at.part))
    {
        let (found, more) = part.some(s, &at.next, left)?;
        (at.part, at.next) = match found.last().filter(|_| more) {
            Some((last, _)) => (at.part, [last.as_slice(), &[0]].concat()),
            None => (at.part + 1, Vec::new()),
        };
        left = left.saturating_sub(found.len());
        for (key, value) in found {
            drop(s.tried(|s| rows::one(s, chore, part, &key, &value))?);
        }
        if usize::from(at.part) == parts.len() && std::mem::take(&mut at.again) {
            at.part = 0;
        }
    }
    if usize::from(at.part) < parts.len() {
        keep(s, chore, at)?;
        return Ok(false);
    }
    end(s, chore)?;
    Ok(true)
}

fn keep(s: &mut Step<'_, '_>, chore: Chore, at: ChoreRow) -> Result<(), StoreError> {
    match chore.to_row() {
        Some(key) => {
            (s.engine.chores.lasting, s.engine.chores.all_stuck) = (true, false);
            s.txn.put_lazily(Table::Chore, &key, &at);
        }
        None => drop(s.engine.chores.passing.insert(chore, at)),
    }
    Ok(())
}

fn end(s: &mut Step<'_, '_>, chore: Chore) -> Result<(), StoreError> {
    rows::ended(s, chore)?;
    match chore.to_row() {
        Some(key) if is_under_way(s, chore)? => s.txn.delete(Table::Chore, &key),
        Some(_) => {}
        None => s.engine.chores.drop(chore),
    }
    for token in s.engine.chores.tokens.remove(&chore).unwrap_or_default() {
        s.out.push(Effect::Reply { token, reply: Ok(Answer::Done) });
    }
    Ok(())
}
