//! The notifier: the WebSocket feed and the mails of BrokerX.

fn main() -> anyhow::Result<()> {
    brokerx_notifier::start::main()
}
