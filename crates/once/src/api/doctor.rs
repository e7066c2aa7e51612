//! What could be wrong, in plain words.

use std::time::Duration;

use once_core::peers::{self, PeerStatus};
use once_core::store::Read;
use once_core::waist::Command;
use once_core::{meta, share};
use once_model::ids::KernelId;
use once_model::limits::DISK_RESERVE_BYTES;

use super::check::{check, unexamined};
use super::contract::{self, CheckInfo, ClockAcceptResult, DoctorResult};
use super::{damage, lanes, moving, names, standing};
use crate::component::Slowest;
use crate::error::OrError;
use crate::shell::{now_ms, what_to_free};
use crate::{Error, ErrorKind, Kernel, private};

/// A clock that is further off than this confuses people; the engine does not mind.
const CLOCK_OFF_MS: i64 = 60_000;

/// A clock that is further behind the latest time seen was set back.
const CLOCK_BEHIND_MS: u64 = 5 * 60_000;

/// A verdict on a clock that is younger than this is believed.
const CLOCK_VERDICT_OLD: Duration = Duration::from_secs(10);

/// How long a new one may take.
const CLOCK_WAIT: Duration = Duration::from_secs(3);

/// A program that was asked so long ago, and has not answered, hangs.
const HUNG_AFTER: Duration = Duration::from_secs(10);

const MIB: u64 = 1024 * 1024;

pub(crate) async fn examine(kernel: &Kernel, params: contract::Doctor) -> Result<DoctorResult, Error> {
    let stands = crate::stands::all(kernel).await?;
    let snapshot = kernel.shared().snapshot();
    let mut checks = vec![disk(kernel), rights(kernel)];
    checks.extend(as_far_as_read(quarantine(kernel).map(|check| vec![check]))?);
    checks.extend(as_far_as_read(clock(&snapshot).map(|check| vec![check]))?);
    match kernel.net() {
        None => checks.push(check(
            "network",
            false,
            "this kernel is not running: only its data directory was examined",
            Some("start it with `once up`"),
        )),
        Some(_) => {
            let at = kernel.addresses();
            let message = format!("listening at {}", at.join(", "));
            checks.push(check("network", !at.is_empty(), &message, Some("is there a network interface?")));
        }
    }
    checks.extend(damage::losses(kernel));
    checks.extend(as_far_as_read(damage::files(kernel, params.all).await)?);
    checks.extend(as_far_as_read(damage::objects(kernel, params.all).await)?);
    checks.extend(damage::events(kernel)?);
    checks.extend(as_far_as_read(all_peers(kernel).await)?);
    let snapshot = kernel.shared().snapshot();
    checks.extend(as_far_as_read(lanes::examine(kernel, &snapshot))?);
    checks.extend(as_far_as_read(moving::examine(kernel))?);
    checks.extend(as_far_as_read(in_doubt(kernel))?);
    checks.extend(as_far_as_read(standing::examine(kernel, &snapshot, &stands))?);
    checks.extend(served(kernel));
    Ok(DoctorResult { checks })
}

/// Each peer, in turn.
async fn all_peers(kernel: &Kernel) -> Result<Vec<CheckInfo>, Error> {
    let (snapshot, mut checks) = (kernel.shared().snapshot(), Vec::new());
    for (id, row) in peers::all(&snapshot).or_error()? {
        measure_clock_anew(kernel, &id).await;
        checks.push(peer(kernel, &snapshot, &id, &row)?);
    }
    Ok(checks)
}

/// Whether the data directory was put back from a backup.
fn quarantine(kernel: &Kernel) -> Result<CheckInfo, Error> {
    let (ok, message) = match once_core::quarantine(&kernel.shared().snapshot()).or_error()? {
        None => (true, "no peer has seen more of this kernel than it has".to_owned()),
        Some(_) => (
            false,
            "in quarantine: the data was put back from a backup. Nothing runs, and nothing leaves".to_owned(),
        ),
    };
    Ok(check("quarantine", ok, &message, Some("`once quarantine` says what was seen, and how to leave it")))
}

/// Whether others may look into the data directory.
fn rights(kernel: &Kernel) -> CheckInfo {
    let data = &kernel.shared().data;
    let hint = format!("`chmod -R go= {}`", data.display());
    let (ok, message) = match private::open_to_others(data) {
        // Below a directory that is closed nothing can be reached.
        Ok(open) if open.iter().any(|path| path == data) => {
            (false, format!("others may look into {}", data.display()))
        }
        Ok(open) => {
            let secret = |path: &&std::path::PathBuf| {
                path.extension().is_some_and(|ext| ext == "key") || path.ends_with("key")
            };
            match open.iter().find(secret) {
                Some(path) => (false, format!("others have rights on {}", path.display())),
                None => (true, "nobody else may look into the data directory".to_owned()),
            }
        }
        Err(error) => (false, format!("the rights on {} cannot be told: {error}", data.display())),
    };
    check("rights", ok, &message, Some(&hint))
}

