//! One case: what the client says and must hear, step by step, and how the connection must end. Cases are values; a group
//! of them runs on connections of their own, and every one that fails is named.

use harness::server::Server;

use crate::client::{Client, Received};
use crate::deflate::Offer;
use crate::frame;

/// What happens next.
enum Step {
    /// The client writes these bytes, so many at a time.
    Send(Vec<u8>, usize),
    /// The server has said this, and nothing before it.
    Expect(Received),
}

/// How the connection ends when the steps are done.
#[derive(Clone, Copy)]
enum Ending {
    /// The client closes with 1000; the server answers with that and ends the connection.
    Healthy,
    /// The client has sent a close frame: the server answers with this code and ends the connection.
    Answered(u16),
    /// The server has found a violation: it says so with this code and ends the connection.
    Failed(u16),
}

/// A case of the suite.
pub(crate) struct Case {
    number: String,
    offer: Option<Offer>,
    steps: Vec<Step>,
    ending: Ending,
}

impl Case {
    /// A case in which nothing happens yet.
    pub(crate) fn new(number: impl Into<String>) -> Self {
        Self { number: number.into(), offer: None, steps: Vec::new(), ending: Ending::Healthy }
    }

    /// Offers compression, which the server must agree to.
    pub(crate) fn offering(mut self, offer: Offer) -> Self {
        self.offer = Some(offer);
        self
    }

    /// Sends bytes in one write.
    pub(crate) fn send(self, bytes: Vec<u8>) -> Self {
        self.chop(bytes, usize::MAX)
    }

    /// Sends bytes in writes of that many.
    pub(crate) fn chop(mut self, bytes: Vec<u8>, piece_bytes: usize) -> Self {
        self.steps.push(Step::Send(bytes, piece_bytes));
        self
    }

    /// Sends bytes one by one.
    pub(crate) fn dribble(self, bytes: Vec<u8>) -> Self {
        self.chop(bytes, 1)
    }

    /// Sends each of these in a write of its own.
    pub(crate) fn send_each(self, frames: impl IntoIterator<Item = Vec<u8>>) -> Self {
        frames.into_iter().fold(self, Self::send)
    }

    /// Waits for an answer.
    pub(crate) fn expect(mut self, received: Received) -> Self {
        self.steps.push(Step::Expect(received));
        self
    }

    /// Waits for a text.
    pub(crate) fn expect_text(self, text: &str) -> Self {
        self.expect(Received::Text(text.to_owned()))
    }

    /// Waits for a pong.
    pub(crate) fn expect_pong(self, payload: &[u8]) -> Self {
        self.expect(Received::Pong(payload.to_vec()))
    }

    /// The last step was a close frame, which the server answers with that code.
    pub(crate) fn answered(mut self, code: u16) -> Self {
        self.ending = Ending::Answered(code);
        self
    }

    /// The server ends the connection with that code.
    pub(crate) fn failed(mut self, code: u16) -> Self {
        self.ending = Ending::Failed(code);
        self
    }

    fn run(&self, server: &Server) -> Result<(), String> {
        let mut client = Client::connect_offering(server.address(), "/echo", self.offer.as_slice())?;
        if self.offer.is_some() && client.deflate().is_none() {
            return Err("compression is declined".to_owned());
        }
        for step in &self.steps {
            match step {
                Step::Send(bytes, piece_bytes) => {
                    for piece in bytes.chunks((*piece_bytes).min(bytes.len()).max(1)) {
                        match (client.send(piece), self.ending) {
                            (Ok(()), _) => {}
                            // It may have seen enough, and need not wait for the rest.
                            (Err(_), Ending::Failed(_) | Ending::Answered(_)) => break,
                            (Err(error), Ending::Healthy) => return Err(error),
                        }
                    }
                }
                Step::Expect(expected) => expect(&mut client, expected)?,
            }
        }
        self.end(&mut client)
    }

    fn end(&self, client: &mut Client) -> Result<(), String> {
        match self.ending {
            Ending::Healthy => {
                client.send(&frame::close(1000, b""))?;
                expect(client, &Received::Close(1000))?;
                expect(client, &Received::End)
            }
            Ending::Answered(code) => {
                expect(client, &Received::Close(code))?;
                ends(client)
            }
            Ending::Failed(code) => {
                expect(client, &Received::Close(code))?;
                let _ = client.send(&frame::close(code, b""));
                ends(client)
            }
        }
    }
}

fn expect(client: &mut Client, expected: &Received) -> Result<(), String> {
    let received = client.receive()?;
    if received == *expected { Ok(()) } else { Err(format!("expected {expected:?}, received {received:?}")) }
}

/// The end, orderly or not: bytes that the server had no reason to read any more turn its end into a reset.
fn ends(client: &mut Client) -> Result<(), String> {
    match client.receive()? {
        Received::End | Received::Reset => Ok(()),
        received => Err(format!("{received:?} after the close frame")),
    }
}

/// Runs cases against a server that takes messages of 16 MiB in any number of fragments.
pub(crate) fn run(cases: &[Case]) {
    run_with(&LARGE, cases);
}

/// Runs cases against a server with these flags.
///
/// # Panics
/// With the number and the finding of every case that failed.
pub(crate) fn run_with(flags: &[&str], cases: &[Case]) {
    let server = Server::start(flags);
    let mut failures = Vec::new();
    for case in cases {
        if let Err(finding) = case.run(&server) {
            failures.push(format!("case {}: {finding}", case.number));
        }
    }
    assert!(failures.is_empty(), "{} of {} cases failed\n{}", failures.len(), cases.len(), failures.join("\n"));
    println!("{} cases passed", cases.len());
}

/// Group 9 sends 16 MiB in one message and 4 MiB in 65,536 fragments.
const LARGE: [&str; 6] = ["--max-message", "16MiB", "--max-fragments", "70000", "--outbox-bytes-max", "64MiB"];
