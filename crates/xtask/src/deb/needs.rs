//! Which packages a binary needs: those of the libraries that every Rust program is linked with.

use std::path::Path;

/// What stands before the version of a symbol of the C library.
const MARK: &[u8] = b"GLIBC_2.";

/// As `Depends:` says it. The C library is as new as the newest symbol that the binary names.
pub fn of(binary: &Path) -> Result<String, String> {
    let bytes = std::fs::read(binary).map_err(|error| super::said(binary, &error))?;
    let newest = newest(&bytes).ok_or_else(|| format!("{}: no binary for glibc", binary.display()))?;
    Ok(format!("libc6 (>= 2.{newest}), libgcc-s1"))
}

fn newest(bytes: &[u8]) -> Option<u32> {
    let mut newest = None;
    for (at, _) in bytes.windows(MARK.len()).enumerate().filter(|(_, window)| *window == MARK) {
        let digits = bytes.get(at + MARK.len()..).unwrap_or_default();
        let digits: String =
            digits.iter().take_while(|b| b.is_ascii_digit()).take(4).map(|b| char::from(*b)).collect();
        newest = newest.max(digits.parse().ok());
    }
    newest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_symbol_counts() {
        assert_eq!(newest(b"\0GLIBC_2.2.5\0GLIBC_2.34\0GLIBC_2.9\0GLIBC_PRIVATE\0"), Some(34));
        assert_eq!(newest(b"no binary"), None);
    }
}
