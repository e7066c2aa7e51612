//! What an object is told because it moves (protocol 5.6, *What it is told*). Whether its component wants to know is not seen.

use once_model::action::{BUILT_IN_FROM, Outcome};
use once_model::ids::{KernelId, ObjectKey};
use once_model::receipt::Entry;

use crate::check::{Check, How};
use crate::eyes::Eyes;
use crate::kernel::Kernel;
use crate::objects::Head;
use crate::runs::{Run, predicted};
use crate::seen::{Asked, Recorded};

const LEAVING: &str = "once:leaving";
const ARRIVED: &str = "once:arrived";

/// Where an object is in being told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// It has come from there, by the entry of that number.
    Came(KernelId, u64),
    /// It was told that it leaves.
    Leaves,
}

fn arguments(member: &str, kernel: &KernelId) -> String {
    format!("{{\"{member}\":\"{kernel}\"}}")
}

impl Kernel {
    /// A component is asked what its object does because it moves. Whether it is that.
    pub(crate) fn word_asked(&self, asked: &Asked, eyes: &mut Eyes<'_>) -> bool {
        let key = self.objects.name(&asked.object);
        let said = &asked.action.arguments;
        let right = match asked.action.name.as_str() {
            LEAVING => {
                let mut to = self.moves.leaving.get(&key).into_iter().flatten();
                to.any(|to| arguments("to", to).as_bytes() == said.as_ref())
            }
            ARRIVED => self.moves.told.get(&key).is_some_and(|told| {
                let from = if let Told::Came(from, _) = told { from } else { &self.me };
                arguments("from", from).as_bytes() == said.as_ref()
            }),
            _ => return false,
        };
        let plain =
            asked.action.answers.is_none() && asked.action.acting.is_none() && asked.action.given.is_empty();
        eyes.exact(Check::WordDue, right && plain, || {
            format!("{key} is told {} {}, and it is not so", asked.action.name, String::from_utf8_lossy(said))
        });
        true
    }

    /// The run that an entry is of, if it is of such a word.
    pub(crate) fn word_run(&self, entry: &Entry) -> Option<Run> {
        let is_it = |run: &&Run| {
            run.origin == self.me
                && run.action.id == entry.id
                && matches!(run.action.name.as_str(), LEAVING | ARRIVED)
        };
        self.home.runs.values().find(is_it).cloned()
    }

    /// What came of it is recorded.
    pub(crate) fn word_recorded(
        &mut self,
        recorded: &Recorded,
        run: &Run,
        before: Option<&Head>,
        eyes: &mut Eyes<'_>,
    ) {
        let entry = &recorded.entry;
        let key = entry.object;
        let own = (entry.origin, entry.incarnation) == (self.me, self.incarnation);
        let place = own && entry.sequence == BUILT_IN_FROM + entry.number;
        eyes.exact(Check::BuiltIn, place && entry.action == run.action.hash(&key.uuid), || {
            format!("entry {} of {key} is not {}", entry.number, run.action.name)
        });
        let fresh = before.is_some_and(|head| head.id == run.base);
        eyes.exact(Check::RunBase, fresh, || {
            format!("{} of {key} ran on an older revision", run.action.name)
        });
        let right = predicted(run, eyes.limits);
        eyes.check(
            Check::OutcomePredicted,
            How::exact_if(right.len() < 2),
            right.contains(&recorded.outcome),
            || format!("{:?} is recorded of {}, and right is {right:?}", recorded.outcome, run.action.name),
        );
        self.revision_fits(recorded, before, Some(run), eyes);
        let told = self.moves.told.get(&key).copied();
        if run.action.name == ARRIVED {
            let first = match told {
                Some(Told::Came(_, number)) => entry.number == number + 1,
                told => told.is_some(),
            };
            eyes.exact(Check::WordDue, first, || format!("{key} is told that it has come, and not first"));
            self.moves.told.remove(&key);
        } else if matches!(recorded.outcome, Outcome::Done(_)) {
            self.moves.told.insert(key, Told::Leaves);
        }
        self.home.runs.retain(|_, it| it.action.id != run.action.id);
    }

    /// An object has come from another kernel.
    pub(crate) fn word_due(&mut self, key: ObjectKey, from: KernelId, number: u64) {
        self.moves.told.insert(key, Told::Came(from, number));
    }
}
