//! What an https listener proves who it is with: the key and the certificates, read, checked against each other, and
//! made into the settings of TLS. Called by [`super::bind`], before anything is listened on.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use p12_keystore::{KeyStore, Pkcs12ImportPolicy};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{InconsistentKeys, ServerConfig};
use thiserror::Error;
use tracing::warn;

use crate::config::KeyMaterial;

const KEY: &str = "private_key_file";
const CERTIFICATES: &str = "certificate_file";
const KEY_STORE: &str = "keystore";

/// Why a key or a certificate cannot be used.
#[derive(Debug, Error)]
pub enum IdentityError {
    #[error("{key}: {path} cannot be read")]
    Read {
        key: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("{key}: {path}: {why}")]
    Unusable {
        key: &'static str,
        path: PathBuf,
        why: String,
    },
    #[error("no certificate for https can be made: {0}; set {KEY} and {CERTIFICATES}")]
    SelfSigned(#[from] rcgen::Error),
}

/// A private key, and its certificate followed by those of its issuers.
type Pair = (PrivateKeyDer<'static>, Vec<CertificateDer<'static>>);

/// The settings of TLS 1.2 and 1.3, whichever protocol follows. `hosts` are what a certificate is made for if none is given.
pub fn server_config(
    material: &KeyMaterial,
    hosts: &[&str],
) -> Result<ServerConfig, IdentityError> {
    let provider = Arc::new(ring::default_provider());
    let (key, certificates) = match material {
        KeyMaterial::Pem {
            private_key,
            certificates,
        } => (read_key(private_key)?, read_certificates(certificates)?),
        KeyMaterial::KeyStore { file, password } => read_key_store(file, password.expose())?,
        KeyMaterial::SelfSigned => self_signed(hosts)?,
    };
    let certified = certify(material, &provider, key, certificates)?;
    Ok(ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13, &TLS12])
        .expect("ring has suites for both versions")
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified))))
}

/// Puts the two together, if they belong together.
fn certify(
    material: &KeyMaterial,
    provider: &CryptoProvider,
    key: PrivateKeyDer<'static>,
    certificates: Vec<CertificateDer<'static>>,
) -> Result<CertifiedKey, IdentityError> {
    let flaw = |of_key: bool, why: &str| match material {
        KeyMaterial::Pem { private_key, .. } if of_key => unusable(KEY, private_key, why),
        KeyMaterial::Pem { certificates, .. } => unusable(CERTIFICATES, certificates, why),
        KeyMaterial::KeyStore { file, .. } => unusable(KEY_STORE, file, why),
        KeyMaterial::SelfSigned => IdentityError::SelfSigned(rcgen::Error::CouldNotParseKeyPair),
    };
    let key = provider
        .key_provider
        .load_private_key(key)
        .map_err(|_| flaw(true, "no RSA, ECDSA or Ed25519 key that can be used"))?;
    let certified = CertifiedKey::new(certificates, key);
    match certified.keys_match() {
        // Unknown: this kind of key does not tell its public half.
        Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(certified),
        Err(rustls::Error::InconsistentKeys(_)) => {
            Err(flaw(true, "the key does not belong to the certificate"))
        }
        Err(error) => {
            let why = format!("the certificate cannot be used: {error}");
            Err(flaw(false, &why))
        }
    }
}

/// PKCS#8, PKCS#1 or SEC 1, each in PEM.
fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, IdentityError> {
    let text = read(KEY, path)?;
    if text.windows(9).any(|word| word == b"ENCRYPTED") {
        let why = "the key is encrypted; `openssl pkey` writes one that is not";
        return Err(unusable(KEY, path, why));
    }
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| {
        let why = if matches!(error, pem::Error::NoItemsFound) {
            "there is no private key in PEM in it".to_owned()
        } else {
            format!("not valid PEM: {error}")
        };
        unusable(KEY, path, why)
    })
}

fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, IdentityError> {
    let text = read(CERTIFICATES, path)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let chain = chain.map_err(|error| {
        let why = format!("not valid PEM: {error}");
        unusable(CERTIFICATES, path, why)
    })?;
    if chain.is_empty() {
        let why = "there is no certificate in PEM in it";
        return Err(unusable(CERTIFICATES, path, why));
    }
    Ok(chain)
}

/// The first entry of a PKCS#12 store that has a key.
fn read_key_store(path: &Path, password: &str) -> Result<Pair, IdentityError> {
    let bytes = read(KEY_STORE, path)?;
    let unusable = |why: String| unusable(KEY_STORE, path, why);
    let store = KeyStore::from_pkcs12(&bytes, password, Pkcs12ImportPolicy::Strict);
    let store = store.map_err(|error| {
        // The checksum is made with the password.
        unusable(
            if matches!(error, p12_keystore::error::Error::MacError(_)) {
                "keystore_pass does not open it".to_owned()
            } else {
                format!("not a PKCS#12 key store that can be read: {error}")
            },
        )
    })?;
    let (_, entry) = store
        .private_key_chain()
        .ok_or_else(|| unusable("no entry has a key and its certificate".to_owned()))?;
    let key = PrivatePkcs8KeyDer::from(entry.key().as_der().to_vec());
    let certificates = entry.certs().iter();
    let certificates = certificates.map(|certificate| certificate.as_der().to_vec().into());
    Ok((key.into(), certificates.collect()))
}

/// A key and a certificate that nobody knows, for this run alone.
fn self_signed(hosts: &[&str]) -> Result<Pair, IdentityError> {
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    for host in hosts {
        if !names.iter().any(|name| name == host) {
            names.push((*host).to_owned());
        }
    }
    warn!(
        "https with a certificate made for this run, which no client can verify: set {KEY} and {CERTIFICATES}"
    );
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = DistinguishedName::new();
    let name = &mut params.distinguished_name;
    name.push(DnType::CommonName, "torchrelay");
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    let key = PrivatePkcs8KeyDer::from(key.serialize_der());
    Ok((key.into(), vec![certificate.der().clone()]))
}

fn read(key: &'static str, path: &Path) -> Result<Vec<u8>, IdentityError> {
    std::fs::read(path).map_err(|source| IdentityError::Read {
        key,
        path: path.to_owned(),
        source,
    })
}

fn unusable(key: &'static str, path: &Path, why: impl Into<String>) -> IdentityError {
    IdentityError::Unusable {
        key,
        path: path.to_owned(),
        why: why.into(),
    }
}

#[cfg(test)]
mod tests;
