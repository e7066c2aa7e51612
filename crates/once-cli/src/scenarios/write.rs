//! Writing scenarios to a folder: under names made of hexadecimal digits only, and never over something else.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use once::model::hash::content_hash;
use once::model::ids::Uuid;

use crate::failure::{Done, Failure};

/// Digits of a lineage or hash in a file name.
const SUFFIX_DIGITS: usize = 12;

/// What became of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Written, and read back.
    Written,
    /// It was there with the same bytes.
    Same,
    /// It was there with other bytes, and still is.
    Kept,
}

/// `<uuid>.scenario.json`; where another object has the same UUID, `<uuid>#<lineage>` or `<uuid>@<hash>` before the dot.
/// Nothing of the name comes from the scenario but its UUID. `line` is the lineage, if it has one, and the hash.
///
/// # Errors
/// When the kernel names an object in a way that cannot be.
pub fn file_name(uuid: &str, line: (Option<&str>, &str), uuid_is_shared: bool) -> Done<String> {
    let uuid = Uuid::try_parse(uuid).map_err(|_| odd(uuid))?;
    if !uuid_is_shared {
        return Ok(format!("{uuid}.scenario.json"));
    }
    let (sign, digits) = match line {
        (None, hash) => ('@', hash),
        (Some(lineage), _) => ('#', lineage),
    };
    let digits = digits.get(..SUFFIX_DIGITS).ok_or_else(|| odd(digits))?;
    if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Err(odd(digits));
    }
    Ok(format!("{uuid}{sign}{digits}.scenario.json"))
}

fn odd(name: &str) -> Failure {
    Failure::fault(format!("the kernel names an object {}", crate::ui::capped(name, 200)))
}

/// Writes scenarios into one folder.
#[derive(Debug)]
pub struct Writer {
    folder: PathBuf,
    force: bool,
}

impl Writer {
    /// Makes the folder where there is none. With `force`, other content is replaced.
    pub fn new(folder: &Path, force: bool) -> Done<Self> {
        fs::create_dir_all(folder).map_err(|error| Failure::io(folder, &error))?;
        Ok(Self { folder: folder.to_owned(), force })
    }

    /// Where a file of that name is.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Writes a scenario beside its place, reads it back, and then moves it there: a crash leaves all of it or nothing.
    ///
    /// # Errors
    /// When the bytes are not the ones that the kernel has the hash of, or the file cannot be written.
    pub fn write(&self, name: &str, scenario: &str, hash: &str) -> Done<Verdict> {
        let path = self.path(name);
        if content_hash(scenario.as_bytes()).to_string() != hash {
            return Err(Failure::fault(format!(
                "{name}: the kernel gave bytes that are not those of its hash"
            )));
        }
        match fs::read(&path) {
            Ok(there) if there == scenario.as_bytes() => return Ok(Verdict::Same),
            Ok(_) if !self.force => return Ok(Verdict::Kept),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(Failure::io(&path, &error)),
        }
        let failed = |error: std::io::Error| Failure::io(&path, &error);
        let mut file = self.beside().map_err(failed)?;
        file.write_all(scenario.as_bytes()).map_err(failed)?;
        if fs::read(file.path()).map_err(failed)? != scenario.as_bytes() {
            return Err(Failure::failed(format!("{}: read back other bytes than written", path.display())));
        }
        if self.force {
            file.persist(&path).map_err(|error| failed(error.error))?;
        } else {
            file.persist_noclobber(&path).map_err(|error| failed(error.error))?;
        }
        Ok(Verdict::Written)
    }

    fn beside(&self) -> std::io::Result<tempfile::NamedTempFile> {
        let mut builder = tempfile::Builder::new();
        builder.prefix(".once-export-");
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        builder.tempfile_in(&self.folder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_digits_whatever_the_kernel_says() {
        let uuid = "0012bda9-f833-4909-a891-a75b183be4c8";
        let hash = "c0".repeat(32);
        let unclaimed = (None, hash.as_str());
        assert_eq!(file_name(uuid, unclaimed, false).unwrap(), format!("{uuid}.scenario.json"));
        assert_eq!(file_name(uuid, unclaimed, true).unwrap(), format!("{uuid}@c0c0c0c0c0c0.scenario.json"));
        assert!(file_name("../../x", unclaimed, false).is_err());
        assert!(file_name(uuid, (Some("../../../../x/y/z"), &hash), true).is_err());
    }

    #[test]
    fn other_content_stays_unless_forced() {
        let folder = tempfile::tempdir().unwrap();
        let hash = |text: &str| content_hash(text.as_bytes()).to_string();
        let writer = Writer::new(folder.path(), false).unwrap();
        assert_eq!(writer.write("a", "{}", &hash("{}")).unwrap(), Verdict::Written);
        assert_eq!(writer.write("a", "{}", &hash("{}")).unwrap(), Verdict::Same);
        assert_eq!(writer.write("a", "[]", &hash("[]")).unwrap(), Verdict::Kept);
        assert_eq!(fs::read_to_string(writer.path("a")).unwrap(), "{}");
        let forced = Writer::new(folder.path(), true).unwrap();
        assert_eq!(forced.write("a", "[]", &hash("[]")).unwrap(), Verdict::Written);
        assert_eq!(fs::read_to_string(writer.path("a")).unwrap(), "[]");
        assert_eq!(writer.write("b", "{}", "00").unwrap_err().exit, 5);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
