//! Changing what is here: import, put, create, claim, remove.

use once_model::certificate::{Chain, Genesis};
use once_model::hash::{content_hash, record_hash};
use once_model::header::{Cause, Header};
use once_model::ids::{Hash, KernelId, Line, Lineage, ObjectKey};
use once_model::scenario::Scenario;

use super::keep::{self, Before};
use super::{continues, described, unclaimed};
use crate::actions;
use crate::meta;
use crate::outbox;
use crate::refusal::{Failure, Refusal};
use crate::rows::{self, HeadRow, SourceRow};
use crate::step::Step;
use crate::store::{Read, StoreError, Table};
use crate::txn;
use crate::waist::{Answer, Change};

/// Keeps a scenario from outside.
pub(crate) fn import(
    s: &mut Step<'_, '_>,
    source: Option<String>,
    scenario: &Scenario,
) -> Result<Answer, Failure> {
    s.room_on_disk()?;
    let place = source.as_deref().map(|path| record_hash("once/2 source", path.as_bytes()));
    let answer = match &place {
        Some(place) => import_again(s, place, scenario)?,
        None => None,
    };
    let answer = match answer {
        Some(answer) => answer,
        None => import_new(s, scenario)?,
    };
    if let (Some(path), Some(place), Answer::Object { header, .. }) = (source, place, &answer) {
        let row = SourceRow { path, key: header.key(), content: scenario.hash() };
        if txn::get::<SourceRow>(s.txn, Table::Source, place.as_bytes())?.as_ref() != Some(&row) {
            s.txn.put(Table::Source, place.as_bytes(), &row);
        }
    }
    Ok(answer)
}

/// A file that was imported from this path before and has other bytes now is a new revision of the same object.
fn import_again(s: &mut Step<'_, '_>, place: &Hash, scenario: &Scenario) -> Result<Option<Answer>, Failure> {
    let Some(before) = txn::get::<SourceRow>(s.txn, Table::Source, place.as_bytes())? else {
        return Ok(None);
    };
    if !continues(scenario, &before.key.uuid) || before.content == scenario.hash() {
        return Ok(None);
    }
    let key = current_key(s, &before.key)?;
    match rows::head(s.txn, &key)? {
        Some(head) if !head.header.tombstone => Ok(Some(change(s, head, scenario)?)),
        _ => Ok(None),
    }
}

fn import_new(s: &mut Step<'_, '_>, scenario: &Scenario) -> Result<Answer, Failure> {
    let header = unclaimed(scenario);
    let current = current_key(s, &header.key())?;
    let namesakes = keep::namesakes(s, &header.uuid)?;
    let known = match rows::head(s.txn, &current)? {
        Some(known) => Some(known),
        None => namesakes.iter().find(|known| known.header.content == header.content).cloned(),
    };
    if let Some(known) = known {
        if known.header.tombstone {
            return Err(Refusal::Removed(known.header.key()).into());
        }
        return Ok(Answer::Object { header: Box::new(known.header), change: Change::Same });
    }
    let row = own(s, header, None);
    keep::keep(s, Before::Nothing, &row, Some(scenario.bytes().clone()))?;
    let beside = namesakes.iter().any(|known| !known.header.tombstone);
    let change = if beside { Change::Beside } else { Change::New };
    Ok(Answer::Object { header: Box::new(row.header), change })
}

/// A new revision of an object whose home is here.
pub(crate) fn put(
    s: &mut Step<'_, '_>,
    key: &ObjectKey,
    base: Option<Hash>,
    scenario: &Scenario,
) -> Result<Answer, Failure> {
    s.room_on_disk()?;
    let head = living(s, key)?;
    if !continues(scenario, &head.header.uuid) {
        return Err(Refusal::OtherUuid { wanted: head.header.uuid, found: scenario.uuid() }.into());
    }
    if base.is_some_and(|base| base != head.header.id()) {
        return Err(Refusal::Stale { key: head.header.key(), newest: head.header.revision }.into());
    }
    change(s, head, scenario)
}

