//! What a command line means: defaults by scenario, cross-checks, bounds. Never opens anything.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::args::{Args, Leave, ProtocolName, ScenarioName};
use crate::client::Protocol;
use crate::scenario::delivery::PAYLOAD_BYTES_MIN;
use crate::scenario::echo::NUMBER_DIGITS;
use crate::scenario::fanout::Cast;
use crate::scenario::presence::Gathering;
use crate::server::Address;
use crate::socketio;
use crate::threshold::{self, Threshold};
use crate::units::{Network, parse_network};

/// The most connections of a run: one machine's descriptors end long before.
const CONNECTIONS_MAX: u64 = 4_000_000;
/// The largest payload: what servers take by default is far less.
const PAYLOAD_BYTES_MAX: usize = 8 * 1024 * 1024;
/// The longest prefix: names of channels are at most 255 bytes here, with their number.
const CHANNEL_PREFIX_BYTES_MAX: usize = 200;
/// Streams whose sequence numbers are tracked, 16 bytes each: 1 GiB.
const STREAMS_MAX: u64 = 64 * 1024 * 1024;

/// Where the server is.
#[derive(Clone, Debug)]
pub(crate) enum Server {
    /// Running already.
    At(Address),
    /// To be started: the program, if it is not the one beside ours, and its arguments.
    Spawned(Option<PathBuf>, Vec<String>),
}

/// One run, fully decided except for what only the machine knows.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) scenario: ScenarioName,
    pub(crate) server: Server,
    pub(crate) protocol: Protocol,
    pub(crate) path: String,
    /// What is called.
    pub(crate) action: String,
    pub(crate) connections: u64,
    /// Messages per second; none in a closed loop.
    pub(crate) rate: Option<f64>,
    pub(crate) window: u32,
    pub(crate) warmup: Duration,
    pub(crate) duration: Duration,
    pub(crate) drain: Duration,
    pub(crate) messages: Option<u64>,
    pub(crate) source: Option<Network>,
    pub(crate) cast: Cast,
    pub(crate) gathering: Gathering,
    /// TLS is spoken.
    pub(crate) is_tls: bool,
    pub(crate) thresholds: Vec<Threshold>,
    pub(crate) args: Args,
}

/// Decides on a run.
pub(crate) fn decide(mut args: Args) -> Result<Settings, String> {
    let scenario = args
        .scenario()
        .ok_or("name a scenario: echo, rpc, fanout, idle, connect or presence (socketshard-loadgen rpc --spawn)")?;
    let server = match (&args.target, &args.spawn) {
        (Some(target), _) => Server::At(Address::parse(target)?),
        (None, Some(program)) => Server::Spawned(program.clone(), args.server_args.clone()),
        (None, None) => return Err("name a target (--target ws://127.0.0.1:8000) or start our server (--spawn)".into()),
    };
    if matches!(server, Server::At(_)) && (!args.server_args.is_empty() || args.server_cpus.is_some()) {
        return Err("--server-cpus and arguments after -- are for the server that --spawn starts".into());
    }
    let is_tls = tls(&args, &server)?;
    let protocol = protocol(scenario, &args)?;
    let cast = cast(&args, protocol)?;
    let gathering = gathering(&args);
    let connections = connections(scenario, &args, &gathering)?;
    check_payload(scenario, &args)?;
    let source = source(&args, &server)?;
    let is_closed = args.closed_loop || scenario == ScenarioName::Idle;
    let rate = (!is_closed).then(|| {
        args.rate.unwrap_or(match scenario {
            ScenarioName::Fanout => 100.0,
            ScenarioName::Connect => 500.0,
            ScenarioName::Presence => 1_000.0,
            _ => 10_000.0,
        })
    });
    let duration = args.duration.unwrap_or(Duration::from_secs(if args.messages.is_some() { 600 } else { 10 }));
    if duration.is_zero() || args.messages == Some(0) {
        return Err("nothing to measure: --duration and -n must be above zero".into());
    }
    let is_cold = args.messages.is_some() || args.keep_open || scenario == ScenarioName::Idle;
    // Once the first users have had the time to leave, as many leave as come.
    let steady = if scenario == ScenarioName::Presence { args.stay } else { Duration::ZERO };
    let warmup = args.warmup.unwrap_or(if is_cold { Duration::ZERO } else { Duration::from_secs(1) + steady });
    let drain = Duration::from_secs(if scenario == ScenarioName::Presence { 10 } else { 2 });
    let drain = args.drain.unwrap_or(drain);
    let thresholds = args.thresholds.as_deref().map_or(Ok(Vec::new()), threshold::parse)?;
    Ok(Settings {
        scenario,
        protocol,
        path: path(scenario, &args, &server, protocol)?,
        action: action(&args, protocol)?,
        server,
        connections,
        rate,
        window: args.pipeline.unwrap_or(if is_closed { 1 } else { 64 }),
        warmup,
        duration,
        drain,
        messages: args.messages,
        source,
        cast,
        gathering,
        is_tls,
        thresholds,
        args,
    })
}

