//! The rules that one Rust file can break by itself, each a function from a file to findings. Each is shown to fail on
//! a bad snippet below: a rule that cannot fail holds nothing.

use std::fmt;

use crate::source::{Source, body_or_end, closing, words};

/// One broken rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    path: String,
    line: usize,
    message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}: {}", self.path, self.line, self.message)
    }
}

/// A finding in `path`.
pub(crate) fn finding(path: &str, line: usize, message: impl Into<String>) -> Finding {
    Finding { path: path.to_owned(), line, message: message.into() }
}

/// Every file says first what it is; only the line that allows unsafe may come before.
pub(crate) fn header(source: &Source) -> Vec<Finding> {
    let text = match source.text.split_once('\n') {
        Some((first, rest)) if first.starts_with("#![allow(unsafe_code)]") => rest,
        _ => source.text.as_str(),
    };
    let says = text.strip_prefix("//! ").is_some_and(|rest| rest.lines().next().is_some_and(|line| line.len() > 5));
    if says { Vec::new() } else { vec![finding(&source.path, 1, "a file starts with `//!` and says what it is")] }
}

/// A file is one noun, not a chapter.
pub(crate) fn file_length(source: &Source) -> Vec<Finding> {
    let lines = source.text.lines().count();
    if lines <= FILE_LINES_MAX {
        return Vec::new();
    }
    vec![finding(&source.path, FILE_LINES_MAX + 1, format!("{lines} lines; at most {FILE_LINES_MAX}"))]
}

/// A function fits on a screen.
pub(crate) fn function_length(source: &Source) -> Vec<Finding> {
    let code = &source.code;
    let function = |at: usize| {
        let rest = code[at + 2..].trim_start();
        let name: String =
            rest.chars().take_while(|character| character.is_alphanumeric() || *character == '_').collect();
        let (open, b'{') = body_or_end(code, at)? else { return None };
        let lines = source.line(closing(code, open) - 1) - source.line(at) + 1;
        let is_long = !name.is_empty() && lines > FUNCTION_LINES_MAX;
        is_long.then(|| {
            finding(&source.path, source.line(at), format!("fn {name} has {lines} lines; at most {FUNCTION_LINES_MAX}"))
        })
    };
    words(code, "fn").filter_map(function).collect()
}

/// What cannot fail says why (`expect`), what can is handled; only tests may shrug.
pub(crate) fn unwraps(source: &Source) -> Vec<Finding> {
    outside_tests(source, &[".unwrap()"], "no unwrap() outside tests: expect(\"why this holds\")")
}

/// Nothing half-done.
pub(crate) fn leftovers(source: &Source) -> Vec<Finding> {
    let code = ["todo!", "unimplemented!", "dbg!"].into_iter().flat_map(|word| words(&source.code, word));
    let comments = [concat!("FIX", "ME"), concat!("TO", "DO"), concat!("XX", "X")];
    let comments = comments.into_iter().flat_map(|word| words(&source.comments, word));
    code.chain(comments).map(|at| finding(&source.path, source.line(at), "finish it or file it")).collect()
}

/// The state machine and the codec are functions of their input.
pub(crate) fn purity(source: &Source) -> Vec<Finding> {
    if !["shard/src/", "codec/src/"].iter().any(|folder| source.path.starts_with(folder)) {
        return Vec::new();
    }
    outside_tests(source, IMPURE, "no clock, randomness, I/O, thread or await in shard and codec")
}

/// The runtime has its rooms; the rest of the house does not know its name.
pub(crate) fn runtime_rooms(source: &Source) -> Vec<Finding> {
    if RUNTIME_ROOMS.iter().any(|room| source.path.starts_with(room)) {
        return Vec::new();
    }
    let found = ["glommio", "io_uring"].into_iter().flat_map(|name| words(&source.code, name));
    found
        .map(|at| finding(&source.path, source.line(at), format!("glommio and io_uring only in {RUNTIME_ROOMS:?}")))
        .collect()
}

/// The demo is built on what an author has.
pub(crate) fn demo_is_public(source: &Source) -> Vec<Finding> {
    if !["core/src/demo/", "core/examples/"].iter().any(|folder| source.path.starts_with(folder)) {
        return Vec::new();
    }
    let inner = ["crate::app", "crate::server", "crate::net", "crate::mesh", "crate::observe", "codec", "shard"];
    let at =
        |name: &'static str| words(&source.code, name).filter(|at| source.code[at + name.len()..].starts_with("::"));
    let found = inner.into_iter().flat_map(at).filter(|at| !source.is_test_at(*at));
    found
        .map(|at| finding(&source.path, source.line(at), "the demo and the examples use the public API only"))
        .collect()
}

