//! The client libraries, served from where npm has put them.

use std::fmt;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use socketshard::{App, Page};

/// One script for each library.
#[derive(Clone)]
pub(crate) struct Libraries {
    scripts: Vec<(&'static str, Page)>,
}

/// A file that is not where it should be.
#[derive(Debug)]
pub(crate) struct Missing(PathBuf, io::Error);

impl Libraries {
    pub(crate) fn find() -> Result<Self, Missing> {
        let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/clients/node_modules");
        let root = env::var_os("CLIENT_LIBRARIES").map_or(installed, PathBuf::from);
        let mut scripts = vec![("/lib/socketstream.js", socketstream(&root)?)];
        for (path, file) in FILES {
            scripts.push((path, read(&root, file)?));
        }
        scripts.push(("/lib/socketshard.js", include_str!("../../client/socketshard.js").to_owned()));
        let page = |(path, script)| (path, Page::new("text/javascript; charset=utf-8", script));
        Ok(Self { scripts: scripts.into_iter().map(page).collect() })
    }

    /// Adds them below `/lib`.
    pub(crate) fn serve(&self, app: App) -> App {
        self.scripts.iter().fold(app, |app, (path, page)| app.serve(path, page.clone()))
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}; `npm ci` in tests/clients installs the libraries", self.0.display(), self.1)
    }
}

impl std::error::Error for Missing {}

/// SocketStream's server sends its client as one script: a loader, the transport that was chosen, and the modules of the
/// client by the names that they call each other. This does the same.
fn socketstream(root: &Path) -> Result<String, Missing> {
    let read = |file: &str| read(root, &format!("socketstream-0.3/lib/{file}"));
    let mut script = read("client/system/libs/browserify.js")?;
    script += &read("websocket/transports/engineio/client.js")?;
    for (name, file) in MODULES {
        let source = read(file)?;
        script += &format!("\nrequire.define('{name}', function (require, module, exports) {{\n{source}\n}});\n");
    }
    Ok(script)
}

fn read(root: &Path, file: &str) -> Result<String, Missing> {
    let path = root.join(file);
    fs::read_to_string(&path).map_err(|error| Missing(path, error))
}

/// Where libraries that are one script are served, and where they lie.
const FILES: [(&str, &str); 4] = [
    ("/lib/socketcluster.js", "socketcluster-client-20/socketcluster-client.min.js"),
    ("/lib/socket.io-4.js", "socket.io-client-4/dist/socket.io.min.js"),
    ("/lib/socket.io-3.js", "socket.io-client-3/dist/socket.io.min.js"),
    ("/lib/socket.io-2.js", "socket.io-client-2/dist/socket.io.js"),
];

const MODULES: [(&str, &str); 5] = [
    ("eventemitter2", "client/system/modules/eventemitter2.js"),
    ("socketstream", "client/system/modules/socketstream.js"),
    ("socketstream-transport", "websocket/transports/engineio/wrapper.js"),
    ("events", "request/responders/events/client.js"),
    ("rpc", "request/responders/rpc/client.js"),
];
