//! Proofs of a password: PLAIN (RFC 4616) and SCRAM (RFC 5802, RFC 7677).

use std::num::NonZeroU32;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::{digest, hmac, pbkdf2};

use crate::config::Mechanism;

/// More rounds than anybody asks for: the time that they take is ours.
const MOST_ROUNDS: u32 = 1_000_000;

/// A password cannot be proved.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum SaslError {
    #[error("the broker's side of SCRAM is not as it should be")]
    Scram,
    #[error("the broker does not know the password itself")]
    Impostor,
    #[error("the system gives no random numbers")]
    Random,
}

/// The name by which brokers know a mechanism.
pub(super) fn name(mechanism: Mechanism) -> &'static str {
    match mechanism {
        Mechanism::Plain => "PLAIN",
        Mechanism::ScramSha256 => "SCRAM-SHA-256",
        Mechanism::ScramSha512 => "SCRAM-SHA-512",
    }
}

/// All of PLAIN.
pub(super) fn plain(user: &str, password: &str) -> Vec<u8> {
    format!("\0{user}\0{password}").into_bytes()
}

/// SCRAM, from its first message on.
pub(super) struct Scram {
    algorithms: (
        pbkdf2::Algorithm,
        hmac::Algorithm,
        &'static digest::Algorithm,
    ),
    /// Without what stands in front of it.
    first: String,
    nonce: String,
}

/// What ends SCRAM.
#[derive(Debug)]
pub(super) struct Proof {
    pub(super) message: String,
    /// What the broker has to answer.
    pub(super) answer: String,
}

impl Scram {
    pub(super) fn new(mechanism: Mechanism, user: &str) -> Result<Self, SaslError> {
        let mut random = [0; 18];
        let filled = SystemRandom::new().fill(&mut random);
        filled.map_err(|_| SaslError::Random)?;
        Ok(Self::with(mechanism, user, STANDARD.encode(random)))
    }

    fn with(mechanism: Mechanism, user: &str, nonce: String) -> Self {
        let user = user.replace('=', "=3D").replace(',', "=2C");
        Self {
            algorithms: match mechanism {
                Mechanism::ScramSha512 => (
                    pbkdf2::PBKDF2_HMAC_SHA512,
                    hmac::HMAC_SHA512,
                    &digest::SHA512,
                ),
                _ => (
                    pbkdf2::PBKDF2_HMAC_SHA256,
                    hmac::HMAC_SHA256,
                    &digest::SHA256,
                ),
            },
            first: format!("n={user},r={nonce}"),
            nonce,
        }
    }

    /// The first message.
    pub(super) fn first(&self) -> String {
        format!("n,,{}", self.first)
    }

    /// The second, upon the broker's first.
    pub(super) fn proof(&self, challenge: &str, password: &str) -> Result<Proof, SaslError> {
        let (derive, mac, hash) = self.algorithms;
        let part = |name: &str| {
            challenge
                .split(',')
                .find_map(|part| part.strip_prefix(name))
        };
        let nonce = part("r=").ok_or(SaslError::Scram)?;
        let salt = part("s=").and_then(|salt| STANDARD.decode(salt).ok());
        let salt = salt.ok_or(SaslError::Scram)?;
        let rounds = part("i=").and_then(|rounds| rounds.parse::<NonZeroU32>().ok());
        let rounds = rounds.filter(|rounds| rounds.get() <= MOST_ROUNDS);
        if !nonce.starts_with(&self.nonce) || nonce.len() == self.nonce.len() {
            return Err(SaslError::Scram);
        }
        let mut salted = vec![0; hash.output_len()];
        let rounds = rounds.ok_or(SaslError::Scram)?;
        pbkdf2::derive(derive, rounds, &salt, password.as_bytes(), &mut salted);
        let sign = |key: &[u8], text: &str| hmac::sign(&hmac::Key::new(mac, key), text.as_bytes());
        let end = format!("c=biws,r={nonce}");
        let all = format!("{},{challenge},{end}", self.first);
        let key = sign(&salted, "Client Key");
        let stored = digest::digest(hash, key.as_ref());
        let signature = sign(stored.as_ref(), &all);
        let proof = key.as_ref().iter().zip(signature.as_ref());
        let proof: Vec<u8> = proof.map(|(key, signature)| key ^ signature).collect();
        let answer = sign(sign(&salted, "Server Key").as_ref(), &all);
        Ok(Proof {
            message: format!("{end},p={}", STANDARD.encode(proof)),
            answer: format!("v={}", STANDARD.encode(answer)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 7677.
    #[test]
    fn scram_proves_the_password_on_both_sides() {
        let nonce = "rOprNGfwEbeRWgbNEkqO";
        let scram = Scram::with(Mechanism::ScramSha256, "user", nonce.into());
        assert_eq!(scram.first(), format!("n,,n=user,r={nonce}"));
        let challenge = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
            s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let proof = scram.proof(challenge, "pencil").unwrap();
        assert_eq!(
            proof.message,
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
             p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        assert_eq!(
            proof.answer,
            "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
        );
    }

    #[test]
    fn a_broker_that_cheats_gets_nothing() {
        let scram = Scram::with(Mechanism::ScramSha512, "a=b,c", "mine".into());
        assert_eq!(scram.first(), "n,,n=a=3Db=2Cc,r=mine");
        for challenge in [
            "",
            "r=mine,s=AAAA,i=4096",
            "r=other,s=AAAA,i=4096",
            "r=mine1,s=?,i=4096",
            "r=mine1,s=AAAA,i=0",
            "r=mine1,s=AAAA,i=4000000000",
        ] {
            let found = scram.proof(challenge, "x").map(|proof| proof.message);
            assert_eq!(found, Err(SaslError::Scram), "{challenge}");
        }
    }
}
