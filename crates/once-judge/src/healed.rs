//! What is due once every kernel runs, every link is up, and everything had its time.

use std::collections::{BTreeMap, BTreeSet};

use once_model::ids::{Incarnation, KernelId, ObjectKey};

use crate::ask::Ask;
use crate::check::{Check, How};
use crate::effects::Kind;
use crate::eyes::Eyes;
use crate::kernel::Kernel;
use crate::rights::Tri;

/// What else is known of the world at its end.
pub(crate) struct Healthy {
    /// Kernels that are judged, run, and are in no quarantine; with whom each is a peer and connected.
    pub(crate) with: BTreeMap<KernelId, Vec<KernelId>>,
    /// Objects that stand still, under every name that they had, and where.
    pub(crate) still: BTreeSet<(KernelId, ObjectKey)>,
    /// Kernels whose disk is nearly full.
    pub(crate) short: BTreeSet<KernelId>,
    /// The life of each.
    pub(crate) lives: BTreeMap<KernelId, Incarnation>,
}

impl Healthy {
    /// As the kernels are now.
    pub(crate) fn of<'a>(kernels: impl Iterator<Item = &'a Kernel>) -> Self {
        let mut all = Self {
            with: BTreeMap::new(),
            still: BTreeSet::new(),
            short: BTreeSet::new(),
            lives: BTreeMap::new(),
        };
        for kernel in kernels {
            if kernel.running && !kernel.quarantined {
                all.with.insert(kernel.me, kernel.connected());
            }
            all.lives.insert(kernel.me, kernel.incarnation);
            if kernel.short {
                all.short.insert(kernel.me);
            }
            let still = kernel.home.put_off.iter().chain(kernel.home.running.keys());
            let still = still.chain(kernel.moves.sealed.keys()).chain(kernel.moves.leaving.keys());
            all.still.extend(still.map(|key| (kernel.me, *key)));
            let old = kernel.objects.became.iter().filter(|(_, now)| kernel.stands(now));
            all.still.extend(old.map(|(old, _)| (kernel.me, *old)));
        }
        all
    }

    fn reach(&self, from: &KernelId, to: &KernelId) -> bool {
        self.with.get(from).is_some_and(|peers| peers.contains(to))
            && self.with.get(to).is_some_and(|peers| peers.contains(from))
    }
}

/// A subscription is repeated after each `Admitted`, so the source knows of it in the end (375-378).
pub(crate) fn subscription_due(follower: &Kernel, source: &Kernel, world: &Healthy, eyes: &mut Eyes<'_>) {
    let at_source = follower.follows.following.iter().filter(|(from, _)| *from == source.me);
    for (from, key) in at_source {
        if follower.follows.perhaps.contains(&(*from, *key)) {
            eyes.not_made(Check::FollowDue);
            continue;
        }
        let key = source.objects.name(key);
        let Some(head) = source.objects.heads.get(&key) else { continue };
        // Who asks at a former home is told where the object lives: that is another source.
        let elsewhere = source.has_moved_on(&key);
        if elsewhere
            || !world.reach(&follower.me, &source.me)
            || source.may_read(follower.me, head) != Tri::Yes
        {
            eyes.not_made(Check::FollowDue);
            continue;
        }
        let known = source.follows.is_followed(&key, follower.me);
        eyes.exact(Check::FollowDue, known, || {
            format!("{} follows {key}, and its source does not know", follower.me.short())
        });
    }
}

/// The end of a subscription is said until it is answered (376-378).
pub(crate) fn ends_due(follower: &Kernel, world: &Healthy, eyes: &mut Eyes<'_>) {
    for (from, key) in &follower.follows.unfollowed {
        if world.reach(&follower.me, from) {
            eyes.exact(Check::FollowDue, false, || {
                format!("{} is not told that {key} is not followed", from.short())
            });
        }
    }
}

impl Kernel {
    /// Whom this kernel can talk to.
    pub(crate) fn connected(&self) -> Vec<KernelId> {
        let up = self.peers.up.values().filter_map(|conn| self.conns.get(conn));
        let admitted = up.filter(|conn| conn.admitted && !conn.denied);
        admitted.map(|conn| conn.peer).filter(|peer| self.knows(peer)).collect()
    }

