//! The component of the simulator: a journal that writes down which actions had effect on it, in their order, and
//! holds some coins. So a look at the objects shows what happened, whoever claims what.

use std::fmt::Write;

use bytes::Bytes;
use once_core::waist::{Call, Consequence, Run, RunResult, Then};
use once_model::hash::content_hash;
use once_model::ids::{KernelId, ObjectKey, Uuid};
use once_model::limits::ARGUMENTS_MAX_BYTES;
use once_model::scenario::Scenario;
use once_model::wire::Code;

/// Name of the component.
pub const NAME: &str = "Journal";

/// The coins of a new journal.
pub const COINS: i64 = 1000;

/// A scenario that came with an action is not the one that the action names.
pub const WRONG_GIVEN: &str = "\"wrong given\"";

/// What stands in a journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Journal {
    /// The marks of the actions that had effect, in their order.
    pub ids: Vec<Uuid>,
    /// How many coins it holds.
    pub coins: i64,
    /// Timers that were set.
    pub alarms: u64,
    /// Timers that rang.
    pub rings: u64,
    /// Coins of which it will never know whether another journal took them.
    pub doubts: u64,
}

/// An empty journal.
#[must_use]
pub fn new(uuid: Uuid) -> Option<Scenario> {
    Journal { ids: Vec::new(), coins: COINS, alarms: 0, rings: 0, doubts: 0 }.compose(uuid)
}

/// What an action on another journal needs to know of it: hex of its key, and its home.
#[must_use]
pub fn name(key: &ObjectKey, home: &KernelId) -> String {
    let mut text = String::from("\"");
    for byte in key.to_row() {
        let _ = write!(text, "{byte:02x}");
    }
    text + " " + &home.to_string() + "\""
}

fn named(text: &[u8]) -> Option<(ObjectKey, KernelId)> {
    let text = std::str::from_utf8(text).ok()?.trim_matches('"');
    let (key, home) = text.split_once(' ')?;
    let byte = |at: usize| u8::from_str_radix(key.get(at..at + 2)?, 16).ok();
    let row: Option<Vec<u8>> = (0..key.len() / 2).map(|n| byte(2 * n)).collect();
    Some((ObjectKey::from_row(&row?)?, home.parse().ok()?))
}

impl Journal {
    /// Reads one; nothing if it is no journal.
    #[must_use]
    pub fn read(body: &[u8]) -> Option<Self> {
        let scenario = Scenario::parse(body.to_vec()).ok().filter(|s| s.component() == Some(NAME))?;
        let model: String = scenario.model()?.split_whitespace().collect();
        let (_, list) = model.split_once('[')?;
        let (list, rest) = list.split_once(']')?;
        let ids: Option<Vec<Uuid>> =
            list.split(',').filter(|id| !id.is_empty()).map(|id| id.trim_matches('"').parse().ok()).collect();
        let number = |name: &str| {
            let (_, value) = rest.split_once(&format!("\"{name}\":"))?;
            value.split([',', '}']).next()?.parse::<i64>().ok()
        };
        Some(Self {
            ids: ids?,
            coins: number("coins")?,
            alarms: number("alarms")?.try_into().ok()?,
            rings: number("rings")?.try_into().ok()?,
            doubts: number("doubts").unwrap_or(0).try_into().ok()?,
        })
    }

    fn compose(&self, uuid: Uuid) -> Option<Scenario> {
        let ids: Vec<String> = self.ids.iter().map(|id| format!("\"{id}\"")).collect();
        let Self { coins, alarms, rings, doubts, .. } = self;
        let doubts = if *doubts == 0 { String::new() } else { format!(",\"doubts\":{doubts}") };
        let ids = ids.join(",");
        let model =
            format!("{{\"ids\":[{ids}],\"coins\":{coins},\"alarms\":{alarms},\"rings\":{rings}{doubts}}}");
        Scenario::compose(uuid, NAME, "1.0", "sim", &model).ok()
    }
}

/// An action as a journal writes it down: its id together with its origin.
#[must_use]
pub fn mark(origin: &KernelId, id: &Uuid) -> Uuid {
    once_model::action::effect_id(origin, id, u32::MAX)
}

/// The actions that had effect, as marks in their order; nothing if it is no journal.
#[must_use]
pub fn entries(body: &[u8]) -> Option<Vec<Uuid>> {
    Journal::read(body).map(|journal| journal.ids)
}

/// Not every effect is the first one, and not every one of those before it leaves something behind.
fn before(id: &Uuid) -> Option<Consequence> {
    match id.as_bytes()[10] % 4 {
        0 => Some(Consequence::Publish { name: "pays".into(), data: "1".into() }),
        1 => Some(Consequence::CancelTimer { name: "none".into() }),
        _ => None,
    }
}

/// A timer that ends at once.
fn hushed() -> [Consequence; 2] {
    let then = Then { action: "loud".into(), with: "1".into() };
    let name = || "hushed".to_owned();
    [Consequence::Timer { name: name(), after_ms: 1000, then }, Consequence::CancelTimer { name: name() }]
}

