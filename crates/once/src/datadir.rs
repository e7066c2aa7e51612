//! The data directory: key, recovery key, the kernel's own scenario, store, lock, socket.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use once_core::meta::{self, Identity};
use once_core::store::Store;
use once_core::txn::Txn;
use once_model::ids::{Incarnation, KernelId};
use once_model::limits::{DISK_RESERVE_BYTES, NAME_MAX_BYTES};
use once_model::scenario::Scenario;
use once_model::sign::KernelKey;
use once_store::{FjallStore, Options};
use rand::Rng;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::OrError;
use crate::{Error, ErrorKind, private};

const KEY_FILE: &str = "key";
const RECOVERY_FILE: &str = "recovery.key";
const SCENARIO_FILE: &str = "kernel.scenario.json";
const STORE_FOLDER: &str = "store";

/// There while `init` is at work: what lies beside it without a key was begun and is used by nobody.
const BEGUN_FILE: &str = "init.begun";

/// Where a kernel listens unless it is told otherwise: every address of both families, a free port.
pub(crate) const LISTEN: &str = "[::]:0";

/// The store's own reserve, below the engine's: the engine refuses new work first, then the store every write.
const STORE_RESERVE_BYTES: u64 = 32 * 1024 * 1024;

/// How a kernel begins.
#[derive(Debug, Clone, Default)]
pub struct InitOptions {
    /// What it calls itself; the user's name at this host if absent.
    pub name: Option<String>,
    /// The UDP address it listens on; `[::]:0` (every address of both families, a free port, kept from then on) if absent.
    pub listen: Option<String>,
    /// A relay to be reachable through, as a URL; none if absent.
    pub relay: Option<String>,
}

/// A kernel that was just made.
#[derive(Debug, Clone, Serialize)]
pub struct NewKernel {
    /// The kernel's id: 52 characters, made from its public key.
    pub kernel: String,
    /// What it calls itself.
    pub name: String,
    /// Where the recovery key is: move it to a safe place.
    pub recovery_key: PathBuf,
    /// The directory was there, and others could look into it: its rights were narrowed.
    pub narrowed: bool,
}

/// The kernel's configuration: the model of its own scenario.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Config {
    pub uuid: Option<Uuid>,
    pub name: String,
    pub listen: String,
    #[serde(default)]
    pub relay: Option<String>,
    /// Of how many of the newest entries of an object it is kept what was asked and said; 1,000 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<u64>,
    /// How many earlier revisions of each object are kept, where this kernel is its home; none if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revisions: Option<usize>,
    /// Whether it may announce itself on the local network; it may if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lan: Option<bool>,
    /// Components that programs serve over the local API, now or at other times.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub served: Vec<String>,
    /// What objects of these are told when they move: the component, a blank, and the action.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub served_moves: Vec<String>,
}

/// Whether a kernel lives in this directory.
#[must_use]
pub fn is_initialised(data: &Path) -> bool {
    data.join(KEY_FILE).exists()
}

/// Makes a kernel: its key, a recovery key, its own scenario, an empty store.
///
/// Nothing that is there already is overwritten.
///
/// # Errors
/// When there is one already, or what is left of one; when others may look into the directory; when it cannot be
/// written.
pub fn init(data: &Path, options: InitOptions) -> Result<NewKernel, Error> {
    if is_initialised(data) {
        return Err(Error::invalid(format!("a kernel lives in {} already", data.display()))
            .with_hint("start it with `once up`, or make another one elsewhere: `once init --data DIR`"));
    }
    let name = options.name.unwrap_or_else(default_name);
    if !once_core::is_name(&name) {
        return Err(Error::usage(format!(
            "a name has 1 to {NAME_MAX_BYTES} bytes, no control characters, and is not blank"
        )));
    }
    let before = Before::of(data);
    let made = make(data, name, options.listen, options.relay);
    made.map_err(|error| match error.kind() {
        // Not if another `init` was first: what is there is then its own.
        ErrorKind::DiskFull => {
            before.restore(data);
            let (begins, works) = (STORE_RESERVE_BYTES / MIB, DISK_RESERVE_BYTES / MIB);
            error.hinting(Some(format!(
                "a kernel begins where {begins} MiB are free, and takes new work while {works} MiB are: free some on the disk that \
                 is to hold {}, or name another directory with --data; nothing was left there",
                data.display()
            )))
        }
        _ => error,
    })
}