/// Whether TLS is spoken; the server must then be told from others, or that be waived.
fn tls(args: &Args, server: &Server) -> Result<bool, String> {
    let is_tls = match server {
        Server::At(address) => address.is_tls,
        Server::Spawned(..) => args.tls,
    };
    let is_known = args.ca.is_some() || args.insecure;
    match server {
        Server::At(_) if is_tls && !is_known => {
            Err("a wss:// target needs --ca FILE, or --insecure: no authority is trusted by itself".into())
        }
        Server::At(_) if !is_tls && is_known => Err("--ca and --insecure are for wss:// targets".into()),
        _ => Ok(is_tls),
    }
}

fn protocol(scenario: ScenarioName, args: &Args) -> Result<Protocol, String> {
    let is_raw = scenario == ScenarioName::Echo || (scenario == ScenarioName::Connect && args.raw);
    let protocol = match args.protocol {
        Some(ProtocolName::Raw) => Protocol::WebSocket,
        Some(ProtocolName::Socketcluster) => Protocol::SocketCluster,
        Some(ProtocolName::Socketio) => Protocol::SocketIo,
        Some(ProtocolName::SocketioPolling) => Protocol::SocketIoPolling,
        None if is_raw => Protocol::WebSocket,
        None => Protocol::SocketCluster,
    };
    match (scenario, protocol) {
        (ScenarioName::Echo, Protocol::SocketCluster | Protocol::SocketIo | Protocol::SocketIoPolling) => {
            return Err("echo is raw; calls of a --protocol are measured by rpc".into());
        }
        (ScenarioName::Presence, Protocol::WebSocket | Protocol::SocketIo | Protocol::SocketIoPolling) => {
            return Err("presence speaks --protocol socketcluster".into());
        }
        (ScenarioName::Rpc, Protocol::WebSocket) => return Err("--protocol raw has no calls; use echo".into()),
        _ => {}
    }
    if args.broadcast && !(protocol.is_socket_io() && matches!(scenario, ScenarioName::Fanout | ScenarioName::Idle)) {
        return Err("--broadcast is for fanout and idle by --protocol socketio or socketio-polling".into());
    }
    let wants_channels = args.channels > 1 || args.publisher_shard.is_some() || args.subscriber_shard.is_some();
    if wants_channels && !has_channels(args, protocol) {
        return Err("--channels and shards belong to --protocol socketcluster and, without --broadcast, to socketio: \
                    all else sends everything to all"
            .into());
    }
    Ok(protocol)
}

/// Whether subscribers name what they want to hear.
fn has_channels(args: &Args, protocol: Protocol) -> bool {
    protocol == Protocol::SocketCluster || (protocol.is_socket_io() && !args.broadcast)
}

fn connections(scenario: ScenarioName, args: &Args, gathering: &Gathering) -> Result<u64, String> {
    let connections = match scenario {
        ScenarioName::Fanout if args.connections.is_some() => {
            return Err("fanout takes --publishers and --subscribers instead of --connections".into());
        }
        ScenarioName::Fanout => args.publishers + args.subscribers,
        ScenarioName::Idle => args.connections.unwrap_or(10_000),
        ScenarioName::Connect => args.connections.unwrap_or(if args.keep_open { 1_000 } else { 32 }),
        ScenarioName::Presence => {
            let visitors = args.connections.unwrap_or(gathering.users.min(10_000));
            check_gathering(args, gathering, visitors)?;
            visitors.saturating_add(gathering.rooms)
        }
        ScenarioName::Echo | ScenarioName::Rpc => args.connections.unwrap_or(200),
    };
    if (1..=CONNECTIONS_MAX).contains(&connections) {
        Ok(connections)
    } else {
        Err(format!("--connections {connections} is not between 1 and {CONNECTIONS_MAX}"))
    }
}

