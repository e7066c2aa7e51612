//! Invites: whoever shows the secret of one first becomes a peer.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use once_model::hash::record_hash;
use once_model::ids::{Hash, KernelId, Secret};
use once_model::wire::Greeting;

use super::admin;
use super::begin::new_row;
use super::names::{check_petname, room_for_peer, shown};
use super::rows::put_peer;
use super::{InviteRow, PeerRow, PeerStatus};
use crate::access::Right;
use crate::engine::Step;
use crate::refusal::{Failure, Refusal};
use crate::store::{Read, StoreError, Table, try_scan};
use crate::txn;
use crate::waist::{Answer, Effect, Event};

/// The hash under which an invite's secret is known.
#[must_use]
pub fn invite_hash(secret: &Secret) -> Hash {
    record_hash("once/2 invite", secret.as_bytes())
}

/// Every invite that is kept, by the hash of its secret.
///
/// # Errors
/// When the store cannot be read, or a row is damaged.
pub fn invites(read: &dyn Read) -> Result<Vec<(Hash, InviteRow)>, StoreError> {
    let mut found = Vec::new();
    try_scan(read, Table::Invite, &[], None, |key, value| {
        let row = txn::decode(Table::Invite, &value)?;
        found.extend(Hash::from_slice(key).map(|hash| (hash, row)));
        Ok::<_, StoreError>(ControlFlow::Continue(()))
    })?;
    Ok(found)
}

/// Lets whoever shows the secret become a peer, once.
pub(crate) fn invite(
    s: &mut Step<'_, '_>,
    secret_hash: Hash,
    expires_ms: u64,
    petname: Option<String>,
) -> Result<Answer, Failure> {
    let now_ms = s.ctx.now_ms;
    for (hash, row) in invites(s.txn)? {
        if row.is_over(now_ms) {
            s.txn.delete(Table::Invite, hash.as_bytes());
        } else if row.used_by.is_none() && petname.is_some() && row.petname == petname {
            return Err(Refusal::NameTaken(row.petname.unwrap_or_default()).into());
        }
    }
    check_petname(s, None, petname.as_deref())?;
    let row = InviteRow { expires_ms, petname, used_by: None, ended: false, since_ms: now_ms };
    s.txn.put(Table::Invite, secret_hash.as_bytes(), &row);
    s.engine.expiry.expect(expires_ms);
    Ok(Answer::Done)
}

/// Takes an invite back that nobody has used.
pub(crate) fn revoke(s: &mut Step<'_, '_>, secret_hash: Hash) -> Result<Answer, Failure> {
    let row: Option<InviteRow> = txn::get(s.txn, Table::Invite, secret_hash.as_bytes())?;
    match row.ok_or(Refusal::NoInvite)?.used_by {
        Some(by) => Err(Refusal::InviteUsed(by).into()),
        None => {
            s.txn.delete(Table::Invite, secret_hash.as_bytes());
            Ok(Answer::Done)
        }
    }
}

/// The invite whose secret a kernel shows. `None` if there is none, or it was used or is over.
fn shown_invite(s: &Step<'_, '_>, greeting: &Greeting) -> Result<Option<(Hash, InviteRow)>, StoreError> {
    let Some(secret) = &greeting.invite else { return Ok(None) };
    let place = invite_hash(secret);
    let invite: Option<InviteRow> = txn::get(s.txn, Table::Invite, place.as_bytes())?;
    let is_good = |invite: &InviteRow| {
        let used = invite.used_by.is_some() && !mutant!(InviteTwice);
        let over = invite.is_over(s.ctx.now_ms) && !mutant!(InviteNeverExpires);
        !used && !over
    };
    Ok(invite.filter(is_good).map(|invite| (place, invite)))
}

/// Uses up the invite whose secret a kernel shows, whoever it is: what was shown once must not let another one in.
pub(super) fn use_up(s: &mut Step<'_, '_>, peer: &KernelId, greeting: &Greeting) -> Result<(), StoreError> {
    if let Some((place, invite)) = shown_invite(s, greeting)? {
        let invite = InviteRow { used_by: Some(*peer), ..invite };
        s.txn.put(Table::Invite, place.as_bytes(), &invite);
    }
    Ok(())
}

