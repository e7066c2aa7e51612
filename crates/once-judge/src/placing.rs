//! What becomes of a scenario that arrives: sections 7 and 8, and the answer to a share.

use once_model::header::Header;
use once_model::ids::{Hash, KernelId, Line, ObjectKey};
use once_model::scenario::{Identity, Scenario};
use once_model::wire::{Code, Parcel, ShareAnswer, Shared};

use crate::ask::Ask;
use crate::check::{Check, How};
use crate::eyes::Eyes;
use crate::kernel::Kernel;
use crate::objects::{Head, began_as};
use crate::rights::Tri;
use crate::seen::Kept;

/// Section 8's verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Known,
    Newer,
    Later,
    Beside,
}

/// A share that came.
#[derive(Debug, Clone)]
pub(crate) struct Came {
    pub(crate) header: Header,
    /// Answers that are right.
    pub(crate) right: Vec<ShareAnswer>,
    /// It is denied for want of a right.
    denied: bool,
    /// A quota may stand against it.
    quota: bool,
    /// What else may be said, since its bytes are fetched.
    pub(crate) pulled: bool,
}

impl Kernel {
    /// Section 8's table.
    pub(crate) fn verdict(&self, header: &Header) -> Verdict {
        let key = header.key();
        let Some(head) = self.objects.heads.get(&key) else {
            let claimed = header.lineage.is_none() && self.objects.became.contains_key(&key);
            return if claimed { Verdict::Known } else { Verdict::Newer };
        };
        let here = &head.header;
        let id = header.id();
        match (header.epoch, header.revision).cmp(&(here.epoch, here.revision)) {
            std::cmp::Ordering::Equal if id == head.id => Verdict::Known,
            std::cmp::Ordering::Equal => Verdict::Beside,
            std::cmp::Ordering::Greater => {
                if header.epoch != here.epoch || Some(header.revision) != here.revision.checked_add(1) {
                    Verdict::Later
                } else if header.parent == Some(head.id) {
                    Verdict::Newer
                } else {
                    Verdict::Beside
                }
            }
            std::cmp::Ordering::Less => {
                let before = header.epoch == here.epoch && header.revision + 1 == here.revision;
                if before && here.parent != Some(id) { Verdict::Beside } else { Verdict::Known }
            }
        }
    }

    /// Section 7, in its order. The bytes are looked at if they are inside.
    pub(crate) fn parcel_code(sender: KernelId, parcel: &Parcel, eyes: &Eyes<'_>) -> Result<(), Code> {
        let header = &parcel.header;
        // How it travels comes before what it says (5.2).
        if parcel.body.as_ref().is_some_and(|body| body.len() as u64 > eyes.limits.inline_bytes) {
            return Err(Code::Invalid);
        }
        if header.size > eyes.limits.scenario_bytes {
            return Err(Code::TooLarge);
        }
        let names = header.component.len() <= 255 && header.version.len() <= 255;
        let good = names && body_fits(parcel, eyes.limits.inline_bytes) && claim_fits(sender, parcel);
        if good { Ok(()) } else { Err(Code::Invalid) }
    }

    /// Whether a peer may put this here: by the right to share, or because it is followed (347-350).
    fn may_bring(&self, peer: KernelId, parcel: &Parcel, eyes: &Eyes<'_>) -> (Tri, bool) {
        let key = parcel.header.key();
        let copy = parcel.chain.as_ref().map(began_as);
        let by_copy = copy.is_some_and(|copy| self.follows.follows(peer, &copy));
        let lineages = self
            .objects
            .of_uuid(key.uuid)
            .filter(|head| matches!(head.header.key().line, Line::Claimed(_)) && head.header.key() != key)
            .count();
        let followed = self.follows.follows(peer, &key) || by_copy && lineages < eyes.limits.lineages;
        let mut right = self.rights.may_share(peer, &self.clock);
        // What is to move here is brought by the right to host.
        if self.moves.yes.iter().any(|(of, _, from)| (*of, *from) == (key, peer)) {
            right = right.or(Tri::Open);
        }
        if self.peers.perhaps_share.contains(&peer) {
            right = right.or(Tri::Open);
        }
        if self.follows.perhaps.contains(&(peer, key)) {
            right = right.or(Tri::Open);
        }
        if !self.peers.is(&peer) {
            // Of what visitors and hosts send only revisions of what is followed there count.
            let may = followed && self.knows(&peer);
            return (Tri::of(may), may);
        }
        (right.or(Tri::of(followed)), followed)
    }

