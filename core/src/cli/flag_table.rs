//! The flags as the README prints them, and the tests that hold flags, settings, help and README together. Only tests
//! use it: the table is in the README, not in the binary.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use clap::Arg;

use super::request::{self, Request};
use super::{arguments, exit};
use crate::config::{self, Settings, count, duration, size};

/// Every flag but those that set nothing, in the order of `--help`.
fn flags() -> Vec<Arg> {
    let mut command = arguments::command();
    command.build();
    let start = command.find_subcommand("start").expect("the command line has a start");
    let unset = ["help", "version", "check", "help_tuning"];
    let sets = |argument: &&Arg| !unset.contains(&argument.get_id().as_str());
    start.get_arguments().filter(sets).filter(|argument| !argument.is_hide_set()).cloned().collect()
}

fn long(flag: &Arg) -> String {
    flag.get_long().expect("every flag has a long name").to_owned()
}

fn help(flag: &Arg) -> String {
    flag.get_long_help().expect("every flag has a long help").to_string().replace('\n', " ")
}

/// The two ends of the help's `Range: A to B`.
fn range(flag: &Arg) -> Option<(String, String)> {
    let help = help(flag);
    let (least, rest) = help.split_once("Range: ")?.1.split_once(" to ").expect("a range has two ends");
    let most = rest.split([',', ';', '.', ' ']).next().expect("a split has a first part");
    Some((least.to_owned(), most.to_owned()))
}

/// The README's tables.
fn markdown() -> String {
    let mut text = String::new();
    let mut group = String::new();
    for flag in flags() {
        let heading = flag.get_help_heading().expect("every flag is in a group");
        if group != heading {
            group = heading.to_owned();
            write!(text, "\n**{group}**\n\n| flag | default | range | what it sets |\n|---|---|---|---|\n")
                .expect("text");
        }
        let short = flag.get_short().map(|short| format!("`-{short}` ")).unwrap_or_default();
        let aliases: String =
            flag.get_visible_aliases().unwrap_or_default().iter().map(|alias| format!(", `--{alias}`")).collect();
        let defaults = flag.get_default_values();
        let default = defaults.first().map(|value| format!("`{}`", value.to_string_lossy())).unwrap_or_default();
        let values: Vec<_> = flag.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect();
        let range = match range(&flag) {
            Some((least, most)) => format!("{least} – {most}"),
            None if flag.get_action().takes_values() => values.join(", "),
            None => String::new(),
        };
        let what = flag.get_help().expect("every flag has a help").to_string();
        let what = what.split(" [default").next().expect("a split has a first part").to_owned();
        let default = match heading {
            "Application" => "the application's".to_owned(),
            _ if flag.get_id() == "cpus" => "all allowed".to_owned(),
            _ if flag.get_id() == "ack_timeout" => "the longest of the others".to_owned(),
            _ if flag.get_id() == "client_ban" => "until it leaves".to_owned(),
            _ => default,
        };
        writeln!(text, "| {short}`--{}`{aliases} | {default} | {range} | {what} |", long(&flag)).expect("text");
    }
    text
}

fn read(line: &str) -> Request {
    request::read(line.split(' ').map(OsString::from), std::iter::empty())
}

fn settings(line: &str) -> Settings {
    match read(line) {
        Request::Start(settings) => *settings,
        other => panic!("{line}: {other:?}"),
    }
}

/// The settings' rows that `line` changes.
fn changed(line: &str) -> Vec<(&'static str, String)> {
    let defaults = config::rows(&Settings::default());
    let rows = config::rows(&settings(line));
    rows.into_iter().zip(defaults).filter(|(row, default)| row != default).map(|(row, _)| row).collect()
}

/// Flags without a value.
const SWITCHES: &[&str] = &[
    "compress",
    "no-pin",
    "require-origin",
    "session-cookie-secure",
    "no-session-cache",
    "no-users-online",
    "tls-self-signed",
    "no-http-api",
    "no-sse",
    "supervise",
];