const MIB: u64 = 1024 * 1024;

fn make(
    data: &Path,
    name: String,
    listen: Option<String>,
    relay: Option<String>,
) -> Result<NewKernel, Error> {
    let narrowed = begin(data)?;
    let config = Config {
        uuid: Some(random_uuid()),
        name: name.clone(),
        listen: listen.unwrap_or_else(|| LISTEN.into()),
        relay,
        told: None,
        revisions: None,
        lan: None,
        served: Vec::new(),
        served_moves: Vec::new(),
    };
    write_config(data, &config)?;
    let recovery = KernelKey::from_bytes(&random());
    let recovery_key = data.join(RECOVERY_FILE);
    write_secret(&recovery_key, &recovery)?;
    let key = KernelKey::from_bytes(&random());
    let mut store = store(data, true)?;
    let identity = Identity {
        kernel: key.id(),
        incarnation: Incarnation::from_bytes(random()),
        name: name.clone(),
        recovery: vec![recovery.id()],
        ended: Vec::new(),
    };
    let mut txn = Txn::new(&store);
    meta::set_identity(&mut txn, &identity);
    let (batch, durability) = txn.into_batch();
    store.commit(batch, durability).or_error()?;
    store.close().or_error()?;
    private::narrow(data)?;
    // Before the key is there: with it, what lies in the directory is a kernel's, and is never begun again.
    let begun = data.join(BEGUN_FILE);
    fs::remove_file(&begun).and_then(|()| sync_folder_of(&begun)).map_err(|e| io(&begun, &e))?;
    // Last: a directory with a key is a kernel.
    write_secret(&data.join(KEY_FILE), &key)?;
    Ok(NewKernel { kernel: key.id().to_string(), name, recovery_key, narrowed })
}

/// What was there before a kernel was made, so that one that could not be made leaves nothing behind.
struct Before {
    /// The directory, and those above it, that were not there: the innermost first.
    missing: Vec<PathBuf>,
    /// Nothing of a kernel lay in it, but perhaps what an `init` left that was interrupted.
    is_blank: bool,
}

impl Before {
    fn of(data: &Path) -> Self {
        let missing =
            data.ancestors().take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists());
        let was_begun = data.join(BEGUN_FILE).exists();
        Self {
            missing: missing.map(Path::to_owned).collect(),
            is_blank: was_begun || lost_key(data).is_none(),
        }
    }

    /// Takes away what was made since. What cannot be taken away stays: the next `init` begins with it.
    fn restore(&self, data: &Path) {
        if self.is_blank && !is_initialised(data) && data.join(BEGUN_FILE).exists() {
            empty(data);
        }
        for folder in &self.missing {
            // Only what is empty goes.
            let _ = fs::remove_dir(folder);
        }
    }
}

/// Takes away what an `init` made that did not come to its end.
fn empty(data: &Path) {
    // While a process has it open, it is that one's.
    let Ok(lock) = once_store::Lock::take(data) else { return };
    for folder in [STORE_FOLDER, "store.new"] {
        let _ = fs::remove_dir_all(data.join(folder));
    }
    let new = Path::new(SCENARIO_FILE).with_extension("json.new");
    for file in [Path::new(RECOVERY_FILE), Path::new(SCENARIO_FILE), &new] {
        let _ = fs::remove_file(data.join(file));
    }
    drop(lock);
    // The mark last: as long as it is there, what else is there was begun and is used by nobody.
    for file in ["lock", BEGUN_FILE] {
        let _ = fs::remove_file(data.join(file));
    }
}

/// Makes room for a new kernel. Only what an `init` left that was interrupted is taken away: nothing has used its keys.
fn begin(data: &Path) -> Result<bool, Error> {
    let narrowed = private::prepare(data)?;
    let begun = data.join(BEGUN_FILE);
    if begun.exists() {
        let recovery = data.join(RECOVERY_FILE);
        match fs::remove_file(&recovery) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(io(&recovery, &error)),
            _ => return Ok(narrowed),
        }
    }
    if let Some(lost) = lost_key(data) {
        return Err(lost);
    }
    let mark = || {
        fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&begun)?.sync_all()?;
        sync_folder_of(&begun)
    };
    mark().map_err(|e| io(&begun, &e))?;
    Ok(narrowed)
}

