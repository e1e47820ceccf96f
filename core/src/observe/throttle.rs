//! Keeps a flood out of the log: so many lines a second are written, the rest is counted, and the count is written with
//! the next line that passes. Without it whoever can provoke a line per message can fill a disk and slow a shard down.
//! It does not choose among lines: the first of each second pass, whatever they say.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::Writer as TimeWriter;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};

use crate::config::LogFormat;

/// What makes the writer of each line.
#[derive(Clone)]
pub(super) struct Throttled<W> {
    inner: W,
    format: LogFormat,
    gate: Arc<Gate>,
}

/// The writer of one line.
pub(super) enum Line<W> {
    /// It is written.
    Pass(W),
    /// It is dropped.
    Drop,
}

impl<W> Throttled<W> {
    /// Writes at most `lines_per_second_max` lines a second to what `inner` makes.
    pub(super) fn new(inner: W, format: LogFormat, lines_per_second_max: u32) -> Self {
        let began = Instant::now();
        Self::with_clock(inner, format, lines_per_second_max, move || began.elapsed().as_secs())
    }

    fn with_clock(
        inner: W,
        format: LogFormat,
        lines_per_second_max: u32,
        seconds: impl Fn() -> u64 + Send + Sync + 'static,
    ) -> Self {
        let gate = Gate {
            lines_per_second_max,
            seconds: Box::new(seconds),
            window: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
        };
        Self { inner, format, gate: Arc::new(gate) }
    }
}

impl<'a, W: MakeWriter<'a>> MakeWriter<'a> for Throttled<W> {
    type Writer = Line<W::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        let Some(dropped) = self.gate.admit() else { return Line::Drop };
        let mut writer = self.inner.make_writer();
        if dropped > 0 {
            // A log that cannot be written to has nobody to tell.
            let _ = io::Write::write_all(&mut writer, summary(self.format, dropped).as_bytes());
        }
        Line::Pass(writer)
    }
}

impl<W: io::Write> io::Write for Line<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Pass(writer) => writer.write(bytes),
            Self::Drop => Ok(bytes.len()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Pass(writer) => writer.flush(),
            Self::Drop => Ok(()),
        }
    }
}

/// Counts the lines of the current second, of all threads together.
struct Gate {
    lines_per_second_max: u32,
    seconds: Box<dyn Fn() -> u64 + Send + Sync>,
    /// The second, shifted left by 32 bits, and how many lines passed in it.
    window: AtomicU64,
    dropped: AtomicU64,
}

impl Gate {
    /// `None`: this line is dropped. `Some`: it passes, and so many were dropped before it and not yet told.
    fn admit(&self) -> Option<u64> {
        let second = (self.seconds)() << 32;
        let count = |window: u64| if window & SECOND == second { window & !SECOND } else { 0 };
        let next =
            |window| (count(window) < u64::from(self.lines_per_second_max)).then(|| second | (count(window) + 1));
        match self.window.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next) {
            // Told at the second's first line only, so that the telling is bounded too.
            Ok(before) if count(before) == 0 => Some(self.dropped.swap(0, Ordering::Relaxed)),
            Ok(_) => Some(0),
            Err(_) => {
                self.dropped.fetch_add(1, Ordering::Relaxed);
                None
            }
        }
    }
}

fn summary(format: LogFormat, dropped: u64) -> String {
    let mut time = String::new();
    let timed = SystemTime.format_time(&mut TimeWriter::new(&mut time));
    let time = timed.map_or("", |()| time.as_str());
    let message = "log lines were dropped (--log-lines-max)";
    match format {
        LogFormat::Text => format!("{time}  WARN socketshard::observe: {message} dropped={dropped}\n"),
        LogFormat::Json => {
            let fields = format!("\"message\":\"{message}\",\"dropped\":{dropped},\"target\":\"socketshard::observe\"");
            format!("{{\"timestamp\":\"{time}\",\"level\":\"WARN\",{fields}}}\n")
        }
    }
}

const SECOND: u64 = !0 << 32;

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::sync::Mutex;

    use super::*;

    /// Writes `lines` lines in each of the given seconds, at most three a second; what came of it.
    fn written(format: LogFormat, seconds: &[(u64, usize)]) -> String {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let now = Arc::new(AtomicU64::new(0));
        let (sink, clock) = (Arc::clone(&lines), Arc::clone(&now));
        let make = move || Sink(Arc::clone(&sink));
        let throttled = Throttled::with_clock(make, format, 3, move || clock.load(Ordering::Relaxed));
        for (second, count) in seconds {
            now.store(*second, Ordering::Relaxed);
            for index in 0..*count {
                writeln!(throttled.make_writer(), "{second}.{index}").expect("a line is written or dropped");
            }
        }
        String::from_utf8(lines.lock().expect("no test panics while it writes").clone()).expect("text")
    }

    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no test panics while it writes").write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_is_under_the_limit_passes_whole() {
        assert_eq!(written(LogFormat::Text, &[(0, 3), (1, 2)]), "0.0\n0.1\n0.2\n1.0\n1.1\n");
    }

    #[test]
    fn a_flood_is_cut_and_its_size_is_told_once() {
        let text = written(LogFormat::Text, &[(0, 1000), (1, 2), (2, 1)]);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[..3], ["0.0", "0.1", "0.2"]);
        assert!(lines[3].ends_with("WARN socketshard::observe: log lines were dropped (--log-lines-max) dropped=997"));
        assert_eq!(lines[4..], ["1.0", "1.1", "2.0"]);
    }

    #[test]
    fn the_telling_is_a_json_object_like_its_neighbours() {
        let text = written(LogFormat::Json, &[(5, 5), (6, 1)]);
        let line = text.lines().nth(3).expect("the line that tells");
        let object: serde_json::Value = serde_json::from_str(line).expect("an object");
        assert_eq!(object["dropped"], 2);
        assert_eq!(object["level"], "WARN");
        assert!(object["timestamp"].as_str().is_some_and(|time| time.starts_with("20") && time.ends_with('Z')));
    }
}
