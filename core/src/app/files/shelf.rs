//! Where directories are mounted, and what a request finds there.

use codec::http::query::decode;
use codec::http::request::Head;
use codec::http::response;

use super::folder::Files;

/// Directories by the paths that they are mounted at, the longest first.
#[derive(Default)]
pub(in crate::app) struct Shelves {
    shelves: Vec<(Box<str>, Files)>,
}

impl Shelves {
    /// Mounts a directory; `prefix` has no slash at its end.
    pub(in crate::app) fn mount(&mut self, prefix: &str, files: Files) {
        self.shelves.push((prefix.into(), files));
        self.shelves.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
    }

    /// Answers a request whose path leads to a file; whether it does. `cookie` is for pages.
    pub(in crate::app) fn respond(
        &self,
        head: &Head<'_>,
        keep_alive: bool,
        cookie: Option<&str>,
        out: &mut Vec<u8>,
    ) -> bool {
        if self.shelves.is_empty() {
            return false;
        }
        let Ok(path) = decode(head.path, false) else { return false };
        for (prefix, files) in &self.shelves {
            let Some(rest) = path.strip_prefix(&**prefix) else { continue };
            if rest.starts_with('/')
                && let Some(asset) = files.find(rest)
            {
                // Scripts and pictures are for everybody, and for the caches between.
                let cookie = cookie.filter(|_| asset.is_page());
                asset.respond(head, keep_alive, cookie, out);
                return true;
            }
            if !path.ends_with('/') && files.find(&format!("{rest}/")).is_some() {
                // As it was sent: a path that is known begins with one slash and leads nowhere else.
                let query = head.query.map_or_else(String::new, |query| format!("?{query}"));
                let location = format!("{}/{query}", head.path);
                response::write(out, 301, &[("Location", &location)], b"", keep_alive);
                return true;
            }
        }
        false
    }
}
