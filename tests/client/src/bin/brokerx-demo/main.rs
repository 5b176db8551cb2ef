//! `./brokerx demo`: trades on the running system, as clients would.

mod story;
mod transcript;

use std::path::PathBuf;
use std::process::ExitCode;

use brokerx_client::Api;
use clap::Parser;

/// Trades as two clients would, on a running system, with a transcript of what was asked and answered.
#[derive(Parser)]
struct Options {
    /// The ingress.
    #[arg(long, env = "BROKERX_INGRESS_URL", default_value = "http://127.0.0.1:8080")]
    ingress_url: String,
    /// The notifier's WebSocket.
    #[arg(long, env = "BROKERX_FEED_URL", default_value = "ws://127.0.0.1:8090/ws")]
    stream_url: String,
    /// Where mails are written as files.
    #[arg(long, env = "BROKERX_MAIL_DIR", default_value = ".brokerx/mail")]
    mail_dir: PathBuf,
    /// The API key of an operator.
    #[arg(long, env = "BROKERX_OPERATOR_KEY")]
    operator_key: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let options = Options::parse();
    let outcome = async {
        let api = Api::new(&options.ingress_url, &options.stream_url)?;
        story::tell(&api, &options.mail_dir, &options.operator_key).await
    };
    match outcome.await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nThe demo failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}
