//! From a connection to an admitted peer: `hello`, then `admitted` or `denied`.

use once_model::ids::{KernelId, Secret};
use once_model::limits::{FRAME_MAX_BYTES, HELLO_TIMEOUT_MS, SCENARIO_MAX_BYTES, WINDOW_MAX_SHARES};
use once_model::wire::{Code, FEATURE_ACTIONS, FEATURE_FIND, FEATURE_MOVES, Frame, Greeting};

use super::addresses::{is_known_good, put_first};
use super::down::{ended, rest};
use super::names::shown;
use super::rows;
use super::visitors::may_come;
use super::{Link, PeerRow, PeerStatus, Phase, admin, invites, progress, put_back, quarantine};
use crate::access::Right;
use crate::chores::{self, Chore};
use crate::engine::{Step, Todo, life};
use crate::meta;
use crate::refusal::Refusal;
use crate::store::{StoreError, Table};
use crate::waist::{Answer, ConnId, Effect, Event, LinkEvent, Timer};

/// A connection came, went, or could not be made.
pub(crate) fn link(s: &mut Step<'_, '_>, peer: KernelId, event: LinkEvent) -> Result<(), StoreError> {
    match event {
        LinkEvent::Up { conn, dialled, address } => {
            if dialled {
                s.engine.peers.outgoing.insert(conn);
                if rows::peer(s.txn, &peer)?.is_none() {
                    // Removed while the dial was under way: strangers are told nothing.
                    s.engine.peers.links.remove(&peer);
                    s.out.push(Effect::Close { peer, conn, code: Code::Denied });
                    return Ok(());
                }
                if let Some(address) = address {
                    remember_address(s, &peer, address)?;
                }
                if quarantine::is_ending(s)? {
                    // What it would say of itself would be of the life that ends.
                    s.out.push(Effect::Close { peer, conn, code: Code::Quarantined });
                    ended(s, peer, "this kernel begins a new life");
                    return Ok(());
                }
                let link = s.engine.peers.links.entry(peer).or_insert_with(Link::new);
                // An admitted connection stays until the new one is admitted too.
                if link.up().is_none() {
                    link.phase = Phase::Greeting { conn, dialled };
                }
                let secret = rows::peer(s.txn, &peer)?.and_then(|row| row.secret);
                let greeting = greeting(s, &peer, secret)?;
                s.out.send(peer, conn, Frame::Hello(greeting));
            } else if let Some(address) = address {
                // Remembered when it is admitted: where a peer calls from is where it can be called.
                s.engine.peers.callers.insert(conn, address);
            }
            s.out.push(Effect::Timer { after_ms: HELLO_TIMEOUT_MS, timer: Timer::Hello(peer, conn) });
        }
        LinkEvent::Moved { conn, address } => {
            if s.up(&peer) == Some(conn) {
                remember_address(s, &peer, address)?;
            }
        }
        LinkEvent::Down { conn, reason } => {
            s.engine.peers.callers.remove(&conn);
            s.engine.peers.outgoing.remove(&conn);
            let Some(link) = s.engine.peers.links.get_mut(&peer) else { return Ok(()) };
            let mine = match link.phase {
                Phase::Greeting { conn: current, .. } | Phase::Up { conn: current, .. } => current == conn,
                Phase::Idle | Phase::Dialling => false,
            };
            if mine {
                ended(s, peer, &reason);
            }
        }
        LinkEvent::DialFailed { reason } => {
            let Some(link) = s.engine.peers.links.get(&peer) else { return Ok(()) };
            if link.phase == Phase::Dialling {
                ended(s, peer, &reason);
            }
        }
    }
    Ok(())
}

/// A connection that was not admitted in time is closed.
pub(crate) fn hello_late(s: &mut Step<'_, '_>, peer: KernelId, conn: ConnId) {
    if s.up(&peer) == Some(conn) {
        return;
    }
    s.out.push(Effect::Close { peer, conn, code: Code::Busy });
    let greeting = s.engine.peers.links.get(&peer).map(|link| link.phase);
    if matches!(greeting, Some(Phase::Greeting { conn: current, .. }) if current == conn) {
        ended(s, peer, "the peer did not answer our hello");
    }
}

/// What this kernel says of itself.
fn greeting(s: &Step<'_, '_>, peer: &KernelId, invite: Option<Secret>) -> Result<Greeting, StoreError> {
    let name = meta::identity(s.txn)?.map(|identity| identity.name).unwrap_or_default();
    let row = rows::peer(s.txn, peer)?;
    let heard = row.as_ref().and_then(|row| progress::furthest(s, peer, row));
    let seen = row.map(|row| row.seen).unwrap_or_default();
    Ok(Greeting {
        features: vec![FEATURE_ACTIONS, FEATURE_MOVES, FEATURE_FIND],
        critical: Vec::new(),
        progress: progress::mine(s)?,
        seen,
        frame_max_bytes: FRAME_MAX_BYTES as u64,
        scenario_max_bytes: SCENARIO_MAX_BYTES as u64,
        window_shares: u32::try_from(WINDOW_MAX_SHARES).unwrap_or(u32::MAX),
        name,
        clock_ms: s.ctx.now_ms,
        invite,
        heard,
    })
}

