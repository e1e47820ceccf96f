//! The catalogue: one file for each family of rows. `core/docs/security.md` says which rows are tested elsewhere.

mod call;
mod deflate;
mod end;
mod flood;
mod frame;
mod head;
mod json;
mod name;
mod origin;
mod polling;
mod slow;
mod smuggling;
mod text;
mod tls;
mod token;
mod upgrade;

use super::case::{Case, Door, Wanted};

/// The rows and what they are about, in their order.
pub(super) const TITLES: &[(&str, &str)] = &[
    ("A1", "heads that drip"),
    ("A2", "bodies that drip, answers that nobody reads"),
    ("A3", "connections that say nothing"),
    ("A4", "WebSockets without a handshake of their protocol"),
    ("A5", "heads without end"),
    ("A6", "subprotocols full of blanks"),
    ("A7", "upgrades that are none"),
    ("A8", "keys that are none"),
    ("A9", "requests that two parsers read differently"),
    ("A10", "bytes behind an upgrade"),
    ("A11", "frames behind an upgrade that was refused"),
    ("A12", "targets that lead elsewhere"),
    ("A13", "hosts that are missing or too many"),
    ("A14", "heads that write into logs"),
    ("A15", "frames without a mask"),
    ("A16", "reserved bits and opcodes"),
    ("A17", "control frames that are too long or in pieces"),
    ("A18", "lengths that cannot be"),
    ("A19", "lengths that are announced and do not come"),
    ("A20", "messages over the limit"),
    ("A21", "fragments without end"),
    ("A22", "fragments out of place"),
    ("A23", "text that is no UTF-8"),
    ("A24", "close codes that nobody may send"),
    ("A25", "ends that do not end"),
    ("A26", "floods of pings and pongs"),
    ("A27", "compression bombs"),
    ("A28", "compression that was not agreed to, or is none"),
    ("A30", "JSON without bottom"),
    ("A31", "JSON at its edges"),
    ("A32", "keys that mean something to JavaScript"),
    ("A33", "actions that are none"),
    ("A34", "channels with odd names"),
    ("A35", "subscriptions without end"),
    ("A36", "publications without end"),
    ("A38", "readers that stop reading"),
    ("A39", "calls without waiting for answers"),
    ("A41", "pages of other origins"),
    ("A43", "actions called from other pages"),
    ("A44", "cookies that somebody else made"),
    ("A45", "cookies that scripts could read"),
    ("A46", "long-polling with another's or nobody's session"),
    ("A47", "tokens that nobody signed"),
    ("A50", "pages of operators on the public port"),
    ("A53", "many connections at one moment"),
    ("A54", "TLS that is none"),
    ("A55", "HTTP/2"),
    ("A64", "pages that could be made to run another's script"),
];

/// Every case, in no particular order.
pub(super) fn all() -> Vec<Case> {
    let families = [
        slow::cases(),
        head::cases(),
        smuggling::cases(),
        upgrade::cases(),
        frame::cases(),
        text::cases(),
        end::cases(),
        deflate::cases(),
        json::cases(),
        name::cases(),
        call::cases(),
        flood::cases(),
        origin::cases(),
        polling::cases(),
        token::cases(),
        tls::cases(),
    ];
    Vec::from_iter(families.into_iter().flatten())
}

/// What an attacker hopes to have answered on somebody else's behalf.
const SMUGGLED: &str = "GET / HTTP/1.1\r\nHost: smuggled\r\n\r\n";

/// A request, with another behind it: the first is refused, the second never answered.
fn refused(row: &'static str, input: &str, request: impl Into<Vec<u8>>, statuses: &'static [u16]) -> Case {
    let mut bytes: Vec<u8> = request.into();
    bytes.extend(SMUGGLED.as_bytes());
    sent(row, input, bytes, Wanted::Refusal(statuses))
}

/// Bytes on a connection of their own, read to its end.
fn sent(row: &'static str, input: &str, bytes: Vec<u8>, wanted: Wanted) -> Case {
    Case::new(row, input, Door::Http, wanted, move |stage| {
        let mut wire = stage.connect()?;
        wire.send(&bytes)?;
        wire.refusal(stage.patience())
    })
}

/// A GET with these lines in its head.
fn get(lines: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: x\r\n{lines}\r\n\r\n")
}

/// An upgrade to the echo with these lines in its head besides; `{path}` is replaced when it is sent.
fn upgrade(lines: &str) -> String {
    format!(
        "GET {{path}} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{lines}\r\n\r\n"
    )
}

/// The word in an upgrade that stands for the echo's path.
const PATH: &str = "{path}";