/// The clock against the latest time that this kernel has seen.
fn clock(snapshot: &dyn Read) -> Result<CheckInfo, Error> {
    let behind_ms = meta::latest_ms(snapshot).or_error()?.saturating_sub(now_ms());
    let message = match behind_ms {
        ..CLOCK_BEHIND_MS => "the clock has not gone back".to_owned(),
        _ => format!(
            "the clock is {} s behind the latest time that this kernel has seen; what has expired stays expired",
            behind_ms / 1000
        ),
    };
    let hint = "set the clock of this machine; if it is right now, and was wrong before: `once clock accept`";
    Ok(check("clock", behind_ms < CLOCK_BEHIND_MS, &message, Some(hint)))
}

/// Takes the clock as it is.
pub(crate) async fn accept_clock(kernel: &Kernel) -> Result<ClockAcceptResult, Error> {
    let latest_ms = meta::latest_ms(&kernel.shared().snapshot()).or_error()?;
    kernel.command(Command::AcceptClock).await?;
    Ok(ClockAcceptResult { now_ms: now_ms(), latest_ms })
}

/// Objects that are looked at for coordinations: doctor is to answer at once.
const LOOKED_AT_MAX: usize = 100_000;

/// Coordinations that are shown; further ones are counted.
const SHOWN_MAX: usize = 8;

/// Coordinations that are done in part, and not undone.
fn in_doubt(kernel: &Kernel) -> Result<Vec<CheckInfo>, Error> {
    let doubtful = kernel.in_doubt(LOOKED_AT_MAX)?;
    let mut checks = Vec::new();
    for doubt in doubtful.iter().take(SHOWN_MAX) {
        let (uuid, standing) = (doubt.object.uuid(), &doubt.standing);
        let bad = |step: &&crate::StepStatus| matches!(step.state.word(), "in doubt" | "unknown");
        let steps: Vec<_> = standing
            .steps
            .iter()
            .filter(bad)
            .map(|step| format!("{} is {}", step.name, step.state.word()))
            .collect();
        let message = format!("the coordination {uuid} is in doubt: {}", steps.join(", "));
        let hint = format!(
            "`once coordination {uuid}` says what came of each step; put right by hand what has to be, then `once rm {uuid}`"
        );
        checks.push(check("coordination", false, &message, Some(&hint)));
    }
    if let Some(more) = doubtful.len().checked_sub(SHOWN_MAX).filter(|more| *more > 0) {
        checks.push(check("coordination", false, &format!("{more} more are in doubt"), None));
    }
    Ok(checks)
}

/// Damage is a finding, and no reason not to look at the rest.
fn as_far_as_read(checks: Result<Vec<CheckInfo>, Error>) -> Result<Vec<CheckInfo>, Error> {
    match checks {
        Err(error) if error.kind() == ErrorKind::Damaged => {
            // What the error itself says to do is to ask for this.
            Ok(vec![check("store", false, error.message(), Some(damage::HINT))])
        }
        checks => checks,
    }
}

/// Clocks are compared when a connection begins. A verdict that they differ is worth a new one: since then somebody may have
/// set them.
async fn measure_clock_anew(kernel: &Kernel, id: &KernelId) {
    let Some(net) = kernel.net() else { return };
    let seen = net.seen(id);
    let is_off = seen.clock_ahead_ms.is_some_and(|ahead| ahead.abs() > CLOCK_OFF_MS);
    let is_old = seen.since.is_some_and(|since| since.elapsed() > CLOCK_VERDICT_OLD);
    if let Some(session) = net.session(id).filter(|_| is_off && is_old) {
        session.connection.close(iroh::endpoint::VarInt::from_u32(0), b"the clocks are compared anew");
        // If it does not come back in time, that is what is said of it.
        let _ = kernel.session(*id, CLOCK_WAIT).await;
    }
}

