//! The worker of settlement: the account machine, the publisher, the projector and the payments stage.

fn main() -> anyhow::Result<()> {
    brokerx_settlement::start::main()
}