/// Who comes to which room. Ten in a room: each join is told to so many.
fn gathering(args: &Args) -> Gathering {
    Gathering {
        users: args.users,
        rooms: args.rooms.unwrap_or((args.users / 10).clamp(1, 1_000)),
        stay: u64::try_from(args.stay.as_nanos()).expect("durations are bounded by a day"),
        disconnects: args.leave == Leave::Disconnect,
    }
}

fn check_gathering(args: &Args, gathering: &Gathering, visitors: u64) -> Result<(), String> {
    let Gathering { users, rooms, .. } = *gathering;
    for (flag, number) in [("--users", users), ("--rooms", rooms), ("--connections", visitors)] {
        if number == 0 || number > CONNECTIONS_MAX {
            return Err(format!("{flag} {number} is not between 1 and {CONNECTIONS_MAX}"));
        }
    }
    if visitors > users {
        return Err(format!("--connections {visitors} is above --users {users}: nobody logs in twice at a time"));
    }
    let threads = args.threads.map_or_else(|| args.cpus.as_ref().map_or(1, |cpus| cpus.0.len()), usize::from) as u64;
    if rooms.min(visitors) < threads {
        return Err(format!("--rooms and --connections below --threads {threads}: each thread has its own"));
    }
    Ok(())
}

fn check_payload(scenario: ScenarioName, args: &Args) -> Result<(), String> {
    if args.size > PAYLOAD_BYTES_MAX {
        return Err(format!("--size {} is above the maximum of {PAYLOAD_BYTES_MAX} bytes", args.size));
    }
    let size_min = match scenario {
        ScenarioName::Echo => NUMBER_DIGITS as usize,
        ScenarioName::Rpc => 2,
        ScenarioName::Fanout => PAYLOAD_BYTES_MIN,
        ScenarioName::Idle | ScenarioName::Connect | ScenarioName::Presence => 0,
    };
    if args.size < size_min {
        return Err(format!("--size {} is too small: {scenario:?} needs {size_min} bytes", args.size).to_lowercase());
    }
    if let Some(data) = &args.data {
        serde_json::from_str::<serde::de::IgnoredAny>(data).map_err(|error| format!("--data is not JSON: {error}"))?;
    }
    Ok(())
}

fn action(args: &Args, protocol: Protocol) -> Result<String, String> {
    // The other is what the servers of the comparison answer.
    let usual = if protocol.is_socket_io() { "echo" } else { "app.echo" };
    let action = args.action.as_deref().unwrap_or(usual);
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\');
    if action.is_empty() || !action.bytes().all(is_plain) {
        return Err(format!("--action '{action}' must hold printable ASCII without spaces and quotes"));
    }
    Ok(action.to_owned())
}

fn cast(args: &Args, protocol: Protocol) -> Result<Cast, String> {
    let (publishers, subscribers, channels) = (args.publishers, args.subscribers, args.channels);
    for (flag, number) in [("--publishers", publishers), ("--subscribers", subscribers), ("--channels", channels)] {
        if number == 0 || number > CONNECTIONS_MAX {
            return Err(format!("{flag} {number} is not between 1 and {CONNECTIONS_MAX}"));
        }
    }
    if !(1..=channels.min(1_000)).contains(&args.subs_per_conn) {
        let problem = format!("--subs-per-conn {} is not between 1 and --channels", args.subs_per_conn);
        return Err(format!("{problem}, and at most 1000"));
    }
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\');
    if args.channel_prefix.len() > CHANNEL_PREFIX_BYTES_MAX || !args.channel_prefix.bytes().all(is_plain) {
        return Err("--channel-prefix must be short printable ASCII without spaces, quotes and backslashes".to_owned());
    }
    let streams = publishers.saturating_mul(subscribers).saturating_mul(args.subs_per_conn);
    if streams.max(publishers.saturating_mul(channels)) > STREAMS_MAX {
        return Err(format!(
            "{publishers} publishers, {subscribers} subscribers and {channels} channels are more than {STREAMS_MAX} \
             streams to keep track of"
        ));
    }
    let size = |number: u64| usize::try_from(number).expect("bounded above");
    Ok(Cast {
        publishers: size(publishers),
        subscribers: size(subscribers),
        channels: size(channels),
        subscriptions: size(args.subs_per_conn),
        shards: args.server_shards.filter(|&shards| shards > 1 && publishers > 1),
        publisher_shard: args.publisher_shard,
        subscriber_shard: args.subscriber_shard,
        protocol,
        has_channels: has_channels(args, protocol),
        prefix: args.channel_prefix.as_str().into(),
        payload_bytes: args.size,
        seed: args.seed,
    })
}

