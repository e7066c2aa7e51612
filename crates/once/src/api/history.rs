//! `history`: what was recorded of an object.

use once_core::act::{self, OutcomeStatus, Recorded};
use once_model::certificate::{Certificate, CertificateKind};
use once_model::ids::KernelId;

use super::contract::{self, ElsewhereInfo, EntryInfo, HistoryResult};
use super::names;
use crate::{Error, Kernel, Object};

/// Entries of a history in one answer, unless the client wants fewer or more.
const PAGE: usize = 100;
const PAGE_MAX: usize = 10_000;

pub(super) fn history(kernel: &Kernel, params: &contract::History) -> Result<HistoryResult, Error> {
    let elsewhere = |name: String, home: KernelId| {
        let home = kernel.shared().called(&home);
        Error::not_home(format!("the history of {name} is at its home, kernel {home}"))
            .with_hint("ask there; `once receipt ID` proves here what came of an action of this kernel")
    };
    let other = |home: &KernelId| *home != kernel.id();
    let object = match names::object(kernel, &params.object) {
        Ok(object) => object,
        Err(error) => {
            let ior = names::ior(kernel, &params.object).ok();
            let named = ior.and_then(|ior| Some((ior.uuid()?, ior.home().filter(other)?)));
            return Err(named.map_or(error, |(uuid, home)| elsewhere(uuid.to_string(), home)));
        }
    };
    let all = kernel.history(object.key())?;
    // A former home still has what it has recorded.
    if let Some(home) = object.home().filter(other).filter(|_| all.is_empty()) {
        return Err(elsewhere(names::key_text(&object.key()), home));
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
        entries: page.iter().map(|recorded| entry(kernel, recorded)).collect(),
        total: all.len(),
        next,
        broken,
        elsewhere: at_other_homes(kernel, &object)?,
    })
}

/// Which entries other homes of the object have recorded: they are kept there.
fn at_other_homes(kernel: &Kernel, object: &Object) -> Result<Vec<ElsewhereInfo>, Error> {
    let Some(lineage) = object.lineage() else { return Ok(Vec::new()) };
    let Some(chain) = once_core::object::chain(&kernel.shared().snapshot(), &lineage)? else {
        return Ok(Vec::new());
    };
    let (mut from, mut home, mut spans) = (1, chain.genesis.home, Vec::new());
    // A handoff that was refused left the home where it was.
    let counts = |link: &&Certificate| link.kind != CertificateKind::Handoff || link.acceptance.is_some();
    for link in chain.links.iter().filter(counts) {
        if link.home == home {
            continue;
        }
        let last = link.tip.map_or(0, |tip| tip.number);
        spans.push((home, from, Some(last)));
        (from, home) = (last + 1, link.home);
    }
    spans.push((home, from, None));
    let others = spans.into_iter().filter(|(home, ..)| *home != kernel.id());
    let shape = |(home, from, to): (KernelId, u64, Option<u64>)| ElsewhereInfo {
        from,
        to,
        home: home.to_string(),
        home_name: names::name_of(kernel, &home),
    };
    Ok(others.map(shape).collect())
}

fn entry(kernel: &Kernel, recorded: &Recorded) -> EntryInfo {
    let (entry, told) = (&recorded.entry, recorded.told.as_ref());
    let code = match recorded.status {
        Some(OutcomeStatus::Refused(code)) => Some(code.name().to_owned()),
        _ => None,
    };
    EntryInfo {
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
        result_text: told.and_then(|told| Some(told.result.as_ref()?.text())),
        status: recorded.status.map(|status| status.word().to_owned()),
        code,
        outcome_hash: entry.outcome.to_string(),
        before: entry.before.to_string(),
        revision: entry.revision,
        content: entry.content.to_string(),
        certificate: entry.certificate.map(|certificate| certificate.to_string()),
        previous: entry.previous.to_string(),
        hash: entry.hash().to_string(),
    }
}
