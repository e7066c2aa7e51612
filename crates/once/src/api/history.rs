//! `history`: what was recorded of an object.

use bytes::Bytes;
use once_core::act::{self, Recorded};
use once_model::action::Outcome;
use once_model::archive::OutcomeStatus;
use once_model::certificate::Term;
use once_model::ids::KernelId;
use once_model::ior::Ior;

use super::contract::{self, EntryInfo, HistoryResult, TermInfo};
use super::names;
use crate::error::OrError;
use crate::{Error, Kernel, Object};

/// Entries of a history in one answer, unless the client wants fewer or more.
const PAGE: usize = 100;
const PAGE_MAX: usize = 10_000;

/// A page of what is kept here of an object's history.
pub(crate) fn history(kernel: &Kernel, params: &contract::History) -> Result<HistoryResult, Error> {
    let object = names::object(kernel, &params.object).map_err(|error| named_home(kernel, params, error))?;
    let all = kernel.recorded(object.key())?;
    let elsewhere = at_other_homes(kernel, &object, &all)?;
    // A former home still has what it has recorded.
    if all.is_empty() && object.home().is_some_and(|home| home != kernel.id()) {
        return Err(at_homes(kernel, &object, &elsewhere));
    }
    let broken = act::broken_link(&all);
    let after = params.after.unwrap_or(0);
    let limit = params.limit.unwrap_or(PAGE).clamp(1, PAGE_MAX);
    let before = params.before.unwrap_or(u64::MAX);
    let wanted = |recorded: &&Recorded| recorded.entry.number > after && recorded.entry.number < before;
    let mut rest: Box<dyn Iterator<Item = &Recorded>> = match params.newest_first {
        true => Box::new(all.iter().rev().filter(wanted)),
        false => Box::new(all.iter().filter(wanted)),
    };
    let page: Vec<&Recorded> = rest.by_ref().take(limit).collect();
    let next = rest.next().and(page.last()).map(|last| last.entry.number);
    Ok(HistoryResult {
        object: names::key_text(&object.key()),
        entries: page
            .iter()
            .map(|recorded| entry(kernel, recorded, params.full))
            .collect::<Result<_, _>>()?,
        total: all.len(),
        next,
        broken,
        elsewhere,
        given: given(kernel, &all),
    })
}

/// Nothing of the object is here: the home that its IOR names knows more, if it names one.
fn named_home(kernel: &Kernel, params: &contract::History, error: Error) -> Error {
    let ior = names::ior(kernel, &params.object).ok();
    let home = ior.as_ref().and_then(Ior::home).filter(|home| *home != kernel.id());
    let Some((uuid, home)) = ior.and_then(|ior| ior.uuid()).zip(home) else { return error };
    let home = kernel.shared().called(&home);
    Error::not_home(format!("the history of {uuid} is at its home, kernel {home}, as its IOR says"))
        .with_hint("ask there, and if it has moved on, that kernel says where to; `once receipt ID` proves here what came of an action of this kernel")
}

/// A kernel that has only a copy of an object says which homes have recorded its history.
fn at_homes(kernel: &Kernel, object: &Object, elsewhere: &[TermInfo]) -> Error {
    let key = names::key_text(&object.key());
    let part = |term: &TermInfo| match term.to {
        Some(to) => format!("{} to {to} at kernel {}", term.from, term.home_name),
        None => format!("from {} on at kernel {}", term.from, term.home_name),
    };
    let message = match (elsewhere, object.home()) {
        ([], Some(home)) | ([_], Some(home)) => {
            format!("the history of {key} is at its home, kernel {}", kernel.shared().called(&home))
        }
        (parts, _) => {
            let parts: Vec<_> = parts.iter().map(part).collect();
            format!("the history of {key} is at the homes that it has had: entries {}", parts.join(", "))
        }
    };
    Error::not_home(message)
        .with_hint("ask there; `once receipt ID` proves here what came of an action of this kernel")
}

