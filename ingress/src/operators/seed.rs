//! Lists the instruments of a file, over HTTP as any operator would.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use brokerx_topics::service::backoff;
use reqwest::{Client, StatusCode};
use serde::{Deserialize, Serialize};

/// How long the ingress may take to list an instrument.
const LIMIT: Duration = Duration::from_secs(60);

/// An instrument of the file: the body of `POST /admin/v1/instruments`.
#[derive(Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Listing {
    /// The symbol.
    pub symbol: String,
    /// The name.
    pub name: String,
    /// Every price is a multiple of this; a decimal string.
    pub tick_size: String,
    /// The reference before the first trade; a decimal string.
    pub reference_price: String,
    /// How far a limit may be from the last trade, percent; a decimal string.
    pub band_percent: String,
}

/// Lists the instruments that are not listed yet and returns how many they were. An instrument that is
/// listed with other content is left as it is.
///
/// # Errors
/// When the ingress refuses, or cannot list one within a minute.
pub async fn seed(ingress_url: &str, api_key: &str, listings: &[Listing]) -> anyhow::Result<usize> {
    let client = Client::builder().timeout(Duration::from_secs(10)).build()?;
    let url = format!("{}/admin/v1/instruments", ingress_url.trim_end_matches('/'));
    let mut listed = 0;
    for listing in listings {
        listed += usize::from(
            list(&client, &url, api_key, listing)
                .await
                .with_context(|| listing.symbol.clone())?,
        );
    }
    Ok(listed)
}

/// Lists one instrument; false when it was listed already.
async fn list(client: &Client, url: &str, api_key: &str, listing: &Listing) -> anyhow::Result<bool> {
    let end = Instant::now() + LIMIT;
    let mut pause = backoff();
    loop {
        let answer = client.post(url).header("x-api-key", api_key).json(listing).send().await;
        let fault = match answer {
            Ok(answer) => match answer.status() {
                StatusCode::CREATED => return Ok(true),
                StatusCode::OK => return Ok(false),
                StatusCode::CONFLICT => {
                    eprintln!("{} is listed with other content and stays as it is", listing.symbol);
                    return Ok(false);
                }
                // The ingress has no outcome yet, or cannot take the request now: it may be sent again.
                StatusCode::ACCEPTED | StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
                    format!("the ingress answered {}", answer.status())
                }
                status => bail!(
                    "the ingress answered {status}: {}",
                    answer.text().await.unwrap_or_default()
                ),
            },
            Err(error) => format!("{url} cannot be reached: {error}"),
        };
        if Instant::now() >= end {
            bail!("{fault}");
        }
        tokio::time::sleep(pause.next()).await;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_file_of_instruments_can_be_listed() {
        let listings: Vec<Listing> = serde_json::from_str(include_str!("../../../compose/instruments.json")).unwrap();
        let symbols: Vec<&str> = listings.iter().map(|listing| listing.symbol.as_str()).collect();
        for wanted in ["AAPL", "MSFT", "TSLA", "AMZN", "GOOG", "INTC", "SPY"] {
            assert!(symbols.contains(&wanted), "{wanted}");
        }
        let mut distinct = symbols.clone();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), symbols.len());
    }
}