    /// What was due and has not happened.
    pub(crate) fn due(&self, world: &Healthy, eyes: &mut Eyes<'_>) {
        if !self.running || self.quarantined {
            return self.due_not_made(eyes);
        }
        self.outcomes_due(world, eyes);
        self.told_due(eyes);
        self.answers_to_peers_due(eyes);
        ends_due(self, world, eyes);
        self.shares_due(world, eyes);
        let questions = self.follows.open_questions().map(|(_, key)| *key).collect::<Vec<_>>();
        for key in &questions {
            eyes.exact(Check::FollowDue, false, || {
                format!("a question about following {key} is not answered")
            });
        }
        if questions.is_empty() {
            eyes.exact(Check::FollowDue, true, String::new);
        }
        let readings = self.follows.open_readings();
        eyes.exact(Check::FollowDue, readings == 0, || {
            format!("{readings} requests or pulls are not answered")
        });
        self.clients_due(eyes);
        self.moves_due(world, eyes);
    }

    /// What is sealed is answered, and so moves or works again.
    fn moves_due(&self, world: &Healthy, eyes: &mut Eyes<'_>) {
        for (key, sealed) in &self.moves.sealed {
            let to = &sealed.certificate.home;
            let another = world.lives.get(to) != Some(&sealed.certificate.incarnation);
            if !world.reach(&self.me, to)
                || another
                || world.short.contains(to)
                || self.short
                || eyes.world.rolled.contains(to)
            {
                eyes.not_made(Check::MoveDue);
                continue;
            }
            eyes.exact(Check::MoveDue, false, || {
                format!("{key} is sealed, and {} does not answer", to.short())
            });
        }
        if self.moves.sealed.is_empty() {
            eyes.exact(Check::MoveDue, true, String::new);
        }
    }

    fn due_not_made(&self, eyes: &mut Eyes<'_>) {
        for _ in self.origin.items.values().filter(|item| item.settled.is_none()) {
            eyes.not_made(Check::OutcomeDue);
        }
        for (_, owed) in self.effects.all_owed() {
            eyes.not_made(due_check(&owed.kind));
        }
    }

    /// Whether the actions on an object stand still because a program is away: then nothing is promised.
    fn stands(&self, key: &once_model::ids::ObjectKey) -> bool {
        let name = self.objects.name(key);
        let here = self.objects.heads.contains_key(&name);
        !here
            || self.moves.stands(&name)
            || self.home.put_off.contains(&name)
            || self.home.running.contains_key(&name)
    }

    fn outcomes_due(&self, world: &Healthy, eyes: &mut Eyes<'_>) {
        for item in self.origin.items.values() {
            let check = if item.action.acting.is_some() { Check::EffectDue } else { Check::OutcomeDue };
            if item.settled.is_some() {
                eyes.exact(check, true, String::new);
                continue;
            }
            let here = item.home == self.me;
            let reached = here || world.reach(&self.me, &item.home);
            let stands = if here {
                self.stands(&item.object)
            } else {
                world.still.contains(&(item.home, item.object)) || world.short.contains(&item.home)
            };
            // Where an action goes that names an unclaimed copy elsewhere than it is by now, is not said.
            let adrift =
                item.object.lineage().is_none() && item.named.is_some_and(|named| named != item.home);
            if adrift
                || !item.sure
                || !reached
                || self.short
                || stands
                || self.is_adrift(&item.object, item.home)
            {
                eyes.not_made(check);
                continue;
            }
            // Of an own action that rows 6 and 7 refuse nothing is seen unless somebody is told.
            if here && !item.codes.is_empty() {
                eyes.not_made(check);
                continue;
            }
            eyes.exact(check, false, || {
                format!("{} on {} was accepted, and has no outcome", item.action.name, item.object)
            });
        }
    }

