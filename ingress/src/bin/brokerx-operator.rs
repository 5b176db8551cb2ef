//! Operators from the command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    brokerx_ingress::operators::main()
}
