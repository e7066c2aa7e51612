//! `once peers`

use clap::{Args, Subcommand};
use once::api::contract::{
    self, Method, PeerInfo, PeerResult, PeerStatus, PeersAdd, PeersDial, PeersRemove, PeersSet,
};

use crate::context::Context;
use crate::failure::{Done, Exit};
use crate::ui;

/// List the kernels known here; add, remove or rename one
///
/// Where a terminal is too narrow, CAME BY and STORED HERE go, then ADDRESSES and STATE stand below each row. In a pipe and with
/// --json all is there.
#[derive(Debug, Args)]
pub struct Peers {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List them (the default)
    List,
    /// Add a kernel by its id, without a ticket: both sides must add each other
    Add {
        /// Its kernel id
        kernel: String,
        /// Where it can be reached, host:port; may be repeated
        #[arg(long, value_name = "ADDRESS")]
        at: Vec<String>,
        /// The petname it gets here
        #[arg(long, value_name = "PETNAME")]
        name: Option<String>,
    },
    /// Forget a kernel at once: its connection ends, its grants go
    Remove {
        /// The peer to forget
        peer: String,
    },
    /// Give a kernel another petname
    Rename {
        /// The peer to rename
        peer: String,
        /// The new petname
        name: String,
    },
    /// Set how much a kernel may store here by sharing
    Quota {
        /// The peer whose quota is set
        peer: String,
        /// Like 256MiB or 1GiB
        size: String,
    },
    /// Say where a kernel can be reached now
    Address {
        /// The peer that has moved
        peer: String,
        /// host:port; several are tried side by side
        #[arg(required = true)]
        addresses: Vec<String>,
    },
    /// Connect now, and say how far away it is
    Dial {
        /// The peer to connect to
        peer: String,
        /// How long to try, like 10s or 1m
        #[arg(long, value_name = "TIME", default_value = "10s", value_parser = ui::parse_ms)]
        timeout: u64,
    },
}

impl Peers {
    /// Only `dial` needs the kernel to run.
    pub async fn run(self, context: &Context) -> Done {
        match self.command.unwrap_or(Command::List) {
            Command::List => print(context).await?,
            Command::Add { kernel, at, name } => {
                say(context, PeersAdd { kernel, addresses: at, name }, "added").await?;
            }
            Command::Remove { peer } => say(context, PeersRemove { peer }, "removed").await?,
            Command::Rename { peer, name } => {
                let params = PeersSet { peer, name: Some(name), ..PeersSet::default() };
                say(context, params, "renamed").await?;
            }
            Command::Quota { peer, size } => {
                let quota_bytes = Some(ui::parse_bytes(&size)?);
                let params = PeersSet { peer, quota_bytes, ..PeersSet::default() };
                say(context, params, "quota set for").await?;
            }
            Command::Address { peer, addresses } => {
                say(context, PeersSet { peer, addresses, ..PeersSet::default() }, "addresses set for")
                    .await?;
            }
            Command::Dial { peer, timeout } => {
                let params = PeersDial { peer: peer.clone(), timeout_ms: Some(timeout) };
                let answer = context.ask_running(params).await?;
                context.answer(&answer, |answer| {
                    let rtt = ui::duration_us(answer.rtt_us.unwrap_or_default());
                    ui::print(&format!("connected to {} ({rtt} there and back)", ui::shown(&peer)))
                })?;
            }
        }
        Ok(Exit::DONE)
    }
}

async fn say<M: Method<Result = PeerResult>>(context: &Context, params: M, done: &str) -> Done<()> {
    let answer = context.ask(params).await?;
    context.answer(&answer, |answer| ui::print(&format!("{done} {}", answer.kernel)))
}

async fn print(context: &Context) -> Done<()> {
    let answer = context.ask(contract::Peers {}).await?;
    context.answer(&answer, |answer| {
        let peers = &answer.peers;
        if peers.is_empty() {
            ui::say(
                "no peers yet: `once invite` makes a ticket for another kernel, `once join TICKET` uses one",
            );
            return Ok(());
        }
        let mut table =
            ui::Table::new(["PEER", "KERNEL", "STATE", "RTT", "OWED", "STORED HERE", "CAME BY", "ADDRESSES"]);
        for peer in peers {
            let addresses: Vec<_> = peer.addresses.iter().map(|address| ui::cell(address, 80)).collect();
            let stored = ui::bytes(peer.stored_bytes);
            table.row([
                ui::peer_name(peer),
                ui::kernel(&peer.kernel),
                state(peer),
                peer.rtt_us.map_or("-".to_owned(), ui::duration_us),
                ui::number(peer.owed),
                format!("{stored} of {}", ui::bytes(peer.quota_bytes)),
                peer.invite.as_ref().map_or_else(|| "-".to_owned(), |invite| format!("invite {invite}")),
                addresses.join(" "),
            ]);
        }
        table.right(4).leave(&[6, 5]).under(&[7, 2]).print()
    })
}

fn state(peer: &PeerInfo) -> String {
    match (peer.status, peer.connected, &peer.last_error) {
        (PeerStatus::Visitor, true, _) => "visitor, connected".to_owned(),
        (PeerStatus::Visitor, ..) => "visitor".to_owned(),
        (PeerStatus::Host, true, _) => "visited, connected".to_owned(),
        (_, true, _) => "connected".to_owned(),
        (PeerStatus::Joining, ..) => "joining".to_owned(),
        (PeerStatus::Host, _, None) => "visited, not connected".to_owned(),
        (_, _, None) => "not connected".to_owned(),
        (_, _, Some(error)) => format!("not connected: {}", ui::cell(error, 400)),
    }
}
