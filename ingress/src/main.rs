//! The ingress: the HTTP API of BrokerX.

/// What a worker asks for is small, much, and freed by another thread: this takes less time for it than the system's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> anyhow::Result<()> {
    brokerx_ingress::start::main()
}
