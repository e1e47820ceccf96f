//! A47: tokens that nobody signed.

use std::io;

use codec::base64;
use serde_json::{Value, json};

use super::super::case::{Case, Door, Seen, Wanted};
use super::super::member::Member;
use super::super::stage::Stage;

pub(super) fn cases() -> Vec<Case> {
    let claims = json!({ "user_id": "admin", "exp": 4_102_444_800_u64 });
    let signed = |header: Value| format!("{}.{}.{}", encode(&header), encode(&claims), "A".repeat(43));
    let tokens = [
        ("no algorithm", format!("{}.{}.", encode(&json!({ "alg": "none" })), encode(&claims))),
        ("None, in another case", format!("{}.{}.", encode(&json!({ "alg": "nOnE" })), encode(&claims))),
        ("a signature of nobody's", signed(json!({ "alg": "HS256" }))),
        ("an algorithm of nobody's", signed(json!({ "alg": "HS1" }))),
        ("another kind of key", signed(json!({ "alg": "RS256" }))),
        ("a key that is a path", signed(json!({ "alg": "HS256", "kid": "../../../../dev/null" }))),
        ("a key that is a query", signed(json!({ "alg": "HS256", "kid": "x' UNION SELECT 'secret" }))),
        ("a key from elsewhere", signed(json!({ "alg": "RS256", "jku": "http://127.0.0.1:9/keys" }))),
        ("a certificate from elsewhere", signed(json!({ "alg": "RS256", "x5u": "http://127.0.0.1:9/cert" }))),
        (
            "a key in the token",
            signed(json!({ "alg": "ES256", "jwk": { "kty": "EC", "crv": "P-256", "x": "", "y": "" } })),
        ),
        ("a condition of nobody's", signed(json!({ "alg": "HS256", "crit": ["exp"], "exp": 1 }))),
        (
            "an encrypted one that is compressed",
            format!("{}.a.b.c.d", encode(&json!({ "alg": "dir", "enc": "A128GCM", "zip": "DEF" }))),
        ),
        ("100 kB", format!("{}.{}.x", encode(&json!({ "alg": "HS256" })), "A".repeat(100_000))),
        ("a text without dots", "admin".to_owned()),
        ("dots", "..".to_owned()),
        ("bytes that are no base64", "\u{ff}.\u{ff}.\u{ff}".to_owned()),
        ("nothing", String::new()),
    ];
    let mut cases = Vec::new();
    for (input, token) in tokens {
        let shown = token.clone();
        cases.push(Case::new("A47", input, Door::SocketCluster, Wanted::Error, move |stage| {
            authenticate(stage, &shown)
        }));
        let input = format!("{input}, in the handshake");
        cases.push(Case::new("A47", input, Door::SocketCluster, Wanted::Error, move |stage| handshake(stage, &token)));
    }
    cases.push(Case::new("A47", "a token that is no text", Door::SocketCluster, Wanted::Error, |stage| {
        let mut member = Member::open(stage)?;
        let reply = member.call("#authenticate", &json!({ "user_id": "admin" }))?;
        judged(&mut member, reply)
    }));
    cases
}

fn authenticate(stage: &Stage, token: &str) -> io::Result<Seen> {
    let mut member = Member::open(stage)?;
    let reply = member.call("#authenticate", &json!(token))?;
    judged(&mut member, reply)
}

fn handshake(stage: &Stage, token: &str) -> io::Result<Seen> {
    let mut member = Member::before_handshake(stage)?;
    let reply = member.call("#handshake", &json!({ "authToken": token }))?;
    judged(&mut member, reply)
}

/// Whatever the answer says, nobody may have become anybody.
fn judged(member: &mut Member, reply: Result<Value, Seen>) -> io::Result<Seen> {
    let seen = match reply {
        Ok(data) if data["isAuthenticated"] == true => return Ok(Seen::Wrong("let in".to_owned())),
        Ok(data) => Seen::Refused(data["authError"]["name"].as_str().unwrap_or("not authenticated").to_owned()),
        Err(seen @ Seen::Refused(_)) => seen,
        Err(seen) => return Ok(seen),
    };
    Ok(match member.served()? {
        Seen::Served => seen,
        other => other,
    })
}

/// JSON in base64url, without padding.
fn encode(value: &Value) -> String {
    let mut text = Vec::new();
    base64::encode(&mut text, value.to_string().as_bytes());
    let text = String::from_utf8(text).expect("base64 is ASCII");
    text.trim_end_matches('=').replace('+', "-").replace('/', "_")
}
