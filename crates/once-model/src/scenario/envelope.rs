//! Reading and writing the envelope around a model.

use std::borrow::Cow;
use std::ops::Range;

use uuid::Uuid;

use super::error::ScenarioError;
use super::form::{Format, Identity, Shown, capped, is_identity};
use crate::ior::bare_uuid;
use crate::json::{self, Kind, Span, Trail, Visitor, decode, quote, scan};
use crate::limits::NAME_MAX_BYTES;

/// What [`super::Scenario`] keeps of a document.
pub(super) struct Envelope {
    pub(super) format: Format,
    pub(super) uuid: Option<(Uuid, Identity)>,
    pub(super) component: Option<Shown>,
    pub(super) version: Option<Shown>,
    pub(super) name: Option<Shown>,
    pub(super) owner: Option<Range<usize>>,
    pub(super) model: Option<Range<usize>>,
}

/// Checks the document and picks the envelope from it, in one pass.
pub(super) fn read(text: &str) -> Result<Envelope, ScenarioError> {
    let mut fields = Fields::default();
    scan(text, &mut fields)?;
    match fields.root {
        Some(Kind::Object) => Ok(fields.envelope(text)),
        Some(Kind::Array) => Err(ScenarioError::not_an_object("an array")),
        Some(Kind::Text) => Err(ScenarioError::not_an_object("a string")),
        Some(Kind::Number) => Err(ScenarioError::not_an_object("a number")),
        Some(Kind::Bool) => Err(ScenarioError::not_an_object("a boolean")),
        Some(Kind::Null) | None => Err(ScenarioError::not_an_object("null")),
    }
}

/// A value, and where it is.
#[derive(Clone)]
struct Field {
    kind: Kind,
    span: Span,
}

/// A value at the top, with those of its own fields that matter.
#[derive(Default)]
struct Section {
    whole: Option<Field>,
    uuid: Option<Field>,
    component: Option<Field>,
    version: Option<Field>,
    name: Option<Field>,
}

impl Section {
    fn is_object(&self) -> bool {
        self.whole.as_ref().is_some_and(|whole| whole.kind == Kind::Object)
    }
}

/// The values at the top that matter. Of duplicate keys the last one counts, as in `JSON.parse` of the kernels that
/// wrote these files: reading another one than they do would let one file be two objects.
#[derive(Default)]
struct Fields {
    root: Option<Kind>,
    ior: Section,
    upper_ior: Section,
    model: Section,
    state: Section,
    top: Section,
    owner: Option<Field>,
    unit: bool,
    unit_index: bool,
    metadata: bool,
    inside: Inside,
}

/// The section that the scan is in.
#[derive(Clone, Copy, Default, PartialEq)]
enum Inside {
    #[default]
    Nothing,
    Ior,
    UpperIor,
    Model,
    State,
}

impl Visitor for Fields {
    fn open(&mut self, trail: &Trail<'_>, _: Kind) {
        if trail.depth() == 1 {
            self.enter(trail);
        }
    }

    fn value(&mut self, trail: &Trail<'_>, kind: Kind, span: Span) {
        match trail.depth() {
            0 => self.root = Some(kind),
            1 => {
                if !matches!(kind, Kind::Array | Kind::Object) {
                    self.enter(trail);
                }
                self.top_field(trail, Field { kind, span });
            }
            2 if self.inside != Inside::Nothing => self.section_field(trail, Field { kind, span }),
            _ => {}
        }
    }
}

impl Fields {
    fn section(&mut self) -> Option<&mut Section> {
        match self.inside {
            Inside::Nothing => None,
            Inside::Ior => Some(&mut self.ior),
            Inside::UpperIor => Some(&mut self.upper_ior),
            Inside::Model => Some(&mut self.model),
            Inside::State => Some(&mut self.state),
        }
    }

    /// A value at the top begins: forget an earlier one of the same key.
    fn enter(&mut self, trail: &Trail<'_>) {
        self.inside = match trail.key(0).as_deref() {
            Some("ior") => Inside::Ior,
            Some("IOR") => Inside::UpperIor,
            Some("model") => Inside::Model,
            Some("state") => Inside::State,
            _ => Inside::Nothing,
        };
        if let Some(section) = self.section() {
            *section = Section::default();
        }
    }

    fn top_field(&mut self, trail: &Trail<'_>, field: Field) {
        if let Some(section) = self.section() {
            section.whole = Some(field);
            self.inside = Inside::Nothing;
            return;
        }
        match trail.key(0).as_deref() {
            Some("owner") => self.owner = Some(field),
            Some("unit") => self.unit = true,
            Some("unitIndex") => self.unit_index = true,
            Some("metadata") => self.metadata = true,
            Some("uuid") => self.top.uuid = Some(field),
            Some("objectType") => self.top.component = Some(field),
            Some("version") => self.top.version = Some(field),
            Some("name") => self.top.name = Some(field),
            _ => {}
        }
    }

