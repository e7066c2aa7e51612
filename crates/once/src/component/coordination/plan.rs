//! Plans: what is to be done where, and how it is undone.

use std::fmt;
use std::time::Duration;

use once_model::hash::content_hash;
use once_model::ids::Hash;
use once_model::ior::Ior;
use once_model::json;
use once_model::limits::{NAME_MAX_BYTES, PLAN_MAX_BYTES, PLAN_MAX_STEPS, PLAN_NAME_MAX_BYTES};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::arguments::Arguments;
use crate::component::words;

/// How the steps of a plan follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Mode {
    /// One after the other: a saga.
    Sequence,
    /// All at once, then a join.
    All,
}

/// What a coordination does: a valid plan, as it was written. `docs/coordination.md` shows the form.
///
/// ```
/// let plan = once::Plan::parse(r#"{"mode": "sequence", "steps": [
///     {"name": "take", "ior": "ior:once://-/Account/1.0/7d0c2f6e-0b7e-4d0e-9b52-3f3f7e1a0c01", "action": "withdraw"}
/// ]}"#);
/// let error = plan.unwrap_err();
/// assert!(error.to_string().starts_with("step 1 (take): the IOR does not say which object"));
/// assert_eq!((error.line(), error.column()), (2, 5));
/// ```
#[derive(Debug, Clone)]
pub struct Plan {
    text: Box<str>,
    pub(super) mode: Mode,
    pub(super) steps: Vec<Step>,
}

#[derive(Debug, Clone)]
pub(super) struct Step {
    pub name: String,
    pub ior: Ior,
    pub act: Wanted,
    pub compensation: Option<Wanted>,
    pub deadline: Option<Duration>,
}

/// An action that is asked for, of the object of its step.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub action: String,
    pub arguments: Arguments,
}

#[derive(Deserialize)]
struct Shape<'a> {
    mode: Mode,
    #[serde(borrow)]
    steps: Vec<&'a RawValue>,
}

/// A member that means nothing may be one that is misspelt: a compensation that is never made.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StepShape<'a> {
    name: String,
    ior: String,
    action: String,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
    #[serde(borrow)]
    compensation: Option<WantedShape<'a>>,
    deadline_ms: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WantedShape<'a> {
    action: String,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
}

/// Only to name a step that is wrong in another way.
#[derive(Deserialize)]
struct NameOnly {
    name: String,
}

/// Why a text is no plan, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanError {
    message: String,
    hint: Option<String>,
    line: usize,
    column: usize,
}

impl std::error::Error for PlanError {}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl PlanError {
    /// The line, from 1.
    #[must_use]
    pub fn line(&self) -> usize {
        self.line
    }

    /// The column, from 1.
    #[must_use]
    pub fn column(&self) -> usize {
        self.column
    }

    /// What to do about it, where there is something to do.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl From<PlanError> for crate::Error {
    fn from(error: PlanError) -> Self {
        Self::invalid(error.message).hinting(error.hint).at(error.line, error.column)
    }
}

/// What is wrong with a step: the message and the hint.
type Wrong = (String, Option<String>);

fn wrong<T>(message: impl Into<String>, hint: impl Into<String>) -> Result<T, Wrong> {
    Err((message.into(), Some(hint.into())))
}

