//! What peers read from snapshots: nothing without a right, and what is not there looks like what is not allowed.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use bytes::Bytes;
use once_core::object::{self, HeadRow};
use once_core::store::{Read, Table};

use once_model::hash::content_hash;
use once_model::ids::{ItemId, KernelId};
use once_model::receipt::EntriesOf;
use once_model::wire::{Absent, Code, Frame, Parcel, Pull, Request};

use super::Checker;
use crate::disk::Disk;

impl Checker {
    fn may_read(&self, kernel: &KernelId, peer: &KernelId, head: &HeadRow, now_ms: u64) -> bool {
        self.shadows.get(kernel).is_some_and(|shadow| shadow.rights.may_read(peer, head, now_ms))
    }

    /// A request was answered.
    pub fn answered(
        &self,
        kernel: &KernelId,
        peer: &KernelId,
        request: &Request,
        answer: &Frame,
        disk: &Disk,
        now_ms: u64,
    ) -> Result<(), String> {
        let heads = object::find(disk, &request.uuid, request.line).map_err(|error| error.to_string())?;
        let readable: Vec<_> =
            heads.iter().filter(|head| self.may_read(kernel, peer, head, now_ms)).collect();
        let living = readable.iter().filter(|head| !head.header.tombstone).count();
        // What its home never signed is not passed on.
        let provable = readable.iter().filter(|head| !self.forked.contains(&head.header.key())).count();
        match answer {
            Frame::Found(found) => self.given(kernel, peer, &found.parcel, disk, now_ms),
            Frame::Absent(Absent { code: Code::Denied, .. }) if provable == 0 || living == 0 => Ok(()),
            Frame::Absent(Absent { code: Code::Ambiguous, .. }) if living > 1 => Ok(()),
            other => Err(format!(
                "answers {} to a request for {} of which {peer:.10} may read {}",
                crate::shell::brief(other),
                request.uuid,
                readable.len()
            )),
        }
    }

    /// The entries of a history were told to a peer: only what it may read, each the one before the other.
    pub fn proves(
        &self,
        kernel: &KernelId,
        peer: &KernelId,
        of: &EntriesOf,
        answer: &Frame,
        disk: &Disk,
        now_ms: u64,
    ) -> Result<(), String> {
        let Frame::Entries(said) = answer else { return Err("answers something else than entries".into()) };
        let head = object::head(disk, &of.key).ok().flatten();
        let may = head.is_some_and(|head| self.may_read(kernel, peer, &head, now_ms));
        if !may && !said.entries.is_empty() {
            return Err(format!("tells {peer:.10} of the history of {}, which it may not read", of.key));
        }
        let mut link = of.newest;
        for entry in &said.entries {
            if super::history::hash(entry) != link || entry.object.uuid != of.key.uuid {
                return Err(format!("tells entries of {} that do not follow each other", of.key));
            }
            link = entry.previous;
        }
        Ok(())
    }

    /// A scenario was given to a peer.
    pub fn given(
        &self,
        kernel: &KernelId,
        peer: &KernelId,
        parcel: &Parcel,
        disk: &Disk,
        now_ms: u64,
    ) -> Result<(), String> {
        let key = parcel.header.key();
        let head = object::head(disk, &key).ok().flatten();
        if !head.is_some_and(|head| self.may_read(kernel, peer, &head, now_ms)) {
            return Err(format!("gives {key} to {peer:.10}, which may not read it"));
        }
        let mut wrong = Vec::new();
        super::effects::well_formed(parcel, &mut wrong);
        wrong.pop().map_or(Ok(()), |(_, what)| Err(what))
    }

    /// Bytes were given to a peer.
    pub fn pulled(
        &self,
        kernel: &KernelId,
        peer: &KernelId,
        pull: &Pull,
        bytes: &Bytes,
        disk: &Disk,
        now_ms: u64,
    ) -> Result<(), String> {
        let offset = usize::try_from(pull.offset).unwrap_or(usize::MAX);
        if let Some(luggage) = super::handing::sealed_for(disk, peer, pull) {
            return match luggage.get(offset..) == Some(bytes.as_ref()) {
                true => Ok(()),
                false => Err(format!("gives other luggage of {} than it sealed", pull.key)),
            };
        }
        let head = object::head(disk, &pull.key).ok().flatten();
        let shadow = self.shadows.get(kernel);
        let owed = shadow.is_some_and(|shadow| {
            [&shadow.promises, &shadow.in_vain]
                .iter()
                .any(|said| said.allow_as(peer, &pull.key, &pull.content))
                && shadow.rights.is_active(peer)
        });
        if !owed && !head.as_ref().is_some_and(|head| self.may_read(kernel, peer, head, now_ms)) {
            return Err(format!("gives the bytes of {} to {peer:.10}, which may not read it", pull.key));
        }
        // What an action wrote in a group that failed, and that survived it, was never seen.
        let survived = || {
            let place = object::body_key(&head.as_ref()?.header);
            let body = disk.get(Table::Body, &place).ok().flatten()?;
            (content_hash(&body) == pull.content && self.installed.may_write(&body)).then_some(body)
        };
        let whole = self.bodies.get(&pull.content).cloned().or_else(survived);
        if whole.as_ref().and_then(|whole| whole.get(offset..)) != Some(bytes.as_ref()) {
            return Err(format!("gives other bytes of {} than were imported", pull.key));
        }
        Ok(())
    }

    /// The items that a peer may hear of in an exchange.
    pub fn readable(&self, kernel: &KernelId, peer: &KernelId, disk: &Disk, now_ms: u64) -> BTreeSet<ItemId> {
        let mut items = BTreeSet::new();
        let read = object::heads(disk, &mut |head| {
            if self.may_read(kernel, peer, &head, now_ms) {
                items.insert(head.header.item_id());
            }
            ControlFlow::Continue(())
        });
        if read.is_err() { BTreeSet::new() } else { items }
    }
}