/// An object born here: imported and claimed in one.
pub(crate) fn create(s: &mut Step<'_, '_>, scenario: &Scenario) -> Result<Answer, Failure> {
    s.room_on_disk()?;
    let Answer::Object { header, change } = import_new(s, scenario)? else { return Ok(Answer::Done) };
    if header.lineage.is_some() {
        return Ok(Answer::Object { header, change });
    }
    let head = living(s, &header.key())?;
    let head = claimed(s, head)?;
    Ok(Answer::Object { header: Box::new(head.header), change })
}

/// An object that another one made here: of this kernel, whatever others call by its UUID.
pub(crate) fn born(s: &mut Step<'_, '_>, scenario: &Scenario) -> Result<(), Failure> {
    s.room_on_disk()?;
    let header = unclaimed(scenario);
    if keep::namesakes(s, &header.uuid)?.iter().any(|known| known.home == Some(s.ctx.me)) {
        return Ok(());
    }
    let head = match rows::head(s.txn, &header.key())? {
        Some(copy) => copy,
        None => {
            let row = own(s, header, None);
            keep::keep(s, Before::Nothing, &row, Some(scenario.bytes().clone()))?;
            row
        }
    };
    claimed(s, head)?;
    Ok(())
}

/// Gives an unclaimed object a lineage, with this kernel as its home.
pub(crate) fn claim(s: &mut Step<'_, '_>, key: &ObjectKey) -> Result<Answer, Failure> {
    s.room_on_disk()?;
    let head = living(s, key)?;
    let (head, change) = match head.home {
        None => (claimed(s, head)?, Change::Claimed),
        Some(home) if home == s.ctx.me => (head, Change::Same),
        Some(home) => return Err(Refusal::NotHome { key: head.header.key(), home }.into()),
    };
    Ok(Answer::Object { header: Box::new(head.header), change })
}

/// At home: a tombstone that travels. Elsewhere: the copy goes.
pub(crate) fn remove(s: &mut Step<'_, '_>, key: &ObjectKey) -> Result<Answer, Failure> {
    let key = current_key(s, key)?;
    let head = rows::head(s.txn, &key)?.ok_or(Refusal::NoObject(key))?;
    if head.home != Some(s.ctx.me) {
        // Else the next revision would bring the copy back.
        outbox::unfollow_everywhere(s, &key)?;
        keep::forget(s, &head)?;
        return Ok(Answer::Object { header: Box::new(head.header), change: Change::Dropped });
    }
    if head.header.tombstone {
        return Err(Refusal::Removed(key).into());
    }
    let header = Header {
        revision: head.header.revision + 1,
        parent: Some(head.header.id()),
        content: content_hash(b""),
        size: 0,
        tombstone: true,
        cause: None,
        signature: None,
        entry: None,
        ..head.header.clone()
    };
    let row = own(s, header, head.home);
    keep::keep(s, Before::Head(&head), &row, None)?;
    keep::drop_conflicts(s, &key)?;
    actions::forget(s, &key)?;
    Ok(Answer::Object { header: Box::new(row.header), change: Change::Removed })
}

/// What an action made of an object whose home is here, claiming it first if nobody has. The same bytes are no new
/// revision. One that `acts` is claimed in any case.
pub(crate) fn acted(
    s: &mut Step<'_, '_>,
    head: HeadRow,
    scenario: &Scenario,
    cause: Cause,
    acts: bool,
) -> Result<HeadRow, Failure> {
    if !continues(scenario, &head.header.uuid) {
        return Err(Refusal::OtherUuid { wanted: head.header.uuid, found: scenario.uuid() }.into());
    }
    s.room_on_disk()?;
    if head.header.content == scenario.hash() {
        return Ok(if acts && head.home.is_none() { claimed(s, head)? } else { head });
    }
    Ok(next(s, head, scenario, Some(cause))?)
}

