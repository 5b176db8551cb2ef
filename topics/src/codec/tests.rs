#![allow(clippy::unwrap_used)]

use std::path::Path;

use brokerx_schemas::{
    AccountCommand, AccountEvent, AckEvent, AuthEvent, BookCommand, DeadLetter, DepositEvent, InstrumentEvent,
    LedgerEvent, MarketData, OrderEvent, Reply, TradeEvent,
};
use serde_json::{Value, json};

use super::*;

/// The messages of `schemas/examples/<topic>`.
fn examples<M: Message>() -> Vec<M> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../schemas/examples")
        .join(M::TOPIC);
    let files = std::fs::read_dir(folder).unwrap();
    let mut files: Vec<_> = files.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{}", M::TOPIC);
    files
        .iter()
        .map(|file| {
            let mut example = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
            ids_as_bytes(&mut example);
            serde_json::from_value(example).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
        })
        .collect()
}

/// The examples show a command id as the UUID that it is; serde sees its 16 bytes.
fn ids_as_bytes(value: &mut Value) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(ids_as_bytes),
        Value::Object(fields) => fields.iter_mut().for_each(|(name, value)| match value {
            Value::String(id) if name == "command_id" => *value = json!(uuid::Uuid::parse_str(id).unwrap().as_bytes()),
            value => ids_as_bytes(value),
        }),
        _ => {}
    }
}

fn encoded<M: Message>(codec: &Codec, message: &M) -> Vec<u8> {
    let mut bytes = Vec::new();
    codec.encode(message, &mut bytes).unwrap();
    bytes
}

fn malformed<M: Message>(codec: &Codec, bytes: &[u8]) -> bool {
    matches!(codec.decode::<M>(bytes), Err(DecodeError::Malformed(_)))
}

/// A codec that resolved `id` to another schema.
fn knowing(id: u32, other: Other) -> Codec {
    let codec = Codec::detached();
    let mut others = HashMap::clone(&codec.shared.others.load());
    let known: HashMap<_, _> = others.drain().chain([(id, Arc::new(other))]).collect();
    codec.shared.others.store(Arc::new(known));
    codec
}

/// A deterministic stream of numbers (xorshift).
fn numbers(mut state: u64) -> impl FnMut() -> u64 {
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    }
}

fn check_topic<M: Message>() {
    let codec = Codec::detached();
    for message in examples::<M>() {
        let bytes = encoded(&codec, &message);
        let shown = serde_json::to_value(&message).unwrap();
        let decoded: M = codec.decode(&bytes).unwrap();
        assert_eq!(serde_json::to_value(&decoded).unwrap(), shown, "{}", M::TOPIC);
        // No prefix is a message, nor is one with a byte too many.
        for length in 0..bytes.len() {
            assert!(malformed::<M>(&codec, &bytes[..length]), "{} {length}", M::TOPIC);
        }
        assert!(malformed::<M>(&codec, &[&bytes[..], &[0]].concat()), "{}", M::TOPIC);
        scramble::<M>(&codec, &bytes);
    }
}

/// Whatever the bytes are, there is an answer and no panic, and it is always the same.
fn scramble<M: Message>(codec: &Codec, bytes: &[u8]) {
    let mut next = numbers(0x9e37_79b9_7f4a_7c15);
    for _ in 0..200 {
        let mut bytes = bytes.to_vec();
        for _ in 0..=next() % 4 {
            let index = wire::HEADER_BYTES + next() as usize % (bytes.len() - wire::HEADER_BYTES);
            bytes[index] = next() as u8;
        }
        let shown = |decoded: Result<M, DecodeError>| decoded.map(|message| serde_json::to_value(message).unwrap());
        assert_eq!(shown(codec.decode(&bytes)), shown(codec.decode(&bytes)));
    }
}

#[test]
fn every_example_of_every_topic_is_encoded_and_decoded() {
    check_topic::<AccountCommand>();
    check_topic::<BookCommand>();
    check_topic::<Reply>();
    check_topic::<AccountEvent>();
    check_topic::<OrderEvent>();
    check_topic::<DepositEvent>();
    check_topic::<LedgerEvent>();
    check_topic::<AuthEvent>();
    check_topic::<TradeEvent>();
    check_topic::<MarketData>();
    check_topic::<InstrumentEvent>();
    check_topic::<AckEvent>();
    check_topic::<DeadLetter>();
}

