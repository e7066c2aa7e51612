//! Opening a data directory: lock, create or recover, migrate.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use fjall::Database;
use once_core::store::{Batch, Durability, Store, StoreError};

use crate::commit::{FjallStore, Inner};
use crate::disk::sync_dir;
use crate::error::{OpenError, at, no_panic};
use crate::lock::Lock;
use crate::options::{self, Options};
use crate::schema::{self, MIGRATIONS, Migration};
use crate::{journal, manifest, tables};

impl FjallStore {
    /// Opens the store in `dir`, and makes it if there is none.
    ///
    /// After a crash the newest batches that had not been synced may be gone, never one that had been, and never
    /// part of one.
    ///
    /// # Errors
    /// [`OpenError::InUse`], [`OpenError::SchemaNewer`], [`OpenError::SchemaOlder`], [`OpenError::Damaged`] when something that had been synced
    /// is missing or changed, [`OpenError::Io`], and [`OpenError::Store`] when the rows cannot be read or migrated.
    ///
    /// ```
    /// use once_store::{FjallStore, OpenError, Options};
    /// # let dir = tempfile::tempdir()?;
    /// let store = FjallStore::open(dir.path(), Options::default())?;
    /// let second = FjallStore::open(dir.path(), Options::default());
    /// assert!(matches!(second, Err(OpenError::InUse { .. })));
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn open(dir: &Path, options: Options) -> Result<Self, OpenError> {
        Self::open_with(dir, options, MIGRATIONS)
    }

    pub(crate) fn open_with(
        dir: &Path,
        options: Options,
        migrations: &[Migration],
    ) -> Result<Self, OpenError> {
        create_dir(dir)?;
        let lock = Arc::new(Lock::take(dir)?);
        let path = dir.join("store");
        if !path.try_exists().map_err(at(&path))? {
            if !options.create {
                return Err(OpenError::Missing { path });
            }
            create(dir, &path, &options, &lock)?;
        }
        manifest::examine(&path)?;
        let found = journal::examine(dir, &path, lock.failed_before())?;
        // What failed over a damaged table would fail again.
        let only_reads = options.only_reads || (lock.failed_before() && has_damaged_table(&path));
        // While the journal could not be written anew, the mark stays: nothing may be built upon what is shown.
        if !found.is_stale && !only_reads {
            lock.say(false).map_err(at(dir))?;
        }
        let mut store = open_fjall(&path, Options { only_reads, ..options }, lock)?;
        if only_reads {
            match schema::migrate(&mut store, migrations) {
                // What else can be read counts.
                Err(OpenError::Store(StoreError::Damaged { .. })) => {}
                done => done?,
            }
            store.only_reads();
        } else if found.is_stale {
            store.is_stale();
        } else {
            schema::migrate(&mut store, migrations)?;
            if found.is_blank {
                store.begin_journal()?;
            }
        }
        Ok(store)
    }
}

fn has_damaged_table(path: &Path) -> bool {
    let files = tables::damaged(path);
    files.iter().any(|file| file.contains("/tables/"))
}

fn create_dir(dir: &Path) -> Result<(), OpenError> {
    if dir.try_exists().map_err(at(dir))? {
        return Ok(());
    }
    fs::create_dir_all(dir).map_err(at(dir))?;
    match dir.parent() {
        Some(parent) if parent != Path::new("") => sync_dir(parent).map_err(at(parent)),
        _ => sync_dir(Path::new(".")).map_err(at(dir)),
    }
}

/// Makes a new store beside its place and moves it there when it is whole: a crash leaves none or all of it.
fn create(dir: &Path, path: &Path, options: &Options, lock: &Arc<Lock>) -> Result<(), OpenError> {
    let new = dir.join("store.new");
    if new.try_exists().map_err(at(&new))? {
        fs::remove_dir_all(&new).map_err(at(&new))?;
    }
    let mut store = open_fjall(&new, *options, Arc::clone(lock))?;
    store.commit(Batch { rows: vec![schema::row(schema::OLDEST)] }, Durability::Synced)?;
    store.close()?;
    fs::rename(&new, path).map_err(at(path))?;
    sync_dir(dir).map_err(at(dir))
}

fn open_fjall(path: &Path, options: Options, lock: Arc<Lock>) -> Result<FjallStore, OpenError> {
    let open = || {
        let db = options::database(Database::builder(path), &options).open()?;
        let rows = db.keyspace("rows", options::rows)?;
        let bodies = db.keyspace("bodies", options::bodies)?;
        Ok((db, rows, bodies))
    };
    let (db, rows, bodies) = no_panic(open).map_err(|error| OpenError::fjall(path, error))?;
    Ok(FjallStore::new(Inner { rows, bodies, db, path: path.into(), lock }, options.reserve_bytes))
}
