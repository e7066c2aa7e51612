//! What has come of large bodies that are not here whole: files in the data directory, by who sends them and by content
//! hash. A transfer that broke goes on from there, on another connection and after a restart.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use once_model::ids::{Hash, KernelId};
use once_model::limits::{DISK_RESERVE_BYTES, INCOMING_KEPT_MS, INCOMING_MAX_BYTES};
use tokio::sync::Notify;

use super::frames::NetError;
use super::lock;

/// The folder in the data directory.
const FOLDER: &str = "incoming";

/// How much gathers in memory before it is written, in bytes. A body that is smaller never touches the disk, unless its
/// transfer is slow or breaks.
const GATHER_BYTES: usize = 256 * 1024;

/// How long it gathers: what is lost when the process is killed.
const GATHER_FOR: Duration = Duration::from_secs(1);

/// Whose bytes, and of which content: what one peer sends never spoils what another one does.
type Place = (KernelId, Hash);

/// Every part of a body that is on the disk.
pub(crate) struct Incoming {
    folder: PathBuf,
    rests: Mutex<BTreeMap<Place, Rest>>,
    /// Told when a part is let go of.
    free: Notify,
}

/// What is there of one body.
struct Rest {
    bytes: u64,
    /// When something came last.
    last: SystemTime,
    /// A transfer is writing it.
    open: bool,
}

impl Incoming {
    /// Looks at what an earlier run has left.
    pub fn new(data: &Path) -> Arc<Self> {
        let folder = data.join(FOLDER);
        let rests = found(&folder).unwrap_or_else(|error| {
            if error.kind() != io::ErrorKind::NotFound {
                tracing::warn!(%error, folder = %folder.display(), "what has come of large bodies cannot be listed");
            }
            BTreeMap::new()
        });
        Arc::new(Self { folder, rests: Mutex::new(rests), free: Notify::new() })
    }

    /// The part of a body, for one transfer at a time: waits until no other one writes it. `of_peer_max`: how many bytes
    /// of all its parts this peer may have here.
    pub async fn open(self: &Arc<Self>, place: Place, size: u64, of_peer_max: u64) -> Part {
        loop {
            let free = self.free.notified();
            if self.claim(place) {
                break;
            }
            free.await;
        }
        let mut part = Part {
            incoming: Arc::clone(self),
            place,
            of_peer_max,
            file: None,
            on_disk: 0,
            tail: Vec::new(),
            gathering: Instant::now(),
            unwanted: false,
        };
        if let Ok(file) = OpenOptions::new().read(true).write(true).open(self.path(&place))
            && let Ok(meta) = file.metadata()
            && meta.len() <= size
        {
            (part.on_disk, part.file) = (meta.len(), Some(file));
        }
        part
    }

    fn claim(&self, place: Place) -> bool {
        let mut rests = lock(&self.rests);
        let rest = rests.entry(place).or_insert(Rest { bytes: 0, last: SystemTime::now(), open: false });
        !std::mem::replace(&mut rest.open, true)
    }

    fn path(&self, (peer, content): &Place) -> PathBuf {
        self.folder.join(peer.to_string()).join(content.to_string())
    }

    /// Makes a file for a part.
    fn create(&self, place: &Place) -> io::Result<File> {
        let path = self.path(place);
        if let Some(folder) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(path)
    }

