//! The program itself: what an application's `main` calls. It turns a request into output and an exit code; everything
//! it decides on was decided in `request`.

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;

use super::arguments::DoctorFormat;
use super::exit;
use super::request::{self, Request};
use crate::app::App;
use crate::config::{LogFormat, LogLevel, Settings};
use crate::doctor::Machine;
use crate::observe::log;
use crate::session::SessionStore;
use crate::{demo, doctor, server};

/// A server that is about to run.
///
/// ```no_run
/// use socketshard::prelude::*;
///
/// fn main() -> ExitCode {
///     Server::from_args().run(App::new)
/// }
/// ```
pub struct Server {
    request: Request,
    store: Option<Arc<dyn SessionStore>>,
}

impl Server {
    /// A server that does what this process's command line and environment ask for: `start` (also without a command),
    /// `check`, `doctor`, `version`, `--help`. Nothing happens, and nothing is printed, before [`run`](Self::run).
    #[must_use]
    pub fn from_args() -> Self {
        // Before there is anything in them: pages that are huge stay so.
        server::refuse_huge_pages();
        let variables = std::env::vars_os().map(|(name, _)| name);
        Self { request: request::read(std::env::args_os(), variables), store: None }
    }

    /// A server with these settings, whatever the command line says.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let request = match request::objection(&settings) {
            Some(message) => Request::Refuse(message, exit::CONFIG),
            None => Request::Start(Box::new(settings)),
        };
        Self { request, store: None }
    }

    /// Keeps sessions in this store, whatever `--session-store` says.
    #[must_use]
    pub fn session_store(self, store: impl SessionStore) -> Self {
        Self { store: Some(Arc::new(store)), ..self }
    }

    /// Runs until a signal stops it. `factory` is called once on each shard, so what it makes may hold `Rc`s and cells
    /// and needs no lock.
    pub fn run<F>(self, factory: F) -> ExitCode
    where
        F: Fn() -> App + Send + Sync + Clone + 'static,
    {
        match self.request {
            Request::Start(settings) => ExitCode::from(start(&settings, self.store, factory)),
            Request::Examine(settings, format) => ExitCode::from(examine(&settings, format)),
            Request::Check(settings, text) => match server::check_keys(&settings) {
                Ok(()) => print(&text),
                Err(error) => {
                    let _ = say(&mut std::io::stderr(), &format!("error: {error}\n"));
                    ExitCode::from(error.exit_code())
                }
            },
            Request::Print(text) => print(&text),
            Request::Refuse(message, code) => {
                // Where not even that can be written, the code still says it.
                let _ = say(&mut std::io::stderr(), &message);
                ExitCode::from(code)
            }
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Server").field("request", &self.request).finish_non_exhaustive()
    }
}

/// The `socketshard` binary: a server that runs the demo application.
#[must_use]
pub fn run() -> ExitCode {
    Server::from_args().run(demo::app)
}

fn examine(settings: &Settings, format: DoctorFormat) -> u8 {
    let diagnosis = doctor::examine(&Machine::new("/", server::probe_ring), settings);
    let text = match format {
        DoctorFormat::Text => diagnosis.text(),
        DoctorFormat::Json => diagnosis.json(),
    };
    let said = say(&mut io::stdout(), &text);
    if said.is_err() || diagnosis.has_problems() { exit::FAILURE } else { exit::OK }
}

fn start<F>(settings: &Settings, store: Option<Arc<dyn SessionStore>>, factory: F) -> u8
where
    F: Fn() -> App + Send + Sync + Clone + 'static,
{
    log::start(&settings.log);
    let overrides = settings.application;
    let limited = move || {
        let mut app = factory();
        app.limits = overrides.over(app.limits);
        app.overrule(overrides.ack_shape, overrides.has_channel_events);
        app
    };
    let error = match server::run(settings, store, limited) {
        Ok(code) => return code,
        Err(error) => error,
    };
    // A server that does not start says so even where logging is off.
    if settings.log.format == LogFormat::Json && settings.log.level != LogLevel::Off {
        tracing::error!(app = settings.app_name, code = error.exit_code(), "{error}");
    } else {
        let _ = say(&mut std::io::stderr(), &format!("error: {error}\n"));
    }
    error.exit_code()
}

/// Says what was asked for.
fn print(text: &str) -> ExitCode {
    let said = say(&mut std::io::stdout(), text);
    ExitCode::from(if said.is_ok() { exit::OK } else { exit::FAILURE })
}

/// Writes the text. A reader that has gone away (`socketshard --help | head -1`) is no failure, a full disk is.
fn say(output: &mut dyn Write, text: &str) -> io::Result<()> {
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An output that fails in its own way.
    struct Broken(io::ErrorKind);

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_full_disk_is_a_failure_and_a_gone_reader_is_none() {
        assert!(say(&mut Broken(io::ErrorKind::BrokenPipe), "text").is_ok());
        assert!(say(&mut Broken(io::ErrorKind::StorageFull), "text").is_err());
    }

    #[test]
    fn settings_from_a_program_are_judged_like_those_from_flags() {
        let mut settings = Settings::default();
        assert!(matches!(Server::new(settings.clone()).request, Request::Start(_)));
        settings.limits.ping_timeout = settings.limits.ping_interval;
        assert!(matches!(Server::new(settings).request, Request::Refuse(_, exit::CONFIG)));
    }
}
