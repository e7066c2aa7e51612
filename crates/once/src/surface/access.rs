//! Rights: giving them, taking them back, listing them.

use std::ops::ControlFlow;
use std::time::Duration;

use once_core::Refusal;
use once_core::access::{Grant as Row, Listed, Right as Kind, Scope};
use once_core::store::{StoreError, Table, try_scan};
use once_core::waist::Command;
use once_model::ids::{KernelId, ObjectKey};
use once_model::limits::GRANT_ACTIONS_MAX;

use super::awaited;
use crate::api::contract::{GrantInfo, GrantScope, Right};
use crate::api::names;
use crate::error::{IntoError, OrError};
use crate::shell::now_ms;
use crate::{Error, Kernel};

/// Who is given which right on what.
#[derive(Debug, Clone)]
struct Wish {
    peer: KernelId,
    right: Right,
    to_object: Option<ObjectKey>,
    scope: Scope,
    expires: Option<Duration>,
    actions: Option<Vec<String>>,
}

impl Wish {
    const fn new(peer: KernelId, right: Right) -> Self {
        Self { peer, right, to_object: None, scope: Scope::Kernel, expires: None, actions: None }
    }

    /// The row that says so, if it makes sense.
    fn row(self) -> Result<Row, Error> {
        let Self { peer, right, to_object, scope, expires, actions } = self;
        if actions.as_ref().is_some_and(|names| names.len() > GRANT_ACTIONS_MAX) {
            return Err(Refusal::TooManyActions(GRANT_ACTIONS_MAX).into_error());
        }
        if to_object.is_some() && right != Right::Act {
            return Err(Error::usage("an object can be given the right to act, and no other"));
        }
        if actions.is_some() && right != Right::Act {
            return Err(Error::usage("only the right to act can be given for single actions"));
        }
        if actions.as_ref().is_some_and(|names| names.iter().all(|name| name.trim().is_empty())) {
            return Err(Error::usage("an action has a name"));
        }
        let of_object = matches!(scope, Scope::Object(_));
        let wrong = match right {
            Right::Share if scope != Scope::Kernel => {
                Some("the right to share is given on the kernel, not on an object or a component")
            }
            Right::Host if of_object => Some(
                "the right to host is given on the kernel or on a component: an object that is here has its home here",
            ),
            Right::Find if of_object => Some(
                "the right to find is given on the kernel or on a component: of one object, give the right to read",
            ),
            _ => None,
        };
        if let Some(wrong) = wrong {
            return Err(Error::usage(wrong));
        }
        let expires_ms = expires
            .map(|after| now_ms().saturating_add(u64::try_from(after.as_millis()).unwrap_or(u64::MAX)));
        let right = kind(right);
        Ok(Row { scope, right, kernel: peer, object: to_object, expires_ms, actions })
    }
}

/// The right as the engine has it.
pub(crate) const fn kind(right: Right) -> Kind {
    match right {
        Right::Share => Kind::Share,
        Right::Read => Kind::Read,
        Right::Act => Kind::Act,
        Right::Host => Kind::Host,
        Right::Find => Kind::Find,
    }
}

/// Gives both builders the same options.
macro_rules! scoped {
    ($builder:ident) => {
        impl $builder {
            /// For one object of that kernel alone, instead of for the kernel: it may act ([`Right::Act`]), wherever it moves.
            pub fn to_object(mut self, object: ObjectKey) -> Self {
                self.wish.to_object = Some(object);
                self
            }

            /// On one object, instead of on every object of this kernel.
            pub fn on(mut self, object: ObjectKey) -> Self {
                self.wish.scope = Scope::Object(object);
                self
            }

            /// On every object of a component, instead of on every object of this kernel.
            pub fn component(mut self, name: impl Into<String>) -> Self {
                self.wish.scope = Scope::Component(name.into());
                self
            }

            /// For these actions alone ([`Right::Act`]), instead of for every action.
            pub fn actions(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
                self.wish.actions = Some(names.into_iter().map(Into::into).collect());
                self
            }
        }
    };
}

/// Builder of a grant. Awaiting it gives it, and returns all grants of that right that its receiver holds then.
///
/// Without options it is a right on every object of this kernel, without an end.
///
/// ```no_run
/// # async fn run(alice: once::Kernel, bob: once::KernelId, key: once::ObjectKey) -> Result<(), once::Error> {
/// use std::time::Duration;
///
/// use once::Right;
///
/// alice.grant(bob, Right::Act).on(key).actions(["add", "get"]).expires(Duration::from_secs(3600)).await?;
/// alice.grant(bob, Right::Read).component("Note").await?;
/// // An object of bob's may act here in its own name.
/// alice.grant(bob, Right::Act).to_object(key).component("Counter").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use]
pub struct Grant {
    kernel: Kernel,
    wish: Wish,
}

scoped!(Grant);

impl Grant {
    /// Ends the grant after this time.
    pub fn expires(mut self, after: Duration) -> Self {
        self.wish.expires = Some(after);
        self
    }

