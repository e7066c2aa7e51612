//! Whether anything is still here that would be lost with this kernel.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use once_core::store::{Read, StoreError};
use once_core::waist::Command;
use once_core::{act, archive, object, peers, share};
use once_model::ids::{KernelId, ObjectKey};
use once_model::receipt::Receipt;

use crate::api::contract::ObjectState;
use crate::error::OrError;
use crate::kernel::PATIENCE;
use crate::object::{Standpoint, key_text};
use crate::surface::awaited;
use crate::{Error, Kernel, beside, drain};

mod check;

pub use check::RetireCheck;
use check::{Named, objects_of};

/// Actions without an outcome that are counted.
const COUNTED_MAX: usize = 100_000;

/// What is here, counted on one snapshot.
#[derive(Debug, Default)]
struct Counted {
    living: Named,
    read_only: Named,
    copies: u64,
    conflicts: u64,
    history: Histories,
}

/// How much of histories is kept here.
#[derive(Debug, Default)]
struct Histories {
    /// Entries of objects that have another home, and of those that have none any more.
    entries: u64,
    /// Those that no other kernel has said to have, and that people have written down as receipts.
    receipted: u64,
    /// The others that the present home has not said to have, by home; of removed objects none.
    missing: BTreeMap<Option<KernelId>, u64>,
}

/// Builder of a look at what would be lost with a kernel. Awaiting it returns one check for each thing.
#[derive(Clone)]
#[must_use]
pub struct Retire {
    kernel: Kernel,
    to: Option<KernelId>,
    patience: Duration,
    receipts_written: bool,
    loss_given_up: bool,
}

impl Retire {
    /// The kernel that is to have what is only kept here: each such scenario is offered to it again, and counts when it has answered.
    pub fn to(mut self, kernel: KernelId) -> Self {
        self.to = Some(kernel);
        self
    }

    /// Stops waiting for other kernels when nothing has come for this time. Default: 10 s.
    pub fn timeout(mut self, after: Duration) -> Self {
        self.patience = after;
        self
    }

    /// What this kernel has recorded was written elsewhere, with [`Kernel::receipts`], so no other kernel need have it. The kernel
    /// remembers that: later looks need not say it again.
    pub fn receipts_written(mut self) -> Self {
        self.receipts_written = true;
        self
    }

    /// This kernel was put back from a backup, and its people give up what it did after that: it counts as nothing missing.
    pub fn loss_given_up(mut self) -> Self {
        self.loss_given_up = true;
        self
    }

    async fn run(self) -> Result<Vec<RetireCheck>, Error> {
        let Self { kernel, to, patience, receipts_written, loss_given_up } = self;
        let kernel = &kernel;
        if receipts_written {
            note_receipts(kernel).await?;
        }
        let unwilling = give_histories(kernel, patience).await?;
        let (snapshot, me) = (kernel.shared().snapshot(), kernel.id());
        let looked = beside::wait_for(move || count(&snapshot, me)).await;
        let counted = looked.map_err(|_| Error::fault("looking at what is here panicked"))?.or_error()?;
        let mut checks: Vec<_> = backup(kernel, loss_given_up)?.into_iter().collect();
        checks.push(objects(kernel, &counted)?);
        checks.extend(read_only(&counted.read_only));
        checks.push(match to {
            Some(to) => copies_at(kernel, to, patience).await?,
            None => copies(&counted),
        });
        checks.push(conflicts(&counted));
        checks.push(owed(kernel)?);
        checks.push(actions(kernel)?);
        checks.push(news(kernel).await?);
        checks.push(history(kernel, &counted.history, &unwilling));
        Ok(checks)
    }
}

awaited! {
    Retire => Vec<RetireCheck>;
}

impl Kernel {
    /// Looks at everything that would be lost with this kernel: it can be erased when each check is fine. What it has recorded of
    /// objects that have moved is given to their present homes.
    ///
    /// ```no_run
    /// # async fn run(old: once::Kernel, new: once::KernelId) -> Result<(), once::Error> {
    /// for check in old.retire().to(new).await?.iter().filter(|check| !check.ok) {
    ///     println!("{}: {}", check.check, check.message);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn retire(&self) -> Retire {
        let kernel = self.clone();
        Retire { kernel, to: None, patience: PATIENCE, receipts_written: false, loss_given_up: false }
    }

    /// Receipts of the entries behind the one of number `after`, at most `limit`.
    pub(crate) async fn signed_entries(
        &self,
        key: ObjectKey,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Receipt>, Error> {
        let (snapshot, shared) = (self.shared().snapshot(), Arc::clone(self.shared()));
        let looked = beside::wait_for(move || {
            let recorded = archive::history(&snapshot, &key)?.into_iter();
            let page = recorded.filter(|one| one.entry.number > after).take(limit);
            page.map(|one| act::receipt_for(&snapshot, &shared.key, one)).collect::<Result<_, StoreError>>()
        });
        looked.await.map_err(|_| Error::fault("signing receipts panicked"))?.or_error()
    }
}

