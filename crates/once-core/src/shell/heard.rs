//! What a session does with a frame that it has read: some it passes on, some it checks or answers beside the engine.

use bytes::Bytes;
use once_model::certificate::{Chain, Earlier};
use once_model::ids::{Hash, KernelId, ObjectKey};
use once_model::limits::{CHAIN_EARLIER_MAX_BYTES, INLINE_MAX_BYTES};
use once_model::receipt::EntriesOf;
use once_model::sign::KernelKey;
use once_model::wire::{Absent, Code, Frame, Parcel, Pull, Request};

use crate::object::{self, verify};
use crate::store::{Read, StoreError};
use crate::waist::{Apart, Arrival, ConnId, Input, Why};
use crate::{access, exchange};

/// What is to be done with a frame.
#[derive(Debug)]
pub enum Heard {
    /// The engine is told.
    Tell(Input),
    /// A share that is whole, for [`verify`](crate::object::verify): [`checked`] says what the engine is told of it. That may take long.
    Check(Parcel),
    /// It is answered from a snapshot of the store, once the connection is admitted.
    Answer(Asked),
    /// It answers what a client here has asked for, by the number of that call.
    Answers(u64, Frame),
    /// Nothing is left to be done.
    Nothing,
}

/// What to do with a frame of a peer.
#[must_use]
pub fn hear(peer: KernelId, conn: ConnId, frame: Frame) -> Heard {
    match frame {
        // What must be inside is not, or what must travel apart is inside.
        Frame::Share(parcel) if has_too_much(&parcel) || has_too_little(&parcel) => {
            Heard::Tell(Input::Unfit { peer, conn, share: share_of(&parcel), code: Code::Invalid })
        }
        Frame::Share(parcel) if !is_apart(&parcel) => Heard::Check(parcel),
        Frame::Request(request) => Heard::Answer(Asked::Object(request)),
        Frame::EntriesOf(of) => Heard::Answer(Asked::Entries(of)),
        Frame::Found(ref found) => Heard::Answers(found.call, frame),
        Frame::Absent(ref absent) => Heard::Answers(absent.call, frame),
        // The transport has acknowledged it: that is all that it is for.
        Frame::Alive => Heard::Nothing,
        frame => Heard::Tell(Input::Frame { peer, conn, frame }),
    }
}

/// What the engine is told of a share after [`verify`](crate::object::verify) has looked at it: that it has arrived, or why it does not fit.
#[must_use]
pub fn checked(peer: KernelId, conn: ConnId, share: Share, checked: Result<Arrival, Code>) -> Input {
    match checked {
        Ok(arrival) => Input::Arrived { peer, arrival, why: Why::Shared { conn } },
        Err(code) => Input::Unfit { peer, conn, share, code },
    }
}

/// What the engine is told of bytes that were pulled whole. To look whether they are what they should be may take long.
#[must_use]
pub fn pulled(peer: KernelId, conn: ConnId, what: Apart, bytes: Bytes) -> Input {
    match what {
        Apart::Scenario { header, chain } => {
            let parcel = Parcel { header, chain, body: Some(bytes), commit: None };
            let share = share_of(&parcel);
            checked(peer, conn, share, verify(&peer, parcel))
        }
        Apart::Luggage { handoff, .. } => {
            let luggage = handoff.unpack(&bytes);
            Input::Luggage { peer, conn, handoff: Box::new(handoff), luggage }
        }
    }
}

/// What is to be pulled of a long chain that came without its beginning, and how many bytes that is, before anything looks at what
/// it came with. What is known of it here is put in front of it. What cannot be made whole stays as it is, and proves nothing.
#[must_use]
pub fn lacks(rows: &dyn Read, peer: &KernelId, chain: &mut Chain) -> Option<(Pull, u64)> {
    let (content, key) = (chain.lacks()?, chain.key());
    let known = key.lineage().and_then(|lineage| object::chain(rows, &lineage).ok().flatten());
    if let Some(whole) = known.and_then(|known| chain.completed(&known.links)) {
        *chain = whole;
        return None;
    }
    let may = access::is_admitted(rows, peer).unwrap_or(false);
    let bytes = chain.earlier_bytes.filter(|bytes| may && *bytes <= CHAIN_EARLIER_MAX_BYTES)?;
    Some((Pull { key, content, offset: 0 }, bytes))
}

/// Puts in front of a chain what was pulled, if it fits.
pub fn complete(chain: &mut Chain, earlier: &[u8]) {
    let earlier = Earlier::decode(earlier).ok();
    if let Some(whole) = earlier.and_then(|earlier| chain.completed(&earlier.links)) {
        *chain = whole;
    }
}

/// What names a share: the object, its revision, its content.
pub type Share = (ObjectKey, Hash, Hash);

/// The name of a share.
#[must_use]
pub fn share_of(parcel: &Parcel) -> Share {
    (parcel.header.key(), parcel.header.id(), parcel.header.content)
}

/// What a peer asks for on the control stream.
#[derive(Debug)]
pub enum Asked {
    /// A scenario that was asked for.
    Object(Request),
    /// The entries of a history.
    Entries(EntriesOf),
}

impl Asked {
    /// Whether the answer costs so little that it need not be made on a thread of its own.
    #[must_use]
    pub fn is_quick(&self, rows: &dyn Read) -> bool {
        match self {
            Self::Object(request) => exchange::is_quick(rows, request).unwrap_or(false),
            Self::Entries(_) => false,
        }
    }

