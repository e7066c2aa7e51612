//! What the engine has done by others.

use std::time::Duration;

use once_core::waist::{Apart, ConnId, Event, Run, Timer, Work};
use once_model::ids::KernelId;

/// What the network does for the engine.
pub(crate) trait Network: Send + Sync + 'static {
    fn dial(&self, peer: KernelId, addresses: Vec<String>);
    fn pull(&self, peer: KernelId, conn: ConnId, what: Apart);
    /// Runs an action beside the engine.
    fn run(&self, run: Run);
    /// Has work done outside.
    fn work(&self, work: Work);
    fn timer(&self, after: Duration, timer: Timer);
    /// Another engine begins: those of the one before would only make it set more.
    fn forget_timers(&self);
    fn event(&self, event: &Event);
}
