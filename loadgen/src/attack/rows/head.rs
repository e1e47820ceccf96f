//! A5, A6, A12 to A14, A50, A55 and A64: heads of requests.

use std::io;

use super::super::case::{Case, Door, Seen, Wanted};
use super::super::stage::Stage;
use super::{PATH, get, refused, sent, upgrade};

pub(super) fn cases() -> Vec<Case> {
    let megabyte = "a".repeat(1 << 20);
    let lines = |count: usize| (0..count).map(|index| format!("X-{index}: 1\r\n")).collect::<String>();
    let mut cases = vec![
        refused("A5", "10,000 headers", format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", lines(10_000)), &[431]),
        refused("A5", "101 headers", format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", lines(100)), &[431]),
        refused("A5", "a header of 1 MiB", get(&format!("X: {megabyte}")), &[431]),
        refused("A5", "a name of 1 MiB", get(&format!("{megabyte}: 1")), &[431]),
        Case::new("A6", "15,000 blanks in a list, 50 times", Door::Echo, Wanted::Answer, blanks),
        refused("A12", "a target of 1 MiB", format!("GET /{megabyte} HTTP/1.1\r\nHost: x\r\n\r\n"), &[414]),
        refused("A12", "1 MiB without a blank", megabyte, &[400, 414]),
    ];
    let target = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n");
    cases.extend(
        [
            ("an absolute target", "http://x/"),
            ("a target that is an authority", "x:80"),
            ("an asterisk", "*"),
            ("a target without a slash", "x"),
            ("a fragment", "/#x"),
            ("a target that is not ASCII", "/\u{e9}"),
        ]
        .map(|(input, text)| refused("A12", input, target(text), &[400])),
    );
    cases.extend(
        [
            ("a NUL, encoded", "/%00"),
            ("two dots", "/../../../../../../etc/passwd"),
            ("two dots, encoded", "/..%2f..%2f..%2f..%2f..%2fetc%2fpasswd"),
            ("two dots, encoded twice", "/..%252f..%252f..%252f..%252fetc%252fpasswd"),
            ("two dots in long UTF-8", "/%c0%ae%c0%ae/%c0%ae%c0%ae/%c0%ae%c0%ae/etc/passwd"),
            ("two dots with backslashes", "/..\\..\\..\\..\\etc\\passwd"),
            ("two slashes", "//etc/passwd"),
            ("half of an escape", "/%2"),
        ]
        .map(|(input, text)| sent("A12", input, last(text), Wanted::Status(&[400, 403, 404]))),
    );
    cases.extend(hosts());
    cases.extend([
        refused("A14", "an escape for a terminal in a header", get("X: \u{1b}[31m"), &[400]),
        refused("A14", "an escape for a terminal in the target", target("/\u{1b}[31m"), &[400]),
        refused("A14", "a line feed in a header", get("X: 1\n2026-01-01 INFO forged"), &[400]),
        refused("A14", "a NUL in a header", get("X: 1\u{0}2"), &[400]),
        refused("A55", "the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &[505]),
        refused("A55", "HTTP/2.0 in a request line", "GET / HTTP/2.0\r\nHost: x\r\n\r\n", &[505]),
        page_policy(),
    ]);
    cases.extend(scripts());
    let pages = ["/metrics", "/admin", "/admin/", "/console", "/debug", "/status", "/server-status"];
    cases.extend(pages.map(|page| sent("A50", page, last(page), Wanted::Status(&[401, 403, 404]))));
    cases
}

/// The only request of its connection, so that its end is the answer's.
fn last(target: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").into_bytes()
}

/// Each is answered, one after the other; what they cost is looked at where that can be.
fn blanks(stage: &Stage) -> io::Result<Seen> {
    let lines = format!("Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: a{}b", " ".repeat(15_000));
    let request = upgrade(&lines).replace(PATH, stage.echo_path());
    let mut seen = Seen::Nothing;
    for _ in 0..50 {
        let mut wire = stage.connect()?;
        wire.send(request.as_bytes())?;
        seen = match wire.answer()? {
            Ok(answer) => answer.seen(),
            Err(seen) => return Ok(seen),
        };
    }
    Ok(seen)
}

/// What is said of a page that is not there has nothing of what somebody else has written.
fn scripts() -> [Case; 2] {
    let targets = [("path", "/<script>alert(1)</script>"), ("query", "/nothing?<script>alert(1)</script>")];
    targets.map(|(place, target)| {
        let input = format!("a script in the {place}");
        Case::new("A64", input, Door::Http, Wanted::Refusal(&[400, 404]), move |stage| {
            let mut wire = stage.connect()?;
            wire.send(&last(target))?;
            let seen = wire.refusal(stage.patience())?;
            let is_told = wire.unread().windows(7).any(|window| window.eq_ignore_ascii_case(b"<script"));
            Ok(if is_told { Seen::Wrong("the page has it as it was sent".to_owned()) } else { seen })
        })
    })
}

fn hosts() -> impl Iterator<Item = Case> {
    let request = |lines: &str| format!("GET / HTTP/1.1\r\n{lines}\r\n\r\n");
    [
        ("no host", "X: 1"),
        ("two hosts", "Host: a\r\nHost: b"),
        ("the same host twice", "Host: a\r\nhost: a"),
        ("an empty host", "Host:"),
        ("a list of hosts", "Host: a, b"),
        ("a host with a path", "Host: a/b"),
        ("a host with a user", "Host: a@b"),
    ]
    .into_iter()
    .map(move |(input, lines)| refused("A13", input, request(lines), &[400]))
}

/// Where there is a page, it says that only its own scripts may run, and none that stand in it.
fn page_policy() -> Case {
    Case::new("A64", "the page at /", Door::Http, Wanted::Served, |stage| {
        let Some(answer) = stage.get("/", "")? else { return Ok(Seen::Nothing) };
        let is_page = answer.status == 200 && answer.header("content-type").is_some_and(|kind| kind.contains("html"));
        let policy = answer.header("content-security-policy").unwrap_or_default();
        let is_bound = is_bound(policy) && answer.header("x-content-type-options") == Some("nosniff");
        Ok(if is_page && !is_bound { Seen::Wrong(format!("the policy is {policy:?}")) } else { Seen::Served })
    })
}

/// Whether a policy lets run neither everybody's scripts nor those that somebody has written into the page.
fn is_bound(policy: &str) -> bool {
    let directives = || policy.split(';').map(str::trim);
    let of = |name: &str| directives().find_map(|directive| directive.strip_prefix(name)?.strip_prefix(' '));
    let open = ["*", "http:", "https:", "data:", "'unsafe-inline'", "'unsafe-eval'"];
    of("script-src")
        .or_else(|| of("default-src"))
        .is_some_and(|sources| !sources.split(' ').any(|source| open.contains(&source)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_that_lets_in_everybody_is_none() {
        for good in ["default-src 'none'", "script-src 'self'; style-src *", "default-src *; script-src 'self'"] {
            assert!(is_bound(good), "{good}");
        }
        for bad in ["", "style-src 'self'", "default-src *", "script-src 'self' 'unsafe-inline'", "script-src https:"] {
            assert!(!is_bound(bad), "{bad}");
        }
    }
}
