//! TLS: where it is spoken, with which certificates, and who is sent there.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::config::{Secret, address, count, size};

/// The group "TLS".
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "TLS")]
pub(super) struct TlsFlags {
    /// Accept TLS connections on this address (repeatable)
    ///
    /// Written as --listen is. Needs --tls-cert or --tls-self-signed. Given alone, nothing listens without TLS: give
    /// --listen or --port as well for that.
    #[arg(
        long, value_name = "HOST:PORT", env = "SOCKETSHARD_TLS_LISTEN", value_delimiter = ',',
        value_parser = address::parse,
    )]
    pub(super) tls_listen: Vec<SocketAddr>,

    /// A certificate with its chain, in PEM (repeatable)
    ///
    /// The server's own certificate comes first in the file. Clients are shown the one that is for the name they ask
    /// for, and the first where none is. SIGHUP reads the files again; connections stay.
    #[arg(long, value_name = "FILE", env = "SOCKETSHARD_TLS_CERT", value_delimiter = ',')]
    pub(super) tls_cert: Vec<PathBuf>,

    /// The key of a certificate, in PEM (repeatable)
    ///
    /// One for each --tls-cert, in the same order; without any, the keys are looked for in the certificates' files. It
    /// may be an encrypted PKCS#8 key.
    #[arg(long, value_name = "FILE", env = "SOCKETSHARD_TLS_KEY", value_delimiter = ',')]
    pub(super) tls_key: Vec<PathBuf>,

    /// File with the passphrase of encrypted keys
    ///
    /// One line. The passphrase may be given in SOCKETSHARD_TLS_KEY_PASSPHRASE instead.
    #[arg(long, value_name = "FILE", env = "SOCKETSHARD_TLS_KEY_PASSPHRASE_FILE")]
    pub(super) tls_key_passphrase_file: Option<PathBuf>,

    /// The passphrase itself: by the environment only, because everybody can list the arguments of processes
    #[arg(
        long, value_name = "SECRET", env = "SOCKETSHARD_TLS_KEY_PASSPHRASE", hide = true, hide_env_values = true,
        value_parser = |text: &str| Ok::<_, std::convert::Infallible>(Secret::new(text)),
    )]
    pub(super) tls_key_passphrase: Option<Secret>,

    /// Make a certificate at the start, for development
    ///
    /// It is for localhost and the addresses of --tls-listen, new at every start, and signed by nobody: clients have to
    /// be told to trust it. Takes the place of --tls-cert.
    #[arg(long, env = "SOCKETSHARD_TLS_SELF_SIGNED")]
    pub(super) tls_self_signed: bool,

    /// Send plain HTTP on this address to TLS (repeatable)
    ///
    /// Written as --listen is. Every request is answered with 308 and the same URL by https, at the port of the first
    /// --tls-listen.
    #[arg(
        long, value_name = "HOST:PORT", env = "SOCKETSHARD_TLS_REDIRECT", value_delimiter = ',',
        value_parser = address::parse,
    )]
    pub(super) tls_redirect: Vec<SocketAddr>,

    /// The port that clients are redirected to
    ///
    /// Range: 1 to 65535; by default that of the first --tls-listen. Set it where clients know the server by another
    /// port than it has here, as in a container.
    #[arg(
        long, value_name = "PORT", env = "SOCKETSHARD_TLS_REDIRECT_PORT", value_parser = count::within::<u16>(1..=65_535),
    )]
    pub(super) tls_redirect_port: Option<u16>,

    /// Bytes of a TLS handshake that may wait for their end
    ///
    /// Range: 4KiB to 64KiB; who sends more before the handshake goes on is cut off. Raise it when clients with very
    /// large first messages are refused.
    #[arg(
        long, value_name = "SIZE", env = "SOCKETSHARD_MAX_TLS_HANDSHAKE", default_value = "16KiB",
        value_parser = size::within::<usize>((4 << 10)..=(64 << 10)),
    )]
    pub(super) max_tls_handshake: usize,

    /// Let the kernel encrypt and decrypt, where it can
    ///
    /// With auto, connections of TLS 1.3 are given to the kernel's TLS after their handshake if its module is there
    /// (`modprobe tls`); the start-up line says which it is. With off, all of them stay in user space.
    #[arg(long, value_name = "WHEN", env = "SOCKETSHARD_KTLS", value_enum, default_value = "auto")]
    pub(super) ktls: KernelTls,
}

/// Whether the kernel's TLS is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum KernelTls {
    /// Where the kernel has one.
    Auto,
    /// Never.
    Off,
}
