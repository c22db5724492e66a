//! The API described by itself: an OpenAPI 3.1 document, made from one table of operations and the types
//! that requests and answers are read into and written from.
//!
//! Promises: every route of the router and every code of a refusal is in it; tests compare. Leaves out:
//! what operations mean beyond a sentence, which `docs/api.md` says.

mod operations;

use std::collections::BTreeMap;

use axum::http::StatusCode;
use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};
use starling_api::{Code, Problem, problem::PROBLEM_MEDIA_TYPE};

use super::answer::{Answer, Refused};

/// Where OpenAPI keeps schemas that are used more than once.
const SCHEMAS: &str = "/components/schemas";

pub(super) async fn serve() -> Result<Answer<Value>, Refused> {
    Ok(Answer(StatusCode::OK, document()))
}

/// The whole document.
pub(super) fn document() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.definitions_path = SCHEMAS.into());
    let mut writer = Writer { schemas: settings.into_generator(), paths: BTreeMap::new() };
    operations::write(&mut writer);
    let problem = writer.schema::<Problem>();
    let mut schemas = Value::Object(writer.schemas.take_definitions(true));
    without_null(&mut schemas);
    let mut paths = json!(writer.paths);
    without_null(&mut paths);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Starling",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "One node of a leaderless, replicated document store.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/", "description": "A Unix socket, or loopback TCP where it was turned on." }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": {
                "Problem": {
                    "description": "Refused; the code says why.",
                    "content": { PROBLEM_MEDIA_TYPE: { "schema": problem } },
                },
            },
        },
    })
}

/// The form of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Media {
    Json,
    /// A schema is that of one line.
    Ndjson,
    EventStream,
    Text,
}

impl Media {
    const fn name(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Ndjson => starling_api::document::NDJSON_MEDIA_TYPE,
            Self::EventStream => "text/event-stream",
            Self::Text => crate::metrics::METRICS_MEDIA_TYPE,
        }
    }
}

/// Puts operations into the document.
struct Writer {
    schemas: SchemaGenerator,
    paths: BTreeMap<String, Map<String, Value>>,
}

impl Writer {
    fn schema<T: JsonSchema>(&mut self) -> Value {
        self.schemas.subschema_for::<T>().to_value()
    }

    /// Adds one operation of a route.
    fn operation(&mut self, route: &str, method: &str, operation: Operation) {
        let path = route.replace("{*", "{");
        let mut parameters: Vec<Value> = path_parameters(route).collect();
        parameters.extend(operation.parameters);
        let mut answers = operation.answers;
        for (status, codes) in by_status(&operation.codes) {
            let words: Vec<String> = codes.iter().map(|code| format!("`{code}`: {}", code.title())).collect();
            answers.insert(
                status.to_string(),
                json!({
                    "description": words.join("; "),
                    "content": { PROBLEM_MEDIA_TYPE: { "schema": { "$ref": format!("#{SCHEMAS}/Problem") } } },
                    "x-codes": codes.iter().map(|code| code.name()).collect::<Vec<_>>(),
                }),
            );
        }
        let mut value = json!({
            "operationId": operation.id,
            "summary": operation.summary,
            "responses": answers,
        });
        if !parameters.is_empty() {
            value["parameters"] = parameters.into();
        }
        if let Some(body) = operation.body {
            value["requestBody"] = body;
        }
        self.paths.entry(path).or_default().insert(method.to_owned(), value);
    }

    /// The members of a query, each a parameter.
    fn query<T: JsonSchema>(&mut self) -> Vec<Value> {
        let schema = T::json_schema(&mut self.schemas).to_value();
        let required = |name: &String| {
            schema["required"].as_array().is_some_and(|names| names.iter().any(|known| known == name))
        };
        let Some(members) = schema["properties"].as_object() else { return Vec::new() };
        let parameter = |(name, member): (&String, &Value)| {
            let mut member = member.clone();
            let description = member.as_object_mut().and_then(|member| member.remove("description"));
            json!({ "name": name, "in": "query", "required": required(name), "description": description, "schema": member })
        };
        members.iter().map(parameter).collect()
    }
}