#[test]
fn a_value_begins_with_zero_and_the_schema_id_and_is_appended() {
    let codec = Codec::detached();
    let trade = examples::<TradeEvent>().remove(0);
    let mut bytes = vec![9, 9];
    codec.encode(&trade, &mut bytes).unwrap();
    assert_eq!(bytes[..3], [9, 9, 0]);
    assert_eq!(bytes[3..7], codec.schema_id(TradeEvent::TOPIC).to_be_bytes());
    let mut any = vec![9, 9];
    codec.encode_any(&trade.into(), &mut any).unwrap();
    assert_eq!(any, bytes);
}

#[test]
fn what_is_too_large_is_refused_and_leaves_the_buffer_as_it_was() {
    let codec = Codec::detached();
    let mut letter = examples::<DeadLetter>().remove(0);
    let DeadLetter::UnusableRecord(record) = &mut letter else {
        panic!("an unusable record");
    };
    record.value_hex = Some("0".repeat(VALUE_BYTES_MAX));
    let mut buffer = vec![7];
    assert!(matches!(
        codec.encode(&letter, &mut buffer),
        Err(CodecError::TooLarge { .. })
    ));
    assert_eq!(buffer, [7]);
    let mut bytes = encoded(&codec, &examples::<DeadLetter>()[0]);
    bytes.resize(VALUE_BYTES_MAX + 1, 0);
    assert!(malformed::<DeadLetter>(&codec, &bytes));
}

#[test]
fn another_magic_byte_is_malformed_and_another_id_is_unknown() {
    let codec = Codec::detached();
    let mut bytes = encoded(&codec, &examples::<TradeEvent>()[0]);
    bytes[1] = 0x7f;
    let id = u32::from_be_bytes([bytes[1], bytes[2], bytes[3], bytes[4]]);
    assert_eq!(
        codec.decode::<TradeEvent>(&bytes).unwrap_err(),
        DecodeError::UnknownSchema(id)
    );
    bytes[0] = 1;
    assert!(malformed::<TradeEvent>(&codec, &bytes));
}

#[test]
fn a_value_of_another_topic_is_malformed() {
    let codec = Codec::detached();
    let bytes = encoded(&codec, &examples::<TradeEvent>()[0]);
    assert!(malformed::<OrderEvent>(&codec, &bytes));
}

#[test]
fn a_schema_of_another_topic_is_told_from_one_of_the_same() {
    let codec = Codec::detached();
    let id_of = |topic| codec.shared.ids[slot_of(topic)];
    assert!(codec.is_foreign("trades", id_of("account-events")));
    assert!(!codec.is_foreign("trades", id_of("trades")));
    assert!(!codec.is_foreign("trades", 0x7f00_0001), "nobody knows it");
}

#[test]
fn an_older_writer_is_read_with_its_own_schema() {
    // Before `replayed` and `executions` were added.
    let (_, current) = brokerx_schemas::SCHEMAS
        .iter()
        .find(|(topic, _)| *topic == Reply::TOPIC)
        .unwrap();
    let mut schema: Value = serde_json::from_str(current).unwrap();
    let fields = schema["fields"].as_array_mut().unwrap();
    let names = ["replayed", "executions"];
    let taken: Vec<Value> = fields
        .iter()
        .filter(|field| names.contains(&field["name"].as_str().unwrap()))
        .cloned()
        .collect();
    assert_eq!(taken.len(), 2);
    fields.retain(|field| !taken.contains(field));
    let codec = knowing(900, Other::of(Ok(&schema.to_string())));

    let mut reply = examples::<Reply>()
        .into_iter()
        .find(|reply| !reply.executions.is_empty())
        .unwrap();
    let older: serde_avro_fast::Schema = schema.to_string().parse().unwrap();
    let mut bytes = vec![0, 0, 0, 3, 132];
    bytes.extend(older_datum(&reply, &older));
    reply.replayed = false;
    reply.executions.clear();
    assert_eq!(codec.decode::<Reply>(&bytes).unwrap(), reply);
}

/// The reply as a writer wrote it that had neither `replayed` nor `executions`.
fn older_datum(reply: &Reply, schema: &serde_avro_fast::Schema) -> Vec<u8> {
    #[derive(serde::Serialize)]
    struct Older<'a> {
        command_id: &'a brokerx_schemas::CommandId,
        kind: brokerx_schemas::ReplyKind,
        account_seq: Option<i64>,
        refusal: &'a Option<brokerx_schemas::Refusal>,
        order: &'a Option<brokerx_schemas::OrderView>,
        payment: &'a Option<brokerx_schemas::PaymentView>,
        transfer: &'a Option<brokerx_schemas::TransferView>,
        instrument: &'a Option<brokerx_schemas::Instrument>,
    }
    let older = Older {
        command_id: &reply.command_id,
        kind: reply.kind,
        account_seq: reply.account_seq,
        refusal: &reply.refusal,
        order: &reply.order,
        payment: &reply.payment,
        transfer: &reply.transfer,
        instrument: &reply.instrument,
    };
    serde_avro_fast::to_datum_vec(&older, &mut serde_avro_fast::ser::SerializerConfig::new(schema)).unwrap()
}

