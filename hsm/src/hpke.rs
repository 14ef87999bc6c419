//! HPKE, sealing alone (RFC 9180, base mode): DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-128-GCM. One message for each
//! encapsulated key.

use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::agreement::{EphemeralPrivateKey, UnparsedPublicKey, X25519, agree_ephemeral};
use ring::hmac;
use ring::rand::SystemRandom;
use zeroize::Zeroizing;

/// What only the holder of the private key can open.
pub struct Sealed {
    /// The encapsulated key: an X25519 public key that is used this once.
    pub enc: [u8; 32],
    /// What was sealed, as long as it was and 16 bytes more.
    pub ciphertext: Vec<u8>,
}

/// Seals to an X25519 public key. None where that is no key, or the system has no random bytes.
pub(crate) fn seal(recipient: &[u8; 32], info: &[u8], aad: &[u8], clear: &[u8]) -> Option<Sealed> {
    let ours = EphemeralPrivateKey::generate(&X25519, &SystemRandom::new()).ok()?;
    let enc: [u8; 32] = ours.compute_public_key().ok()?.as_ref().try_into().ok()?;
    let theirs = UnparsedPublicKey::new(&X25519, recipient);
    // Refused where everybody would come to the same secret: a key of small order.
    let schedule = agree_ephemeral(ours, &theirs, |dh| schedule(dh, &enc, recipient, info)).ok()?;
    // Grown to its end at once, so that no clear copy is left behind.
    let mut ciphertext = Vec::with_capacity(clear.len() + AES_128_GCM.tag_len());
    ciphertext.extend_from_slice(clear);
    let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &*schedule.key).ok()?);
    key.seal_in_place_append_tag(
        Nonce::assume_unique_for_key(schedule.nonce),
        Aad::from(aad),
        &mut ciphertext,
    )
    .ok()?;
    Some(Sealed { enc, ciphertext })
}

/// Key and nonce of the only message.
struct Schedule {
    key: Zeroizing<[u8; 16]>,
    nonce: [u8; 12],
}

fn schedule(dh: &[u8], enc: &[u8; 32], recipient: &[u8; 32], info: &[u8]) -> Schedule {
    let eae_prk = extract(&[], KEM, b"eae_prk", dh);
    let shared = expand::<32>(&eae_prk, KEM, b"shared_secret", &[enc.as_slice(), recipient].concat());
    let context =
        [&[0][..], &*extract(&[], SUITE, b"psk_id_hash", &[]), &*extract(&[], SUITE, b"info_hash", info)]
            .concat();
    let secret = extract(&*shared, SUITE, b"secret", &[]);
    let key = expand(&secret, SUITE, b"key", &context);
    Schedule { key, nonce: *expand(&secret, SUITE, b"base_nonce", &context) }
}

/// `LabeledExtract`: HKDF-Extract is one HMAC under the salt.
fn extract(salt: &[u8], suite: &[u8], label: &[u8], input: &[u8]) -> Zeroizing<[u8; 32]> {
    mac(salt, &[VERSION, suite, label, input])
}

/// `LabeledExpand` of up to one block: HKDF-Expand is one HMAC then.
fn expand<const N: usize>(secret: &[u8; 32], suite: &[u8], label: &[u8], info: &[u8]) -> Zeroizing<[u8; N]> {
    const { assert!(N <= 32) };
    let block = mac(secret, &[&[0, N as u8], VERSION, suite, label, info, &[1]]);
    let mut out = Zeroizing::new([0; N]);
    out.copy_from_slice(&block[..N]);
    out
}

fn mac(key: &[u8], parts: &[&[u8]]) -> Zeroizing<[u8; 32]> {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    parts.iter().for_each(|part| context.update(part));
    let mut out = Zeroizing::new([0; 32]);
    out.copy_from_slice(context.sign().as_ref());
    out
}

const VERSION: &[u8] = b"HPKE-v1";
/// DHKEM(X25519, HKDF-SHA256).
const KEM: &[u8] = b"KEM\x00\x20";
/// The same with HKDF-SHA256 and AES-128-GCM.
const SUITE: &[u8] = b"HPKE\x00\x20\x00\x01\x00\x01";

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    fn hex<const N: usize>(text: &str) -> [u8; N] {
        std::array::from_fn(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).expect("hex"))
    }

    /// RFC 9180, A.1.1. The agreed value is not printed there; it follows from the keys that are, and leads to the shared
    /// secret that is.
    #[test]
    fn the_key_schedule_is_the_published_one() {
        let dh: [u8; 32] = hex("b3b5c19eab3f088ac18f23f774ff6414ba4fde45404d10085efc3e4dc9c72e35");
        let enc = hex("37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431");
        let recipient = hex("3948cfe0ad1ddb695d780e59077195da6c56506b027329794ab02bca80815c4d");
        let found = schedule(&dh, &enc, &recipient, b"Ode on a Grecian Urn");
        assert_eq!(*found.key, hex::<16>("4531685d41d65f03dc48f6b8302c05b0"));
        assert_eq!(found.nonce, hex::<12>("56d890e5accaaf011cff4b7d"));
    }

    /// What the holder of a private key does.
    pub(crate) fn open(
        private: EphemeralPrivateKey,
        public: &[u8; 32],
        info: &[u8],
        aad: &[u8],
        sealed: &Sealed,
    ) -> Option<Vec<u8>> {
        let enc = UnparsedPublicKey::new(&X25519, &sealed.enc);
        let schedule = agree_ephemeral(private, &enc, |dh| schedule(dh, &sealed.enc, public, info)).ok()?;
        let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &*schedule.key).ok()?);
        let mut bytes = sealed.ciphertext.clone();
        let nonce = Nonce::assume_unique_for_key(schedule.nonce);
        key.open_in_place(nonce, Aad::from(aad), &mut bytes).ok().map(|clear| clear.to_vec())
    }

    pub(crate) fn pair() -> (EphemeralPrivateKey, [u8; 32]) {
        let private = EphemeralPrivateKey::generate(&X25519, &SystemRandom::new()).expect("a key");
        let public = private.compute_public_key().expect("a key").as_ref().try_into().expect("32 bytes");
        (private, public)
    }

    #[test]
    fn only_the_holder_opens_it_and_only_whole() {
        let (private, public) = pair();
        let sealed = seal(&public, b"info", b"aad", b"what is sealed").expect("sealed");
        assert_eq!(open(private, &public, b"info", b"aad", &sealed).expect("open"), b"what is sealed");
        let (private, public) = pair();
        let sealed = seal(&public, b"info", b"aad", b"what is sealed").expect("sealed");
        assert_eq!(open(private, &public, b"info", b"other", &sealed), None);
        let (other, _) = pair();
        assert_eq!(open(other, &public, b"info", b"aad", &sealed), None);
        // Everybody would come to the same secret under these.
        assert!(seal(&[0; 32], b"info", b"aad", b"x").is_none());
    }
}
