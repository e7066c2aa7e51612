//! Rights as grants and revocations alone make them (protocol 5.5 Rights; local-api `grant`; store.md table 10).

use std::collections::BTreeMap;

use once_model::ids::{KernelId, ObjectKey};

use crate::ask::{Grant, Grantee, Right, Scope};

/// Yes, no, or not to be told from what was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tri {
    /// It is certainly not allowed.
    No,
    /// The page, or what was seen, leaves it open.
    Open,
    /// It is certainly allowed.
    Yes,
}

impl Tri {
    /// From what is certain.
    pub(crate) const fn of(yes: bool) -> Self {
        if yes { Self::Yes } else { Self::No }
    }

    /// Both must be allowed.
    pub(crate) fn and(self, other: Self) -> Self {
        self.min(other)
    }

    /// One of both must be allowed.
    pub(crate) fn or(self, other: Self) -> Self {
        self.max(other)
    }

    /// Whether it may be so.
    pub(crate) const fn can(self) -> bool {
        !matches!(self, Self::No)
    }

    /// Whether it may not be so.
    pub(crate) const fn can_not(self) -> bool {
        !matches!(self, Self::Yes)
    }

    /// Whether it is certain.
    pub(crate) const fn sure(self) -> bool {
        !matches!(self, Self::Open)
    }
}

/// The clock of a kernel: its own time, and the latest that it has shown.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Clock {
    ahead: i128,
    latest: u64,
    /// The world's time.
    pub(crate) at: u64,
    /// When it was set last, in the world's time.
    pub(crate) set_at: u64,
}

impl Clock {
    /// What it says now.
    pub(crate) fn now(&self) -> u64 {
        u64::try_from(i128::from(self.at) + self.ahead).unwrap_or(0)
    }

    /// The latest time that was seen.
    pub(crate) fn latest(&self) -> u64 {
        self.latest.max(self.now())
    }

    /// It says this from now on.
    pub(crate) fn set(&mut self, now: u64) {
        self.latest = self.latest();
        self.ahead = i128::from(now) - i128::from(self.at);
        self.set_at = self.at;
    }

    /// The world's time goes on.
    pub(crate) fn go(&mut self, at: u64) {
        self.at = at;
        self.latest = self.latest();
    }

    /// People say that it is right.
    pub(crate) fn accept(&mut self) {
        self.latest = self.now();
    }
}

#[derive(Debug, Clone, Default)]
struct Part {
    expires: Option<u64>,
    /// Since when, in the world's time, the clock has been past its end without a break.
    past_since: Option<u64>,
    /// The clock was past its end at some time.
    was_past: bool,
    /// It was certainly noticed.
    over: bool,
}

impl Part {
    fn holds(&self, clock: &Clock) -> Tri {
        if self.over {
            return Tri::No;
        }
        let Some(end) = self.expires else { return Tri::Yes };
        let now = clock.now();
        if now > end {
            Tri::No
        } else if now == end || self.was_past || end <= clock.latest() {
            Tri::Open
        } else {
            Tri::Yes
        }
    }

    /// Both are there, and the later end counts; forever is later than any time.
    fn outlasts(&self, other: &Self, clock: &Clock) -> bool {
        let later = match (other.expires, self.expires) {
            (Some(old), Some(new)) => new > old,
            (old, _) => old.is_some(),
        };
        later || other.holds(clock) == Tri::No
    }

    /// Whether the clock has just passed it, or it is just over.
    fn tick(&mut self, clock: &Clock, notice_ms: u64, start: bool) -> bool {
        let Some(end) = self.expires else { return false };
        if clock.now() <= end {
            self.past_since = None;
            return false;
        }
        let before = (self.was_past, self.over);
        self.was_past = true;
        let since = *self.past_since.get_or_insert(clock.at);
        self.over |= start || clock.at.saturating_sub(since) >= notice_ms;
        before != (self.was_past, self.over)
    }
}

#[derive(Debug, Clone, Default)]
struct Row {
    /// By name of the action; no name: every action.
    parts: BTreeMap<Option<String>, Part>,
    /// The home of the object that has it, as it was said first.
    home: Option<KernelId>,
}

