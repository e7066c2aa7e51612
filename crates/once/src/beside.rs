//! Work on threads beside the network's and the engine's.
//!
//! A system that gives no thread just now gives one later. The runtime's own calls panic then, which would end the engine,
//! or leave a caller without an answer: here the work waits.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::net::lock;

/// Between two tries to get a thread.
const PAUSE: Duration = Duration::from_millis(500);

/// The work panicked, or the runtime ends.
#[derive(Debug)]
pub(crate) struct NotDone;

/// Runs `work` on a thread for work that blocks, and waits for what it returns.
pub(crate) async fn wait_for<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, NotDone> {
    begin(work).await.map_err(|_| NotDone)
}

/// The same, and the work begins before anybody waits for it.
pub(crate) fn begin<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> oneshot::Receiver<T> {
    let (done, result) = oneshot::channel();
    // Nobody may wait any more.
    start(&Handle::current(), move || drop(done.send(work())));
    result
}

/// Runs `work` on a thread for work that blocks. Returns at once.
pub(crate) fn start(runtime: &Handle, work: impl FnOnce() + Send + 'static) {
    let on = runtime.clone();
    start_with(runtime, work, move |work| drop(on.spawn_blocking(work)));
}

/// The same, where `spawn` panics when there is no thread.
fn start_with<W: FnOnce() + Send + 'static>(
    runtime: &Handle,
    work: W,
    spawn: impl Fn(Box<dyn FnOnce() + Send>) + Send + 'static,
) {
    // What a try that panics does with its task is the runtime's business: whichever runs first has the work.
    let work = Arc::new(Mutex::new(Some(work)));
    let tried = move || {
        let work = Arc::clone(&work);
        let task = Box::new(move || {
            let work = lock(&work).take();
            if let Some(work) = work {
                work();
            }
        });
        catch_unwind(AssertUnwindSafe(|| spawn(task))).is_ok()
    };
    if tried() {
        return;
    }
    tracing::warn!("the system gives no further thread just now: what needs one waits");
    runtime.spawn(async move {
        loop {
            tokio::time::sleep(PAUSE).await;
            if tried() {
                return;
            }
        }
    });
}

/// Runs `work` on a thread of its own, where there is no runtime that would outlive it. Waits until the system gives one.
pub(crate) fn on_own_thread(work: impl FnOnce() + Send + 'static) {
    let work = Arc::new(Mutex::new(Some(work)));
    loop {
        let work = Arc::clone(&work);
        let task = move || {
            let work = lock(&work).take();
            if let Some(work) = work {
                work();
            }
        };
        match std::thread::Builder::new().spawn(task) {
            Ok(_) => return,
            Err(_) => std::thread::sleep(PAUSE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test(start_paused = true)]
    async fn work_waits_until_there_is_a_thread_and_is_done_once() {
        let (tries, kept) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::new())));
        let (done, runs) = oneshot::channel();
        let spawn = {
            let (tries, kept) = (Arc::clone(&tries), Arc::clone(&kept));
            move |task: Box<dyn FnOnce() + Send>| {
                lock(&kept).push(task);
                if tries.fetch_add(1, Ordering::Relaxed) < 3 {
                    panic!("no thread, and the task stays in the queue");
                }
                let tasks = std::mem::take(&mut *lock(&kept));
                tasks.into_iter().for_each(|task| task());
            }
        };
        start_with(&Handle::current(), move || done.send(()).unwrap(), spawn);
        assert_eq!(tries.load(Ordering::Relaxed), 1);
        runs.await.unwrap();
        assert_eq!(tries.load(Ordering::Relaxed), 4);
    }

    #[tokio::test]
    async fn work_that_panics_is_not_done() {
        assert_eq!(wait_for(|| 7).await.unwrap(), 7);
        assert!(wait_for(|| panic!("on purpose")).await.is_err());
    }
}
