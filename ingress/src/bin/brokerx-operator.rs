//! Operators from the command line.

fn main() -> anyhow::Result<()> {
    brokerx_ingress::operators::main()
}