fn argument(flag: &str, value: &str) -> String {
    match value {
        "false" if SWITCHES.contains(&flag) => String::new(),
        _ if SWITCHES.contains(&flag) => format!(" --{flag}"),
        _ => format!(" --{flag} {value}"),
    }
}

/// One value per flag that is not its default and fits the other defaults.
const OTHER_VALUES: &[(&str, &str)] = &[
    ("listen", "127.0.0.1:9000"),
    ("port", "9000"),
    ("host", "127.0.0.1"),
    ("backlog", "100"),
    ("tls-listen", "127.0.0.1:9443"),
    ("tls-cert", "/chain.pem"),
    ("tls-key", "/key.pem"),
    ("tls-key-passphrase-file", "/passphrase"),
    ("tls-self-signed", "true"),
    ("tls-redirect", "127.0.0.1:9080"),
    ("tls-redirect-port", "443"),
    ("max-tls-handshake", "8KiB"),
    ("ktls", "off"),
    ("shards", "3"),
    ("cpus", "0-2,7"),
    ("no-pin", "true"),
    ("tick", "20ms"),
    ("spin-us", "50"),
    ("max-connections", "10k"),
    ("memory-max", "1GiB"),
    ("max-connections-per-address", "8"),
    ("max-connections-per-session", "9"),
    ("max-connections-per-user", "5"),
    ("max-message", "64KiB"),
    ("max-fragments", "9"),
    ("max-head", "8KiB"),
    ("max-body", "2MiB"),
    ("max-subscriptions", "7"),
    ("max-subscriptions-per-address", "200"),
    ("max-subscriptions-per-user", "300"),
    ("max-channels", "5k"),
    ("max-calls", "6"),
    ("max-client-calls", "7"),
    ("max-batch", "3"),
    ("max-depth", "32"),
    ("max-channel-name", "100"),
    ("max-action-name", "101"),
    ("max-call-id", "40"),
    ("client-rate", "15"),
    ("client-ban", "2s"),
    ("call-rate", "21"),
    ("call-burst", "22"),
    ("publish-rate", "23"),
    ("publish-burst", "24"),
    ("subscribe-rate", "25"),
    ("subscribe-burst", "26"),
    ("http-rate", "28"),
    ("http-burst", "29"),
    ("compress", "true"),
    ("compress-threshold", "2KiB"),
    ("compress-level", "5"),
    ("compress-window", "12"),
    ("compress-contexts", "27"),
    ("login-rate", "27"),
    ("ping-interval", "9s"),
    ("ping-timeout", "21s"),
    ("handshake-timeout", "3s"),
    ("call-timeout", "4s"),
    ("send-timeout", "31s"),
    ("ack-timeout", "1m"),
    ("close-timeout", "6s"),
    ("idle-timeout", "61s"),
    ("body-timeout", "31s"),
    ("engine-ping-interval", "26s"),
    ("engine-ping-timeout", "19s"),
    ("max-payload", "1MiB"),
    ("max-payload-packets", "7"),
    ("recovery-window", "2m"),
    ("max-recovery-connections", "21"),
    ("max-recovery-packets", "23"),
    ("max-recovery-bytes", "24KiB"),
    ("max-recovery-total", "25KiB"),
    ("max-attachments", "5"),
    ("slow-consumer", "drop-oldest,ticks.*=conflate"),
    ("sends-per-pass", "64"),
    ("outbox-high-water-mark", "300KiB"),
    ("outbox-bytes-max", "2MiB"),
    ("lane-capacity", "1"),
    ("auth-key-file", "new@HS512:/etc/key"),
    ("token-lifetime", "8h"),
    ("max-token", "1KiB"),
    ("allow-origin", "https://app.example"),
    ("require-origin", "true"),
    ("lane-high-water-mark", "1MiB"),
    ("max-tasks", "10"),
    ("max-timers", "11"),
    ("max-commands", "12"),
    ("max-recipients", "22"),
    ("client-call-timeout", "9s"),
    ("max-command-bytes", "8KiB"),
    ("ack-shape", "error-first"),
    ("channel-events", "off"),
    ("session-cookie", "sid"),
    ("session-cookie-age", "1h"),
    ("session-cookie-secure", "true"),
    ("session-key-file", "/keys"),
    ("session-store", "/sessions"),
    ("session-store-queue", "13"),
    ("session-ttl", "2h"),
    ("session-cache", "5s"),
    ("no-session-cache", "true"),
    ("max-sessions", "14"),
    ("max-session-keys", "15"),
    ("max-session-key", "16"),
    ("max-session-value", "17"),
    ("max-session-bytes", "18"),
    ("max-session-writes", "19"),
    ("max-retired-sessions", "20"),
    ("user-claim", "sub"),
    ("no-users-online", "true"),
    ("user-heartbeat", "10s"),
    ("user-silence", "40s"),
    ("max-user-page", "21"),
    ("no-http-api", "true"),
    ("http-api-prefix", "/actions"),
    ("http-api-basic", "people"),
    ("no-sse", "true"),
    ("sse-path", "/events"),
    ("sse-retry", "5s"),
    ("static", "pages"),
    ("static-index", "home.html"),
    ("static-max-age", "1h"),
    ("static-cache", "32MiB"),
    ("static-max-file", "2MiB"),
    ("admin-listen", "127.0.0.1:9001"),
    ("admin-key-file", "admin.key"),
    ("admin-host", "admin.example"),
    ("admin-rate", "30"),
    ("ring-entries", "256"),
    ("receive-buffers", "2"),
    ("receive-buffer-bytes", "1KiB"),
    ("direct-descriptors", "1k"),
    ("drain", "1s"),
    ("drain-spread", "500ms"),
    ("shard-restarts", "2"),
    ("drain-batch", "10"),
    ("supervise", "true"),
    ("restart-delay", "1s"),
    ("max-restarts", "3"),
    ("hang-timeout", "45s"),
    ("log-level", "warn"),
    ("log-format", "json"),
    ("log-lines-max", "20"),
    ("log-refusals", "5s"),
    ("app-name", "chat"),
];