    /// A file without a name, for bytes on their way out.
    pub fn scratch(&self) -> io::Result<File> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        let path = self.folder.join(format!("going-{}", crate::datadir::random_uuid()));
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
        fs::remove_file(path)?;
        Ok(file)
    }

    /// Whether so many bytes may be written without taking what the kernel needs for itself.
    pub fn has_disk_for(&self, bytes: u64) -> bool {
        let data = self.folder.parent().unwrap_or(&self.folder);
        once_store::free_bytes(data).is_ok_and(|free| free >= DISK_RESERVE_BYTES.saturating_add(bytes))
    }

    /// Makes room for more of a part: what nobody writes any more goes first, of the same peer if that has too much, else
    /// of whoever has most.
    fn grow(&self, place: &Place, more: u64, of_peer_max: u64) -> Result<(), NetError> {
        if !self.has_disk_for(more) {
            return Err(NetError::NoRoom);
        }
        let mut rests = lock(&self.rests);
        loop {
            let mut sums: BTreeMap<KernelId, u64> = BTreeMap::new();
            for ((peer, _), rest) in rests.iter() {
                *sums.entry(*peer).or_default() += rest.bytes;
            }
            let all: u64 = sums.values().sum();
            let of_peer = sums.get(&place.0).copied().unwrap_or(0);
            let idle = |peer: &KernelId| rests.iter().any(|((of, _), rest)| of == peer && !rest.open);
            let loser = if of_peer + more > of_peer_max {
                Some(place.0).filter(idle)
            } else if all + more > INCOMING_MAX_BYTES {
                sums.into_iter()
                    .filter(|(peer, _)| idle(peer))
                    .max_by_key(|(_, sum)| *sum)
                    .map(|(peer, _)| peer)
            } else {
                rests.entry(*place).and_modify(|rest| rest.bytes += more);
                return Ok(());
            };
            let loser = loser.ok_or(NetError::NoRoom)?;
            let idle = rests.iter().filter(|((peer, _), rest)| *peer == loser && !rest.open);
            let oldest = idle.min_by_key(|(_, rest)| rest.last).map(|(place, _)| *place);
            let oldest = oldest.ok_or(NetError::NoRoom)?;
            rests.remove(&oldest);
            self.remove(&oldest);
        }
    }

    fn remove(&self, place: &Place) {
        let path = self.path(place);
        let _ = fs::remove_file(&path);
        // Only if it is empty.
        let _ = path.parent().map(fs::remove_dir);
    }

    fn let_go(&self, place: &Place) {
        let bytes = fs::metadata(self.path(place)).map_or(0, |meta| meta.len());
        let mut rests = lock(&self.rests);
        if bytes == 0 {
            rests.remove(place);
        } else if let Some(rest) = rests.get_mut(place) {
            (rest.bytes, rest.last, rest.open) = (bytes, SystemTime::now(), false);
        }
        drop(rests);
        self.free.notify_waiters();
    }

    /// Removes what is too old, and what came from kernels that are no peers any more.
    pub fn sweep(&self, is_peer: impl Fn(&KernelId) -> bool) {
        let now = SystemTime::now();
        let kept_for = Duration::from_millis(INCOMING_KEPT_MS);
        let mut rests = lock(&self.rests);
        rests.retain(|place, rest| {
            // A clock that was set back makes nothing old.
            let old = now.duration_since(rest.last).is_ok_and(|age| age > kept_for);
            let stays = rest.open || (!old && is_peer(&place.0));
            if !stays {
                self.remove(place);
            }
            stays
        });
    }

    /// The bytes that are here of bodies that are not whole, by peer.
    pub fn bytes_of(&self, peer: &KernelId) -> u64 {
        lock(&self.rests).iter().filter(|((of, _), _)| of == peer).map(|(_, rest)| rest.bytes).sum()
    }
}

/// What lies in the folder. What is no part of a body is nobody's, and goes.
fn found(folder: &Path) -> io::Result<BTreeMap<Place, Rest>> {
    let mut rests = BTreeMap::new();
    for of_peer in fs::read_dir(folder)?.flatten() {
        let peer = of_peer.file_name().to_str().and_then(|name| name.parse::<KernelId>().ok());
        let Some(peer) = peer else {
            let _ = fs::remove_file(of_peer.path());
            continue;
        };
        for file in fs::read_dir(of_peer.path())?.flatten() {
            let content = file.file_name().to_str().and_then(|name| name.parse::<Hash>().ok());
            match (content, file.metadata()) {
                (Some(content), Ok(meta)) => {
                    let last = meta.modified().unwrap_or_else(|_| SystemTime::now());
                    rests.insert((peer, content), Rest { bytes: meta.len(), last, open: false });
                }
                _ => drop(fs::remove_file(file.path())),
            }
        }
    }
    Ok(rests)
}

