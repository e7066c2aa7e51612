//! Takes mails apart, and effects to where they belong.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use once_core::act;
use once_core::waist::{ConnId, Effect, Event, Input, Token, Why};
use once_model::ids::Uuid;
use tokio::sync::oneshot;

use super::hands::Network;
use super::lack::Lack;
use super::mail::{Mail, ReplyTo, Unanswered};
use super::outside::now_ms;
use super::shared::{self, Shared};
use crate::Error;
use crate::net::{Out, Outgoing};

/// Replies below which nobody looks for clients that gave up: they take less than a MiB.
const REPLIES_CROWDED: usize = 1024;

/// What of a group that failed is on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    /// Nothing: the store refused it before it wrote anything.
    Nothing,
    /// All or nothing: the write failed, and opening the store again will show it.
    Perhaps,
}

/// A client that waits for its answer.
struct Waiting {
    to: ReplyTo,
    /// The action that it asked for, if that is what it did.
    acts: Option<Uuid>,
}

/// Takes mails apart and effects to where they belong.
pub(super) struct Post<'n> {
    shared: Arc<Shared>,
    network: &'n dyn Network,
    next_token: Token,
    /// The first token of the group that is under way.
    first_of_group: Token,
    replies: HashMap<Token, Waiting>,
    /// Who waits for the next commit.
    told: Vec<oneshot::Sender<()>>,
    /// With so many replies it is looked at whether anybody still waits for them.
    crowded: usize,
    /// Whoever wants the kernel to stop.
    pub stop: Option<oneshot::Sender<Result<(), Error>>>,
    conns: HashMap<ConnId, Outgoing>,
}

impl<'n> Post<'n> {
    pub fn new(shared: Arc<Shared>, network: &'n dyn Network) -> Self {
        Self {
            shared,
            network,
            next_token: 0,
            first_of_group: 0,
            replies: HashMap::new(),
            told: Vec::new(),
            crowded: REPLIES_CROWDED,
            stop: None,
            conns: HashMap::new(),
        }
    }

    /// What is opened from here on is one group.
    pub fn begin_group(&mut self) {
        self.first_of_group = self.next_token + 1;
    }

    /// The group is on the disk.
    pub fn committed(&mut self) {
        for told in self.told.drain(..) {
            // Whoever waited may have gone.
            let _ = told.send(());
        }
    }

    /// The group that is under way comes to nothing: whoever waits is told what is known, and every connection ends.
    pub fn give_up(&mut self, written: Written, lack: Lack) {
        let (refusal, snapshot) = (lack.refusal(&self.shared.data), self.shared.snapshot());
        crate::net::lock(&self.shared.told_early).failed();
        self.told.clear();
        for (token, Waiting { to, acts }) in self.replies.drain() {
            // An action may be here from an earlier call with its id.
            let is_here = |id| act::request(&snapshot, &id).map_or(true, |row| row.is_some());
            let may_go_on =
                written == Written::Perhaps || token < self.first_of_group || acts.is_some_and(is_here);
            let why = if may_go_on { Unanswered::CutOff(lack) } else { Unanswered::Refused(refusal.clone()) };
            let _ = to.send(Err(why));
        }
        self.begin_group();
        for conn in self.conns.values() {
            conn.say(Out::Close(lack.code()));
        }
    }

    /// The kernel stops: nobody who waits is answered any more.
    pub fn cut_off(&mut self) {
        self.replies.clear();
        self.told.clear();
    }

    fn token(&mut self, to: ReplyTo, acts: Option<Uuid>) -> Token {
        if self.replies.len() >= self.crowded {
            // A client that gave up is not heard of. At twice the number of those who wait, looking costs each
            // command next to nothing.
            self.replies.retain(|_, waiting| !waiting.to.is_closed());
            self.crowded = REPLIES_CROWDED.max(2 * self.replies.len());
        }
        self.next_token += 1;
        self.replies.insert(self.next_token, Waiting { to, acts });
        self.next_token
    }

    pub fn open(&mut self, mail: Mail) -> Option<Input> {
        match mail {
            Mail::Input(input) => Some(input),
            Mail::Said(input, place) => {
                // Free as soon as the mail is taken out: while this group is written, the next may come.
                drop(place);
                Some(input)
            }
            Mail::Told(input, told) => {
                self.told.push(told);
                Some(input)
            }
            Mail::Command(command, reply) => {
                let acts = shared::acts(&command);
                Some(Input::Command { token: self.token(reply, acts), command })
            }
            Mail::Arrived { peer, arrival, offered, reply } => {
                let token = self.token(reply, None);
                let why = if offered { Why::Offered { token } } else { Why::Asked { token } };
                Some(Input::Arrived { peer, arrival, why })
            }
            Mail::Conn { conn, out } => {
                self.conns.insert(conn, out);
                None
            }
            Mail::Gone { conn } => {
                self.conns.remove(&conn);
                None
            }
            Mail::Stop(done) => {
                self.stop = Some(done);
                None
            }
        }
    }

