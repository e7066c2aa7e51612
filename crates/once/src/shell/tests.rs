use std::pin::pin;
use std::task::{Context, Wake, Waker};

use std::sync::{Arc, Mutex};
use std::time::Duration;

use once_core::waist::{Apart, Command, ConnId, Event, Run, Timer, Work};
use once_model::ids::KernelId;
use once_model::sign::KernelKey;

use super::thread::EngineThread;
use super::*;
use crate::component::Components;
use crate::datadir;
use crate::{Error, ErrorKind};

/// A network that is broken in the worst way.
struct Panics;

impl Network for Panics {
    fn dial(&self, _: KernelId, _: Vec<String>) {
        panic!("as a test");
    }
    fn pull(&self, _: KernelId, _: ConnId, _: Apart) {}
    fn run(&self, _: Run) {}
    fn work(&self, _: Work) {}
    fn timer(&self, _: Duration, _: Timer) {}
    fn forget_timers(&self) {}
    fn event(&self, _: &Event) {}
}

/// Whoever waits looks for the fault in the moment in which it is woken.
struct Waiter {
    shared: Arc<Shared>,
    saw: Mutex<Vec<Error>>,
}

impl Wake for Waiter {
    fn wake(self: Arc<Self>) {
        crate::net::lock(&self.saw).push(self.shared.gone());
    }
}

pub(super) fn fresh(dir: &std::path::Path) -> (Arc<Shared>, EngineThread) {
    let options = datadir::InitOptions { name: Some("alice".into()), ..Default::default() };
    datadir::init(dir, options).unwrap();
    let (key, store) = (datadir::read_key(dir).unwrap(), datadir::open_store(dir).unwrap());
    prepare(dir.into(), key, store, Components::default(), super::Kept::default()).unwrap()
}

#[test]
fn whoever_waits_when_the_engine_fails_is_told_that_it_failed() {
    let dir = tempfile::tempdir().unwrap();
    let (shared, thread) = fresh(dir.path());
    let waiter = Arc::new(Waiter { shared: Arc::clone(&shared), saw: Mutex::default() });
    let waker = Waker::from(Arc::clone(&waiter));
    let peer = KernelKey::from_bytes(&[7; 32]).id();
    let join = Command::Join {
        peer,
        secret: once_model::ids::Secret::from_bytes([1; 16]),
        addresses: vec!["127.0.0.1:9".into()],
        petname: None,
    };
    let (join, joined) = (shared.command(join), shared.mail.closed());
    let (mut join, mut closed) = (pin!(join), pin!(joined));
    let mut looks = Context::from_waker(&waker);
    assert!(join.as_mut().poll(&mut looks).is_pending());
    assert!(closed.as_mut().poll(&mut looks).is_pending());
    // Its dial panics, on this thread.
    thread.run(&Panics);
    let saw = std::mem::take(&mut *crate::net::lock(&waiter.saw));
    assert_eq!(saw.len(), 2, "the answer will not come, and the mailbox is closed: {saw:?}");
    assert!(saw.iter().all(|error| error.kind() == ErrorKind::Fault), "{saw:?}");
}

#[test]
fn the_engine_says_that_it_goes_on_and_a_thread_that_does_not_run_says_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (shared, thread) = fresh(dir.path());
    let ping = || {
        let (alive, answer) = tokio::sync::oneshot::channel();
        assert!(shared.mail.try_send(Mail::Ping(alive)).is_ok());
        answer
    };
    let mut before = ping();
    assert!(before.try_recv().is_err(), "nobody has opened the mail yet");
    let (done, _) = tokio::sync::oneshot::channel();
    assert!(shared.mail.try_send(Mail::Stop(done)).is_ok());
    thread.run(&crate::net::Offline(Arc::clone(&shared)));
    assert_eq!(before.try_recv(), Ok(()));
    assert!(shared.mail.is_closed(), "and afterwards nobody answers");
}
