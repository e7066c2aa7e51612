//! How a kernel is: its own account, what could be wrong, and what a person decides about it.

use once_core::peers::PeerStatus;
use once_core::waist::Command;
use once_model::ids::{KernelId, ObjectKey};
use once_model::limits::PEERS_MAX;

use super::awaited;
use crate::api::contract::{
    self, BootInfo, CheckInfo, KernelInfo, QuarantineInfo, StatusResult, SurveyResult,
};
use crate::api::{damage, doctor, names, status};
use crate::error::OrError;
use crate::{Error, Kernel};

/// Builder of an examination. Awaiting it returns one check for each thing that was looked at.
///
/// ```no_run
/// # async fn run(alice: once::Kernel) -> Result<(), once::Error> {
/// let quick = alice.doctor().await?;
/// let whole = alice.doctor().all().await?; // reads every object
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use]
pub struct Doctor {
    kernel: Kernel,
    all: bool,
}

impl Doctor {
    /// Reads every object and every file, however long that takes. Without it the doctor answers within seconds.
    pub fn all(mut self) -> Self {
        self.all = true;
        self
    }

    async fn run(self) -> Result<Vec<CheckInfo>, Error> {
        Ok(doctor::examine(&self.kernel, contract::Doctor { all: self.all }).await?.checks)
    }
}

/// Builder of a survey of all objects. Awaiting it returns the page, and where the next one begins.
///
/// ```no_run
/// # async fn run(alice: once::Kernel, key: once::ObjectKey) -> Result<(), once::Error> {
/// let first = alice.survey().await?;
/// let rest = alice.survey().after(key).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use]
pub struct Survey {
    kernel: Kernel,
    after: Option<ObjectKey>,
}

impl Survey {
    /// Begins behind this object: the last one of the page before.
    pub fn after(mut self, object: ObjectKey) -> Self {
        self.after = Some(object);
        self
    }

    async fn run(self) -> Result<SurveyResult, Error> {
        let after = self.after.as_ref().map(names::key_text);
        damage::survey(&self.kernel, contract::Survey { after }).await
    }
}

/// Builder of the end of a quarantine. Awaiting it ends the quarantine, and returns the new incarnation.
///
/// ```no_run
/// # async fn run(alice: once::Kernel, bob: once::KernelId) -> Result<(), once::Error> {
/// alice.end_quarantine().without(bob).await?; // bob cannot be reached, and is not waited for
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use]
pub struct EndQuarantine {
    kernel: Kernel,
    without: Vec<KernelId>,
}

impl EndQuarantine {
    /// Gives a peer up: what only it knows of this kernel's objects is not waited for.
    pub fn without(mut self, peer: KernelId) -> Self {
        self.without.push(peer);
        self
    }

    async fn run(self) -> Result<String, Error> {
        if self.without.len() > PEERS_MAX {
            return Err(Error::usage(format!("more than {PEERS_MAX} peers: no kernel has so many")));
        }
        self.kernel.command(Command::EndQuarantine { without: self.without }).await?;
        let incarnation = once_core::meta::incarnation(&self.kernel.shared().snapshot()).or_error()?;
        Ok(incarnation.to_string())
    }
}

awaited! {
    Doctor => Vec<CheckInfo>;
    Survey => SurveyResult;
    EndQuarantine => String;
}

impl Kernel {
    /// What this kernel says of itself: counts, sizes, times and what is under way.
    ///
    /// ```no_run
    /// # fn run(alice: once::Kernel) -> Result<(), once::Error> {
    /// let status = alice.status()?;
    /// println!("{} objects, {} conflicts", status.objects, status.conflicts);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn status(&self) -> Result<StatusResult, Error> {
        status::status(self)
    }

    /// Looks for what could be wrong with this kernel, and says what to do about it.
    ///
    /// ```no_run
    /// # async fn run(alice: once::Kernel) -> Result<(), once::Error> {
    /// for check in alice.doctor().await?.iter().filter(|check| !check.ok) {
    ///     println!("{}: {}", check.check, check.message);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When so much is broken that nothing can be said.
    pub fn doctor(&self) -> Doctor {
        Doctor { kernel: self.clone(), all: false }
    }

    /// Reads every object, page by page, and says which of them are damaged.
    ///
    /// ```no_run
    /// # async fn run(alice: once::Kernel) -> Result<(), once::Error> {
    /// let page = alice.survey().await?;
    /// let damaged = page.objects.iter().filter(|object| object.damage.is_some());
    /// println!("{} damaged", damaged.count());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When nothing can be read.
    pub fn survey(&self) -> Survey {
        Survey { kernel: self.clone(), after: None }
    }

    /// A person has seen what a damaged journal lost, which the doctor reports until then. Returns how many losses that were.
    ///
    /// ```no_run
    /// # fn run(alice: once::Kernel) -> Result<(), once::Error> {
    /// println!("{:?}", alice.confirm_losses()?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When it cannot be written down.
    pub fn confirm_losses(&self) -> Result<contract::ConfirmLossesResult, Error> {
        damage::confirm(self)
    }

    /// A person says that the system's clock is right, although it is behind the latest time that this kernel has seen.
    ///
    /// ```no_run
    /// # async fn run(alice: once::Kernel) -> Result<(), once::Error> {
    /// alice.accept_clock().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the kernel is stopping, or its disk is full.
    pub async fn accept_clock(&self) -> Result<contract::ClockAcceptResult, Error> {
        doctor::accept_clock(self).await
    }

    /// What is known of this kernel's quarantine; `None` if it is in none. A kernel whose data directory was put back from a backup
    /// changes nothing until its peers have told what they know of it.
    ///
    /// ```no_run
    /// # fn run(alice: once::Kernel) -> Result<(), once::Error> {
    /// if let Some(quarantine) = alice.quarantine()? {
    ///     println!("{} peers were not heard yet", quarantine.waits_for.len());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn quarantine(&self) -> Result<Option<QuarantineInfo>, Error> {
        let snapshot = self.shared().snapshot();
        let Some(row) = once_core::quarantine(&snapshot).or_error()? else {
            return Ok(None);
        };
        let shown = row.shown.iter().map(|said| BootInfo {
            incarnation: said.incarnation.to_string(),
            boot: said.boot,
            boot_id: said.id.to_string(),
            commit: said.commit,
        });
        let (mut heard, mut waits_for) = (Vec::new(), Vec::new());
        for (peer, known) in once_core::peers::all(&snapshot).or_error()? {
            let one = KernelInfo { kernel: peer.to_string(), name: names::name_of(self, &peer) };
            match (row.heard.contains(&peer), known.status) {
                (true, _) => heard.push(one),
                (false, PeerStatus::Active) => waits_for.push(one),
                (false, _) => {}
            }
        }
        let quarantine = QuarantineInfo {
            since_ms: row.since_ms,
            commit: once_core::meta::commit_number(&snapshot).or_error()?,
            shown: shown.collect(),
            heard,
            waits_for,
        };
        Ok(Some(quarantine))
    }

    /// Ends this kernel's quarantine, when each peer was heard or is given up by name.
    ///
    /// ```no_run
    /// # async fn run(alice: once::Kernel, lost: once::KernelId) -> Result<(), once::Error> {
    /// alice.end_quarantine().without(lost).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When it is in none, or a peer was not heard and is not given up.
    pub fn end_quarantine(&self) -> EndQuarantine {
        EndQuarantine { kernel: self.clone(), without: Vec::new() }
    }
}
