//! Versions of components: numbers with dots between them.

/// Whether one version is not newer than another one. Of versions that are no numbers nothing can be said.
pub(super) fn is_not_newer(version: &str, than: &str) -> bool {
    match (numbers(version), numbers(than)) {
        (Some(version), Some(than)) => version <= than,
        _ => false,
    }
}

/// `1.0` and `1.0.0` are the same.
fn numbers(version: &str) -> Option<Vec<u64>> {
    let mut numbers: Vec<u64> = version.split('.').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    while numbers.last() == Some(&0) {
        numbers.pop();
    }
    Some(numbers)
}

#[cfg(test)]
mod tests {
    use super::is_not_newer;

    #[test]
    fn versions_are_compared_number_by_number() {
        assert!(is_not_newer("1.9", "1.10"));
        assert!(is_not_newer("0.3.21.8", "1.0"));
        assert!(is_not_newer("1.0.0", "1.0"));
        assert!(!is_not_newer("2.0", "1.0"));
        assert!(!is_not_newer("latest", "1.0"));
    }
}
