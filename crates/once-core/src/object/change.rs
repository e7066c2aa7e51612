//! Changing what is here: import, put, create, claim, remove. Each change of a claimed object is a built-in action.

use once_model::hash::record_hash;
use once_model::ids::{Hash, Line, ObjectKey, Uuid};
use once_model::scenario::Scenario;

use super::changeable::{is_of_earlier_life, may_change};
use super::draft::{self, Draft};
use super::keep::{self, Before};
use super::query;
use super::rows;
use super::{HeadRow, SourceRow, beside, continues, unclaimed};
use crate::act::{self, BuiltIn, Cause};
use crate::engine::Step;
use crate::refusal::{Failure, Refusal};
use crate::store::{StoreError, Table};
use crate::waist::{Answer, Change};
use crate::{follow, txn};

/// Keeps a scenario from outside. With `over`, a file that changed is laid over that revision of its object, whatever
/// happened since it was imported.
pub(crate) fn import(
    s: &mut Step<'_, '_>,
    source: Option<String>,
    over: Option<Hash>,
    scenario: &Scenario,
) -> Result<Answer, Failure> {
    s.room_on_disk()?;
    let place = source.as_deref().map(|path| record_hash("once/2 source", path.as_bytes()));
    let before: Option<SourceRow> = match &place {
        Some(place) => txn::get(s.txn, Table::Source, place.as_bytes())?,
        None => None,
    };
    let again = match (&before, over) {
        (Some(before), _) if continues(scenario, &before.key.uuid) => {
            import_again(s, before, over, scenario)?
        }
        (_, Some(over)) => Some(import_over(s, over, scenario)?),
        (_, None) => None,
    };
    let answer = match again {
        Some(answer) => answer,
        None => import_new(s, scenario)?,
    };
    if let (Some(path), Some(place), Answer::Object { header, change }) = (source, place, &answer)
        && !matches!(change, Change::KeptBeside)
    {
        let (content, revision, number) = (scenario.hash(), header.id(), header.revision);
        // What is in the file already has gone on since: the file is no news, and still comes from where it came from.
        let is_news = header.content == content;
        let row = SourceRow { path, key: header.key(), content, revision, number };
        if is_news && before.as_ref() != Some(&row) {
            s.txn.put(Table::Source, place.as_bytes(), &row);
        }
    }
    Ok(answer)
}

/// A file that was imported from this path before and has other bytes now is a new revision of the same object, if that
/// has not gone on since; else it is kept beside. `None`: the object is not here any more.
fn import_again(
    s: &mut Step<'_, '_>,
    before: &SourceRow,
    over: Option<Hash>,
    scenario: &Scenario,
) -> Result<Option<Answer>, Failure> {
    let key = query::current_key(s.txn, &before.key)?;
    let Some(head) = rows::head(s.txn, &key)? else { return Ok(None) };
    if head.header.tombstone {
        return Err(Refusal::Removed(key).into());
    }
    let same = scenario.hash() == before.content && over.is_none();
    if same || scenario.hash() == head.header.content {
        return Ok(Some(Answer::Object { header: Box::new(head.header), change: Change::Same }));
    }
    may_change(s, &head)?;
    if let Some(over) = over {
        return lay_over(s, head, over, scenario).map(Some);
    }
    // The claim of what was imported is the same bytes.
    let only_claimed = head.header.revision == 1 && matches!(before.key.line, Line::Unclaimed(_));
    if head.header.id() != before.revision && !only_claimed && !mutant!(ImportOver) {
        return beside::keep_file(s, head, before, scenario).map(Some);
    }
    change(s, BuiltIn::Import, head, scenario).map(Some)
}

/// A file that was not imported from here before, for an object that is here.
fn import_over(s: &mut Step<'_, '_>, over: Hash, scenario: &Scenario) -> Result<Answer, Failure> {
    let uuid = scenario.uuid();
    let head = keep::namesakes(s, &uuid)?.into_iter().find(|head| head.header.id() == over);
    let head = head.ok_or(Refusal::NoRevision { uuid, revision: over })?;
    if head.header.tombstone {
        return Err(Refusal::Removed(head.header.key()).into());
    }
    may_change(s, &head)?;
    lay_over(s, head, over, scenario)
}

fn lay_over(s: &mut Step<'_, '_>, head: HeadRow, over: Hash, scenario: &Scenario) -> Result<Answer, Failure> {
    if head.header.id() != over {
        return Err(Refusal::Stale { key: head.header.key(), newest: head.header.revision }.into());
    }
    change(s, BuiltIn::Import, head, scenario)
}

