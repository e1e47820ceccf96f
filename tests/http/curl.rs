//! Runs curl, bounded in time, and takes its answer apart.

use std::process::Command;

/// An answer as curl shows it.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The head, as it came.
    pub(crate) head: String,
    /// The body.
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn status(&self) -> u16 {
        self.head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status line")
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (known, value) = line.split_once(':')?;
            known.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }
}

/// curl with these arguments: the last answer that it got.
///
/// # Panics
/// When curl is not there or fails.
pub(crate) fn curl(arguments: &[&str]) -> Answer {
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--include", "--max-time", "20", "--noproxy", "*"])
        .args(arguments)
        .output()
        .expect("curl is installed");
    let text = String::from_utf8(output.stdout).expect("answers are text");
    assert!(output.status.success(), "curl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    let mut rest = &*text;
    loop {
        let (head, body) = rest.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head: {text:?}"));
        if !head.starts_with("HTTP/1.1 100") {
            return Answer { head: head.to_owned(), body: body.to_owned() };
        }
        rest = body;
    }
}
