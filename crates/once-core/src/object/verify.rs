//! Checking a parcel before the engine sees it: pure, so that sessions do it beside the engine.

use bytes::Bytes;
use once_model::certificate::Chain;
use once_model::hash::content_hash;
use once_model::header::Header;
use once_model::ids::{KernelId, Line, Uuid};
use once_model::limits::{NAME_MAX_BYTES, SCENARIO_MAX_BYTES};
use once_model::scenario::Scenario;
use once_model::wire::{Code, Parcel};

use super::{continues, described};
use crate::waist::Arrival;

/// Checks that a parcel is what it says: the bytes match the header, an unclaimed header claims nothing, a claimed
/// one has a chain to its home, and the home signed it unless the home itself is the sender (the connection proves
/// that already).
///
/// # Errors
/// [`Code::Invalid`] or [`Code::TooLarge`].
pub fn verify(sender: &KernelId, parcel: Parcel) -> Result<Arrival, Code> {
    of_size(&parcel.header)?;
    if let (Some(lineage), Some(chain)) = (parcel.header.lineage, &parcel.chain) {
        chain.verify(lineage).map_err(|_| Code::Invalid)?;
    }
    verify_but_chain(sender, parcel)
}

fn invalid(is_right: bool) -> Result<(), Code> {
    if is_right { Ok(()) } else { Err(Code::Invalid) }
}

/// Looked at before all else, so that who says too much hears that, whatever else is amiss (docs/protocol.md, 7).
fn of_size(header: &Header) -> Result<(), Code> {
    if header.size > SCENARIO_MAX_BYTES as u64 { Err(Code::TooLarge) } else { Ok(()) }
}

/// Whether a revision has the bytes that its header says, and they are a scenario of that object.
pub(crate) fn fits(header: &Header, body: Option<&Bytes>) -> Result<(), Code> {
    of_size(header)?;
    invalid(header.component.len() <= NAME_MAX_BYTES && header.version.len() <= NAME_MAX_BYTES)?;
    match (header.tombstone, body) {
        (true, None) => {
            invalid(header.lineage.is_some() && header.size == 0 && header.content == content_hash(b""))?
        }
        (false, Some(body)) => {
            let is_content = header.content == content_hash(body) || mutant!(SkipContentHash);
            invalid(header.size == body.len() as u64 && is_content)?;
            let scenario = Scenario::parse(body.clone()).map_err(|_| Code::Invalid)?;
            let (component, version) = described(&scenario);
            let uuid_fits = match header.revision {
                0 | 1 => scenario.uuid() == header.uuid,
                _ => continues(&scenario, &header.uuid),
            };
            invalid(uuid_fits && header.component == component && header.version == version)?;
        }
        _ => return Err(Code::Invalid),
    }
    Ok(())
}

/// The same of a parcel whose chain was checked already.
pub(crate) fn verify_but_chain(sender: &KernelId, parcel: Parcel) -> Result<Arrival, Code> {
    let Parcel { header, chain, body, commit } = parcel;
    fits(&header, body.as_ref())?;
    if header.lineage.is_none() {
        let plain = header.epoch == 0
            && header.revision == 0
            && header.certificate.is_none()
            && header.parent.is_none()
            && header.cause.is_none()
            && header.signature.is_none()
            && header.entry.is_none()
            && chain.is_none();
        invalid(plain)?;
        return Ok(Arrival { header, chain, body, commit });
    }
    let (Some(chain), Some(certificate)) = (chain, header.certificate) else { return Err(Code::Invalid) };
    // A chain that goes on beyond this revision's certificate would make someone home who never took it on.
    let is_last = chain.certificate() == certificate || mutant!(LongerChain);
    invalid(is_last)?;
    let (home, epoch) = chain.holder(&certificate).ok_or(Code::Invalid)?;
    let first = header.revision == 1;
    invalid(header.uuid == chain.genesis.uuid && header.epoch == epoch && header.revision >= 1)?;
    invalid(first != header.parent.is_some())?;
    invalid(!first || header.content == chain.genesis.content)?;
    let is_proven = home == *sender || header.signed_by(&home) || mutant!(SkipSignature);
    invalid(is_proven)?;
    Ok(Arrival { header, chain: Some(chain), body, commit })
}

/// Whether a revision is what was asked for: that UUID and, if the asker named one, that line. An unclaimed copy that
/// was claimed since is found as what it has become, if its genesis record names the copy.
#[must_use]
pub fn is_asked_for(uuid: &Uuid, line: Option<&Line>, header: &Header, chain: Option<&Chain>) -> bool {
    let fits = |line: &Line| match line {
        Line::Claimed(lineage) => header.lineage == Some(*lineage),
        Line::Unclaimed(content) => match header.lineage {
            None => header.content == *content,
            Some(_) => chain.is_some_and(|chain| chain.genesis.content == *content),
        },
    };
    header.uuid == *uuid && line.is_none_or(fits)
}
