//! `brokerx-topics`: topics, schemas, genesis and configuration of a cluster, and a look into topics.

use std::process::ExitCode;

fn main() -> ExitCode {
    brokerx_topics::command::main()
}