    /// The answer, as of a snapshot that was taken after it was asked.
    ///
    /// # Errors
    /// When the store cannot be read: then [`Self::unread`] is the answer.
    pub fn answer(
        &self,
        rows: &dyn Read,
        key: &KernelKey,
        peer: &KernelId,
        now_ms: u64,
    ) -> Result<Frame, StoreError> {
        match self {
            Self::Object(request) => exchange::answer(rows, key, peer, request, now_ms),
            Self::Entries(of) => exchange::entries(rows, peer, of, now_ms),
        }
    }

    /// What is said when the store cannot be read. Whoever asks for entries is not answered, and asks again.
    #[must_use]
    pub fn unread(&self) -> Option<Frame> {
        match self {
            Self::Object(Request { call, .. }) => {
                Some(Frame::Absent(Absent { call: *call, code: Code::Busy }))
            }
            Self::Entries(_) => None,
        }
    }
}

/// Whether a scenario of so many bytes travels apart from its frame.
#[must_use]
pub const fn is_large(bytes: u64) -> bool {
    bytes > INLINE_MAX_BYTES as u64
}

/// Whether a parcel's bytes are to be pulled.
#[must_use]
pub const fn is_apart(parcel: &Parcel) -> bool {
    parcel.body.is_none() && !parcel.header.tombstone
}

/// Whether a parcel has bytes inside that must travel apart.
#[must_use]
pub fn has_too_much(parcel: &Parcel) -> bool {
    parcel.body.as_ref().is_some_and(|body| is_large(body.len() as u64))
}

/// Whether bytes that must be inside are not.
fn has_too_little(parcel: &Parcel) -> bool {
    is_apart(parcel) && !is_large(parcel.header.size)
}

#[cfg(test)]
mod tests {
    use once_model::limits::INLINE_MAX_BYTES;
    use once_model::wire::Found;

    use super::*;
    use crate::object;
    use crate::testing::Alone;

    fn parcel(size: usize) -> Parcel {
        let mut kernel = Alone::new();
        let key = kernel.object(1, "Paper");
        let head = object::head(&kernel.store, &key).unwrap().unwrap();
        let mut parcel = exchange::parcel(&kernel.store, &kernel.ctx.key, &head).unwrap().unwrap();
        parcel.header.size = size as u64;
        parcel.body = Some(Bytes::from(vec![b' '; size]));
        parcel
    }

    fn heard(frame: Frame) -> Heard {
        hear(KernelId::from_bytes([9; 32]), 1, frame)
    }

    /// Or an action that waits for it here waits until its time is over.
    #[test]
    fn the_engine_hears_of_a_share_whose_bytes_are_where_they_must_not_be() {
        let is_unfit = |parcel: &Parcel| match heard(Frame::Share(parcel.clone())) {
            Heard::Tell(Input::Unfit { share, code, .. }) => {
                share == share_of(parcel) && code == Code::Invalid
            }
            _ => false,
        };
        let (small, large) = (parcel(INLINE_MAX_BYTES), parcel(INLINE_MAX_BYTES + 1));
        let without = |parcel: &Parcel| Parcel { body: None, ..parcel.clone() };
        assert!(is_unfit(&large) && is_unfit(&without(&small)));
        assert!(matches!(heard(Frame::Share(small)), Heard::Check(_)));
        // It is announced, and will be pulled.
        assert!(matches!(heard(Frame::Share(without(&large))), Heard::Tell(Input::Frame { .. })));
    }

    #[test]
    fn what_a_snapshot_answers_and_what_clients_wait_for_is_not_for_the_engine() {
        let parcel = parcel(1);
        let key = parcel.header.key();
        let request = Request { call: 7, uuid: key.uuid, line: None };
        let of = EntriesOf { key, newest: Hash::from_bytes([1; 32]), revision: 1 };
        let asked = heard(Frame::Request(request));
        assert!(matches!(asked, Heard::Answer(Asked::Object(Request { call: 7, .. }))), "{asked:?}");
        let asked = heard(Frame::EntriesOf(of));
        assert!(matches!(asked, Heard::Answer(Asked::Entries(EntriesOf { revision: 1, .. }))), "{asked:?}");
        let told = heard(Frame::Found(Found { call: 8, parcel }));
        assert!(matches!(told, Heard::Answers(8, Frame::Found(_))), "{told:?}");
        let told = heard(Frame::Absent(Absent { call: 9, code: Code::Denied }));
        assert!(matches!(told, Heard::Answers(9, Frame::Absent(_))), "{told:?}");
        assert!(matches!(heard(Frame::Alive), Heard::Nothing));
        let told = heard(Frame::Unfollow(key));
        let is_it = |input: &Input| matches!(input, Input::Frame { conn: 1, frame: Frame::Unfollow(_), .. });
        assert!(matches!(&told, Heard::Tell(input) if is_it(input)), "{told:?}");
    }

    /// Who asks for a scenario is told to ask again; who asks for entries does so anyway.
    #[test]
    fn what_is_said_when_the_store_cannot_be_read() {
        let key = parcel(1).header.key();
        let request = Asked::Object(Request { call: 7, uuid: key.uuid, line: None });
        let of = Asked::Entries(EntriesOf { key, newest: Hash::from_bytes([1; 32]), revision: 1 });
        assert_eq!(request.unread(), Some(Frame::Absent(Absent { call: 7, code: Code::Busy })));
        assert_eq!(of.unread(), None);
        assert!(!of.is_quick(&Alone::new().store));
    }
}