impl Plan {
    /// Reads a plan, and checks all that can be checked before it runs.
    ///
    /// # Errors
    /// What is wrong, of which step, and where.
    pub fn parse(text: impl AsRef<str>) -> Result<Self, PlanError> {
        let text = text.as_ref().trim_ascii_end();
        let at_start = |message: String| PlanError { message, hint: None, line: 1, column: 1 };
        if text.len() > PLAN_MAX_BYTES {
            let bytes = text.len();
            let error = at_start(format!("a plan of {bytes} bytes; at most {PLAN_MAX_BYTES} are allowed"));
            return Err(PlanError {
                hint: Some("put what is large into scenarios, and refer to them".into()),
                ..error
            });
        }
        json::validate(text.as_bytes()).map_err(|error| PlanError {
            message: match error.path() {
                "" => error.message().to_owned(),
                path => format!("at {path}: {}", error.message()),
            },
            hint: error.hint().map(Into::into),
            line: error.line(),
            column: error.column(),
        })?;
        let hint = "a plan is {\"mode\": \"sequence\" or \"all\", \"steps\": [...]}";
        if words::is_array(text) {
            let error = at_start(format!("no plan: {}", words::NO_ARRAY));
            return Err(PlanError { hint: Some(hint.into()), ..error });
        }
        let shape: Shape<'_> = serde_json::from_str(text).map_err(|error| PlanError {
            hint: Some(hint.into()),
            line: error.line(),
            column: error.column(),
            ..at_start(format!("no plan: {}", words::bare(&error)))
        })?;
        if shape.steps.is_empty() || shape.steps.len() > PLAN_MAX_STEPS {
            let found = shape.steps.len();
            return Err(at_start(format!("a plan has 1 to {PLAN_MAX_STEPS} steps; this one has {found}")));
        }
        let mut steps: Vec<Step> = Vec::with_capacity(shape.steps.len());
        for raw in shape.steps {
            let (line, column) = place_of(text, raw.get());
            steps.push(step(raw, &steps, shape.mode).map_err(|(message, hint, place)| {
                let name = match serde_json::from_str::<NameOnly>(raw.get()) {
                    Ok(NameOnly { name }) if name.len() <= PLAN_NAME_MAX_BYTES => format!(" ({name})"),
                    _ => String::new(),
                };
                let message = format!("step {}{name}: {message}", steps.len() + 1);
                let (line, column) = match place {
                    None => (line, column),
                    Some((1, further)) => (line, column + further - 1),
                    Some((lines, column)) => (line + lines - 1, column),
                };
                PlanError { message, hint, line, column }
            })?);
        }
        Ok(Self { text: text.trim_ascii_start().into(), mode: shape.mode, steps })
    }

    /// The plan as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// BLAKE3 of the plan as it was written, without the white space around it.
    #[must_use]
    pub fn hash(&self) -> Hash {
        content_hash(self.text.as_bytes())
    }

    /// What it is called: its member `name`, if it has one that is a text. It is shown, and means nothing else.
    ///
    /// ```
    /// let step = r#"{"name": "a", "ior": "ior:once://-/Counter/1.0/7d0c2f6e-0b7e-4d0e-9b52-3f3f7e1a0c01", "action": "get"}"#;
    /// # let step = step.replace("\", \"action", &format!("?lineage={}\", \"action", "07".repeat(32)));
    /// let plan = once::Plan::parse(format!(r#"{{"name": "rent", "mode": "all", "steps": [{step}]}}"#)).unwrap();
    /// assert_eq!(plan.name().as_deref(), Some("rent"));
    /// ```
    #[must_use]
    pub fn name(&self) -> Option<String> {
        let name = json::get(&self.text, "/name").ok().flatten()?;
        serde_json::from_str(name).ok()
    }

    /// The names of its steps, in order.
    pub fn steps(&self) -> impl ExactSizeIterator<Item = &str> {
        self.steps.iter().map(|step| step.name.as_str())
    }
}

/// Line and column of a part of a text, from 1; columns in characters.
fn place_of(text: &str, part: &str) -> (usize, usize) {
    let at = part.as_ptr().addr().saturating_sub(text.as_ptr().addr());
    let before = text.get(..at).unwrap_or_default();
    let line = before.rsplit('\n').next().unwrap_or_default();
    (before.matches('\n').count() + 1, line.chars().count() + 1)
}

type Misplaced = (String, Option<String>, Option<(usize, usize)>);

fn step(raw: &RawValue, earlier: &[Step], mode: Mode) -> Result<Step, Misplaced> {
    let hint = "a step has `name`, `ior`, `action`, and may have `arguments`, `compensation`, `deadline_ms`";
    if words::is_array(raw.get()) {
        return Err((words::NO_ARRAY.to_owned(), Some(hint.to_owned()), None));
    }
    let shape: StepShape<'_> = serde_json::from_str(raw.get()).map_err(|error| {
        (words::bare(&error), Some(hint.to_owned()), Some((error.line(), error.column().max(1))))
    })?;
    checked(shape, earlier, mode).map_err(|(message, hint)| (message, hint, None))
}