/// `unsafe` stands only in `files`, each of which says so at its top, and every use says why it is sound.
pub(crate) fn unsafes(source: &Source, files: &[&str]) -> Vec<Finding> {
    let uses: Vec<_> = words(&source.code, "unsafe").collect();
    let allows = source.code.lines().take(HEAD_LINES).any(|line| line.contains("#![allow(unsafe_code)]"));
    let mut found = Vec::new();
    if !files.contains(&source.path.as_str()) {
        let place = uses.first().copied().or_else(|| source.code.find("allow(unsafe_code)"));
        found.extend(
            place.map(|at| finding(&source.path, source.line(at), "unsafe outside the files that tidy.rs lists")),
        );
        return found;
    }
    if !allows || uses.is_empty() {
        found.push(finding(&source.path, 1, "tidy.rs lists it for unsafe, which it does not allow or not use"));
    }
    let comments: Vec<_> = source.comments.lines().collect();
    for at in uses {
        let line = source.line(at);
        let rest = source.code[at + "unsafe".len()..].trim_start();
        let needs = rest.starts_with('{') || rest.starts_with("impl");
        let near = &comments[line.saturating_sub(SAFETY_LINES)..line];
        if needs && !near.iter().any(|comment| comment.contains("SAFETY:")) {
            found.push(finding(&source.path, line, "unsafe without a SAFETY comment right above it"));
        }
    }
    found
}

fn outside_tests(source: &Source, needles: &'static [&str], message: &str) -> Vec<Finding> {
    let found = needles.iter().flat_map(|needle| words(&source.code, needle)).filter(|at| !source.is_test_at(*at));
    found.map(|at| finding(&source.path, source.line(at), message)).collect()
}

const FILE_LINES_MAX: usize = 800;

const FUNCTION_LINES_MAX: usize = 70;

/// How far down the line that allows unsafe may stand: below the file's first paragraphs, above its code.
const HEAD_LINES: usize = 20;

/// How far above its block a SAFETY comment may begin: five lines of reasons, or blocks that share one.
const SAFETY_LINES: usize = 8;

const RUNTIME_ROOMS: &[&str] = &["core/src/server/", "core/src/net/", "core/src/mesh/", "loadgen/src/"];

/// Names of the standard library and of crates that bring the world in.
const IMPURE: &[&str] = &[
    "Instant",
    "SystemTime",
    "UNIX_EPOCH",
    "fastrand",
    "rand",
    "getrandom",
    "RandomState",
    ".await",
    "async",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "UnixStream",
    "std::fs",
    "std::process",
    "std::thread",
    "std::env",
    "libc",
    "socket2",
    "println!",
    "eprintln!",
    "thread_local!",
];

#[cfg(test)]
mod tests {
    use super::*;