/// An object as rights look at it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Thing<'a> {
    pub(crate) key: ObjectKey,
    pub(crate) component: &'a str,
}

/// All grants of one kernel.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rights {
    rows: BTreeMap<(Grantee, Right, Scope), Row>,
    /// The earliest end of a part that nobody has noticed: before it there is nothing to do.
    earliest: u64,
}

impl Rights {
    /// Adds: what is there already ends at the later time.
    pub(crate) fn grant(&mut self, grant: &Grant, clock: &Clock) {
        let row = self.rows.entry((grant.to, grant.right, grant.scope.clone())).or_default();
        if grant.home.is_some() {
            row.home = grant.home;
        }
        let names = match &grant.actions {
            None => vec![None],
            Some(names) => names.iter().cloned().map(Some).collect(),
        };
        for name in names {
            let part = row.parts.entry(name).or_insert_with(|| Part { over: true, ..Part::default() });
            let new = Part { expires: grant.expires_ms, ..Part::default() };
            if new.outlasts(part, clock) {
                *part = new;
            }
        }
        self.earliest = 0;
    }

    /// How many actions have an end of their own in the grants that this one would be added to.
    pub(crate) fn parts(&self, grant: &Grant) -> usize {
        self.rows.get(&(grant.to, grant.right, grant.scope.clone())).map_or(0, |row| row.parts.len())
    }

    /// Whether there is something to take back; none: not even a grant of this kind.
    pub(crate) fn can_revoke(&self, grant: &Grant, clock: &Clock) -> Option<Tri> {
        let row = self.rows.get(&(grant.to, grant.right, grant.scope.clone()))?;
        let Some(names) = &grant.actions else { return Some(Tri::Yes) };
        // Single actions of a grant of every action cannot be taken back while that lasts.
        let whole = row.parts.get(&None).map_or(Tri::No, |part| part.holds(clock));
        let any = names.iter().any(|name| row.parts.contains_key(&Some(name.clone())));
        match whole {
            Tri::No if !any => None,
            Tri::No => Some(Tri::Yes),
            Tri::Open => Some(Tri::Open),
            Tri::Yes => Some(Tri::No),
        }
    }

    /// Takes back: these actions, or all of it.
    pub(crate) fn revoke(&mut self, grant: &Grant) {
        let key = (grant.to, grant.right, grant.scope.clone());
        match &grant.actions {
            None => {
                self.rows.remove(&key);
            }
            Some(names) => {
                let Some(row) = self.rows.get_mut(&key) else { return };
                for name in names {
                    row.parts.remove(&Some(name.clone()));
                }
                if row.parts.is_empty() {
                    self.rows.remove(&key);
                }
            }
        }
    }

    /// A peer is gone: its rights, and those of objects whose home it was.
    pub(crate) fn forget(&mut self, peer: &KernelId) {
        self.rows.retain(|(to, _, _), row| *to != Grantee::Kernel(*peer) && row.home != Some(*peer));
    }

    /// None is left (the end of a quarantine).
    pub(crate) fn clear(&mut self) {
        self.rows.clear();
    }

    /// An object has a new name: its grants go with it.
    pub(crate) fn rename(&mut self, old: &ObjectKey, new: &ObjectKey, clock: &Clock) {
        let moved: Vec<_> =
            self.rows.keys().filter(|(_, _, scope)| *scope == Scope::Object(*old)).cloned().collect();
        for key in moved {
            let Some(row) = self.rows.remove(&key) else { continue };
            let into = self.rows.entry((key.0, key.1, Scope::Object(*new))).or_default();
            into.home = into.home.or(row.home);
            // Grants add up: none ends earlier for another one.
            for (name, part) in row.parts {
                match into.parts.get(&name) {
                    Some(there) if !part.outlasts(there, clock) => {}
                    _ => drop(into.parts.insert(name, part)),
                }
            }
        }
    }

    /// An object has left: what was granted on it goes along. Who had something.
    pub(crate) fn leave(&mut self, key: &ObjectKey) -> Vec<KernelId> {
        let mut had = Vec::new();
        self.rows.retain(|(to, _, scope), row| {
            let stays = *scope != Scope::Object(*key);
            if !stays {
                had.extend(match to {
                    Grantee::Kernel(peer) => Some(*peer),
                    Grantee::Object(_) => row.home,
                });
            }
            stays
        });
        had
    }

