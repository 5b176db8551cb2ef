//! How this client proves its name to a broker: SCRAM (RFC 5802, RFC 7677) or PLAIN (RFC 4616).

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use kafka_protocol::messages::{
    ApiKey, SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest, SaslHandshakeResponse,
};
use kafka_protocol::protocol::StrBytes;
use ring::{digest, hmac, pbkdf2};
use uuid::Uuid;

use super::connection::{Connection, Request};
use crate::service::{KafkaSecurity, Mechanism, Protocol};

/// A broker that asks for more work than this is none of ours (Kafka's own highest is 16,384); with less than RFC 7677
/// and Kafka ask for at least, whoever listens could guess the password.
const ITERATIONS: RangeInclusive<u32> = 4_096..=100_000;

impl Request for SaslHandshakeRequest {
    const API: ApiKey = ApiKey::SaslHandshake;
    const VERSION: i16 = 1;
    type Answer = SaslHandshakeResponse;
}

impl Request for SaslAuthenticateRequest {
    const API: ApiKey = ApiKey::SaslAuthenticate;
    const VERSION: i16 = 2;
    type Answer = SaslAuthenticateResponse;
}

/// Connects to `host:port`, with TLS and the proof of the name where the broker asks for them.
///
/// # Errors
/// When nobody answers there, or one side does not believe the other.
pub(super) fn open(address: &str, security: &KafkaSecurity, deadline: Instant) -> io::Result<Connection> {
    let mut connection = Connection::open(address, security, deadline)?;
    if matches!(security.protocol, Protocol::SaslPlaintext | Protocol::SaslSsl) {
        prove(&mut connection, security, deadline)?;
    }
    Ok(connection)
}

/// Proves the name, and with SCRAM has the broker prove that it knows the password too.
///
/// # Errors
/// When one does not believe the other, or no answer comes in time.
fn prove(connection: &mut Connection, security: &KafkaSecurity, deadline: Instant) -> io::Result<()> {
    let mechanism = match security.mechanism {
        Mechanism::ScramSha512 => "SCRAM-SHA-512",
        Mechanism::ScramSha256 => "SCRAM-SHA-256",
        Mechanism::Plain => "PLAIN",
    };
    let handshake = SaslHandshakeRequest::default().with_mechanism(StrBytes::from_static_str(mechanism));
    let answer = connection.ask(&handshake, deadline)?;
    if answer.error_code != 0 {
        let offered: Vec<&str> = answer.mechanisms.iter().map(|name| name.as_str()).collect();
        return Err(denied(format!("it takes {offered:?}, not {mechanism}")));
    }
    let user = security.user.as_deref().unwrap_or_default();
    let password = security.secret().unwrap_or_default();
    let mut say = |text: String| -> io::Result<String> {
        let request = SaslAuthenticateRequest::default().with_auth_bytes(Bytes::from(text));
        let answer = connection.ask(&request, deadline)?;
        if answer.error_code != 0 {
            let reason = answer.error_message.map_or_else(String::new, |text| text.to_string());
            return Err(denied(format!("error {}: {reason}", answer.error_code)));
        }
        String::from_utf8(answer.auth_bytes.to_vec()).map_err(|_| denied("its answer is no text".to_owned()))
    };
    match security.mechanism {
        Mechanism::Plain => say(format!("\0{user}\0{password}")).map(drop),
        Mechanism::ScramSha512 => scram(sha_512(), user, password, &mut say),
        Mechanism::ScramSha256 => scram(sha_256(), user, password, &mut say),
    }
}

/// Which functions SCRAM is made of.
#[derive(Clone, Copy)]
struct Digests {
    digest: &'static digest::Algorithm,
    mac: hmac::Algorithm,
    salted: pbkdf2::Algorithm,
}

fn sha_256() -> Digests {
    Digests {
        digest: &digest::SHA256,
        mac: hmac::HMAC_SHA256,
        salted: pbkdf2::PBKDF2_HMAC_SHA256,
    }
}

fn sha_512() -> Digests {
    Digests {
        digest: &digest::SHA512,
        mac: hmac::HMAC_SHA512,
        salted: pbkdf2::PBKDF2_HMAC_SHA512,
    }
}