/// The next revision of an object, claiming it first if nobody has.
fn change(s: &mut Step<'_, '_>, head: HeadRow, scenario: &Scenario) -> Result<Answer, Failure> {
    if let Some(home) = head.home
        && home != s.ctx.me
        && !mutant!(ChangeReplica)
    {
        return Err(Refusal::NotHome { key: head.header.key(), home }.into());
    }
    if head.header.content == scenario.hash() {
        return Ok(Answer::Object { header: Box::new(head.header), change: Change::Same });
    }
    let row = next(s, head, scenario, None)?;
    Ok(Answer::Object { header: Box::new(row.header), change: Change::Changed })
}

fn next(
    s: &mut Step<'_, '_>,
    head: HeadRow,
    scenario: &Scenario,
    cause: Option<Cause>,
) -> Result<HeadRow, StoreError> {
    let head = if head.home.is_none() { claimed(s, head)? } else { head };
    let (component, version) = described(scenario);
    let header = Header {
        revision: head.header.revision + u64::from(!mutant!(ReuseRevision)),
        parent: Some(head.header.id()),
        content: scenario.hash(),
        size: scenario.bytes().len() as u64,
        component,
        version,
        cause,
        signature: None,
        entry: None,
        ..head.header.clone()
    };
    let row = own(s, header, head.home);
    keep::keep(s, Before::Head(&head), &row, Some(scenario.bytes().clone()))?;
    Ok(row)
}

/// Makes the genesis record of an unclaimed object and its first revision: the same bytes, now with a home.
pub(crate) fn claimed(s: &mut Step<'_, '_>, head: HeadRow) -> Result<HeadRow, StoreError> {
    let mut nonce = [0; 16];
    s.rng.fill(&mut nonce);
    let genesis = Genesis {
        uuid: head.header.uuid,
        home: s.ctx.me,
        recovery: meta::recovery_keys(s.txn)?,
        content: head.header.content,
        nonce,
        incarnation: meta::incarnation(s.txn)?,
    };
    let chain = Chain::new(genesis);
    let lineage = chain.genesis.lineage();
    let header = Header {
        lineage: Some(lineage),
        epoch: 1,
        revision: 1,
        certificate: Some(chain.certificate()),
        ..head.header.clone()
    };
    let key = header.key();
    let row = own(s, header, Some(s.ctx.me));
    let body = s.txn.get(Table::Body, &rows::body_key(&head.header))?;
    s.txn.put(Table::Chain, lineage.as_bytes(), &chain);
    keep::supersede(s, &head, key)?;
    keep::keep(s, Before::Copy, &row, body)?;
    Ok(row)
}

/// The row of a revision that was made here.
fn own(s: &Step<'_, '_>, header: Header, home: Option<KernelId>) -> HeadRow {
    HeadRow {
        header,
        home,
        from: None,
        charged: false,
        stored_ms: s.ctx.now_ms,
        conflicts_dropped: 0,
        proven: false,
    }
}

/// An object that is here and not removed.
fn living(s: &Step<'_, '_>, key: &ObjectKey) -> Result<HeadRow, Failure> {
    let key = current_key(s, key)?;
    let head = rows::head(s.txn, &key)?.ok_or(Refusal::NoObject(key))?;
    if head.header.tombstone {
        return Err(Refusal::Removed(key).into());
    }
    Ok(head)
}

/// The key under which an object is found now: an unclaimed copy may have been claimed since the caller looked.
pub(crate) fn current_key(s: &Step<'_, '_>, key: &ObjectKey) -> Result<ObjectKey, StoreError> {
    let Line::Unclaimed(content) = key.line else { return Ok(*key) };
    // A claim takes the copy away: while it is there, nothing else needs to be looked for.
    if s.txn.get(Table::Head, &key.to_row())?.is_some() {
        return Ok(*key);
    }
    let place = rows::content_key(&key.uuid, &content);
    let lineage: Option<Lineage> = txn::get(s.txn, Table::Genesis, &place)?;
    Ok(lineage.map_or(*key, |lineage| ObjectKey { uuid: key.uuid, line: Line::Claimed(lineage) }))
}
