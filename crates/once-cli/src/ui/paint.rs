//! Colours: only on a terminal, never with `NO_COLOR`.

use std::io::IsTerminal;

/// Paints text, or leaves it alone.
#[derive(Debug, Clone, Copy)]
pub struct Paint(bool);

impl Paint {
    /// For text on stdout.
    pub fn stdout() -> Self {
        Self(std::io::stdout().is_terminal() && wanted())
    }

    /// For text on stderr.
    pub fn stderr() -> Self {
        Self(std::io::stderr().is_terminal() && wanted())
    }

    /// Errors and failures.
    pub fn red(self, text: &str) -> String {
        self.code("31;1", text)
    }

    /// What went well.
    pub fn green(self, text: &str) -> String {
        self.code("32", text)
    }

    /// Hints and warnings.
    pub fn yellow(self, text: &str) -> String {
        self.code("33", text)
    }

    /// What matters most in a line.
    pub fn bold(self, text: &str) -> String {
        self.code("1", text)
    }

    /// What matters least.
    pub fn dim(self, text: &str) -> String {
        self.code("2", text)
    }

    fn code(self, code: &str, text: &str) -> String {
        if self.0 { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// <https://no-color.org>: any value that is not empty.
fn wanted() -> bool {
    let no = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
    !no && !dumb
}