/// A body on its way in: what of it is on the disk, and what has gathered since.
pub(crate) struct Part {
    incoming: Arc<Incoming>,
    place: Place,
    of_peer_max: u64,
    file: Option<File>,
    on_disk: u64,
    tail: Vec<u8>,
    /// Since when it gathers.
    gathering: Instant,
    /// It is not to be kept.
    unwanted: bool,
}

impl Part {
    /// How many bytes are here.
    pub fn have(&self) -> u64 {
        self.on_disk + self.tail.len() as u64
    }

    /// More of it came.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.tail.is_empty() {
            self.gathering = Instant::now();
        }
        self.tail.extend_from_slice(bytes);
    }

    /// Writes what has gathered, if that is much or long ago.
    pub async fn write_some(&mut self) -> Result<(), NetError> {
        let due = self.tail.len() >= GATHER_BYTES || self.gathering.elapsed() >= GATHER_FOR;
        if due && !self.tail.is_empty() { self.write().await } else { Ok(()) }
    }

    async fn write(&mut self) -> Result<(), NetError> {
        self.incoming.grow(&self.place, self.tail.len() as u64, self.of_peer_max)?;
        let (incoming, place, at) = (Arc::clone(&self.incoming), self.place, self.on_disk);
        let (file, tail) = (self.file.take(), std::mem::take(&mut self.tail));
        let written = crate::beside::wait_for(move || {
            let file = file.map_or_else(|| incoming.create(&place), Ok)?;
            file.write_all_at(&tail, at)?;
            Ok::<_, io::Error>((file, tail))
        });
        match written.await {
            Ok(Ok((file, mut tail))) => {
                self.on_disk += tail.len() as u64;
                tail.clear();
                (self.file, self.tail) = (Some(file), tail);
                Ok(())
            }
            Ok(Err(error)) => {
                tracing::warn!(%error, "what came of a large body could not be written");
                Err(NetError::NoRoom)
            }
            Err(_) => Err(NetError::Stopping),
        }
    }

    /// All of it, once it is here.
    pub async fn whole(&mut self) -> Result<Bytes, NetError> {
        if self.on_disk == 0 {
            return Ok(std::mem::take(&mut self.tail).into());
        }
        if !self.tail.is_empty() {
            self.write().await?;
        }
        let (Some(file), size) = (self.file.take(), self.on_disk) else { return Err(NetError::NoRoom) };
        let read = crate::beside::wait_for(move || {
            let mut bytes = vec![0; usize::try_from(size).map_err(io::Error::other)?];
            file.read_exact_at(&mut bytes, 0)?;
            Ok::<_, io::Error>(bytes)
        });
        match read.await {
            Ok(Ok(bytes)) => Ok(bytes.into()),
            Ok(Err(error)) => {
                tracing::warn!(%error, "what came of a large body could not be read");
                self.unwanted = true;
                Err(NetError::NoRoom)
            }
            Err(_) => Err(NetError::Stopping),
        }
    }

    /// It is stored, or not what it ought to be: nothing of it stays here.
    pub fn remove(mut self) {
        self.unwanted = true;
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if self.unwanted {
            self.incoming.remove(&self.place);
        } else if !self.tail.is_empty()
            && self.incoming.grow(&self.place, self.tail.len() as u64, self.of_peer_max).is_ok()
        {
            // The transfer broke. Little has gathered: this is a copy into the page cache.
            let file = self.file.take().map_or_else(|| self.incoming.create(&self.place), Ok);
            let written = file.and_then(|file| file.write_all_at(&self.tail, self.on_disk));
            if let Err(error) = written {
                tracing::warn!(%error, "what came of a large body is lost");
            }
        }
        self.incoming.let_go(&self.place);
    }
}

#[cfg(test)]
mod tests;