/// What to say of a directory in which a kernel's things lie, but not its key. `None` if there is nothing of that kind.
#[must_use]
pub fn lost_key(data: &Path) -> Option<Error> {
    let there = |name: &&str| data.join(name).exists();
    if data.join(BEGUN_FILE).exists() || data.join(KEY_FILE).exists() {
        return None;
    }
    let left: Vec<_> = [STORE_FOLDER, RECOVERY_FILE, SCENARIO_FILE].into_iter().filter(there).collect();
    if left.is_empty() {
        return None;
    }
    let recovery = match data.join(RECOVERY_FILE).exists() {
        true => {
            "keep recovery.key: it proves that the objects in the store are yours, and gives them a new home once that is built"
        }
        false => "recovery.key, which you may keep elsewhere, proves that the objects in the store are yours",
    };
    let message = format!(
        "a kernel lived in {}, and its key is missing: {} still there",
        data.display(),
        match left.as_slice() {
            [one] => format!("{one} is"),
            [all @ .., last] => format!("{} and {last} are", all.join(", ")),
            [] => String::new(),
        }
    );
    Some(Error::invalid(message).with_hint(format!(
        "put the file key back from a backup. Without it nobody can be this kernel again: {recovery}. A new kernel needs another directory (--data)"
    )))
}

/// Whether no process has a data directory open, whatever else is wrong with it.
///
/// # Errors
/// `in-use` when one has.
pub fn check_free(data: &Path) -> Result<(), Error> {
    once_store::Lock::take(data).map(drop).or_error()
}

/// Opens the store of a kernel. It must be there: an empty one in its place would do again what was done.
///
/// Rights that others have on the directory are taken away first, and that is said.
pub(crate) fn open_store(data: &Path) -> Result<FjallStore, Error> {
    if private::narrow(data)? {
        // An error, so that it is said without `-v`.
        tracing::error!(
            "others could look into {}: their rights were taken away; what they copied before they have",
            data.display()
        );
    }
    store(data, false)
}

/// Opens the copy of a damaged store: nothing is written to it.
pub(crate) fn open_copy(data: &Path) -> Result<FjallStore, Error> {
    let options = Options { create: false, only_reads: true, ..Options::default() };
    FjallStore::open(data, options).or_error()
}

fn store(data: &Path, create: bool) -> Result<FjallStore, Error> {
    let options = Options { reserve_bytes: STORE_RESERVE_BYTES, create, ..Options::default() };
    FjallStore::open(data, options).or_error()
}

/// What was cut off the journal and not confirmed.
pub(crate) fn losses(data: &Path) -> Result<Vec<once_store::Loss>, Error> {
    once_store::losses(data).map_err(|error| io(&data.join("losses"), &error))
}

/// Reads the kernel's key. Refused when others can read it.
pub(crate) fn read_key(data: &Path) -> Result<KernelKey, Error> {
    let path = data.join(KEY_FILE);
    let meta = fs::metadata(&path).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => lost_key(data).unwrap_or_else(|| {
            Error::not_found(format!("no kernel lives in {}", data.display()))
                .with_hint("make one with `once init`, or name the directory of another one with --data DIR")
        }),
        _ => io(&path, &e),
    })?;
    if meta.mode() & 0o077 != 0 {
        return Err(Error::invalid(format!("others can read the key {}", path.display())).with_hint(
            format!("run `chmod 600 {}`; if someone may have copied it, make a new kernel", path.display()),
        ));
    }
    let text = fs::read_to_string(&path).map_err(|e| io(&path, &e))?;
    let secret =
        HEXLOWER.decode(text.trim().as_bytes()).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    secret.map(|secret| KernelKey::from_bytes(&secret)).ok_or_else(|| {
        Error::invalid(format!("{} is not a key: 64 hexadecimal digits were expected", path.display()))
            .with_hint("put the key back from a backup")
    })
}

/// The key that is there is not the one that the store was made with.
pub(crate) fn other_key(data: &Path, key: &KernelId, owner: &KernelId) -> Error {
    let path = data.join(KEY_FILE);
    Error::invalid(format!(
        "{} is the key of kernel {}, and the store beside it belongs to kernel {}",
        path.display(),
        key.short(),
        owner.short()
    ))
    .with_hint(format!("put the key of kernel {} back from a backup: nothing was changed", owner.short()))
}

