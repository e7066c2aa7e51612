//! A progress bar on stderr: nothing where nobody looks.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use once::api::contract::Progress;

/// How often the bar is drawn, per second.
const FRAMES_HZ: u8 = 10;

/// How often a spinner turns.
const TICK: Duration = Duration::from_millis(100);

/// A progress bar, or none where stderr is no terminal. Gone when it is dropped.
pub struct Bar(ProgressBar);

impl Bar {
    /// `what` says what is done, like `importing`; `total` is 0 while it is unknown.
    pub fn new(what: &str, total: u64) -> Self {
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr_with_hz(FRAMES_HZ));
        bar.set_message(what.to_owned());
        let bar = Self(bar);
        bar.style(total);
        bar
    }

    /// Only says what goes on, for as long as it does.
    pub fn spinner(what: &str) -> Self {
        let bar = Self::new(what, 0);
        let style = ProgressStyle::with_template("{spinner} {msg}");
        bar.0.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        bar.0.enable_steady_tick(TICK);
        bar
    }

    /// A bar that shows nothing.
    pub fn none() -> Self {
        Self(ProgressBar::hidden())
    }

    /// Some more are done.
    pub fn more(&self, done: u64) {
        self.0.inc(done);
    }

    /// Shows a `progress` notification of the API.
    pub fn show(&self, progress: &Progress) {
        if let Some(phase) = &progress.phase {
            self.0.set_message(super::shown(phase));
        }
        let total = progress.total;
        if total != self.0.length().unwrap_or(0) {
            self.0.set_length(total);
            self.style(total);
        }
        self.0.set_position(progress.done);
    }

    /// Says something above the bar.
    pub fn say(&self, text: &str) {
        self.0.suspend(|| super::say(text));
    }

    /// Shows no more.
    pub fn clear(&self) {
        self.0.finish_and_clear();
    }

    fn style(&self, total: u64) {
        let template = match total {
            0 => "{spinner} {msg} {human_pos}",
            _ => "{msg} {bar:30} {human_pos}/{human_len}  {eta}",
        };
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        self.0.set_style(style.progress_chars("━╸─"));
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.clear();
    }
}
