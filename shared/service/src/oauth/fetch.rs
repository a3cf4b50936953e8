//! Reads a document of an issuer by HTTPS.
//!
//! The name of the host is resolved once, all of its addresses are checked, and the connection goes to a checked address. A
//! name that resolves to another address later therefore has no effect. Redirects are not followed, proxies are not used,
//! and each document has its own connection. The public root certificates are part of the binary.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use axum::{
    body::{Body, Bytes},
    http::{
        Request, StatusCode,
        header::{ACCEPT, HOST},
    },
};
use http_body_util::{BodyExt, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, lookup_host},
    task::JoinSet,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{ClientConfig, RootCertStore, crypto::ring, pki_types::ServerName},
};

use super::address::is_public;
use crate::{
    limits::KEYS_BYTES,
    trust::{Origin, Url},
};

/// Why a document of an issuer cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SourceFailure {
    /// The name of the host has no address.
    Name,
    /// An address of the host is not on the public internet, or the URL begins with `http:`.
    Address,
    /// No connection was made, or it broke.
    Connect,
    /// The certificate is not valid for the host, or TLS failed otherwise.
    Tls,
    /// The answer is a redirect.
    Redirect,
    /// The answer has another status than 200.
    Status,
    /// The answer is larger than [`KEYS_BYTES`].
    TooLarge,
    /// The answer was not complete in time.
    Timeout,
    /// The document is not the one that was expected.
    Content,
    /// The discovery document is of another issuer, or names keys on another host.
    Foreign,
}

impl SourceFailure {
    /// Returns the word for the log.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Address => "address",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Redirect => "redirect",
            Self::Status => "status",
            Self::TooLarge => "too-large",
            Self::Timeout => "timeout",
            Self::Content => "content",
            Self::Foreign => "foreign",
        }
    }
}

/// Which hosts documents are read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Hosts on the public internet, by https.
    Internet,
    /// Additionally this machine, also by http. For the local gateway and tests.
    InternetAndLoopback,
}

/// A client of issuers.
#[derive(Clone)]
pub(super) struct Fetcher {
    reach: Reach,
    tls: TlsConnector,
}

impl Fetcher {
    #[expect(clippy::expect_used, reason = "ring supports the default versions of TLS")]
    pub(super) fn new(reach: Reach) -> Self {
        let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring supports the default versions of TLS")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self { reach, tls: TlsConnector::from(Arc::new(config)) }
    }

    /// Returns the body of the document.
    pub(super) async fn get(&self, url: &Url) -> Result<Bytes, SourceFailure> {
        let stream = self.connect(&url.origin).await?;
        if !url.origin.is_secure {
            return request(stream, url).await;
        }
        let name = ServerName::try_from(url.origin.host.clone()).map_err(|_| SourceFailure::Tls)?;
        let stream = self.tls.connect(name, stream).await.map_err(|_| SourceFailure::Tls)?;
        request(stream, url).await
    }

    async fn connect(&self, origin: &Origin) -> Result<TcpStream, SourceFailure> {
        let host = (origin.host.as_str(), origin.port);
        let addresses: Vec<SocketAddr> = lookup_host(host).await.map_err(|_| SourceFailure::Name)?.collect();
        self.check(origin, addresses.iter().map(SocketAddr::ip))?;
        TcpStream::connect(addresses.as_slice()).await.map_err(|_| SourceFailure::Connect)
    }

    /// Checks all addresses, because one of them that is private shows a name that must not be trusted.
    fn check(
        &self,
        origin: &Origin,
        addresses: impl Iterator<Item = IpAddr> + Clone,
    ) -> Result<(), SourceFailure> {
        if addresses.clone().next().is_none() {
            return Err(SourceFailure::Name);
        }
        let is_here = self.reach == Reach::InternetAndLoopback
            && addresses.clone().all(|address| address.is_loopback());
        let is_outside = origin.is_secure && { addresses }.all(is_public);
        if is_here || is_outside { Ok(()) } else { Err(SourceFailure::Address) }
    }
}

async fn request<S>(stream: S, url: &Url) -> Result<Bytes, SourceFailure>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let handshake = http1::Builder::new().max_buf_size(KEYS_BYTES).handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(|_| SourceFailure::Connect)?;
    // The task ends when this function does.
    let mut tasks = JoinSet::new();
    tasks.spawn(async { drop(connection.await) });
    let Origin { host, port, .. } = &url.origin;
    let host = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    let request = Request::get(&url.target)
        .header(HOST, host)
        .header(ACCEPT, "application/json")
        .body(Body::empty())
        .map_err(|_| SourceFailure::Content)?;
    let response = sender.send_request(request).await.map_err(|_| SourceFailure::Connect)?;
    match response.status() {
        StatusCode::OK => {}
        status if status.is_redirection() => return Err(SourceFailure::Redirect),
        _ => return Err(SourceFailure::Status),
    }
    match Limited::new(response.into_body(), KEYS_BYTES).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(SourceFailure::TooLarge),
        Err(_) => Err(SourceFailure::Connect),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(reach: Reach, url: &str, addresses: &[&str]) -> Result<(), SourceFailure> {
        let url = Url::parse(url).expect("a URL");
        let addresses: Vec<IpAddr> = addresses.iter().map(|text| text.parse().expect("an address")).collect();
        Fetcher::new(reach).check(&url.origin, addresses.into_iter())
    }

    #[test]
    fn host_needs_https_and_public_addresses() {
        let issuer = "https://issuer.example";
        assert_eq!(checked(Reach::Internet, issuer, &["20.1.1.1", "2603:1006::1"]), Ok(()));
        for (url, addresses) in [
            ("http://issuer.example", &["20.1.1.1"][..]),
            (issuer, &["127.0.0.1"]),
            (issuer, &["169.254.169.254"]),
            (issuer, &["20.1.1.1", "10.0.0.1"]),
            (issuer, &["::ffff:20.1.1.1"]),
        ] {
            assert_eq!(
                checked(Reach::Internet, url, addresses),
                Err(SourceFailure::Address),
                "{addresses:?}"
            );
        }
        assert_eq!(checked(Reach::Internet, issuer, &[]), Err(SourceFailure::Name));
    }

    #[test]
    fn local_gateway_reads_from_loopback_too() {
        let reach = Reach::InternetAndLoopback;
        assert_eq!(checked(reach, "http://localhost:9000", &["127.0.0.1", "::1"]), Ok(()));
        assert_eq!(checked(reach, "https://issuer.example", &["20.1.1.1"]), Ok(()));
        for (url, addresses) in [
            ("http://issuer.example", &["20.1.1.1"][..]),
            ("http://issuer.example", &["127.0.0.1", "20.1.1.1"]),
            ("https://issuer.example", &["10.0.0.1"]),
            ("https://issuer.example", &["169.254.169.254"]),
        ] {
            assert_eq!(checked(reach, url, addresses), Err(SourceFailure::Address), "{url} {addresses:?}");
        }
    }
}
