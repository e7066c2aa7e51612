//! Earlier revisions of objects, as far as they are kept here. ADR 0020.

use bytes::Bytes;
use once_core::object::{self, HeadRow, RevisionRow};
use once_core::store::Read;
use once_model::ids::ObjectKey;

use crate::error::OrError;
use crate::object::Standpoint;
use crate::{Error, Kernel, Object};

impl Kernel {
    /// An earlier revision of an object and its bytes, if it is kept here ([`crate::Builder::revisions`]); or the newest one.
    ///
    /// ```no_run
    /// # fn run(alice: once::Kernel, key: once::ObjectKey) -> Result<(), once::Error> {
    /// if let Some((object, bytes)) = alice.revision(key, 3)? {
    ///     println!("{} had {} bytes then", object.component(), bytes.len());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the store cannot be read, or the bytes are damaged.
    pub fn revision(&self, key: ObjectKey, number: u64) -> Result<Option<(Object, Bytes)>, Error> {
        let snapshot = self.shared().snapshot();
        let newest = object::find(&snapshot, &key.uuid, Some(key.line)).or_error()?.into_iter().next();
        let row = match newest {
            Some(row) if row.header.revision == number => Some(row),
            _ => object::revision(&snapshot, &key, number).or_error()?.map(|kept| self.kept(kept)),
        };
        let Some(row) = row else { return Ok(None) };
        let bytes = object::body(&snapshot, &row.header).or_error()?;
        let object = Object::new(&snapshot, row, self.id())?;
        Ok(bytes.map(|bytes| (object, bytes)))
    }

    /// The earlier revisions of an object that are kept here, oldest first.
    ///
    /// ```no_run
    /// # fn run(alice: once::Kernel, key: once::ObjectKey) -> Result<(), once::Error> {
    /// println!("{} earlier revisions are kept", alice.revisions(key)?.len());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn revisions(&self, key: ObjectKey) -> Result<Vec<Object>, Error> {
        self.revisions_in(&self.shared().snapshot(), key)
    }

    /// The same as of one snapshot: whoever reads their bytes, too, must do so there.
    pub(crate) fn revisions_in(&self, rows: &dyn Read, key: ObjectKey) -> Result<Vec<Object>, Error> {
        let kept = object::revisions(rows, &key).or_error()?;
        let here = Standpoint::of(rows, self.id()).or_error()?;
        kept.into_iter().map(|kept| here.object(self.kept(kept)).or_error()).collect()
    }

    /// A kept revision, as it was when it was the newest: this kernel was the home.
    fn kept(&self, RevisionRow { header, stored_ms }: RevisionRow) -> HeadRow {
        HeadRow {
            header,
            home: Some(self.id()),
            from: None,
            charged: false,
            stored_ms,
            conflicts_dropped: 0,
            proven: false,
            replaced: None,
            tip: None,
            guest: None,
        }
    }
}
