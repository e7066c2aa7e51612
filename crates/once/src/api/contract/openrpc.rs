//! The contract as documents for other languages: OpenRPC, and JSON Schema.

use schemars::generate::SchemaSettings;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::errors::{RPC_CODE, RpcError};
use super::events::EventInfo;
use super::list::METHODS;
use super::progress::Progress;
use super::serving::{RunNotice, WorkNotice};

/// The version of OpenRPC.
const OPENRPC: &str = "1.3.2";

/// What is sent to a client without being an answer.
const NOTIFICATIONS: [(&str, &str); 4] = [
    ("event", "After `listen`: something that happened on the kernel."),
    (
        "progress",
        "While a call runs that asked for it with `\"progress\": true`. Its `id` is that of the call.",
    ),
    ("run", "After `serve`: what becomes of an object by an action?"),
    ("work", "After `serve_activity`: work outside that is to be done."),
];

/// All types of the contract, and which of them each method has.
struct Schemas {
    /// Parameters and results, in the order of the list.
    methods: Vec<(Schema, Schema)>,
    error: Schema,
    /// In the order of [`NOTIFICATIONS`].
    notifications: Vec<Schema>,
    definitions: Map<String, Value>,
}

fn schemas(path: &str) -> Schemas {
    let settings = || {
        SchemaSettings::draft2020_12().with(|settings| {
            settings.definitions_path = path.to_owned().into();
            settings.meta_schema = None;
        })
    };
    // What a kernel reads, and what it writes: a member that may be left out in the one is always there in the other.
    let mut reads = settings().for_deserialize().into_generator();
    let mut writes = settings().for_serialize().into_generator();
    let methods =
        METHODS.iter().map(|method| ((method.params)(&mut reads), (method.result)(&mut writes))).collect();
    let error = writes.subschema_for::<RpcError>();
    let notifications = vec![
        writes.subschema_for::<EventInfo>(),
        writes.subschema_for::<Progress>(),
        writes.subschema_for::<RunNotice<'_>>(),
        writes.subschema_for::<WorkNotice<'_>>(),
    ];
    let mut definitions = taken(reads);
    definitions.extend(taken(writes));
    Schemas { methods, error, notifications, definitions }
}

fn taken(mut generator: SchemaGenerator) -> Map<String, Value> {
    generator.take_definitions(true)
}

/// The API as an [OpenRPC](https://spec.open-rpc.org) document. `once api schema` prints it.
#[must_use]
pub fn openrpc() -> Value {
    let Schemas { methods, error, notifications, definitions } = schemas("/components/schemas");
    let methods: Vec<_> = METHODS
        .iter()
        .zip(methods)
        .map(|(method, (params, result))| {
            let params = resolved(&definitions, params.as_value());
            json!({
                "name": method.name,
                "tags": [{ "name": method.group }],
                "summary": summary(&params),
                "description": params["description"],
                "paramStructure": "by-name",
                "params": parameters(&params),
                "result": { "name": "result", "schema": result },
                "errors": [{ "$ref": "#/components/errors/Error" }],
            })
        })
        .collect();
    let notifications = NOTIFICATIONS.iter().zip(notifications).map(|((name, about), schema)| {
        json!({ "name": name, "summary": about, "params": { "name": "params", "schema": schema } })
    });
    json!({
        "openrpc": OPENRPC,
        "info": {
            "title": "once: the local API of a kernel",
            "description": "JSON-RPC 2.0 over the Unix socket `api.sock` in the data directory, one JSON text per line. \
                docs/local-api.md has more.",
            "version": super::super::VERSION.to_string(),
            "license": { "name": "MIT OR Apache-2.0" },
        },
        "methods": methods,
        "components": {
            "schemas": definitions,
            "errors": { "Error": {
                "code": RPC_CODE, "message": "Why the call was not done, in words.", "x-schema": error,
            } },
        },
        "x-notifications": notifications.collect::<Vec<_>>(),
    })
}

/// The types of the API as one JSON Schema (draft 2020-12): under `$defs`, and which of them each method has under `methods`.
/// `once api schema --json-schema` prints it.
#[must_use]
pub fn json_schema() -> Value {
    let Schemas { methods, error, notifications, definitions } = schemas("/$defs");
    let methods: Map<String, Value> = METHODS
        .iter()
        .zip(methods)
        .map(|(method, (params, result))| {
            (method.name.to_owned(), json!({ "params": params, "result": result }))
        })
        .collect();
    let notifications: Map<String, Value> = NOTIFICATIONS
        .iter()
        .zip(notifications)
        .map(|((name, _), schema)| ((*name).to_owned(), Value::from(schema)))
        .collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "once: the local API of a kernel",
        "methods": methods,
        "notifications": notifications,
        "error": error,
        "$defs": definitions,
    })
}

/// The type that a reference leads to.
pub(super) fn resolved(definitions: &Map<String, Value>, schema: &Value) -> Value {
    let name = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next());
    name.and_then(|name| definitions.get(name)).unwrap_or(schema).clone()
}

/// The first paragraph of what a type says of itself.
pub(super) fn summary(schema: &Value) -> String {
    let text = schema["description"].as_str().unwrap_or_default();
    text.split("\n\n").next().unwrap_or_default().replace('\n', " ")
}

/// The parameters one by one, those that are required first.
fn parameters(schema: &Value) -> Vec<Value> {
    let members = schema["properties"].as_object();
    let is_required =
        |name: &str| schema["required"].as_array().is_some_and(|all| all.iter().any(|n| n == name));
    let mut all: Vec<_> = members.into_iter().flatten().collect();
    all.sort_by_key(|(name, _)| !is_required(name));
    all.into_iter()
        .map(|(name, member)| {
            json!({
                "name": name, "description": member["description"], "required": is_required(name),
                "schema": member,
            })
        })
        .collect()
}