/// Admits a kernel that is no peer yet by the invite that it shows.
pub(super) fn admit(
    s: &mut Step<'_, '_>,
    peer: &KernelId,
    hello: &Greeting,
    known: Option<PeerRow>,
) -> Result<Option<PeerRow>, StoreError> {
    // First the one row, and only for a good secret all peers: anybody may say hello.
    let Some((place, invite)) = shown_invite(s, hello)? else { return Ok(None) };
    if !room_for_peer(s)? {
        return Ok(None);
    }
    use_up(s, peer, hello)?;
    // What is known of one that is no peer stays known. Of who was to let us in, only that: its own invite is still to be shown,
    // and must not let another one in.
    let secret = known.as_ref().and_then(|row| row.secret);
    let given = known.as_ref().and_then(|row| row.petname.clone());
    let petname = match (given, invite.petname) {
        (None, Some(name)) => Some(free_name(s, peer, name)?),
        (name, _) => name,
    };
    let known = known.filter(PeerRow::is_for_objects);
    let row = PeerRow {
        petname: petname.clone(),
        says: shown(&hello.name),
        status: PeerStatus::Active,
        secret,
        invite: Some(place),
        since_ms: s.ctx.now_ms,
        ..known.unwrap_or_else(|| new_row(s, PeerStatus::Active, None, Vec::new(), None))
    };
    let row = put_peer(s.txn, peer, row);
    admin::give(s, *peer, Right::Share)?;
    let says = row.says.clone();
    s.out.push(Effect::Event(Event::Came { peer: *peer, invite: place, petname, says }));
    Ok(Some(row))
}

/// The petname that an invite gives, or the first like it that no other peer got meanwhile.
fn free_name(s: &Step<'_, '_>, peer: &KernelId, name: String) -> Result<String, StoreError> {
    let mut taken = BTreeSet::new();
    s.txn.scan(Table::Peer, &[], None, &mut |key, value| {
        if key != peer.as_bytes() {
            let row: Option<PeerRow> = txn::decode(Table::Peer, &value).ok();
            taken.extend(row.and_then(|row| row.petname));
        }
        ControlFlow::Continue(())
    })?;
    let mut free = name.clone();
    let mut number = 2u64;
    while taken.contains(&free) {
        free = format!("{name}-{number}");
        number += 1;
    }
    Ok(free)
}

#[cfg(test)]
mod tests {
    use once_model::ids::{KernelId, Secret};
    use once_model::sign::KernelKey;
    use once_model::wire::{Code, Frame};

    use super::*;
    use crate::peers::rows::PeerStatus;
    use crate::testing::{Alone, greeting};
    use crate::waist::{Command, Input, LinkEvent};

    const THEIRS: [u8; 16] = [3; 16];

    fn joins(kernel: &mut Alone, peer: KernelId) {
        let secret = Secret::from_bytes(THEIRS);
        kernel.command(Command::Join { peer, secret, addresses: Vec::new(), petname: None });
    }

    /// The peer calls: the secret that it is shown.
    fn calls(kernel: &mut Alone, peer: KernelId, invite: Option<Secret>) -> Option<Secret> {
        let event = LinkEvent::Up { conn: 1, dialled: false, address: None };
        kernel.input(Input::Link { peer, event });
        let hello = Greeting { invite, ..greeting(&KernelKey::from_bytes(&[9; 32])) };
        let said = kernel.says(peer, 1, Frame::Hello(hello));
        said.iter().find_map(|frame| match frame {
            Frame::Admitted(greeting) => Some(greeting.invite),
            _ => None,
        })?
    }

    fn may_share(kernel: &Alone, peer: KernelId) -> bool {
        crate::access::may_share(&kernel.store, &peer, kernel.ctx.now_ms).unwrap()
    }

    /// Else it would hang on who calls first whether the host of a ticket may share here.
    #[test]
    fn whose_invite_is_used_may_share_whoever_calls() {
        let mut kernel = Alone::new();
        let peer = kernel.peer(9).kernel;
        joins(&mut kernel, peer);
        assert!(!may_share(&kernel, peer));
        assert_eq!(calls(&mut kernel, peer, None), Some(Secret::from_bytes(THEIRS)));
        assert!(may_share(&kernel, peer));
    }

    /// Else its invite would stay open, for anybody who saw it.
    #[test]
    fn who_comes_by_an_invite_here_is_shown_its_own() {
        let mut kernel = Alone::new();
        let peer = KernelKey::from_bytes(&[9; 32]).id();
        let ours = Secret::from_bytes([4; 16]);
        let (secret_hash, expires_ms) = (invite_hash(&ours), kernel.ctx.now_ms + 1000);
        kernel.command(Command::Invite { secret_hash, expires_ms, petname: None });
        joins(&mut kernel, peer);
        assert_eq!(calls(&mut kernel, peer, Some(ours)), Some(Secret::from_bytes(THEIRS)));
    }

    #[test]
    fn who_was_added_stays_a_peer_when_its_invite_comes_to_nothing() {
        let mut kernel = Alone::new();
        let peer = KernelKey::from_bytes(&[9; 32]).id();
        joins(&mut kernel, peer);
        kernel.command(Command::AddPeer { peer, addresses: Vec::new(), petname: None });
        let event = LinkEvent::Up { conn: 1, dialled: true, address: None };
        kernel.input(Input::Link { peer, event });
        kernel.says(peer, 1, Frame::Denied(Code::Denied));
        let row = crate::peers::rows::peer(&kernel.store, &peer).unwrap();
        assert_eq!(row.map(|row| (row.status, row.secret)), Some((PeerStatus::Active, None)));
    }
}
