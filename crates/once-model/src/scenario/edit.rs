//! Editing the model of a scenario and nothing else.

use super::{Scenario, ScenarioErrorKind};
use crate::json::{EditError, get, replace};

/// What stands at the top of a scenario without a model and says what object it is.
const ENVELOPE: [&str; 4] = ["/ior", "/IOR", "/uuid", "/owner"];

impl Scenario {
    /// What [`Self::edit_model`] edits, as it is spelled: the model (of a legacy scenario: the state). A scenario
    /// without one has its data at the top, so there it is the whole document.
    #[must_use]
    pub fn editable(&self) -> &str {
        self.model().unwrap_or_else(|| self.as_str())
    }

    /// The same object with another model: `edit` is given what [`Self::editable`] shows and returns what takes its
    /// place. All other bytes stay, and so does the UUID.
    ///
    /// ```
    /// use once_model::json::{EditErrorKind, get, merge, replace};
    /// use once_model::scenario::Scenario;
    ///
    /// let json = r#"{ "uuid":"0012bda9-f833-4909-a891-a75b183be4c8", "model": {"n": 1.0, "name": "x"} , "z":1e2}"#;
    /// let old = Scenario::parse(json)?;
    /// let new = old.edit_model(|model| merge(model, r#"{"name": null, "by": "me"}"#))?;
    /// assert_eq!(new.as_str(), json.replace(r#", "name": "x""#, r#", "by": "me""#));
    /// assert_eq!(get(new.editable(), "/by")?, Some("\"me\""));
    ///
    /// let uuid = "\"b9e3f01e-248f-4fc6-941d-6d86c0400000\"";
    /// let error = old.edit_model(|model| replace(model, "/uuid", uuid)).unwrap_err();
    /// assert_eq!(error.kind(), EditErrorKind::Identity);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If `edit` fails, if what it returns is no JSON within the limits, or if the result would be another object:
    /// another UUID (so a scenario whose UUID is derived from its content cannot be edited), or, where there is no
    /// model, another `ior`, `uuid`, `owner`, format, component or version, or a model.
    pub fn edit_model(
        &self,
        edit: impl FnOnce(&str) -> Result<String, EditError>,
    ) -> Result<Self, EditError> {
        let changed = edit(self.editable())?;
        let new = match self.model() {
            Some(_) => self.with_model(&changed),
            None => Self::parse(changed),
        };
        let new = new.map_err(|error| match error.kind() {
            ScenarioErrorKind::Json(kind) => {
                EditError::in_result(kind, error.line(), error.column(), error.path(), error.message())
            }
            _ => EditError::identity(error.message()),
        })?;
        if new.uuid != self.uuid {
            return Err(EditError::identity(format!(
                "the edit would make another object of it: its UUID ({}) would become {}",
                self.identity, new.uuid
            )));
        }
        if self.model.is_none() {
            self.keeps_envelope(&new)?;
        }
        Ok(new)
    }

    /// The same scenario with another version of its component; all other bytes stay.
    ///
    /// ```
    /// # use once_model::scenario::Scenario;
    /// let uuid = "6a0f2b1c-52e0-4b52-9d0e-0c1f6a7be001";
    /// let old = format!(r#"{{ "ior": {{"uuid":"{uuid}", "component":"C", "version" : "1.0"}}, "model":{{"n":1.0}}}}"#);
    /// let old = Scenario::parse(old)?;
    /// let new = old.with_version("2.0")?;
    /// assert_eq!(new.as_str(), old.as_str().replace("1.0\"}", "2.0\"}"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If it names no version, or the result would be another object (one whose UUID is derived from its content).
    pub fn with_version(&self, version: &str) -> Result<Self, EditError> {
        let quoted = serde_json::Value::from(version).to_string();
        for pointer in ["/ior/version", "/IOR/version", "/version"] {
            if get(self.as_str(), pointer)?.is_none() {
                continue;
            }
            let text = replace(self.as_str(), pointer, &quoted)?;
            if let Ok(new) = Self::parse(text)
                && new.version() == Some(version)
                && (new.uuid, new.component()) == (self.uuid, self.component())
            {
                return Ok(new);
            }
        }
        Err(EditError::identity("the scenario names no version that could be another one"))
    }

