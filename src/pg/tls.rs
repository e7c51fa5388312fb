//! How the line is secured: libpq's `ssl*` parameters, as a rustls configuration.
//!
//! Manual: 34.19 "SSL Support".

use super::error::TargetError;
use super::keyword::{self, Values};
use super::verify;
use rustls::ClientConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_postgres_rustls::MakeRustlsConnect;

/// How much is asked of the line (manual: 34.19.1, table "SSL Mode Descriptions").
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SslMode {
    /// Never TLS.
    Disable,
    /// TLS only when the server insists.
    Allow,
    /// TLS when the server has it.
    Prefer,
    /// TLS, without looking at whom we talk to, unless a root certificate is at hand.
    Require,
    /// TLS, and the server's certificate leads to a trusted root.
    VerifyCa,
    /// As `VerifyCa`, and the certificate names the host.
    VerifyFull,
}

const MODES: &[(&str, SslMode)] = &[
    ("disable", SslMode::Disable),
    ("allow", SslMode::Allow),
    ("prefer", SslMode::Prefer),
    ("require", SslMode::Require),
    ("verify-ca", SslMode::VerifyCa),
    ("verify-full", SslMode::VerifyFull),
];

const NEGOTIATIONS: &[(&str, bool)] = &[("postgres", false), ("direct", true)];

/// Whom to trust.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Roots {
    /// Nobody is named and the default file does not exist.
    None,
    /// The certificates of a file.
    File(PathBuf),
    /// Those of the operating system.
    System,
}

/// The `ssl*` parameters of a target, checked against each other.
#[derive(Debug, Clone)]
pub(super) struct Tls {
    pub(super) mode: SslMode,
    pub(super) direct: bool,
    roots: Roots,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    revoked: Option<PathBuf>,
}

/// The value of `key` out of a short list of words.
///
/// # Errors
/// A word that is not in the list.
pub(super) fn choice<T: Copy>(values: &Values, key: &'static str, choices: &[(&str, T)]) -> Result<Option<T>, TargetError> {
    let Some(word) = values.get(key) else { return Ok(None) };
    match choices.iter().find(|(name, _)| name == word) {
        Some((_, value)) => Ok(Some(*value)),
        None => {
            let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
            let hint =
                keyword::nearest(word, names.iter().copied()).map(|n| format!("; did you mean `{n}`?")).unwrap_or_default();
            Err(TargetError::bad(key, format!("is `{word}`, not one of {}{hint}", names.join(", "))))
        }
    }
}

impl Tls {
    /// No TLS at all.
    pub(super) fn off() -> Tls {
        Tls { mode: SslMode::Disable, direct: false, roots: Roots::None, certificate: None, key: None, revoked: None }
    }

    /// Reads the parameters; files that are not named are looked for in `~/.postgresql`.
    ///
    /// # Errors
    /// Unknown words, `sslrootcert=system` or `sslnegotiation=direct` with a mode too weak for it.
    pub(super) fn from_values(values: &Values, home: Option<&Path>) -> Result<Tls, TargetError> {
        let default = |name: &str| home.map(|home| home.join(".postgresql").join(name)).filter(|path| path.exists());
        let file = |key: &str, name: &str| values.get(key).map(PathBuf::from).or_else(|| default(name));
        let roots = match values.get("sslrootcert").map(String::as_str) {
            Some("system") => Roots::System,
            _ => file("sslrootcert", "root.crt").map_or(Roots::None, Roots::File),
        };
        let preset = if roots == Roots::System { SslMode::VerifyFull } else { SslMode::Prefer };
        let mode = choice(values, "sslmode", MODES)?.unwrap_or(preset);
        if roots == Roots::System && mode < SslMode::VerifyFull {
            return Err(TargetError::bad("sslrootcert", "is `system`, which is safe only with sslmode=verify-full"));
        }
        let direct = choice(values, "sslnegotiation", NEGOTIATIONS)?.unwrap_or(false);
        if direct && mode < SslMode::Require {
            return Err(TargetError::bad("sslnegotiation", "is `direct`, which needs sslmode=require or stronger"));
        }
        let certificate = file("sslcert", "postgresql.crt");
        let key = file("sslkey", "postgresql.key");
        Ok(Tls { mode, direct, roots, certificate, key, revoked: file("sslcrl", "root.crl") })
    }

