//! What is on this kernel, page by page.

use std::ops::ControlFlow;
use std::sync::Arc;

use data_encoding::HEXLOWER;
use once_core::find::{Entry, Index, name_of};
use once_core::object::{self, HeadRow};
use once_core::store::{Read, StoreError};
use once_model::find::Question;
use once_model::ids::{KernelId, ObjectKey};
use once_model::limits::FIND_LOOKS_MAX_OBJECTS;

use super::contract::{List, ListResult, ObjectInfo, ObjectState, Sort};
use super::{names, shapes};
use crate::error::{IntoError, OrError};
use crate::find::wrong;
use crate::object::Standpoint;
use crate::{Error, Kernel, Object};

/// Most objects in one page of a listing.
const PAGE_MAX: usize = 10_000;

/// What is wanted, understood.
struct Wanted {
    me: KernelId,
    question: Question,
    state: Option<ObjectState>,
    tombstones: bool,
    limit: usize,
}

/// A page: objects with their names, and where the next one begins.
type Page = (Vec<(Object, Option<String>)>, Option<String>);

/// A place in an order: the value to sort by, then the key.
type Place = (Vec<u8>, ObjectKey);

pub(crate) async fn list(kernel: &Kernel, params: List) -> Result<ListResult, Error> {
    let (sort, after) = (params.sort, params.after.clone());
    if params.tombstones && sort != Sort::Key {
        return Err(Error::usage("removed objects are listed in the order of their UUIDs only"));
    }
    let wanted = wanted(kernel, params)?;
    let shared = Arc::clone(kernel.shared());
    let listed = crate::beside::wait_for(move || {
        let newest = || shared.snapshot();
        match sort {
            Sort::Key => {
                let after = after.map(|after| names::key(&after)).transpose()?;
                shared.catalog.look(newest, |rows, index| by_key(rows, index, &wanted, after))
            }
            _ => {
                let after = after.map(|after| place(&after)).transpose()?;
                shared
                    .catalog
                    .look_at_index(newest, |rows, index| sorted(rows, index, &wanted, (sort, after)))?
            }
        }
    });
    let (objects, next) = listed.await.map_err(|_| kernel.shared().gone())??;
    let shape = |(object, name): (Object, Option<String>)| {
        let shown = shapes::object(kernel, &object);
        ObjectInfo { name, ..shown }
    };
    Ok(ListResult { objects: objects.into_iter().map(shape).collect(), next })
}

fn wanted(kernel: &Kernel, params: List) -> Result<Wanted, Error> {
    let question = Question { component: params.component, name: params.name, ..Question::default() };
    question.check().map_err(wrong)?;
    Ok(Wanted {
        me: kernel.id(),
        question,
        state: params.state,
        tombstones: params.tombstones,
        limit: params.limit.unwrap_or(1000).clamp(1, PAGE_MAX),
    })
}

impl Wanted {
    fn fits(
        &self,
        here: &Standpoint<'_>,
        key: &ObjectKey,
        component: &str,
        home: Option<KernelId>,
    ) -> Result<bool, StoreError> {
        Ok(self.question.fits_head(component, home, 0)
            && match self.state {
                None => true,
                Some(state) => state == here.state(key, home)?,
            })
    }
}

/// In the order of keys. A page of few objects ends early, so that it takes a bounded time.
fn by_key(
    rows: &dyn Read,
    index: Option<&Index>,
    wanted: &Wanted,
    after: Option<ObjectKey>,
) -> Result<Page, Error> {
    let here = Standpoint::of(rows, wanted.me).or_error()?;
    let mut found: Vec<(Object, Option<String>)> = Vec::new();
    let (mut looked, mut last, mut next, mut failed) = (0, None, None, None);
    object::heads_after(rows, after.as_ref(), &mut |head| {
        let key = head.header.key();
        if found.len() == wanted.limit || looked == FIND_LOOKS_MAX_OBJECTS {
            next = last;
            return ControlFlow::Break(());
        }
        looked += 1;
        last = Some(key);
        match shown(rows, index, wanted, &here, head) {
            Ok(shown) => found.extend(shown),
            Err(error) => {
                failed = Some(error);
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    })
    .or_error()?;
    match failed {
        Some(error) => Err(error.into_error()),
        None => Ok((found, next.map(|key| names::key_text(&key)))),
    }
}

/// An object with its name, if it fits.
fn shown(
    rows: &dyn Read,
    index: Option<&Index>,
    wanted: &Wanted,
    here: &Standpoint<'_>,
    head: HeadRow,
) -> Result<Option<(Object, Option<String>)>, StoreError> {
    let header = &head.header;
    if (header.tombstone && !wanted.tombstones)
        || !wanted.fits(here, &header.key(), &header.component, head.home)?
    {
        return Ok(None);
    }
    let name = name_of(rows, index, &head)?;
    if !wanted.question.fits_name(name.as_deref()) {
        return Ok(None);
    }
    Ok(Some((here.object(head)?, name)))
}

/// In another order: all that fit are looked through, and the first ones behind a place are taken.
fn sorted(
    rows: &dyn Read,
    index: &Index,
    wanted: &Wanted,
    (sort, after): (Sort, Option<Place>),
) -> Result<Page, Error> {
    let here = Standpoint::of(rows, wanted.me).or_error()?;
    let mut places: Vec<Place> = Vec::new();
    for (key, entry) in index.after(None).filter(|(_, entry)| wanted.question.fits_name(entry.name())) {
        let place = (value(sort, entry), *key);
        if after.as_ref().is_none_or(|after| place > *after)
            && wanted.fits(&here, key, entry.component(), entry.home()).or_error()?
        {
            places.push(place);
        }
    }
    let has_more = places.len() > wanted.limit;
    if has_more {
        places.select_nth_unstable(wanted.limit);
        places.truncate(wanted.limit);
    }
    places.sort_unstable();
    let next = places.last().filter(|_| has_more).map(place_text);
    let mut found = Vec::with_capacity(places.len());
    for (_, key) in &places {
        if let Some(head) = object::head(rows, key).or_error()? {
            let name = name_of(rows, Some(index), &head).or_error()?;
            found.push((here.object(head).or_error()?, name));
        }
    }
    Ok((found, next))
}

/// What an object is sorted by: bytes, of which the lower come first.
fn value(sort: Sort, entry: &Entry) -> Vec<u8> {
    match sort {
        Sort::Key => Vec::new(),
        Sort::Name => match entry.name() {
            Some(name) => [&[0], name.to_lowercase().as_bytes()].concat(),
            None => vec![1],
        },
        Sort::Component => entry.component().as_bytes().to_vec(),
        Sort::Changed => (u64::MAX - entry.changed_ms()).to_be_bytes().to_vec(),
    }
}

/// A place, as `next` says it: the value goes along, because the object may have another one by the next page.
fn place_text((value, key): &Place) -> String {
    format!("{}/{}", names::key_text(key), HEXLOWER.encode(value))
}

fn place(text: &str) -> Result<Place, Error> {
    let parsed = || {
        let (key, value) = text.split_once('/')?;
        Some((HEXLOWER.decode(value.as_bytes()).ok()?, names::key(key).ok()?))
    };
    parsed().ok_or_else(|| Error::usage("`after` is not the `next` of a page in this order"))
}
