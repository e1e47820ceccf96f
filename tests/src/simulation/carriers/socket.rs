//! One TCP connection of a person to a shard.

use std::collections::VecDeque;

use shard::{ConnectionId, Time};

/// What it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A request that opens a session.
    Open,
    Get,
    Post,
    /// A WebSocket that is the transport, or is to become it.
    Web,
    /// Nothing is said on it: whether there is a seat is what is asked.
    Probe,
}

pub(super) struct Socket {
    pub(super) person: usize,
    pub(super) address: usize,
    pub(super) shard: usize,
    /// Which of the shard's lives has accepted it.
    pub(super) life: u32,
    /// What holds a seat for it, once it was accepted, and for the session that it opens.
    pub(super) seat: Option<usize>,
    pub(super) session_seat: Option<usize>,
    pub(super) purpose: Purpose,
    /// Once it was accepted.
    pub(super) id: Option<ConnectionId>,
    /// What the person has not heard yet: bytes, or the end.
    pub(super) inbox: VecDeque<(Time, Option<Vec<u8>>)>,
    /// What it has heard and not understood yet.
    pub(super) heard: Vec<u8>,
    pub(super) is_upgraded: bool,
    /// Sent, and not read by the shard, which does not read.
    pub(super) backlog: VecDeque<Option<Vec<u8>>>,
    pub(super) is_paused: bool,
    /// It asks for a session that was dead before.
    pub(super) is_late: bool,
    /// The person has done with it.
    pub(super) is_left: bool,
    /// The server has ended its direction.
    pub(super) is_ended: bool,
}

impl Socket {
    pub(super) const fn new(person: usize, address: usize, shard: usize, purpose: Purpose) -> Self {
        Self {
            person,
            address,
            shard,
            life: 0,
            seat: None,
            session_seat: None,
            purpose,
            id: None,
            inbox: VecDeque::new(),
            heard: Vec::new(),
            is_upgraded: false,
            backlog: VecDeque::new(),
            is_paused: false,
            is_late: false,
            is_left: false,
            is_ended: false,
        }
    }
}

/// A whole HTTP response that does not end with its connection: its status and body.
pub(super) fn response(bytes: &[u8]) -> Option<(u16, String, usize)> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&bytes[..end]).expect("heads are text");
    let status = head.split(' ').nth(1).expect("a status").parse().expect("a number");
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("Content-Length: "))
        .map_or(0, |text| text.parse::<usize>().expect("a number"));
    let body = bytes.get(end..end + length)?;
    Some((status, String::from_utf8(body.to_vec()).expect("payloads are text"), end + length))
}