/// A kernel that dialled us says who it is. It is admitted if it is a peer or shows an invite.
pub(crate) fn hello(
    s: &mut Step<'_, '_>,
    peer: KernelId,
    conn: ConnId,
    hello: &Greeting,
) -> Result<(), StoreError> {
    if s.up(&peer) == Some(conn) || s.engine.peers.outgoing.contains(&conn) {
        // Said again: greeting anew would send everything again, as often as the peer likes. And who was dialled does not greet.
        return Ok(());
    }
    if quarantine::is_ending(s)? {
        put_back::turn_away(s, peer, conn);
        return Ok(());
    }
    let row = match who_comes(s, &peer, hello)? {
        Ok(row) => row,
        Err(code) => {
            s.out.send(peer, conn, Frame::Denied(code));
            s.out.push(Effect::Close { peer, conn, code });
            return Ok(());
        }
    };
    if put_back::look(s, &peer, hello)? {
        let mut row = row;
        if progress::remember(&mut row, &peer, &hello.progress, s.ctx.now_ms) {
            s.txn.put_lazily(Table::Peer, peer.as_bytes(), &row);
        }
        put_back::turn_away(s, peer, conn);
        return Ok(());
    }
    if !prevails(s, &peer, conn, hello, false) {
        s.out.push(Effect::Close { peer, conn, code: Code::Busy });
        return Ok(());
    }
    let mut row = row;
    let secret = row.secret.take();
    if secret.is_some() {
        // We were about to show it an invite: it sees that now, and may share here as we may there, whoever called.
        row = rows::put_peer(s.txn, &peer, row);
        admin::give(s, peer, Right::Share)?;
    }
    let greeting = greeting(s, &peer, secret)?;
    if let Some(address) = s.engine.peers.callers.remove(&conn) {
        put_first(&mut row, [address], s.ctx.now_ms);
        s.txn.put_lazily(Table::Peer, peer.as_bytes(), &row);
    }
    ready(s, Greeted { peer, conn, dialled: false, hello }, row, Some(Frame::Admitted(greeting)))
}

/// Whether the kernel that says hello is let in, and what is known of it. Looked at before its invite is used: whoever does not
/// fit shall be able to come again with another version.
fn who_comes(
    s: &mut Step<'_, '_>,
    peer: &KernelId,
    hello: &Greeting,
) -> Result<Result<PeerRow, Code>, StoreError> {
    Ok(match (hello.critical.is_empty(), rows::peer(s.txn, peer)?) {
        (false, _) => Err(Code::Unsupported),
        (true, Some(row)) if row.status == PeerStatus::Active => {
            invites::use_up(s, peer, hello)?;
            Ok(row)
        }
        (true, Some(row)) if row.is_for_objects() => {
            match invites::admit(s, peer, hello, Some(row.clone()))? {
                Some(row) => Ok(row),
                None if may_come(s, peer, &row)? => Ok(row),
                None => {
                    s.later(Todo::Visitor(*peer));
                    Err(Code::Denied)
                }
            }
        }
        // Its rights of before are still being taken away: it comes again.
        (true, None) if hello.invite.is_some() && chores::is_under_way(s, Chore::ForgetPeer(*peer))? => {
            Err(Code::Busy)
        }
        // We hold its invite and it holds ours, or it was told of us: whoever shows a secret is in.
        (true, row) => invites::admit(s, peer, hello, row)?.ok_or(Code::Denied),
    })
}

/// The kernel that we dialled admits us.
pub(crate) fn admitted(
    s: &mut Step<'_, '_>,
    peer: KernelId,
    conn: ConnId,
    hello: &Greeting,
) -> Result<(), StoreError> {
    if s.up(&peer) == Some(conn) {
        return Ok(());
    }
    let Some(mut row) = rows::peer(s.txn, &peer)? else {
        s.out.push(Effect::Close { peer, conn, code: Code::Denied });
        return Ok(());
    };
    if !s.engine.peers.outgoing.contains(&conn) {
        // Who has dialled does not admit.
        return Ok(());
    }
    if quarantine::is_ending(s)? {
        put_back::turn_away(s, peer, conn);
        return Ok(());
    }
    if !hello.critical.is_empty() {
        s.out.push(Effect::Close { peer, conn, code: Code::Unsupported });
        return Ok(());
    }
    if put_back::look(s, &peer, hello)? {
        put_back::turn_away(s, peer, conn);
        return Ok(());
    }
    if !prevails(s, &peer, conn, hello, true) {
        s.out.push(Effect::Close { peer, conn, code: Code::Busy });
        return Ok(());
    }
    match row.is_for_objects() {
        true => row = invites::admit(s, &peer, hello, Some(row.clone()))?.unwrap_or(row),
        false => invites::use_up(s, &peer, hello)?,
    }
    if row.status == PeerStatus::Joining || row.secret.is_some() {
        // Whose invite we used may share here, as we may there.
        row = rows::put_peer(s.txn, &peer, PeerRow { secret: None, ..row });
        admin::give(s, peer, Right::Share)?;
    }
    ready(s, Greeted { peer, conn, dialled: true, hello }, row, None)
}