    /// A share came: the answer is known before it is given.
    pub(crate) fn share_came(&mut self, conn: u64, peer: KernelId, parcel: &Parcel, eyes: &mut Eyes<'_>) {
        let header = &parcel.header;
        let key = header.key();
        let (may, followed) = self.may_bring(peer, parcel, eyes);
        let small = parcel.body.is_some() || header.tombstone || header.size <= eyes.limits.inline_bytes;
        let mut right = Vec::new();
        let code = Self::parcel_code(peer, parcel, eyes);
        if let (Err(code), true) = (code, small) {
            right.push(ShareAnswer::Refused(code));
        } else {
            if may.can_not() {
                right.push(ShareAnswer::Refused(Code::Denied));
            }
            if may.can() {
                right.extend(self.placed_answers(header, eyes));
            }
        }
        let denied = right == [ShareAnswer::Refused(Code::Denied)];
        // What waits for it is looked at anew in the same step, before the answer leaves.
        let mut answers = right.clone();
        if !small || !followed && may.can() {
            answers.extend([ShareAnswer::Known, ShareAnswer::Refused(Code::Invalid)]);
        }
        self.home.shared.insert(peer, self.group);
        let sure = answers.len() == 1;
        answers.iter().for_each(|answer| self.given_came(peer, header, *answer, sure));
        let came =
            Came { header: header.clone(), right, denied, quota: !followed && may.can(), pulled: !small };
        // Each copy is answered by itself, but for those whose bytes are fetched: one answer is for all of them.
        let all = self.shares.came.entry((conn, key, header.id())).or_default();
        all.retain(|before| !(before.pulled && came.pulled));
        all.push(came);
    }

    fn placed_answers(&self, header: &Header, eyes: &Eyes<'_>) -> Vec<ShareAnswer> {
        let full = ShareAnswer::Refused(Code::DiskFull);
        if header.size > eyes.limits.scenario_bytes {
            return vec![ShareAnswer::Refused(Code::TooLarge)];
        }
        let placed = match self.verdict(header) {
            Verdict::Known => return vec![ShareAnswer::Known],
            _ if self.short => return vec![full],
            Verdict::Newer | Verdict::Later => ShareAnswer::Stored,
            Verdict::Beside => ShareAnswer::Conflict,
        };
        if self.was_short() { vec![placed, full] } else { vec![placed] }
    }

    /// A share is answered.
    pub(crate) fn shared_left(&mut self, conn: u64, peer: KernelId, shared: &Shared, eyes: &mut Eyes<'_>) {
        let Some(came) = self.shares.answered(conn, shared) else {
            return eyes.not_made(Check::SharedAnswer);
        };
        let kept = !matches!(shared.answer, ShareAnswer::Refused(_));
        let tolerated = match shared.answer {
            // What was followed when it came may be followed no more when its bytes are here.
            ShareAnswer::Refused(Code::Quota) => came.quota || came.pulled,
            ShareAnswer::Refused(Code::Stopping) => true,
            ShareAnswer::Refused(Code::Busy | Code::Invalid | Code::Denied) => came.pulled,
            // While its bytes were fetched others came.
            ShareAnswer::Stored | ShareAnswer::Known | ShareAnswer::Conflict => came.pulled && !came.denied,
            _ => came.pulled && self.was_short(),
        };
        let right = came.right.contains(&shared.answer) || tolerated;
        let check = if came.denied && kept { Check::ShareAllowed } else { Check::SharedAnswer };
        if check == Check::SharedAnswer && kept {
            eyes.exact(Check::ShareAllowed, true, String::new);
        }
        let how = How::exact_if(came.right.len() == 1 && !came.pulled && !tolerated);
        eyes.check(check, how, right, || {
            format!("{:?} is said of {}, right is {:?}", shared.answer, shared.key, came.right)
        });
        if kept {
            let disk = eyes.disk.map(|disk| disk.has(&came.header, shared.answer));
            eyes.exact(Check::SharedDurable, disk == Some(true), || {
                format!("{:?} is said of {} before it is on the disk", shared.answer, shared.key)
            });
        }
        // What is known by its header alone has not come with its bytes (5.5 Given).
        let by_header =
            came.pulled && shared.answer == ShareAnswer::Known && came.right.contains(&ShareAnswer::Known);
        self.given_came(peer, &came.header, shared.answer, !by_header);
        self.look_again();
    }

    /// Whether what an answer says of a revision is so here.
    fn has(&self, header: &Header, answer: ShareAnswer) -> bool {
        let Some(head) = self.objects.find(&header.key()) else { return false };
        let newer = (head.header.epoch, head.header.revision) >= (header.epoch, header.revision);
        match answer {
            // A conflict that is only counted needs no commit.
            ShareAnswer::Conflict => true,
            _ => newer || header.lineage.is_none(),
        }
    }

