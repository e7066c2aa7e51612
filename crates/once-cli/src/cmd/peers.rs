//! `once peers`

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::context::{Context, list, number, peer_name, text, truth, with};
use crate::failure::{Done, Exit};
use crate::ui;

/// List the kernels that this one knows; add, remove, rename them
///
/// On a narrow terminal columns go, in this order: ADDRESSES, STORED HERE, RTT, KERNEL, OWED. In a pipe and with --json all
/// is there.
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
        /// Which peer
        peer: String,
    },
    /// Give a kernel another petname
    Rename {
        /// Which peer
        peer: String,
        /// The new petname
        name: String,
    },
    /// Set how much a kernel may store here by sharing
    Quota {
        /// Which peer
        peer: String,
        /// Like 256MiB or 1GiB
        size: String,
    },
    /// Say where a kernel can be reached now
    Address {
        /// Which peer
        peer: String,
        /// host:port; several are tried side by side
        #[arg(required = true)]
        addresses: Vec<String>,
    },
    /// Connect now, and say how far away it is
    Dial {
        /// Which peer
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
                let addresses = Some(at).filter(|all| !all.is_empty()).map(Value::from);
                let params = json!({ "kernel": kernel });
                let params = with(params, [("addresses", addresses), ("name", name.map(Into::into))]);
                say(context, "peers.add", params, "added").await?;
            }
            Command::Remove { peer } => {
                say(context, "peers.remove", json!({ "peer": peer }), "removed").await?
            }
            Command::Rename { peer, name } => {
                say(context, "peers.set", json!({ "peer": peer, "name": name }), "renamed").await?;
            }
            Command::Quota { peer, size } => {
                let params = json!({ "peer": peer, "quota_bytes": ui::parse_bytes(&size)? });
                say(context, "peers.set", params, "quota set for").await?;
            }
            Command::Address { peer, addresses } => {
                let params = json!({ "peer": peer, "addresses": addresses });
                say(context, "peers.set", params, "addresses set for").await?;
            }
            Command::Dial { peer, timeout } => {
                let params = json!({ "peer": peer, "timeout_ms": timeout });
                let answer = context.call_running("peers.dial", params).await?;
                context.answer(&answer, |answer| {
                    let rtt = ui::duration_us(number(answer, "rtt_us"));
                    ui::print(&format!("connected to {} ({rtt} there and back)", ui::shown(&peer)))
                })?;
            }
        }
        Ok(Exit::DONE)
    }
}

async fn say(context: &Context, method: &str, params: Value, done: &str) -> Done<()> {
    let answer = context.call(method, params).await?;
    context.answer(&answer, |answer| ui::print(&format!("{done} {}", text(answer, "kernel"))))
}

async fn print(context: &Context) -> Done<()> {
    let answer = context.call("peers", json!({})).await?;
    context.answer(&answer, |answer| {
        let peers = list(answer, "peers");
        if peers.is_empty() {
            ui::say(
                "no peers yet: `once invite` makes a ticket for another kernel, `once join TICKET` uses one",
            );
            return Ok(());
        }
        let mut table =
            ui::Table::new(["PEER", "KERNEL", "STATE", "RTT", "OWED", "STORED HERE", "CAME BY", "ADDRESSES"]);
        for peer in peers {
            let addresses = list(peer, "addresses").iter().filter_map(Value::as_str).map(ui::shown);
            let stored = ui::bytes(number(peer, "stored_bytes"));
            table.row([
                peer_name(peer),
                ui::short(text(peer, "kernel")),
                state(peer),
                peer.get("rtt_us").and_then(Value::as_u64).map_or("-".to_owned(), ui::duration_us),
                ui::number(number(peer, "owed")),
                format!("{stored} of {}", ui::bytes(number(peer, "quota_bytes"))),
                match text(peer, "invite") {
                    "" => "-".to_owned(),
                    invite => format!("invite {invite}"),
                },
                addresses.collect::<Vec<_>>().join(" "),
            ]);
        }
        table.right(4).leave(&[6, 5, 3, 1, 4]).print()
    })
}

fn state(peer: &Value) -> String {
    match (text(peer, "status"), truth(peer, "connected"), text(peer, "last_error")) {
        ("visitor", true, _) => "visitor, connected".to_owned(),
        ("visitor", ..) => "visitor".to_owned(),
        ("host", true, _) => "visited, connected".to_owned(),
        (_, true, _) => "connected".to_owned(),
        ("joining", ..) => "joining".to_owned(),
        ("host", _, "") => "visited, not connected".to_owned(),
        (_, _, "") => "not connected".to_owned(),
        (_, _, error) => format!("not connected: {}", ui::capped(error, 60)),
    }
}
