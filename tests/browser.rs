//! Pages in a real browser, headless: two tabs of the demo page that different shards serve chat with each other and with
//! one of Socket.IO, two share the session of their cookie, and a page for each client library is in one room. Screenshots
//! are left under the build's target directory, and where is printed.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use harness::script::{Script, installed, local};
use harness::server::{Server, example_command, target_directory};

const CHAT: [&str; 9] =
    ["open", "chat", "markupStaysText", "comesBack", "square", "beside", "narrow", "screenshots", "noComplaints"];

const COOKIES: [&str; 8] = ["hidden", "shared", "login", "oldCookie", "reload", "otherSites", "logout", "noComplaints"];

const LISTEN: [&str; 6] = ["open", "publications", "namedEvents", "refusal", "comesBack", "noComplaints"];

const LIBRARIES: [&str; 5] =
    ["open", "everybodyHearsEverybody", "whatIsTooLongIsRefused", "sideBySide", "noComplaints"];

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

fn screenshots() -> PathBuf {
    let directory = target_directory().join("screenshots");
    fs::create_dir_all(&directory).expect("the target directory can be written");
    directory
}

fn expect_picture(name: &str) {
    let path = screenshots().join(name);
    let bytes = fs::metadata(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).len();
    assert!(bytes > 5_000, "{} holds a picture, not {bytes} bytes", path.display());
    println!("screenshot: {}", path.display());
}

#[test]
fn two_tabs_on_different_shards_chat() {
    let server = Server::start(&[]);
    let mut command = script(&server, "browse.js");
    command.arg(screenshots());
    Script::start("chromium", command, &CHAT).expect_every_step(LIMIT, &server);
    ["chat-wide.png", "chat-narrow-dark.png"].into_iter().for_each(expect_picture);
}

#[test]
fn a_page_for_each_client_library_is_in_one_room() {
    installed("clients/node_modules/socketstream-0.3/package.json");
    let mut command = example_command("clients");
    command.args(["start", "--listen", "127.0.0.1:0", "--shards", "2"]);
    let server = Server::from_command(command);
    let mut command = script(&server, "libraries.js");
    command.arg(screenshots());
    Script::start("chromium", command, &LIBRARIES).expect_every_step(LIMIT, &server);
    expect_picture("clients.png");
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
