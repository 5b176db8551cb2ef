//! The command line of operators.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, ensure};
use brokerx_identity::database;
use brokerx_identity::keys::SecretKey;
use brokerx_identity::tokens::Tokens;
use clap::{Parser, Subcommand};
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection};

use super::{Lifetime, Listing, add, list, revoke, seed};

/// The operator under whose name seeding is audited.
const SEED_EMAIL: &str = "seed@brokerx.invalid";

/// Adds operators, lists and revokes their keys, and lists the first instruments.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Options {
    /// PostgreSQL; for `migrate` as the owner of the database
    #[arg(long, env = "BROKERX_DATABASE_URL", hide_env_values = true)]
    database_url: String,
    #[command(subcommand)]
    command: Command,
}

/// Who acts on the command line.
#[derive(Debug, clap::Args)]
struct By {
    /// Who does this, for the audit
    #[arg(long, env = "USER", default_value = "nobody named")]
    by: String,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Brings the schemas `identity` and `projection` up to date and grants the roles of the processes their rights
    Migrate,
    /// Prints the public key that belongs to the key which signs tokens
    TokenKey {
        /// The key that signs tokens: hexadecimal, at least 32 bytes
        #[arg(long, env = "BROKERX_JWT_KEY", hide_env_values = true)]
        jwt_key: SecretKey,
    },
    /// Adds an operator, or gives one a further key; prints a JSON line with client_id, key_id and, once, api_key
    Add {
        /// The operator's e-mail address
        email: String,
        /// When the key ends: a number and m, h or d; at most 366d
        #[arg(long, env = "BROKERX_OPERATOR_KEY_LIFETIME", default_value = "90d")]
        lifetime: Lifetime,
        #[command(flatten)]
        by: By,
    },
    /// Lists the keys that are live, a JSON line each; never the keys themselves
    Keys {
        /// Those too that have expired or were revoked, while they are stored
        #[arg(long)]
        all: bool,
    },
    /// Revokes a key, or all keys of an operator: the next request with it is refused
    Revoke {
        /// The key_id of a key, or the operator's e-mail address
        key: String,
        #[command(flatten)]
        by: By,
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

/// Does what the command line says. When PostgreSQL is away, or it cannot be done, that is told in one line, and the
/// exit code is 1.
pub fn main() -> ExitCode {
    let options = Options::parse();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the runtime cannot be started");
    match runtime.and_then(|runtime| runtime.block_on(run(options))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("brokerx-operator: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> anyhow::Result<()> {
    let connect_options = database::connect_options(&options.database_url)?;
    match &options.command {
        Command::Migrate => return migrate(&connect_options).await,
        Command::TokenKey { jwt_key } => {
            println!("{}", Tokens::new(jwt_key).public_key());
            return Ok(());
        }
        _ => database::ensure_current(&connect_options).await?,
    }
    let mut connection = PgConnection::connect_with(&connect_options)
        .await
        .context("the database cannot be reached")?;
    match options.command {
        // Done above.
        Command::Migrate | Command::TokenKey { .. } => {}
        Command::Add { email, lifetime, by } => {
            let added = add(&mut connection, &email, lifetime, &by.by).await?;
            println!("{}", serde_json::to_string(&added)?);
        }
        Command::Keys { all } => {
            for key in list(&mut connection, all).await? {
                println!("{}", serde_json::to_string(&key)?);
            }
        }
        Command::Revoke { key, by } => {
            let revoked = revoke(&mut connection, &key, &by.by).await?;
            ensure!(!revoked.is_empty(), "there is no live key of {key}");
            println!("{}", serde_json::json!({ "revoked": revoked }));
        }
        Command::Seed { file, ingress_url } => {
            let text = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
            let listings: Vec<Listing> = serde_json::from_str(&text).with_context(|| file.display().to_string())?;
            // A key for this one run, revoked even when seeding fails.
            let operator = add(&mut connection, SEED_EMAIL, Lifetime::HOUR, SEED_EMAIL).await?;
            let seeded = seed(&ingress_url, &operator.api_key, &listings).await;
            revoke(&mut connection, &operator.key_id, SEED_EMAIL).await?;
            println!(
                "{}",
                serde_json::json!({ "instruments": listings.len(), "listed_now": seeded? })
            );
        }
    }
    Ok(())
}

async fn migrate(connect_options: &PgConnectOptions) -> anyhow::Result<()> {
    database::migrate(connect_options).await?;
    let mut connection = PgConnection::connect_with(connect_options).await?;
    brokerx_projection::migrate(&mut connection)
        .await
        .context("a migration of the schema projection failed")?;
    connection.close().await?;
    Ok(())
}
