//! What the terminal sees: data on stdout, talk on stderr, colours only where someone looks.

mod hint;
mod paint;
mod progress;
mod table;
mod text;
mod units;
mod wrap;

use std::io::{self, BufWriter, ErrorKind, Stdout, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use once::api::contract::PeerInfo;
use serde::Serialize;
use serde_json::Value;

pub use hint::{called, pasted, word};
pub use paint::Paint;
pub use progress::Bar;
pub use table::Table;
pub use text::{capped, cell, document, key, shown, shown_path};
pub use units::{
    bytes, count, duration_us, kernel, number, parse_bytes, parse_ms, parse_since, parse_validity_ms, short,
    since, utc,
};

use crate::failure::{Done, Failure};
use wrap::{columns, wrapped};

/// Whether each line that is said or printed begins with the time: in a log.
static IN_A_LOG: AtomicBool = AtomicBool::new(false);

/// From now on this process writes to a log.
pub fn begin_log() {
    IN_A_LOG.store(true, Ordering::Relaxed);
}

/// How what is said looks in a log, and on stderr while a kernel runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line: timestamp, level, fields.
    Json,
}

/// Whether what is said is JSON.
static JSON_LOG: AtomicBool = AtomicBool::new(false);

/// From now on this process says things in that form.
pub fn log_as(format: LogFormat) {
    JSON_LOG.store(format == LogFormat::Json, Ordering::Relaxed);
}

/// What is said, in the form of the logging library: a reader of the log needs to know only one.
fn json_line(text: &str, at: SystemTime) -> String {
    let now = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    let time = utc(u64::try_from(now.as_millis()).unwrap_or(u64::MAX));
    let timestamp =
        format!("{}.{:03}Z", time.trim_end_matches(" UTC").replacen(' ', "T", 1), now.subsec_millis());
    let level = match text {
        text if text.starts_with("error:") => "ERROR",
        text if text.starts_with("warning:") => "WARN",
        _ => "INFO",
    };
    let message = Value::from(text);
    format!(
        r#"{{"timestamp":"{timestamp}","level":"{level}","fields":{{"message":{message}}},"target":"once"}}"#
    )
}

fn is_in_a_log() -> bool {
    IN_A_LOG.load(Ordering::Relaxed)
}

fn timed(text: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let time = utc(u64::try_from(now.as_millis()).unwrap_or(u64::MAX));
    text.lines().map(|line| format!("{time} {line}")).collect::<Vec<_>>().join("\n")
}

/// Says something to the person at the terminal, with commands that can be pasted, in lines that fit it. A closed stderr is no
/// reason to fail.
pub fn say(text: &str) {
    let text = pasted(text);
    if JSON_LOG.load(Ordering::Relaxed) {
        let _ = writeln!(io::stderr().lock(), "{}", json_line(&text, SystemTime::now()));
        return;
    }
    let _ = match is_in_a_log() {
        true => writeln!(io::stderr().lock(), "{}", timed(&text)),
        false => {
            let stderr = io::stderr();
            let text = wrapped(&text, columns(&stderr));
            writeln!(stderr.lock(), "{text}")
        }
    };
}

/// Prints sentences: on a terminal in lines that fit it.
pub fn prose(text: &str) -> Done<()> {
    if is_in_a_log() { print(text) } else { print(&wrapped(text, columns(&io::stdout()))) }
}

/// Prints a line of data.
pub fn print(line: &str) -> Done<()> {
    if is_in_a_log() {
        // A log without room is no reason to fail, either.
        say(line);
        return Ok(());
    }
    let mut printer = Printer::new();
    printer.line(line)?;
    printer.end()
}

/// Prints one JSON object on a line. Its members are sorted by name, whatever made it.
pub fn print_json(value: &impl Serialize) -> Done<()> {
    print(&json(value)?)
}

/// As JSON on one line.
pub fn json(value: &impl Serialize) -> Done<String> {
    let value = serde_json::to_value(value);
    let value = value.map_err(|error| Failure::fault(format!("this cannot be written as JSON: {error}")))?;
    Ok(value.to_string())
}

/// What to call a peer: the petname, else what it calls itself, else the beginning of its id.
pub fn peer_name(peer: &PeerInfo) -> String {
    match (peer.petname.as_deref(), peer.name.as_str()) {
        (Some(name), _) if !name.is_empty() => shown(name),
        (_, "") => short(&peer.kernel),
        (_, name) => shown(name),
    }
}

/// Buffered lines of data, for more than a few.
pub struct Printer(BufWriter<Stdout>);

impl Printer {
    /// Nothing is printed before the buffer is full or [`Self::end`].
    pub fn new() -> Self {
        Self(BufWriter::new(io::stdout()))
    }

    /// Prints one line.
    pub fn line(&mut self, line: &str) -> Done<()> {
        self.text(line)?;
        self.text("\n")
    }

    /// As it is, without a line break.
    pub fn text(&mut self, text: &str) -> Done<()> {
        self.0.write_all(text.as_bytes()).map_err(|error| written(&error))
    }

    /// What there is reaches the reader; more may come.
    pub fn flush(&mut self) -> Done<()> {
        self.0.flush().map_err(|error| written(&error))
    }

    /// Everything reaches the reader.
    pub fn end(mut self) -> Done<()> {
        self.0.flush().map_err(|error| written(&error))
    }
}

fn written(error: &io::Error) -> Failure {
    match error.kind() {
        ErrorKind::BrokenPipe => Failure::reader_gone(),
        _ => Failure::failed(format!("cannot write to stdout: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_said_in_json_has_the_form_of_the_logging_library() {
        let at = UNIX_EPOCH + Duration::from_millis(1_770_000_000_007);
        let line = |text| serde_json::from_str::<Value>(&json_line(text, at)).unwrap();
        let said = line("error: \"no\"\u{1b}");
        assert_eq!(said["timestamp"], "2026-02-02T02:40:00.007Z");
        assert_eq!(
            (&said["level"], &said["fields"]["message"]),
            (&Value::from("ERROR"), &Value::from("error: \"no\"\u{1b}"))
        );
        assert_eq!(line("ready")["level"], "INFO");
    }
}