/// Which entries other homes of the object have recorded and not given to this kernel, or not all of them: they are kept there.
fn at_other_homes(kernel: &Kernel, object: &Object, kept: &[Recorded]) -> Result<Vec<TermInfo>, Error> {
    let Some(lineage) = object.lineage() else { return Ok(Vec::new()) };
    let Some(chain) = once_core::object::chain(&kernel.shared().snapshot(), &lineage).or_error()? else {
        return Ok(Vec::new());
    };
    // They come from the newest to the oldest: what is missing lies before what is here.
    let missing = |term: Term| {
        let first = kept.iter().map(|recorded| recorded.entry.number).find(|number| term.holds(*number));
        let to = first.map_or(term.tip.map(|tip| tip.number), |first| Some(first - 1));
        (first != Some(term.from)).then(|| span(kernel, &term.home, term.from, to))
    };
    let others = chain.terms().into_iter().filter(|term| term.home != kernel.id());
    Ok(others.filter_map(missing).collect())
}

/// Which entries are kept here that former homes have recorded: who, from which to which.
fn given(kernel: &Kernel, kept: &[Recorded]) -> Vec<TermInfo> {
    let mut spans: Vec<(KernelId, u64, u64)> = Vec::new();
    for recorded in kept {
        let (Some((home, _)), number) = (recorded.signed, recorded.entry.number) else { continue };
        match spans.last_mut().filter(|(of, _, last)| *of == home && last.saturating_add(1) == number) {
            Some((_, _, last)) => *last = number,
            None => spans.push((home, number, number)),
        }
    }
    spans.into_iter().map(|(home, from, to)| span(kernel, &home, from, Some(to))).collect()
}

fn span(kernel: &Kernel, home: &KernelId, from: u64, to: Option<u64>) -> TermInfo {
    TermInfo { from, to, home: home.to_string(), home_name: names::name_of(kernel, home) }
}

/// The result of an action, whole, if it is kept here: beside its entry, or with the request of a client of this kernel.
fn whole_result(kernel: &Kernel, recorded: &Recorded) -> Result<Option<Bytes>, Error> {
    let told = |outcome: &Outcome| match outcome {
        Outcome::Done(words) | Outcome::Failed(words) => Some(words.clone()),
        Outcome::Refused(_) => None,
    };
    let beside = recorded.outcome.as_ref().and_then(told);
    if beside.is_some() || recorded.entry.origin != kernel.id() {
        return Ok(beside);
    }
    let requested = kernel.shared().requested(&recorded.entry.id).or_error()?;
    Ok(requested.and_then(|row| row.outcome).as_ref().and_then(told))
}

fn entry(kernel: &Kernel, recorded: &Recorded, full: bool) -> Result<EntryInfo, Error> {
    let whole = if full { whole_result(kernel, recorded)? } else { None };
    let whole = whole.map(|words| (String::from_utf8_lossy(&words).into_owned(), words.len() as u64));
    let (entry, told) = (&recorded.entry, recorded.told.as_ref());
    let home = recorded.signed.map_or(kernel.id(), |(home, _)| home);
    let code = match recorded.status {
        Some(OutcomeStatus::Refused(code)) => Some(code.name().to_owned()),
        _ => None,
    };
    let result = told.and_then(|told| told.result.as_ref()).map(|result| (result.text(), result.of_bytes));
    let (result_text, result_bytes) = whole.or(result).unzip();
    Ok(EntryInfo {
        number: entry.number,
        at_ms: recorded.at_ms,
        origin: entry.origin.to_string(),
        origin_name: names::name_of(kernel, &entry.origin),
        incarnation: entry.incarnation.to_string(),
        sequence: entry.sequence,
        id: entry.id,
        action: entry.action.to_string(),
        name: told.map(|told| told.name.clone()),
        arguments_text: told.map(|told| told.arguments.text()),
        arguments_bytes: told.map(|told| told.arguments.of_bytes),
        result_text,
        result_bytes,
        status: recorded.status.map(|status| status.word().to_owned()),
        code,
        outcome_hash: entry.outcome.to_string(),
        before: entry.before.to_string(),
        revision: entry.revision,
        content: entry.content.to_string(),
        certificate: entry.certificate.map(|certificate| certificate.to_string()),
        previous: entry.previous.to_string(),
        hash: entry.hash().to_string(),
        home: home.to_string(),
        home_name: names::name_of(kernel, &home),
    })
}
