//! The launcher behind `./brokerx`.

use std::process::ExitCode;

fn main() -> ExitCode {
    brokerx_launcher::interrupt::install();
    match brokerx_launcher::commands::run() {
        Ok(code) => code,
        Err(failure) => {
            let message = failure.to_string();
            if !message.is_empty() {
                eprintln!("brokerx: {}", message.trim_end());
            }
            ExitCode::from(failure.exit_code())
        }
    }
}