    /// A revision is kept that no entry here made.
    pub(crate) fn kept(&mut self, kept: &Kept, eyes: &mut Eyes<'_>) {
        let key = kept.header.key();
        if let Some(from) = kept.from {
            let parcel =
                Parcel { header: kept.header.clone(), chain: kept.chain.clone(), body: None, commit: None };
            eyes.exact(Check::Placed, claim_fits(from, &parcel), || {
                format!("{key} is kept, and its chain or its signature does not fit")
            });
        }
        let verdict = self.verdict(&kept.header);
        let head = self.objects.heads.get(&key);
        let over = head.is_some_and(|head| head.header.tombstone) && !kept.beside;
        let right = if kept.beside { verdict == Verdict::Beside } else { verdict != Verdict::Known };
        let check = if over { Check::RemovedStays } else { Check::Placed };
        // An import over an object that has gone on is kept beside for a reason of its own (local-api, kept-beside); and
        // an unclaimed copy that is imported here where a peer's was is the same bytes.
        let import = kept.from.is_none();
        eyes.check(check, How::exact_if(!import), right || import, || {
            format!(
                "{key} is kept {}, its place is {verdict:?}",
                if kept.beside { "beside" } else { "as the newest" }
            )
        });
        if kept.beside {
            let header = kept.header.clone();
            let id: Hash = header.id();
            if let Some(head) = self.objects.heads.get_mut(&key) {
                head.beside.insert(id, header);
            }
            return;
        }
        if let Some(from) = kept.from {
            self.home.shared.insert(from, self.group);
        }
        self.take_over(kept, &key);
        // Of two chains the one with more certificates is kept (8).
        let known = self
            .chain_of(&key)
            .filter(|known| kept.chain.as_ref().is_some_and(|chain| chain.links.len() < known.links.len()));
        let chain = known.cloned().or_else(|| kept.chain.clone());
        if let Some(chain) = &chain {
            self.chain_came(&key, chain);
            self.learn(&key, chain, false);
        }
        self.objects.put(Head::new(kept.header.clone(), chain, kept.from), self.group);
        if kept.header.tombstone {
            self.effects.object_gone(&key, self.group);
        }
        self.revision_made(&key, kept.from);
    }

    /// An unclaimed copy that came from a peer becomes the lineage that names it; one that was imported stays beside.
    fn take_over(&mut self, kept: &Kept, key: &ObjectKey) {
        let Some(copy) = kept.chain.as_ref().map(began_as) else { return };
        match self.objects.heads.get(&copy) {
            Some(head) if head.from.is_some() => self.rename(&copy, key),
            Some(_) => {}
            None => {
                self.objects.named.entry(copy).or_insert(*key);
            }
        }
    }

    /// A copy here is gone.
    pub(crate) fn dropped(&mut self, key: &ObjectKey) {
        // Whoever sends its revisions need not any more, under whichever name.
        for name in self.names_of(key) {
            let from: Vec<_> =
                self.follows.following.iter().filter(|(_, k)| *k == name).map(|(from, _)| *from).collect();
            from.into_iter().for_each(|from| self.follows.end(from, &name));
        }
        if let Some(head) = self.objects.heads.remove(key) {
            self.objects.replaced(&head, self.group);
            self.objects.gone.insert(*key);
        }
        let objects = &self.objects;
        self.clients.end(|ask| matches!(ask, Ask::Share { key: k, .. } if objects.name(k) == *key));
        self.objects.became.retain(|_, now| now != key);
        self.follows.dropped(key);
        self.shares.dropped(key, self.group);
        self.rights_changed = self.group;
    }
}

/// Rows 3 to 5.
fn body_fits(parcel: &Parcel, inline_bytes: u64) -> bool {
    let header = &parcel.header;
    let nothing = once_model::hash::content_hash(b"");
    if header.tombstone {
        return header.lineage.is_some()
            && parcel.body.is_none()
            && header.size == 0
            && header.content == nothing;
    }
    let Some(body) = &parcel.body else { return header.size > inline_bytes };
    if body.len() as u64 != header.size || header.size > inline_bytes {
        return false;
    }
    let Ok(scenario) = Scenario::parse(body.clone()) else { return false };
    let derived = matches!(scenario.identity(), Identity::Derived) && header.revision >= 2;
    scenario.hash() == header.content
        && scenario.component().unwrap_or("") == header.component
        && scenario.version().unwrap_or("") == header.version
        && (scenario.uuid() == header.uuid || derived)
}

/// Rows 6 to 11.
fn claim_fits(sender: KernelId, parcel: &Parcel) -> bool {
    let header = &parcel.header;
    let Some(lineage) = header.lineage else {
        return (header.epoch, header.revision) == (0, 0)
            && header.certificate.is_none()
            && header.parent.is_none()
            && header.cause.is_none()
            && header.signature.is_none()
            && parcel.chain.is_none();
    };
    let (Some(chain), Some(certificate)) = (&parcel.chain, header.certificate) else { return false };
    let first = header.revision != 1 || chain.genesis.content == header.content;
    chain.verify(lineage).is_ok()
        && certificate == chain.certificate()
        && header.uuid == chain.genesis.uuid
        && header.epoch == chain.epoch()
        && header.revision >= 1
        && header.parent.is_some() == (header.revision > 1)
        && first
        && (sender == chain.home() || header.signed_by(&chain.home()))
}