fn source(args: &Args, server: &Server) -> Result<Option<Network>, String> {
    let target = match server {
        Server::At(address) => address.socket,
        Server::Spawned(..) => SocketAddr::from(([127, 0, 0, 1], 0)),
    };
    if !target.ip().is_loopback() && !args.allow_remote {
        return Err(format!("{} is not loopback: add --allow-remote if that server is yours", target.ip()));
    }
    match args.source {
        Some(source) if !source.is_loopback() && !args.allow_remote => {
            Err("--source is not loopback: add --allow-remote if that is meant".into())
        }
        Some(_) if target.is_ipv6() => Err("--source is IPv4 and the target is not".into()),
        Some(source) => Ok(Some(source)),
        None => {
            let is_plain_loopback = matches!(target.ip(), IpAddr::V4(address) if address.is_loopback());
            Ok(is_plain_loopback.then(|| parse_network("127.1.0.0/16").expect("a constant network")))
        }
    }
}

fn path(scenario: ScenarioName, args: &Args, server: &Server, protocol: Protocol) -> Result<String, String> {
    let named = match server {
        Server::At(address) => address.path.clone(),
        Server::Spawned(..) => None,
    };
    let path = args.path.clone().or(named).unwrap_or_else(|| {
        match (protocol, scenario) {
            (Protocol::WebSocket, ScenarioName::Connect) => "/socketcluster/",
            (Protocol::WebSocket, ScenarioName::Fanout | ScenarioName::Idle) => "/fanout",
            (Protocol::WebSocket, _) => "/echo",
            (Protocol::SocketCluster, _) => "/socketcluster/",
            (Protocol::SocketIo, _) => socketio::PATH,
            (Protocol::SocketIoPolling, _) => socketio::POLLING_PATH,
        }
        .to_owned()
    });
    if protocol == Protocol::SocketIoPolling && !path.contains('?') {
        return Err(format!("path '{path}' needs Engine.IO's query, as in {}", socketio::POLLING_PATH));
    }
    if !path.starts_with('/') || path.bytes().any(|byte| !byte.is_ascii_graphic()) {
        return Err(format!("path '{path}' must begin with / and hold printable ASCII without spaces"));
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    fn decided(line: &str) -> Result<Settings, String> {
        let args = Args::try_parse_from(std::iter::once("x").chain(line.split_whitespace())).expect(line);
        decide(args)
    }

    #[test]
    fn each_scenario_has_its_defaults() {
        let echo = decided("echo --target ws://127.0.0.1:8000").expect("valid");
        assert_eq!((echo.connections, echo.rate, echo.path.as_str()), (200, Some(10_000.0), "/echo"));
        assert!(echo.source.is_some());
        let rpc = decided("rpc --target ws://127.0.0.1:8000 --closed-loop").expect("valid");
        assert_eq!((rpc.rate, rpc.window, rpc.path.as_str()), (None, 1, "/socketcluster/"));
        let fanout = decided("fanout --spawn --subscribers 1k --publishers 3").expect("valid");
        assert_eq!((fanout.connections, fanout.rate), (1_003, Some(100.0)));
        let idle = decided("idle --spawn").expect("valid");
        assert_eq!((idle.connections, idle.rate), (10_000, None));
        let named = decided("rpc --target ws://127.0.0.1:8000/chat/").expect("valid");
        assert_eq!(named.path, "/chat/");
        let raw = decided("fanout --spawn --protocol raw").expect("valid");
        assert_eq!((raw.protocol, raw.path.as_str()), (Protocol::WebSocket, "/fanout"));
        let socketio = decided("rpc --spawn --protocol socketio").expect("valid");
        assert_eq!((socketio.protocol, socketio.path.as_str()), (Protocol::SocketIo, socketio::PATH));
        let polling = decided("fanout --spawn --protocol socketio-polling --channels 2").expect("valid");
        assert_eq!((polling.protocol, polling.path.as_str()), (Protocol::SocketIoPolling, socketio::POLLING_PATH));
        assert!(polling.cast.has_channels && !raw.cast.has_channels);
        let broadcast = decided("fanout --spawn --protocol socketio --broadcast").expect("valid");
        assert!(!broadcast.cast.has_channels);
        assert!(decided("rpc --target wss://127.0.0.1:1 --insecure").expect("valid").is_tls);
        assert!(decided("rpc --target https://127.0.0.1:1/x --ca a.pem").expect("valid").is_tls);
        assert!(decided("rpc --spawn --tls").expect("valid").is_tls && !rpc.is_tls);
        assert_eq!((rpc.action.as_str(), socketio.action.as_str()), ("app.echo", "echo"));
        let bare = decided("connect --spawn --raw").expect("valid");
        assert_eq!((bare.protocol, bare.path.as_str()), (Protocol::WebSocket, "/socketcluster/"));
        let presence = decided("presence --spawn --stay 3s").expect("valid");
        assert_eq!((presence.connections, presence.rate, presence.gathering.rooms), (11_000, Some(1_000.0), 1_000));
        assert_eq!(presence.warmup, Duration::from_secs(4));
        let few = decided("presence --spawn --users 30 -c 5 --closed-loop").expect("valid");
        assert_eq!((few.connections, few.rate, few.gathering.rooms), (8, None, 3));
    }

    #[test]
    fn only_loopback_is_loaded_unless_that_is_asked_for() {
        assert!(decided("rpc --target ws://192.0.2.1:80").expect_err("remote").contains("--allow-remote"));
        assert!(decided("rpc --target ws://192.0.2.1:80 --allow-remote").is_ok());
        assert!(decided("rpc --spawn --source 10.0.0.0/8").expect_err("remote").contains("--allow-remote"));
    }

    #[test]
    fn contradictions_are_named() {
        for (line, word) in [
            ("--spawn", "scenario"),
            ("rpc", "--target"),
            ("fanout --spawn -c 5", "--subscribers"),
            ("fanout --spawn -s 10", "50"),
            ("fanout --spawn --subs-per-conn 2", "--channels"),
            ("fanout --spawn --publishers 100k --subscribers 100k", "streams"),
            ("rpc --spawn --data {", "JSON"),
            ("rpc --spawn --action a\"b", "--action"),
            ("rpc --spawn -c 0", "--connections"),
            ("rpc --spawn -d 0s", "--duration"),
            ("rpc --spawn --path x", "path"),
            ("rpc --spawn --protocol raw", "echo"),
            ("presence --spawn --protocol raw", "socketcluster"),
            ("presence --spawn --users 0", "--users"),
            ("presence --spawn --users 10 -c 11", "--users"),
            ("presence --spawn --users 10 --threads 2", "--rooms"),
            ("echo --spawn --protocol socketio", "rpc"),
            ("fanout --spawn --protocol raw --channels 2", "--channels"),
            ("fanout --spawn --protocol socketio --broadcast --subscriber-shard 1", "shards"),
            ("fanout --spawn --broadcast", "--protocol"),
            ("fanout --spawn --channel-prefix a\"b", "--channel-prefix"),
            ("rpc --spawn --protocol socketio --broadcast", "fanout"),
            ("presence --spawn --protocol socketio-polling", "socketcluster"),
            ("echo --spawn --protocol socketio-polling", "rpc"),
            ("rpc --spawn --protocol socketio-polling --path /x/", "query"),
            ("rpc --target wss://127.0.0.1:1", "--insecure"),
            ("rpc --target ws://127.0.0.1:1 --insecure", "wss://"),
            ("rpc --spawn --thresholds p99", "threshold"),
            ("rpc --target ftp://127.0.0.1:1", "ws://"),
            ("rpc --target ws://127.0.0.1:1 -- --x", "--spawn"),
            ("rpc --target ws://127.0.0.1:1 --server-cpus 1", "--spawn"),
        ] {
            let problem = decided(line).expect_err(line);
            assert!(problem.contains(word), "{line}: {problem}");
        }
    }
}