/// One method of one route.
struct Operation {
    id: &'static str,
    summary: &'static str,
    parameters: Vec<Value>,
    body: Option<Value>,
    answers: Map<String, Value>,
    codes: Vec<Code>,
}

impl Operation {
    fn new(id: &'static str, summary: &'static str) -> Self {
        let codes = EVERYWHERE.to_vec();
        Self { id, summary, parameters: Vec::new(), body: None, answers: Map::new(), codes }
    }

    fn parameters(mut self, parameters: Vec<Value>) -> Self {
        self.parameters.extend(parameters);
        self
    }

    fn header(mut self, name: &str, description: &str) -> Self {
        self.parameters.push(json!({
            "name": name, "in": "header", "required": false, "description": description, "schema": { "type": "string" },
        }));
        self
    }

    fn body(self, schema: Value) -> Self {
        self.body_of(&[(Media::Json.name(), schema)])
    }

    fn body_of(mut self, forms: &[(&str, Value)]) -> Self {
        let content: Map<String, Value> =
            forms.iter().map(|(name, schema)| ((*name).to_owned(), json!({ "schema": schema }))).collect();
        self.body = Some(json!({ "required": true, "content": content }));
        self
    }

    fn answers(self, status: u16, description: &str, schema: Value) -> Self {
        self.answers_as(status, description, Media::Json.name(), schema)
    }

    fn answers_as(mut self, status: u16, description: &str, media: &str, schema: Value) -> Self {
        let answer =
            self.answers.entry(status.to_string()).or_insert_with(|| json!({ "description": description }));
        answer["content"][media] = json!({ "schema": schema });
        self
    }

    fn answers_nothing(mut self, status: u16, description: &str) -> Self {
        self.answers.insert(status.to_string(), json!({ "description": description }));
        self
    }

    fn with_headers(mut self, statuses: &[u16], headers: &[(&str, &str)]) -> Self {
        for status in statuses {
            for (name, description) in headers {
                let header = json!({ "description": description, "schema": { "type": "string" } });
                if let Some(answer) = self.answers.get_mut(&status.to_string()) {
                    answer["headers"][*name] = header;
                }
            }
        }
        self
    }

    fn refuses(mut self, codes: &[&[Code]]) -> Self {
        self.codes.extend(codes.iter().flat_map(|codes| codes.iter()));
        self
    }
}

/// What any request may meet. The two foreign ones on TCP only.
const EVERYWHERE: &[Code] = &[Code::ForeignOrigin, Code::ForeignHost, Code::Internal];

fn by_status(codes: &[Code]) -> BTreeMap<u16, Vec<Code>> {
    let mut found: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
    for code in codes {
        let known = found.entry(code.status()).or_default();
        if !known.contains(code) {
            known.push(*code);
        }
    }
    found
}

fn path_parameters(route: &str) -> impl Iterator<Item = Value> {
    let names = route.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    names.map(|name| {
        let (name, description) = match name {
            "space" => ("space", "The space: its name, its id, or at least four first digits of its id."),
            "*name" => ("name", "The document's name, whose slashes stay as they are."),
            "id" => ("id", "The peer: its name, key, PeerId, or a unique beginning of them."),
            other => (other, "A part of the path."),
        };
        json!({ "name": name, "in": "path", "required": true, "description": description, "schema": { "type": "string" } })
    })
}

/// Absent means absent: no answer and no request has `null` where a member may be left out.
fn without_null(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(without_null),
        Value::Object(members) => {
            if let Some(Value::Array(types)) = members.get_mut("type") {
                types.retain(|kind| kind != "null");
                if let [one] = types.as_slice() {
                    let one = one.clone();
                    members.insert("type".to_owned(), one);
                }
            }
            if members.get("default").is_some_and(Value::is_null) {
                members.remove("default");
            }
            if let Some(Value::Array(choices)) = members.get_mut("anyOf") {
                choices.retain(|choice| *choice != json!({ "type": "null" }));
                if let [one] = choices.as_slice()
                    && let Value::Object(one) = one.clone()
                {
                    members.remove("anyOf");
                    members.extend(one);
                }
            }
            members.values_mut().for_each(without_null);
        }
        _ => {}
    }
}

/// The schema of any JSON value.
fn any() -> Value {
    Schema::from(true).to_value()
}

#[cfg(test)]
mod tests;
