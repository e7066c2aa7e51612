//! The methods on dead letters.

use std::time::Duration;

use super::contract::{self, DeadLetterDone, DeadLetterInfo, DeadLettersDone, DeadLettersResult};
use super::{names, outbox};
use crate::dead_letters::WAITS_TOO_LONG;
use crate::{DeadLetter, Error, Kernel};

/// Letters in one answer, unless the client wants fewer or more.
const PAGE: usize = 100;
const PAGE_MAX: usize = 1000;

/// Ids in one call.
const IDS_MAX: usize = 10_000;

pub(super) async fn list(kernel: &Kernel, params: contract::DeadLetters) -> Result<DeadLettersResult, Error> {
    let all = kernel.dead_letters(older(params.older_than_ms)).await?;
    let total = all.len();
    let after = params.after.as_deref().map(place).transpose()?;
    let mut rest =
        all.into_iter().filter(|letter| after.as_ref().is_none_or(|after| &place_of(letter) > after));
    let page: Vec<_> = rest.by_ref().take(params.limit.unwrap_or(PAGE).clamp(1, PAGE_MAX)).collect();
    let next = rest.next().and(page.last()).map(|last| {
        let (since_ms, id) = place_of(last);
        since_ms.map_or_else(|| format!("-/{id}"), |ms| format!("{ms}/{id}"))
    });
    Ok(DeadLettersResult {
        letters: page.into_iter().map(|letter| shape(kernel, letter)).collect(),
        total,
        next,
    })
}

/// Where a letter stands in the list.
fn place_of(letter: &DeadLetter) -> (Option<u64>, String) {
    (letter.since_ms, letter.id.clone())
}

fn place(text: &str) -> Result<(Option<u64>, String), Error> {
    let parsed = || {
        let (since, id) = text.split_once('/')?;
        let since_ms = if since == "-" { None } else { Some(since.parse().ok()?) };
        Some((since_ms, id.to_owned()))
    };
    parsed().ok_or_else(|| Error::usage("`after` is not the `next` of a page of dead letters"))
}

fn older(ms: Option<u64>) -> Duration {
    ms.map_or(WAITS_TOO_LONG, Duration::from_millis)
}

fn shape(kernel: &Kernel, letter: DeadLetter) -> DeadLetterInfo {
    DeadLetterInfo {
        reach: letter.peer.map(|peer| outbox::reach(kernel, &peer)),
        object: letter.object.map(|key| names::key_text(&key)),
        id: letter.id,
        kind: letter.kind,
        reason: letter.reason,
        detail: letter.detail,
        name: letter.name,
        since_ms: letter.since_ms,
        can_drop: letter.can_drop,
    }
}

pub(super) async fn retry(
    kernel: &Kernel,
    contract::DeadLettersRetry { ids, all, older_than_ms }: contract::DeadLettersRetry,
) -> Result<DeadLettersDone, Error> {
    each(kernel, chosen(kernel, ids, all, older_than_ms).await?, What::Retry).await
}

pub(super) async fn give_up(
    kernel: &Kernel,
    contract::DeadLettersDrop { ids, all, older_than_ms }: contract::DeadLettersDrop,
) -> Result<DeadLettersDone, Error> {
    each(kernel, chosen(kernel, ids, all, older_than_ms).await?, What::Drop).await
}

/// What is done with letters.
#[derive(Debug, Clone, Copy)]
enum What {
    Retry,
    Drop,
}

/// Does it with each letter, one after the other: what fails with one says nothing of the next.
async fn each(kernel: &Kernel, letters: Vec<Chosen>, what: What) -> Result<DeadLettersDone, Error> {
    let mut results = Vec::new();
    for (id, letter) in letters {
        let done = match (&letter, what) {
            (Some(letter), What::Retry) => kernel.retry_dead_letter(letter).await,
            (Some(letter), What::Drop) => kernel.drop_dead_letter(letter).await,
            (None, _) => Err(unknown(&id)),
        };
        results.push(done_as(id, done));
    }
    Ok(DeadLettersDone { results })
}

/// An id, and the letter of that id if there is one.
type Chosen = (String, Option<DeadLetter>);

fn unknown(id: &str) -> Error {
    Error::not_found(format!("nothing waits here under '{}'", names::shown(id)))
        .with_hint("it may be solved by now: `once dead-letters` lists what is not")
}

/// Those that are named, whatever their age; or all.
async fn chosen(
    kernel: &Kernel,
    ids: Vec<String>,
    all: bool,
    older_than_ms: Option<u64>,
) -> Result<Vec<Chosen>, Error> {
    if all != ids.is_empty() || (!all && older_than_ms.is_some()) {
        return Err(Error::usage("say the ids of dead letters, or `all` and perhaps an age"));
    }
    if ids.len() > IDS_MAX {
        return Err(Error::usage(format!("at most {IDS_MAX} ids in one call")));
    }
    if all {
        let letters = kernel.dead_letters(older(older_than_ms)).await?;
        return Ok(letters.into_iter().map(|letter| (letter.id.clone(), Some(letter))).collect());
    }
    let letters = kernel.dead_letters(Duration::ZERO).await?;
    let find = |id: String| {
        let letter = letters.iter().find(|letter| letter.id == id).cloned();
        (id, letter)
    };
    Ok(ids.into_iter().map(find).collect())
}

fn done_as(id: String, done: Result<String, Error>) -> DeadLetterDone {
    match done {
        Ok(message) => DeadLetterDone { id, done: true, message, hint: None },
        Err(error) => DeadLetterDone {
            id,
            done: false,
            message: error.message().to_owned(),
            hint: error.hint().map(str::to_owned),
        },
    }
}