fn checked(shape: StepShape<'_>, earlier: &[Step], mode: Mode) -> Result<Step, Wrong> {
    let StepShape { name, ior, action, arguments, compensation, deadline_ms } = shape;
    if name.is_empty() || name.len() > PLAN_NAME_MAX_BYTES || name.chars().any(char::is_control) {
        let message = format!("its name has 1 to {PLAN_NAME_MAX_BYTES} bytes, and no control characters");
        return wrong(message, "a short word that says what the step does");
    }
    if earlier.iter().any(|other| other.name == name) {
        return wrong("an earlier step has the same name", "give each step a name of its own");
    }
    let ior = Ior::parse(&ior).map_err(|error| (error.to_string(), error.hint().map(Into::into)))?;
    if ior.uuid().is_none() || ior.line().is_none() {
        let message = "the IOR does not say which object is meant: it has no lineage";
        return wrong(message, "'once show OBJECT --json' prints the whole IOR at the object's home");
    }
    if deadline_ms == Some(0) {
        return wrong("a deadline of 0 ms is over before it begins", "leave it out, or give the step time");
    }
    let known = |step: &str| earlier.iter().any(|earlier| earlier.name == step);
    let act = wanted("", action, arguments)?;
    for reference in act.arguments.references() {
        match mode {
            Mode::Sequence if known(&reference.step) => {}
            Mode::Sequence => {
                let message =
                    format!("its arguments refer to '{}', which is no earlier step", reference.step);
                return wrong(message, "a step can use the outcomes of those before it");
            }
            Mode::All => {
                let message = format!(
                    "its arguments refer to '{}', but in mode `all` every step begins at once",
                    reference.step
                );
                return wrong(message, "use mode `sequence` where one step needs the outcome of another");
            }
        }
    }
    let compensation = match compensation {
        None => None,
        Some(shape) => Some(wanted("compensation: ", shape.action, shape.arguments)?),
    };
    for reference in compensation.iter().flat_map(|wanted| wanted.arguments.references()) {
        // When it is compensated, the step is done, and in a sequence so are those before it.
        if reference.step != name && !(mode == Mode::Sequence && known(&reference.step)) {
            let message =
                format!("its compensation refers to '{}', which may not be done by then", reference.step);
            let hint = match mode {
                Mode::Sequence => "a compensation can use the outcome of its own step and of those before it",
                Mode::All => "in mode `all` a compensation can use the outcome of its own step only",
            };
            return wrong(message, hint);
        }
    }
    Ok(Step { name, ior, act, compensation, deadline: deadline_ms.map(Duration::from_millis) })
}