    fn keeps_envelope(&self, new: &Self) -> Result<(), EditError> {
        if new.model.is_some() || new.format != self.format {
            return Err(EditError::identity("the edit would change what the scenario's top level means"));
        }
        if (self.component(), self.version()) != (new.component(), new.version()) {
            return Err(EditError::identity("the edit would change the scenario's component or version"));
        }
        for pointer in ENVELOPE {
            if get(self.as_str(), pointer)? != get(new.as_str(), pointer)? {
                return Err(EditError::identity(format!("`{pointer}` is no data that can be edited")));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{EditErrorKind, JsonErrorKind, merge};
    use crate::limits::{JSON_MAX_DEPTH, SCENARIO_MAX_BYTES};
    use crate::scenario::{Format, Identity};

    const U1: &str = "0012bda9-f833-4909-a891-a75b183be4c8";
    const U2: &str = "b9e3f01e-248f-4fc6-941d-6d86c0400000";

    fn parsed(json: String) -> Scenario {
        Scenario::parse(json).unwrap()
    }

    fn refused(scenario: &Scenario, patch: &str) -> EditError {
        scenario.edit_model(|model| merge(model, patch)).unwrap_err()
    }

    #[test]
    fn the_model_of_each_format_is_edited() {
        for (json, format) in [
            (r#"{"ior":{"uuid":"U"},"owner":"","model": {"n":1.0} ,"unit":{ }}"#, Format::A),
            (r#"{"ior":{"uuid":"U"},"owner":"","model":0,"mod\u0065l": {"n":1.0} }"#, Format::B),
            (r#"{"uuid":"U","objectType":"T","version":"1","state":{"n":1.0},"metadata":{}}"#, Format::C),
            (r#"{"IOR":{"uuid":"U"},"owner":"","model":{"n":1.0},"unitIndex":{}}"#, Format::D),
            (r#"{"IOR":{"uuid":"U"},"owner":"","model":{"n":1.0}}"#, Format::E),
            (r#"{"uuid":"U","n":1.0,"unitIndex":{}}"#, Format::F),
            (" {\"uuid\":\"U\",\r\n\"n\":1.0}\n", Format::Other),
        ] {
            let old = parsed(json.replace('U', U1));
            let new = old.edit_model(|model| merge(model, r#"{"n":1e400}"#)).unwrap();
            assert_eq!(new.as_str(), old.as_str().replace("1.0", "1e400"));
            assert_eq!((new.format(), new.uuid()), (format, old.uuid()));
            assert_eq!(get(new.editable(), "/n"), Ok(Some("1e400")));
            assert_ne!(new.hash(), old.hash());
        }
    }

    #[test]
    fn the_object_stays_the_same() {
        let identity = |scenario: &Scenario, patch: &str| {
            let error = refused(scenario, patch);
            assert_eq!(error.kind(), EditErrorKind::Identity, "{error}");
            assert_eq!(error.to_string(), error.message());
        };
        let other = format!(r#"{{"uuid":"{U2}"}}"#);
        let by_model = parsed(format!(r#"{{"ior":{{}},"model":{{"uuid":"{U1}"}}}}"#));
        for patch in [other.as_str(), r#"{"uuid":null}"#, "7", r#"{"uuid":"unknown"}"#] {
            identity(&by_model, patch);
        }
        // A UUID in the model would count before the one at the top.
        let by_top = parsed(format!(r#"{{"uuid":"{U1}","model":{{}}}}"#));
        identity(&by_top, &other);
        assert!(by_top.edit_model(|model| merge(model, &other.replace(U2, U1))).is_ok());
        // Where the UUID is in the envelope, the model may say what it likes.
        let by_ior = parsed(format!(r#"{{"ior":{{"uuid":"{U1}"}},"model":{{"uuid":"{U1}"}}}}"#));
        assert_eq!(by_ior.edit_model(|model| merge(model, &other)).unwrap().uuid(), by_ior.uuid());

        let derived = parsed(r#"{"ior":{},"model":{"n":1}}"#.to_owned());
        assert_eq!(derived.identity(), Identity::Derived);
        identity(&derived, r#"{"n":2}"#);
        assert_eq!(derived.edit_model(|model| merge(model, "{}")).unwrap(), derived);
    }

    #[test]
    fn without_a_model_the_envelope_stays() {
        let legacy =
            format!(r#"{{"uuid":"{U1}","objectType":"T","version":"1","metadata":{{}},"owner":"me","n":1}}"#);
        let legacy = parsed(legacy);
        let other = parsed(format!(r#"{{"ior":{{"uuid":"{U1}","port":1}},"uuid":"{U2}","n":1}}"#));
        for (scenario, patch) in [
            (&legacy, r#"{"uuid":null}"#),
            (&legacy, r#"{"objectType":"U"}"#),
            (&legacy, r#"{"version":"2"}"#),
            (&legacy, r#"{"owner":"you"}"#),
            (&legacy, r#"{"state":{}}"#),
            (&legacy, r#"{"model":{}}"#),
            (&legacy, r#"{"metadata":null}"#),
            (&legacy, "[]"),
            (&other, r#"{"ior":{"port":2}}"#),
            (&other, r#"{"uuid":null}"#),
            (&other, r#"{"model":null,"IOR":1}"#),
            (&other, r#"{"unitIndex":1,"ior":null}"#),
        ] {
            assert_eq!(refused(scenario, patch).kind(), EditErrorKind::Identity, "{patch}");
        }
        for scenario in [legacy, other] {
            let new = scenario.edit_model(|whole| merge(whole, r#"{"n":{"x":1}}"#)).unwrap();
            assert_eq!(new.as_str(), scenario.as_str().replace("\"n\":1", "\"n\":{\"x\":1}"));
        }
    }

    #[test]
    fn the_result_is_a_scenario_within_the_limits() {
        let old = parsed(format!(r#"{{"ior":{{"uuid":"{U1}"}},"model":{{"n":1}}}}"#));
        // What would fit into the gap is no model.
        for bad in ["", "1,\"owner\":2", "{}}"] {
            let error = old.edit_model(|_| Ok(bad.to_owned())).unwrap_err();
            assert!(matches!(error.kind(), EditErrorKind::Result(_)), "{error}");
        }
        let deep = "[".repeat(JSON_MAX_DEPTH - 1) + &"]".repeat(JSON_MAX_DEPTH - 1);
        let error = old.edit_model(|model| replace(model, "/n", &deep)).unwrap_err();
        assert_eq!(error.kind(), EditErrorKind::Result(JsonErrorKind::TooDeep));
        let large = format!("\"{}\"", "x".repeat(SCENARIO_MAX_BYTES - 20));
        let error = old.edit_model(|model| replace(model, "/n", &large)).unwrap_err();
        assert_eq!(error.kind(), EditErrorKind::Result(JsonErrorKind::TooLarge));
        let error = refused(&old, "{\"n\":}");
        assert_eq!(error.kind(), EditErrorKind::Patch(JsonErrorKind::Syntax));
    }
}
