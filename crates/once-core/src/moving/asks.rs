//! Clients that only ask whether a kernel would take an object.

use once_model::ids::{KernelId, ObjectKey};
use once_model::moving::Welcome;

use crate::engine::Step;
use crate::refusal::{Refusal, Unmoved};
use crate::waist::{Answer, Effect};

/// The receiver has said so to those who only ask.
pub(super) fn told_who_asks(s: &mut Step<'_, '_>, peer: KernelId, said: &Welcome) {
    let place = (peer, said.key);
    if s.engine.moving.asks.get(&place).is_none_or(|asks| asks.certificate != Some(said.certificate)) {
        return;
    }
    let reply = match said.code {
        None => Ok(Answer::Welcome),
        Some(code) => Err(Refusal::Unmoved { key: said.key, why: Box::new(Unmoved::Unwelcome(code)) }),
    };
    answer_asks(s, &place, &reply);
}

fn answer_asks(s: &mut Step<'_, '_>, place: &(KernelId, ObjectKey), reply: &Result<Answer, Refusal>) {
    for token in s.engine.moving.asks.remove(place).unwrap_or_default().tokens {
        s.out.push(Effect::Reply { token, reply: reply.clone() });
    }
}

/// The connection to a peer is no more: who asks what it would take asks again.
pub(crate) fn link_down(s: &mut Step<'_, '_>, peer: KernelId) {
    let asks = s.engine.moving.asks.keys().filter(|(to, _)| *to == peer);
    let places: Vec<_> = asks.copied().collect();
    for place in places {
        answer_asks(s, &place, &Err(Refusal::NotConnected(peer)));
    }
}
