//! Calls that make tests read as stories.

use once_core::Refusal;
use once_core::rights::{Right, Scope};
use once_core::waist::{Answer, Command};
use once_model::ids::{Line, ObjectKey};
use once_model::scenario::Scenario;

use crate::workload::forever;
use crate::world::{Kernel, World};

impl World {
    /// Makes two kernels peers that may share with each other, and lets them connect.
    pub fn befriend(&mut self, a: Kernel, b: Kernel) -> &mut Self {
        for (here, there) in [(a, b), (b, a)] {
            let peer = self.id(there);
            let addresses = vec![self.nodes[there.0].address.clone()];
            self.must(here, Command::AddPeer { peer, addresses, petname: None });
            self.must(here, Command::Grant(forever(Scope::Kernel, Right::Share, peer)));
        }
        self.run_for(5_000)
    }

    /// Lets a kernel read everything at another one.
    pub fn let_read(&mut self, at: Kernel, who: Kernel) -> &mut Self {
        let grant = forever(Scope::Kernel, Right::Read, self.id(who));
        self.must(at, Command::Grant(grant));
        self
    }

    /// Takes that back.
    pub fn let_read_no_more(&mut self, at: Kernel, who: Kernel) -> &mut Self {
        let grant = forever(Scope::Kernel, Right::Read, self.id(who));
        self.must(at, Command::Revoke(grant));
        self
    }

    /// Imports a scenario: its key as an unclaimed object.
    ///
    /// # Panics
    /// When it is none, or the kernel does not take it.
    pub fn import(&mut self, at: Kernel, json: &str) -> ObjectKey {
        let scenario = scenario(json);
        let key = ObjectKey { uuid: scenario.uuid(), line: Line::Unclaimed(scenario.hash()) };
        self.must(at, Command::Import { source: None, over: None, scenario });
        key
    }

    /// Claims an object: its key from now on.
    pub fn claim(&mut self, at: Kernel, key: ObjectKey) -> ObjectKey {
        object(self.must(at, Command::Claim { key })).unwrap_or(key)
    }

    /// Gives an object its next state: its key from now on.
    pub fn put(&mut self, at: Kernel, key: ObjectKey, json: &str) -> ObjectKey {
        object(self.must(at, Command::Put { key, base: None, scenario: scenario(json) })).unwrap_or(key)
    }

    /// Shares an object; the debt is durable when this returns.
    pub fn share(&mut self, from: Kernel, key: ObjectKey, to: Kernel) -> &mut Self {
        let to = self.id(to);
        self.must(from, Command::Share { key, to, delivered: false });
        self
    }

    /// Follows an object.
    pub fn follow(&mut self, at: Kernel, key: ObjectKey, from: Kernel) -> &mut Self {
        let from = self.id(from);
        self.must(at, Command::Follow { key, from });
        self
    }

    /// Carries a command out that must succeed.
    ///
    /// # Panics
    /// When it does not.
    pub fn must(&mut self, at: Kernel, command: Command) -> Answer {
        let text = format!("{command:?}");
        let reply = self.ask(at, command);
        assert!(matches!(reply, Some(Ok(_))), "{text} came to {reply:?}; {:?}", self.violations());
        match reply {
            Some(Ok(answer)) => answer,
            _ => Answer::Done,
        }
    }

    /// Carries a command out that must be refused.
    ///
    /// # Panics
    /// When it is not.
    pub fn refused(&mut self, at: Kernel, command: Command) -> Option<Refusal> {
        let text = format!("{command:?}");
        let reply = self.ask(at, command);
        assert!(matches!(reply, Some(Err(_))), "{text} came to {reply:?}");
        reply.and_then(Result::err)
    }

    /// Nothing that was promised was broken.
    ///
    /// # Panics
    /// When something was.
    pub fn assert_kept(&mut self) -> &mut Self {
        assert!(self.violations().is_empty(), "{:#?}", self.violations());
        self
    }

    /// Two kernels have the same revision and bytes of an object.
    ///
    /// # Panics
    /// When they have not.
    pub fn assert_same(&mut self, a: Kernel, b: Kernel, key: ObjectKey) -> &mut Self {
        let heads = [a, b].map(|kernel| self.head(kernel, key).map(|head| head.header.id()));
        assert!(heads[0].is_some(), "{} does not have {key}", self.nodes[a.0].name);
        assert_eq!(heads[0], heads[1], "{key} differs: {:?}", self.violations());
        assert_eq!(self.body(a, key), self.body(b, key));
        self
    }

    /// A kernel does not have an object.
    ///
    /// # Panics
    /// When it has.
    pub fn assert_absent(&mut self, at: Kernel, key: ObjectKey) -> &mut Self {
        assert!(self.head(at, key).is_none(), "{} has {key}", self.nodes[at.0].name);
        self
    }
}

fn object(answer: Answer) -> Option<ObjectKey> {
    match answer {
        Answer::Object { header, .. } => Some(header.key()),
        _ => None,
    }
}

/// A scenario that the story wrote itself.
fn scenario(json: &str) -> Scenario {
    let parsed = Scenario::parse(json.as_bytes().to_vec());
    assert!(parsed.is_ok(), "not a scenario: {json}");
    parsed.unwrap_or_else(|_| unreachable!())
}
