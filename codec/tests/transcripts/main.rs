//! Replays recorded conversations between reference clients and servers through both directions of the codec. Every
//! text message is decoded and compared with what serde_json makes of it, then written again by our encoders and
//! compared byte for byte. All counts are asserted, so that nothing is skipped unseen.

mod from_clients;
mod from_servers;

use std::collections::BTreeMap;

use serde_json::Value;

const V0: &str = include_str!("../../../tests/data/transcripts/sc-v0-server1.0.2-client2.4.1.jsonl");
const V1: &str = include_str!("../../../tests/data/transcripts/sc-v1-server14-client14.jsonl");
const V2: &str = include_str!("../../../tests/data/transcripts/sc-v2-server20-client20.jsonl");

/// The text messages of one direction.
fn texts(transcript: &str, direction: &str) -> Vec<String> {
    texts_of_steps(transcript, direction, |_| true)
}

/// Those of steps whose note passes: a step that begins with `raw` is not a reference client's.
fn texts_of_steps(transcript: &str, direction: &str, is_wanted: impl Fn(&str) -> bool) -> Vec<String> {
    let lines = transcript.lines().map(|line| serde_json::from_str::<Value>(line).expect("one object per line"));
    let texts = lines.filter(|line| line["dir"] == direction && line["t"] == "text");
    let texts = texts.filter(|line| is_wanted(line["note"].as_str().expect("every line has a note")));
    texts.map(|line| line["data"].as_str().expect("text has data").to_owned()).collect()
}

/// How often something was seen.
type Counts = BTreeMap<&'static str, usize>;

/// Counts with a name each, in any order.
fn counts(expected: &[(&'static str, usize)]) -> Counts {
    expected.iter().copied().collect()
}

#[test]
fn the_transcripts_are_whole() {
    for (transcript, from_client, from_server) in [(V0, 136, 117), (V1, 138, 120), (V2, 139, 126)] {
        assert_eq!(texts(transcript, "c2s").len(), from_client);
        assert_eq!(texts(transcript, "s2c").len(), from_server);
    }
}