#[test]
fn a_newer_writers_kind_is_unknown_and_not_malformed() {
    let (_, current) = brokerx_schemas::SCHEMAS
        .iter()
        .find(|(topic, _)| *topic == TradeEvent::TOPIC)
        .unwrap();
    let mut schema: Value = serde_json::from_str(current).unwrap();
    schema["fields"][0]["type"]["symbols"]
        .as_array_mut()
        .unwrap()
        .push(json!("BUST"));
    let bust = json!({ "name": "bust", "type": ["null", {
        "type": "record", "name": "Bust", "fields": [{ "name": "trade_id", "type": "long" }],
    }], "default": null });
    schema["fields"].as_array_mut().unwrap().push(bust);
    let codec = knowing(900, Other::of(Ok(&schema.to_string())));
    let symbols = schema["fields"][0]["type"]["symbols"].as_array().unwrap().len() as u8;
    // kind: the last symbol; trade: null; bust: a record with trade_id 21 (zigzag 42).
    let bytes = [0, 0, 0, 3, 132, (symbols - 1) * 2, 0, 2, 42];
    assert_eq!(codec.decode::<TradeEvent>(&bytes).unwrap(), TradeEvent::Unknown);
}

#[test]
fn an_id_that_is_no_record_is_malformed() {
    for other in [
        Other::of(Ok(r#""string""#)),
        Other::of(Err("Json instead of Avro".to_owned())),
    ] {
        let codec = knowing(900, other);
        assert!(malformed::<TradeEvent>(&codec, &[0, 0, 0, 3, 132, 0]));
    }
}

#[tokio::test]
async fn a_detached_codec_resolves_what_it_has_and_nothing_else() {
    let codec = Codec::detached();
    assert!(codec.resolve(codec.schema_id(TradeEvent::TOPIC)).await.is_ok());
    assert!(codec.resolve(900).await.is_err());
}

#[tokio::test]
async fn a_process_starts_with_what_it_knows_while_the_registry_is_away() {
    // Nobody listens there.
    let url = "http://127.0.0.1:1";
    let directory = std::env::temp_dir().join(format!("brokerx-schemas-{}", uuid::Uuid::new_v4()));
    let platform = PlatformOptions {
        kafka_brokers: String::new(),
        schema_registry_url: url.to_owned(),
        schema_registry_ca_file: None,
        schema_registry_credentials: Default::default(),
        schema_dir: Some(directory.clone()),
        kafka_security: Default::default(),
    };
    let start = async || Codec::of_process(&platform, Duration::ZERO).await;
    let registry_is_missed = |started: Result<Codec, CodecError>| matches!(started, Err(CodecError::Registry { .. }));
    assert!(registry_is_missed(start().await), "nothing is known");

    let own = |id_of_first: u32| schemas().iter().zip(id_of_first..);
    let keep = |memory: &Memory, count: usize| {
        let known = own(40).take(count);
        memory.keep_own(known.map(|(schema, id)| (subject_of(schema.topic), id, schema.json)));
    };
    keep(&Memory::open(&directory, url), schemas().len() - 1);
    assert!(registry_is_missed(start().await), "one schema is not known");
    let memory = Memory::open(&directory, url);
    keep(&memory, schemas().len());
    let other = r#"{"type": "record", "name": "Other", "fields": []}"#;
    memory.keep_other(7, other);
    // What another build registered for a subject of ours.
    memory.keep_own([(subject_of(Reply::TOPIC), 8, other)].into_iter());
    let codec = start().await.unwrap();
    assert_eq!(codec.schema_id(schemas()[0].topic), 40);
    for id in [7, 8] {
        assert!(codec.shared.others.load().contains_key(&id), "{id}");
    }
    let message = &examples::<Reply>()[0];
    let bytes = encoded(&codec, message);
    assert_eq!(&codec.decode::<Reply>(&bytes).unwrap(), message);
    // The schema of another build under the same subject is another one, and so is another registry.
    assert_eq!(memory.id_of(&subject_of(Reply::TOPIC), "{}"), None);
    assert!(Memory::open(&directory, "http://127.0.0.1:2").all().is_empty());
    // A file that cannot be read is as none.
    std::fs::write(directory.join("schemas.json"), "{").unwrap();
    assert!(registry_is_missed(start().await));
    std::fs::remove_dir_all(directory).unwrap();
}
