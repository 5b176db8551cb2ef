//! The ingress: the HTTP API of BrokerX.

fn main() -> anyhow::Result<()> {
    brokerx_ingress::start::main()
}
