//! TLS 1.3 with certificates on both sides. The name in the peer's certificate is the principal: a valid
//! certificate of somebody else is refused like none at all.

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use x509_parser::prelude::{FromDer, X509Certificate};

use crate::config::TlsFiles;

/// What one peer's connections are secured with.
pub(crate) struct Tls {
    acceptor: TlsAcceptor,
    connector: TlsConnector,
    peer_name: ServerName<'static>,
    /// When the first of our own certificates ends, and the first of those we trust, seconds since 1970.
    pub(crate) ends: [i64; 2],
}

/// A connection, secured or plain.
pub(crate) enum Stream {
    /// On loopback, or where the configuration insists.
    Plain(TcpStream),
    /// TLS 1.3. In a box, because its state is large and a plain link should not pay for it.
    Secured(Box<tokio_rustls::TlsStream<TcpStream>>),
}

impl Tls {
    /// Reads a peer's files.
    ///
    /// # Errors
    /// Which file cannot be used, and why.
    pub(crate) fn read(files: &TlsFiles) -> Result<Self, String> {
        let certificates = certificates(&files.certificate)?;
        let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| unusable(&files.key, &error))?;
        let trusted = self::certificates(&files.ca)?;
        let ends = [first_end(&files.certificate, &certificates)?, first_end(&files.ca, &trusted)?];
        let mut roots = RootCertStore::empty();
        for certificate in trusted {
            roots.add(certificate).map_err(|error| unusable(&files.ca, &error))?;
        }
        let roots = Arc::new(roots);
        let revoked = revocations(files)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let only_13 = &[&rustls::version::TLS13];

        let clients = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone())
            .with_crls(revoked.iter().cloned())
            .build()
            .map_err(|error| unusable(&files.ca, &error))?;
        let servers = WebPkiServerVerifier::builder_with_provider(roots, provider.clone())
            .with_crls(revoked)
            .build()
            .map_err(|error| unusable(&files.ca, &error))?;
        let mut server = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(only_13)
            .map_err(|error| unusable(&files.certificate, &error))?
            .with_client_cert_verifier(clients)
            .with_single_cert(certificates.clone(), key.clone_key())
            .map_err(|error| unusable(&files.certificate, &error))?;
        // A resumed session would skip the look at the revocation list.
        server.send_tls13_tickets = 0;
        let client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(only_13)
            .map_err(|error| unusable(&files.certificate, &error))?
            .with_webpki_verifier(servers)
            .with_client_auth_cert(certificates, key)
            .map_err(|error| unusable(&files.certificate, &error))?;
        let peer_name = ServerName::try_from(files.peer_name.clone())
            .map_err(|_| format!("peer_name {:?} is not a name a certificate can have", files.peer_name))?;
        Ok(Self { acceptor: Arc::new(server).into(), connector: Arc::new(client).into(), peer_name, ends })
    }

    /// The handshake of a connection we accepted.
    pub(crate) async fn accept(&self, stream: TcpStream) -> io::Result<Stream> {
        let stream = self.acceptor.accept(stream).await?;
        let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let certificate = certificate.ok_or_else(|| io::Error::other("no client certificate"))?;
        let named = webpki::EndEntityCert::try_from(certificate)
            .and_then(|certificate| certificate.verify_is_valid_for_subject_name(&self.peer_name));
        named.map_err(|_| io::Error::other("the certificate is another principal's"))?;
        Ok(Stream::Secured(Box::new(stream.into())))
    }

    /// The handshake of a connection we opened.
    pub(crate) async fn connect(&self, stream: TcpStream) -> io::Result<Stream> {
        let stream = self.connector.connect(self.peer_name.clone(), stream).await?;
        Ok(Stream::Secured(Box::new(stream.into())))
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(path).map_err(|error| unusable(path, &error))?.collect();
    match found {
        Ok(found) if found.is_empty() => Err(unusable(path, &"no certificate in it")),
        Ok(found) => Ok(found),
        Err(error) => Err(unusable(path, &error)),
    }
}

/// When the first of these ends, seconds since 1970.
fn first_end(path: &Path, certificates: &[CertificateDer<'_>]) -> Result<i64, String> {
    let end = |certificate: &CertificateDer<'_>| {
        let (_, certificate) =
            X509Certificate::from_der(certificate).map_err(|error| unusable(path, &error))?;
        Ok(certificate.validity().not_after.timestamp())
    };
    let ends: Result<Vec<i64>, String> = certificates.iter().map(end).collect();
    Ok(ends?.into_iter().min().unwrap_or(0))
}

fn revocations(files: &TlsFiles) -> Result<Vec<CertificateRevocationListDer<'static>>, String> {
    let Some(path) = &files.crl else { return Ok(Vec::new()) };
    CertificateRevocationListDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| unusable(path, &error))
}

fn unusable(path: &Path, error: &impl std::fmt::Display) -> String {
    format!("{}: {error}", path.display())
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, into),
            Self::Secured(stream) => Pin::new(stream).poll_read(context, into),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Secured(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Secured(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Secured(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