fn import_new(s: &mut Step<'_, '_>, scenario: &Scenario) -> Result<Answer, Failure> {
    let header = unclaimed(scenario);
    let namesakes = keep::namesakes(s, &header.uuid)?;
    if let Some(known) = known(s, scenario, &namesakes)? {
        if known.header.tombstone {
            return Err(Refusal::Removed(known.header.key()).into());
        }
        return Ok(Answer::Object { header: Box::new(known.header), change: Change::Same });
    }
    let row = draft::own(s, header, None);
    keep::keep(s, Before::Nothing, &row, Some(scenario.bytes().clone()))?;
    let change = match namesakes.iter().map(|known| known.header.tombstone).min() {
        None => Change::New,
        Some(false) => Change::Beside,
        Some(true) => Change::BesideTombstone,
    };
    Ok(Answer::Object { header: Box::new(row.header), change })
}

/// The object that is here with the bytes of a scenario, or was claimed from them.
fn known(
    s: &Step<'_, '_>,
    scenario: &Scenario,
    namesakes: &[HeadRow],
) -> Result<Option<HeadRow>, StoreError> {
    let current = query::current_key(s.txn, &unclaimed(scenario).key())?;
    Ok(match rows::head(s.txn, &current)? {
        Some(known) => Some(known),
        None => namesakes.iter().find(|known| known.header.content == scenario.hash()).cloned(),
    })
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
    may_change(s, &head)?;
    change(s, BuiltIn::Put, head, scenario)
}

/// An object born here: imported and claimed in one.
pub(crate) fn create(s: &mut Step<'_, '_>, scenario: &Scenario) -> Result<Answer, Failure> {
    s.room_on_disk()?;
    let by = Cause::Client(act::new_id(s));
    let namesakes = keep::namesakes(s, &scenario.uuid())?;
    let (what, draft, change) = match known(s, scenario, &namesakes)? {
        Some(known) if known.header.tombstone => return Err(Refusal::Removed(known.header.key()).into()),
        Some(known) if known.home.is_some() => {
            return Ok(Answer::Object { header: Box::new(known.header), change: Change::Same });
        }
        Some(copy) => (BuiltIn::Claim, Draft::claim(s, copy)?, Change::Same),
        None => {
            let beside = namesakes.iter().any(|known| !known.header.tombstone);
            let change = if beside { Change::Beside } else { Change::New };
            (BuiltIn::Create, Draft::born(s, scenario)?, change)
        }
    };
    let head = act::carry_out(s, what, by, draft)?;
    Ok(Answer::Object { header: Box::new(head.header), change })
}

/// An object that another one made here, by an effect: of this kernel, whatever others call by its UUID.
pub(crate) fn born(
    s: &mut Step<'_, '_>,
    scenario: &Scenario,
    (effect, object): (Uuid, ObjectKey),
) -> Result<(), Failure> {
    s.room_on_disk()?;
    let namesakes = keep::namesakes(s, &scenario.uuid())?;
    let maker = rows::head(s.txn, &object)?;
    let (what, draft) = match known(s, scenario, &namesakes)? {
        Some(known) if known.home == Some(s.ctx.me) => return Ok(()),
        Some(copy) if copy.home.is_none() => (BuiltIn::Claim, Draft::claim(s, copy)?),
        // Others may call what they like by this UUID: two of one UUID stand side by side.
        _ => (BuiltIn::Create, Draft::born(s, scenario)?),
    };
    act::carry_out(s, what, Cause::Effect(effect, object), draft.made_by(maker.as_ref()))?;
    Ok(())
}

/// Gives an unclaimed object a lineage, with this kernel as its home.
pub(crate) fn claim(s: &mut Step<'_, '_>, key: &ObjectKey) -> Result<Answer, Failure> {
    s.room_on_disk()?;
    let head = living(s, key)?;
    let (head, change) = match head.home {
        None => {
            let by = Cause::Client(act::new_id(s));
            let draft = Draft::claim(s, head)?;
            (act::carry_out(s, BuiltIn::Claim, by, draft)?, Change::Claimed)
        }
        // It is an object of this kernel already, if this kernel may change it.
        Some(_) => {
            may_change(s, &head)?;
            (head, Change::Same)
        }
    };
    Ok(Answer::Object { header: Box::new(head.header), change })
}