    /// The connector of this configuration. Files are read now, so that a target of no TLS server never needs them.
    ///
    /// # Errors
    /// In words: files that cannot be read, keys open to others, `verify-*` without a root certificate.
    pub(super) fn connector(&self) -> Result<MakeRustlsConnect, String> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let roots = self.root_certificates()?;
        let verifier = if roots.is_empty() {
            if self.mode >= SslMode::VerifyCa {
                return Err("sslmode asks for a trusted certificate, but there is no root certificate: put it into \
                            ~/.postgresql/root.crt, or set sslrootcert to its file or to `system`"
                    .to_owned());
            }
            verify::anyone(&provider)
        } else {
            verify::trusted(&provider, roots, self.revoked()?, self.mode == SslMode::VerifyFull)?
        };
        let builder =
            ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(|e| e.to_string())?;
        let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
        let mut config = match &self.certificate {
            Some(path) => {
                let (chain, key) = self.client_certificate(path)?;
                builder.with_client_auth_cert(chain, key).map_err(|e| format!("client certificate {}: {e}", path.display()))?
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"postgresql".to_vec()];
        Ok(MakeRustlsConnect::new(config))
    }

    fn root_certificates(&self) -> Result<Vec<CertificateDer<'static>>, String> {
        match &self.roots {
            Roots::None => Ok(Vec::new()),
            Roots::File(path) => certificates(path, "root certificate"),
            Roots::System => {
                let found = rustls_native_certs::load_native_certs().certs;
                if found.is_empty() { Err("the operating system has no trusted root certificates".to_owned()) } else { Ok(found) }
            }
        }
    }

    fn revoked(&self) -> Result<Vec<CertificateRevocationListDer<'static>>, String> {
        let Some(path) = &self.revoked else { return Ok(Vec::new()) };
        let lists = CertificateRevocationListDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        lists.map_err(|error| format!("certificate revocation list {}: {error}", path.display()))
    }

    fn client_certificate(&self, path: &Path) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), String> {
        let chain = certificates(path, "client certificate")?;
        let missing = || format!("client certificate {} has no private key: set sslkey", path.display());
        let key = self.key.as_ref().ok_or_else(missing)?;
        refuse_open_key(key)?;
        let parsed = PrivateKeyDer::from_pem_file(key)
            .map_err(|error| format!("private key {}: {error} (encrypted keys are not supported)", key.display()))?;
        Ok((chain, parsed))
    }
}

/// The certificates of a PEM file.
fn certificates(path: &Path, what: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let found = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match found.map_err(|error| format!("{what} {}: {error}", path.display()))? {
        none if none.is_empty() => Err(format!("{what} {} holds no certificate in PEM form", path.display())),
        found => Ok(found),
    }
}

/// A private key may be read by its owner only, or by a group when root owns it, as libpq has it.
fn refuse_open_key(path: &Path) -> Result<(), String> {
    let shown = path.display();
    let metadata = std::fs::metadata(path).map_err(|error| format!("private key {shown}: {error}"))?;
    let forbidden = if metadata.uid() == 0 { 0o037 } else { 0o077 };
    if metadata.mode() & forbidden == 0 {
        Ok(())
    } else {
        Err(format!("private key {shown} may be read by others; run: chmod 0600 {shown}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tls(pairs: &[(&'static str, &str)]) -> Tls {
        let values = pairs.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        Tls::from_values(&values, None).unwrap()
    }

    #[test]
    fn modes_and_their_defaults() {
        assert_eq!(tls(&[]).mode, SslMode::Prefer);
        assert_eq!(tls(&[("sslmode", "verify-ca")]).mode, SslMode::VerifyCa);
        assert_eq!(tls(&[("sslrootcert", "system")]).mode, SslMode::VerifyFull);
    }

    #[test]
    fn verification_needs_a_root() {
        assert!(tls(&[("sslmode", "verify-full")]).connector().err().unwrap().contains("root.crt"));
        assert!(tls(&[("sslmode", "require")]).connector().is_ok());
        let missing = tls(&[("sslmode", "require"), ("sslrootcert", "/nowhere/root.crt")]).connector().err().unwrap();
        assert!(missing.contains("/nowhere/root.crt"), "{missing}");
    }

    #[test]
    fn a_certificate_needs_its_key() {
        let path = std::env::temp_dir().join(format!("plumb-tls-{}", std::process::id()));
        std::fs::write(&path, "nothing").unwrap();
        let empty = tls(&[("sslcert", path.to_str().unwrap())]).connector().err().unwrap();
        assert!(empty.contains("holds no certificate"), "{empty}");
        assert!(refuse_open_key(&path).unwrap_err().contains("chmod 0600"));
        std::fs::remove_file(&path).unwrap();
    }
}
