//! Tokens: what the reference servers signed, every algorithm, what an attacker would send, keys that change, times to
//! the second.

use std::path::PathBuf;
use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use shard::TokenError;

use super::authority::{Authority, SignError};
use super::key::{Key, KeyError};
use crate::config::{AuthSettings, KeyFile, Secret};

/// The key of the recorded conversations.
const RECORDED_KEY: &[u8] = b"test-auth-key-not-secret";
const RECORDED_V2: &str = include_str!("../../../tests/data/transcripts/sc-v2-server20-client20.jsonl");
const RECORDED_V0: &str = include_str!("../../../tests/data/transcripts/sc-v0-server1.0.2-client2.4.1.jsonl");

const NOW: f64 = 1_800_000_000.0;

const PAIRS: [(&str, &str, Algorithm); 4] = [
    (
        include_str!("../../../tests/data/keys/rsa.pem"),
        include_str!("../../../tests/data/keys/rsa.pub.pem"),
        Algorithm::RS256,
    ),
    (
        include_str!("../../../tests/data/keys/ec.pem"),
        include_str!("../../../tests/data/keys/ec.pub.pem"),
        Algorithm::ES256,
    ),
    (
        include_str!("../../../tests/data/keys/ec384.pem"),
        include_str!("../../../tests/data/keys/ec384.pub.pem"),
        Algorithm::ES384,
    ),
    (
        include_str!("../../../tests/data/keys/ed.pem"),
        include_str!("../../../tests/data/keys/ed.pub.pem"),
        Algorithm::EdDSA,
    ),
];

fn authority(keys: Vec<Key>) -> Authority {
    Authority::with(keys, &AuthSettings::default())
}

fn secret(bytes: &[u8]) -> Key {
    Key::secret(None, Algorithm::HS256, bytes)
}

fn claims(value: Value) -> Map<String, Value> {
    let Value::Object(claims) = value else { panic!("{value} is no object") };
    claims
}

/// Signs any text at all as claims, as no honest server would.
fn forge(header: &Header, claims: &str, key: &[u8]) -> String {
    let claims = RawValue::from_string(claims.to_owned()).expect("it is JSON");
    encode(header, &claims, &EncodingKey::from_secret(key)).expect("it can be signed")
}

fn hs256(claims: &str) -> String {
    forge(&Header::default(), claims, b"key")
}

fn verdict(authority: &Authority, token: &str) -> Result<Option<Duration>, TokenError> {
    authority.verify_at(token, NOW).map(|verified| verified.lifetime)
}

/// The first recorded token after a note.
fn recorded(transcript: &str, note: &str) -> String {
    let line = transcript.lines().find(|line| line.contains(note) && line.contains("eyJ")).expect("it was recorded");
    let start = line.find("eyJ").expect("a token begins so");
    line[start..].split(['\\', '"']).next().expect("a split has a first part").to_owned()
}

#[test]
fn tokens_of_the_reference_servers_are_good_here() {
    let authority = authority(vec![secret(RECORDED_KEY)]);
    for (transcript, note, user) in [
        (RECORDED_V2, "server sets auth token (transmit form)", "alice"),
        (RECORDED_V2, "client authenticates with good token", "bob"),
        (RECORDED_V2, "handshake with valid token", "carol"),
        (RECORDED_V0, "server sets auth token (ack wanted)", "bob"),
    ] {
        let token = recorded(transcript, note);
        let issued = 1_795_171_780.0;
        let verified = authority.verify_at(&token, issued).unwrap_or_else(|error| panic!("{note}: {error:?}"));
        let claims: Value = serde_json::from_str(&verified.claims).expect("claims are JSON");
        assert_eq!(claims["username"], user);
        assert!(verified.lifetime.is_some());
    }
    let wrong = recorded(RECORDED_V2, "handshake with token signed by wrong key");
    assert_eq!(authority.verify_at(&wrong, 1_795_171_550.0), Err(TokenError::Signature));
}