    /// What `rule` says about `text` in `path`: the lines it complains of.
    fn lines(rule: impl Fn(&Source) -> Vec<Finding>, path: &str, text: &str) -> Vec<usize> {
        rule(&Source::new(path, text)).into_iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn a_file_without_its_first_sentence_is_found() {
        for text in ["", "use a;", "\n//! Late.", "// A comment.", "//!", "//! \nfn a() {}"] {
            assert_eq!(lines(header, "a.rs", text), [1], "{text:?}");
        }
        assert_eq!(lines(header, "a.rs", "#![allow(dead_code)]\n//! A file.\n"), [1]);
        assert_eq!(lines(header, "a.rs", "//! A file.\n"), []);
        assert_eq!(lines(header, "a.rs", "#![allow(unsafe_code)] // why\n//! A file.\n"), []);
    }

    #[test]
    fn a_long_file_is_found() {
        assert_eq!(lines(file_length, "a.rs", &"\n".repeat(800)), []);
        assert_eq!(lines(file_length, "a.rs", &"\n".repeat(801)), [801]);
    }

    #[test]
    fn a_long_function_is_found_wherever_it_hides() {
        let body = |lines: usize| "    x();\n".repeat(lines - 2);
        let function = |lines| format!("fn a(f: fn(u8) -> u8, [x]: [u8; 1]) -> u8 {{\n{}}}\n", body(lines));
        assert_eq!(lines(function_length, "a.rs", &function(70)), []);
        assert_eq!(lines(function_length, "a.rs", &function(71)), [1]);
        let inner = format!("trait T {{\n    fn declared(&self);\n    {}}}\n", function(71));
        assert_eq!(lines(function_length, "tests/a.rs", &inner), [3]);
        let braces = format!("fn a() {{\n    let x = \"}}\"; // }}\n    let y = '}}';\n{}}}\n", body(70));
        assert_eq!(lines(function_length, "a.rs", &braces), [1], "braces in strings and comments are none");
    }

    #[test]
    fn an_unwrap_is_found_outside_tests() {
        let text = "fn a() { b.unwrap(); }\n// .unwrap()\n#[cfg(test)]\nmod tests { fn c() { d.unwrap(); } }\n";
        assert_eq!(lines(unwraps, "core/src/a.rs", text), [1]);
        assert_eq!(lines(unwraps, "tests/src/a.rs", text), []);
        assert_eq!(
            lines(unwraps, "core/src/a.rs", "fn a() { b.unwrap_or(1).unwrap_or_default(); \".unwrap()\"; }"),
            []
        );
    }

    #[test]
    fn what_is_left_to_do_is_found() {
        assert_eq!(lines(leftovers, "a.rs", "todo!();\nunimplemented!();\ndbg!(x);\n"), [1, 2, 3]);
        assert_eq!(lines(leftovers, "a.rs", concat!("// FIX", "ME later\n/* TO", "DO */\n// XX", "X\n")), [1, 2, 3]);
        assert_eq!(lines(leftovers, "a.rs", "// a to-do list\nlet x = \"todo!\";\n"), []);
    }

    #[test]
    fn the_world_is_found_in_the_state_machine() {
        for bad in [
            "let now = Instant::now();",
            "use std::time::{Duration, SystemTime};",
            "x.await;",
            "async fn a() {}",
            "fastrand::u64(..);",
            "use std::net::TcpStream;",
            "std::fs::read(path);",
            "std::thread::spawn(f);",
            "let map: HashMap<u8, u8, RandomState> = x;",
            "println!(\"{x}\");",
        ] {
            assert_eq!(lines(purity, "shard/src/a.rs", bad), [1], "{bad}");
            assert_eq!(lines(purity, "codec/src/b/a.rs", bad), [1], "{bad}");
            assert_eq!(lines(purity, "core/src/a.rs", bad), [], "{bad}");
            assert_eq!(lines(purity, "shard/src/a.rs", &format!("#[cfg(test)]\nmod tests {{\n{bad}\n}}")), [], "{bad}");
        }
        assert_eq!(lines(purity, "shard/src/a.rs", "use std::net::SocketAddr; // no Instant::now\nlet brand = 1;"), []);
    }

    #[test]
    fn the_runtime_is_found_outside_its_rooms() {
        for path in ["core/src/app/a.rs", "core/src/main.rs", "shard/src/a.rs", "tests/a.rs", "core/src/network/a.rs"] {
            assert_eq!(lines(runtime_rooms, path, "use glommio::Task;\nuse io_uring::opcode;\n"), [1, 2], "{path}");
        }
        for path in ["core/src/net/a.rs", "core/src/server/a.rs", "core/src/mesh/a.rs", "loadgen/src/a.rs"] {
            assert_eq!(lines(runtime_rooms, path, "use glommio::Task;"), [], "{path}");
        }
        assert_eq!(lines(runtime_rooms, "core/src/app/a.rs", "// not a glommio task\nlet x = \"io_uring\";"), []);
    }

    #[test]
    fn a_demo_that_reaches_inside_is_found() {
        assert_eq!(
            lines(demo_is_public, "core/src/demo/mod.rs", "use crate::app::ShardHost;\nuse shard::Time;\n"),
            [1, 2]
        );
        assert_eq!(lines(demo_is_public, "core/src/demo/mod.rs", "use crate::prelude::*;\napp.shard(1);\n"), []);
        assert_eq!(lines(demo_is_public, "core/src/server/mod.rs", "use shard::Time;"), []);
    }

    #[test]
    fn unsafe_is_found_outside_the_listed_files_and_without_a_reason() {
        let rule = |source: &Source| unsafes(source, &["core/src/net/ring.rs"]);
        let good = "//! The ring.\n#![allow(unsafe_code)]\n// SAFETY: it holds.\nunsafe { a() };\nunsafe fn b() {}\n";
        assert_eq!(lines(rule, "core/src/net/ring.rs", good), []);
        assert_eq!(lines(rule, "core/src/app/a.rs", good), [4], "not listed");
        assert_eq!(lines(rule, "core/src/app/a.rs", "#![allow(unsafe_code)]"), [1], "not listed, though unused");
        assert_eq!(lines(rule, "core/src/net/ring.rs", "//! The ring.\n"), [1], "listed for nothing");
        assert_eq!(
            lines(rule, "core/src/net/ring.rs", "// SAFETY: x\nunsafe { a() };\n"),
            [1],
            "listed but not declared"
        );
        let late = format!("{}#![allow(unsafe_code)]\n// SAFETY: x\nunsafe {{ a() }};\n", "\n".repeat(30));
        assert_eq!(lines(rule, "core/src/net/ring.rs", &late), [1], "declared where nobody looks");
        let bare = "#![allow(unsafe_code)]\nfn a() {\n    unsafe { b() }\n}\nunsafe impl Send for X {}\n";
        assert_eq!(lines(rule, "core/src/net/ring.rs", bare), [3, 5], "no reason given");
        assert_eq!(lines(rule, "core/src/app/a.rs", "// unsafe\n#![deny(unsafe_code)]\nlet x = \"unsafe\";"), []);
    }
}
