//! A41, A43 to A45: what other pages could do in a visitor's name.

use std::io;

use super::super::case::{Case, Door, Seen, Wanted};
use super::super::socket::Socket;
use super::super::stage::Stage;

/// Origins of other pages, given the server's own host.
const ORIGINS: &[(&str, &str)] = &[
    ("another host", "http://evil.example"),
    ("null", "null"),
    ("our host as a part of theirs", "http://{host}.evil.example"),
    ("our host behind theirs", "http://evil.example/{host}"),
    ("our host as a user of theirs", "http://{host}@evil.example"),
    ("our host with another port", "http://{name}:1"),
];

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (input, origin) in ORIGINS {
        for (door, word) in [(Door::Echo, "WebSocket"), (Door::SocketCluster, "SocketCluster")] {
            let input = format!("{input}, by {word}");
            cases.push(Case::new("A41", input, door, Wanted::Status(&[403]), move |stage| {
                let path = if door == Door::Echo { stage.echo_path() } else { stage.socketcluster_path() };
                let seen = Socket::open(stage, path, &[("Origin", &their(stage, origin))])?;
                Ok(seen.map_or_else(|seen| seen, |_| Seen::Served))
            }));
        }
        let asks = [(Door::Polling, "long-polling"), (Door::Api, "HTTP")];
        cases.extend(asks.map(|(door, word)| {
            Case::new("A41", format!("{input}, by {word}"), door, Wanted::Status(&[403]), move |stage| {
                let target = if door == Door::Api { stage.api_path().to_owned() } else { stage.polling("&EIO=4") };
                asked(stage, "GET", &target, &format!("Origin: {}\r\n", their(stage, origin)))
            })
        }));
    }
    let sites = [
        ("a picture of another site", "GET", "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\n"),
        ("a page of a sister site", "GET", "Sec-Fetch-Site: same-site\r\nSec-Fetch-Mode: cors\r\n"),
        (
            "a form of another site",
            "POST",
            "Sec-Fetch-Site: cross-site\r\nContent-Type: application/x-www-form-urlencoded\r\n",
        ),
        ("a form of another origin", "POST", "Origin: http://evil.example\r\nContent-Type: text/plain\r\n"),
    ];
    cases.extend(sites.map(|(input, method, headers)| {
        Case::new("A43", input, Door::Api, Wanted::Status(&[403]), move |stage| {
            asked(stage, method, stage.api_path(), headers)
        })
    }));
    let cookies = [
        ("a made-up one", "session=AAAAAAAAAAAAAAAAAAAAAA.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
        ("one without a signature", "session=AAAAAAAAAAAAAAAAAAAAAA"),
        ("an empty one", "session="),
        ("100 of the name", ""),
    ];
    cases.extend(cookies.map(|(input, cookie)| {
        Case::new("A44", input, Door::Http, Wanted::Served, move |stage| {
            let many = || Vec::from_iter((0..100).map(|index| format!("session=x{index}"))).join("; ");
            replaced(stage, &if cookie.is_empty() { many() } else { cookie.to_owned() })
        })
    }));
    cases.push(Case::new("A45", "its flags", Door::Http, Wanted::Served, |stage| {
        let Some(answer) = stage.get("/", "")? else { return Ok(Seen::Nothing) };
        Ok(match answer.header("set-cookie") {
            Some(cookie) if !(cookie.contains("; HttpOnly") && cookie.contains("; SameSite=")) => {
                Seen::Wrong(format!("a cookie without flags: {}", cookie.split('=').next().unwrap_or_default()))
            }
            _ => Seen::Served,
        })
    }));
    cases
}

fn their(stage: &Stage, origin: &str) -> String {
    let host = stage.host();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    origin.replace("{host}", host).replace("{name}", name)
}

fn asked(stage: &Stage, method: &str, target: &str, headers: &str) -> io::Result<Seen> {
    Ok(stage.request(method, target, headers, "")?.map_or(Seen::Nothing, |answer| answer.seen()))
}

/// Who comes with a cookie that the server did not make gets another one, and never what was sent.
fn replaced(stage: &Stage, cookie: &str) -> io::Result<Seen> {
    let Some(answer) = stage.get("/", &format!("Cookie: {cookie}\r\n"))? else { return Ok(Seen::Nothing) };
    let theirs = cookie.split_once('=').map_or("", |(_, value)| value);
    Ok(match answer.header("set-cookie") {
        Some(ours) if theirs.len() > 3 && ours.contains(theirs) => Seen::Wrong("kept a foreign cookie".to_owned()),
        // Servers without cookies set none to anybody.
        None if stage.get("/", "")?.is_some_and(|answer| answer.header("set-cookie").is_some()) => {
            Seen::Wrong("took a foreign cookie for its own".to_owned())
        }
        _ => Seen::Served,
    })
}
