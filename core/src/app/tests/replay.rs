//! The authentication steps of the recorded conversations, spoken again by the recorded clients to a real shard: the
//! answers must be those of the recorded server. What differs on purpose is written down here.

use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::Algorithm;
use serde::Deserialize;
use serde_json::{Value, json};

use super::line::Line;
use crate::app::{App, Args, Common, Peer, Result};
use crate::auth::{Authority, Key};
use crate::config::AuthSettings;

const V2: &str = include_str!("../../../../tests/data/transcripts/sc-v2-server20-client20.jsonl");
const V1: &str = include_str!("../../../../tests/data/transcripts/sc-v1-server14-client14.jsonl");
const V0: &str = include_str!("../../../../tests/data/transcripts/sc-v0-server1.0.2-client2.4.1.jsonl");

/// The recorded steps on the first connection, after whose notes begin so.
const STEPS: [&str; 8] = [
    "server sets auth token (",
    "server removes auth token",
    "client authenticates with good token",
    "client authenticates with garbage token",
    "client authenticates with null token",
    "client authenticates with number",
    "client deauthenticates itself",
    "token with 1s expiry",
];

/// One line of a transcript.
#[derive(Clone, Deserialize)]
struct Recorded {
    dir: String,
    t: String,
    conn: u32,
    #[serde(default)]
    data: Value,
    note: String,
}

/// One recorded conversation and how its client is recognised.
struct Recording {
    lines: Vec<Recorded>,
    path: &'static str,
    /// Its server sends the token after the answer.
    is_late: bool,
    /// Its server lets a client keep a bad token.
    is_lax: bool,
}

impl Recording {
    fn new(transcript: &str, pong: &str) -> Self {
        let lines = transcript.lines().map(|line| serde_json::from_str(line).expect("one object per line"));
        let lines: Vec<Recorded> = lines.collect();
        let texts = lines.into_iter().filter(|line| line.t == "text" && !["#1", "#2", "1", "2"].contains(&text(line)));
        let path = if pong == "#2" { "/socketcluster/?protocolVersion=1" } else { "/socketcluster/" };
        Self { lines: texts.collect(), path, is_late: pong.is_empty(), is_lax: pong == "2" }
    }

    /// What one side said on a connection in the steps whose notes begin so.
    fn said(&self, direction: &str, connection: u32, note: &str) -> Vec<String> {
        let lines = self.lines.iter().filter(|line| {
            line.dir == direction && line.conn == connection && line.note.starts_with(note) && !text(line).is_empty()
        });
        lines.map(|line| text(line).to_owned()).collect()
    }

    /// Says the client's part of a step; both servers' parts, comparable.
    fn replay(&self, line: &mut Line, connection: u32, note: &str) -> (Vec<Value>, Vec<Value>) {
        let asked = self.said("c2s", connection, note);
        let ours: Vec<_> = asked.iter().flat_map(|text| line.say(text)).collect();
        let (mut ours, mut theirs) = (comparable(&ours), comparable(&self.said("s2c", connection, note)));
        if self.is_lax {
            let is_removal = |packet: &Value| packet["event"] == "#removeAuthToken";
            if !theirs.iter().any(is_removal) {
                ours.retain(|packet| !is_removal(packet));
            }
        }
        if self.is_late {
            ours.sort_by_key(Value::to_string);
            theirs.sort_by_key(Value::to_string);
        }
        assert!(!asked.is_empty() || theirs.is_empty(), "{note} was answered without being asked");
        (ours, theirs)
    }
}

fn text(line: &Recorded) -> &str {
    line.data.as_str().expect("text has data")
}

/// Packets without what is random, or the clock's.
fn comparable(packets: &[String]) -> Vec<Value> {
    let packet = |text: &String| {
        let mut packet: Value = serde_json::from_str(text).expect("packets are JSON");
        let fields = packet.as_object_mut().expect("packets are objects");
        if fields.get("event").is_some_and(|event| event.as_str().is_some_and(|event| event.ends_with("AuthToken"))) {
            fields.remove("cid");
            fields.retain(|_, value| !value.is_null());
        }
        if let Some(data) = fields.get_mut("data").and_then(Value::as_object_mut) {
            if let Some(token) = data.get("token").and_then(Value::as_str) {
                let claims: Value = jsonwebtoken::dangerous::insecure_decode_claims(token).expect("a token");
                let lifetime = claims["exp"].as_u64().zip(claims["iat"].as_u64()).map(|(end, start)| end - start);
                let who = json!({ "username": claims["username"], "channels": claims["channels"], "s": lifetime });
                data.insert("token".to_owned(), who);
            }
            for random in ["id", "pingTimeout"] {
                data.remove(random);
            }
        }
        packet
    };
    packets.iter().map(packet).collect()
}

/// The application of the recorded servers.
fn app() -> App {
    #[derive(Default, Deserialize)]
    #[serde(default, rename_all = "camelCase")]
    struct Options {
        expires_in: Option<u64>,
    }
    fn login(peer: Peer, Args(options): Args<Option<Options>>) -> Result {
        let seconds = options.and_then(|options| options.expires_in);
        peer.set_auth_token(json!({ "username": "alice" }), seconds.map(Duration::from_secs))
    }
    fn login2(peer: Peer) -> Result<&'static str> {
        peer.set_auth_token(json!({ "username": "bob", "channels": ["a"] }), None).map(|()| "ok")
    }
    App::new().action("login", login).action("login2", login2).action("logout", |peer: Peer| peer.remove_auth_token())
}

/// The recorded servers' key, at the time of the recording.
fn common() -> Common {
    let key = Key::secret(None, Algorithm::HS256, b"test-auth-key-not-secret");
    let authority = Authority::with(vec![key], &AuthSettings::default()).at(|| 1_795_171_700.0);
    Common { authority: Arc::new(authority), ..super::common() }
}

#[test]
fn the_recorded_clients_get_the_recorded_answers() {
    for (transcript, pong, steps_min) in [(V2, "", 8), (V1, "#2", 7), (V0, "2", 7)] {
        let recording = Recording::new(transcript, pong);
        let mut line = Line::shaken_with(app(), common());
        assert!(line.say(pong).is_empty(), "a heartbeat's answer tells the dialect");
        let mut steps = 0;
        for note in STEPS {
            let (ours, theirs) = recording.replay(&mut line, 1, note);
            steps += usize::from(!ours.is_empty());
            assert_eq!(ours, theirs, "{pong:?}: {note}");
        }
        assert!(steps >= steps_min, "{pong:?}: {steps} steps were replayed");
    }
}

#[test]
fn the_recorded_handshakes_are_answered_as_recorded() {
    for (transcript, pong) in [(V2, ""), (V1, "#2")] {
        let recording = Recording::new(transcript, pong);
        let notes =
            ["valid token", "token signed by wrong key", "expired token", "not-yet-active token", "malformed token"];
        for (connection, note) in (2..).zip(notes) {
            let mut line = Line::open_with(app(), recording.path, common());
            let note = format!("handshake with {note}");
            let hello = recording.said("c2s", connection, &note).into_iter().next().expect("a handshake");
            let mut ours = comparable(&line.say(&hello));
            let mut theirs = comparable(&recording.said("s2c", connection, &note));
            // The end of the conversation is another matter.
            theirs.retain(|packet| packet["event"] != "#disconnect");
            if recording.is_late {
                ours.sort_by_key(Value::to_string);
                theirs.sort_by_key(Value::to_string);
            }
            assert_eq!(ours, theirs, "{pong:?}: {note}");
        }
    }
}
