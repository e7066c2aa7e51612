//! Actions on objects of this kernel that nobody here can run just now, for `doctor` and `outbox`.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Instant;

use once_core::act::{self, WaitingRow};
use once_core::store::Read;
use once_core::waist::{Command, Stands, StandsFor};
use once_model::ids::{KernelId, ObjectKey, Uuid};
use once_model::wire::Code;

use super::check::check;
use super::contract::{CheckInfo, DroppedAction};
use super::names;
use crate::error::OrError;
use crate::stands::why;
use crate::{Error, Kernel};

/// Answers, and as many actions over which programs went away, that are shown; further ones are counted.
const SHOWN_MAX: usize = 8;

/// Waiting actions that are looked at to find the names of those that stand still.
const LOOKED_AT_MAX: usize = 100_000;

/// Why the first action of each of this kernel's own lanes stands still, in words.
pub(super) fn of_own(kernel: &Kernel, stands: &[Stands]) -> BTreeMap<ObjectKey, String> {
    let own = stands.iter().filter(|stands| stands.origin == kernel.id());
    own.map(|stands| (stands.key, why(kernel, stands))).collect()
}

/// The checks of `doctor`.
pub(super) fn examine(
    kernel: &Kernel,
    snapshot: &dyn Read,
    stands: &[Stands],
) -> Result<Vec<CheckInfo>, Error> {
    let mut checks = programs(kernel, stands);
    checks.extend(answers(kernel, snapshot, stands)?);
    checks.extend(suspects(kernel));
    Ok(checks)
}

/// What waits for a program, or for a newer one than those that are connected.
fn programs(kernel: &Kernel, stands: &[Stands]) -> Vec<CheckInfo> {
    let mut waits: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for Stands { component, version, why, .. } in stands {
        let refused = matches!(why, StandsFor::Refused(_));
        if !refused && !kernel.shared().components.served.fits(component, version) {
            *waits.entry((component, version)).or_default() += 1;
        }
    }
    let one = |((component, version), count): ((&str, &str), usize)| {
        let waits = if count == 1 { "1 action waits" } else { &format!("{count} actions wait") };
        let message = format!("{waits} for a program of {component} >= {version}");
        let hint = "start it; what waits goes on by itself then";
        check(&format!("component {component}"), false, &message, Some(hint))
    };
    waits.into_iter().map(one).collect()
}

/// What objects cannot be told, because no program here knows the action or can read the state.
fn answers(kernel: &Kernel, snapshot: &dyn Read, stands: &[Stands]) -> Result<Vec<CheckInfo>, Error> {
    let mut refused: BTreeMap<ObjectKey, Code> = BTreeMap::new();
    for stands in stands {
        if let StandsFor::Refused(code) = stands.why {
            refused.insert(stands.key, code);
        }
    }
    let (count, mut checks, mut looked) = (refused.len(), Vec::new(), 0);
    if count > 0 {
        act::waiting(snapshot, &mut |home, key, _, row| {
            looked += 1;
            // The first of its lane comes first.
            let code = if home == kernel.id() { refused.remove(&key) } else { None };
            checks.extend(code.map(|code| answer(&key, &row, code)));
            let enough = refused.is_empty() || checks.len() >= SHOWN_MAX || looked >= LOOKED_AT_MAX;
            if enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .or_error()?;
    }
    if let Some(more) = count.checked_sub(checks.len()).filter(|more| *more > 0) {
        let message = format!("{more} more objects cannot be told what came of their effects");
        checks.push(check("answer", false, &message, Some("`once outbox` lists them")));
    }
    Ok(checks)
}

fn answer(key: &ObjectKey, row: &WaitingRow, code: Code) -> CheckInfo {
    let WaitingRow { action, .. } = row;
    let message = format!(
        "{} on {} waits: no program here can take it ({}); other actions of this kernel on it wait behind it ({})",
        action.name,
        names::key_text(key),
        code.name(),
        action.id
    );
    let hint = format!(
        "start a program that knows it and can read the object: it goes on by itself; `once outbox drop {}` gives it up",
        action.id
    );
    check("answer", false, &message, Some(&hint))
}

/// Actions and work outside over which programs went away again and again.
fn suspects(kernel: &Kernel) -> Vec<CheckInfo> {
    let all = kernel.shared().components.served.suspects();
    let count = all.len();
    let one = |suspect: crate::component::Suspect| {
        let when = match suspect.until.checked_duration_since(Instant::now()) {
            Some(pause) => format!("in {} s", pause.as_secs() + 1),
            None => "when nothing else waits".to_owned(),
        };
        let message = format!(
            "{} programs went away over {} on {}, or did not answer in time; it is asked again {when}, after all others ({})",
            suspect.times,
            suspect.name,
            names::key_text(&suspect.object),
            suspect.id
        );
        let hint = format!(
            "look at what the program does with it; if a client asked for it, `once cancel {0}` takes it back, \
            otherwise `once outbox drop {0}`",
            suspect.id
        );
        check(&format!("component {}", suspect.of), false, &message, Some(&hint))
    };
    let mut checks: Vec<CheckInfo> = all.into_iter().take(SHOWN_MAX).map(one).collect();
    if let Some(more) = count.checked_sub(SHOWN_MAX).filter(|more| *more > 0) {
        checks.push(check("component", false, &format!("{more} more like these"), None));
    }
    checks
}

/// Takes an action back that no client asks for.
pub(crate) async fn drop_action(kernel: &Kernel, id: Uuid) -> Result<DroppedAction, Error> {
    let mut found: Option<(KernelId, ObjectKey, u64)> = None;
    act::waiting(&kernel.shared().snapshot(), &mut |home, key, sequence, row| {
        if row.action.id == id {
            found = Some((home, key, sequence));
        }
        if found.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })
    .or_error()?;
    let Some((home, key, sequence)) = found else {
        return Err(Error::not_found(format!("no action {} waits here", id))
            .with_hint("`once outbox` lists those that do"));
    };
    kernel.shared().command(Command::Drop { home, key, sequence, id }).await?;
    Ok(DroppedAction { id, object: names::key_text(&key), here: home == kernel.id() })
}
