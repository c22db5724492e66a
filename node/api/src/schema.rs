//! JSON Schemas of the types whose form on the wire is not that of their fields.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::{
    Code, Heads,
    document::{BatchResult, BatchResultWire},
    member::Nodes,
};

impl JsonSchema for Heads {
    fn schema_name() -> Cow<'static, str> {
        "Heads".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Hashes of the changes that no other rests on: sorted, lower-case hex.",
            "type": "array",
            "items": { "type": "string", "pattern": "^[0-9a-f]{64}$" },
        })
    }
}

impl JsonSchema for Nodes {
    fn schema_name() -> Cow<'static, str> {
        "Nodes".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "How many nodes: a number, or all that are neither away nor left.",
            "oneOf": [
                { "type": "integer", "minimum": 0, "maximum": u32::MAX },
                { "const": "all" },
            ],
        })
    }
}

impl JsonSchema for Code {
    fn schema_name() -> Cow<'static, str> {
        "Code".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names: Vec<&str> = Self::ALL.iter().map(|code| code.name()).collect();
        json_schema!({
            "description": "Why a request was refused. Later versions may know more.",
            "type": "string",
            "examples": names,
        })
    }
}

impl JsonSchema for BatchResult {
    fn schema_name() -> Cow<'static, str> {
        "BatchResult".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        BatchResultWire::json_schema(generator)
    }
}