/// What some flags are refused without.
fn company(flag: &str) -> &'static [&'static str] {
    match flag {
        "tls-listen" => &["tls-self-signed"],
        "tls-cert" | "tls-self-signed" => &["tls-listen"],
        "tls-key" => &["tls-listen", "tls-cert"],
        "tls-redirect" => &["tls-listen", "tls-self-signed"],
        _ => &[],
    }
}

fn other_value(flag: &str) -> &'static str {
    OTHER_VALUES.iter().find(|(name, _)| *name == flag).expect("it is listed").1
}

#[test]
fn no_flag_makes_the_default_settings() {
    assert_eq!(format!("{:?}", settings("socketshard start")), format!("{:?}", Settings::default()));
}

#[test]
fn every_flag_sets_one_setting_and_every_setting_has_a_flag() {
    let tested: BTreeSet<_> = OTHER_VALUES.iter().map(|(flag, _)| (*flag).to_owned()).collect();
    assert_eq!(tested, flags().iter().map(long).collect(), "OTHER_VALUES lists every flag");
    // `rows` takes the settings apart without `..`, so its rows are all there is to set.
    let rows: BTreeSet<_> = config::rows(&Settings::default()).into_iter().map(|(row, _)| row.to_owned()).collect();
    assert_eq!(rows.difference(&tested).next(), None, "every setting has a flag");
    for (flag, value) in OTHER_VALUES {
        let company = company(flag);
        let further: String = company.iter().map(|flag| argument(flag, other_value(flag))).collect();
        // Who asks for TLS alone is not given the default's listener.
        let plain = if further.is_empty() { "" } else { " --port 8000" };
        let line = format!("socketshard start{plain}{further}{}", argument(flag, value));
        let expected = match *flag {
            "host" => ("listen", "127.0.0.1:8000".to_owned()),
            "port" => ("listen", "0.0.0.0:9000".to_owned()),
            flag => (flag, (*value).to_owned()),
        };
        let mut changed = changed(&line);
        changed.retain(|(row, _)| !company.contains(row));
        assert_eq!(changed, [expected], "{line}");
    }
}

