//! A former home gives what it has recorded of an object to the present one: page by page, the newest entries first. How far
//! it is, a row says, so that whatever is interrupted goes on there.

use once_model::archive::{Archive, Archived, ArchivedEntry};
use once_model::cbor::to_cbor;
use once_model::ids::{KernelId, ObjectKey};
use once_model::limits::{ARCHIVE_PAGE_MAX_BYTES, ARCHIVE_PAGE_MAX_ENTRIES};
use once_model::receipt::Receipt;
use once_model::wire::Frame;

use super::read::{places, still_missing};
use super::rows::ArchivingRow;
use super::state::Giving;
use crate::act::Recorded;
use crate::engine::Step;
use crate::moving::connection;
use crate::object;
use crate::refusal::{Failure, Refusal};
use crate::store::{StoreError, Table};
use crate::waist::{Answer, Effect, Token};

/// A client wants the present home of an object to have all that is kept here of the object's history.
pub(crate) fn begin(s: &mut Step<'_, '_>, token: Token, key: ObjectKey) -> Result<Option<Answer>, Failure> {
    let key = object::current_key(s.txn, &key)?;
    let chain = object::chain_of(s.txn, &key)?.ok_or(Refusal::NoHome(key))?;
    let (to, certificate) = (chain.home(), chain.certificate());
    if to == s.ctx.me {
        return Ok(Some(Answer::Archived { key, to, entries: 0 }));
    }
    let all = places(s.txn, &key, &to)?;
    let entries = all.len() as u64;
    let left = still_missing(s.txn, &key, &certificate, all)?;
    if left.is_empty() {
        return Ok(Some(Answer::Archived { key, to, entries }));
    }
    if connection(s, &to).is_none() {
        return Err(Refusal::NotConnected(to).into());
    }
    let giving = s.engine.archive.giving.remove(&key);
    let mut tokens = giving.map(|giving| giving.tokens).unwrap_or_default();
    tokens.push(token);
    let giving = Giving { to, certificate, left, under_way: None, entries, tokens };
    s.engine.archive.giving.insert(key, giving);
    say(s, key)?;
    Ok(None)
}

/// Sends the next page; when there is none any more, that is the end.
fn say(s: &mut Step<'_, '_>, key: ObjectKey) -> Result<(), StoreError> {
    let Some(giving) = s.engine.archive.giving.get(&key) else { return Ok(()) };
    let (to, mut page, mut bytes, mut gone) = (giving.to, Vec::new(), 0, 0);
    let Some(conn) = connection(s, &to) else { return Ok(()) };
    for place in giving.left.iter().rev() {
        let Some(recorded) = place.read(s.txn, &key)? else {
            // It was pruned since this began.
            gone += 1;
            continue;
        };
        let entry = signed(s, recorded);
        bytes += to_cbor(&entry).len();
        if !page.is_empty() && (page.len() >= ARCHIVE_PAGE_MAX_ENTRIES || bytes > ARCHIVE_PAGE_MAX_BYTES) {
            break;
        }
        page.push(entry);
    }
    let last = page.last().map(|entry: &ArchivedEntry| entry.entry.number);
    let Some(number) = last else {
        let answer = Answer::Archived { key, to, entries: giving.entries };
        end(s, key, &Ok(answer));
        return Ok(());
    };
    let many = page.len() + gone;
    if let Some(giving) = s.engine.archive.giving.get_mut(&key) {
        giving.under_way = Some((many, number));
    }
    s.out.send(to, conn, Frame::Archive(Box::new(Archive { key, entries: page })));
    if mutant!(ArchiveForgottenAtSend) {
        forget_at_send(s, key, number);
    }
    Ok(())
}

/// A planted bug.
fn forget_at_send(s: &mut Step<'_, '_>, key: ObjectKey, down_to: u64) {
    if let Some(giving) = s.engine.archive.giving.get(&key) {
        let row = ArchivingRow { to: giving.to, certificate: giving.certificate, down_to };
        s.txn.put_lazily(Table::Archiving, &key.to_row(), &row);
    }
}

fn signed(s: &Step<'_, '_>, recorded: Recorded) -> ArchivedEntry {
    let Recorded { entry, at_ms, status, outcome, told, signed } = recorded;
    let (home, signature) = match signed {
        Some(signed) => signed,
        None => (s.ctx.me, Receipt::signature(&entry, at_ms, &s.ctx.key)),
    };
    ArchivedEntry { entry, home, at_ms, signature, outcome, status, summary: told }
}

/// The present home has answered a page.
pub(crate) fn archived(s: &mut Step<'_, '_>, peer: KernelId, said: &Archived) -> Result<(), StoreError> {
    let key = said.key;
    let Some(giving) = s.engine.archive.giving.get_mut(&key).filter(|giving| giving.to == peer) else {
        return Ok(());
    };
    let Some((many, number)) = giving.under_way.filter(|(_, number)| *number == said.number) else {
        return Ok(());
    };
    if let Some(code) = said.code {
        end(s, key, &Err(Refusal::NotArchived { key, by: peer, code }));
        return Ok(());
    }
    giving.under_way = None;
    giving.left.truncate(giving.left.len().saturating_sub(many));
    let row = ArchivingRow { to: peer, certificate: giving.certificate, down_to: number };
    s.txn.put_lazily(Table::Archiving, &key.to_row(), &row);
    if let Err(damage) = s.tried(|s| say(s, key))? {
        end(s, key, &Err(Refusal::Damaged(damage)));
    }
    Ok(())
}

/// What is said to those who wait for the end of it.
fn end(s: &mut Step<'_, '_>, key: ObjectKey, reply: &Result<Answer, Refusal>) {
    let giving = s.engine.archive.giving.remove(&key);
    for token in giving.into_iter().flat_map(|giving| giving.tokens) {
        s.out.push(Effect::Reply { token, reply: reply.clone() });
    }
}

/// The connection to a peer is no more: who waits asks again, and goes on where it was.
pub(crate) fn link_down(s: &mut Step<'_, '_>, peer: KernelId) {
    let giving = s.engine.archive.giving.iter();
    let keys: Vec<_> = giving.filter(|(_, giving)| giving.to == peer).map(|(key, _)| *key).collect();
    for key in keys {
        end(s, key, &Err(Refusal::NotConnected(peer)));
    }
}