pub(crate) fn read_config(data: &Path) -> Result<Config, Error> {
    let path = data.join(SCENARIO_FILE);
    let wrong = |why: String| {
        Error::invalid(format!("{}: {why}", path.display()))
            .with_hint("it is a scenario; its model has name, listen, relay, told, revisions")
    };
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Config::default()),
        Err(e) => return Err(io(&path, &e)),
    };
    let scenario = Scenario::parse(bytes).map_err(|e| wrong(e.to_string()))?;
    serde_json::from_str(scenario.model().unwrap_or("{}")).map_err(|e| wrong(format!("its model: {e}")))
}

/// Writes the kernel's own scenario, whole or not at all, also if the power fails.
pub(crate) fn write_config(data: &Path, config: &Config) -> Result<(), Error> {
    let path = data.join(SCENARIO_FILE);
    let model = serde_json::to_string(config).map_err(|e| Error::fault(e.to_string()))?;
    let uuid = config.uuid.unwrap_or_else(random_uuid);
    let scenario = Scenario::compose(uuid, "OnceKernel", env!("CARGO_PKG_VERSION"), "system", &model)?;
    let new = path.with_extension("json.new");
    let write = || {
        let mut options = fs::OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(scenario.bytes())?;
        // Before the rename: a name that is there with content that is not would be an empty file after a power cut.
        file.sync_all()?;
        fs::rename(&new, &path)?;
        sync_folder_of(&path)
    };
    write().map_err(|e| io(&path, &e))
}

/// Remembers which components programs serve, and what of moves they want to know, also if the power fails.
pub(crate) fn write_served(
    data: &Path,
    change: impl FnOnce(&mut Vec<String>, &mut Vec<String>),
) -> Result<(), Error> {
    // One at a time: each writes the whole.
    static WRITING: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _alone = WRITING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut config = read_config(data)?;
    let before = (config.served.clone(), config.served_moves.clone());
    change(&mut config.served, &mut config.served_moves);
    if (&config.served, &config.served_moves) == (&before.0, &before.1) {
        Ok(())
    } else {
        write_config(data, &config)
    }
}

/// Copies who a kernel is to another directory of the same owner.
pub(crate) fn copy_identity(data: &Path, to: &Path) -> Result<(), Error> {
    write_secret(&to.join(KEY_FILE), &read_key(data)?)?;
    let (from, to) = (data.join(SCENARIO_FILE), to.join(SCENARIO_FILE));
    match fs::copy(&from, &to) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(io(&from, &e)),
        _ => Ok(()),
    }
}

fn write_secret(path: &Path, key: &KernelKey) -> Result<(), Error> {
    let write = || {
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(HEXLOWER.encode(&key.to_bytes()).as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        sync_folder_of(path)
    };
    write().map_err(|e| io(path, &e))
}

/// Makes a file's name as durable as its content.
fn sync_folder_of(path: &Path) -> std::io::Result<()> {
    match path.parent() {
        Some(folder) => fs::File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

fn default_name() -> String {
    let env = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let user = env("USER").or_else(|| env("LOGNAME")).unwrap_or_else(|| "kernel".into());
    match fs::read_to_string("/etc/hostname") {
        Ok(host) if !host.trim().is_empty() => format!("{user}@{}", host.trim()),
        _ => user,
    }
}

pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::rng().fill_bytes(&mut bytes);
    bytes
}

pub(crate) fn random_uuid() -> Uuid {
    uuid::Builder::from_random_bytes(random()).into_uuid()
}

/// Names the files of a data directory's store that the disk changed or lost. It reads all of them, so that takes its time; no kernel
/// may run there meanwhile.
///
/// ```
/// # let dir = tempfile::tempdir().unwrap();
/// let data = dir.path().join("alice");
/// once::init(&data, once::InitOptions::default())?;
/// assert!(once::damaged_files(&data).is_empty());
/// # Ok::<(), once::Error>(())
/// ```
#[must_use]
pub fn damaged_files(data: &Path) -> Vec<String> {
    once_store::damaged_files(data)
}

fn io(path: &Path, error: &std::io::Error) -> Error {
    Error::io(path, error, "check the path, its permissions and the free space")
}
