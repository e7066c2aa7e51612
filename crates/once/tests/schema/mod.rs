//! As much of JSON Schema as the contract uses. A word that is not known here is an error: nothing fits by accident.

use serde_json::Value;

/// Words that say nothing about whether a value fits.
const TALK: [&str; 5] = ["description", "title", "format", "default", "examples"];

/// Whether a value fits a schema, whose references lead into `root`.
pub fn fits(root: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    let Value::Object(words) = schema else {
        return if *schema == true { Ok(()) } else { Err("nothing fits here".into()) };
    };
    for (word, rule) in words {
        let said = match word.as_str() {
            word if TALK.contains(&word) => Ok(()),
            "$ref" => {
                let path =
                    rule.as_str().and_then(|path| path.strip_prefix('#')).ok_or("a reference elsewhere")?;
                fits(root, root.pointer(path).ok_or_else(|| format!("{path} leads nowhere"))?, value)
            }
            "type" => is_of_type(rule, value),
            "const" => (rule == value).then_some(()).ok_or_else(|| format!("{value} is not {rule}")),
            "enum" => {
                let is_one = rule.as_array().is_some_and(|all| all.contains(value));
                is_one.then_some(()).ok_or_else(|| format!("{value} is not one of {rule}"))
            }
            "minimum" => {
                let is_enough = value.as_f64().is_none_or(|n| rule.as_f64().is_some_and(|least| n >= least));
                is_enough.then_some(()).ok_or_else(|| format!("{value} is below {rule}"))
            }
            "maximum" => {
                let is_small = value.as_f64().is_none_or(|n| rule.as_f64().is_some_and(|most| n <= most));
                is_small.then_some(()).ok_or_else(|| format!("{value} is above {rule}"))
            }
            "uniqueItems" => Ok(()),
            "items" => value.as_array().into_iter().flatten().try_for_each(|item| fits(root, rule, item)),
            "required" => {
                rule.as_array().into_iter().flatten().filter_map(Value::as_str).try_for_each(|name| {
                    let is_there = !value.is_object() || value.get(name).is_some();
                    is_there.then_some(()).ok_or_else(|| format!("`{name}` is missing"))
                })
            }
            "properties" => rule.as_object().into_iter().flatten().try_for_each(|(name, rule)| {
                let member = value.get(name);
                member
                    .map_or(Ok(()), |member| fits(root, rule, member).map_err(|why| format!("{name}: {why}")))
            }),
            "additionalProperties" if *rule == false => {
                let known =
                    |name: &str| words.get("properties").is_some_and(|known| known.get(name).is_some());
                let odd = value.as_object().into_iter().flatten().find(|(name, _)| !known(name));
                odd.map_or(Ok(()), |(name, _)| Err(format!("`{name}` is not known")))
            }
            "allOf" => rule.as_array().into_iter().flatten().try_for_each(|rule| fits(root, rule, value)),
            "anyOf" | "oneOf" => {
                let tried: Vec<_> =
                    rule.as_array().into_iter().flatten().map(|rule| fits(root, rule, value)).collect();
                match tried.iter().filter(|tried| tried.is_ok()).count() {
                    1 => Ok(()),
                    0 => Err(format!("none of {}: {tried:?}", tried.len())),
                    _ if word == "anyOf" => Ok(()),
                    n => Err(format!("{n} of {} fit, and one may", tried.len())),
                }
            }
            other => Err(format!("the word `{other}` is not known")),
        };
        said?;
    }
    Ok(())
}

fn is_of_type(rule: &Value, value: &Value) -> Result<(), String> {
    let is = |word: &str| match word {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        _ => false,
    };
    let fits = match rule {
        Value::String(word) => is(word),
        Value::Array(words) => words.iter().filter_map(Value::as_str).any(is),
        _ => false,
    };
    fits.then_some(()).ok_or_else(|| format!("{value} is not of the type {rule}"))
}