    fn section_field(&mut self, trail: &Trail<'_>, field: Field) {
        let Some(key) = trail.key(1) else { return };
        let Some(section) = self.section() else { return };
        match &*key {
            "uuid" => section.uuid = Some(field),
            "component" => section.component = Some(field),
            "version" => section.version = Some(field),
            "name" => section.name = Some(field),
            _ => {}
        }
    }

    fn envelope(self, text: &str) -> Envelope {
        let format = self.format();
        let Self { ior, upper_ior, model, state, top, owner, .. } = self;
        let ior = if ior.is_object() { ior } else { upper_ior };
        let uuid = uuid_of(text, ior.uuid)
            .map(|uuid| (uuid, Identity::Ior))
            .or_else(|| uuid_of(text, model.uuid).map(|uuid| (uuid, Identity::Model)))
            .or_else(|| uuid_of(text, top.uuid).map(|uuid| (uuid, Identity::TopLevel)));
        // A legacy scenario has its state where others have a model.
        let (name, model) = match (model.whole, state.whole) {
            (None, Some(state_whole)) if format == Format::C => (state.name, Some(state_whole)),
            (model_whole, _) => (model.name, model_whole),
        };
        let (component, version) = match format {
            Format::C => (top.component, top.version),
            _ => (ior.component, ior.version),
        };
        Envelope {
            format,
            uuid,
            component: shown_text(text, component),
            version: shown_any(text, version),
            name: shown_text(text, name).or_else(|| shown_text(text, top.name)),
            owner: owner.map(|owner| owner.span),
            model: model.map(|model| model.span),
        }
    }

    fn format(&self) -> Format {
        let (ior, model, owner) = (self.ior.is_object(), self.model.whole.is_some(), self.owner.is_some());
        if ior && model {
            return match (owner, self.unit, self.unit_index) {
                (true, true, _) => Format::A,
                (true, false, false) => Format::B,
                _ => Format::F,
            };
        }
        if self.upper_ior.is_object() && model && owner {
            return if self.unit_index { Format::D } else { Format::E };
        }
        let uuid = self.top.uuid.is_some();
        if uuid && self.top.component.is_some() && (self.state.whole.is_some() || self.metadata) {
            return Format::C;
        }
        if uuid && self.unit_index && !ior && !model { Format::F } else { Format::Other }
    }
}

fn uuid_of(text: &str, field: Option<Field>) -> Option<Uuid> {
    let field = field.filter(|field| field.kind == Kind::Text)?;
    bare_uuid(&decode(text.get(field.span)?)).filter(is_identity)
}

/// A text; anything else is not shown.
fn shown_text(text: &str, field: Option<Field>) -> Option<Shown> {
    let Field { span, .. } = field.filter(|field| field.kind == Kind::Text)?;
    let quoted = text.get(span.clone())?;
    Some(match decode(quoted) {
        Cow::Borrowed(plain) => Shown::Verbatim(span.start + 1..span.start + 1 + capped(plain).len()),
        Cow::Owned(decoded) => Shown::Decoded(capped(&decoded).into()),
    })
}

/// A text, or the compact JSON of anything else but null.
fn shown_any(text: &str, field: Option<Field>) -> Option<Shown> {
    match field.as_ref()?.kind {
        Kind::Text => shown_text(text, field),
        Kind::Null => None,
        _ => {
            let compact = json::compact(text.get(field?.span)?).ok()?;
            Some(Shown::Decoded(capped(&compact).into()))
        }
    }
}

/// Names become parts of references and of what people type.
pub(super) fn check_name(what: &'static str, name: &str) -> Result<(), ScenarioError> {
    if name.is_empty() {
        Err(ScenarioError::bad_name(what, "it is empty"))
    } else if name.len() > NAME_MAX_BYTES {
        Err(ScenarioError::bad_name(what, format!("it is longer than {NAME_MAX_BYTES} bytes")))
    } else if name.chars().any(char::is_control) {
        Err(ScenarioError::bad_name(what, "it has control characters"))
    } else {
        Ok(())
    }
}

/// A scenario in format A, laid out like those of the TypeScript kernels; the times that they add are left out.
pub(super) fn write(uuid: Uuid, component: &str, version: &str, owner: &str, model: &str) -> String {
    let index: String = uuid.to_string().chars().take(5).flat_map(|digit| [digit, '/']).collect();
    let index = quote(&format!("{index}{uuid}.scenario.json"));
    let link = quote(&format!("type/{component}/{version}"));
    let creator = quote(&format!("{component}/{version}"));
    let (component, version, owner) = (quote(component), quote(version), quote(owner));
    format!(
        r#"{{
  "ior": {{
    "uuid": "{uuid}",
    "component": {component},
    "version": {version}
  }},
  "owner": {owner},
  "model": {model},
  "unit": {{
    "indexPath": {index},
    "symlinkPaths": [
      {link}
    ],
    "references": [],
    "schemaVersion": "1.1.0",
    "createdBy": {creator}
  }}
}}"#
    )
}
