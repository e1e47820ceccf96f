//! Certificates in files, shown to clients that ask for names, and replaced.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, SignatureAlgorithm, date_time_ymd};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::unbuffered::{ConnectionState, UnbufferedStatus};
use rustls::version::{TLS12, TLS13};

use super::testing::{client, listening};
use super::{Acceptor, TlsError, TlsKeeper};
use crate::config::{Secret, TlsSettings};

/// A directory that is gone with the test.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("socketshard-tls-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).expect("a place for files");
        Self(path)
    }

    /// Writes a certificate for these names and its key, each to its file, until that year. Returns the certificate.
    fn write(&self, file: &str, names: &[&str], kind: &'static SignatureAlgorithm, until: i32) -> Vec<u8> {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names");
        params.not_after = date_time_ymd(until, 1, 1);
        let key = KeyPair::generate_for(kind).expect("randomness");
        let certificate = params.self_signed(&key).expect("a certificate");
        fs::write(self.certificate(file), pem("CERTIFICATE", certificate.der())).expect("a file");
        fs::write(self.key(file), pem("PRIVATE KEY", key.serialized_der())).expect("a file");
        certificate.der().to_vec()
    }

    fn certificate(&self, file: &str) -> PathBuf {
        self.0.join(format!("{file}.pem"))
    }

    fn key(&self, file: &str) -> PathBuf {
        self.0.join(format!("{file}.key"))
    }

    fn settings(&self, files: &[&str]) -> TlsSettings {
        TlsSettings {
            certificates: files.iter().map(|file| self.certificate(file)).collect(),
            keys: files.iter().map(|file| self.key(file)).collect(),
            ..listening()
        }
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
}

/// The certificate that a client is shown who asks for this name.
fn shown(acceptor: &mut Acceptor, name: &str) -> Vec<u8> {
    let (mut server, mut client) = (acceptor.connection(), client(name, &[&TLS13, &TLS12]));
    let mut incoming = Vec::new();
    while client.is_handshaking() {
        client.write_tls(&mut incoming).expect("memory");
        let mut outgoing = Vec::new();
        loop {
            let UnbufferedStatus { discard, state } = server.process_tls_records(&mut incoming);
            let mut is_done = false;
            match state.expect("a good client") {
                ConnectionState::EncodeTlsData(mut data) => {
                    let start = outgoing.len();
                    outgoing.resize(start + 20_000, 0);
                    let length = data.encode(&mut outgoing[start..]).expect("room");
                    outgoing.truncate(start + length);
                }
                ConnectionState::TransmitTlsData(data) => data.done(),
                _ => is_done = true,
            }
            incoming.drain(..discard);
            if is_done {
                break;
            }
        }
        let mut unread = outgoing.as_slice();
        while !unread.is_empty() {
            client.read_tls(&mut unread).expect("memory");
            client.process_new_packets().expect("a good server");
        }
    }
    client.peer_certificates().expect("the handshake is over")[0].to_vec()
}

fn open(settings: &TlsSettings) -> Result<std::sync::Arc<TlsKeeper>, TlsError> {
    TlsKeeper::open(settings, Vec::new()).map(|keeper| keeper.expect("something listens"))
}

#[test]
fn each_name_has_its_certificate_and_others_are_shown_the_first() {
    let files = Directory::new();
    let first = files.write("first", &["a.example", "b.example"], &PKCS_ECDSA_P256_SHA256, 2090);
    let second = files.write("second", &["c.example", "*.c.example"], &PKCS_ECDSA_P256_SHA256, 2090);
    let mut acceptor = open(&files.settings(&["first", "second"])).expect("good files").acceptor();
    for (name, certificate) in [
        ("a.example", &first),
        ("b.example", &first),
        ("C.example", &second),
        ("x.c.example", &second),
        ("x.y.c.example", &first),
        ("nobody.example", &first),
        ("127.0.0.1", &first),
    ] {
        assert!(shown(&mut acceptor, name) == *certificate, "{name}");
    }
}

