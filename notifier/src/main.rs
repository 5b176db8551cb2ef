//! The notifier: the WebSocket feed and the mails of BrokerX.

use brokerx_notifier::options::{LISTEN_DEFAULT, Options};
use brokerx_notifier::start;
use brokerx_topics::service::{Shutdown, parse_options, telemetry};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options: Options = parse_options(LISTEN_DEFAULT);
    telemetry::init("notifier", &options.service);
    start::run(options, Shutdown::on_signals()).await
}
