//! For tests: whatever a peer is owed is under way, in line, or found by the next look at the outbox, and what could be sent is.

use std::ops::ControlFlow;

use once_model::ids::KernelId;

use super::owed::owed;
use super::rows::{Kind, Owed};
use super::window::Window;
use crate::store::{Read, StoreError};
use crate::{act, peers};

/// Looks at one connection between two inputs.
pub(crate) fn holds(
    rows: &dyn Read,
    peer: &KernelId,
    window: &Window,
    kinds: &[Kind],
) -> Result<(), StoreError> {
    for kind in kinds {
        assert!(!window.idles(*kind), "there is room for what waits for {peer}: {window:?}");
        let mut all = Vec::new();
        owed(rows, peer, *kind, &[], &mut |owed, _| {
            all.push(owed);
            ControlFlow::Continue(())
        })?;
        for owed in all {
            let is_needed = match owed {
                Owed::Object(_) => true,
                Owed::Lane(lane) => act::held::waits_for(rows, &lane, peer)?,
            };
            assert!(
                !is_needed || window.remembers(&owed),
                "{peer} is owed {owed:?}, and nothing sends it: {window:?}"
            );
        }
    }
    Ok(())
}

/// What each peer is owed is counted.
pub(crate) fn counts(rows: &dyn Read) -> Result<(), StoreError> {
    for (peer, _) in peers::all(rows)? {
        let mut found = 0;
        owed(rows, &peer, Kind::Objects, &[], &mut |_, _| {
            found += 1;
            ControlFlow::Continue(())
        })?;
        assert_eq!(super::usage(rows, &peer)?.owed_rows, found, "what is owed to {peer}");
    }
    Ok(())
}