fn wanted(of: &str, action: String, arguments: Option<&RawValue>) -> Result<Wanted, Wrong> {
    if action.is_empty() || action.len() > NAME_MAX_BYTES {
        let message = format!("{of}the name of an action has 1 to {NAME_MAX_BYTES} bytes");
        return wrong(message, "the action in the words of the object's component, like `withdraw`");
    }
    let arguments = match arguments {
        None => Arguments::none(),
        Some(text) => Arguments::read(text).map_err(|message| {
            let hint = "what is large is a scenario: share it, and send its IOR";
            let hint = message.contains("bytes").then(|| hint.to_owned());
            (format!("{of}{message}"), hint)
        })?,
    };
    Ok(Wanted { action, arguments })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const IOR: &str = "ior:once://-/Account/1.0/7d0c2f6e-0b7e-4d0e-9b52-3f3f7e1a0c01?lineage=0707070707070707070707070707070707070707070707070707070707070707";

    fn step(name: &str) -> Value {
        json!({ "name": name, "ior": IOR, "action": "withdraw", "arguments": { "amount": 1 } })
    }

    fn said(mode: &str, steps: &[Value]) -> String {
        Plan::parse(json!({ "mode": mode, "steps": steps }).to_string()).unwrap_err().to_string()
    }

    fn with(name: &str, member: &str, value: Value) -> Value {
        let mut step = step(name);
        step[member] = value;
        step
    }

    #[test]
    fn a_plan_is_kept_as_it_is_written() {
        let text = format!(
            "\n {{\"mode\":\"all\", \"by\":\"me\",\"steps\":[{}] }}\n",
            with("a", "deadline_ms", json!(5))
        );
        let plan = Plan::parse(&text).unwrap();
        assert_eq!(plan.as_str(), text.trim());
        assert_eq!(plan.steps().collect::<Vec<_>>(), ["a"]);
        assert_eq!(plan.steps[0].deadline, Some(Duration::from_millis(5)));
        assert_eq!(plan.hash(), Plan::parse(text.trim()).unwrap().hash());
    }

    #[test]
    fn what_is_wrong_is_said_with_its_step() {
        let outcome = |of: &str| json!({ "x": [{ "$outcome": of }] });
        let undo = |of: &str| json!({ "action": "deposit", "arguments": { "$outcome": of, "at": "/n" } });
        let plans = [
            ("sequence", vec![], "a plan has 1 to 64 steps; this one has 0"),
            ("sequence", (0..65).map(|n| step(&n.to_string())).collect(), "this one has 65"),
            ("sequence", vec![step("a"), step("a")], "step 2 (a): an earlier step has the same name"),
            ("all", vec![step("")], "step 1 (): its name has 1 to 64 bytes"),
            ("all", vec![with("a", "ior", json!("7d0c2f6e"))], "step 1 (a): not a reference"),
            ("all", vec![with("a", "ior", json!("7d0c2f6e-0b7e-4d0e-9b52-3f3f7e1a0c01"))], "has no lineage"),
            ("all", vec![with("a", "action", json!(""))], "step 1 (a): the name of an action has"),
            ("all", vec![with("a", "action", json!(1))], "step 1 (a): expected a string, found the number 1"),
            ("all", vec![with("a", "deadline_ms", json!(0))], "step 1 (a): a deadline of 0 ms"),
            (
                "all",
                vec![with("a", "arguments", json!("x".repeat(65_536)))],
                "the arguments have 65538 bytes",
            ),
            (
                "sequence",
                vec![with("a", "arguments", outcome("b")), step("b")],
                "'b', which is no earlier step",
            ),
            ("sequence", vec![with("a", "arguments", outcome("a"))], "'a', which is no earlier step"),
            ("all", vec![step("a"), with("b", "arguments", outcome("a"))], "every step begins at once"),
            ("all", vec![step("a"), with("b", "compensation", undo("a"))], "may not be done by then"),
            ("sequence", vec![with("a", "compensation", undo("b")), step("b")], "may not be done by then"),
            ("all", vec![with("a", "compensation", json!({}))], "step 1 (a): missing member `action`"),
            (
                "all",
                vec![with("a", "compensations", undo("a"))],
                "step 1 (a): unknown member `compensations`",
            ),
            (
                "all",
                vec![with("a", "compensation", json!({ "action": "x", "argumets": 1 }))],
                "step 1 (a): unknown member `argumets`",
            ),
            ("all", vec![json!(["a", IOR, "withdraw"])], "step 1: expected an object, found an array"),
            ("all", vec![with("a", "arguments", json!({ "$outcome": 1 }))], "a reference is"),
            ("some", vec![step("a")], "no plan: unknown variant `some`, expected `sequence` or `all`"),
        ];
        for (mode, steps, expected) in plans {
            let said = said(mode, &steps);
            assert!(said.contains(expected), "{said:?} does not say {expected:?}");
        }
        for (mode, undone) in [("sequence", "a"), ("sequence", "b"), ("all", "b")] {
            let steps = [step("a"), with("b", "compensation", undo(undone))];
            Plan::parse(json!({ "mode": mode, "steps": steps }).to_string()).unwrap();
        }
    }

    #[test]
    fn what_is_wrong_has_a_place() {
        let place = |text: &str| {
            let error = Plan::parse(text).unwrap_err();
            (error.line(), error.column())
        };
        assert_eq!(place("{\n \"mode\" \"all\"}"), (2, 9));
        assert_eq!(place("{\"mode\":\"all\"}"), (1, 14));
        assert_eq!(place("{\"mode\":\"all\",\"steps\":[\n  {\"name\":\"a\",\n \"ior\": 7}]}"), (3, 9));
        let text = format!("{{\"mode\":\"all\",\"steps\":[\n  {},\n    {}]}}", step("a"), step("a"));
        assert_eq!(place(&text), (3, 5));
        let large = format!("{{\"x\":\"{}\"}}", "x".repeat(PLAN_MAX_BYTES));
        assert!(Plan::parse(large).unwrap_err().to_string().contains("at most"));
    }
}