    fn told_due(&self, eyes: &mut Eyes<'_>) {
        let now = self.clock.now();
        for (id, owed) in self.effects.all_owed() {
            let check = due_check(&owed.kind);
            if owed.optional || self.effects.given_up.contains(id) || self.stands(&owed.object) || self.short
            {
                eyes.not_made(check);
                continue;
            }
            match &owed.kind {
                Kind::Timer { to, .. } if now.saturating_sub(eyes.limits.notice_ms) < *to => {}
                Kind::Timer { .. } => {
                    eyes.exact(check, false, || {
                        format!("a timer of {} was due, and is not told", owed.object)
                    });
                }
                Kind::Activity { name, asked, .. } if owed.came.is_none() => {
                    eyes.exact(check, *asked, || {
                        format!("the work {name} of {} is not asked for", owed.object)
                    });
                }
                _ if owed.came.is_some() => {
                    eyes.exact(Check::ToldDue, false, || {
                        format!("{} is not told what came of effect {id}", owed.object)
                    });
                }
                _ => {}
            }
        }
        for timer in self.effects.ended.values() {
            eyes.exact(if *timer { Check::TimerDue } else { Check::ToldDue }, true, String::new);
        }
    }

    fn shares_due(&self, world: &Healthy, eyes: &mut Eyes<'_>) {
        for ((peer, key), debt) in &self.shares.debts {
            if !debt.open() {
                eyes.exact(Check::ShareDue, true, String::new);
                continue;
            }
            let head = self.objects.heads.get(key);
            let allows = head.map_or(Tri::No, |head| self.debt_allows(*peer, head));
            let signed = head.is_some_and(|head| {
                head.home().is_none_or(|home| home == self.me || head.header.signed_by(&home))
            });
            if !signed || allows != Tri::Yes || !world.reach(&self.me, peer) || world.short.contains(peer) {
                eyes.not_made(Check::ShareDue);
                continue;
            }
            eyes.check(Check::ShareDue, How::Exact, false, || {
                format!("{key} is owed to {}, and has not arrived", peer.short())
            });
        }
    }

    /// What peers asked and nobody answered, where an answer is certain.
    fn answers_to_peers_due(&self, eyes: &mut Eyes<'_>) {
        let shares = self.shares.unanswered();
        eyes.exact(Check::SharedDue, shares == 0, || format!("{shares} shares are not answered"));
        for ((_, _, sequence), _) in self.home.again.iter().filter(|(_, (same, _))| *same) {
            eyes.exact(Check::AnsweredAgain, false, || {
                format!("sequence {sequence} is recorded, was asked for again, and is not answered")
            });
        }
        for ((lane, sequence), copies) in &self.home.copies {
            let refused = |copy: &crate::home::Copy| !copy.passes && !copy.codes.is_empty();
            let alone = !self.home.lane_waits(lane);
            let on = |copy: &crate::home::Copy| copy.conns.iter().any(|conn| self.conns.contains_key(conn));
            for copy in copies.iter().filter(|copy| refused(copy) && on(copy)) {
                if !alone {
                    eyes.not_made(Check::RefusalDue);
                    continue;
                }
                eyes.exact(Check::RefusalDue, copy.told, || {
                    format!("sequence {sequence} of {} is refused, and it is not told", lane.origin.short())
                });
            }
        }
    }

    fn clients_due(&self, eyes: &mut Eyes<'_>) {
        for (_, ask) in self.clients.unanswered() {
            let waits = match ask {
                Ask::Act(act) => self.origin.items.get(&act.id).is_none_or(|item| item.settled.is_none()),
                Ask::Cancel(_) | Ask::Receipt(_) | Ask::Join(_) | Ask::Share { .. } => true,
                Ask::Move { .. } | Ask::WouldMove { .. } => true,
                _ => false,
            };
            if waits {
                eyes.not_made(Check::ClientDue);
            } else {
                eyes.exact(Check::ClientDue, false, || format!("nobody answers {ask:?}"));
            }
        }
    }
}

const fn due_check(kind: &Kind) -> Check {
    match kind {
        Kind::Call => Check::ToldDue,
        Kind::Timer { .. } => Check::TimerDue,
        Kind::Activity { .. } => Check::WorkDue,
    }
}
