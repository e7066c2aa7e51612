//! The forms of reference that others have used.

use super::error::bare_uuid;
use super::form::Form;

/// Whether a text claims to be a reference. Schemes are read in any case, as in URLs; forms are not.
pub(super) fn has_scheme(text: &str) -> bool {
    ["ior:", "web4:"]
        .iter()
        .any(|scheme| text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)))
}

/// The form of a reference that is neither ours nor a bare UUID.
pub(super) fn read(text: &str) -> Form<'_> {
    let form = match text.strip_prefix("ior:") {
        Some(rest) => match rest.split_once(':') {
            Some(("git", rest)) => git(rest),
            Some(("esm", rest)) => esm(rest),
            Some(("unit", rest)) => bare_uuid(rest.strip_prefix("uuid:").unwrap_or(rest)).map(Form::Unit),
            Some(("local", rest)) => local(rest),
            Some((scheme @ ("https" | "http" | "wss" | "ws"), rest)) => http(scheme, rest),
            _ => None,
        },
        None => text.strip_prefix("web4://").and_then(web4),
    };
    form.unwrap_or(Form::Other)
}

fn git(rest: &str) -> Option<Form<'_>> {
    if let Some(hash) = rest.strip_prefix("hash:") {
        return Some(Form::GitHash(hash));
    }
    if let Some(rest) = rest.strip_prefix("text:") {
        return Some(match rest.split_once('#') {
            Some((url, lines)) => Form::GitText { url, lines: Some(lines) },
            None => Form::GitText { url: rest, lines: None },
        });
    }
    let mut parts = rest.splitn(5, '/');
    match (parts.next()?, parts.next()?, parts.next()?, parts.next()?, parts.next()?) {
        (host, org, repo, "blob", branch_and_path) => Some(Form::Git { host, org, repo, branch_and_path }),
        _ => None,
    }
}

fn esm(rest: &str) -> Option<Form<'_>> {
    let (package, rest) = rest.strip_prefix('/')?.split_once('/')?;
    let (version, name) = rest.split_once('/')?;
    Some(Form::Esm { package, version, name })
}

fn local(rest: &str) -> Option<Form<'_>> {
    if let Some(path) = rest.strip_prefix("ln:file:") {
        return Some(Form::Local { path, link: true });
    }
    rest.strip_prefix("file://").map(|path| Form::Local { path, link: false })
}

fn http<'a>(scheme: &'a str, rest: &'a str) -> Option<Form<'a>> {
    let (path, query) = match rest.strip_prefix("//")?.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (rest.strip_prefix("//")?, None),
    };
    let mut parts = path.splitn(5, '/');
    let (hosts, component, version) = (parts.next()?, parts.next()?, parts.next()?);
    let uuid = bare_uuid(parts.next()?)?;
    Some(Form::Http { scheme, hosts, component, version, uuid, method: parts.next(), query })
}

fn web4(rest: &str) -> Option<Form<'_>> {
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let host = place.split('/').next()?;
    let value = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    let uuid = value("uuid").and_then(bare_uuid);
    Some(Form::Web4 { host, uuid, component: value("type"), version: value("version") })
}
