//! What is written down of an object that moves.

use minicbor::{Decode, Encode};
use once_model::certificate::{Answer, Certificate, Chain};
use once_model::header::Header;
use once_model::ids::{Hash, KernelId, ObjectKey};

use crate::object::object_peer_key;
use crate::store::{Read, StoreError, Table};
use crate::txn;

/// [`crate::store::Table::Leaving`]: an object that is about to leave this kernel.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct LeavingRow {
    /// The kernel that is to be its home.
    #[n(0)]
    pub to: KernelId,
    /// Since when, in milliseconds since 1970.
    #[n(1)]
    pub since_ms: u64,
    /// What it was sealed as.
    #[n(2)]
    pub sealed: Option<SealedRow>,
    /// People want it back since: the receiver is asked for its answer.
    #[n(3)]
    #[cbor(default)]
    pub withdrawn: bool,
    /// It does not wait for its calls that have no outcome.
    #[n(4)]
    #[cbor(default)]
    pub leave_calls: bool,
    /// It was told that it leaves, and that is recorded.
    #[n(5)]
    #[cbor(default)]
    pub told: bool,
    /// This kernel gives itself no right to it.
    #[n(6)]
    #[cbor(default)]
    pub without_me: bool,
}

/// What the receiver is told until it has answered: always the same. The luggage has a row of its own
/// ([`crate::store::Table::Luggage`]): it may be large, and this row is read at each start.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct SealedRow {
    /// The last revision here.
    #[n(0)]
    pub header: Header,
    /// From the genesis to the handoff, as it travels: a long one without its beginning, which stands with the object's chain.
    #[n(1)]
    pub chain: Chain,
    /// How many bytes of luggage go along.
    #[n(2)]
    pub luggage_bytes: u64,
}

/// [`crate::store::Table::Welcome`]: this kernel said that it would take an object from another one. Each that may ask has a row of
/// its own: nobody takes back what was said to somebody else.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct WelcomeRow {
    /// The certificate of its home then.
    #[n(0)]
    pub certificate: Hash,
    /// When, in milliseconds since 1970.
    #[n(1)]
    pub since_ms: u64,
}

/// [`crate::store::Table::Handed`]: this kernel's one answer to a handoff.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct HandedRow {
    /// Whether the object was accepted or refused.
    #[n(0)]
    pub answer: Answer,
    /// Why it was refused.
    #[n(1)]
    pub code: Option<once_model::wire::Code>,
}

/// [`crate::store::Table::Arriving`]: an object that has come here, or stays after it was told that it leaves, and has not been
/// told so. Nothing else is asked of it before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct ArrivingRow {
    /// From where; this kernel if it stays.
    #[n(0)]
    pub from: KernelId,
    /// Since when, in milliseconds since 1970.
    #[n(1)]
    pub since_ms: u64,
}

/// [`crate::store::Table::Stayed`]: an object that was to move, or wanted to, and stays; nobody who waited was told why.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct StayedRow {
    /// The kernel that it was to move to.
    #[n(0)]
    pub to: KernelId,
    /// When that was, in milliseconds since 1970.
    #[n(1)]
    pub at_ms: u64,
    /// Why it stays.
    #[n(2)]
    pub why: String,
}

/// [`crate::store::Table::Acquaintance`]: a kernel that has or had to do with an object.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct AcquaintanceRow {
    /// Where it might be reached.
    #[n(0)]
    pub addresses: Vec<String>,
}

/// [`crate::store::Table::News`]: a peer that is to hear where an object is, until it has answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct NewsRow {
    /// Since when, in milliseconds since 1970.
    #[n(0)]
    pub since_ms: u64,
}

/// What an object was sealed as, and for whom.
pub(super) fn sealed(rows: &dyn Read, key: &ObjectKey) -> Result<Option<(KernelId, SealedRow)>, StoreError> {
    let row: Option<LeavingRow> = txn::get(rows, Table::Leaving, &key.to_row())?;
    Ok(row.and_then(|row| row.sealed.map(|sealed| (row.to, sealed))))
}

/// Whether an object is sealed here, and this chain says that its receiver has accepted it.
pub(super) fn is_accepted_in(rows: &dyn Read, key: &ObjectKey, chain: &Chain) -> Result<bool, StoreError> {
    let Some((_, sealed)) = sealed(rows, key)? else { return Ok(false) };
    let handoff = sealed.chain.links.last().map(Certificate::id);
    Ok(handoff.is_some_and(|handoff| {
        chain.links.iter().any(|link| link.id() == handoff && link.acceptance.is_some())
    }))
}

/// Whether this kernel has said that it would take an object from a peer that is its home under this certificate: then its
/// scenario may come ahead.
pub(crate) fn is_welcome(
    rows: &dyn Read,
    peer: &KernelId,
    key: &ObjectKey,
    certificate: &Hash,
) -> Result<bool, StoreError> {
    let row: Option<WelcomeRow> = txn::get(rows, Table::Welcome, &object_peer_key(key, peer))?;
    Ok(row.is_some_and(|row| row.certificate == *certificate))
}

/// How many bytes a peer gets that asks for luggage by its hash: only the kernel to which the object is sealed, as long as it is.
pub(crate) fn luggage_for(
    rows: &dyn Read,
    peer: &KernelId,
    key: &ObjectKey,
    content: &Hash,
) -> Result<Option<u64>, StoreError> {
    let is_for_all = mutant!(LuggageForAll);
    let sealed = sealed(rows, key)?.filter(|(to, _)| to == peer || is_for_all);
    let is_it =
        |sealed: &SealedRow| sealed.chain.links.last().is_some_and(|link| link.luggage == Some(*content));
    Ok(sealed.map(|(_, sealed)| sealed).filter(is_it).map(|sealed| sealed.luggage_bytes))
}

/// Key of a [`HandedRow`]: the object, then the certificate.
pub(super) fn handed_key(key: &ObjectKey, certificate: &Hash) -> Vec<u8> {
    [key.to_row().as_slice(), certificate.as_bytes()].concat()
}
