//! The worker that drives the matcher over `book-commands`.

fn main() -> anyhow::Result<()> {
    brokerx_matcher::start::main()
}
