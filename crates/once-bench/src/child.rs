//! The second process of a row: this executable once more, with a hidden subcommand.
//!
//! A child ends by itself when its standard input closes, so also when the bench is killed, and after a deadline.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use clap::Subcommand;
use iroh::{Endpoint, EndpointAddr};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::{Res, engine, yard};

/// No row of one round takes this long.
const LIFE_MAX: Duration = Duration::from_secs(15 * 60);
/// From the start of the process to its address.
const READY_MAX: Duration = Duration::from_secs(10);
/// From closing its standard input to its end.
const STOP_MAX: Duration = Duration::from_secs(5);

/// What a child can be.
#[derive(Subcommand)]
pub enum Part {
    /// Answers every request
    Echo,
    /// Answers every request once it is synced to this file
    Durable { log: PathBuf },
    /// Reads and discards streams
    Bulk,
    /// A kernel of the engine on this data directory
    Kernel { data: PathBuf },
}

/// Runs the child's side until the connection or the standard input closes.
pub async fn run(part: Part) -> Res<()> {
    if let Part::Kernel { data } = &part {
        // It ends like the others, but cleanly: its store is closed.
        return engine::kernels::serve(data).await;
    }
    std::thread::spawn(|| {
        let closed = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(i32::from(closed.is_err()));
    });
    std::thread::spawn(|| {
        std::thread::sleep(LIFE_MAX);
        eprintln!("error: a child outlived its deadline");
        std::process::exit(1);
    });
    let endpoint = yard::endpoint().await?;
    println!("{}", address_line(&endpoint)?);
    std::io::stdout().flush()?;
    let connection = yard::accept_one(&endpoint).await?;
    match part {
        Part::Echo => yard::echo::serve(connection).await,
        Part::Durable { log } => yard::durable::serve(connection, &log).await,
        Part::Bulk => yard::bulk::serve(connection).await,
        Part::Kernel { .. } => Ok(()),
    }
}

fn address_line(endpoint: &Endpoint) -> Res<String> {
    let socket = endpoint.bound_sockets().first().copied().ok_or("the endpoint has no socket")?;
    Ok(format!("{} {socket}", endpoint.id()))
}

/// A running child and where to dial it.
pub struct Other {
    process: Child,
    /// Key and loopback socket.
    pub addr: EndpointAddr,
}

impl Other {
    /// Starts this executable with `child ARGS…` and waits for its address.
    pub async fn start(args: &[&str]) -> Res<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .arg("child")
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stdout = process.stdout.take().ok_or("the child has no standard output")?;
        let mut line = String::new();
        timeout(READY_MAX, BufReader::new(stdout).read_line(&mut line)).await??;
        let (id, socket) = line.trim().split_once(' ').ok_or("the child gave no address")?;
        let addr = EndpointAddr::new(id.parse()?).with_ip_addr(socket.parse()?);
        Ok(Self { process, addr })
    }

    /// Closes its standard input and waits for its end; only a child that does not heed this is killed.
    pub async fn stop(mut self) -> Res<()> {
        drop(self.process.stdin.take());
        match timeout(STOP_MAX, self.process.wait()).await {
            Ok(ended) => match ended?.success() {
                true => Ok(()),
                false => Err("the child ended with an error".into()),
            },
            Err(_) => {
                self.process.kill().await?;
                Err("the child did not end by itself".into())
            }
        }
    }
}