#[test]
fn what_check_prints_reads_back_to_the_same_settings() {
    let all: String = OTHER_VALUES
        .iter()
        .filter(|(flag, _)| !["port", "host", "tls-self-signed"].contains(flag))
        .map(|(flag, value)| argument(flag, value))
        .collect();
    let first = settings(&format!("socketshard start{all}"));
    let rows = config::rows(&first);
    let line: String = rows.iter().map(|(flag, value)| argument(flag, value)).collect();
    assert_eq!(format!("{first:?}"), format!("{:?}", settings(&format!("socketshard start{line}"))));
}

#[test]
fn every_range_in_the_help_is_the_range_that_is_kept() {
    let accepts = |flag: &Arg, value: &str| {
        let line = ["socketshard".to_owned(), "start".to_owned(), format!("--{}={value}", long(flag))];
        // What only fails together with other settings has passed its own range.
        !matches!(request::read(line.map(OsString::from), std::iter::empty()), Request::Refuse(_, exit::USAGE))
    };
    let mut ranges = 0;
    for flag in flags() {
        let Some((least, most)) = range(&flag) else { continue };
        ranges += 1;
        let (below, above) = match (duration::parse(&least), duration::parse(&most)) {
            (Ok(least), Ok(most)) => {
                let step = Duration::from_millis(1);
                (least.checked_sub(step).map(duration::format), duration::format(most + step))
            }
            _ => {
                let parse = |text: &str| count::parse(text).or_else(|_| size::parse(text)).expect("a count or a size");
                let (least, most) = (parse(&least), parse(&most));
                (least.checked_sub(1).map(|below| below.to_string()), (most + 1).to_string())
            }
        };
        let name = long(&flag);
        assert!(accepts(&flag, &least), "--{name} takes {least}");
        assert!(accepts(&flag, &most), "--{name} takes {most}");
        assert!(below.is_none_or(|below| !accepts(&flag, &below)), "--{name} takes nothing below {least}");
        assert!(!accepts(&flag, &above), "--{name} does not take {above}");
        for nonsense in ["", "-1", "NaN", "99999999999999999999", "1e3"] {
            assert!(!accepts(&flag, nonsense), "--{name} does not take '{nonsense}'");
        }
    }
    assert!(ranges > 25, "the help still says its ranges ({ranges})");
}

#[test]
fn every_flag_has_a_group_a_variable_and_two_helps() {
    for flag in flags() {
        let name = long(&flag);
        assert!(flag.get_help_heading().is_some(), "--{name} is in a group");
        let variable = format!("SOCKETSHARD_{}", name.to_uppercase().replace('-', "_"));
        assert_eq!(flag.get_env().and_then(|variable| variable.to_str()), Some(variable.as_str()));
        let (short, long) = (flag.get_help().expect("a short help").to_string(), help(&flag));
        assert!(short.len() < 80, "--{name}: the short help fits on a line");
        assert!(long.len() > short.len() + 40, "--{name}: the long help says when to change it");
    }
}

#[test]
fn the_readme_lists_these_flags_and_exit_codes() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let mut readme = std::fs::read_to_string(&path).expect("the workspace has a README");
    let codes: String = exit::CODES.iter().map(|(code, meaning)| format!("| {code} | {meaning} |\n")).collect();
    let codes = format!("\n| code | meaning |\n|---|---|\n{codes}\n");
    for (name, text) in [("flags", format!("{}\n", markdown())), ("exit codes", codes)] {
        let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- end of {name} -->"));
        let start = readme.find(&begin).expect("the README has the mark") + begin.len();
        let stop = start + readme[start..].find(&end).expect("the README has the end's mark");
        if std::env::var_os("UPDATE_README").is_some() {
            readme.replace_range(start..stop, &text);
            std::fs::write(&path, &readme).expect("the README can be written");
        } else {
            assert_eq!(&readme[start..stop], text, "UPDATE_README=1 cargo test -p socketshard writes it anew");
        }
    }
}
