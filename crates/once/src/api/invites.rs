//! Methods on invites.

use std::time::Duration;

use once_core::peers::InviteRow;
use once_core::waist::Command;
use once_core::{invite_hash, invites};
use once_model::ids::Hash;
use once_model::limits::INVITE_VALID_MS;

use super::contract::{self, InviteInfo, InviteResult, InviteState, InvitesRevoke, InvitesRevokeResult};
use super::names;
use crate::error::{IntoError, OrError};
use crate::net::Reach;
use crate::shell::now_ms;
use crate::{Error, Kernel};

/// Digits of an invite's id. It names the invite to people, and cannot be used to join.
const ID_DIGITS: usize = 12;

/// The fewest digits that name an invite.
const SHORTEST: usize = 4;

/// The name of an invite: the beginning of the hash of its secret.
pub(crate) fn id(hash: &Hash) -> String {
    hash.to_string().chars().take(ID_DIGITS).collect()
}

pub(super) async fn invite(kernel: &Kernel, params: contract::Invite) -> Result<InviteResult, Error> {
    let valid = params.expires_s.map_or(Duration::from_millis(INVITE_VALID_MS), Duration::from_secs);
    let invite = kernel.invite().expires(valid);
    let ticket = match params.name {
        Some(name) => invite.petname(name).await?,
        None => invite.await?,
    };
    let expires_ms = now_ms().saturating_add(u64::try_from(valid.as_millis()).unwrap_or(u64::MAX));
    let id = id(&invite_hash(&ticket.secret));
    let reach = Reach::of(&ticket.addresses).name().to_owned();
    Ok(InviteResult { ticket: ticket.to_string(), id, expires_ms, reach })
}

/// The invites of this kernel, oldest first.
pub(crate) fn list(kernel: &Kernel) -> Result<Vec<InviteInfo>, Error> {
    let now_ms = now_ms();
    let mut all = invites(&kernel.shared().snapshot()).or_error()?;
    all.sort_by_key(|(_, row)| row.since_ms);
    let shapes = all.into_iter().map(|(hash, row)| {
        let state = match row.used_by {
            Some(_) => InviteState::Used,
            None if row.is_over(now_ms) => InviteState::Expired,
            None => InviteState::Open,
        };
        InviteInfo {
            id: id(&hash),
            petname: row.petname,
            state,
            since_ms: row.since_ms,
            expires_ms: row.expires_ms,
            used_by: row.used_by.map(|by| by.to_string()),
            used_by_name: row.used_by.map(|by| names::name_of(kernel, &by)),
        }
    });
    Ok(shapes.collect())
}

/// Takes an invite back that a beginning of its id means, or its petname.
pub(crate) async fn revoke(kernel: &Kernel, name: &str) -> Result<String, Error> {
    let mut found = invites(&kernel.shared().snapshot()).or_error()?;
    let is_called = |row: &InviteRow| row.petname.as_deref() == Some(name);
    if found.iter().any(|(_, row)| is_called(row)) {
        found.retain(|(_, row)| is_called(row));
        // One that was used admits nobody any more: it is not what is meant, if another one is there.
        if found.iter().any(|(_, row)| row.used_by.is_none()) {
            found.retain(|(_, row)| row.used_by.is_none());
        }
    } else {
        let digits = name.to_ascii_lowercase();
        if digits.len() < SHORTEST {
            return Err(Error::usage(format!(
                "an invite is named by its petname, or by at least {SHORTEST} digits of its id"
            ))
            .with_hint("`once invites` lists them"));
        }
        found.retain(|(hash, _)| hash.to_string().starts_with(&digits));
    }
    match found.as_slice() {
        [(secret_hash, _)] => {
            kernel.command(Command::RevokeInvite { secret_hash: *secret_hash }).await?;
            Ok(id(secret_hash))
        }
        [] => Err(once_core::Refusal::NoInvite.into_error()),
        _ => Err(Error::ambiguous(format!("'{}' may be more than one invite", names::shown(name)))
            .with_hint("write more of its id, as `once invites` lists it")),
    }
}

pub(super) async fn taken_back(
    kernel: &Kernel,
    params: &InvitesRevoke,
) -> Result<InvitesRevokeResult, Error> {
    kernel.revoke_invite(&params.invite).await.map(|id| InvitesRevokeResult { id })
}