#[test]
fn a_key_in_the_file_of_its_certificate_and_one_with_a_passphrase_are_found() {
    let files = Directory::new();
    let certificate = files.write("both", &["a.example"], &PKCS_ED25519, 2090);
    let both = fs::read_to_string(files.certificate("both")).expect("written")
        + &fs::read_to_string(files.key("both")).expect("written");
    fs::write(files.certificate("both"), both).expect("a file");
    let settings = TlsSettings { keys: Vec::new(), ..files.settings(&["both"]) };
    assert!(shown(&mut open(&settings).expect("good files").acceptor(), "a.example") == certificate);

    let keys = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/keys");
    let key = PrivateKeyDer::from_pem_file(keys.join("ed.pem")).expect("a file");
    let key = KeyPair::from_der_and_sign_algo(&key, &PKCS_ED25519).expect("a key");
    let params = CertificateParams::new(vec!["a.example".to_owned()]).expect("a name");
    fs::write(files.certificate("sealed"), pem("CERTIFICATE", params.self_signed(&key).expect("a certificate").der()))
        .expect("a file");
    let sealed = TlsSettings { keys: vec![keys.join("ed.encrypted.pem")], ..files.settings(&["sealed"]) };
    assert!(matches!(open(&sealed), Err(TlsError::PassphraseMissing(_))));
    let given = TlsSettings { key_passphrase: Some(Secret::new("open sesame")), ..sealed.clone() };
    assert!(open(&given).is_ok());
    fs::write(files.0.join("words"), "open sesame\n").expect("a file");
    let in_file = TlsSettings { key_passphrase_file: Some(files.0.join("words")), ..sealed };
    assert!(open(&in_file).is_ok());
}

#[test]
fn what_is_read_again_is_shown_to_new_connections_and_bad_files_change_nothing() {
    let files = Directory::new();
    let old = files.write("one", &["a.example"], &PKCS_ECDSA_P256_SHA256, 2090);
    let keeper = open(&files.settings(&["one"])).expect("good files");
    let mut acceptor = keeper.acceptor();
    assert!(shown(&mut acceptor, "a.example") == old);
    let new = files.write("one", &["a.example"], &PKCS_ECDSA_P256_SHA256, 2091);
    assert!(shown(&mut acceptor, "a.example") == old, "nobody has asked for it");
    assert_eq!(keeper.reload().expect("good files"), 1);
    assert!(shown(&mut acceptor, "a.example") == new && shown(&mut keeper.acceptor(), "a.example") == new);

    let good_key = fs::read(files.key("one")).expect("written");
    files.write("other", &["a.example"], &PKCS_ECDSA_P256_SHA256, 2090);
    fs::copy(files.key("other"), files.key("one")).expect("a file");
    assert!(matches!(keeper.reload(), Err(TlsError::Mismatch(..))));
    fs::write(files.key("one"), good_key).expect("a file");
    fs::write(files.certificate("one"), "no certificate").expect("a file");
    assert!(matches!(keeper.reload(), Err(TlsError::NoCertificate(_))));
    files.write("one", &["a.example"], &PKCS_ECDSA_P256_SHA256, 2020);
    assert!(matches!(keeper.reload(), Err(TlsError::NotValid(_, "not valid any more"))));
    fs::remove_file(files.key("one")).expect("a file");
    assert!(matches!(keeper.reload(), Err(TlsError::Unreadable(..))));
    assert!(shown(&mut acceptor, "a.example") == new);
}

#[test]
fn a_server_that_starts_takes_what_has_ended_but_not_what_is_none() {
    let files = Directory::new();
    files.write("old", &["a.example"], &PKCS_ECDSA_P256_SHA256, 2020);
    assert!(open(&files.settings(&["old"])).is_ok());
    fs::write(files.key("old"), "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n").expect("a file");
    assert!(matches!(open(&files.settings(&["old"])), Err(TlsError::BadKey(_))));
    assert!(matches!(open(&files.settings(&["none"])), Err(TlsError::Unreadable(..))));
}
