//! The demo page in a real browser, headless: two tabs that different shards serve chat with each other and with one of
//! Socket.IO, and two share the session of their cookie. The chat leaves screenshots under the build's target directory and prints where.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use harness::script::{Script, installed, local};
use harness::server::{Server, target_directory};

const CHAT: [&str; 9] =
    ["open", "chat", "markupStaysText", "comesBack", "square", "beside", "narrow", "screenshots", "noComplaints"];

const COOKIES: [&str; 8] = ["hidden", "shared", "login", "oldCookie", "reload", "otherSites", "logout", "noComplaints"];

const LISTEN: [&str; 6] = ["open", "publications", "namedEvents", "refusal", "comesBack", "noComplaints"];

/// A cold start of the browser on a loaded machine, and its steps, each of a few waits of at most 20 s.
const LIMIT: Duration = Duration::from_secs(200);

/// Where distributions put it; `tests/run` installs it if it is in none of them.
const CHROMIUM: [&str; 4] =
    ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome", "/snap/bin/chromium"];

/// Runs a script that opens the server's pages.
fn script(server: &Server, name: &str) -> Command {
    installed("clients/node_modules/playwright-core/package.json");
    let chromium = CHROMIUM.into_iter().map(PathBuf::from).find(|path| path.exists());
    let chromium = chromium.expect("chromium is missing: tests/run installs it");
    let mut command = Command::new("node");
    command.arg(local("clients").join(name)).arg(chromium).arg(server.address().port().to_string());
    command
}

#[test]
fn two_tabs_on_different_shards_chat() {
    let directory = target_directory().join("screenshots");
    fs::create_dir_all(&directory).expect("the target directory can be written");
    let server = Server::start(&[]);
    let mut command = script(&server, "browse.js");
    command.arg(&directory);
    Script::start("chromium", command, &CHAT).expect_every_step(LIMIT, &server);
    for name in ["chat-wide.png", "chat-narrow-dark.png"] {
        let path = directory.join(name);
        let bytes = fs::metadata(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).len();
        assert!(bytes > 5_000, "{} holds a picture, not {bytes} bytes", path.display());
        println!("screenshot: {}", path.display());
    }
}

#[test]
fn two_tabs_share_the_session_of_a_cookie_that_no_script_sees() {
    let server = Server::start(&[]);
    Script::start("chromium", script(&server, "cookies.js"), &COOKIES).expect_every_step(LIMIT, &server);
}

#[test]
fn an_event_source_hears_publications_and_events_and_comes_back() {
    let server = Server::start(&["--sse-retry", "100ms"]);
    Script::start("chromium", script(&server, "listen.js"), &LISTEN).expect_every_step(LIMIT, &server);
}
