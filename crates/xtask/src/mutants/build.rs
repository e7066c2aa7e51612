//! Builds the copy, and finds the mutants that do not compile.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::rewrite::Rewritten;
use super::tree::SRC;

/// What judges a mutant.
#[derive(Debug, Default)]
pub struct Programs {
    /// The core's own tests.
    pub core: Vec<PathBuf>,
    /// The simulator's tests that tell stories.
    pub stories: Vec<PathBuf>,
    pub simulator: PathBuf,
}

/// How a build ended.
#[derive(Debug)]
pub enum Built {
    Programs(Programs),
    /// These do not compile.
    Rejected(BTreeSet<u32>),
}

/// Builds everything that judges.
///
/// # Errors
///
/// Cargo does not start, or it fails for another reason than a mutant.
pub fn build(tree: &Path, target: &Path, written: &BTreeMap<String, Rewritten>) -> Result<Built, String> {
    let packages = ["-p", "once-core", "-p", "once-sim"];
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["test", "--no-run", "--release", "--locked", "--lib", "--test", "*", "--bin", "once-sim"])
        .args(packages)
        .args(["--message-format", "json-diagnostic-rendered-ansi", "--target-dir"])
        .arg(target)
        .current_dir(tree)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cargo does not start: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let messages: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    if output.status.success() {
        return programs(&messages).map(Built::Programs);
    }
    let (mut rejected, mut others) = (BTreeSet::new(), Vec::new());
    let errors =
        messages.iter().map(|message| &message["message"]).filter(|message| message["level"] == "error");
    // The last one only counts the others, and has no place.
    for error in errors.filter(|error| error["spans"].as_array().is_some_and(|spans| !spans.is_empty())) {
        let blamed = blame(error, written);
        if blamed.is_empty() {
            others.push(error["rendered"].as_str().unwrap_or_default());
        }
        rejected.extend(blamed);
    }
    if rejected.is_empty() {
        return Err(format!(
            "the copy in {} does not build, and no mutant is to blame:\n{}",
            tree.display(),
            others.join("\n")
        ));
    }
    Ok(Built::Rejected(rejected))
}

/// The mutants because of which there is an error: by its place, or else by the places that it mentions, or else all of
/// that file, because an error may show far from its cause.
fn blame(error: &Value, written: &BTreeMap<String, Rewritten>) -> BTreeSet<u32> {
    let spans = error["spans"].as_array().into_iter().flatten();
    let notes = error["children"].as_array().into_iter().flatten();
    let mentioned = notes.filter_map(|note| note["spans"].as_array()).flatten();
    let (primary, secondary): (Vec<_>, Vec<_>) = spans.partition(|span| span["is_primary"] == true);
    let (primary, secondary, mentioned) =
        (ours(primary, written), ours(secondary, written), ours(mentioned.collect(), written));
    let blamed = |spans: &[&Value]| {
        spans.iter().filter_map(|span| by_place(span, written)).flatten().collect::<BTreeSet<u32>>()
    };
    let whole_files: BTreeSet<u32> = primary
        .iter()
        .filter_map(|span| file(span, written))
        .flat_map(|file| file.placed.iter().map(|placed| placed.id))
        .collect();
    [blamed(&primary), blamed(&secondary), blamed(&mentioned), whole_files]
        .into_iter()
        .find(|blamed| !blamed.is_empty())
        .unwrap_or_default()
}

/// The spans in our files. An error inside a macro of others lies, for us, where our file calls it.
fn ours<'a>(spans: Vec<&'a Value>, written: &BTreeMap<String, Rewritten>) -> Vec<&'a Value> {
    let callers = |span| std::iter::successors(Some(span), |span: &&Value| span["expansion"].get("span"));
    spans.into_iter().filter_map(|span| callers(span).find(|span| file(span, written).is_some())).collect()
}

