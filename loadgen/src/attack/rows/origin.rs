//! A41, A43 to A45: what other pages could do in a visitor's name.

use std::collections::HashSet;
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
    cases.push(Case::new("A45", "its flags", Door::Cookie, Wanted::Served, flags));
    cases.push(Case::new("A45", "20 of them, and each once more", Door::Cookie, Wanted::Served, ids));
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

/// No script reads it, no other site's form brings it, no other host or path of ours gets it or may have set it.
fn flags(stage: &Stage) -> io::Result<Seen> {
    let Some(answer) = stage.get("/", "")? else { return Ok(Seen::Nothing) };
    let Some(cookie) = answer.header("set-cookie") else { return Ok(answer.seen()) };
    Ok(match wrong_with(cookie) {
        // Its value is nobody's business.
        Some(what) => Seen::Wrong(format!("{what}: {}", cookie.split('=').next().unwrap_or_default())),
        None => Seen::Served,
    })
}

/// What is wrong with a cookie that came by plain HTTP.
fn wrong_with(cookie: &str) -> Option<&'static str> {
    let mut parts = cookie.split(';').map(str::trim);
    let name = parts.next().and_then(|pair| pair.split_once('=')).map_or("", |(name, _)| name);
    let attributes = Vec::from_iter(parts.map(str::to_ascii_lowercase));
    let has = |attribute: &str| attributes.iter().any(|known| known == attribute);
    if !has("httponly") {
        Some("scripts can read it")
    } else if !(has("samesite=lax") || has("samesite=strict")) {
        Some("other sites' forms bring it")
    } else if attributes.iter().any(|known| known.starts_with("domain=")) {
        Some("other hosts have it")
    } else if !has("path=/") {
        Some("it is not everywhere")
    } else if name.starts_with("__") && !has("secure") {
        Some("no browser takes it")
    } else {
        None
    }
}

/// Nobody is given another's, and who brings one keeps it.
fn ids(stage: &Stage) -> io::Result<Seen> {
    let mut given = HashSet::new();
    for _ in 0..20 {
        let Some(answer) = stage.get("/", "")? else { return Ok(Seen::Nothing) };
        let Some(cookie) = answer.header("set-cookie") else { return Ok(answer.seen()) };
        let pair = cookie.split(';').next().unwrap_or_default().to_owned();
        let Some(again) = stage.get("/", &format!("Cookie: {pair}\r\n"))? else { return Ok(Seen::Nothing) };
        if again.header("set-cookie").is_some() {
            return Ok(Seen::Wrong("its own cookie was replaced".to_owned()));
        }
        if !given.insert(pair) {
            return Ok(Seen::Wrong("the same cookie was given to two".to_owned()));
        }
    }
    Ok(Seen::Served)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_judged_by_all_that_it_says() {
        assert_eq!(wrong_with("session=a.b; Path=/; Max-Age=9; HttpOnly; SameSite=Lax"), None);
        for cookie in [
            "session=a.b; Path=/; SameSite=Lax",
            "session=a.b; Path=/; HttpOnly",
            "session=a.b; Path=/; HttpOnly; SameSite=None; Secure",
            "session=a.b; Path=/; HttpOnly; SameSite=Lax; Domain=example.com",
            "session=a.b; Path=/x; HttpOnly; SameSite=Lax",
            "__Host-session=a.b; Path=/; HttpOnly; SameSite=Lax",
            "session=HttpOnly; SameSite=Lax; Path=/",
        ] {
            assert!(wrong_with(cookie).is_some(), "{cookie}");
        }
    }
}
