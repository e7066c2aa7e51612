//! References and ids: they print as they were read, what ours say can be written anew, and a scenario that holds one
//! refers to it.

#![cfg_attr(not(test), no_main)]

use once_model::ids::{BootId, Hash, Incarnation, ItemId, KernelId, Lineage, Uuid};
use once_model::ior::{Form, Ior, IorError};
use once_model::json::quote;
use once_model::limits::IOR_MAX_BYTES;
use once_model::references::references;
use once_model::scenario::Scenario;

#[cfg(not(test))]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| run(bytes));

pub fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let parsed = Ior::parse(text);
    match &parsed {
        Ok(ior) => reads(ior, text),
        Err(error) => refused(error, text),
    }
    is_found(text, &quote(text), parsed.as_ref().ok());
    // Six times as long: that would be most of the time.
    if text.len() <= 256 {
        let escaped: String = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
        is_found(text, &format!("\"{escaped}\""), parsed.as_ref().ok());
    }
    ids(text);
}

fn reads(ior: &Ior, text: &str) {
    assert_eq!((ior.to_string().as_str(), ior.as_str()), (text, text));
    assert!(text.len() <= IOR_MAX_BYTES && !text.chars().any(char::is_control));
    let json = serde_json::to_string(ior).expect("a text");
    assert_eq!(serde_json::from_str::<Ior>(&json).ok().as_ref(), Some(ior));

    let form = ior.form();
    let names_an_object = matches!(
        form,
        Form::Once(_) | Form::Bare(_) | Form::Unit(_) | Form::Http { .. } | Form::Web4 { uuid: Some(_), .. }
    );
    assert_eq!(ior.uuid().is_some(), names_an_object, "{form:?}");
    let ours = ior.as_once();
    assert_eq!(ours.is_some(), text.starts_with("ior:once:"));
    assert!(ior.component().is_none_or(|component| component.len() <= text.len()));
    let Some(ours) = ours else {
        return assert_eq!((ior.line(), ior.home(), ior.lineage(), ior.content()), (None, None, None, None));
    };
    assert_eq!((ior.uuid(), ior.home(), ior.lineage()), (Some(ours.uuid), ours.home, ours.lineage));
    let query = text.split_once('?').map_or("", |(_, query)| query);
    let parameters = |name| query.split('&').filter(|part| part.starts_with(name)).count();
    assert_eq!(
        parameters("lineage="),
        usize::from(ours.lineage.is_some()),
        "two readers could see two objects"
    );
    assert_eq!(parameters("hash="), usize::from(ours.content.is_some()));
    assert_eq!(ior.line().is_some(), ours.lineage.is_some() || ours.content.is_some());
    match Ior::once(&ours) {
        Ok(written) => {
            assert!(written.as_str().bytes().all(|b| b.is_ascii_graphic() && !b"\"'\\<>#".contains(&b)));
            assert_eq!(Ior::parse(written.as_str()).as_ref(), Ok(&written));
            assert_eq!(written.as_once(), Some(ours));
        }
        // Escaped, it can be longer than it was.
        Err(error) => {
            assert!(matches!(error, IorError::TooLong { .. }) && text.len() > IOR_MAX_BYTES / 3, "{error}")
        }
    }
}

fn refused(error: &IorError, text: &str) {
    let (shown, _) = (error.to_string(), error.hint());
    assert!(shown.len() < 256 && !shown.chars().any(char::is_control), "{shown:?}");
    match error {
        IorError::NotAnIor => {
            assert!(!text.starts_with("ior:") && !text.starts_with("web4:"));
            assert!(text.len() != 36 || text.parse::<Uuid>().is_err());
        }
        IorError::TooLong { bytes } => assert!(*bytes == text.len() && *bytes > IOR_MAX_BYTES),
        IorError::ControlCharacter => assert!(text.chars().any(char::is_control)),
        IorError::Shape | IorError::Part { .. } | IorError::Twice { .. } => {
            assert!(text.starts_with("ior:once:"));
        }
        other => panic!("{other:?}"),
    }
}

/// In a scenario, however it is spelled.
fn is_found(text: &str, quoted: &str, expected: Option<&Ior>) {
    let scenario = Scenario::parse(format!(r#"{{"model":{{"at":[{quoted}]}}}}"#)).expect("a scenario");
    let found = references(&scenario).items;
    assert_eq!(found.first().map(|found| &found.target), expected, "{text:?}");
    assert!(found.iter().all(|found| found.path == "model.at[0]"));
}

fn ids(text: &str) {
    macro_rules! prints_as_it_was_read {
        ($($id:ty)*) => { $(match text.parse::<$id>() {
            Ok(id) => assert_eq!(id.to_string(), text.to_ascii_lowercase()),
            Err(error) => assert!(error.to_string().len() < 256),
        })* };
    }
    prints_as_it_was_read!(BootId Hash Incarnation ItemId KernelId Lineage);
}