fn count(rows: &dyn Read, me: KernelId) -> Result<Counted, StoreError> {
    let (mut counted, here) = (Counted::default(), Standpoint::of(rows, me)?);
    let (mut all, mut mine) = (Vec::new(), Vec::new());
    object::heads(rows, &mut |row| {
        let key = row.header.key();
        all.push((key, row.home == Some(me) && !row.header.tombstone));
        match row.home {
            _ if row.header.tombstone => {}
            Some(home) if home == me => mine.push(key),
            Some(_) => {}
            None => counted.copies += 1,
        }
        ControlFlow::Continue(())
    })?;
    for key in mine {
        match here.state(&key, Some(me))? {
            ObjectState::ReadOnly => counted.read_only.add(key),
            _ => counted.living.add(key),
        }
    }
    object::conflicts(rows, &mut |_| {
        counted.conflicts += 1;
        ControlFlow::Continue(())
    })?;
    for (key, lives_here) in all {
        match archive::left(rows, &me, &key)? {
            Some(left) => counted.history.add(Some(left.home), left.entries, (left.missing, left.receipted)),
            // Once it has moved, its history can.
            None if lives_here => {}
            None => {
                let all = archive::written(rows, &key)?;
                counted.history.add(None, all.entries, (all.entries, all.receipted));
            }
        }
    }
    Ok(counted)
}

impl Histories {
    /// `kept_here`: how many entries nobody else has said to have, and how many of these are written down as receipts.
    fn add(&mut self, home: Option<KernelId>, entries: u64, kept_here: (u64, u64)) {
        let (missing, receipted) = kept_here;
        self.entries += entries;
        self.receipted += receipted;
        if missing > receipted {
            *self.missing.entry(home).or_default() += missing - receipted;
        }
    }
}

/// People have written down the receipts of what is recorded here: it is remembered, object by object.
async fn note_receipts(kernel: &Kernel) -> Result<(), Error> {
    let (snapshot, me) = (kernel.shared().snapshot(), kernel.id());
    let looked = beside::wait_for(move || -> Result<Vec<(ObjectKey, u64)>, StoreError> {
        let (mut keys, mut found) = (Vec::new(), Vec::new());
        object::heads(&snapshot, &mut |row| {
            let lives_here = row.home == Some(me) && !row.header.tombstone;
            keys.extend((!lives_here).then(|| row.header.key()));
            ControlFlow::Continue(())
        })?;
        for key in keys {
            let all = archive::written(&snapshot, &key)?;
            found.extend((all.receipted < all.entries).then_some((key, all.newest)));
        }
        Ok(found)
    });
    let wanted = looked.await.map_err(|_| Error::fault("looking at histories panicked"))?.or_error()?;
    for (key, up_to) in wanted {
        kernel.command(Command::Receipted { key, up_to }).await?;
    }
    Ok(())
}

/// Objects whose histories are under way at the same time.
const GIVEN_AT_ONCE: usize = 8;

/// Gives what this kernel has recorded of objects to their present homes. Why a home has not taken it is said, in words.
async fn give_histories(kernel: &Kernel, patience: Duration) -> Result<BTreeMap<KernelId, String>, Error> {
    let (snapshot, me) = (kernel.shared().snapshot(), kernel.id());
    let looked = beside::wait_for(move || -> Result<Vec<(ObjectKey, KernelId)>, StoreError> {
        let (mut keys, mut found) = (Vec::new(), Vec::new());
        object::heads(&snapshot, &mut |row| {
            keys.push(row.header.key());
            ControlFlow::Continue(())
        })?;
        for key in keys {
            let left = archive::left(&snapshot, &me, &key)?.filter(|left| left.missing > 0);
            found.extend(left.map(|left| (key, left.home)));
        }
        Ok(found)
    });
    let wanted = looked.await.map_err(|_| Error::fault("looking at histories panicked"))?.or_error()?;
    let give = |(key, home): (ObjectKey, KernelId)| async move {
        let given = tokio::time::timeout(patience, kernel.command(Command::Archive { key })).await;
        let why = match given {
            Ok(Ok(_)) => return None,
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("it did not answer within {} s", patience.as_secs_f32()),
        };
        Some((home, why))
    };
    Ok(stream::iter(wanted)
        .map(give)
        .buffer_unordered(GIVEN_AT_ONCE)
        .filter_map(std::future::ready)
        .collect()
        .await)
}

