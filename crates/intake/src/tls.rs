//! The server's side of TLS for SMTP: from PEM files, or self-signed and kept in the data folder.
//!
//! A self-signed certificate is made once and then used for ever, so that a client that has pinned it goes on
//! working; its key file is readable by its owner only. TLS 1.2 and 1.3 with the library's safe suites.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};

/// The names of the self-signed pair in the data folder.
const CERTIFICATE_FILE: &str = "smtp-certificate.pem";
const KEY_FILE: &str = "smtp-key.pem";

/// Where certificate and key come from.
#[derive(Clone, Copy, Debug)]
pub enum Identity<'a> {
    /// A certificate chain, leaf first, and its private key (PKCS#8, PKCS#1 or SEC1), both in PEM.
    Files { certificate: &'a Path, key: &'a Path },
    /// A pair of our own in `data_dir`, made for `hostname` if it is not there yet.
    SelfSigned { data_dir: &'a Path, hostname: &'a str },
}

/// Why TLS could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("{} cannot be read as PEM: {source}; give a certificate chain and its unencrypted key", path.display())]
    Pem { path: PathBuf, source: pem::Error },
    #[error("{} has no certificate; give a PEM file with the chain, the server's own certificate first", .0.display())]
    NoCertificate(PathBuf),
    #[error("certificate {} and key {} cannot be used together: {source}", certificate.display(), key.display())]
    Pair { certificate: PathBuf, key: PathBuf, source: rustls::Error },
    #[error("a self-signed certificate for '{hostname}' could not be made: {source}")]
    SelfSigned { hostname: String, source: rcgen::Error },
    #[error("{} cannot be written: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
}

/// The configuration for every TLS connection of a listener.
pub fn server_config(identity: Identity<'_>) -> Result<Arc<ServerConfig>, TlsError> {
    match identity {
        Identity::Files { certificate, key } => load(certificate, key),
        Identity::SelfSigned { data_dir, hostname } => {
            let (certificate, key) = (data_dir.join(CERTIFICATE_FILE), data_dir.join(KEY_FILE));
            if !certificate.exists() || !key.exists() {
                make_pair(&certificate, &key, hostname)?;
            }
            load(&certificate, &key)
        }
    }
}

fn load(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>, TlsError> {
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        move |source| TlsError::Pem { path, source }
    };
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(unreadable(certificate))?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate(certificate.to_owned()));
    }
    let secret = PrivateKeyDer::from_pem_file(key).map_err(unreadable(key))?;
    ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, secret))
        .map(Arc::new)
        .map_err(|source| TlsError::Pair { certificate: certificate.to_owned(), key: key.to_owned(), source })
}

fn make_pair(certificate: &Path, key: &Path, hostname: &str) -> Result<(), TlsError> {
    let failed = |source| TlsError::SelfSigned { hostname: hostname.to_owned(), source };
    let mut names = vec![hostname.to_owned()];
    if hostname != "localhost" {
        names.push("localhost".to_owned());
    }
    let made = rcgen::generate_simple_self_signed(names).map_err(failed)?;
    write(key, 0o600, made.signing_key.serialize_pem().as_bytes())?;
    write(certificate, 0o644, made.cert.pem().as_bytes())
}

/// Writes beside the file and renames, so that no reader ever finds half of it.
fn write(path: &Path, mode: u32, content: &[u8]) -> Result<(), TlsError> {
    let failed = |source| TlsError::Write { path: path.to_owned(), source };
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(failed)?;
    let unfinished = path.with_extension("pem.new");
    // One left behind by a crash may have another mode, which opening it would keep.
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(mode).open(&unfinished).map_err(failed)?;
    file.write_all(content).and_then(|()| file.sync_all()).map_err(failed)?;
    fs::rename(&unfinished, path).map_err(failed)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_self_signed_pair_is_made_once_and_its_key_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let identity = Identity::SelfSigned { data_dir: dir.path(), hostname: "mail.example.net" };
        server_config(identity).unwrap();
        let certificate = fs::read(dir.path().join(CERTIFICATE_FILE)).unwrap();
        let key = fs::metadata(dir.path().join(KEY_FILE)).unwrap();
        assert_eq!(key.permissions().mode() & 0o777, 0o600);
        server_config(identity).unwrap();
        assert_eq!(fs::read(dir.path().join(CERTIFICATE_FILE)).unwrap(), certificate);
    }

    #[test]
    fn what_is_wrong_with_files_is_said() {
        let dir = tempfile::tempdir().unwrap();
        server_config(Identity::SelfSigned { data_dir: dir.path(), hostname: "a.example" }).unwrap();
        let other = tempfile::tempdir().unwrap();
        server_config(Identity::SelfSigned { data_dir: other.path(), hostname: "a.example" }).unwrap();
        let (certificate, key) = (dir.path().join(CERTIFICATE_FILE), dir.path().join(KEY_FILE));
        let foreign_key = other.path().join(KEY_FILE);
        let empty = dir.path().join("empty.pem");
        fs::write(&empty, "").unwrap();
        let missing = dir.path().join("missing.pem");
        let load = |certificate: &Path, key: &Path| {
            server_config(Identity::Files { certificate, key }).map(|_| ()).unwrap_err()
        };
        assert!(matches!(load(&missing, &key), TlsError::Pem { path, .. } if path == missing));
        assert!(matches!(load(&certificate, &missing), TlsError::Pem { path, .. } if path == missing));
        assert!(matches!(load(&empty, &key), TlsError::NoCertificate(path) if path == empty));
        assert!(matches!(load(&certificate, &empty), TlsError::Pem { path, .. } if path == empty));
        assert!(matches!(load(&certificate, &foreign_key), TlsError::Pair { .. }));
    }
}
