//! The log: lines on standard error, for people or as JSON. Standard output is left to the one line that says where the
//! server listens.
//!
//! A value in a log line may come from a client. It never reaches a terminal as it came: control characters, line ends
//! and direction marks are escaped, and a long value is cut. A line is written at once by the thread that logs it, so
//! the log is for rare events; what happens per message is counted in the metrics instead.

use std::fmt::{self, Write as _};
use std::io::{self, IsTerminal};

use tracing::field::Field;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::throttle::Throttled;
use crate::config::{LogFormat, LogLevel, LogSettings};

/// Starts the log of this process. A subscriber that the application has set before stays.
pub(crate) fn start(settings: &LogSettings) {
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let colour = io::stderr().is_terminal() && !no_color;
    let stderr: fn() -> io::Stderr = io::stderr;
    let layer = layer(settings, colour, Throttled::new(stderr, settings.format, settings.lines_per_second_max));
    // The only failure is that there is a subscriber already.
    let _ = tracing_subscriber::registry().with(layer).try_init();
}

fn layer<S, W>(settings: &LogSettings, colour: bool, writer: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let targets = targets(settings.level);
    let layer = tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(colour);
    match settings.format {
        LogFormat::Text => layer.fmt_fields(Escaped).with_filter(targets).boxed(),
        LogFormat::Json => layer.json().flatten_event(true).with_filter(targets).boxed(),
    }
}

/// Everything at `level`, but our runtime's own chatter only where it warns.
fn targets(level: LogLevel) -> Targets {
    let level = match level {
        LogLevel::Off => LevelFilter::OFF,
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    Targets::new().with_default(level).with_target("glommio", level.min(LevelFilter::WARN))
}

/// Writes the fields of an event as `message name=value`, every value escaped.
struct Escaped;

impl<'writer> FormatFields<'writer> for Escaped {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut visitor = Visitor { writer, value: String::new(), is_first: true, result: Ok(()) };
        fields.record(&mut visitor);
        visitor.result
    }
}

struct Visitor<'writer> {
    writer: Writer<'writer>,
    value: String,
    is_first: bool,
    result: fmt::Result,
}

impl Visitor<'_> {
    fn write(&mut self, field: &Field) -> fmt::Result {
        if !self.is_first {
            self.writer.write_char(' ')?;
        }
        self.is_first = false;
        if field.name() != "message" {
            write!(self.writer, "{}=", field.name())?;
        }
        escape(&self.value, &mut self.writer)
    }
}

impl tracing::field::Visit for Visitor<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.value.clear();
        self.result = self.result.and_then(|()| write!(self.value, "{value:?}")).and_then(|()| self.write(field));
    }

    // Without this a string would come with Rust's quotes and escapes, and then be escaped once more.
    fn record_str(&mut self, field: &Field, value: &str) {
        self.value.clear();
        self.value.push_str(value);
        self.result = self.result.and_then(|()| self.write(field));
    }
}

/// Writes `text` so that it stays on its line and moves no cursor; at most `VALUE_CHARACTERS_MAX` of it.
fn escape(text: &str, output: &mut impl fmt::Write) -> fmt::Result {
    for (index, character) in text.chars().enumerate() {
        if index == VALUE_CHARACTERS_MAX {
            return write!(output, "… ({} bytes)", text.len());
        }
        match character {
            '\n' => output.write_str("\\n")?,
            '\r' => output.write_str("\\r")?,
            '\t' => output.write_str("\\t")?,
            _ if is_harmful(character) => write!(output, "\\u{{{:x}}}", u32::from(character))?,
            _ => output.write_char(character)?,
        }
    }
    Ok(())
}

/// Control characters, Unicode's line ends, and the marks that turn the direction of what follows.
fn is_harmful(character: char) -> bool {
    let is_line_end = matches!(character, '\u{2028}' | '\u{2029}');
    let is_direction =
        matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    character.is_control() || is_line_end || is_direction
}

/// Four times the longest name a client may send, so that no name is cut; a payload in a log line is.
const VALUE_CHARACTERS_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// Where a test's log lines go.
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no test panics while it logs").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(level: LogLevel, format: LogFormat, colour: bool, log: impl FnOnce()) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let layer = layer(&LogSettings { level, format, ..LogSettings::default() }, colour, move || writer.clone());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), log);
        let bytes = lines.0.lock().expect("no test panics while it logs").clone();
        String::from_utf8(bytes).expect("log lines are text")
    }

    #[test]
    fn what_a_client_sends_cannot_forge_a_line_or_colour_a_terminal() {
        let evil = "x\n2026 INFO all is well\r\x1b[31mred\x07\u{202e}gnp\u{2028}";
        for colour in [false, true] {
            let text = logged(LogLevel::Info, LogFormat::Text, colour, || {
                tracing::warn!(channel = evil, shown = %evil, "refused {evil}");
            });
            assert_eq!(text.lines().count(), 1, "{text}");
            assert!(text.ends_with('\n') && !text.contains("\x1b[31m") && !text.contains('\u{7}'), "{text:?}");
            assert_eq!(
                text.matches("x\\n2026 INFO all is well\\r\\u{1b}[31mred\\u{7}\\u{202e}gnp\\u{2028}").count(),
                3
            );
        }
    }

    #[test]
    fn colours_appear_only_where_they_are_asked_for() {
        let log = || tracing::info!("hello");
        assert!(!logged(LogLevel::Info, LogFormat::Text, false, log).contains('\x1b'));
        assert!(logged(LogLevel::Info, LogFormat::Text, true, log).contains('\x1b'));
    }

    #[test]
    fn a_json_line_is_one_object_whatever_is_in_it() {
        let text = logged(LogLevel::Info, LogFormat::Json, false, || {
            tracing::error!(action = "app.\"\n\x1b[0m", shard = 1, "failed");
        });
        assert_eq!(text.lines().count(), 1, "{text}");
        let object: serde_json::Value = serde_json::from_str(&text).expect("a JSON line parses");
        assert_eq!(object["level"], "ERROR");
        assert_eq!(object["message"], "failed");
        assert_eq!(object["action"], "app.\"\n\x1b[0m");
        assert_eq!(object["shard"], 1);
    }

    #[test]
    fn a_level_lets_through_itself_and_what_is_more_severe() {
        let count = |level| {
            let log = || {
                tracing::error!("line");
                tracing::warn!("line");
                tracing::info!("line");
                tracing::debug!("line");
                tracing::trace!("line");
                tracing::info!(target: "glommio::executor", "line");
                tracing::warn!(target: "glommio::executor", "line");
            };
            logged(level, LogFormat::Text, false, log).lines().count()
        };
        let levels = [LogLevel::Off, LogLevel::Error, LogLevel::Warn, LogLevel::Info, LogLevel::Debug, LogLevel::Trace];
        assert_eq!(levels.map(count), [0, 1, 3, 4, 5, 6]);
    }

    #[test]
    fn a_long_value_is_cut() {
        let mut output = String::new();
        escape(&"é".repeat(5000), &mut output).expect("writing to a string");
        assert_eq!(output, format!("{}… (10000 bytes)", "é".repeat(1024)));
    }
}
