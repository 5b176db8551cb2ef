//! The command line of operators.

use std::path::PathBuf;

use anyhow::Context;
use brokerx_identity::database;
use clap::{Parser, Subcommand};
use sqlx::{Connection, PgConnection};

use super::{Listing, add, delete_key, seed};

/// The operator under whose name seeding is audited.
const SEED_EMAIL: &str = "seed@brokerx.invalid";

/// Adds operators and lists the first instruments.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Options {
    /// PostgreSQL
    #[arg(long, env = "BROKERX_DATABASE_URL", hide_env_values = true)]
    database_url: String,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Adds an operator, or gives one a further key; prints a JSON line with client_id and, once, api_key
    Add {
        /// The operator's e-mail address
        email: String,
    },
    /// Lists the instruments of a file that are not listed yet
    Seed {
        /// The file: a JSON array of what `POST /admin/v1/instruments` takes
        #[arg(long, env = "BROKERX_INSTRUMENTS_FILE", default_value = "compose/instruments.json")]
        file: PathBuf,
        /// Where the ingress listens
        #[arg(long, env = "BROKERX_INGRESS_URL", default_value = "http://127.0.0.1:8080")]
        ingress_url: String,
    },
}

/// Does what the command line says.
///
/// # Errors
/// When PostgreSQL is away, or what is asked for cannot be done.
pub fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the runtime cannot be started")?;
    runtime.block_on(run(options))
}

async fn run(options: Options) -> anyhow::Result<()> {
    let connect_options = database::connect_options(&options.database_url)?;
    database::migrate(&connect_options).await?;
    let mut connection = PgConnection::connect_with(&connect_options)
        .await
        .context("the database cannot be reached")?;
    match options.command {
        Command::Add { email } => {
            let added = add(&mut connection, &email).await?;
            println!("{}", serde_json::to_string(&added)?);
        }
        Command::Seed { file, ingress_url } => {
            let text = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
            let listings: Vec<Listing> = serde_json::from_str(&text).with_context(|| file.display().to_string())?;
            // A key for this one run, deleted even when seeding fails.
            let operator = add(&mut connection, SEED_EMAIL).await?;
            let seeded = seed(&ingress_url, &operator.api_key, &listings).await;
            delete_key(&mut connection, &operator.api_key).await?;
            println!(
                "{}",
                serde_json::json!({ "instruments": listings.len(), "listed_now": seeded? })
            );
        }
    }
    Ok(())
}
