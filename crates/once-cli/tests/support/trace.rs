//! What `strace` saw of a kernel.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;

/// Whether it is there and may trace.
pub fn works() -> bool {
    let works = Command::new("strace")
        .args(["-o", "/dev/null", "true"])
        .status()
        .is_ok_and(|status| status.success());
    if !works {
        super::skip("strace is not there, or may not trace");
    }
    works
}

/// One moment of a system call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Moment {
    /// A thread wrote to the store's journal.
    Written,
    /// A sync of the journal returned.
    Synced,
    /// A datagram, or several of one size, began to leave.
    Sent {
        /// Bytes together.
        bytes: usize,
    },
}

/// The moments in order. What is written counts from its beginning, a sync from its end, what is sent from its
/// beginning: every doubt is against the kernel.
pub fn moments(log: &Path) -> Vec<Moment> {
    let trace = std::fs::read_to_string(log).unwrap();
    let mut under_way: HashMap<&str, &str> = HashMap::new();
    let mut moments = Vec::new();
    for line in trace.lines() {
        let Some((thread, call)) = line.split_once(' ') else { continue };
        let call = call.trim_start();
        if let Some(resumed) = call.strip_prefix("<... ") {
            let began = under_way.remove(thread).unwrap_or_default();
            if is_sync(began) && resumed.contains("= 0") {
                moments.push(Moment::Synced);
            }
            continue;
        }
        if call.ends_with("<unfinished ...>") {
            under_way.insert(thread, call);
        }
        if is_sync(call) {
            if call.contains("= 0") {
                moments.push(Moment::Synced);
            }
        } else if call.contains("write") && call.contains(".jnl>") {
            moments.push(Moment::Written);
        } else if call.starts_with("sendmsg(") || call.starts_with("sendmmsg(") {
            moments.push(Moment::Sent { bytes: sizes(call) });
        }
    }
    moments
}

fn is_sync(call: &str) -> bool {
    (call.starts_with("fdatasync(") || call.starts_with("fsync(")) && call.contains(".jnl>")
}

/// The lengths of everything that one call sends.
fn sizes(call: &str) -> usize {
    let lengths = call.split("iov_len=").skip(1);
    lengths.filter_map(|rest| rest.split(|c: char| !c.is_ascii_digit()).next()?.parse::<usize>().ok()).sum()
}