/// What has to do with where it lives.
fn travels(run: &Run) -> Result<Option<Consequence>, Box<RunResult>> {
    match run.action.name.as_str() {
        "once:leaving" if run.action.id.as_bytes()[13].is_multiple_of(4) => {
            Err(Box::new(RunResult::Failed("\"not now\"".into())))
        }
        "once:leaving" | "once:arrived" => Ok(None),
        "roam" => {
            let text = String::from_utf8_lossy(&run.action.arguments).into_owned();
            let to = text.trim_matches('"').parse::<KernelId>();
            let to = to.map_err(|_| Box::new(RunResult::Failed("\"to where\"".into())))?;
            Ok(Some(Consequence::Move { to }))
        }
        _ => Err(Box::new(RunResult::Refused(Code::NoComponent))),
    }
}

/// What the component says: all but `look` and `no` write the action down.
///
/// `pay` gives a coin to another journal (`take` there), and takes it back if that was not done (`paid`); `alarm` sets a
/// timer (`rang`), `hush` ends it, `work` wants work done outside (`worked`), `bear` makes a new journal, `roam` moves this one, `end` removes this
/// one. It says no to every fourth `once:leaving`.
#[must_use]
pub fn run(run: &Run) -> RunResult {
    let Some(mut journal) = Journal::read(&run.body) else { return RunResult::Refused(Code::NoComponent) };
    let wrong = |(given, body): (&once_model::action::Given, &Bytes)| content_hash(body) != given.content;
    if run.given.len() != run.action.given.len() || run.action.given.iter().zip(&run.given).any(wrong) {
        return RunResult::Failed(WRONG_GIVEN.into());
    }
    let then = |action: &str| Then { action: action.into(), with: "1".into() };
    let text = String::from_utf8_lossy(&run.action.arguments).into_owned();
    let mut consequences = Vec::new();
    let told = run.action.answers.is_some();
    match run.action.name.as_str() {
        "note" => {}
        "look" => {
            let result = journal.ids.len().to_string().into();
            return RunResult::Done { state: None, result, consequences };
        }
        "no" if run.action.id.as_bytes()[13].is_multiple_of(4) => {
            // More than a failure may say.
            let reason = format!("\"{}\"", "n".repeat(ARGUMENTS_MAX_BYTES));
            return RunResult::Failed(reason.into());
        }
        "no" => return RunResult::Failed("\"no\"".into()),
        "pay" => {
            let Some((key, home)) = named(&run.action.arguments) else {
                return RunResult::Failed("\"to whom\"".into());
            };
            journal.coins -= 1;
            consequences.extend(before(&run.action.id));
            consequences.push(Consequence::Act(Call {
                key,
                at: Some(home),
                name: "take".into(),
                arguments: "1".into(),
                given: Vec::new(),
                deadline_ms: run.action.id.as_bytes()[14].is_multiple_of(4).then_some(4000),
                then: Some(then("paid")),
            }));
        }
        "take" => journal.coins += 1,
        "paid" if told && text.contains("\"status\":\"unknown\"") => journal.doubts += 1,
        "paid" if told && !text.contains("\"status\":\"done\"") => journal.coins += 1,
        "paid" | "worked" if told => {}
        "alarm" => {
            journal.alarms += 1;
            let (name, after_ms) = (run.action.id.to_string(), u64::from(run.action.id.as_bytes()[13]) * 40);
            consequences.push(Consequence::Timer { name, after_ms, then: then("rang") });
        }
        "rang" if told => journal.rings += 1,
        "hush" => consequences.extend(hushed()),
        "work" => consequences.push(Consequence::Activity {
            name: "work".into(),
            arguments: "7".into(),
            then: then("worked"),
        }),
        "bear" => {
            let uuid = once_model::action::effect_id(&run.origin, &run.cause, 0);
            if let Some(child) = new(uuid) {
                consequences.push(Consequence::Create(child));
            }
            consequences.push(Consequence::Publish { name: "born".into(), data: "1".into() });
        }
        "end" => consequences.push(Consequence::Remove),
        _ => match travels(run) {
            Ok(more) => consequences.extend(more),
            Err(no) => return *no,
        },
    }
    journal.ids.push(mark(&run.origin, &run.action.id));
    let result = journal.ids.len().to_string().into();
    RunResult::Done { state: journal.compose(run.key.uuid), result, consequences }
}

#[cfg(test)]
mod tests {
    use super::*;
    use once_model::ids::{Hash, Line};

    #[test]
    fn journals_and_names_survive_their_texts() {
        let uuid = Uuid::from_u128(5);
        let journal =
            Journal { ids: vec![uuid, Uuid::from_u128(6)], coins: -3, alarms: 2, rings: 1, doubts: 4 };
        assert_eq!(Journal::read(journal.compose(uuid).unwrap().bytes()), Some(journal));
        let (key, home) = (ObjectKey { uuid, line: Line::Unclaimed(Hash::from_bytes([3; 32])) }, [9; 32]);
        let home = KernelId::from_bytes(home);
        assert_eq!(named(name(&key, &home).as_bytes()), Some((key, home)));
    }
}
