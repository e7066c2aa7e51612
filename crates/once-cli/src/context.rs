//! What every command is given: the data directory, how to answer, and the way to a kernel.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use directories::ProjectDirs;
use once::ErrorKind;
use once::api::contract::Method;
use once::api::{ApiError, Client};
use serde::Serialize;

use crate::failure::{Done, Failure};
use crate::ui;

/// How long a command waits for a kernel that is just starting or stopping: it has the lock, but no socket.
const BETWEEN_MAX: Duration = Duration::from_secs(5);
const BETWEEN_STEP: Duration = Duration::from_millis(50);

/// What holds for the whole command.
#[derive(Debug, Clone)]
pub struct Context {
    /// The data directory, absolute.
    pub data: PathBuf,
    /// The same as it was named on the command line, if it was. One that comes from the environment is not here: it is
    /// still there for the next command.
    pub named: Option<PathBuf>,
    /// Whether somebody chose it, by option or environment.
    pub chosen: bool,
    /// Answer with JSON.
    pub json: bool,
    /// How a kernel that is started writes its log.
    pub log_format: ui::LogFormat,
}

impl Context {
    /// The directory that was chosen, or the one that XDG names.
    pub fn new(data: Option<PathBuf>, json: bool, log_format: ui::LogFormat) -> Done<Self> {
        let from_outside = std::env::var_os("ONCE_DATA");
        let named = data.clone().filter(|data| from_outside.is_none_or(|set| set != **data));
        let chosen = data.is_some();
        let data = match data {
            Some(data) => data,
            None => {
                ProjectDirs::from("", "", "once").map(|dirs| dirs.data_dir().to_owned()).ok_or_else(|| {
                    Failure::usage("no home directory to keep the kernel in")
                        .hint("name its directory with --data DIR")
                })?
            }
        };
        let data = std::path::absolute(&data).map_err(|error| Failure::io(&data, &error))?;
        Ok(Self { data, named, chosen, json, log_format })
    }

    /// The kernel that runs on the data directory: also if somebody has moved its files away meanwhile.
    pub async fn running(&self) -> Done<Client> {
        if let Some(client) = Client::connect(&self.data).await? {
            return Ok(client);
        }
        self.initialised()?;
        match once::check_free(&self.data) {
            Ok(()) => Err(not_running(&self.data)),
            Err(error) => Err(not_answering(&self.data, error)),
        }
    }

    /// The kernel that runs, or the data directory opened here: for what needs no network.
    pub async fn kernel(&self) -> Done<Client> {
        let begun = Instant::now();
        loop {
            if let Some(client) = Client::connect(&self.data).await? {
                return Ok(client);
            }
            self.initialised()?;
            match Client::embedded(&self.data).await {
                Ok(client) => return Ok(client),
                Err(error) if error.kind() == ErrorKind::InUse && begun.elapsed() < BETWEEN_MAX => {
                    tokio::time::sleep(BETWEEN_STEP).await;
                }
                Err(error) if error.kind() == ErrorKind::InUse => {
                    return Err(not_answering(&self.data, error));
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// One call that needs no network.
    pub async fn ask<M: Method>(&self, params: M) -> Done<M::Result> {
        self.ask_of(self.kernel().await?, params).await
    }

    /// One call that needs the network, so a kernel that runs.
    pub async fn ask_running<M: Method>(&self, params: M) -> Done<M::Result> {
        self.ask_of(self.running().await?, params).await
    }

    /// One call, and the end of an embedded kernel.
    pub async fn ask_of<M: Method>(&self, client: Client, params: M) -> Done<M::Result> {
        let answer = client.ask(params).await;
        ended(client, answer).await
    }

    /// Prints the answer as it is where JSON was asked for, else what `text` makes of it.
    pub fn answer<T: Serialize>(&self, answer: &T, text: impl FnOnce(&T) -> Done<()>) -> Done<()> {
        if self.json { ui::print_json(answer) } else { text(answer) }
    }

    /// Whether a kernel lives there at all.
    pub fn initialised(&self) -> Done<()> {
        if once::is_initialised(&self.data) {
            return Ok(());
        }
        if let Some(lost) = once::lost_key(&self.data) {
            return Err(lost.into());
        }
        let message = format!("no kernel in {}", ui::shown_path(&self.data));
        Err(Failure::of(ErrorKind::NotFound, message)
            .hint("make one with `once init`, or name the directory of another one with --data DIR"))
    }
}

/// What came of a call, when an embedded kernel has ended. Its own failure comes first.
pub async fn ended<T>(client: Client, answer: Result<T, ApiError>) -> Done<T> {
    let closed = client.close().await;
    let answer = answer?;
    closed?;
    Ok(answer)
}

/// Nothing listens on the socket of that directory.
pub fn not_running(data: &Path) -> Failure {
    let message = format!("the kernel in {} is not running", ui::shown_path(data));
    Failure::of(ErrorKind::Unreachable, message).hint("start it with `once up`")
}

/// A process holds the data directory, and nobody answers on its socket: it begins, it ends, or its socket was removed.
fn not_answering(data: &Path, in_use: ApiError) -> Failure {
    if in_use.kind() != ErrorKind::InUse {
        return in_use.into();
    }
    let message = format!("{in_use}, and does not answer on its socket, api.sock");
    let hint = format!(
        "it may just begin or end: try again; if api.sock in {} was removed, end that process (SIGTERM stops it cleanly), \
        then `once up`",
        ui::shown_path(data)
    );
    Failure { message, ..Failure::from(in_use) }.hint(hint)
}
