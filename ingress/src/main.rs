//! The ingress: the HTTP API of BrokerX.

use brokerx_ingress::options::{LISTEN_DEFAULT, Options};
use brokerx_ingress::start;
use brokerx_topics::service::{Shutdown, parse_options, telemetry};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options: Options = parse_options(LISTEN_DEFAULT);
    telemetry::init("ingress", &options.service);
    start::run(options, Shutdown::on_signals()).await
}
