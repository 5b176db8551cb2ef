//! The simulated payment provider.

fn main() -> anyhow::Result<()> {
    brokerx_settlement::provider::start::main()
}
