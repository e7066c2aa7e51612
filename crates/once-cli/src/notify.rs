//! What a service manager (systemd) is told of a kernel that runs: that it is up, how it is, that it goes on, that it stops.
//!
//! Without `NOTIFY_SOCKET` in the environment nobody is told anything.

use std::sync::Once;
use std::time::Duration;

use once::Kernel;
use once::api::contract::PeerInfo;
use sd_notify::NotifyState;

use crate::ui;

/// What a manager puts into the environment of a process that it watches. A process in the background is another one.
pub const ENVIRONMENT: [&str; 3] = ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"];

/// How often a manager is told how the kernel is, if that has changed.
const STATUS_EVERY: Duration = Duration::from_secs(10);

/// A manager is told twice in the time in which it must be told once.
const BEATS: u32 = 2;

/// Whether somebody listens.
fn is_watched() -> bool {
    std::env::var_os(ENVIRONMENT[0]).is_some()
}

/// A manager that cannot be told is no reason to end a kernel; it will say itself what it misses. It is said once.
fn tell(state: &[NotifyState<'_>]) {
    static SAID: Once = Once::new();
    if let Err(error) = sd_notify::notify(state) {
        SAID.call_once(|| ui::say(&format!("warning: the service manager cannot be told: {error}")));
    }
}

/// The data directory is being opened.
pub fn starting() {
    tell(&[NotifyState::Status("opening the data directory")]);
}

/// Clients and peers are served from now on.
pub fn ready(kernel: &Kernel) {
    if is_watched() {
        tell(&[NotifyState::Ready, NotifyState::Status(&how(kernel))]);
    }
}

/// No more is served; the store is being closed.
pub fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("closing the store")]);
}

/// Says how the kernel is, and that its engine goes on, for as long as it does. Each beat has been through the engine's thread: if
/// that hangs there is none, and the manager starts the kernel again. Never returns.
pub async fn supervise(kernel: &Kernel) {
    if !is_watched() {
        return std::future::pending().await;
    }
    let beat = sd_notify::watchdog_enabled().map(|within| within / BEATS);
    let every = beat.map_or(STATUS_EVERY, |beat| beat.min(STATUS_EVERY));
    let mut said = String::new();
    loop {
        tokio::time::sleep(every).await;
        // Whoever waits for the kernel to end learns why; here there is nothing more to say.
        if kernel.responds().await.is_err() {
            return std::future::pending().await;
        }
        if beat.is_some() {
            tell(&[NotifyState::Watchdog]);
        }
        let how = how(kernel);
        if how != said {
            tell(&[NotifyState::Status(&how)]);
            said = how;
        }
    }
}

/// How it is, on one line.
fn how(kernel: &Kernel) -> String {
    let quarantined = kernel.quarantine().is_ok_and(|quarantine| quarantine.is_some());
    let peers = kernel.peers();
    said(quarantined, peers.as_deref().unwrap_or_default())
}

fn said(quarantined: bool, peers: &[PeerInfo]) -> String {
    if quarantined {
        return "in quarantine: nothing runs, and nothing leaves".to_owned();
    }
    let connected = peers.iter().filter(|peer| peer.connected).count() as u64;
    match peers.len() as u64 {
        0 => "running, no peers yet".to_owned(),
        all => format!("running, connected to {} of {}", ui::number(connected), ui::count(all, "peer")),
    }
}