#[test]
fn every_algorithm_signs_what_it_verifies_and_public_keys_only_verify() {
    for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
        let own = authority(vec![Key::secret(None, algorithm, b"a secret of 32 bytes, or nearly.")]);
        let signed = own.sign_at(claims(json!({"a": 1})), None, NOW).expect("it signs");
        assert_eq!(own.verify_at(&signed.token, NOW), Ok(signed.verified));
    }
    for (private, public, algorithm) in PAIRS {
        let own = authority(vec![Key::pem(None, None, private).expect("a private key")]);
        let signed = own.sign_at(claims(json!({"a": [1, null]})), None, NOW).expect("it signs");
        let other = authority(vec![Key::pem(None, None, public).expect("a public key")]);
        for authority in [&own, &other] {
            assert_eq!(authority.verify_at(&signed.token, NOW).as_ref(), Ok(&signed.verified), "{algorithm:?}");
        }
        assert!(matches!(other.sign_at(Map::new(), None, NOW), Err(SignError::NoKey)), "{algorithm:?}");
        let header = jsonwebtoken::decode_header(&*signed.token).expect("a header");
        assert_eq!(header.alg, algorithm);
    }
}

#[test]
fn a_token_cannot_choose_how_it_is_verified() {
    let (private, public, _) = PAIRS[0];
    let rsa = authority(vec![Key::pem(None, None, public).expect("a public key")]);
    // The public key, which everybody has, taken for a secret.
    let confused = forge(&Header::new(Algorithm::HS256), r#"{"admin":true}"#, public.as_bytes());
    assert_eq!(verdict(&rsa, &confused), Err(TokenError::Algorithm));
    // An algorithm of the same kind of key that this key is not for.
    let key = EncodingKey::from_rsa_pem(private.as_bytes()).expect("a private key");
    let other = encode(&Header::new(Algorithm::RS512), &json!({}), &key).expect("it can be signed");
    assert_eq!(verdict(&rsa, &other), Err(TokenError::Algorithm));
    let hs = authority(vec![secret(b"key")]);
    assert_eq!(verdict(&hs, &forge(&Header::new(Algorithm::HS512), "{}", b"key")), Err(TokenError::Algorithm));
    // {"alg":"none"} and {"alg":"None","typ":"JWT"}, signed by nobody.
    for token in ["eyJhbGciOiJub25lIn0.e30.", "eyJhbGciOiJOb25lIiwidHlwIjoiSldUIn0.e30.", "eyJhbGciOiJub25lIn0.e30.AA"]
    {
        assert_eq!(verdict(&hs, token), Err(TokenError::Undecodable), "{token}");
    }
    let unsigned = hs256("{}");
    let (message, _) = unsigned.rsplit_once('.').expect("three parts");
    assert_eq!(verdict(&hs, &format!("{message}.")), Err(TokenError::Signature));
    let critical = Header { crit: Some(vec!["exp".to_owned()]), ..Header::default() };
    assert_eq!(verdict(&hs, &forge(&critical, "{}", b"key")), Err(TokenError::Undecodable));
}

#[test]
fn what_is_no_token_is_told_as_the_reference_tells_it() {
    let authority = authority(vec![secret(b"key")]);
    let good = hs256("{}");
    assert_eq!(verdict(&authority, &good), Ok(None));
    let long = "a".repeat(8_193);
    for (token, error) in [
        ("", TokenError::Missing),
        ("abc", TokenError::Malformed),
        ("a.b", TokenError::Malformed),
        ("a.b.c.d", TokenError::Malformed),
        ("abc.def.ghi", TokenError::Undecodable),
        ("..", TokenError::Undecodable),
        (long.as_str(), TokenError::TooLong),
        (&good[..good.len() - 1], TokenError::Signature),
        (&good.replacen("e30", "e31", 1), TokenError::Signature),
        (&format!("{good}="), TokenError::Undecodable),
    ] {
        let seen = verdict(&authority, token);
        // A signature that is no base64 is as wrong as another.
        let same = seen == Err(error) || (error == TokenError::Signature && seen == Err(TokenError::Undecodable));
        assert!(same, "{token}: {seen:?}");
    }
    for claims in ["[]", "1", "\"text\"", "null"] {
        assert_eq!(verdict(&authority, &hs256(claims)), Err(TokenError::Undecodable), "{claims}");
    }
}

#[test]
fn times_are_kept_to_the_moment() {
    let authority = authority(vec![secret(b"key")]);
    let seconds = |seconds| Ok(Some(Duration::from_secs(seconds)));
    let (now_ms, after_ms) = (1_800_000_000_000, 1_800_000_001_000);
    for (claims, expected) in [
        (r#"{"exp":1800000001}"#, seconds(1)),
        (r#"{"exp":1800000000.5}"#, Ok(Some(Duration::from_millis(500)))),
        (r#"{"exp":1800000000}"#, Err(TokenError::Expired { expiry_ms: now_ms })),
        (r#"{"exp":-1}"#, Err(TokenError::Expired { expiry_ms: -1_000 })),
        (r#"{"exp":1e300}"#, Ok(None)),
        (r#"{"exp":"1800000001"}"#, Err(TokenError::ExpiryMalformed)),
        (r#"{"exp":null}"#, Ok(None)),
        (r#"{"nbf":1800000000,"exp":1800000060}"#, seconds(60)),
        (r#"{"nbf":1800000001,"exp":1800000060}"#, Err(TokenError::NotActive { date_ms: after_ms })),
        (r#"{"nbf":1800000001,"exp":1}"#, Err(TokenError::NotActive { date_ms: after_ms })),
        (r#"{"nbf":[]}"#, Err(TokenError::NotBeforeMalformed)),
        (r#"{"iat":9999999999}"#, Ok(None)),
        (r#"{"exp":1,"exp":1800000001}"#, Err(TokenError::Undecodable)),
    ] {
        assert_eq!(verdict(&authority, &hs256(claims)), expected, "{claims}");
    }
}

#[test]
fn a_signed_token_says_when_it_was_made_and_when_it_ends() {
    let authority = authority(vec![secret(b"key")]);
    let ends = |claims: Value, lifetime| {
        let signed = authority.sign_at(self::claims(claims), lifetime, NOW + 0.75).expect("it signs");
        let claims: Value = serde_json::from_str(&signed.verified.claims).expect("claims are JSON");
        (claims["iat"].as_u64(), claims["exp"].as_u64(), signed.verified.lifetime)
    };
    let millis = |millis| Some(Duration::from_millis(millis));
    assert_eq!(ends(json!({}), None), (Some(1_800_000_000), Some(1_800_086_400), millis(86_399_250)));
    assert_eq!(ends(json!({}), millis(60_000)), (Some(1_800_000_000), Some(1_800_000_060), millis(59_250)));
    assert_eq!(ends(json!({}), millis(1)), (Some(1_800_000_000), Some(1_800_000_001), millis(250)));
    let own = json!({"exp": 1_800_000_010, "iat": 5});
    assert_eq!(ends(own, millis(60_000)), (Some(5), Some(1_800_000_010), millis(9_250)));
    assert_eq!(ends(json!({"exp": 7}), None), (Some(1_800_000_000), Some(7), millis(0)), "good for nobody");
    let wrong = authority.sign_at(claims(json!({"exp": "soon"})), None, NOW);
    assert!(matches!(wrong, Err(SignError::Claims)));
    let long = authority.sign_at(claims(json!({"a": "b".repeat(9_000)})), None, NOW);
    assert!(matches!(long, Err(SignError::TooLong)));
}

#[test]
fn a_key_is_replaced_without_ending_the_logins_of_the_old_one() {
    let key = |name: &str, bytes| Key::secret(Some(name.to_owned()), Algorithm::HS256, bytes);
    let before = authority(vec![key("old", b"one")]);
    let between = authority(vec![key("new", b"two"), key("old", b"one")]);
    let after = authority(vec![key("new", b"two")]);
    let sign = |authority: &Authority| authority.sign_at(Map::new(), None, NOW).expect("it signs").token;
    let (old, new) = (sign(&before), sign(&between));
    assert!(verdict(&between, &old).is_ok() && verdict(&between, &new).is_ok() && verdict(&after, &new).is_ok());
    assert_eq!(verdict(&after, &old), Err(TokenError::Signature));
    assert_eq!(verdict(&before, &new), Err(TokenError::Signature));
    let header = jsonwebtoken::decode_header(&*new).expect("a header");
    assert_eq!(header.kid.as_deref(), Some("new"));
    // A token that does not name its key is tried with all; one that names another key is not.
    assert!(verdict(&between, &forge(&Header::default(), "{}", b"one")).is_ok());
    let misnamed = Header { kid: Some("new".to_owned()), ..Header::default() };
    assert_eq!(verdict(&between, &forge(&misnamed, "{}", b"one")), Err(TokenError::Signature));
    // A public key of another service beside our own secret.
    let mixed = authority(vec![Key::pem(None, None, PAIRS[3].1).expect("a key"), secret(b"own")]);
    assert!(verdict(&mixed, &sign(&mixed)).is_ok(), "the first that can sign does");
}

#[test]
fn no_key_of_a_start_is_known_to_the_next() {
    let start = || authority(vec![Key::random().expect("there is randomness")]);
    let (one, two) = (start(), start());
    let token = one.sign_at(Map::new(), None, NOW).expect("it signs").token;
    assert!(verdict(&one, &token).is_ok());
    assert_eq!(verdict(&two, &token), Err(TokenError::Signature));
}

fn file(name: &str, algorithm: Option<Algorithm>) -> KeyFile {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/data/keys").join(name);
    KeyFile { algorithm, ..KeyFile::new(path) }
}

fn load(file: KeyFile) -> Result<Vec<Key>, KeyError> {
    Key::load(&AuthSettings { key_files: vec![file], ..AuthSettings::default() })
}

#[test]
fn key_files_are_read_by_what_is_in_them_and_never_taken_for_another_kind() {
    for (name, algorithm) in
        [("rsa.pem", Algorithm::RS256), ("ec.pub.pem", Algorithm::ES256), ("ed.pem", Algorithm::EdDSA)]
    {
        let keys = load(file(name, None)).expect("a key");
        assert_eq!(keys[0].algorithm, algorithm, "{name}");
    }
    assert_eq!(load(file("rsa.pem", Some(Algorithm::RS512))).expect("a key")[0].algorithm, Algorithm::RS512);
    for (name, algorithm) in [
        ("rsa.pub.pem", Algorithm::HS256),
        ("ec.pem", Algorithm::RS256),
        ("ec.pub.pem", Algorithm::ES384),
        ("ec384.pem", Algorithm::ES256),
        ("ed.pub.pem", Algorithm::ES256),
        ("README.md", Algorithm::RS256),
    ] {
        let error = load(file(name, Some(algorithm))).expect_err(name);
        assert!(matches!(error, KeyError::Unfit { .. }), "{name}: {error}");
        assert!(error.to_string().contains(name), "{error}");
    }
    let missing = load(file("nowhere.pem", None)).expect_err("it is not there");
    assert!(matches!(missing, KeyError::Unreadable { .. }), "{missing}");
}

#[test]
fn nothing_shows_a_key() {
    let settings = AuthSettings { key: Some(Secret::new("open sesame")), ..AuthSettings::default() };
    let keys = Key::load(&settings).expect("a secret");
    assert!(!format!("{settings:?} {keys:?}").contains("sesame"));
    assert!(verdict(&authority(keys), &forge(&Header::default(), "{}", b"open sesame")).is_ok());
}
