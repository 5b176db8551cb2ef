//! The OpenAPI document names exactly the routes that are served, and nothing in it dangles.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

const DOCUMENT: &str = include_str!("../../schemas/openapi/ingress.yaml");

fn document() -> Value {
    serde_saphyr::from_str(DOCUMENT).unwrap()
}

#[test]
fn the_document_names_the_routes_that_are_served() {
    let paths: BTreeMap<String, BTreeMap<String, Value>> = serde_json::from_value(document()["paths"].clone()).unwrap();
    let documented: BTreeSet<(String, String)> = paths
        .into_iter()
        .flat_map(|(path, methods)| methods.into_keys().map(move |method| (method, path.clone())))
        .collect();
    let served: BTreeSet<(String, String)> = brokerx_ingress::routes::list()
        .into_iter()
        .map(|(method, path)| (method.to_owned(), path.to_owned()))
        .collect();
    assert_eq!(documented, served);
}

#[test]
fn every_reference_leads_somewhere() {
    let document = document();
    let mut references = BTreeSet::new();
    collect(&document, &mut references);
    assert!(!references.is_empty());
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

fn collect(value: &Value, references: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            if let Some(Value::String(reference)) = members.get("$ref") {
                references.insert(reference.clone());
            }
            members.values().for_each(|member| collect(member, references));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, references)),
        _ => {}
    }
}