fn file<'a>(span: &Value, written: &'a BTreeMap<String, Rewritten>) -> Option<&'a Rewritten> {
    let name = span["file_name"].as_str()?;
    written.get(name.strip_prefix(SRC)?.trim_start_matches('/'))
}

fn by_place(span: &Value, written: &BTreeMap<String, Rewritten>) -> Option<Vec<u32>> {
    let byte = |name: &str| span[name].as_u64().and_then(|byte| usize::try_from(byte).ok());
    Some(file(span, written)?.blamed(&(byte("byte_start")?..byte("byte_end")?)))
}

fn programs(messages: &[Value]) -> Result<Programs, String> {
    let mut programs = Programs::default();
    for message in messages.iter().filter(|message| message["reason"] == "compiler-artifact") {
        let Some(path) = message["executable"].as_str().map(PathBuf::from) else { continue };
        let is_of_core = message["package_id"].as_str().is_some_and(|id| id.contains("once-core"));
        match (message["target"]["kind"][0].as_str(), message["profile"]["test"] == true) {
            (Some("lib"), true) if is_of_core => programs.core.push(path),
            (Some("test"), true) => programs.stories.push(path),
            (Some("bin"), false) => programs.simulator = path,
            _ => {}
        }
    }
    if programs.core.is_empty() || programs.stories.is_empty() || programs.simulator.as_os_str().is_empty() {
        return Err(format!("cargo built not all that judges, only {programs:?}"));
    }
    Ok(programs)
}

#[cfg(test)]
mod tests {
    use super::super::rewrite::Placed;
    use super::*;

    fn written() -> BTreeMap<String, Rewritten> {
        let placed = vec![
            Placed { id: 1, changed: 10..20, whole: 5..90 },
            Placed { id: 2, changed: 30..40, whole: 25..60 },
        ];
        BTreeMap::from([("rights.rs".to_owned(), Rewritten { text: String::new(), placed })])
    }

    fn error(spans: &[(usize, usize, bool)]) -> Value {
        let span = |&(start, end, is_primary): &(usize, usize, bool)| {
            serde_json::json!({
                "file_name": "crates/once-core/src/rights.rs",
                "byte_start": start, "byte_end": end, "is_primary": is_primary,
            })
        };
        serde_json::json!({ "spans": spans.iter().map(span).collect::<Vec<_>>(), "children": [] })
    }

    #[test]
    fn an_error_is_blamed_on_the_change_in_which_it_lies_or_on_what_is_next_to_it() {
        let blamed = |spans: &[(usize, usize, bool)]| blame(&error(spans), &written());
        assert_eq!(blamed(&[(12, 14, true)]), BTreeSet::from([1]));
        assert_eq!(blamed(&[(31, 33, true), (12, 14, false)]), BTreeSet::from([2]));
        assert_eq!(blamed(&[(50, 55, true)]), BTreeSet::from([2]));
        assert_eq!(blamed(&[(70, 75, true)]), BTreeSet::from([1]));
        assert_eq!(blamed(&[(95, 99, true), (12, 14, false)]), BTreeSet::from([1]));
        assert_eq!(blamed(&[(95, 99, true)]), BTreeSet::from([1, 2]));
        let elsewhere = serde_json::json!({ "spans": [{ "file_name": "crates/once-sim/src/lib.rs", "byte_start": 1,
            "byte_end": 2, "is_primary": true }], "children": [] });
        assert!(blame(&elsewhere, &written()).is_empty());
    }

    #[test]
    fn an_error_inside_a_macro_of_others_is_blamed_on_who_calls_it() {
        let call = error(&[(12, 14, true)])["spans"][0].clone();
        let inside = serde_json::json!({ "file_name": "library/alloc/src/macros.rs", "byte_start": 1, "byte_end": 2,
            "is_primary": true, "expansion": { "span": call } });
        let error = serde_json::json!({ "spans": [inside], "children": [] });
        assert_eq!(blame(&error, &written()), BTreeSet::from([1]));
    }
}
