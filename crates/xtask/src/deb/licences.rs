//! The licences of what is linked into the binary, with their texts: all of them ask to be named.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::Path;

use serde_json::Value;

/// How the files begin in which crates keep their licences.
const NAMES: [&str; 5] = ["license", "licence", "copying", "copyright", "notice"];

const BINARY: &str = "once-cli";

/// The crates that the binary is made of, each with its licence, then each text with the crates that have it.
pub fn of(metadata: &Value) -> Result<String, String> {
    let packages = list(metadata, "packages")?;
    let by_id: BTreeMap<&str, &Value> =
        packages.iter().filter_map(|one| Some((one["id"].as_str()?, one))).collect();
    let mut out = "What once is made of besides its own sources, and under which licences.\n\n".to_owned();
    let mut texts: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut count = 0;
    for id in linked(metadata, &by_id)? {
        let Some(package) = by_id.get(id).filter(|package| !package["source"].is_null()) else { continue };
        let name = format!("{} {}", super::text(package, "name")?, super::text(package, "version")?);
        let licence = package["license"].as_str().unwrap_or("see its file");
        let _ = writeln!(out, "{name}: {licence}");
        count += 1;
        let folder = Path::new(super::text(package, "manifest_path")?).parent().unwrap_or(Path::new("/"));
        for text in files(folder)? {
            texts.entry(text).or_default().insert(name.clone());
        }
    }
    if count == 0 || texts.is_empty() {
        return Err("no crate that the binary is made of was found".to_owned());
    }
    for (text, names) in texts {
        let names: Vec<_> = names.into_iter().collect();
        let _ = write!(out, "\n{}\n{}:\n\n{}\n", "=".repeat(80), names.join(", "), text.trim_end());
    }
    Ok(out)
}

/// The ids of all that is linked into the binary: not what only builds or tests it.
fn linked<'a>(metadata: &'a Value, by_id: &BTreeMap<&'a str, &Value>) -> Result<BTreeSet<&'a str>, String> {
    let nodes = list(&metadata["resolve"], "nodes")?;
    let nodes: BTreeMap<&str, &Value> =
        nodes.iter().filter_map(|node| Some((node["id"].as_str()?, node))).collect();
    let begin = by_id.iter().find(|(_, package)| package["name"] == BINARY).map(|(id, _)| *id);
    let mut open = vec![begin.ok_or_else(|| format!("no crate {BINARY}"))?];
    let mut found = BTreeSet::new();
    while let Some(id) = open.pop() {
        if !found.insert(id) {
            continue;
        }
        for dependency in nodes.get(id).map(|node| list(node, "deps")).transpose()?.unwrap_or_default() {
            let normal = |kind: &Value| kind["kind"].is_null();
            if dependency["dep_kinds"].as_array().is_some_and(|kinds| kinds.iter().any(normal)) {
                open.extend(dependency["pkg"].as_str());
            }
        }
    }
    Ok(found)
}

/// The texts of the licences in a crate's folder.
fn files(folder: &Path) -> Result<Vec<String>, String> {
    let mut texts = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| super::said(folder, &error))? {
        let path = entry.map_err(|error| super::said(folder, &error))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        if path.is_file() && NAMES.iter().any(|begin| name.starts_with(begin)) {
            let bytes = fs::read(&path).map_err(|error| super::said(&path, &error))?;
            texts.push(String::from_utf8_lossy(&bytes).replace('\r', ""));
        }
    }
    Ok(texts)
}

fn list<'a>(value: &'a Value, name: &str) -> Result<&'a [Value], String> {
    value[name].as_array().map(Vec::as_slice).ok_or_else(|| format!("cargo metadata has no {name}"))
}
