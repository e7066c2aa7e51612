//! What actions here wait for has come, or has not come in time: their lanes go on.

use once_model::action::Given;
use once_model::ids::{Hash, KernelId, ObjectKey};
use once_model::limits::GIVEN_WAIT_MS;
use once_model::wire::Code;

use super::come::Lane;
use super::given::set_timer;
use super::turn;
use super::waiting::{For, Standing};
use crate::engine::Step;
use crate::object;
use crate::store::StoreError;

/// A scenario came from a peer: lanes of it that wait for this go on.
pub(crate) fn came(
    s: &mut Step<'_, '_>,
    peer: KernelId,
    key: &ObjectKey,
    content: &Hash,
) -> Result<(), StoreError> {
    let lanes: Vec<Lane> = s.engine.act.waiting.lacking(Some(&peer)).copied().collect();
    for lane in lanes {
        let Some(Standing { waits: For::Scenarios { lacks, .. }, comes, .. }) =
            s.engine.act.waiting.get_mut(&lane)
        else {
            continue;
        };
        let is_it = |given: &Given| given.key.uuid == key.uuid && given.content == *content;
        let shown: Vec<Given> = lacks.extract_if(.., |given| is_it(given)).collect();
        if let Some(first) = comes.front_mut() {
            first.shown.extend(shown);
        }
        if lacks.is_empty() {
            let comes = s.engine.act.waiting.take(&lane).map(|standing| standing.comes).unwrap_or_default();
            turn::go(s, lane, comes)?;
        }
    }
    Ok(())
}

/// The timer came: what has waited too long is refused, and its lane goes on.
pub(crate) fn late(s: &mut Step<'_, '_>) -> Result<(), StoreError> {
    s.engine.act.waiting.timer_set = false;
    let now_ms = s.ctx.now_ms;
    // A clock that was set back makes them wait for the whole time once more at most.
    give_up(s, None, |_, until_ms| now_ms >= until_ms || until_ms - now_ms > GIVEN_WAIT_MS)?;
    set_timer(s);
    Ok(())
}

/// A scenario came from a peer and is not kept: whoever waits for it here waits in vain.
pub(crate) fn not_kept(
    s: &mut Step<'_, '_>,
    peer: KernelId,
    key: &ObjectKey,
    content: &Hash,
) -> Result<(), StoreError> {
    let is_it = |given: &Given| given.key.uuid == key.uuid && given.content == *content;
    give_up(s, Some(peer), |lacks, _| lacks.iter().any(is_it))
}

/// Those that wait in vain are refused, and their lanes go on.
fn give_up(
    s: &mut Step<'_, '_>,
    peer: Option<KernelId>,
    in_vain: impl Fn(&[Given], u64) -> bool,
) -> Result<(), StoreError> {
    let lanes: Vec<Lane> = s.engine.act.waiting.lacking(peer.as_ref()).copied().collect();
    for lane in lanes {
        let waits = match s.engine.act.waiting.get(&lane).map(|standing| &standing.waits) {
            Some(For::Scenarios { lacks, until_ms, .. }) => in_vain(lacks, *until_ms),
            _ => false,
        };
        if !waits {
            continue;
        }
        let Some(Standing { mut comes, .. }) = s.engine.act.waiting.take(&lane) else { continue };
        let key = object::current_key(s.txn, &lane.1.key)?;
        if s.engine.moving.hold(&key).is_some() {
            // Of an object that is about to leave nothing is recorded: it is asked for anew when that stays, or where it has gone.
            s.engine.act.waiting.stand(lane, For::Leaving { key }, comes);
            continue;
        }
        if let Some(come) = comes.pop_front() {
            let of = (lane.0.kernel, lane.1.key);
            s.guarded(of, |s| turn::refuse_recorded(s, &come, Code::Lacking))?;
        }
        turn::go(s, lane, comes)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use once_model::action::Given;
    use once_model::ids::{Hash, Line, ObjectKey, Uuid};
    use once_model::wire::Code;

    use crate::share;
    use crate::store::Table;
    use crate::testing::{Alone, asked};

    /// The session checks what is shared: the engine must hear also of what does not fit, or an action waits in vain.
    #[test]
    fn a_share_that_is_not_what_it_says_ends_the_waiting_for_it() {
        let mut kernel = Alone::new();
        let (origin, object) = (kernel.peer(9), kernel.object(1, "Open"));
        let content = Hash::from_bytes([5; 32]);
        let key = ObjectKey { uuid: Uuid::from_u128(5), line: Line::Unclaimed(content) };
        let mut act = asked(object, 1, "1".into());
        act.action.given = vec![Given { key, content }];
        kernel.step(|s| crate::act::received(s, origin, act));
        let recorded = |kernel: &Alone| {
            let rows = kernel.rows().into_iter();
            rows.filter(|(table, key, _)| *table == Table::Ledger && key.starts_with(&object.to_row()))
                .count()
        };
        let before = recorded(&kernel);
        let (peer, share) = (origin.kernel, (key, Hash::from_bytes([6; 32]), content));
        kernel.step(|s| share::unfit(s, peer, 1, (key, share.1, share.1), Code::Invalid));
        assert_eq!(recorded(&kernel), before, "another content");
        kernel.step(|s| share::unfit(s, peer, 1, share, Code::Busy));
        assert_eq!(recorded(&kernel), before, "it comes again");
        kernel.step(|s| share::unfit(s, peer, 1, share, Code::Invalid));
        assert_eq!(recorded(&kernel), before + 1);
    }
}
