//! What a process goes through: it is killed and started again, replaced while clients come, paused, left without room.
//! In each case somebody else is there who must not notice.

mod activation;
mod confined;
mod handover;
mod machine;
mod supervision;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use harness::http::Http;
use harness::server::{Server, target_directory};
use harness::wait::{self, PATIENCE};

/// A directory of a test's own.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = target_directory().join("fault-tests").join(format!("{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("the target directory can be written");
        Self(path)
    }

    /// Flags for sessions that outlive a process.
    fn session_flags(&self) -> [String; 4] {
        let keys = self.0.join("keys");
        fs::write(&keys, "a key of at least thirty-two bytes\n").expect("a file");
        let store = self.0.join("store");
        ["--session-key-file".to_owned(), text(&keys), "--session-store".to_owned(), text(&store)]
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn text(path: &Path) -> String {
    path.to_str().expect("test paths are text").to_owned()
}

/// The only child of a supervisor.
fn child(server: &Server) -> u32 {
    let children = server.children();
    assert_eq!(children.len(), 1, "{children:?}\n{}", server.stderr());
    children[0]
}

/// Waits until there is a child other than that one, and it accepts; returns it.
fn next_child(server: &Server, old: u32, starts: usize) -> u32 {
    wait::until("another server accepts", PATIENCE, || {
        (server.stdout_lines().len() >= starts).then_some(())?;
        server.children().into_iter().find(|child| *child != old)
    })
}

fn is_alive(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

/// Connects, asks, and is answered.
fn ask(address: SocketAddr) {
    let mut http = Http::connect(address);
    http.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert_eq!(http.response(false).status, 200);
}