/// The kernel that we dialled does not admit us, or no longer.
pub(crate) fn denied(
    s: &mut Step<'_, '_>,
    peer: KernelId,
    conn: ConnId,
    code: Code,
) -> Result<(), StoreError> {
    s.out.push(Effect::Close { peer, conn, code });
    // What comes late from an older connection says nothing about the one that is made now, or its invite.
    let is_current = |link: &Link| matches!(link.phase, Phase::Greeting { conn: current, .. } | Phase::Up { conn: current, .. } if current == conn);
    if !s.engine.peers.links.get(&peer).is_some_and(is_current) {
        return Ok(());
    }
    let Some(row) = rows::peer(s.txn, &peer)? else { return Ok(()) };
    let final_word = matches!(code, Code::Denied | Code::Unsupported | Code::Invalid);
    if row.secret.is_some() && final_word {
        for token in s.engine.peers.joins.remove(&peer).unwrap_or_default() {
            s.out.push(Effect::Reply { token, reply: Err(Refusal::Denied(peer)) });
        }
    }
    if row.status == PeerStatus::Joining && final_word {
        // The invite is wrong, used or expired: asking again would not change that.
        s.txn.delete(Table::Peer, peer.as_bytes());
        s.engine.peers.links.remove(&peer);
        return Ok(());
    }
    if row.secret.is_some() && final_word {
        s.txn.put(Table::Peer, peer.as_bytes(), &PeerRow { secret: None, ..row });
    }
    let why = match code {
        Code::Quarantined => "the peer was put back from a backup, and is in quarantine",
        _ => "the peer denied this kernel",
    };
    // It may have removed us, or not added us yet: go on asking, seldom.
    rest(s, peer, conn, why);
    Ok(())
}

/// Whether this connection is the one to keep.
///
/// A peer that restarted, or dials again, knows that its older connection is gone. When two kernels dial each other
/// at once, both keep the connection of the one with the lower id.
fn prevails(s: &mut Step<'_, '_>, peer: &KernelId, conn: ConnId, hello: &Greeting, dialled: bool) -> bool {
    let Some(link) = s.engine.peers.links.get(peer) else { return true };
    let Phase::Up { conn: current, dialled: current_dialled, boot } = link.phase else { return true };
    if current == conn {
        return true;
    }
    let keep_new = if boot != hello.progress.id || current_dialled == dialled {
        true
    } else {
        let lower = s.ctx.me < *peer;
        lower == dialled
    };
    if keep_new {
        s.out.push(Effect::Close { peer: *peer, conn: current, code: Code::Busy });
    }
    keep_new
}

/// A connection on which both sides have said who they are.
struct Greeted<'a> {
    peer: KernelId,
    conn: ConnId,
    dialled: bool,
    hello: &'a Greeting,
}

/// The connection is ready: note what the peer says of itself, repeat our subscriptions, send what it is owed.
fn ready(
    s: &mut Step<'_, '_>,
    greeted: Greeted<'_>,
    mut row: PeerRow,
    admit: Option<Frame>,
) -> Result<(), StoreError> {
    let Greeted { peer, conn, dialled, hello } = greeted;
    let link = s.engine.peers.links.entry(peer).or_insert_with(Link::new);
    link.phase = Phase::Up { conn, dialled, boot: hello.progress.id };
    link.failures = 0;
    link.pause = 0;
    link.told = None;
    progress::begin_life(link, hello.progress.incarnation);
    s.engine.peers.admitted.insert(peer);
    let is_news = progress::remember(&mut row, &peer, &hello.progress, s.ctx.now_ms);
    let says = shown(&hello.name);
    if is_news || row.says != says {
        row.says = says;
        s.txn.put_lazily(Table::Peer, peer.as_bytes(), &row);
    }
    let clock_ahead_ms =
        i64::try_from(hello.clock_ms).unwrap_or(i64::MAX).saturating_sub_unsigned(s.ctx.now_ms);
    // First for the shell here, then for the peer: when its next frame comes, the shell knows that it is admitted.
    s.out.push(Effect::Event(Event::Connected { peer, conn, clock_ahead_ms }));
    if let Some(admit) = admit {
        s.out.send(peer, conn, admit);
    }
    // Also when it used an invite of ours before it answered ours of its own: we are peers, either way.
    for token in s.engine.peers.joins.remove(&peer).unwrap_or_default() {
        let says = shown(&hello.name);
        s.out.push(Effect::Reply { token, reply: Ok(Answer::Joined { says }) });
    }
    life::link_up(s, peer, hello);
    Ok(())
}

/// Puts the address first, and writes only what changed.
fn remember_address(s: &mut Step<'_, '_>, peer: &KernelId, address: String) -> Result<(), StoreError> {
    let Some(mut row) = rows::peer(s.txn, peer)? else { return Ok(()) };
    if !is_known_good(&row, &address, s.ctx.now_ms) {
        put_first(&mut row, [address], s.ctx.now_ms);
        s.txn.put_lazily(Table::Peer, peer.as_bytes(), &row);
    }
    Ok(())
}
