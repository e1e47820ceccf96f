//! Files of a directory, from a real server: what curl and a socket of our own get, and what nobody gets.

use std::fs;
use std::path::PathBuf;

use harness::http::{Http, Response};
use harness::server::Server;
use harness::wait::{PATIENCE, until};

use crate::curl::curl;

/// A directory of pages, and a secret beside it.
struct Site(PathBuf);

impl Site {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("socketshard-site-{}-{name}", std::process::id()));
        fs::create_dir_all(path.join("pages/sub")).expect("a place for files");
        let site = Self(path);
        site.write("secret.txt", "secret");
        site.write("pages/.hidden", "secret");
        site.write("pages/index.html", "<h1>ours</h1>");
        site.write("pages/sub/index.html", "<h1>sub</h1>");
        site.write("pages/app.js", "let plain");
        site.write("pages/app.js.br", "compressed");
        std::os::unix::fs::symlink("../secret.txt", site.0.join("pages/link.txt")).expect("links can be made");
        site
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.join(name), text).expect("files can be written");
    }

    fn serve(&self) -> Server {
        Server::start(&["--static", &self.0.join("pages").display().to_string()])
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn get(server: &Server, target: &str, headers: &str) -> Response {
    let mut http = Http::connect(server.address());
    http.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\n{headers}\r\n").as_bytes());
    http.response(false)
}

#[test]
fn files_come_before_pages_and_pages_are_still_there() {
    let site = Site::new("order");
    let server = site.serve();
    assert_eq!(get(&server, "/", "").text(), "<h1>ours</h1>");
    assert_eq!(get(&server, "/page.css", "").header("content-type"), Some("text/css; charset=utf-8"));
    assert_eq!(get(&server, "/healthz", "").text(), "ok");
    assert_eq!(get(&server, "/api/app/square?25", "").text(), "625");
    let moved = get(&server, "/sub?x=1", "");
    assert_eq!((moved.status, moved.header("location")), (301, Some("/sub/?x=1")));
    assert!(get(&server, "/", "").header("set-cookie").is_some());
    assert_eq!(get(&server, "/app.js", "").header("set-cookie"), None);
}

#[test]
fn curl_gets_ranges_and_codings_and_hears_what_it_has() {
    let site = Site::new("curl");
    let server = site.serve();
    let url = format!("http://{}/app.js", server.address());
    let whole = curl(&[&url]);
    assert_eq!((whole.status(), &*whole.body), (200, "let plain"));
    assert_eq!(whole.header("x-content-type-options"), Some("nosniff"));
    let tag = whole.header("etag").expect("a tag").to_owned();
    let part = curl(&[&url, "--range", "0-2"]);
    assert_eq!((part.status(), &*part.body, part.header("content-range")), (206, "let", Some("bytes 0-2/9")));
    assert_eq!(curl(&[&url, "--range", "100-"]).status(), 416);
    let coded = curl(&[&url, "-H", "Accept-Encoding: gzip, br"]);
    assert_eq!((&*coded.body, coded.header("content-encoding")), ("compressed", Some("br")));
    assert_ne!(coded.header("etag"), Some(&*tag));
    assert_eq!(curl(&[&url, "-H", &format!("If-None-Match: {tag}")]).status(), 304);
    let head = curl(&[&url, "--head"]);
    assert_eq!((head.status(), head.header("content-length")), (200, Some("9")));
}

#[test]
fn no_path_leads_out_of_the_directory() {
    let site = Site::new("out");
    let server = site.serve();
    for target in [
        "/../secret.txt",
        "/..%2fsecret.txt",
        "/%2e%2e/secret.txt",
        "/%2e%2e%2fsecret.txt",
        "/%252e%252e%252fsecret.txt",
        "/sub/../../secret.txt",
        "/sub/..%5c..%5csecret.txt",
        "//etc/passwd",
        "/%2fetc%2fpasswd",
        "/app.js%00",
        "/app.js%00.html",
        "/link.txt",
        "/.hidden",
        "/app.js.br",
        "/app.js/",
        "/%",
    ] {
        let answer = get(&server, target, "");
        assert_eq!(answer.status, 404, "{target}");
        assert!(!answer.text().contains("secret"), "{target}");
    }
}

#[test]
fn a_reload_brings_what_has_changed() {
    let site = Site::new("reload");
    let server = site.serve();
    assert_eq!(get(&server, "/new.txt", "").status, 404);
    site.write("pages/new.txt", "new");
    server.signal(libc::SIGHUP);
    until("the new file", PATIENCE, || (get(&server, "/new.txt", "").status == 200).then_some(()));
}
