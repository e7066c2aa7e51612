//! What a peer is answered that looks for objects.

use once_model::find::{Findings, Question};
use once_model::ids::KernelId;
use once_model::sign::KernelKey;
use once_model::wire::{Absent, Code, Frame};

use super::seal::{open, seal};
use super::{Ask, Budget, Index, page};
use crate::access::Reader;
use crate::store::{Read, StoreError};

/// Answers a peer's question with one page: what it may read, and of the rest what it holds the right to find.
///
/// # Errors
/// When the store cannot be read.
pub fn answer(
    rows: &dyn Read,
    index: Option<&Index>,
    (key, peer): (&KernelKey, &KernelId),
    question: &Question,
    (budget, now_ms): (Budget, u64),
) -> Result<Frame, StoreError> {
    let absent = |code| Ok(Frame::Absent(Absent { call: 0, code }));
    let Some(reader) = Reader::new(rows, peer, now_ms)? else { return absent(Code::Denied) };
    let after = question.after.as_ref().map(|sealed| open(key, sealed));
    let after = match (question.check(), after) {
        (Ok(()), None) => None,
        (Ok(()), Some(Some(after))) => Some(after),
        _ => return absent(Code::Invalid),
    };
    let page = page(rows, index, &Ask { reader: Some(&reader), question, after, budget })?;
    let next = page.next.map(|next| seal(key, &next));
    Ok(Frame::Findings(Findings { objects: page.objects, next }))
}
