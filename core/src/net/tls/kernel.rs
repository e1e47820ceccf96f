#![allow(unsafe_code)] // setsockopt(2) and sendmsg(2) in forms that the libraries at hand do not know
//! The kernel's TLS ("kTLS", Documentation/networking/tls.rst): which suites it has, how a socket is given keys, and how
//! records that carry no data go in and out. It never knows a connection and never decides when.
//!
//! Of TLS 1.3 only. For AES-GCM in TLS 1.2 the kernel counts the explicit nonces from where it is told to begin, and ours
//! are not counted but drawn: some could come twice, and one that does gives the key away (RFC 5288 section 3).

use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use rustls::{CipherSuite, ConnectionTrafficSecrets};
use zeroize::Zeroizing;

/// Which way a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// `TLS_TX`.
    Out = 1,
    /// `TLS_RX`.
    In = 2,
}

/// What one receive with room for the record's type brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::net) enum Record {
    /// Plaintext, in this part of the buffer.
    Data(Range<usize>),
    /// `close_notify`: the peer sends no more (RFC 8446 section 6.1).
    Close,
    /// `user_canceled`: the one alert that ends nothing.
    Nothing,
    /// The peer's next records are under its next key; whether ours are to be as well (RFC 8446 section 4.6.3).
    KeyUpdate { is_asked: bool },
    /// What ends the connection.
    Bad,
    /// The end of the stream.
    End,
}

/// Room for a record's type beside its bytes, in each receive.
pub(in crate::net) struct RecordRoom(libc::msghdr);

/// A record that carries no data, as sendmsg(2) takes it. It stays where it is: its parts point to each other.
pub(in crate::net) struct ControlRecord {
    header: libc::msghdr,
    part: libc::iovec,
    content: [u8; CONTENT_BYTES],
    kind: RecordType,
}

/// A control message with the type of a record.
#[repr(C)]
struct RecordType {
    bytes: usize,
    level: libc::c_int,
    name: libc::c_int,
    value: u8,
    padding: [u8; 7],
}

/// The suites that this kernel takes over, tried on connections of our own. Loads the kernel's module, where we may.
pub(crate) fn suites() -> Vec<CipherSuite> {
    CIPHERS.iter().filter(|cipher| try_out(cipher).is_ok()).map(|cipher| cipher.suite).collect()
}

/// Makes a socket one that can be given keys. Until it has them its bytes pass as they are.
pub(super) fn prepare(socket: BorrowedFd<'_>) -> io::Result<()> {
    set(socket, libc::IPPROTO_TCP, libc::TCP_ULP, b"tls")
}

/// Gives a socket the key of one direction, from the next record on, which has this number.
pub(super) fn set_key(
    socket: BorrowedFd<'_>,
    direction: Direction,
    number: u64,
    secrets: &ConnectionTrafficSecrets,
) -> io::Result<()> {
    let (cipher, key, iv) = match secrets {
        ConnectionTrafficSecrets::Aes128Gcm { key, iv } => (&CIPHERS[0], key, iv),
        ConnectionTrafficSecrets::Aes256Gcm { key, iv } => (&CIPHERS[1], key, iv),
        ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } => (&CIPHERS[2], key, iv),
        _ => return Err(io::ErrorKind::Unsupported.into()),
    };
    set(socket, libc::SOL_TLS, direction as libc::c_int, &cipher.lay_out(key.as_ref(), iv.as_ref(), number))
}

