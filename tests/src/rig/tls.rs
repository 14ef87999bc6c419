//! Certificates made on the spot, and model hosts that speak TLS.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, ExtendedKeyUsagePurpose, IsCa,
    KeyIdMethod, KeyPair, KeyUsagePurpose, RevocationReason, RevokedCertParams, SerialNumber, date_time_ymd,
};
use rustls::pki_types::{
    CertificateDer, CertificateRevocationListDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName,
};
use rustls::server::WebPkiClientVerifier;
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned,
    version::TLS13,
};

use super::PATIENCE;
use super::issuer::honest_answer;
use crate::message_text::Plain;
use crate::wire::{Received, Wire};

/// Who signs certificates.
pub struct Authority {
    issuer: rcgen::Issuer<'static, KeyPair>,
    certificate: rcgen::Certificate,
}

/// A certificate and its key.
pub struct Identity {
    certificate: rcgen::Certificate,
    key: KeyPair,
    serial: SerialNumber,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Authority")
    }
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Identity")
    }
}

impl Authority {
    /// A new authority of that name.
    #[must_use]
    pub fn new(name: &str) -> Authority {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        Authority { issuer: rcgen::Issuer::new(params, key), certificate }
    }

    /// The authority's own certificate.
    #[must_use]
    pub fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// A certificate for a name, good until long after this test.
    #[must_use]
    pub fn identity(&self, name: &str, serial: u64) -> Identity {
        self.identity_ending(name, serial, date_time_ymd(2099, 1, 1))
    }

    /// A certificate that ends in so many days.
    #[must_use]
    pub fn identity_for_days(&self, name: &str, serial: u64, days: u64) -> Identity {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
        self.identity_ending(
            name,
            serial,
            date_time_ymd(1970, 1, 1) + now + std::time::Duration::from_secs(days * 86_400),
        )
    }

    /// A certificate that ended in January 2021.
    #[must_use]
    pub fn expired_identity(&self, name: &str, serial: u64) -> Identity {
        self.identity_ending(name, serial, date_time_ymd(2021, 1, 1))
    }

    fn identity_ending(&self, name: &str, serial: u64, end: time::OffsetDateTime) -> Identity {
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = end;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
        let serial = SerialNumber::from(serial);
        params.serial_number = Some(serial.clone());
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        Identity { certificate, key, serial }
    }

    /// A revocation list with these certificates on it.
    #[must_use]
    pub fn revocation_list(&self, revoked: &[&Identity]) -> String {
        let revoked = revoked.iter().map(|identity| RevokedCertParams {
            serial_number: identity.serial.clone(),
            revocation_time: date_time_ymd(2022, 1, 1),
            reason_code: Some(RevocationReason::KeyCompromise),
            invalidity_date: None,
        });
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2022, 1, 2),
            next_update: date_time_ymd(2099, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).expect("a list").pem().expect("PEM")
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.der().clone()).expect("our own authority");
        roots
    }
}

impl Identity {
    /// The certificate as a file holds it.
    #[must_use]
    pub fn certificate_pem(&self) -> String {
        self.certificate.pem()
    }

    /// The key as a file holds it.
    #[must_use]
    pub fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }

    fn chain(&self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let key = PrivatePkcs8KeyDer::from(self.key.serialize_der());
        (vec![self.certificate.der().clone()], key.into())
    }
}

/// One message each way over TLS: the handshake, the request, the answer.
pub fn ask(
    address: SocketAddr,
    trusted: &Authority,
    server_name: &str,
    identity: Option<&Identity>,
    wire: &Wire,
    request: &str,
) -> io::Result<Received> {
    let mut stream = connect(address, trusted, server_name, identity)?;
    stream.write_all(&wire.frame_text(request))?;
    next(&mut stream, wire, &mut Vec::new())
}

/// A connection whose handshake is done as far as this side is concerned.
pub fn connect(
    address: SocketAddr,
    trusted: &Authority,
    server_name: &str,
    identity: Option<&Identity>,
) -> io::Result<StreamOwned<ClientConnection, TcpStream>> {
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(&[&TLS13])
        .expect("TLS 1.3")
        .with_root_certificates(trusted.roots());
    let config = match identity.map(Identity::chain) {
        Some((chain, key)) => builder.with_client_auth_cert(chain, key).expect("our own key"),
        None => builder.with_no_client_auth(),
    };
    let name = ServerName::try_from(server_name.to_owned()).expect("a name");
    let connection = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut stream = StreamOwned::new(connection, stream);
    stream.conn.complete_io(&mut stream.sock)?;
    Ok(stream)
}

