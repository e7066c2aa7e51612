//! Looking for objects by what they are. One call is about one kernel and gives one page: so who asks several at once waits for
//! none of them, and shows what is there.

use std::time::Duration;

use bytes::Bytes;
use data_encoding::HEXLOWER;
use once_model::find::{Condition, Finding, Question};
use once_model::ids::KernelId;
use once_model::ior::{Ior, OnceIor};
use serde::{Deserialize, Serialize};

use super::names;
use crate::find::{SEARCH_MAX, wrong};
use crate::{Error, Kernel};

/// Parameters of `find`. What is absent does not matter; what is there must all fit.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FindParams {
    /// Stands somewhere in the scenario, as it is spelled there; ASCII letters in either case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The component, exactly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component: Option<String>,
    /// A glob for the whole name: `*` is any run of characters, `?` is one character; ASCII letters in either case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Values that the scenario has.
    #[serde(default, rename = "where", skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<FindCondition>,
    /// The newest revision was stored by the asked kernel at this time or later, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_since_ms: Option<u64>,
    /// The home: a kernel id, the name of a peer, or `here`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home: Option<String>,
    /// Which kernel to ask: a peer. This one if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// Where to go on: `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// At most so many objects in this page; at most 128.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Stop waiting for the peer after this time, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
}

/// A value that a scenario has at one place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FindCondition {
    /// Where: a JSON pointer, like `/model/color`.
    pub pointer: String,
    /// What: a string, a number, a truth value or null.
    pub value: serde_json::Value,
}

/// The result of `find`: one page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindResult {
    /// The kernel that was asked.
    pub kernel: String,
    /// What it is called here.
    pub kernel_name: String,
    /// What was found, in the order of keys; perhaps nothing, although there is a next page.
    pub objects: Vec<FoundShape>,
    /// The `after` of the next page; null when all was looked at.
    pub next: Option<String>,
}

/// An object that was found, as the asked kernel knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundShape {
    /// Its UUID.
    pub uuid: String,
    /// UUID and lineage or content.
    pub key: String,
    /// A reference to it.
    pub ior: String,
    /// Its component; empty if it names none.
    pub component: String,
    /// The component's version.
    pub version: String,
    /// The name in its model.
    pub name: Option<String>,
    /// Its home; null while it is unclaimed.
    pub home: Option<String>,
    /// What the home is called here.
    pub home_name: Option<String>,
    /// The epoch of its newest revision there.
    pub epoch: u64,
    /// The number of that revision.
    pub revision: u64,
    /// The scenario's size in bytes.
    pub size: u64,
    /// When that kernel stored it, by its clock, in milliseconds since 1970.
    pub changed_ms: u64,
}

pub(super) async fn find(kernel: &Kernel, params: FindParams) -> Result<FindResult, Error> {
    let at = match &params.at {
        None => kernel.id(),
        Some(name) => kernel_named(kernel, name)?,
    };
    let within = params.timeout_ms.map_or(SEARCH_MAX, Duration::from_millis);
    let question = question(kernel, params)?;
    let found = kernel.find_page(at, &question, None, within).await?;
    Ok(FindResult {
        kernel: at.to_string(),
        kernel_name: names::name_of(kernel, &at),
        objects: found.objects.into_iter().map(|found| shape(kernel, found)).collect(),
        next: found.next.map(|next| HEXLOWER.encode(&next)),
    })
}

fn question(kernel: &Kernel, params: FindParams) -> Result<Question, Error> {
    let after = params.after.map(|after| HEXLOWER.decode(after.as_bytes())).transpose();
    let after = after.map_err(|_| Error::usage("`after` is not the `next` of a page"))?;
    let condition = |FindCondition { pointer, value }: FindCondition| Condition {
        pointer,
        value: Bytes::from(value.to_string()),
    };
    let question = Question {
        text: params.text,
        component: params.component,
        name: params.name,
        conditions: params.conditions.into_iter().map(condition).collect(),
        changed_since_ms: params.changed_since_ms,
        home: params.home.map(|home| kernel_named(kernel, &home)).transpose()?,
        after: after.map(Bytes::from),
        limit: params.limit.unwrap_or(0),
    };
    question.check().map_err(wrong)?;
    Ok(question)
}

/// A kernel, which need not be a peer.
fn kernel_named(kernel: &Kernel, name: &str) -> Result<KernelId, Error> {
    match name.parse() {
        Ok(id) => Ok(id),
        Err(_) if name == "here" => Ok(kernel.id()),
        Err(_) => names::peer(kernel, name).map(|(id, _)| id),
    }
}

fn shape(kernel: &Kernel, found: Finding) -> FoundShape {
    let (uuid, line) = (found.key.uuid, found.key.line);
    let named = OnceIor {
        home: found.home,
        component: found.component.clone(),
        version: found.version.clone(),
        lineage: found.key.lineage(),
        content: match line {
            once_model::ids::Line::Unclaimed(content) => Some(content),
            once_model::ids::Line::Claimed(_) => None,
        },
        ..OnceIor::new(uuid)
    };
    let nameless =
        || Ior::once(&OnceIor { component: String::new(), version: String::new(), ..named.clone() });
    let ior = Ior::once(&named).or_else(|_| nameless()).unwrap_or_else(|_| Ior::bare(uuid));
    FoundShape {
        uuid: uuid.to_string(),
        key: names::key_text(&found.key),
        ior: ior.as_str().to_owned(),
        component: found.component,
        version: found.version,
        name: found.name,
        home: found.home.map(|home| home.to_string()),
        home_name: found.home.map(|home| names::name_of(kernel, &home)),
        epoch: found.epoch,
        revision: found.revision,
        size: found.size,
        changed_ms: found.changed_ms,
    }
}
