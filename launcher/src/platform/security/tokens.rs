//! The tokens by which clients prove to the schema registry who they are: signed by a key of the home's own, whose
//! public half the registry is told. A token says a name and one role; the registry knows nobody else.
//!
//! They are signed anew at each start, and good for as long as a server's certificate.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use crate::failure::{Failure, Result};
use crate::home::secrets::{REGISTRY_CLIENTS, registry_token};
use crate::home::{Layout, files};

use super::openssl::OpenSsl;

/// Who signs, as the registry is told (`compose/registry/secured-clients.properties`).
pub const ISSUER: &str = "brokerx";

const LIFETIME: Duration = Duration::from_secs(365 * 24 * 3600);

/// Makes the key, if there is none, and a token for each client.
///
/// # Errors
/// When `openssl` is not there or refuses, or a file cannot be written.
pub fn prepare(layout: &Layout) -> Result<()> {
    let openssl = OpenSsl::of(layout)?;
    let draft = layout.secrets().join("registry.draft");
    files::directory(&draft, 0o700)?;
    let made = make(layout, &openssl, &draft);
    let _ = fs::remove_dir_all(&draft);
    made
}

/// What the registry checks tokens with: the public key, in base64 as between the lines of PEM.
///
/// # Errors
/// When [`prepare`] was not run.
pub fn public_key(layout: &Layout) -> Result<String> {
    let path = public(layout);
    let text = fs::read_to_string(&path).map_err(Failure::io(format!("cannot read {}", path.display())))?;
    Ok(text.lines().filter(|line| !line.starts_with('-')).collect())
}

fn private(layout: &Layout) -> PathBuf {
    layout.secrets().join("registry-key.pem")
}

fn public(layout: &Layout) -> PathBuf {
    layout.secrets().join("registry-key.public.pem")
}

fn make(layout: &Layout, openssl: &OpenSsl, draft: &Path) -> Result<()> {
    let key = private(layout);
    if !key.is_file() {
        let half = draft.join("key");
        openssl.run("make the key of the registry's tokens", |openssl| {
            openssl
                .args([
                    "genpkey",
                    "-algorithm",
                    "RSA",
                    "-pkeyopt",
                    "rsa_keygen_bits:2048",
                    "-out",
                ])
                .arg(&half);
        })?;
        // The folder of the draft is nobody else's; its new place is not that strict.
        let text = fs::read_to_string(&half).map_err(Failure::io("cannot read a new key"))?;
        replace(draft, &key, &text)?;
    }
    openssl.run("read the key of the registry's tokens", |openssl| {
        openssl
            .arg("pkey")
            .arg("-in")
            .arg(&key)
            .args(["-pubout", "-out"])
            .arg(public(layout));
    })?;
    for (client, role) in REGISTRY_CLIENTS {
        let token = sign(openssl, draft, &key, &claims(client, role))?;
        replace(draft, &registry_token(layout, client), &token)?;
    }
    Ok(())
}

/// What a token says, as JSON.
fn claims(client: &str, role: &str) -> String {
    // A clock before 1970 makes tokens that the registry refuses as ended.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    json!({
        "iss": ISSUER,
        "sub": client,
        "upn": client,
        "groups": [role],
        "iat": now.as_secs(),
        "exp": (now + LIFETIME).as_secs(),
    })
    .to_string()
}

/// A JSON Web Token, signed with RSA and SHA-256.
fn sign(openssl: &OpenSsl, draft: &Path, key: &Path, claims: &str) -> Result<String> {
    let header = json!({ "alg": "RS256", "typ": "JWT" }).to_string();
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let (text, signature) = (draft.join("text"), draft.join("signature"));
    files::private(&text, &signed)?;
    openssl.run("sign a token", |openssl| {
        openssl.args(["dgst", "-sha256", "-sign"]).arg(key);
        openssl.arg("-out").arg(&signature).arg(&text);
    })?;
    let signature = fs::read(&signature).map_err(Failure::io("cannot read a signature"))?;
    Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

/// Puts a secret in its place as a whole.
fn replace(draft: &Path, place: &Path, text: &str) -> Result<()> {
    let whole = draft.join("whole");
    files::private(&whole, text)?;
    fs::rename(&whole, place).map_err(Failure::io(format!("cannot write {}", place.display())))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn each_client_has_a_token_that_the_key_has_signed() {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout::of_checkout().with_home(root.path());
        layout.create().unwrap();
        prepare(&layout).unwrap();
        let key = public_key(&layout).unwrap();
        let openssl = OpenSsl::of(&layout).unwrap();
        for (client, role) in REGISTRY_CLIENTS {
            let path = registry_token(&layout, client);
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            let token = fs::read_to_string(&path).unwrap();
            let (signed, signature) = token.rsplit_once('.').unwrap();
            let said = URL_SAFE_NO_PAD.decode(signed.split_once('.').unwrap().1).unwrap();
            let said: serde_json::Value = serde_json::from_slice(&said).unwrap();
            assert_eq!((&said["upn"], &said["groups"]), (&json!(client), &json!([role])));
            let (text, of_text) = (root.path().join("text"), root.path().join("signature"));
            fs::write(&text, signed).unwrap();
            fs::write(&of_text, URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
            assert!(openssl.confirms(|openssl| {
                openssl.args(["dgst", "-sha256", "-verify"]).arg(public(&layout));
                openssl.arg("-signature").arg(&of_text).arg(&text);
            }));
        }
        let mode = fs::metadata(private(&layout)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        prepare(&layout).unwrap();
        assert_eq!(
            public_key(&layout).unwrap(),
            key,
            "a registry that runs goes on to believe new tokens"
        );
    }
}
