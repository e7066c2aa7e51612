//! `Account`: money, or anything that is counted in whole units and must neither appear nor vanish.
//!
//! Besides `deposit` and `withdraw` it understands the three steps by which one waits for others: `reserve` sets an amount
//! aside under an id, `confirm` takes it out, `cancel` lets it go. Whoever gives up before they know whether their
//! `reserve` arrived cancels: that is remembered, so that a `reserve` which comes late fails.
//!
//! What became of ids is remembered for the [`ACCOUNT_ENDED_MAX`] that ended last. A `reserve` that comes even later than
//! that succeeds, and holds its amount until it is cancelled: money may wait, but is never lost or doubled. To confirm or
//! cancel again what is forgotten fails, or is remembered anew, and moves nothing.

use std::collections::BTreeMap;

use once_model::limits::{ACCOUNT_ENDED_MAX, ACCOUNT_ID_MAX_BYTES, ACCOUNT_RESERVED_MAX};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Component, Context, Get};
use crate::{Action, Model};

/// The state of an account, in minor units: cents.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// All that it has, also what is set aside.
    #[serde(default)]
    pub balance: u64,
    /// What is set aside, by id.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub reserved: BTreeMap<String, u64>,
    /// What became of the ids that ended last.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub ended: BTreeMap<String, Ended>,
}

/// What became of an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// Whether it was confirmed or cancelled.
    pub how: End,
    /// Ids that end later have a higher number.
    pub number: u64,
}

/// How a reservation ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum End {
    /// Its amount was taken out.
    Confirmed,
    /// Its amount was let go, or was never set aside.
    Cancelled,
}

/// What every action returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Funds {
    /// All that the account has.
    pub balance: u64,
    /// What is not set aside.
    pub available: u64,
}

impl Model for Account {
    const COMPONENT: &str = "Account";
    const VERSION: &str = "1.0";
}

/// Puts an amount in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Deposit {
    /// How much, in whole minor units above 0.
    pub amount: u64,
}

/// Takes an amount out, if that much is available.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Withdraw {
    /// How much, in whole minor units above 0.
    pub amount: u64,
}

/// Sets an amount aside, if that much is available. The same again is the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reserve {
    /// Under which id: used once.
    pub id: String,
    /// How much, in whole minor units above 0.
    pub amount: u64,
}

/// Takes out what is set aside. Again is the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Confirm {
    /// Under which id.
    pub id: String,
}

/// Lets go what is set aside, or what may still come to be. Again is the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Cancel {
    /// Under which id.
    pub id: String,
}

/// The actions all return what the account has then.
macro_rules! actions {
    ($($action:ident is $name:literal: |$this:ident, $account:ident| $act:expr;)*) => {$(
        impl Action<Account> for $action {
            const NAME: &str = $name;
            type Outcome = Funds;
            type Failure = String;

            fn act($this, $account: &mut Account, _: &Context) -> Result<Funds, String> {
                $act
            }
        }
    )*};
}

actions! {
    Deposit is "deposit": |self, account| account.deposit(self.amount);
    Withdraw is "withdraw": |self, account| account.withdraw(self.amount);
    Reserve is "reserve": |self, account| account.reserve(self.id, self.amount);
    Confirm is "confirm": |self, account| account.confirm(self.id);
    Cancel is "cancel": |self, account| account.cancel(self.id);
    Get is "get": |self, account| Ok(account.funds());
}

impl Account {
    /// An account that has so much.
    #[must_use]
    pub fn with(balance: u64) -> Self {
        Self { balance, ..Self::default() }
    }

    fn funds(&self) -> Funds {
        // More is never set aside than there is.
        let reserved = self.reserved.values().fold(0_u64, |sum, amount| sum.saturating_add(*amount));
        Funds { balance: self.balance, available: self.balance.saturating_sub(reserved) }
    }

    fn deposit(&mut self, amount: u64) -> Result<Funds, String> {
        some(amount)?;
        self.balance =
            self.balance.checked_add(amount).ok_or("the balance would be larger than an account can hold")?;
        Ok(self.funds())
    }

