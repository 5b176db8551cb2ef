//! A schema taken apart into its named types, so that a test can change one and put it together again.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value as Json, json};

/// A schema as its named types, each of which names the others.
#[derive(Clone)]
pub struct Parts {
    root: String,
    /// The definition of each type, with every type inside it by name.
    pub types: BTreeMap<String, Json>,
}

impl Parts {
    /// Takes a schema apart.
    pub fn of(schema: &str) -> Self {
        let mut types = BTreeMap::new();
        let root = collect(&serde_json::from_str(schema).unwrap(), &mut types);
        Self {
            root: root.as_str().unwrap().to_owned(),
            types,
        }
    }

    /// The schema: each type is defined where it is first used.
    pub fn text(&self) -> String {
        let mut schema = define(&json!(self.root), &self.types, &mut BTreeSet::new());
        schema["namespace"] = json!("brokerx");
        schema.to_string()
    }

    /// The name of the topic's record.
    pub fn root(&self) -> &str {
        &self.root
    }

    /// The fields of a record.
    pub fn fields(&mut self, record: &str) -> &mut Vec<Json> {
        self.types.get_mut(record).unwrap()["fields"].as_array_mut().unwrap()
    }

    /// The one field of a record that has this name.
    pub fn field(&mut self, record: &str, name: &str) -> &mut Json {
        self.fields(record)
            .iter_mut()
            .find(|field| field["name"] == name)
            .unwrap()
    }

    /// The names of all types of a sort: `record`, `enum` or `fixed`.
    pub fn names(&self, sort: &str) -> Vec<String> {
        self.types
            .iter()
            .filter(|(_, body)| body["type"] == sort)
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// Adds a symbol to an enum, behind `UNKNOWN`: its number is 1, those behind it move up by one.
    pub fn add_symbol(&mut self, name: &str, symbol: &str) {
        self.types.get_mut(name).unwrap()["symbols"]
            .as_array_mut()
            .unwrap()
            .insert(1, json!(symbol));
    }

    /// Adds a kind the way a release does: a symbol and a nullable record.
    pub fn add_kind(&mut self, symbol: &str) {
        let root = self.root.clone();
        let kind = self.field(&root, "kind")["type"].as_str().unwrap().to_owned();
        self.add_symbol(&kind, symbol);
        let record = json!({
            "type": "record", "name": "AddedKind", "doc": "A new kind.",
            "fields": [{ "name": "text", "doc": "Its text.", "type": "string" }],
        });
        self.types.insert("AddedKind".to_owned(), record);
        let name = symbol.to_lowercase();
        let field = json!({ "name": name, "doc": "The new kind.", "type": ["null", "AddedKind"], "default": null });
        self.fields(&root).push(field);
    }

    /// Whether the topic's value is one nullable record per kind.
    pub fn has_a_record_per_kind(&mut self) -> bool {
        let root = self.root.clone();
        self.fields(&root)[0]["name"] == "kind"
    }
}

/// A schema without its documentation: what two versions must share to be the same contract.
pub fn without_docs(schema: &str) -> Json {
    let mut parts = Parts::of(schema);
    for body in parts.types.values_mut() {
        body.as_object_mut().unwrap().remove("doc");
        for field in body
            .get_mut("fields")
            .and_then(Json::as_array_mut)
            .into_iter()
            .flatten()
        {
            field.as_object_mut().unwrap().remove("doc");
        }
    }
    serde_json::from_str(&parts.text()).unwrap()
}

/// Puts the named types of a schema into `types` and returns the schema with names in their place.
fn collect(schema: &Json, types: &mut BTreeMap<String, Json>) -> Json {
    match schema {
        Json::Array(variants) => variants.iter().map(|variant| collect(variant, types)).collect(),
        Json::Object(object) if object["type"] == "array" => {
            json!({"type": "array", "items": collect(&object["items"], types)})
        }
        Json::Object(object) => {
            let mut body: Map<String, Json> = object.clone();
            body.remove("namespace");
            if let Some(fields) = body.get_mut("fields") {
                for field in fields.as_array_mut().unwrap() {
                    field["type"] = collect(&field["type"], types);
                }
            }
            let name = object["name"].as_str().unwrap().to_owned();
            assert!(
                types.insert(name.clone(), Json::Object(body)).is_none(),
                "{name} is defined twice"
            );
            json!(name)
        }
        name => name.clone(),
    }
}

fn define(schema: &Json, types: &BTreeMap<String, Json>, defined: &mut BTreeSet<String>) -> Json {
    match schema {
        Json::Array(variants) => variants.iter().map(|variant| define(variant, types, defined)).collect(),
        Json::Object(object) if object["type"] == "array" => {
            json!({"type": "array", "items": define(&object["items"], types, defined)})
        }
        Json::String(name) if types.contains_key(name) && defined.insert(name.clone()) => {
            let mut body = types[name].clone();
            if let Some(fields) = body.get_mut("fields") {
                for field in fields.as_array_mut().unwrap() {
                    field["type"] = define(&field["type"], types, defined);
                }
            }
            body
        }
        other => other.clone(),
    }
}
