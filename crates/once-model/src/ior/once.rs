//! Our own form: `ior:once://<home>/<Component>/<version>/<uuid>?lineage=…&hash=…&at=…`.

use std::fmt::Write as _;
use std::net::SocketAddr;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use uuid::Uuid;

use super::error::{IorError, bare_uuid};
use crate::ids::{Hash, KernelId, Lineage};

/// What our references start with; what follows is read by [`read`].
pub(super) const PREFIX: &str = "ior:once:";

/// Stands for a home, component or version that is not known.
const UNKNOWN: &str = "-";

/// All but the unreserved characters of RFC 3986: what is left needs no quoting in a URL, a shell or JSON.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Addresses also keep their colons, which a query may have.
const RESERVED_IN_ADDRESS: &AsciiSet = &RESERVED.remove(b':');

/// The parts of a reference of ours. UUID and lineage identify the object; all else are hints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnceIor {
    /// The kernel where the object was at home when the reference was made, if known.
    pub home: Option<KernelId>,
    /// The component; empty if not known.
    pub component: String,
    /// The component's version; empty if not known.
    pub version: String,
    /// The UUID of the object.
    pub uuid: Uuid,
    /// Which object of this UUID, if it is claimed.
    pub lineage: Option<Lineage>,
    /// Which object of this UUID, if it is unclaimed: the hash of its content.
    pub content: Option<Hash>,
    /// Where the home could be reached: socket addresses or `host:port`.
    pub at: Vec<String>,
}

impl OnceIor {
    /// A reference that knows only the UUID.
    #[must_use]
    pub fn new(uuid: Uuid) -> Self {
        Self {
            home: None,
            component: String::new(),
            version: String::new(),
            uuid,
            lineage: None,
            content: None,
            at: Vec::new(),
        }
    }
}

/// Prints a reference. Addresses are checked here, since a wrong one could change what the rest means.
pub(super) fn write(parts: &OnceIor) -> Result<String, IorError> {
    let mut text = format!("{PREFIX}//");
    match &parts.home {
        Some(home) => text.push_str(&home.to_string()),
        None => text.push_str(UNKNOWN),
    }
    for name in [&parts.component, &parts.version] {
        text.push('/');
        write_name(&mut text, name);
    }
    text.push('/');
    text.push_str(&parts.uuid.to_string());
    let mut mark = '?';
    let mut parameter = |text: &mut String, name: &str| {
        text.push(mark);
        text.push_str(name);
        text.push('=');
        mark = '&';
    };
    if let Some(lineage) = &parts.lineage {
        parameter(&mut text, "lineage");
        text.push_str(&lineage.to_string());
    }
    if let Some(content) = &parts.content {
        parameter(&mut text, "hash");
        text.push_str(&content.to_string());
    }
    for (index, address) in parts.at.iter().enumerate() {
        if !is_address(address) {
            let address = address.chars().take(64).collect();
            return Err(IorError::Address { address });
        }
        if index == 0 {
            parameter(&mut text, "at");
        } else {
            text.push(',');
        }
        text.extend(utf8_percent_encode(address, RESERVED_IN_ADDRESS));
    }
    Ok(text)
}

/// A name must not look like an unknown one, nor like a dot segment, which URL tools remove.
fn write_name(text: &mut String, name: &str) {
    match name {
        "" => text.push_str(UNKNOWN),
        "-" | "." | ".." => {
            for byte in name.bytes() {
                let _ = write!(text, "%{byte:02X}"); // writing to a string cannot fail
            }
        }
        _ => text.extend(utf8_percent_encode(name, RESERVED)),
    }
}

/// Reads what follows [`PREFIX`]. Unknown parameters and addresses of a kind that is not known are passed over: they
/// are hints, and later versions may have more of them.
pub(super) fn read(rest: &str) -> Result<OnceIor, IorError> {
    let rest = rest.strip_prefix("//").ok_or(IorError::Shape)?;
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let mut segments = path.split('/');
    let mut segment = || segments.next().ok_or(IorError::Shape);
    let (home, component, version, uuid) = (segment()?, segment()?, segment()?, segment()?);
    if segments.next().is_some() {
        return Err(IorError::Shape);
    }
    let home = match home {
        UNKNOWN => None,
        home => Some(home.parse().map_err(|_| IorError::Part { part: "home" })?),
    };
    let mut parts = OnceIor {
        home,
        component: read_name(component, "component")?,
        version: read_name(version, "version")?,
        ..OnceIor::new(bare_uuid(uuid).ok_or(IorError::Part { part: "UUID" })?)
    };
    for parameter in query.split('&') {
        match parameter.split_once('=') {
            Some(("lineage", value)) => once(&mut parts.lineage, value, "lineage")?,
            Some(("hash", value)) => once(&mut parts.content, value, "hash")?,
            Some(("at", value)) => parts.at.extend(
                value.split(',').filter_map(|address| decoded(address).filter(|address| is_address(address))),
            ),
            _ => {}
        }
    }
    Ok(parts)
}

/// Reads a part that identifies the object: a second one would make two readers see two objects.
fn once<T: std::str::FromStr>(slot: &mut Option<T>, value: &str, part: &'static str) -> Result<(), IorError> {
    let value = value.parse().map_err(|_| IorError::Part { part })?;
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(IorError::Twice { part }),
    }
}

fn read_name(segment: &str, part: &'static str) -> Result<String, IorError> {
    match segment {
        "" => Err(IorError::Shape),
        UNKNOWN => Ok(String::new()),
        name => decoded(name).ok_or(IorError::Part { part }),
    }
}

fn decoded(text: &str) -> Option<String> {
    percent_decode_str(text).decode_utf8().ok().map(Into::into)
}

/// `10.0.0.7:42777`, `[::1]:42777` or `host.example:42777`.
fn is_address(text: &str) -> bool {
    const HOST_MAX_BYTES: usize = 253; // longest name in DNS
    if let Ok(address) = text.parse::<SocketAddr>() {
        return address.port() != 0;
    }
    text.rsplit_once(':').is_some_and(|(host, port)| {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
        (1..=HOST_MAX_BYTES).contains(&host.len())
            && host.bytes().all(plain)
            && port.bytes().all(|b| b.is_ascii_digit())
            && port.parse::<u16>().is_ok_and(|port| port != 0)
    })
}