    fn withdraw(&mut self, amount: u64) -> Result<Funds, String> {
        some(amount)?;
        self.has(amount)?;
        self.balance -= amount;
        Ok(self.funds())
    }

    /// The same id with the same amount again is the same reservation.
    fn reserve(&mut self, id: String, amount: u64) -> Result<Funds, String> {
        some(amount)?;
        if id.is_empty() || id.len() > ACCOUNT_ID_MAX_BYTES {
            return Err(format!("an id has 1 to {ACCOUNT_ID_MAX_BYTES} bytes"));
        }
        match (self.reserved.get(&id), self.ended.get(&id).map(|ended| ended.how)) {
            (Some(known), _) if *known == amount => return Ok(self.funds()),
            (Some(known), _) => return Err(format!("the id is taken, for an amount of {known}")),
            (None, Some(End::Cancelled)) => return Err("it was cancelled before it came".into()),
            (None, Some(End::Confirmed)) => return Err("it was confirmed already".into()),
            (None, None) => {}
        }
        self.has(amount)?;
        if self.reserved.len() >= ACCOUNT_RESERVED_MAX {
            return Err(format!("{ACCOUNT_RESERVED_MAX} amounts are set aside already"));
        }
        self.reserved.insert(id, amount);
        Ok(self.funds())
    }

    /// Again is the same.
    fn confirm(&mut self, id: String) -> Result<Funds, String> {
        match (self.reserved.remove(&id), self.ended.get(&id).map(|ended| ended.how)) {
            (Some(amount), _) => {
                self.balance = self.balance.checked_sub(amount).ok_or("the account was changed by hand")?;
                self.end(id, End::Confirmed);
                Ok(self.funds())
            }
            (None, Some(End::Confirmed)) => Ok(self.funds()),
            (None, Some(End::Cancelled)) => Err("it was cancelled".into()),
            (None, None) => Err("nothing is set aside under this id".into()),
        }
    }

    /// Again is the same. What was never reserved is cancelled all the same.
    fn cancel(&mut self, id: String) -> Result<Funds, String> {
        match self.ended.get(&id).map(|ended| ended.how) {
            Some(End::Cancelled) => return Ok(self.funds()),
            Some(End::Confirmed) => return Err("it was confirmed: a deposit brings the amount back".into()),
            None => {}
        }
        if id.is_empty() || id.len() > ACCOUNT_ID_MAX_BYTES {
            return Err(format!("an id has 1 to {ACCOUNT_ID_MAX_BYTES} bytes"));
        }
        self.reserved.remove(&id);
        self.end(id, End::Cancelled);
        Ok(self.funds())
    }

    /// Remembers what became of an id, and forgets the oldest if there are too many.
    fn end(&mut self, id: String, how: End) {
        // Whoever wrote the scenario by hand may have used up the numbers.
        let number =
            self.ended.values().map(|ended| ended.number).max().map_or(1, |last| last.saturating_add(1));
        self.ended.insert(id, Ended { how, number });
        while self.ended.len() > ACCOUNT_ENDED_MAX
            && let Some(oldest) = self.ended.iter().min_by_key(|(_, ended)| ended.number)
        {
            let oldest = oldest.0.clone();
            self.ended.remove(&oldest);
        }
    }

    fn has(&self, amount: u64) -> Result<(), String> {
        let Funds { available, .. } = self.funds();
        if available < amount {
            return Err(format!("not enough: {available} of {amount} are available"));
        }
        Ok(())
    }
}

fn some(amount: u64) -> Result<(), String> {
    if amount == 0 { Err("an amount is a whole number of minor units above 0".into()) } else { Ok(()) }
}

