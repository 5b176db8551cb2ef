//! What the codec and `apply` ask the schema registry, over its Confluent API.

use std::time::Duration;

use anyhow::Context;
use reqwest::StatusCode;
use schema_registry_converter::async_impl::schema_registry::{
    SrSettings, get_schema_by_id, get_schema_by_subject_and_version, perform_sr_call,
};
use schema_registry_converter::error::SRCError;
use schema_registry_converter::schema_registry_common::{RawError, RegisteredSchema, SrCall};

use super::error::CodecError;
use crate::service::{PlatformOptions, RegistryCredentials, trusting, with_causes};

/// One question takes no longer than this.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// The registry.
#[derive(Debug)]
pub(crate) struct Registry {
    url: String,
    settings: SrSettings,
    /// For the questions that the converter does not ask.
    http: reqwest::Client,
    credentials: RegistryCredentials,
}

/// What the Confluent API takes and gives.
const CONTENT_TYPE: &str = "application/vnd.schemaregistry.v1+json";

impl Registry {
    /// The registry of a platform, whose URL includes the path of its Confluent API. Asks nothing yet.
    pub(crate) fn new(platform: &PlatformOptions) -> Result<Self, CodecError> {
        let url = platform.schema_registry_url.trim_end_matches('/').to_owned();
        let unusable = |reason| CodecError::Address {
            url: url.clone(),
            reason,
        };
        reqwest::Url::parse(&url).map_err(|error| unusable(error.to_string()))?;
        let client = || trusting(reqwest::Client::builder(), platform.schema_registry_ca_file.as_ref());
        let credentials = platform.schema_registry_credentials.clone();
        let mut settings = SrSettings::new_builder(url.clone());
        match (credentials.basic(), credentials.bearer()) {
            (Some((user, password)), _) => {
                settings.set_basic_authorization(user, password);
            }
            (None, Some(token)) => {
                settings.set_token_authorization(token);
            }
            (None, None) => {}
        }
        let settings = settings
            .no_proxy()
            .set_timeout(ANSWER_LIMIT)
            .build_with(client())
            .map_err(|error| unusable(chain(&error)))?;
        let http = client()
            .no_proxy()
            .timeout(ANSWER_LIMIT)
            .build()
            .map_err(|error| unusable(error.to_string()))?;
        // Credentials that cannot be sent are refused now, not with the first question.
        credentials
            .proven(http.get(&url))
            .build()
            .map_err(|error| unusable(format!("the credentials for it: {}", with_causes(&error))))?;
        Ok(Self {
            url,
            settings,
            http,
            credentials,
        })
    }

    /// The id of a schema under a subject; none when it is not registered there.
    pub(crate) async fn id_of(&self, subject: &str, schema: &str) -> Result<Option<u32>, CodecError> {
        let body = schema_body(schema);
        match perform_sr_call(&self.settings, SrCall::PostForVersion(subject, &body)).await {
            Ok(found) => found
                .id
                .map(Some)
                .ok_or_else(|| self.error("an answer without a schema id".to_owned())),
            Err(error) if is_not_found(&error) => Ok(None),
            Err(error) => Err(self.error(chain(&error))),
        }
    }

    /// Registers a schema under a subject and returns the id that it has there, also when it was
    /// there before.
    pub(crate) async fn register(&self, subject: &str, schema: &str) -> Result<u32, CodecError> {
        let body = schema_body(schema);
        perform_sr_call(&self.settings, SrCall::PostNew(subject, &body))
            .await
            .map_err(|error| self.error(chain(&error)))?
            .id
            .ok_or_else(|| self.error("an answer without a schema id".to_owned()))
    }

    /// The schema of an id; none when there is no such id.
    pub(crate) async fn schema(&self, id: u32) -> Result<Option<RegisteredSchema>, CodecError> {
        match get_schema_by_id(id, &self.settings).await {
            Ok(schema) => Ok(Some(schema)),
            Err(error) if is_not_found(&error) => Ok(None),
            Err(error) => Err(self.error(chain(&error))),
        }
    }

    /// The newest schema of a subject; none when there is no such subject.
    pub(crate) async fn latest(&self, subject: &str) -> Result<Option<RegisteredSchema>, CodecError> {
        match get_schema_by_subject_and_version(&self.settings, subject, None).await {
            Ok(schema) => Ok(Some(schema)),
            Err(error) if is_not_found(&error) => Ok(None),
            Err(error) => Err(self.error(chain(&error))),
        }
    }

    /// The compatibility that holds for a subject's new versions; none when there is no such subject.
    pub(crate) async fn compatibility(&self, subject: &str) -> anyhow::Result<Option<String>> {
        let url = format!("{}/config/{subject}", self.url);
        let asked = self.http.get(&url).query(&[("defaultToGlobal", "true")]);
        let response = self.credentials.proven(asked).send().await?;
        if response.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let answer: serde_json::Value = response.error_for_status()?.json().await?;
        let level = answer["compatibilityLevel"].as_str();
        Ok(Some(
            level.context("an answer without a compatibility level")?.to_owned(),
        ))
    }

    /// Sets the compatibility of a subject, which must exist.
    pub(crate) async fn set_compatibility(&self, subject: &str, level: &str) -> anyhow::Result<()> {
        let asked = self.http.put(format!("{}/config/{subject}", self.url));
        self.credentials
            .proven(asked)
            .header(reqwest::header::CONTENT_TYPE, CONTENT_TYPE)
            .body(serde_json::json!({ "compatibility": level }).to_string())
            .send()
            .await?
            .error_for_status()?;
        Ok(())
    }

    /// Whether the registry answers questions now.
    pub(crate) async fn is_there(&self) -> Result<(), CodecError> {
        let asked = self.http.get(format!("{}/subjects", self.url));
        let answered = self.credentials.proven(asked).send().await;
        answered
            .and_then(reqwest::Response::error_for_status)
            .map(|_| ())
            .map_err(|error| self.error(with_causes(&error)))
    }

    pub(super) fn error(&self, reason: String) -> CodecError {
        CodecError::Registry {
            url: self.url.clone(),
            reason,
        }
    }
}

fn schema_body(schema: &str) -> String {
    serde_json::json!({ "schema": schema, "schemaType": "AVRO" }).to_string()
}

/// The registry's own "no such subject", "version" or "schema", not a wrong path.
fn is_not_found(error: &SRCError) -> bool {
    std::error::Error::source(error)
        .and_then(|source| source.downcast_ref::<RawError>())
        .is_some_and(|answer| matches!(answer.error_code, 40_401..=40_403))
}

/// An error and what caused it, in one line.
fn chain(error: &SRCError) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{}: {}", error.error, with_causes(cause)),
        None => error.error.clone(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Options {
        #[command(flatten)]
        platform: PlatformOptions,
    }

    fn registry(token: &str) -> Result<Registry, CodecError> {
        let token = format!("--schema-registry-token={token}");
        Registry::new(&Options::try_parse_from(["test", &token]).unwrap().platform)
    }

    #[test]
    fn a_token_that_no_header_takes_ends_the_start() {
        let refused = registry("ab\ncd").unwrap_err().to_string();
        assert!(refused.contains("credentials") && !refused.contains("ab"), "{refused}");
        assert!(registry("abcd\n").is_ok(), "as stores of secrets give it");
    }
}