    /// How many rows they are.
    pub(crate) fn rows(&self) -> usize {
        self.rows.len()
    }

    /// Time goes on: what the clock has passed for long enough is over for ever, at a start at once. Whether any
    /// right is another one by that.
    pub(crate) fn tick(&mut self, clock: &Clock, notice_ms: u64, start: bool) -> bool {
        if clock.now() < self.earliest {
            return false;
        }
        let mut some = false;
        self.earliest = u64::MAX;
        for part in self.rows.values_mut().flat_map(|row| row.parts.values_mut()) {
            some |= part.tick(clock, notice_ms, start);
            if !part.over {
                self.earliest = self.earliest.min(part.expires.unwrap_or(u64::MAX));
            }
        }
        some
    }

    /// Whether a kernel, or an object of it, has a right on some object here that nobody has noticed to be over.
    pub(crate) fn on_objects(&self, kernel: KernelId, clock: &Clock) -> Tri {
        let of = self.rows.iter().filter(|((to, _, scope), row)| {
            matches!(scope, Scope::Object(_))
                && match to {
                    Grantee::Kernel(to) => *to == kernel,
                    Grantee::Object(_) => row.home == Some(kernel),
                }
        });
        let parts = of.flat_map(|(_, row)| row.parts.values());
        let lasts = |part: &Part| match part.holds(clock) {
            // It is over when that is noticed.
            Tri::No if !part.over => Tri::Open,
            holds => holds,
        };
        parts.fold(Tri::No, |best, part| best.or(lasts(part)))
    }

    /// Whether the clock was set back: what it had passed is looked at anew.
    pub(crate) fn clock_jumped(&mut self) {
        self.earliest = 0;
    }

    /// Whether a kernel has been given any right to read an object or to act on it.
    pub(crate) fn any_reaches(&self, kernel: KernelId, thing: &Thing<'_>) -> bool {
        let scopes = [Scope::All, Scope::Component(thing.component.to_owned()), Scope::Object(thing.key)];
        scopes.into_iter().any(|scope| {
            [Right::Read, Right::Act]
                .into_iter()
                .any(|right| self.rows.contains_key(&(Grantee::Kernel(kernel), right, scope.clone())))
        })
    }

    /// Whether `who` has the right on `thing`, with this action if it is the right to act.
    pub(crate) fn may(
        &self,
        who: Grantee,
        right: Right,
        thing: &Thing<'_>,
        name: Option<&str>,
        clock: &Clock,
    ) -> Tri {
        let scopes = [Scope::All, Scope::Component(thing.component.to_owned()), Scope::Object(thing.key)];
        let mut best = Tri::No;
        for scope in scopes {
            if let Some(row) = self.rows.get(&(who, right, scope)) {
                best = best.or(Self::holds(row, name, clock));
            }
        }
        best
    }

    /// Whether an object has a right of its own to act, and the home that was said when it got it.
    pub(crate) fn of_object(
        &self,
        acting: ObjectKey,
        thing: &Thing<'_>,
        name: &str,
        clock: &Clock,
    ) -> Vec<(Option<KernelId>, Tri)> {
        let scopes = [Scope::All, Scope::Component(thing.component.to_owned()), Scope::Object(thing.key)];
        let rows = scopes
            .into_iter()
            .filter_map(|scope| self.rows.get(&(Grantee::Object(acting), Right::Act, scope)));
        rows.map(|row| (row.home, Self::holds(row, Some(name), clock))).collect()
    }

    /// Whether `who` may share: only ever on everything.
    pub(crate) fn may_share(&self, who: KernelId, clock: &Clock) -> Tri {
        let row = self.rows.get(&(Grantee::Kernel(who), Right::Share, Scope::All));
        row.map_or(Tri::No, |row| Self::holds(row, None, clock))
    }

    fn holds(row: &Row, name: Option<&str>, clock: &Clock) -> Tri {
        let all = row.parts.get(&None).map_or(Tri::No, |part| part.holds(clock));
        let named = name.and_then(|name| row.parts.get(&Some(name.to_owned())));
        all.or(named.map_or(Tri::No, |part| part.holds(clock)))
    }
}
