//! Looking for objects by what they are. One call is about one kernel and gives one page: so who asks several at once waits for
//! none of them, and shows what is there.

use std::time::Duration;

use bytes::Bytes;
use data_encoding::HEXLOWER;
use once_model::find::{Condition, Finding, Question};
use once_model::ids::KernelId;
use once_model::ior::{Ior, OnceIor};

use super::contract::{self, FindCondition, FindResult, FoundInfo};
use super::names;
use crate::error::OrError;
use crate::find::{SEARCH_MAX, wrong};
use crate::object::Standpoint;
use crate::{Error, Kernel};

pub(super) async fn find(kernel: &Kernel, params: contract::Find) -> Result<FindResult, Error> {
    let at = match &params.at {
        None => kernel.id(),
        Some(name) => kernel_named(kernel, name)?,
    };
    let within = params.timeout_ms.map_or(SEARCH_MAX, Duration::from_millis);
    let question = question(kernel, params)?;
    let found = kernel.find_page(at, &question, None, within).await?;
    let snapshot = kernel.shared().snapshot();
    let here = Standpoint::of(&snapshot, kernel.id()).or_error()?;
    let mut objects = Vec::with_capacity(found.objects.len());
    for found in found.objects {
        let state = match at == kernel.id() {
            true => Some(here.state(&found.key, found.home).or_error()?),
            false => None,
        };
        objects.push(FoundInfo { state, ..shape(kernel, found) });
    }
    Ok(FindResult {
        kernel: at.to_string(),
        kernel_name: names::name_of(kernel, &at),
        objects,
        next: found.next.map(|next| HEXLOWER.encode(&next)),
    })
}

fn question(kernel: &Kernel, params: contract::Find) -> Result<Question, Error> {
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

fn shape(kernel: &Kernel, found: Finding) -> FoundInfo {
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
    FoundInfo {
        uuid: uuid.to_string(),
        key: names::key_text(&found.key),
        ior: ior.as_str().to_owned(),
        component: found.component,
        version: found.version,
        name: found.name,
        home: found.home.map(|home| home.to_string()),
        home_name: found.home.map(|home| names::name_of(kernel, &home)),
        state: None,
        epoch: found.epoch,
        revision: found.revision,
        size: found.size,
        changed_ms: found.changed_ms,
    }
}