    async fn run(self) -> Result<Vec<GrantInfo>, Error> {
        let row = self.wish.row()?;
        self.kernel.command(Command::Grant(row.clone())).await?;
        left(&self.kernel, &row)
    }
}

/// Builder of a revocation. Awaiting it takes it back, and returns all grants of that right that its holder has then.
///
/// It takes back what was given with the same options.
///
/// ```no_run
/// # async fn run(alice: once::Kernel, bob: once::KernelId, key: once::ObjectKey) -> Result<(), once::Error> {
/// use once::Right;
///
/// alice.revoke(bob, Right::Act).on(key).actions(["add"]).await?;
/// alice.revoke(bob, Right::Read).component("Note").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use]
pub struct Revoke {
    kernel: Kernel,
    wish: Wish,
}

scoped!(Revoke);

impl Revoke {
    async fn run(self) -> Result<Vec<GrantInfo>, Error> {
        let row = self.wish.row()?;
        self.kernel.command(Command::Revoke(row.clone())).await?;
        left(&self.kernel, &row)
    }
}

awaited! {
    Grant => Vec<GrantInfo>;
    Revoke => Vec<GrantInfo>;
}

impl Kernel {
    /// Gives a peer a right: on every object here, or on what the options of [`Grant`] say. It holds from the moment that this
    /// returns, and is looked at whenever the peer asks for something.
    ///
    /// ```no_run
    /// # async fn run(alice: once::Kernel, bob: once::KernelId, key: once::ObjectKey) -> Result<(), once::Error> {
    /// use std::time::Duration;
    /// use once::Right;
    ///
    /// alice.grant(bob, Right::Read).await?;                                  // all that is here
    /// alice.grant(bob, Right::Act).on(key).actions(["add"]).await?;          // one action on one object
    /// alice.grant(bob, Right::Read).component("Note").expires(Duration::from_secs(3600)).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When that is no peer, or there is no such right: an object alone cannot be hosted, for example.
    pub fn grant(&self, peer: KernelId, right: Right) -> Grant {
        Grant { kernel: self.clone(), wish: Wish::new(peer, right) }
    }

    /// Takes a right back that was given with [`Kernel::grant`] and the same options. It ends at once.
    ///
    /// ```no_run
    /// # async fn run(alice: once::Kernel, bob: once::KernelId, key: once::ObjectKey) -> Result<(), once::Error> {
    /// let left = alice.revoke(bob, once::Right::Act).on(key).await?;
    /// println!("{} other grants to act", left.len());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When it was not given so.
    pub fn revoke(&self, peer: KernelId, right: Right) -> Revoke {
        Revoke { kernel: self.clone(), wish: Wish::new(peer, right) }
    }

    /// Every right that was given here, also those that have ended by themselves.
    ///
    /// ```no_run
    /// # fn run(alice: once::Kernel) -> Result<(), once::Error> {
    /// for grant in alice.grants()?.iter().filter(|grant| !grant.ended) {
    ///     println!("{} may {:?}", grant.peer, grant.right);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn grants(&self) -> Result<Vec<GrantInfo>, Error> {
        Ok(listed(self)?.into_iter().map(|listed| shape(self, listed)).collect())
    }
}

/// Everything that a grantee may do now by this right, on whatever thing.
fn left(kernel: &Kernel, of: &Row) -> Result<Vec<GrantInfo>, Error> {
    let now_ms = now_ms();
    let mut left = listed(kernel)?;
    left.retain(|listed| {
        let grant = &listed.grant;
        (grant.kernel, grant.object, grant.right) == (of.kernel, of.object, of.right) && listed.holds(now_ms)
    });
    Ok(left.into_iter().map(|listed| shape(kernel, listed)).collect())
}

/// Every right as it is listed, one for each action that is given alone.
pub(crate) fn listed(kernel: &Kernel) -> Result<Vec<Listed>, Error> {
    let mut all = Vec::new();
    try_scan(&kernel.shared().snapshot(), Table::Grant, &[], None, |key, value| {
        all.extend(Row::list(key, &value)?);
        Ok::<_, StoreError>(ControlFlow::Continue(()))
    })
    .or_error()?;
    Ok(all)
}

/// A right, as the contract has it.
pub(crate) fn shape(kernel: &Kernel, listed: Listed) -> GrantInfo {
    let ended = !listed.holds(now_ms());
    let grant = listed.grant;
    let (scope, component, object) = match grant.scope {
        Scope::Kernel => (GrantScope::All, None, None),
        Scope::Component(name) => (GrantScope::Component, Some(name), None),
        Scope::Object(key) => (GrantScope::Object, None, Some(names::key_text(&key))),
    };
    GrantInfo {
        peer: names::name_of(kernel, &grant.kernel),
        kernel: grant.kernel.to_string(),
        to_object: grant.object.as_ref().map(names::key_text),
        right: match grant.right {
            Kind::Share => Right::Share,
            Kind::Read => Right::Read,
            Kind::Act => Right::Act,
            Kind::Host => Right::Host,
            Kind::Find => Right::Find,
        },
        scope,
        object,
        component,
        expires_ms: grant.expires_ms,
        ended,
        actions: grant.actions,
    }
}
