//! What the engine's thread asks of the network: dialling, pulling, running, timers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use once_core::waist::{Apart, ConnId, Event, Input, Run, Timer, Work};
use once_model::ids::KernelId;

use super::chatter::say_of;
use super::{Net, Seen, lock, pulls};
use crate::shell::{self, Mail, Network, Shared};

/// The network as the engine's thread sees it.
pub(crate) struct Handle(pub Arc<Net>);

impl Network for Handle {
    fn dial(&self, peer: KernelId, addresses: Vec<String>) {
        lock(&self.0.seen).entry(peer).or_default().dials += 1;
        self.0.runtime.spawn(Arc::clone(&self.0).dial_now(peer, addresses));
    }

    fn pull(&self, peer: KernelId, conn: ConnId, what: Apart) {
        let net = Arc::clone(&self.0);
        self.0.runtime.spawn(async move {
            if let Some(session) = net.session_by_conn(conn) {
                pulls::pull_for_engine(&net, &session, peer, what).await;
            }
        });
    }

    fn run(&self, run: Run) {
        let shared = Arc::clone(&self.0.shared);
        crate::beside::start(&self.0.runtime, move || shell::run_whole(&shared, &run));
    }

    fn work(&self, work: Work) {
        let shared = Arc::clone(&self.0.shared);
        self.0.runtime.spawn(async move { shell::work_outside(&shared, work).await });
    }

    fn timer(&self, after: Duration, timer: Timer) {
        self.0.wheel.set(after, timer);
    }

    fn forget_timers(&self) {
        self.0.wheel.forget();
    }

    fn event(&self, event: &Event) {
        match event {
            Event::Connected { peer, conn, clock_ahead_ms } => {
                let now = Seen {
                    conn: Some(*conn),
                    since: Some(Instant::now()),
                    dials: 0,
                    clock_ahead_ms: Some(*clock_ahead_ms),
                    last_error: None,
                };
                say_of!(self.0, peer, info, conn, "connected");
                if let Some(session) = self.0.session_by_conn(*conn) {
                    session.admitted.send_replace(true);
                }
                lock(&self.0.seen).insert(*peer, now);
            }
            Event::Disconnected { peer, reason } => {
                say_of!(self.0, peer, info, reason, "not connected");
                let mut seen = lock(&self.0.seen);
                let seen = seen.entry(*peer).or_default();
                seen.conn = None;
                seen.last_error = Some(reason.clone());
            }
            Event::Quarantined { by } => {
                let by = self.0.shared.called(by);
                tracing::error!(
                    "the data of this kernel was put back from a backup, as {by} proves: it is in quarantine"
                );
            }
            _ => return,
        }
        self.0.changed.notify_waiters();
    }
}

/// No network: for commands that need none.
pub(crate) struct Offline(pub Arc<Shared>);

impl Network for Offline {
    fn run(&self, run: Run) {
        let shared = Arc::clone(&self.0);
        crate::beside::on_own_thread(move || shell::run_whole(&shared, &run));
    }

    // Work outside waits for a kernel that is up.
    fn work(&self, _: Work) {}
    fn dial(&self, _: KernelId, _: Vec<String>) {}
    fn pull(&self, _: KernelId, _: ConnId, _: Apart) {}
    fn timer(&self, after: Duration, timer: Timer) {
        // What is to be done later needs a network; what is to be done in the next step does not.
        if after.is_zero() {
            let shared = Arc::clone(&self.0);
            crate::beside::on_own_thread(move || {
                let _ = shared.mail.blocking_send(Mail::Input(Input::Timer(timer)));
            });
        }
    }
    fn forget_timers(&self) {}
    fn event(&self, _: &Event) {}
}
