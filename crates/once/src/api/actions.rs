//! The method `actions`, and what is checked of the descriptions that programs give.

use std::collections::BTreeSet;

use serde_json::Value;

use super::contract::{self, ActionsResult};
use super::names;
use crate::component::OFFERED_MAX;
use crate::{ActionDescription, Error, Kernel, ObjectActions};

/// The longest description of an action, in bytes.
const DESCRIPTION_MAX_BYTES: usize = 1024;

/// What the descriptions of one component take up at most, as JSON, in bytes.
const DESCRIPTIONS_MAX_BYTES: usize = 256 * 1024;

pub(super) fn actions(kernel: &Kernel, params: &contract::Actions) -> Result<ActionsResult, Error> {
    let ior = match names::object(kernel, &params.object) {
        Ok(object) => object.ior(&[]),
        Err(error) => names::ior(kernel, &params.object).map_err(|_| error)?,
    };
    let ObjectActions { component, version, home, known, actions, built_in } = kernel.actions(&ior)?;
    Ok(ActionsResult {
        object: ior.as_str().to_owned(),
        component,
        version,
        home: home.map(|home| home.to_string()),
        home_name: home.map(|home| names::name_of(kernel, &home)),
        known,
        actions,
        built_in,
    })
}

/// Whether what a program says of its actions can be kept.
pub(super) fn check(
    offered: Option<&BTreeSet<String>>,
    descriptions: &[ActionDescription],
) -> Result<(), Error> {
    if descriptions.len() > OFFERED_MAX {
        return Err(Error::usage(format!(
            "a program describes at most {OFFERED_MAX} actions of a component"
        )));
    }
    let mut names = BTreeSet::new();
    for ActionDescription { name, description, arguments, result } in descriptions {
        let of = |what: &str| Error::usage(format!("the description of '{}': {what}", names::shown(name)));
        if once_model::action::check_name(name).is_err() {
            return Err(of("this cannot be the name of an action")
                .with_hint("names have 1 to 255 bytes; those that begin with `once:` belong to the kernel"));
        }
        if !names.insert(name) {
            return Err(of("it is given twice"));
        }
        if offered.is_some_and(|offered| !offered.contains(name)) {
            return Err(of("`actions` does not name it"));
        }
        if description.as_ref().is_some_and(|text| text.len() > DESCRIPTION_MAX_BYTES) {
            return Err(of(&format!("the text has more than {DESCRIPTION_MAX_BYTES} bytes")));
        }
        let is_schema = |schema: &Option<Value>| {
            schema.as_ref().is_none_or(|schema| schema.is_object() || schema.is_boolean())
        };
        if !is_schema(arguments) || !is_schema(result) {
            return Err(of("a JSON schema is an object, `true` or `false`"));
        }
    }
    let bytes = serde_json::to_vec(descriptions).map_or(usize::MAX, |json| json.len());
    match bytes > DESCRIPTIONS_MAX_BYTES {
        true => Err(Error::usage(format!(
            "the descriptions of a component's actions take up {bytes} bytes: at most {DESCRIPTIONS_MAX_BYTES} are kept"
        ))),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_a_program_says_of_its_actions_is_checked() {
        let read = |value: Value| serde_json::from_value::<Vec<ActionDescription>>(value).unwrap();
        let offered = BTreeSet::from(["switch".to_owned()]);
        let fine = read(
            json!([{ "name": "switch", "description": "on or off", "arguments": { "type": "boolean" } }]),
        );
        assert!(check(Some(&offered), &fine).is_ok() && check(None, &fine).is_ok());
        for (wrong, said) in [
            (json!([{ "name": "once:put" }]), "cannot be the name"),
            (json!([{ "name": "switch" }, { "name": "switch" }]), "given twice"),
            (json!([{ "name": "dim" }]), "does not name it"),
            (
                json!([{ "name": "switch", "description": "x".repeat(DESCRIPTION_MAX_BYTES + 1) }]),
                "the text has",
            ),
            (json!([{ "name": "switch", "result": "boolean" }]), "a JSON schema is"),
            (json!([{ "name": "switch", "result": { "x": "x".repeat(DESCRIPTIONS_MAX_BYTES) } }]), "take up"),
        ] {
            let error = check(Some(&offered), &read(wrong)).unwrap_err();
            assert!(error.message().contains(said), "{error}");
        }
        let many: Vec<_> = (0..=OFFERED_MAX).map(|n| ActionDescription::named(n.to_string())).collect();
        assert!(check(None, &many).unwrap_err().message().contains("at most"));
    }
}
