//! Two or more machines on one wire: network namespaces joined by veth pairs to a bridge, with nft between.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// Whether namespaces, veth and nft work here; says what is missing otherwise.
pub fn works() -> bool {
    let wire = Wire::try_new(2);
    let loss = wire.and_then(|wire| {
        wire.rule(0, "numgen random mod 100 < 1 drop")?;
        wire.heal(0)
    });
    if let Err(why) = &loss {
        super::skip(&format!("network namespaces need root, ip and nft: {why}"));
    }
    loss.is_ok()
}

static NEXT: AtomicU32 = AtomicU32::new(0);

/// Machines that see each other. All of it is gone when this is.
pub struct Wire {
    names: Vec<String>,
}

impl Wire {
    pub fn new(machines: u8) -> Self {
        Self::try_new(machines).unwrap()
    }

    fn try_new(machines: u8) -> Result<Self, String> {
        let unique = format!("{}x{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let names = (0..machines).map(|n| format!("once{unique}n{n}"));
        let wire = Self { names: names.chain([format!("once{unique}sw")]).collect() };
        let switch = wire.names.len() - 1;
        for name in &wire.names {
            run(&["ip", "netns", "add", name])?;
        }
        wire.at(switch, &["ip", "link", "add", "hub0", "type", "bridge"])?;
        wire.at(switch, &["ip", "link", "set", "hub0", "up"])?;
        for n in 0..switch {
            let port = format!("p{n}");
            let (machine, hub) = (&wire.names[n], &wire.names[switch]);
            let peer = ["peer", "name", port.as_str(), "netns", hub];
            wire.at(n, &[&["ip", "link", "add", "eth0", "type", "veth"], &peer[..]].concat())?;
            wire.at(switch, &["ip", "link", "set", &port, "master", "hub0", "up"])?;
            run(&["ip", "-n", machine, "addr", "add", &format!("{}/24", Self::address(n)), "dev", "eth0"])?;
            run(&["ip", "-n", machine, "link", "set", "lo", "up"])?;
            run(&["ip", "-n", machine, "link", "set", "eth0", "up"])?;
            wire.at(n, &["nft", "add", "table", "ip", "once"])?;
            wire.at(n, &["nft", "add chain ip once in { type filter hook input priority 0; }"])?;
        }
        Ok(wire)
    }

    /// The address of a machine in the beginning.
    pub fn address(n: usize) -> String {
        format!("10.77.0.{}", n + 1)
    }

    /// What to put before a command that shall run on a machine.
    pub fn on(&self, n: usize) -> [&str; 4] {
        ["ip", "netns", "exec", &self.names[n]]
    }

    /// Runs a command on a machine.
    pub fn at(&self, n: usize, command: &[&str]) -> Result<(), String> {
        run(&[&self.on(n), command].concat())
    }

    /// What becomes of packets that arrive at a machine, like `drop`.
    pub fn rule(&self, n: usize, rule: &str) -> Result<(), String> {
        self.at(n, &["nft", &format!("add rule ip once in iifname eth0 {rule}")])
    }

    /// How many packets the rules with a `counter` at a machine have taken.
    pub fn taken(&self, n: usize) -> u64 {
        let list = ["nft", "list", "chain", "ip", "once", "in"];
        let output = Command::new("ip").args(&self.on(n)[1..]).args(list).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let counts = text.split("counter packets ").skip(1);
        counts.filter_map(|rest| rest.split(' ').next()?.parse::<u64>().ok()).sum()
    }

    /// Everything arrives again.
    pub fn heal(&self, n: usize) -> Result<(), String> {
        self.at(n, &["nft", "flush chain ip once in"])
    }

    pub fn link(&self, n: usize, state: &str) {
        run(&["ip", "-n", &self.names[n], "link", "set", "eth0", state]).unwrap();
    }

    /// A machine moves to another address.
    pub fn readdress(&self, n: usize, to: &str) {
        let name = &self.names[n];
        run(&["ip", "-n", name, "addr", "flush", "dev", "eth0"]).unwrap();
        run(&["ip", "-n", name, "addr", "add", &format!("{to}/24"), "dev", "eth0"]).unwrap();
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        for name in &self.names {
            // Those that were never added are not there to be deleted.
            let _ = run(&["ip", "netns", "del", name]);
        }
    }
}

fn run(words: &[&str]) -> Result<(), String> {
    let output =
        Command::new(words[0]).args(&words[1..]).output().map_err(|e| format!("{}: {e}", words[0]))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("{}: {}", words.join(" "), String::from_utf8_lossy(&output.stderr).trim())),
    }
}
