//! The worker that drives the matcher over `book-commands`.

/// What a worker asks for is small, much, and freed by another thread: this takes less time for it than the system's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> anyhow::Result<()> {
    brokerx_matcher::start::main()
}