/// Keeps money: `deposit {"amount": n}`, `withdraw {"amount": n}`, `reserve {"id": text, "amount": n}`,
/// `confirm {"id": text}`, `cancel {"id": text}`, `get`. Each returns [`Funds`].
#[must_use]
pub fn account() -> Component {
    Component::model::<Account>()
        .first(&Account::default())
        .on::<Deposit>()
        .describe::<Deposit>()
        .on::<Withdraw>()
        .describe::<Withdraw>()
        .on::<Reserve>()
        .describe::<Reserve>()
        .on::<Confirm>()
        .describe::<Confirm>()
        .on::<Cancel>()
        .describe::<Cancel>()
        .on::<Get>()
        .describe::<Get>()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn funds(balance: u64, available: u64) -> Result<Funds, String> {
        Ok(Funds { balance, available })
    }

    #[test]
    fn it_never_goes_below_zero_and_never_counts_too_far() {
        let mut account = Account::with(100);
        assert_eq!(account.withdraw(30), funds(70, 70));
        assert_eq!(account.deposit(1), funds(71, 71));
        assert!(account.withdraw(72).unwrap_err().contains("71 of 72"));
        assert!(account.deposit(u64::MAX).is_err() && account.deposit(0).is_err());
        assert_eq!(account, Account::with(71));
    }

    #[test]
    fn what_is_reserved_is_confirmed_or_cancelled_once_however_often_it_is_asked() {
        let mut account = Account::with(100);
        for _ in 0..2 {
            assert_eq!(account.reserve("a".into(), 60), funds(100, 40));
        }
        assert!(account.reserve("a".into(), 61).is_err() && account.reserve("b".into(), 41).is_err());
        assert!(account.withdraw(41).is_err());
        for _ in 0..2 {
            assert_eq!(account.confirm("a".into()), funds(40, 40));
        }
        assert!(account.cancel("a".into()).is_err() && account.reserve("a".into(), 1).is_err());
        account.reserve("b".into(), 40).unwrap();
        for _ in 0..2 {
            assert_eq!(account.cancel("b".into()), funds(40, 40));
        }
        assert!(account.confirm("b".into()).is_err() && account.confirm("c".into()).is_err());
    }

    #[test]
    fn a_cancel_without_a_reserve_is_remembered() {
        let mut account = Account::with(100);
        assert_eq!(account.cancel("a".into()), funds(100, 100));
        assert!(account.reserve("a".into(), 1).unwrap_err().contains("cancelled"));
        // The memory is bounded: the oldest id goes first, and what comes later than that only holds its amount.
        for n in 1..ACCOUNT_ENDED_MAX {
            account.cancel(format!("other {n}")).unwrap();
        }
        assert!(account.reserve("a".into(), 1).is_err());
        account.cancel("one more".into()).unwrap();
        assert_eq!(account.ended.len(), ACCOUNT_ENDED_MAX);
        assert_eq!(account.reserve("a".into(), 1), funds(100, 99));
        assert_eq!(account.cancel("a".into()), funds(100, 100));
    }

    #[test]
    fn numbers_that_are_used_up_do_no_harm() {
        let last = Ended { how: End::Confirmed, number: u64::MAX };
        let mut account = Account { ended: BTreeMap::from([("a".into(), last)]), ..Account::with(100) };
        assert_eq!(account.cancel("b".into()), funds(100, 100));
        assert_eq!(account.ended["b"], Ended { how: End::Cancelled, number: u64::MAX });
    }

    proptest! {
        /// Whatever is asked: the balance is what was put in less what was taken out, and no more is set aside than
        /// is there.
        #[test]
        fn nothing_appears_or_vanishes(asked in prop::collection::vec((0..5_u8, 0..4_u8, 0..60_u64), 0..80)) {
            let mut account = Account::with(100);
            let mut sum = 100;
            for (what, id, amount) in asked {
                let id = id.to_string();
                let set_aside = account.reserved.get(&id).copied();
                let done = match what {
                    0 => account.deposit(amount).map(|_| sum += amount),
                    1 => account.withdraw(amount).map(|_| sum -= amount),
                    2 => account.reserve(id, amount).map(drop),
                    3 => account.confirm(id).map(|_| sum -= set_aside.unwrap_or(0)),
                    _ => account.cancel(id).map(drop),
                };
                drop(done);
                let aside: u64 = account.reserved.values().sum();
                prop_assert_eq!(account.balance, sum);
                prop_assert!(aside <= sum);
            }
        }
    }
}
