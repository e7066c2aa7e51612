//! What has come of large bodies that are not here whole: files in the data directory, by who sends them and by content
//! hash. A transfer that broke goes on from there, on another connection and after a restart.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use once_model::ids::{Hash, KernelId};
use once_model::limits::{DISK_RESERVE_BYTES, INCOMING_KEPT_MS, INCOMING_MAX_BYTES};
use tokio::sync::{Notify, OwnedSemaphorePermit, oneshot};
use tokio::time::Instant;

use super::bodies::HELD_FOR;
use super::frames::NetError;
use super::lock;

/// The folder in the data directory.
const FOLDER: &str = "incoming";

/// How much gathers in memory before it is written, in bytes, where there is no room for the whole body.
const GATHER_BYTES: usize = 256 * 1024;

/// How long it gathers: what is lost when the process is killed. What is whole by then never touches the disk.
const GATHER_FOR: Duration = HELD_FOR;

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
            claim: Arc::new(Claim { incoming: Arc::clone(self), place }),
            of_peer_max,
            file: None,
            on_disk: 0,
            writing: None,
            tail: Vec::new(),
            spare: Vec::new(),
            gathering: Instant::now(),
            memory: None,
            unwanted: false,
        };
        if let Ok(file) = OpenOptions::new().read(true).write(true).open(self.path(&place))
            && let Ok(meta) = file.metadata()
            && meta.len() <= size
        {
            (part.on_disk, part.file) = (meta.len(), Some(Arc::new(file)));
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

/// A part is one transfer's, until this and every write of it under way are gone.
struct Claim {
    incoming: Arc<Incoming>,
    place: Place,
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.incoming.let_go(&self.place);
    }
}

/// A body on its way in: what of it is on the disk, and what has gathered since.
pub(crate) struct Part {
    claim: Arc<Claim>,
    of_peer_max: u64,
    file: Option<Arc<File>>,
    /// With what is being written.
    on_disk: u64,
    writing: Option<Writing>,
    tail: Vec<u8>,
    /// What the last write has left: room for the next tail.
    spare: Vec<u8>,
    /// Since when it gathers.
    gathering: Instant,
    /// Room for all of it, while none of it is written.
    memory: Option<OwnedSemaphorePermit>,
    /// It is not to be kept.
    unwanted: bool,
}

/// A write under way, and where it begins. More of the body comes meanwhile.
struct Writing {
    at: u64,
    done: oneshot::Receiver<io::Result<(Arc<File>, Vec<u8>)>>,
}

impl Part {
    /// How many bytes are here.
    pub fn have(&self) -> u64 {
        self.on_disk + self.tail.len() as u64
    }

    /// Gathers in memory what is missing, if there is room.
    pub fn gather(&mut self, memory: Option<OwnedSemaphorePermit>, bytes: u64) {
        if memory.is_some() && self.memory.is_none() {
            self.tail.reserve_exact(usize::try_from(bytes).unwrap_or(0));
            self.gathering = Instant::now();
            self.memory = memory;
        }
    }

    /// When all that has gathered leaves the memory.
    pub fn gathers_until(&self) -> Option<Instant> {
        self.memory.as_ref().map(|_| self.gathering + GATHER_FOR)
    }

    /// The room in memory that it still has.
    pub fn take_memory(&mut self) -> Option<OwnedSemaphorePermit> {
        self.memory.take()
    }

    /// More of it came.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.tail.is_empty() && self.memory.is_none() {
            self.gathering = Instant::now();
        }
        self.tail.extend_from_slice(bytes);
    }

    /// Writes what has gathered, if that is much or long ago. Waits for the write before, not for this one.
    pub async fn write_some(&mut self) -> Result<(), NetError> {
        let is_much = self.memory.is_none() && self.tail.len() >= GATHER_BYTES;
        let due = is_much || self.gathering.elapsed() >= GATHER_FOR;
        if due && self.tail.is_empty() {
            self.memory = None;
        }
        if due && !self.tail.is_empty() { self.write().await } else { Ok(()) }
    }

    async fn write(&mut self) -> Result<(), NetError> {
        self.written().await?;
        self.claim.incoming.grow(&self.claim.place, self.tail.len() as u64, self.of_peer_max)?;
        let tail = std::mem::replace(&mut self.tail, std::mem::take(&mut self.spare));
        let (claim, file, at) = (Arc::clone(&self.claim), self.file.clone(), self.on_disk);
        let memory = self.memory.take();
        self.on_disk += tail.len() as u64;
        let done = crate::beside::begin(move || {
            let file = file.map_or_else(|| claim.incoming.create(&claim.place).map(Arc::new), Ok)?;
            if let Err(error) = file.write_all_at(&tail, at) {
                // A half of it would look like all of it.
                let _ = file.set_len(at);
                return Err(error);
            }
            // Room for the whole is not for the next tail.
            let spare = if memory.is_some() { Vec::new() } else { tail };
            Ok((file, spare))
        });
        self.writing = Some(Writing { at, done });
        Ok(())
    }

    /// Waits for the write under way.
    async fn written(&mut self) -> Result<(), NetError> {
        let Some(Writing { at, done }) = self.writing.take() else { return Ok(()) };
        let failed = match done.await {
            Ok(Ok((file, mut spare))) => {
                spare.clear();
                (self.file, self.spare) = (Some(file), spare);
                return Ok(());
            }
            Ok(Err(error)) => {
                tracing::warn!(%error, "what came of a large body could not be written");
                NetError::NoRoom
            }
            Err(_) => NetError::Stopping,
        };
        self.on_disk = at;
        self.tail.clear();
        Err(failed)
    }

    /// All of it, once it is here.
    pub async fn whole(&mut self) -> Result<Bytes, NetError> {
        if self.on_disk == 0 {
            return Ok(std::mem::take(&mut self.tail).into());
        }
        if !self.tail.is_empty() {
            self.write().await?;
        }
        self.written().await?;
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

    /// The transfer broke. Little has gathered: this is a copy into the page cache.
    fn keep_tail(&mut self) -> io::Result<()> {
        if let Some(Writing { done: mut writing, .. }) = self.writing.take() {
            // What came while it is still at it comes once more.
            let Ok(written) = writing.try_recv() else { return Ok(()) };
            self.file = Some(written?.0);
        }
        let (incoming, place) = (&self.claim.incoming, &self.claim.place);
        if self.tail.is_empty() || incoming.grow(place, self.tail.len() as u64, self.of_peer_max).is_err() {
            return Ok(());
        }
        let file = self.file.take().map_or_else(|| incoming.create(place).map(Arc::new), Ok)?;
        file.write_all_at(&self.tail, self.on_disk)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if self.unwanted {
            self.claim.incoming.remove(&self.claim.place);
        } else if let Err(error) = self.keep_tail() {
            tracing::warn!(%error, "what came of a large body is lost");
        }
    }
}

#[cfg(test)]
mod tests;