    pub fn release(&mut self, effect: Effect) {
        match effect {
            Effect::Reply { token, reply } => {
                if let Some(Waiting { to, .. }) = self.replies.remove(&token) {
                    // Nobody waits any more: the command was carried out all the same.
                    let _ = to.send(reply.map_err(Unanswered::Refused));
                }
            }
            Effect::Told { id, outcome, after } => {
                crate::net::lock(&self.shared.told_early).add(id, outcome, after);
            }
            Effect::Send { conn, frame, .. } => self.say(conn, Out::Frame(frame)),
            Effect::Close { conn, code, .. } => self.say(conn, Out::Close(code)),
            Effect::Dial { peer, addresses } => self.network.dial(peer, addresses),
            Effect::Pull { peer, conn, header, chain } => self.network.pull(peer, conn, *header, chain),
            Effect::Run(run) => {
                if let Some(run) = self.shared.components.served.begin(*run) {
                    self.network.run(run);
                }
            }
            Effect::Work(work) => {
                if let Some(work) = self.shared.components.hand_out(*work) {
                    self.network.work(work);
                }
            }
            Effect::Timer { after_ms, timer } => self.network.timer(Duration::from_millis(after_ms), timer),
            Effect::Event(event) => {
                self.network.event(&event);
                if matches!(event, Event::Parked { .. } | Event::LaneForked { .. } | Event::Acted { .. }) {
                    crate::net::lock(&self.shared.troubles).note(&event, now_ms());
                }
                let _ = self.shared.events.send(event);
            }
        }
    }

    fn say(&self, conn: ConnId, out: Out) {
        if let Some(to) = self.conns.get(&conn) {
            to.say(out);
        }
    }
}

#[cfg(test)]
mod tests {
    use once_core::Refusal;
    use once_core::waist::Command;
    use once_model::ids::{Hash, KernelId, Line, ObjectKey};

    use super::super::tests::fresh;
    use super::*;
    use crate::net::Offline;

    #[test]
    fn clients_that_gave_up_are_forgotten_and_those_that_wait_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let (shared, _thread) = fresh(dir.path());
        let offline = Offline(Arc::clone(&shared));
        let mut post = Post::new(shared, &offline);
        let (reply, mut waits) = oneshot::channel();
        let token = post.token(reply, None);
        for _ in 0..10 * REPLIES_CROWDED {
            let (reply, gave_up) = oneshot::channel();
            drop(gave_up);
            post.token(reply, None);
            assert!(post.replies.len() <= REPLIES_CROWDED);
        }
        post.release(Effect::Reply { token, reply: Err(Refusal::Myself) });
        assert_eq!(waits.try_recv().unwrap(), Err(Unanswered::Refused(Refusal::Myself)));
    }

    fn act(id: Uuid) -> Mail {
        let key = ObjectKey { uuid: Uuid::from_u128(7), line: Line::Unclaimed(Hash::from_bytes([0; 32])) };
        let action = once_model::action::Action {
            id,
            name: "add".into(),
            arguments: bytes::Bytes::from_static(b"{}"),
            given: Vec::new(),
            acting: None,
            answers: None,
        };
        let (reply, _) = oneshot::channel();
        Mail::Command(Command::Act { key, at: None, action, deadline_ms: None, wait: true }, reply)
    }

    /// What somebody is told whose mail is opened, in an earlier group or in the one that fails.
    fn told(is_earlier: bool, written: Written, mail: impl FnOnce(ReplyTo) -> Mail) -> Unanswered {
        let dir = tempfile::tempdir().unwrap();
        let (shared, _thread) = fresh(dir.path());
        let offline = Offline(Arc::clone(&shared));
        let mut post = Post::new(shared, &offline);
        let (reply, mut waits) = oneshot::channel();
        post.begin_group();
        post.open(mail(reply));
        if is_earlier {
            post.committed();
            post.begin_group();
        }
        post.give_up(written, Lack::Room);
        waits.try_recv().unwrap().unwrap_err()
    }

    #[test]
    fn only_what_was_surely_not_written_is_said_to_be_refused() {
        let acts = |reply| match act(crate::new_action_id()) {
            Mail::Command(command, _) => Mail::Command(command, reply),
            other => other,
        };
        let peer = KernelId::from_bytes([1; 32]);
        let dials = |reply| Mail::Command(Command::Dial { peer }, reply);
        assert!(matches!(told(false, Written::Nothing, acts), Unanswered::Refused(Refusal::DiskFull { .. })));
        assert!(matches!(
            told(false, Written::Nothing, dials),
            Unanswered::Refused(Refusal::DiskFull { .. })
        ));
        // Accepted before: it is durable, and goes on.
        assert_eq!(told(true, Written::Nothing, acts), Unanswered::CutOff(Lack::Room));
        assert_eq!(told(true, Written::Nothing, dials), Unanswered::CutOff(Lack::Room));
        // A write that failed may be there all the same.
        assert_eq!(told(false, Written::Perhaps, acts), Unanswered::CutOff(Lack::Room));
        assert_eq!(told(false, Written::Perhaps, dials), Unanswered::CutOff(Lack::Room));
    }
}
