//! TLS in front of the services, with a certificate of the lab's own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use super::http;

/// Where the system keeps its roots.
const SYSTEM: [&str; 2] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
];

/// The lab's side of TLS.
#[derive(Clone)]
pub(crate) struct Tls {
    acceptor: TlsAcceptor,
    root: String,
    handshakes: Arc<AtomicUsize>,
}

impl Tls {
    /// With a new certificate, which nobody trusts yet.
    pub(crate) fn new() -> Self {
        let lab = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(lab.signing_key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![lab.cert.der().clone()], key)
            .unwrap();
        Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            root: lab.cert.pem(),
            handshakes: Arc::default(),
        }
    }

    /// What a client has to trust, as PEM.
    pub(crate) fn root(&self) -> &str {
        &self.root
    }

    /// The same, behind all that the system trusts.
    pub(crate) fn roots(&self) -> String {
        let system = SYSTEM
            .iter()
            .find_map(|file| std::fs::read_to_string(file).ok());
        system.unwrap_or_default() + &self.root
    }

    /// How many were completed.
    pub(crate) fn handshakes(&self) -> usize {
        self.handshakes.load(Ordering::Relaxed)
    }

    /// TLS in front of each variable's value that is an `http` URL, until this process ends.
    pub(crate) fn before(&self, env: &[(String, String)]) -> Vec<(String, String)> {
        let secret = |(name, value): &(String, String)| {
            let value = match value.strip_prefix("http://") {
                Some(address) => format!("https://{}", self.serve(address.to_owned())),
                None => value.clone(),
            };
            (name.clone(), value)
        };
        env.iter().map(secret).collect()
    }

    fn serve(&self, address: String) -> SocketAddr {
        let tls = self.clone();
        let (door, _) = http::listen(async move |listener| {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                tokio::spawn(tls.clone().pass_on(stream, address.clone()));
            }
        });
        door
    }

    async fn pass_on(self, stream: TcpStream, address: String) {
        // A client that leaves in the middle is a client's affair.
        let Ok(mut secret) = self.acceptor.accept(stream).await else {
            return;
        };
        self.handshakes.fetch_add(1, Ordering::Relaxed);
        let mut plain = TcpStream::connect(address).await.unwrap();
        plain.set_nodelay(true).unwrap();
        let _ = tokio::io::copy_bidirectional(&mut secret, &mut plain).await;
    }
}
