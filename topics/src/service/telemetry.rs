//! Logs: one JSON object per line on stdout.
//!
//! Every line has `timestamp`, `level`, `service`, `instance`, `target` and `message`; beside them
//! stand the fields of the event and of the spans around it, of which `correlation_id` leads
//! from a client's request through every worker.

use std::fmt;
use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use super::ServiceOptions;

/// Whether a line comes from the Kafka client: rdkafka passes on what librdkafka says under either target.
fn is_kafka_client(target: &str) -> bool {
    target == "librdkafka" || target == "rdkafka" || target.starts_with("rdkafka::")
}

/// How rdkafka calls the end of a partition, to a consumer that asked to be told; it logs that as an error.
const PARTITION_END: &str = "PartitionEOF";

/// Starts the logs of a process, those of librdkafka and of panics included. To be called once, first.
///
/// # Panics
/// When logs were started before.
pub fn init(service: &str, options: &ServiceOptions) {
    let lines = JsonLines {
        service: service.to_owned(),
        instance: options.instance.clone(),
        // A log that nobody reads any more must not stop the process.
        write: |line: &str| drop(std::io::stdout().lock().write_all(line.as_bytes())),
        kafka_client: Mutex::default(),
    };
    tracing_subscriber::registry()
        .with(options.log.targets.clone())
        .with(lines)
        .init();
    std::panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(ToString::to_string);
        let backtrace = std::backtrace::Backtrace::capture().to_string();
        tracing::error!(
            location,
            backtrace,
            "panic: {}",
            panic.payload_as_str().unwrap_or("(no text)")
        );
    }));
    if let Some(refused) = &options.log.refused {
        tracing::warn!("BROKERX_LOG is passed over: {refused}");
    }
}

struct JsonLines<W> {
    service: String,
    instance: String,
    write: W,
    kafka_client: Mutex<Throttle>,
}

/// Lets a bounded number of lines pass in each window: without a broker librdkafka says so many
/// times a second.
#[derive(Default)]
struct Throttle {
    window: Option<Instant>,
    passed: u32,
    dropped: u64,
}

impl Throttle {
    const WINDOW: Duration = Duration::from_secs(10);
    const LINES_MAX: u32 = 20;

    /// How many lines were dropped before this one; none when this one is dropped too.
    fn pass(&mut self, now: Instant) -> Option<u64> {
        if self
            .window
            .is_none_or(|start| now.duration_since(start) >= Self::WINDOW)
        {
            self.window = Some(now);
            self.passed = 0;
        }
        if self.passed == Self::LINES_MAX {
            self.dropped += 1;
            return None;
        }
        self.passed += 1;
        Some(std::mem::take(&mut self.dropped))
    }
}

#[derive(Default)]
struct Fields(Map<String, Value>);

impl<S, W> Layer<S> for JsonLines<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: Fn(&str) + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if let Some(line) = self.line(event, &context) {
            (self.write)(&line);
        }
    }
}

impl<W> JsonLines<W> {
    fn line<S: Subscriber + for<'a> LookupSpan<'a>>(
        &self,
        event: &Event<'_>,
        context: &Context<'_, S>,
    ) -> Option<String> {
        let mut own = Fields::default();
        event.record(&mut own);
        let mut fields = Fields::default();
        for span in context
            .event_scope(event)
            .into_iter()
            .flat_map(|scope| scope.from_root())
        {
            if let Some(of_span) = span.extensions().get::<Fields>() {
                fields.0.extend(of_span.0.clone());
            }
        }
        // An event that came through the `log` crate names its target in a field.
        let target = match own.0.remove("log.target") {
            Some(Value::String(target)) => target,
            _ => event.metadata().target().to_owned(),
        };
        own.0.retain(|name, _| !name.starts_with("log."));
        let message = own.0.remove("message").unwrap_or_default();
        if is_kafka_client(&target) {
            if message.as_str().is_some_and(|text| text.contains(PARTITION_END)) {
                return None;
            }
            let mut throttle = self.kafka_client.lock().unwrap_or_else(PoisonError::into_inner);
            match throttle.pass(Instant::now())? {
                0 => {}
                dropped => drop(own.0.insert("lines_dropped_before".to_owned(), dropped.into())),
            }
        }
        fields.0.extend(own.0);
        let mut line = Map::new();
        line.insert("timestamp".to_owned(), jiff::Timestamp::now().to_string().into());
        line.insert("level".to_owned(), event.metadata().level().as_str().into());
        line.insert("service".to_owned(), self.service.as_str().into());
        line.insert("instance".to_owned(), self.instance.as_str().into());
        line.insert("target".to_owned(), target.into());
        line.insert("message".to_owned(), message);
        for (name, value) in fields.0 {
            // The names above stay what they are, whatever a field is called.
            line.entry(name).or_insert(value);
        }
        let mut text = Value::Object(line).to_string();
        text.push('\n');
        Some(text)
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}").into());
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.into());
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().to_owned(), value.into());
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().to_owned(), value.into());
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().to_owned(), value.into());
    }
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::{Arc, Mutex};

    use super::*;

    fn logged(events: impl FnOnce()) -> Vec<Value> {
        let lines = Arc::new(Mutex::new(String::new()));
        let written = Arc::clone(&lines);
        let layer = JsonLines {
            service: "matcher".to_owned(),
            instance: "1".to_owned(),
            write: move |line: &str| written.lock().unwrap().push_str(line),
            kafka_client: Mutex::default(),
        };
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), events);
        let text = lines.lock().unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn a_line_carries_the_fields_of_the_event_and_of_its_spans() {
        let lines = logged(|| {
            let request = tracing::info_span!("request", correlation_id = "c-1", account = tracing::field::Empty);
            let _entered = request.enter();
            request.record("account", 7);
            tracing::warn!(offset = 42, "late\nby a second");
        });
        let [line] = &lines[..] else {
            panic!("one line: {lines:?}")
        };
        assert_eq!(line["service"], "matcher");
        assert_eq!(line["instance"], "1");
        assert_eq!(line["level"], "WARN");
        assert_eq!(line["message"], "late\nby a second");
        assert_eq!(line["correlation_id"], "c-1");
        assert_eq!(line["account"], 7);
        assert_eq!(line["offset"], 42);
        assert!(line["timestamp"].as_str().unwrap().ends_with('Z'));
    }

    #[test]
    fn librdkafka_cannot_flood_the_log() {
        let lines = logged(|| {
            tracing::error!(target: "rdkafka::client", "librdkafka: Global error: PartitionEOF (Broker: ...)");
            (0..100).for_each(|_| tracing::error!(target: "rdkafka::client", "all brokers are down"));
        });
        assert_eq!(lines.len(), Throttle::LINES_MAX as usize);
        let (mut throttle, start) = (Throttle::default(), Instant::now());
        (0..Throttle::LINES_MAX).for_each(|_| assert_eq!(throttle.pass(start), Some(0)));
        assert_eq!(throttle.pass(start), None);
        assert_eq!(throttle.pass(start + Throttle::WINDOW), Some(1));
    }

    #[test]
    fn a_field_cannot_take_the_place_of_the_service() {
        let lines = logged(|| tracing::info!(service = "another", "hello"));
        assert_eq!(lines[0]["service"], "matcher");
    }
}