/// An issuer behind TLS that approves everything on the first links it gets; insists on client certificates.
#[must_use]
pub fn issuer(trusted: &Authority, identity: &Identity, wire: Wire) -> SocketAddr {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let roots = Arc::new(trusted.roots());
    let verifier = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider))
        .build()
        .expect("a verifier");
    let (chain, key) = identity.chain();
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .expect("TLS 1.3")
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .expect("our own key");
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let connection = ServerConnection::new(Arc::clone(&config)).expect("a server");
            let (mut stream, wire) = (StreamOwned::new(connection, stream), wire.clone());
            thread::spawn(move || -> io::Result<()> {
                let mut arrived = Vec::new();
                loop {
                    let request = next(&mut stream, &wire, &mut arrived)?;
                    let answer: Plain = honest_answer(&wire, &request.plain);
                    stream.write_all(&wire.frame(&answer.encode(wire.dialect)))?;
                }
            });
        }
    });
    address
}

fn next(stream: &mut impl Read, wire: &Wire, arrived: &mut Vec<u8>) -> io::Result<Received> {
    let deadline = Instant::now() + PATIENCE;
    let mut chunk = [0; 4096];
    loop {
        if let Some(received) = wire.take(arrived) {
            return Ok(received);
        }
        match stream.read(&mut chunk)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => arrived.extend_from_slice(&chunk[..count]),
        }
        if Instant::now() > deadline {
            return Err(io::ErrorKind::TimedOut.into());
        }
    }
}

/// The first message of a client that speaks nothing newer than TLS 1.2, with AEAD suites and no extension
/// that names a version.
#[must_use]
pub fn client_hello_of_tls12() -> Vec<u8> {
    let extensions: &[u8] = &[
        0x00, 0x0a, 0x00, 0x06, 0x00, 0x04, 0x00, 0x1d, 0x00,
        0x17, // supported_groups: x25519, secp256r1
        0x00, 0x0b, 0x00, 0x02, 0x01, 0x00, // ec_point_formats: uncompressed
        0x00, 0x0d, 0x00, 0x08, 0x00, 0x06, 0x04, 0x03, 0x08, 0x04, 0x04, 0x01, // signature_algorithms
    ];
    let mut hello = vec![0x03, 0x03];
    hello.extend([0x5a; 32]);
    hello.push(0);
    hello.extend([0x00, 0x04, 0xc0, 0x2b, 0xc0, 0x2f]); // ECDHE-ECDSA and ECDHE-RSA with AES-128-GCM
    hello.extend([0x01, 0x00]);
    hello.extend(u16::try_from(extensions.len()).expect("short").to_be_bytes());
    hello.extend(extensions);
    let length = u16::try_from(hello.len()).expect("short");
    let handshake = [&[0x01, 0x00], &length.to_be_bytes()[..], &hello].concat();
    [&[0x16, 0x03, 0x01], &(length + 4).to_be_bytes()[..], &handshake].concat()
}

/// A revocation list in the form the file has it, for checks of the fixture itself.
#[must_use]
pub fn is_revocation_list(pem: &str) -> bool {
    use rustls::pki_types::pem::PemObject;
    CertificateRevocationListDer::from_pem_slice(pem.as_bytes()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The model hosts against each other: a good certificate works, none and a stranger's are refused.
    #[test]
    fn the_model_issuer_insists_on_a_certificate() {
        let (ours, strangers) = (Authority::new("ours"), Authority::new("strangers"));
        let wire = Wire::named("iso87-ascii");
        let address = issuer(&ours, &ours.identity("maple.example", 1), wire.clone());
        let try_with = |identity: Option<&Identity>| {
            ask(address, &ours, "maple.example", identity, &wire, &crate::purchase(""))
        };
        let answer = try_with(Some(&ours.identity("switch.example", 2))).expect("an answer");
        assert_eq!(answer.plain.get(39), "00");
        assert!(try_with(None).is_err());
        assert!(try_with(Some(&strangers.identity("switch.example", 2))).is_err());
        assert!(try_with(Some(&ours.expired_identity("switch.example", 3))).is_err());
    }

    #[test]
    fn a_revocation_list_reads_back() {
        let ours = Authority::new("ours");
        assert!(is_revocation_list(&ours.revocation_list(&[&ours.identity("north.example", 4)])));
    }
}
