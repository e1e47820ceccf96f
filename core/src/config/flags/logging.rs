//! What the server says about itself.

use std::time::Duration;

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

use crate::config::{LogFormat, LogLevel, count, duration};

/// The group "Logging".
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Logging")]
pub(super) struct LogFlags {
    /// The least severe level that is logged, to standard error
    ///
    /// Also as a number: 0 off, 1 error, 2 warn, 3 info, 4 debug; trace only by name. Raise it to debug to see what one
    /// client does; trace costs throughput.
    #[arg(long, value_name = "LEVEL", env = "SOCKETSHARD_LOG_LEVEL", default_value = "info", value_parser = levels())]
    pub(super) log_level: LogLevel,

    /// The shape of a log line
    ///
    /// text is for people, with colours on a terminal unless NO_COLOR is set; json writes one object per line. Choose
    /// json where a program reads the log.
    #[arg(
        long, value_name = "FORMAT", env = "SOCKETSHARD_LOG_FORMAT", default_value = "text",
        value_parser = formats(),
    )]
    pub(super) log_format: LogFormat,

    /// Log lines per second, of all shards together
    ///
    /// Range: 1 to 1M; more are dropped, and the next line says how many. Raise it for debug and trace; lower it to
    /// protect a small disk.
    #[arg(
        long, value_name = "COUNT", env = "SOCKETSHARD_LOG_LINES_MAX", default_value = "1k",
        value_parser = count::within::<u32>(1..=1_000_000),
    )]
    pub(super) log_lines_max: u32,

    /// How often a shard may say what it has refused its clients, or ended them for
    ///
    /// Range: 0s to 1h; 0s for never. One line has all of it, by the names of its counters; the first comes at once.
    /// Raise it where such a line is no news.
    #[arg(
        long, value_name = "TIME", env = "SOCKETSHARD_LOG_REFUSALS", default_value = "60s",
        value_parser = duration::within(Duration::ZERO..=Duration::from_secs(3_600)),
    )]
    pub(super) log_refusals: Duration,

    /// What the application calls itself in the log
    ///
    /// 1 to 64 letters, digits, '.', '_' or '-'. Change it where several servers log to one place.
    #[arg(long, value_name = "NAME", env = "SOCKETSHARD_APP_NAME", default_value = "socketshard")]
    pub(super) app_name: String,
}

fn levels() -> impl TypedValueParser<Value = LogLevel> {
    let names = LEVELS.iter().map(|(name, number, _)| {
        let value = PossibleValue::new(*name);
        if number.is_empty() { value } else { value.alias(*number) }
    });
    PossibleValuesParser::new(names).map(|text| {
        let level = LEVELS.iter().find(|(name, number, _)| text == *name || text == *number);
        level.expect("clap takes only the values of this table").2
    })
}

fn formats() -> impl TypedValueParser<Value = LogFormat> {
    PossibleValuesParser::new(["text", "json"])
        .map(|name| if name == "json" { LogFormat::Json } else { LogFormat::Text })
}

/// Name, number (SocketStream's 0 to 4) and level.
const LEVELS: &[(&str, &str, LogLevel)] = &[
    ("off", "0", LogLevel::Off),
    ("error", "1", LogLevel::Error),
    ("warn", "2", LogLevel::Warn),
    ("info", "3", LogLevel::Info),
    ("debug", "4", LogLevel::Debug),
    ("trace", "", LogLevel::Trace),
];