fn scram(
    digests: Digests,
    user: &str,
    password: &str,
    say: &mut impl FnMut(String) -> io::Result<String>,
) -> io::Result<()> {
    let nonce = Uuid::new_v4().simple().to_string();
    let first = first_message(user, &nonce);
    let challenge = say(format!("n,,{first}"))?;
    let (last, signature) = answer_to(digests, password, &nonce, &first, &challenge).map_err(denied)?;
    let verdict = say(last)?;
    match fields(&verdict).get("v") {
        Some(said) if STANDARD.decode(said).is_ok_and(|said| said == signature) => Ok(()),
        _ => Err(denied(
            "the broker does not prove that it knows the password".to_owned(),
        )),
    }
}

fn first_message(user: &str, nonce: &str) -> String {
    let user = user.replace('=', "=3D").replace(',', "=2C");
    format!("n={user},r={nonce}")
}

/// The last message of the client, and the signature that the broker must answer with.
fn answer_to(
    digests: Digests,
    password: &str,
    nonce: &str,
    first: &str,
    challenge: &str,
) -> Result<(String, Vec<u8>), String> {
    let said = fields(challenge);
    let of = |name: &str| {
        said.get(name)
            .copied()
            .ok_or_else(|| format!("its challenge has no {name}"))
    };
    let (both, salt, iterations) = (of("r")?, of("s")?, of("i")?);
    if !both.starts_with(nonce) || both.len() == nonce.len() {
        return Err("its challenge is not for this client".to_owned());
    }
    let salt = STANDARD.decode(salt).map_err(|error| format!("its salt: {error}"))?;
    let iterations = iterations
        .parse()
        .ok()
        .filter(|iterations| ITERATIONS.contains(iterations))
        .and_then(NonZeroU32::new)
        .ok_or_else(|| format!("it asks for {iterations} iterations"))?;
    let mut salted = vec![0; digests.digest.output_len()];
    pbkdf2::derive(digests.salted, iterations, &salt, password.as_bytes(), &mut salted);
    let mac = |key: &[u8], text: &[u8]| hmac::sign(&hmac::Key::new(digests.mac, key), text);
    // `biws` is `n,,`: nothing is bound to the channel.
    let unproved = format!("c=biws,r={both}");
    let signed = format!("{first},{challenge},{unproved}");
    let client_key = mac(&salted, b"Client Key");
    let stored_key = digest::digest(digests.digest, client_key.as_ref());
    let client_signature = mac(stored_key.as_ref(), signed.as_bytes());
    let halves = client_key.as_ref().iter().zip(client_signature.as_ref());
    let proof: Vec<u8> = halves.map(|(key, signature)| key ^ signature).collect();
    let server_key = mac(&salted, b"Server Key");
    let server_signature = mac(server_key.as_ref(), signed.as_bytes());
    let last = format!("{unproved},p={}", STANDARD.encode(proof));
    Ok((last, server_signature.as_ref().to_vec()))
}

fn fields(text: &str) -> BTreeMap<&str, &str> {
    text.split(',').filter_map(|field| field.split_once('=')).collect()
}

fn denied(reason: String) -> io::Error {
    io::Error::new(ErrorKind::PermissionDenied, reason)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// The example of RFC 7677, section 3.
    #[test]
    fn the_example_of_the_standard() {
        let nonce = "rOprNGfwEbeRWgbNEkqO";
        let first = first_message("user", nonce);
        assert_eq!(first, "n=user,r=rOprNGfwEbeRWgbNEkqO");
        let challenge = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let (last, signature) = answer_to(sha_256(), "pencil", nonce, &first, challenge).unwrap();
        assert_eq!(
            last,
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        assert_eq!(
            STANDARD.encode(signature),
            "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
        );
    }

    #[test]
    fn a_challenge_for_somebody_else_is_not_answered() {
        let answer = |challenge: &str| answer_to(sha_512(), "pencil", "abc", "n=user,r=abc", challenge);
        assert!(answer("r=abcd,s=AAAA,i=4096").is_ok());
        for challenge in [
            "r=abc,s=AAAA,i=4096",
            "r=xabcd,s=AAAA,i=4096",
            "r=abcd,s=?,i=4096",
            "r=abcd,s=AAAA,i=0",
            "r=abcd,s=AAAA,i=4000000000",
            "r=abcd,s=AAAA",
            "",
        ] {
            assert!(answer(challenge).is_err(), "{challenge}");
        }
        assert_eq!(first_message("a=b,c", "r"), "n=a=3Db=2Cc,r=r");
    }
}
