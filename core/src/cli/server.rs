//! The program itself: what an application's `main` calls. It turns a request into output and an exit code; everything
//! it decides on was decided in `request`.

use std::io::Write;
use std::process::ExitCode;

use super::exit;
use super::request::{self, Request};
use crate::app::App;
use crate::config::{LogFormat, LogLevel, Settings};
use crate::observe::log;
use crate::{demo, server};

/// A server that is about to run.
///
/// ```no_run
/// use socketshard::prelude::*;
///
/// fn main() -> ExitCode {
///     Server::from_args().run(App::new)
/// }
/// ```
#[derive(Debug)]
pub struct Server {
    request: Request,
}

impl Server {
    /// A server that does what this process's command line and environment ask for: `start` (also without a command),
    /// `check`, `version`, `--help`. Nothing happens, and nothing is printed, before [`run`](Self::run).
    #[must_use]
    pub fn from_args() -> Self {
        let variables = std::env::vars_os().map(|(name, _)| name);
        Self { request: request::read(std::env::args_os(), variables) }
    }

    /// A server with these settings, whatever the command line says.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let request = match request::objection(&settings) {
            Some(message) => Request::Refuse(message, exit::CONFIG),
            None => Request::Start(Box::new(settings)),
        };
        Self { request }
    }

    /// Runs until a signal stops it. `factory` is called once on each shard, so what it makes may hold `Rc`s and cells
    /// and needs no lock.
    pub fn run<F>(self, factory: F) -> ExitCode
    where
        F: Fn() -> App + Send + Sync + Clone + 'static,
    {
        match self.request {
            Request::Start(settings) => ExitCode::from(start(&settings, factory)),
            Request::Print(text) => {
                say(&mut std::io::stdout(), &text);
                ExitCode::from(exit::OK)
            }
            Request::Refuse(message, code) => {
                say(&mut std::io::stderr(), &message);
                ExitCode::from(code)
            }
        }
    }
}

/// The `socketshard` binary: a server that runs the demo application.
#[must_use]
pub fn run() -> ExitCode {
    Server::from_args().run(demo::app)
}

fn start<F>(settings: &Settings, factory: F) -> u8
where
    F: Fn() -> App + Send + Sync + Clone + 'static,
{
    log::start(&settings.log);
    let overrides = settings.application;
    let limited = move || {
        let mut app = factory();
        app.limits = overrides.over(app.limits);
        app
    };
    let Err(error) = server::run(settings, limited) else {
        return exit::OK;
    };
    // A server that does not start says so even where logging is off.
    if settings.log.format == LogFormat::Json && settings.log.level != LogLevel::Off {
        tracing::error!(app = settings.app_name, code = error.exit_code(), "{error}");
    } else {
        say(&mut std::io::stderr(), &format!("error: {error}\n"));
    }
    error.exit_code()
}

/// Writes what can be written: a reader that has gone away (`socketshard --help | head -1`) is no failure.
fn say(output: &mut dyn Write, text: &str) {
    let _ = output.write_all(text.as_bytes()).and_then(|()| output.flush());
}
