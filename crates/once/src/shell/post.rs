//! Takes mails apart, and effects to where they belong.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use once_core::events::Cursor;
use once_core::shell::{Clients, Fate, Written};
use once_core::waist::{Command, ConnId, Effect, Event, Input, Token, Why};
use tokio::sync::oneshot;

use super::hands::Network;
use super::lack::Lack;
use super::mail::{Mail, ReplyTo, Unanswered};
use super::outside::now_ms;
use super::shared::Shared;
use crate::Error;
use crate::net::{Out, Outgoing};

/// Takes mails apart and effects to where they belong.
pub(super) struct Post<'n> {
    shared: Arc<Shared>,
    network: &'n dyn Network,
    clients: Clients<ReplyTo>,
    /// Who waits for the next commit.
    told: Vec<oneshot::Sender<()>>,
    /// Whoever wants the kernel to stop.
    pub stop: Option<oneshot::Sender<Result<(), Error>>>,
    conns: HashMap<ConnId, Outgoing>,
}

impl<'n> Post<'n> {
    pub fn new(shared: Arc<Shared>, network: &'n dyn Network) -> Self {
        Self {
            shared,
            network,
            clients: Clients::default(),
            told: Vec::new(),
            stop: None,
            conns: HashMap::new(),
        }
    }

    /// What is opened from here on is one group.
    pub fn begin_group(&mut self) {
        self.clients.begin_group();
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
        for (to, fate) in self.clients.give_up(written, &snapshot) {
            let _ = to.send(Err(match fate {
                Fate::Unknown => Unanswered::CutOff(lack),
                Fate::Refused => Unanswered::Refused(refusal.clone()),
            }));
        }
        for conn in self.conns.values() {
            conn.say(Out::Close(lack.code()));
        }
    }

    /// The kernel stops: nobody who waits is answered any more.
    pub fn cut_off(&mut self) {
        self.clients.forget();
        self.told.clear();
    }

    fn token(&mut self, to: ReplyTo, command: Option<&Command>) -> Token {
        self.clients.ask(to, command, ReplyTo::is_closed)
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
                Some(Input::Command { token: self.token(reply, Some(&command)), command })
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
            Mail::Ping(alive) => {
                let _ = alive.send(());
                None
            }
            Mail::Stop(done) => {
                self.stop = Some(done);
                None
            }
        }
    }

    /// All that a group has to tell was told: whoever watches may know of it.
    pub fn told(&self, newest: Cursor) {
        self.shared.happened.send_if_modified(|at| std::mem::replace(at, newest) != newest);
    }

    /// An engine begins: the timers of one before it are nothing to it.
    pub fn forget_timers(&self) {
        self.network.forget_timers();
    }

    pub fn release(&mut self, effect: Effect) {
        match effect {
            Effect::Reply { token, reply } => {
                if let Some(to) = self.clients.answered(token) {
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
            Effect::Pull { peer, conn, what } => self.network.pull(peer, conn, *what),
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
    use once_model::ids::KernelId;

    use super::super::tests::fresh;
    use super::*;
    use crate::net::Offline;

    #[test]
    fn whoever_waits_when_a_group_comes_to_nothing_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let (shared, _thread) = fresh(dir.path());
        let offline = Offline(Arc::clone(&shared));
        let mut post = Post::new(shared, &offline);
        let ask = |post: &mut Post<'_>| {
            let (reply, waits) = oneshot::channel();
            post.begin_group();
            post.open(Mail::Command(Command::Dial { peer: KernelId::from_bytes([1; 32]) }, reply));
            waits
        };
        let (mut earlier, mut now) = (ask(&mut post), ask(&mut post));
        post.give_up(Written::Nothing, Lack::Room);
        assert_eq!(earlier.try_recv().unwrap(), Err(Unanswered::CutOff(Lack::Room)));
        let told = now.try_recv().unwrap().unwrap_err();
        assert!(matches!(told, Unanswered::Refused(Refusal::DiskFull { .. })), "{told:?}");
    }
}
