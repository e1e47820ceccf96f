//! Sockets and words of a service manager: LISTEN_FDS, NOTIFY_SOCKET, WATCHDOG_USEC.

use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::thread;

use harness::process::Process;
use harness::server::{Server, command};
use harness::system;
use harness::tls::{Certificates, TlsClient};
use harness::wait::PATIENCE;
use socket2::{Domain, Socket, Type};

use crate::{Directory, ask};

/// Listening sockets as a manager makes them: they do not block.
fn sockets(count: usize) -> (SocketAddr, Vec<Socket>) {
    let mut address = SocketAddr::from(([127, 0, 0, 1], 0));
    let sockets = Vec::from_iter((0..count).map(|_| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM.nonblocking(), None).expect("a socket");
        socket.set_reuse_port(true).expect("an option");
        socket.bind(&address.into()).expect("a free port");
        socket.listen(128).expect("a listener");
        address = socket.local_addr().expect("bound").as_socket().expect("an address");
        socket
    }));
    (address, sockets)
}

/// Starts the server with these descriptors, for itself: its process id is known in the new process only.
fn activated(descriptors: &[impl AsFd], flags: &str) -> Command {
    let server = command();
    let mut shell = Command::new("sh");
    let line = format!("LISTEN_PID=$$ LISTEN_FDS={} exec \"$0\" start --shards 2 {flags}", descriptors.len());
    shell.args(["-c", &line]).arg(server.get_program());
    let borrowed = Vec::from_iter(descriptors.iter().map(AsFd::as_fd));
    system::pass_on(&mut shell, &borrowed);
    shell
}

#[test]
fn sockets_that_are_handed_over_are_served_however_many_there_are() {
    for count in 1..=3 {
        let (address, sockets) = sockets(count);
        let server = Server::from_command(activated(&sockets, "--listen 127.0.0.1:1"));
        assert_eq!((server.address(), server.shards()), (address, 2), "in the place of --listen");
        for _ in 0..30 {
            ask(address);
        }
        server.signal(libc::SIGTERM);
        assert_eq!(server.into_process().wait(PATIENCE).code(), 0);
    }
}

#[test]
fn whoever_comes_between_two_servers_waits_for_the_second() {
    let (address, sockets) = sockets(2);
    let first = Server::from_command(activated(&sockets, ""));
    ask(address);
    first.signal(libc::SIGTERM);
    assert_eq!(first.into_process().wait(PATIENCE).code(), 0);
    let waiting = Vec::from_iter((0..10).map(|_| thread::spawn(move || ask(address))));
    let _second = Server::from_command(activated(&sockets, ""));
    for asking in waiting {
        asking.join().expect("an answer");
    }
}

/// Two doors, each with a socket for each shard; connections are in the rings' own tables.
#[test]
fn sockets_of_tls_are_handed_over_by_their_names_and_served_by_the_next_server_too() {
    let certificates = Certificates::new();
    let certificate = certificates.write("server", &["localhost"], 2090);
    let ((plain, open), (secure, closed)) = (sockets(2), sockets(2));
    let all = Vec::from_iter(open.into_iter().chain(closed));
    let (file, key) = (certificates.certificate("server"), certificates.key("server"));
    let start = || {
        let mut command = activated(
            &all,
            &format!("--tls-listen 127.0.0.1:1 --tls-cert {file} --tls-key {key} --direct-descriptors 100"),
        );
        command.env("LISTEN_FDNAMES", "listen:listen:tls:tls");
        Server::from_command(command)
    };
    let connect = || TlsClient::connect(secure, "localhost", &certificate).expect("the door is open");
    for _ in 0..2 {
        let server = start();
        assert_eq!((server.address(), server.tls_address()), (plain, secure));
        for _ in 0..10 {
            ask(plain);
            let mut client = connect();
            client.upgrade("localhost", "/echo", &[]).expect("the route is there");
            client.echo(b"here");
        }
        server.signal(libc::SIGTERM);
        // Who comes from now on may wait for the next one.
        assert_eq!(server.into_process().wait(PATIENCE).code(), 0);
    }
}

#[test]
fn a_supervisor_passes_on_what_was_handed_to_it() {
    let (address, sockets) = sockets(1);
    let server = Server::from_command(activated(&sockets, "--supervise --restart-delay 0s"));
    assert_eq!(server.address(), address);
    let child = crate::child(&server);
    system::signal(child, libc::SIGKILL);
    crate::next_child(&server, child, 2);
    ask(address);
}

#[test]
fn what_is_no_listener_is_refused_with_a_code_of_its_own() {
    let file = std::fs::File::open("/dev/null").expect("a file");
    let exit = Process::run(activated(&[file], ""), PATIENCE);
    assert_eq!(exit.code(), 76, "{exit}");
    assert!(exit.stderr.contains("descriptor 3"), "{exit}");
}

#[test]
fn a_manager_is_told_of_start_reload_life_and_end() {
    for supervise in [false, true] {
        let place = Directory::new("notify");
        let path = place.0.join("socket");
        let manager = UnixDatagram::bind(&path).expect("a socket");
        manager.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        let hear = |wanted: &str| loop {
            let mut bytes = [0; 64];
            let length = manager.recv(&mut bytes).unwrap_or_else(|error| panic!("{wanted}: {error}"));
            let said = std::str::from_utf8(&bytes[..length]).expect("text");
            if said == wanted {
                break;
            }
            assert!(said == "WATCHDOG=1", "{said} instead of {wanted}");
        };
        let mut command = harness::server::start_command();
        command.args(["--shards", "2"]).args(supervise.then_some("--supervise"));
        command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "300000");
        let server = Server::from_command(command);
        hear("READY=1");
        hear("WATCHDOG=1");
        hear("WATCHDOG=1");
        if !supervise {
            server.signal(libc::SIGHUP);
            hear("RELOADING=1");
            hear("READY=1");
        }
        server.signal(libc::SIGTERM);
        hear("STOPPING=1");
        assert_eq!(server.into_process().wait(PATIENCE).code(), 0);
    }
}