/// Components whose objects wait for a program.
fn served(kernel: &Kernel) -> Vec<CheckInfo> {
    if kernel.net().is_none() {
        return Vec::new();
    }
    let served = &kernel.shared().components.served;
    let hung: Vec<_> = served.slowest().into_iter().filter(|slow| slow.asked >= HUNG_AFTER).collect();
    let one = |(component, clients, _): (String, usize, usize)| {
        let name = format!("component {component}");
        if let Some(Slowest { action, key, asked, .. }) = hung.iter().find(|hung| hung.component == component)
        {
            let (key, s) = (names::key_text(key), asked.as_secs());
            let message = format!(
                "the program that serves it was asked for {action} on {key} {s} s ago and has not answered"
            );
            let hint = "look at that program: it hangs or is too slow; what it does not answer in time is asked again";
            return check(&name, false, &message, Some(hint));
        }
        let message = match clients {
            0 => format!("no program that serves {component} is connected: actions on its objects wait"),
            1 => "one program serves it".to_owned(),
            many => format!("{many} programs serve it"),
        };
        let hint =
            "start the program that serves it; the method `unserve` of the local API forgets it for good";
        check(&name, clients > 0, &message, Some(hint))
    };
    served.list().into_iter().map(one).collect()
}

/// As `takes_writes` of `status` says it: what is refused, and what is said here, is one limit.
fn room(free: u64, hint: &str) -> CheckInfo {
    let (mib, reserve_mib) = (free / MIB, DISK_RESERVE_BYTES / MIB);
    let message = format!("{mib} MiB are free; new work is refused below {reserve_mib} MiB");
    check("disk", free >= DISK_RESERVE_BYTES, &message, Some(hint))
}

fn disk(kernel: &Kernel) -> CheckInfo {
    match once_store::free_bytes(&kernel.shared().data) {
        Ok(free) => room(free, &what_to_free(&kernel.shared().data)),
        Err(error) => check("disk", false, &format!("the free space cannot be told: {error}"), None),
    }
}

fn peer(
    kernel: &Kernel,
    snapshot: &dyn Read,
    id: &KernelId,
    row: &peers::PeerRow,
) -> Result<CheckInfo, Error> {
    let name = format!("peer {}", names::name_of(kernel, id));
    let Some(net) = kernel.net() else {
        return Ok(unexamined(&name));
    };
    let seen = net.seen(id);
    let owed = share::usage(snapshot, id).or_error()?.owed_rows;
    let waiting = if owed == 0 { String::new() } else { format!("; {owed} objects wait for it") };
    if peers::put_back(row) {
        let message = "it was put back from a backup, or two processes use its key: it has said, signed, what does not follow from what it said before";
        let hint = "tell its owner: 'once doctor' and 'once quarantine' there say more";
        return Ok(check(&name, false, message, Some(hint)));
    }
    if seen.conn.is_some() {
        let ahead = seen.clock_ahead_ms.unwrap_or(0);
        if ahead.abs() > CLOCK_OFF_MS {
            let message = format!(
                "connected{waiting}; its clock is {} s {}",
                ahead.abs() / 1000,
                if ahead > 0 { "ahead" } else { "behind" }
            );
            return Ok(check(&name, false, &message, Some("set the clocks of both machines")));
        }
        return Ok(check(&name, true, &format!("connected{waiting}"), None));
    }
    if row.status == PeerStatus::Visitor {
        let count = peers::visits(snapshot, id).or_error()?.len();
        let message =
            format!("not connected; it is no peer, and comes by itself for {count} objects{waiting}");
        return Ok(check(&name, true, &message, None));
    }
    let why = seen.last_error.unwrap_or_else(|| "no attempt has ended yet".into());
    let hint = if once_core::quarantine(snapshot).or_error()?.is_some() {
        // Whatever else stands against it comes from that.
        "`once quarantine` says what ends it: until then this kernel talks to no peer".to_owned()
    } else if why.contains("denied") {
        let asked = "it has removed this kernel, or never added it: ask its owner for a new invite";
        match owed {
            0 => asked.to_owned(),
            _ => {
                let peer = id.short();
                format!("{asked}, or give up what waits for it: `once outbox drop --peer {peer}`")
            }
        }
    } else if row.addresses.is_empty() {
        format!(
            "no address of it is known: `once peers address {} HOST:PORT` tells one, or wait until it calls",
            id.short()
        )
    } else {
        format!(
            "is it up? it was last known at {}; if it moved, `once peers address {} HOST:PORT` tells the new address",
            row.addresses.first().map_or("", String::as_str),
            id.short()
        )
    };
    let joining = match row.status {
        PeerStatus::Joining => "still joining",
        PeerStatus::Host => "not connected, and an object with which this kernel has to do has moved there",
        PeerStatus::Active | PeerStatus::Visitor => "not connected",
    };
    Ok(check(&name, false, &format!("{joining}: {why}{waiting}"), Some(&hint)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_disk_is_fine_as_long_as_new_work_is_taken() {
        let is_ok = |free: u64| room(free, "free some").ok;
        assert!(is_ok(249 * MIB) && is_ok(DISK_RESERVE_BYTES));
        assert!(!is_ok(DISK_RESERVE_BYTES - 1));
        assert_eq!(room(0, "free some").hint.as_deref(), Some("free some"));
    }
}
