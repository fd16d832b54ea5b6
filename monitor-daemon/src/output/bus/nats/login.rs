//! What a NATS server is told about who connects. Secrets are read for each connection.

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Map, Value};

use crate::config::NatsLogin;

/// Letters of base 32 (RFC 4648).
const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
/// First byte of a user's public key: `U`.
const USER: u8 = 20 << 3;
const SEED: &str = "-----BEGIN USER NKEY SEED-----";
const JWT: &str = "-----BEGIN NATS USER JWT-----";

/// We cannot say who we are.
#[derive(Debug, thiserror::Error)]
pub(super) enum LoginError {
    /// The secret is not to be had.
    #[error("{0}")]
    Secret(#[from] io::Error),
    /// It is not what it should be.
    #[error("the nkey is no seed of a user's key, which begins with `SU`")]
    Seed,
    /// A part is not there.
    #[error("the credentials hold no `{0}`")]
    Credentials(&'static str),
    /// Nothing to sign.
    #[error("the server is not set up for nkeys: it gave nothing to sign")]
    NoNonce,
}

/// Adds to a `CONNECT` what `login` says; `nonce` is what the server wants signed.
pub(super) fn add(
    login: &NatsLogin,
    nonce: Option<&str>,
    options: &mut Map<String, Value>,
) -> Result<(), LoginError> {
    let mut set = |name: &str, text: String| options.insert(name.to_owned(), text.into());
    match login {
        NatsLogin::None => {}
        NatsLogin::Token(token) => {
            set("auth_token", token.read()?);
        }
        NatsLogin::Basic { user, password } => {
            set("user", user.clone());
            set("pass", password.read()?);
        }
        NatsLogin::Nkey(seed) => {
            let key = key(seed.read()?.trim())?;
            set("sig", sign(&key, nonce)?);
            set("nkey", public(&key));
        }
        NatsLogin::Credentials(file) => {
            let text = file.read()?;
            let jwt = behind(&text, JWT).ok_or(LoginError::Credentials(JWT))?;
            let seed = behind(&text, SEED).ok_or(LoginError::Credentials(SEED))?;
            set("sig", sign(&key(seed)?, nonce)?);
            set("jwt", jwt.to_owned());
        }
    }
    Ok(())
}

/// The line behind the line `title`.
fn behind<'a>(text: &'a str, title: &str) -> Option<&'a str> {
    let mut lines = text.lines().map(str::trim);
    lines.find(|line| *line == title)?;
    lines.find(|line| !line.is_empty())
}

fn sign(key: &Ed25519KeyPair, nonce: Option<&str>) -> Result<String, LoginError> {
    let nonce = nonce.ok_or(LoginError::NoNonce)?;
    Ok(URL_SAFE_NO_PAD.encode(key.sign(nonce.as_bytes())))
}

/// The key of a seed: two bytes of kind, the seed, two bytes of check sum, in base 32.
fn key(text: &str) -> Result<Ed25519KeyPair, LoginError> {
    let bytes = decode(text).ok_or(LoginError::Seed)?;
    let (kind, rest) = bytes.split_at_checked(2).ok_or(LoginError::Seed)?;
    let (seed, sum) = rest.split_at_checked(32).ok_or(LoginError::Seed)?;
    let is_whole = sum == checksum(&[kind, seed].concat()).to_le_bytes();
    if !text.starts_with("SU") || !is_whole {
        return Err(LoginError::Seed);
    }
    Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| LoginError::Seed)
}

/// The name of a user: its public key.
fn public(key: &Ed25519KeyPair) -> String {
    let mut bytes = vec![USER];
    bytes.extend_from_slice(key.public_key().as_ref());
    bytes.extend_from_slice(&checksum(&bytes).to_le_bytes());
    encode(&bytes)
}

/// CRC-16 of XMODEM.
fn checksum(bytes: &[u8]) -> u16 {
    let mut sum = 0_u16;
    for byte in bytes {
        sum ^= u16::from(*byte) << 8;
        for _ in 0..8 {
            let carry = sum & 0x8000 != 0;
            sum <<= 1;
            if carry {
                sum ^= 0x1021;
            }
        }
    }
    sum
}

fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let (mut bits, mut count) = (0_u32, 0);
    for letter in text.bytes() {
        let value = LETTERS.iter().position(|known| *known == letter)?;
        bits = (bits << 5 | value as u32) & 0xffff;
        count += 5;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    Some(bytes)
}

fn encode(bytes: &[u8]) -> String {
    let mut text = String::new();
    let (mut bits, mut count) = (0_u32, 0);
    let mut push = |value: u32| {
        let letter = LETTERS.get((value & 31) as usize);
        text.extend(letter.map(|letter| char::from(*letter)));
    };
    for byte in bytes {
        bits = (bits << 8 | u32::from(*byte)) & 0xffff;
        count += 8;
        while count >= 5 {
            count -= 5;
            push(bits >> count);
        }
    }
    if count > 0 {
        push(bits << (5 - count));
    }
    text
}

#[cfg(test)]
pub(in crate::output::bus) mod tests {
    use super::*;

    /// The seed and the name of a user.
    pub(in crate::output::bus) fn user(seed: [u8; 32]) -> (String, String) {
        // Five bits of `S`, eight of `U`, three of nothing.
        let kind = [18 << 3 | USER >> 5, (USER & 31) << 3];
        let mut bytes = [kind.as_slice(), &seed].concat();
        bytes.extend_from_slice(&checksum(&bytes).to_le_bytes());
        let text = encode(&bytes);
        let name = public(&key(&text).unwrap());
        (text, name)
    }

    #[test]
    fn a_seed_with_a_wrong_letter_is_refused() {
        let (seed, name) = user([7; 32]);
        assert!(
            seed.starts_with("SU") && name.starts_with('U'),
            "{seed} {name}"
        );
        let last = if seed.ends_with('A') { "Q" } else { "A" };
        let wrong = format!("{}{last}", seed.strip_suffix(|_: char| true).unwrap());
        for text in [wrong.as_str(), "", "SU", "hunter2", &name] {
            assert!(matches!(key(text), Err(LoginError::Seed)), "{text}");
        }
    }

    /// The example of RFC 4648, and the check value of the CRC.
    #[test]
    fn base_32_and_the_check_sum_are_the_usual_ones() {
        assert_eq!(encode(b"foobar"), "MZXW6YTBOI");
        assert_eq!(decode("MZXW6YTBOI").unwrap(), b"foobar");
        assert_eq!(checksum(b"123456789"), 0x31c3);
    }
}
