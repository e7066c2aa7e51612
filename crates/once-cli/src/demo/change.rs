//! Changing a scenario so that everything else in it stays as it is: one member more, at the start of its model.

use once::model::scenario::Scenario;

use crate::failure::{Done, Failure};

/// The member that is added. Real scenarios have none of this name.
const MEMBER: &str = "onceDemoEdition";

/// Whether a scenario has a model that can take the member.
pub fn fits(scenario: &Scenario) -> bool {
    scenario.model().is_some_and(|model| model.starts_with('{') && !model.contains(MEMBER))
}

/// The scenario as its so-many-th edition.
pub fn edition(scenario: &Scenario, edition: u64) -> Done<String> {
    let model = scenario.model().and_then(|model| model.strip_prefix('{'));
    let rest = model.ok_or_else(|| Failure::failed("the scenario has no model that could be changed"))?;
    let comma = if rest.trim_start().starts_with('}') { "" } else { "," };
    let changed = scenario.with_model(&format!("{{\"{MEMBER}\":{edition}{comma}{rest}"));
    changed.map(|scenario| scenario.as_str().to_owned()).map_err(|error| Failure::failed(error.to_string()))
}

/// Which edition a text is: 0 if it was never changed.
pub fn read(text: &str) -> u64 {
    let after = text.split_once(&format!("\"{MEMBER}\":")).map(|(_, after)| after);
    let digits = after.and_then(|after| after.split(|c: char| !c.is_ascii_digit()).next());
    digits.and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edition_changes_one_member_and_nothing_else() {
        let scenario = Scenario::parse(&br#"{"ior":{},"model": { "n":1.0 , "n":2}, "x" : 1e2}"#[..]).unwrap();
        assert!(fits(&scenario));
        let first = edition(&scenario, 1).unwrap();
        assert_eq!(first, r#"{"ior":{},"model": {"onceDemoEdition":1, "n":1.0 , "n":2}, "x" : 1e2}"#);
        assert_eq!((read(&first), read(scenario.as_str())), (1, 0));
        let empty = Scenario::parse(&br#"{"model":{ }}"#[..]).unwrap();
        assert_eq!(edition(&empty, 12).unwrap(), r#"{"model":{"onceDemoEdition":12 }}"#);
        assert!(!fits(&Scenario::parse(&br#"{"model":[1]}"#[..]).unwrap()));
    }
}