fn objects(kernel: &Kernel, counted: &Counted) -> Result<RetireCheck, Error> {
    if counted.living.count == 0 {
        return Ok(RetireCheck::done("objects", "no object lives here"));
    }
    let moves = kernel.moves()?;
    let said = |key: &ObjectKey| {
        let leaving = moves.iter().find(|departing| departing.key == *key);
        let to = leaving.map(|departing| {
            let what = if departing.is_sealed { "handed over" } else { "about to leave" };
            format!(" ({what} to {})", kernel.shared().called(&departing.to))
        });
        format!("{}{}", key_text(key), to.unwrap_or_default())
    };
    let message = format!("{} at home here: {}", objects_of(counted.living.count), counted.living.list(said));
    Ok(RetireCheck::missing(
        "objects",
        message,
        "`once drain --to PEER` moves them, and says which cannot go and why",
    ))
}

/// What this kernel was home of when the backup was made: nothing moves it away, and it goes only when people drop it.
fn read_only(all: &Named) -> Option<RetireCheck> {
    let message = format!(
        "{} only read here since the backup was put back, and not moved: {}",
        objects_of(all.count),
        all.list(key_text)
    );
    let hint = "`once export DIR --all` writes out what is here, and who follows one may have more of it; then `once rm --read-only OBJECT` drops it here, and imported on another kernel it is a new object";
    (all.count > 0).then(|| RetireCheck::missing("read-only", message, hint))
}

/// Of a kernel that was put back from a backup nobody can say that nothing is missing.
fn backup(kernel: &Kernel, loss_given_up: bool) -> Result<Option<RetireCheck>, Error> {
    let snapshot = kernel.shared().snapshot();
    let here = Standpoint::of(&snapshot, kernel.id()).or_error()?;
    let (message, hint) = match (here.is_quarantined(), here.is_reborn()) {
        (true, _) => (
            "this kernel is in quarantine: it was put back from a backup, and says nothing to others",
            "`once quarantine` says what its peers know of it, and what ends it",
        ),
        (false, true) if loss_given_up => {
            let message = "this kernel was put back from a backup, and what it did after that is given up";
            return Ok(Some(RetireCheck::done("backup", message)));
        }
        (false, true) => (
            "this kernel was put back from a backup: what it did after that is not here",
            "keep the data directory that was in use before, if there is one; `once retire --give-up-loss` says that nothing of it is missed",
        ),
        (false, false) => return Ok(None),
    };
    Ok(Some(RetireCheck::missing("backup", message.into(), hint)))
}

fn copies(counted: &Counted) -> RetireCheck {
    match counted.copies {
        0 => RetireCheck::done("copies", "nothing unclaimed is kept here"),
        n => RetireCheck::missing(
            "copies",
            format!("kept here, unclaimed, and by nobody else as far as is known: {}", objects_of(n)),
            "say who is to have them: `once retire --to PEER`",
        ),
    }
}

/// What is only kept here is offered once more: who has it says so, and who has not gets it.
async fn copies_at(kernel: &Kernel, to: KernelId, patience: Duration) -> Result<RetireCheck, Error> {
    let shared = drain::share_copies(kernel, to, patience).await?;
    let name = kernel.shared().called(&to);
    let (owed, refused) = (shared.owed, shared.stuck_count);
    Ok(match owed + refused {
        0 => RetireCheck::done("copies", &format!("kernel {name} has what was only kept here")),
        _ => RetireCheck::missing(
            "copies",
            format!("kernel {name} has not answered for {owed} scenarios, and refused {refused}"),
            "`once drain --to PEER` says why",
        ),
    })
}

fn conflicts(counted: &Counted) -> RetireCheck {
    match counted.conflicts {
        0 => RetireCheck::done("conflicts", "nothing is kept beside an object"),
        n => RetireCheck::missing(
            "conflicts",
            format!("{n} revisions are kept beside objects, and are nowhere else"),
            "`once conflicts` lists them: keep or drop each",
        ),
    }
}

