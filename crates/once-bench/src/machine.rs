//! The machine: without its disk's sync and its number of cores no figure here means anything.

use std::fmt;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::Res;
use crate::noise::Noise;
use crate::rounds::{Latency, latency};

/// As large as a small scenario.
const APPEND_LEN: usize = 1024;
/// A slow disk gets no more than this for one round's syncs.
const SYNC_TIME_MAX: Duration = Duration::from_secs(5);

/// What the figures were taken on.
pub struct Machine {
    pub cpus: usize,
    pub dir: PathBuf,
    pub file_system: String,
}

impl Machine {
    /// Looks around, the data being below `dir`.
    pub fn look(dir: &Path) -> Res<Self> {
        let cpus = std::thread::available_parallelism()?.get();
        Ok(Self { cpus, dir: dir.to_owned(), file_system: file_system(dir)? })
    }

    /// Why durable rows would mean nothing here.
    pub fn refuses_durable(&self) -> Option<String> {
        let fs = &self.file_system;
        let in_memory = matches!(fs.as_str(), "tmpfs" | "ramfs");
        let dir = self.dir.display();
        in_memory.then(|| format!("{dir} is on {fs}, where a sync costs nothing; name a disk with --dir"))
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cpus; {} at {}", self.cpus, self.file_system, self.dir.display())
    }
}

/// What a sync costs right now: appends and syncs, up to `count` times. A row of every round, since shared disks were
/// seen to change by a factor of twenty within a minute.
pub fn fdatasync(dir: &Path, count: usize) -> Res<Latency> {
    let mut file = OpenOptions::new().create_new(true).append(true).open(dir.join("appended"))?;
    let noise = Noise::new();
    let mut times = latency()?;
    let begin = Instant::now();
    for i in 0..count as u64 {
        file.write_all(noise.text(i, APPEND_LEN))?;
        let start = Instant::now();
        file.sync_data()?;
        times.saturating_record(start.elapsed().as_nanos() as u64);
        if begin.elapsed() > SYNC_TIME_MAX {
            break;
        }
    }
    Ok(times)
}

/// The kernel tells a number; these are its names (`linux/magic.h`).
#[cfg(target_os = "linux")]
fn file_system(dir: &Path) -> Res<String> {
    // The type differs in width and sign between architectures; the magic numbers have 32 bits.
    let magic = rustix::fs::statfs(dir)?.f_type as u32;
    let name = match magic {
        0x0000_ef53 => "ext4 (or ext2, ext3)",
        0x5846_5342 => "xfs",
        0x9123_683e => "btrfs",
        0x2fc1_2fc1 => "zfs",
        0xf2f5_2010 => "f2fs",
        0x794c_7630 => "overlayfs",
        0x0102_1994 => "tmpfs",
        0x8584_58f6 => "ramfs",
        0x0000_6969 => "nfs",
        0x0102_1997 => "9p",
        0x6573_5546 => "fuse",
        _ => return Ok(format!("unknown (0x{magic:x})")),
    };
    Ok(name.to_owned())
}

#[cfg(not(target_os = "linux"))]
fn file_system(_dir: &Path) -> Res<String> {
    Ok("unknown".to_owned())
}