/// A client removes an object.
pub(crate) fn remove_by_client(s: &mut Step<'_, '_>, key: &ObjectKey) -> Result<Answer, Failure> {
    let current = query::current_key(s.txn, key)?;
    // What has come, and was not told so, may be removed.
    let is_arriving = s.engine.moving.arriving.contains_key(&current);
    if !is_arriving && s.engine.moving.hold(&current).is_some() {
        return Err(Refusal::Leaving(current).into());
    }
    let by = Cause::Client(act::new_id(s));
    remove(s, key, by)
}

/// At home: a tombstone that travels. Elsewhere: the copy goes.
pub(crate) fn remove(s: &mut Step<'_, '_>, key: &ObjectKey, by: Cause) -> Result<Answer, Failure> {
    let key = query::current_key(s.txn, key)?;
    let head = rows::head(s.txn, &key)?.ok_or(Refusal::NoObject(key))?;
    if head.home != Some(s.ctx.me) {
        // Else the next revision would bring the copy back.
        follow::unfollow_everywhere(s, &key)?;
        keep::forget(s, &head)?;
        return Ok(Answer::Object { header: Box::new(head.header), change: Change::Dropped });
    }
    if head.header.tombstone {
        return Err(Refusal::Removed(key).into());
    }
    if is_of_earlier_life(s, &head)? {
        return Err(Refusal::EarlierLife(key).into());
    }
    let draft = Draft::tombstone(s, head);
    let head = act::carry_out(s, BuiltIn::Remove, by, draft)?;
    Ok(Answer::Object { header: Box::new(head.header), change: Change::Removed })
}

/// The state that an action gives an object, if it is another one.
pub(crate) fn changed(
    s: &Step<'_, '_>,
    head: &HeadRow,
    scenario: Scenario,
) -> Result<Option<Scenario>, Failure> {
    if !continues(&scenario, &head.header.uuid) {
        return Err(Refusal::OtherUuid { wanted: head.header.uuid, found: scenario.uuid() }.into());
    }
    s.room_on_disk()?;
    Ok((head.header.content != scenario.hash()).then_some(scenario))
}

/// The next revision of an object, claiming it first if nobody has.
pub(crate) fn change(
    s: &mut Step<'_, '_>,
    what: BuiltIn,
    head: HeadRow,
    scenario: &Scenario,
) -> Result<Answer, Failure> {
    if head.header.content == scenario.hash() {
        return Ok(Answer::Object { header: Box::new(head.header), change: Change::Same });
    }
    let (head, change) = match head.home {
        None => {
            let (by, claim) = (Cause::Client(act::new_id(s)), Draft::claim(s, head)?);
            (act::carry_out(s, BuiltIn::Claim, by, claim)?, Change::ClaimedAndChanged)
        }
        Some(_) => (head, Change::Changed),
    };
    let by = Cause::Client(act::new_id(s));
    let draft = Draft::next(s, head, scenario);
    let head = act::carry_out(s, what, by, draft)?;
    beside::taken_on(s, &head)?;
    Ok(Answer::Object { header: Box::new(head.header), change })
}

/// An object that is here and not removed.
pub(crate) fn living(s: &Step<'_, '_>, key: &ObjectKey) -> Result<HeadRow, Failure> {
    let key = query::current_key(s.txn, key)?;
    let head = rows::head(s.txn, &key)?.ok_or(Refusal::NoObject(key))?;
    if head.header.tombstone {
        return Err(Refusal::Removed(key).into());
    }
    Ok(head)
}

/// The content of a revision that was kept beside becomes the next revision, here at the object's home.
pub(crate) fn take(s: &mut Step<'_, '_>, key: &ObjectKey, id: &Hash) -> Result<Answer, Failure> {
    s.room_on_disk()?;
    let head = living(s, key)?;
    let (place, row) = beside::found(s, &head.header.key(), id)?;
    may_change(s, &head)?;
    let body = query::body(s.txn, &row.header)?.ok_or(Refusal::NoBytes { revision: *id })?;
    let scenario = Scenario::parse(body).map_err(|_| Refusal::NoBytes { revision: *id })?;
    let answer = change(s, BuiltIn::Keep, head, &scenario)?;
    if let Some(row) = txn::get(s.txn, Table::Conflict, &place)? {
        keep::drop_conflict(s, &place, &row)?;
    }
    Ok(answer)
}
