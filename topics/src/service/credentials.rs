//! How a process proves to the schema registry who it is.

use reqwest::RequestBuilder;

use super::security::{Password, password_in};

/// What is sent with each question to the schema registry; by default nothing.
///
/// A name and a password are what Confluent's clients call `basic.auth.user.info`, a token is their
/// `bearer.auth.token`.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct RegistryCredentials {
    /// The name of this process at the schema registry (HTTP Basic)
    #[arg(
        long = "schema-registry-user",
        id = "schema_registry_user",
        env = "BROKERX_SCHEMA_REGISTRY_USER",
        conflicts_with_all = ["schema_registry_token", "schema_registry_token_file"]
    )]
    pub user: Option<String>,
    /// Its password
    #[arg(
        long = "schema-registry-password",
        id = "schema_registry_password",
        env = "BROKERX_SCHEMA_REGISTRY_PASSWORD",
        hide_env_values = true,
        requires = "schema_registry_user",
        conflicts_with = "schema_registry_password_file"
    )]
    pub password: Option<Password>,
    /// A file with its password in the first line
    #[arg(
        long = "schema-registry-password-file",
        id = "schema_registry_password_file",
        env = "BROKERX_SCHEMA_REGISTRY_PASSWORD_FILE",
        value_parser = password_in,
        requires = "schema_registry_user"
    )]
    pub password_file: Option<Password>,
    /// A token in the place of name and password (HTTP Bearer)
    #[arg(
        long = "schema-registry-token",
        id = "schema_registry_token",
        env = "BROKERX_SCHEMA_REGISTRY_TOKEN",
        hide_env_values = true,
        conflicts_with = "schema_registry_token_file"
    )]
    pub token: Option<Password>,
    /// A file with the token in the first line
    #[arg(
        long = "schema-registry-token-file",
        id = "schema_registry_token_file",
        env = "BROKERX_SCHEMA_REGISTRY_TOKEN_FILE",
        value_parser = password_in
    )]
    pub token_file: Option<Password>,
}

impl RegistryCredentials {
    /// Name and password, when that is how it proves itself. A name may have no password.
    pub(crate) fn basic(&self) -> Option<(&str, Option<&str>)> {
        let password = self.password.as_ref().or(self.password_file.as_ref());
        Some((self.user.as_deref()?, password.map(Password::reveal)))
    }

    /// The token, when that is how it proves itself.
    pub(crate) fn bearer(&self) -> Option<&str> {
        let token = self.token.as_ref().or(self.token_file.as_ref());
        token.map(Password::reveal)
    }

    /// A question with them.
    pub(crate) fn proven(&self, question: RequestBuilder) -> RequestBuilder {
        match (self.basic(), self.bearer()) {
            (Some((user, password)), _) => question.basic_auth(user, password),
            (None, Some(token)) => question.bearer_auth(token),
            (None, None) => question,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use clap::Parser;

    use crate::service::PlatformOptions;

    #[derive(Debug, Parser)]
    struct Options {
        #[command(flatten)]
        platform: PlatformOptions,
    }

    /// The header that goes with a question.
    fn header(arguments: &[&str]) -> Result<Option<String>, clap::Error> {
        let options = Options::try_parse_from([&["test"], arguments].concat())?;
        let debug = format!("{options:?}");
        assert!(!debug.contains("sesame"), "{debug}");
        let question = reqwest::Client::new().get("http://127.0.0.1/");
        let question = options.platform.schema_registry_credentials.proven(question);
        let question = question.build().unwrap();
        let header = question.headers().get(reqwest::header::AUTHORIZATION);
        Ok(header.map(|value| {
            assert!(value.is_sensitive());
            value.to_str().unwrap().to_owned()
        }))
    }

    #[test]
    fn a_question_is_asked_as_was_configured() {
        assert_eq!(header(&[]).unwrap(), None);
        let user = "--schema-registry-user=Aladdin";
        let basic = header(&[user, "--schema-registry-password=open sesame"]);
        // The example of RFC 7617.
        assert_eq!(basic.unwrap().unwrap(), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        let file = std::env::temp_dir().join(format!("brokerx-registry-token-{}", std::process::id()));
        std::fs::write(&file, "sesame\nmore\n").unwrap();
        let file_of = |what: &str| format!("--schema-registry-{what}-file={}", file.display());
        let bearer = header(&[&file_of("token")]);
        let basic = header(&[user, &file_of("password")]);
        std::fs::remove_file(&file).unwrap();
        assert_eq!(bearer.unwrap().unwrap(), "Bearer sesame");
        assert_eq!(basic.unwrap().unwrap(), "Basic QWxhZGRpbjpzZXNhbWU=");
    }

    #[test]
    fn half_of_them_and_two_kinds_are_refused() {
        for arguments in [
            &["--schema-registry-password=sesame"][..],
            &["--schema-registry-user=a", "--schema-registry-token=sesame"],
            &["--schema-registry-token="],
            &["--schema-registry-token-file=/does/not/exist"],
        ] {
            assert!(header(arguments).is_err(), "{arguments:?}");
        }
    }
}
