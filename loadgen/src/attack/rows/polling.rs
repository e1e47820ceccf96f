//! A46: long-polling under another's, or nobody's, session.

use std::io;

use super::super::case::{Case, Door, Seen, Wanted};
use super::super::stage::Stage;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        asked("an id of nobody's", "&EIO=4&sid=AAAAAAAAAAAAAAAAAAAAAA"),
        asked("an empty id", "&EIO=4&sid="),
        asked("an id of 5,000 bytes", "&EIO=4&sid={long}"),
        asked("an id with a path", "&EIO=4&sid=..%2f..%2fetc"),
        asked("a version of nobody's", "&EIO=99"),
        posted("a payload that is none", "\u{1e}\u{1e}9garbage"),
        posted("10,000 packets", &"4x\u{1e}".repeat(10_000)),
    ];
    cases.push(Case::new(
        "A46",
        "two requests at a time for one session",
        Door::Polling,
        Wanted::Status(&[400]),
        |stage| {
            let Some(sid) = session(stage)? else { return Ok(Seen::Wrong("no session".to_owned())) };
            let target = stage.polling(&format!("&EIO=4&sid={sid}"));
            // The first takes what there is to tell, if there is; then one waits, and the next is one too many.
            let request = format!("GET {target} HTTP/1.1\r\nHost: {}\r\n\r\n", stage.host());
            let mut waiting = Vec::new();
            for _ in 0..3 {
                let mut wire = stage.connect()?;
                wire.send(request.as_bytes())?;
                waiting.push(wire);
                wait_a_moment();
            }
            let mut worst = Seen::Nothing;
            for mut wire in waiting {
                if let Ok(answer) = wire.answer()?
                    && answer.status >= 400
                {
                    worst = answer.seen();
                }
            }
            Ok(worst)
        },
    ));
    cases
}

/// Requests on different connections have no order but that of time.
fn wait_a_moment() {
    std::thread::sleep(std::time::Duration::from_millis(100));
}

/// A GET that names no session of ours.
fn asked(input: &str, query: &'static str) -> Case {
    Case::new("A46", input, Door::Polling, Wanted::Status(&[400]), move |stage| {
        let target = stage.polling(&query.replace("{long}", &"a".repeat(5_000)));
        Ok(stage.get(&target, "")?.map_or(Seen::Nothing, |answer| answer.seen()))
    })
}

/// A POST to a session of its own: it may end that, and nothing else.
fn posted(input: &str, body: &str) -> Case {
    let body = body.to_owned();
    Case::new("A46", input, Door::Polling, Wanted::Status(&[200, 400, 413]), move |stage| {
        let Some(sid) = session(stage)? else { return Ok(Seen::Wrong("no session".to_owned())) };
        let target = stage.polling(&format!("&EIO=4&sid={sid}"));
        let headers = "Content-Type: text/plain; charset=UTF-8\r\n";
        Ok(stage.request("POST", &target, headers, &body)?.map_or(Seen::Nothing, |answer| answer.seen()))
    })
}

/// Opens a session by long-polling; its id.
fn session(stage: &Stage) -> io::Result<Option<String>> {
    let answer = stage.get(&stage.polling("&EIO=4"), "")?;
    let open = answer.filter(|answer| answer.status == 200);
    Ok(open.and_then(|answer| {
        let value: serde_json::Value = serde_json::from_slice(answer.body.get(1..)?).ok()?;
        Some(value["sid"].as_str()?.to_owned())
    }))
}