/// Announces the next key, if there is room for that now.
pub(super) fn announce_key(socket: BorrowedFd<'_>) -> io::Result<()> {
    let record = ControlRecord::new(HANDSHAKE, &KEY_UPDATE);
    // SAFETY: the header and all that it points to lie in the box, which outlives the call.
    let sent = unsafe { libc::sendmsg(socket.as_raw_fd(), record.header(), libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

impl Record {
    /// What a completed receive has put into its buffer: the ring's own header, the control message, the bytes.
    pub(in crate::net) fn parse(buffer: &[u8]) -> Self {
        let Some((head, content)) = buffer.split_at_checked(RING_HEADER_BYTES + size_of::<RecordType>()) else {
            return Self::Bad;
        };
        let (ring, control) = head.split_at(RING_HEADER_BYTES);
        // io_uring_recvmsg_out: lengths of the name, of the control messages and of the bytes, and flags.
        if ring[4..8] == [0; 4] {
            return if content.is_empty() { Self::End } else { Self::Bad };
        }
        let names = [&control[8..12], &control[12..16]];
        if names != [&libc::SOL_TLS.to_ne_bytes()[..], &TLS_GET_RECORD_TYPE.to_ne_bytes()[..]] {
            return Self::Bad;
        }
        match (control[16], content) {
            (APPLICATION_DATA, _) => Self::Data(head.len()..buffer.len()),
            (ALERT, [_, CLOSE_NOTIFY]) => Self::Close,
            (ALERT, [_, USER_CANCELED]) => Self::Nothing,
            (HANDSHAKE, [start @ .., asked @ (0 | 1)]) if *start == KEY_UPDATE[..4] => {
                Self::KeyUpdate { is_asked: *asked == 1 }
            }
            _ => Self::Bad,
        }
    }
}

impl RecordRoom {
    /// Boxed: receives point to it.
    pub(in crate::net) fn new() -> Box<Self> {
        let mut header = empty_header();
        header.msg_controllen = size_of::<RecordType>();
        Box::new(Self(header))
    }

    /// For `IORING_OP_RECVMSG`, which copies it when it is submitted.
    pub(in crate::net) const fn header(&self) -> *const libc::msghdr {
        &raw const self.0
    }
}

impl ControlRecord {
    /// The end of our direction.
    pub(in crate::net) fn close_notify() -> Box<Self> {
        Self::new(ALERT, &[WARNING, CLOSE_NOTIFY])
    }

    fn new(kind: u8, content: &[u8]) -> Box<Self> {
        let kind = RecordType {
            // CMSG_LEN(1).
            bytes: size_of::<RecordType>() - 7,
            level: libc::SOL_TLS,
            name: TLS_SET_RECORD_TYPE,
            value: kind,
            padding: [0; 7],
        };
        let part = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: content.len() };
        let mut record = Box::new(Self { header: empty_header(), part, content: [0; CONTENT_BYTES], kind });
        record.content[..content.len()].copy_from_slice(content);
        record.part.iov_base = (&raw mut record.content).cast();
        record.header.msg_iov = &raw mut record.part;
        record.header.msg_iovlen = 1;
        record.header.msg_control = (&raw mut record.kind).cast();
        record.header.msg_controllen = size_of::<RecordType>();
        record
    }

    /// For sendmsg(2) and `IORING_OP_SENDMSG`, which only read it.
    pub(in crate::net) const fn header(&self) -> *const libc::msghdr {
        &raw const self.header
    }
}

/// One cipher as the kernel knows it.
struct Cipher {
    suite: CipherSuite,
    /// `TLS_CIPHER_…`.
    number: u16,
    key_bytes: usize,
    /// How much of the nonce the kernel calls salt.
    salt_bytes: usize,
}

impl Cipher {
    /// `struct tls12_crypto_info_…`, which is the name for TLS 1.3 as well.
    fn lay_out(&self, key: &[u8], nonce: &[u8], record: u64) -> Zeroizing<Vec<u8>> {
        debug_assert_eq!((key.len(), nonce.len()), (self.key_bytes, NONCE_BYTES), "keys are as long as their cipher's");
        let (salt, iv) = nonce.split_at(self.salt_bytes);
        let version = TLS_1_3.to_ne_bytes();
        Zeroizing::new([&version, &self.number.to_ne_bytes(), iv, key, salt, &record.to_be_bytes()].concat())
    }
}

/// Both directions of a connection within this machine, with a key that protects nothing.
fn try_out(cipher: &Cipher) -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let socket = TcpStream::connect(listener.local_addr()?)?;
    prepare(socket.as_fd())?;
    let information = cipher.lay_out(&vec![0; cipher.key_bytes], &[0; NONCE_BYTES], 0);
    set(socket.as_fd(), libc::SOL_TLS, Direction::Out as libc::c_int, &information)?;
    set(socket.as_fd(), libc::SOL_TLS, Direction::In as libc::c_int, &information)
}

fn set(socket: BorrowedFd<'_>, level: libc::c_int, name: libc::c_int, value: &[u8]) -> io::Result<()> {
    let length = libc::socklen_t::try_from(value.len()).expect("options are some bytes");
    // SAFETY: the kernel reads so many bytes of the value, and keeps no pointer.
    let result = unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, value.as_ptr().cast(), length) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

const fn empty_header() -> libc::msghdr {
    // SAFETY: null pointers with lengths of zero are what a header without any part is.
    unsafe { std::mem::zeroed() }
}

/// By the number of their place: see [`set_key`].
const CIPHERS: [Cipher; 3] = [
    Cipher { suite: CipherSuite::TLS13_AES_128_GCM_SHA256, number: 51, key_bytes: 16, salt_bytes: 4 },
    Cipher { suite: CipherSuite::TLS13_AES_256_GCM_SHA384, number: 52, key_bytes: 32, salt_bytes: 4 },
    Cipher { suite: CipherSuite::TLS13_CHACHA20_POLY1305_SHA256, number: 54, key_bytes: 32, salt_bytes: 0 },
];
const NONCE_BYTES: usize = 12;

const TLS_1_3: u16 = 0x0304;
const TLS_SET_RECORD_TYPE: libc::c_int = 1;
const TLS_GET_RECORD_TYPE: libc::c_int = 2;

/// `struct io_uring_recvmsg_out`.
const RING_HEADER_BYTES: usize = 16;
const _: () = assert!(size_of::<RecordType>() == 24, "CMSG_SPACE(1)");

/// Content types (RFC 8446 section 5.1).
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;
/// Alerts (RFC 8446 section 6).
const WARNING: u8 = 1;
const CLOSE_NOTIFY: u8 = 0;
const USER_CANCELED: u8 = 90;
/// One that asks for none in return (RFC 8446 section 4.6.3).
const KEY_UPDATE: [u8; CONTENT_BYTES] = [24, 0, 0, 1, 0];
const CONTENT_BYTES: usize = 5;