fn owed(kernel: &Kernel) -> Result<RetireCheck, Error> {
    let snapshot = kernel.shared().snapshot();
    let mut waits = Vec::new();
    for (peer, _) in peers::all(&snapshot).or_error()? {
        let rows = share::usage(&snapshot, &peer).or_error()?.owed_rows;
        if rows > 0 {
            waits.push(format!("{rows} to {}", kernel.shared().called(&peer)));
        }
    }
    Ok(match waits.as_slice() {
        [] => RetireCheck::done("owed", "nothing is owed to a peer"),
        waits => RetireCheck::missing(
            "owed",
            format!("rows of the outbox wait: {}", waits.join(", ")),
            "`once outbox` says for whom and why; `once outbox drop --peer PEER` gives them up",
        ),
    })
}

fn actions(kernel: &Kernel) -> Result<RetireCheck, Error> {
    let (snapshot, me, mut waiting) = (kernel.shared().snapshot(), kernel.id(), 0);
    let known = peers::all(&snapshot).or_error()?.into_iter().map(|(peer, _)| peer).chain([me]);
    let known: BTreeSet<KernelId> = known.collect();
    act::waiting(&snapshot, &mut |home, _, _, row| {
        // What was given up at a kernel that is no peer has no outcome for ever.
        waiting += usize::from(row.void.is_none() || known.contains(&home));
        if waiting < COUNTED_MAX { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })
    .or_error()?;
    Ok(match waiting {
        0 => RetireCheck::done("actions", "every action of this kernel has its outcome"),
        n => RetireCheck::missing(
            "actions",
            format!("{n} actions of this kernel have no outcome yet"),
            "`once outbox` lists them; `once cancel ID` takes one back",
        ),
    })
}

/// Who has not heard where what lived here is now.
async fn news(kernel: &Kernel) -> Result<RetireCheck, Error> {
    let owed = kernel.news_owed().await?;
    let mut waits: BTreeMap<KernelId, u64> = BTreeMap::new();
    for peer in owed.iter().flat_map(|news| &news.waits_for) {
        *waits.entry(*peer).or_default() += 1;
    }
    if waits.is_empty() {
        return Ok(RetireCheck::done(
            "news",
            "every kernel with a lane, a right or a subscription has heard where its objects are now",
        ));
    }
    let named: Vec<_> = waits
        .iter()
        .map(|(peer, n)| format!("{} of {}", kernel.shared().called(peer), objects_of(*n)))
        .collect();
    let message =
        format!("not every kernel that should has heard where its objects are now: {}", named.join(", "));
    let hint =
        "each is told when it is connected: `once moves` lists them; `once peers remove PEER` gives one up";
    Ok(RetireCheck::missing("news", message, hint))
}

fn history(kernel: &Kernel, histories: &Histories, unwilling: &BTreeMap<KernelId, String>) -> RetireCheck {
    let Histories { entries, receipted, .. } = *histories;
    match (entries, receipted, histories.missing.is_empty()) {
        (0, ..) => {
            return RetireCheck::done("history", "no history of an object that lives elsewhere is kept here");
        }
        (n, 0, true) => {
            let message =
                format!("what was recorded here is kept where its objects live now: {}", entries_of(n));
            return RetireCheck::done("history", &message);
        }
        (_, n, true) => {
            let message = format!(
                "of what only this kernel has, the receipts were written to a file, which is to be kept: {}",
                entries_of(n)
            );
            return RetireCheck::done("history", &message);
        }
        _ => {}
    }
    let waits = histories.missing.iter().map(|(home, n)| match home {
        None => format!("{} of objects that were removed", entries_of(*n)),
        Some(home) => {
            let why = unwilling.get(home).map(|why| format!(" ({why})")).unwrap_or_default();
            format!("{} for kernel {}{why}", entries_of(*n), kernel.shared().called(home))
        }
    });
    let waits: Vec<_> = waits.collect();
    let hint = match histories.missing.keys().any(Option::is_some) {
        true => {
            "the same command goes on when they are connected; `once retire --receipts FILE` writes a signed receipt of each instead"
        }
        false => {
            "no kernel can have what was recorded of removed objects: `once retire --receipts FILE` writes a signed receipt of each"
        }
    };
    RetireCheck::missing("history", format!("kept only here, as far as is known: {}", waits.join(", ")), hint)
}

/// `1 entry`, `2 entries`.
fn entries_of(n: u64) -> String {
    if n == 1 { "1 entry".to_owned() } else { format!("{n} entries") }
}
