//! The admin listener of a real server on two shards: who is answered, what is counted, and what a backend can do by curl.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use harness::http::{Http, Response};
use harness::member::Member;
use harness::process::Process;
use harness::server::{Server, start_command};
use harness::wait::{PATIENCE, until};
use serde_json::{Value, json};

use crate::curl::curl;

const KEY: &str = "0123456789abcdef0123456789abcdef";

/// A server with an admin listener that has a key.
fn watched(name: &str) -> (Server, PathBuf) {
    let file = std::env::temp_dir().join(format!("socketshard-admin-{}-{name}", std::process::id()));
    fs::write(&file, format!("{KEY}\n")).expect("the key can be written");
    let path = file.display().to_string();
    (Server::start(&["--admin-listen", "127.0.0.1:0", "--admin-key-file", &path]), file)
}

fn get(address: SocketAddr, target: &str, headers: &str) -> Response {
    let mut http = Http::connect(address);
    http.send(format!("GET {target} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n").as_bytes());
    http.response(false)
}

/// What the server API answers to a call.
fn call(server: &Server, action: &str, argument: &Value) -> (u16, Value) {
    let url = format!("http://{}/api/{action}", server.admin_address());
    let (key, body) = (format!("Authorization: Bearer {KEY}"), argument.to_string());
    let answer = curl(&[&url, "-H", &key, "-d", &body]);
    (answer.status(), serde_json::from_str(&answer.body).unwrap_or_else(|error| panic!("{error}: {answer:?}")))
}

#[test]
fn nobody_without_the_key_or_by_another_name_is_answered() {
    let (server, file) = watched("gate");
    let address = server.admin_address();
    let key = format!("Authorization: Bearer {KEY}\r\n");
    for (target, headers, status) in [
        ("/healthz", String::new(), 200),
        ("/readyz", String::new(), 200),
        ("/metrics", String::new(), 401),
        ("/stats.json", "Authorization: Bearer wrong\r\n".to_owned(), 401),
        ("/api/users/online", "Authorization: Basic YTpi\r\n".to_owned(), 401),
        ("/metrics", key.clone(), 200),
        ("/api", key.clone(), 200),
        ("/api/openapi.json", key.clone(), 200),
        ("/nothing", key.clone(), 404),
        ("/api/nothing", key.clone(), 404),
        ("/metrics", format!("{key}Origin: http://127.0.0.1\r\n"), 403),
        ("/metrics", format!("{key}Sec-Fetch-Site: cross-site\r\n"), 403),
    ] {
        let answer = get(address, target, &format!("Host: {address}\r\n{headers}"));
        assert_eq!(answer.status, status, "{target} {headers}");
    }
    assert_eq!(get(address, "/metrics", &format!("Host: rebound.example\r\n{key}")).status, 421);
    let upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n";
    assert_ne!(get(address, "/socketcluster/", &format!("Host: {address}\r\n{key}{upgrade}")).status, 101);
    assert_eq!(get(server.address(), "/metrics", "Host: a\r\n").status, 404, "not by the door of clients");
    server.expect_told("admin_refused");
    server.assert_no_panic();
    fs::remove_file(file).expect("it was written here");
}

#[test]
fn counters_of_all_shards_are_read_at_any() {
    let server = Server::start(&["--admin-listen", "127.0.0.1:0"]);
    let (mut near, mut far) = Member::pair(server.address());
    for member in [&mut near, &mut far] {
        assert_eq!(member.call("app.square", &json!(3)), Ok(json!(9)));
    }
    let address = server.admin_address();
    let read = |target| get(address, target, &format!("Host: {address}\r\n"));
    let metrics = until("both shards to have counted", PATIENCE, || {
        let text = read("/metrics").text().to_owned();
        let value = |shard: u8| {
            let series = format!("socketshard_calls_total{{shard=\"{shard}\"}} ");
            text.lines().find_map(|line| line.strip_prefix(&series)?.parse::<u64>().ok()).unwrap_or(0)
        };
        (value(0) > 0 && value(1) > 0).then_some(text)
    });
    assert!(metrics.contains("# TYPE socketshard_connections gauge\nsocketshard_connections{shard=\"0\"} "));
    assert!(metrics.lines().all(|line| line.starts_with("# TYPE ") || line.starts_with("socketshard_")), "{metrics}");
    let stats: Value = serde_json::from_str(read("/stats.json").text()).expect("JSON");
    assert_eq!(stats["shards"].as_array().map(Vec::len), Some(2));
    assert!(stats["total"]["calls"].as_u64() >= Some(2), "{stats}");
    // Without a key nothing can be done here.
    assert_eq!(read("/api/users/online").status, 403);
}

#[test]
fn a_backend_publishes_and_tells_and_asks_and_ends() {
    let (server, file) = watched("api");
    let (mut near, mut far) = Member::pair(server.address());
    for member in [&mut near, &mut far] {
        member.call("app.login", &json!({ "user": "alice" })).expect("anybody may");
        member.subscribe("news");
    }
    far.subscribe("other");
    assert_eq!(call(&server, "publish", &json!({ "channel": "news", "data": { "b": 1, "a": 1e2 } })).0, 200);
    let batch = json!([{ "channel": "news", "data": 2 }, { "channel": ["news", "other"], "data": [3] }]);
    assert_eq!(call(&server, "publish", &batch), (200, json!({ "published": 3 })));
    for member in [&mut near, &mut far] {
        for data in [json!({ "b": 1, "a": 100.0 }), json!(2), json!([3])] {
            assert_eq!(member.publication(), ("news".to_owned(), data));
        }
    }
    assert_eq!(far.publication(), ("other".to_owned(), json!([3])));
    let to_alice = json!({ "users": "alice", "event": "mail", "data": "x" });
    assert_eq!(call(&server, "event", &to_alice), (200, Value::Null));
    assert_eq!(call(&server, "event", &json!({ "everyone": true, "event": "all" })).0, 200);
    for member in [&mut near, &mut far] {
        assert_eq!(member.event(), ("mail".to_owned(), json!("x")));
        assert_eq!(member.event(), ("all".to_owned(), Value::Null));
    }
    until("alice to be counted", PATIENCE, || {
        let (_, online) = call(&server, "users/online", &json!({ "count": 10 }));
        (online == json!({ "count": 1, "users": ["alice"], "next": null })).then_some(())
    });
    assert_eq!(call(&server, "users/is_online", &json!({ "user": "alice" })), (200, json!(true)));
    assert_eq!(call(&server, "channels/subscribers", &json!({ "channel": "news" })), (200, json!(2)));
    let first = json!({ "channels": [{ "channel": "news", "subscribers": 2 }], "next": "news" });
    assert_eq!(call(&server, "channels/list", &json!({ "count": 1 })), (200, first));
    let rest = json!({ "channels": [{ "channel": "other", "subscribers": 1 }], "next": null });
    assert_eq!(call(&server, "channels/list", &json!({ "after": "news" })), (200, rest));
    assert_eq!(call(&server, "kick_out", &json!({ "users": "alice", "channel": "news", "message": "go" })).0, 200);
    until("nobody is left there", PATIENCE, || {
        (call(&server, "channels/subscribers", &json!({ "channel": "news" })).1 == json!(0)).then_some(())
    });
    assert_eq!(call(&server, "disconnect", &json!({ "users": ["alice"], "code": 4500, "reason": "bye" })).0, 200);
    for member in [near, far] {
        assert_eq!(member.into_socket().expect_close().0, 4500);
    }
    for (action, argument) in [
        ("publish", json!({ "channel": "" })),
        ("publish", json!({ "chanel": "news" })),
        ("event", json!({ "users": "a", "everyone": true, "event": "x" })),
        ("event", json!({ "users": "a", "event": "#publish" })),
        ("disconnect", json!({ "code": 4000 })),
        ("disconnect", json!({ "users": "a", "connections": "b", "code": 4000 })),
        ("disconnect", json!({ "everyone": true, "conections": "b", "code": 4000 })),
        ("kick_out", json!({ "channel": "news" })),
        ("disconnect", json!({ "users": "a", "code": 1006 })),
        ("users/is_online", json!(7)),
    ] {
        assert_eq!(call(&server, action, &argument).0, 400, "{action} {argument}");
    }
    fs::remove_file(file).expect("it was written here");
}

#[test]
fn one_connection_is_ended_by_its_public_id_and_a_channel_is_emptied() {
    let (server, file) = watched("single");
    let (mut near, mut far) = Member::pair(server.address());
    let mut third = Member::connect(server.address());
    for member in [&mut near, &mut far, &mut third] {
        member.subscribe("news");
        member.subscribe("other");
    }
    let ids = json!([near.id(), third.id(), "nobody's"]);
    assert_eq!(call(&server, "kick_out", &json!({ "connections": ids, "channel": "other" })).0, 200);
    until("one is left there", PATIENCE, || {
        (call(&server, "channels/subscribers", &json!({ "channel": "other" })).1 == json!(1)).then_some(())
    });
    let one = json!({ "connections": far.id(), "code": 4100, "reason": "you" });
    assert_eq!(call(&server, "disconnect", &one).0, 200);
    assert_eq!(far.into_socket().expect_close(), (4100, "you".to_owned()));
    assert_eq!(call(&server, "kick_out", &json!({ "everyone": true, "channel": "news", "message": "closed" })).0, 200);
    until("nobody is left there", PATIENCE, || {
        (call(&server, "channels/subscribers", &json!({ "channel": "news" })).1 == json!(0)).then_some(())
    });
    assert_eq!(near.call("app.square", &json!(2)), Ok(json!(4)), "the others stay connected");
    assert_eq!(call(&server, "disconnect", &json!({ "everyone": true, "code": 4101 })).0, 200);
    for member in [near, third] {
        assert_eq!(member.into_socket().expect_close().0, 4101);
    }
    fs::remove_file(file).expect("it was written here");
}

#[test]
fn requests_beyond_the_admin_listeners_rate_are_refused_and_clients_are_not_counted() {
    let server = Server::start(&["--admin-listen", "127.0.0.1:0", "--admin-rate", "5"]);
    let statuses = |address: SocketAddr| -> Vec<u16> {
        // By one connection, and so by one shard.
        let mut http = Http::connect(address);
        http.send(format!("GET /healthz HTTP/1.1\r\nHost: {address}\r\n\r\n").repeat(20).as_bytes());
        (0..20).map(|_| http.response(false).status).collect()
    };
    let of_admin = statuses(server.admin_address());
    assert!(of_admin[..5].iter().all(|status| *status == 200), "{of_admin:?}");
    assert!(of_admin.contains(&429) && of_admin.iter().all(|status| [200, 429].contains(status)), "{of_admin:?}");
    assert_eq!(statuses(server.address()), [200; 20]);
}

#[test]
fn a_public_address_without_a_key_and_a_short_key_are_refused() {
    let mut command = start_command();
    command.args(["--admin-listen", "0.0.0.0:0"]);
    let exit = Process::run(command, PATIENCE);
    assert_eq!(exit.code(), 3, "{exit}");
    assert!(exit.stderr.contains("--admin-key-file"), "{exit}");
    let mut command = start_command();
    command.args(["--admin-listen", "127.0.0.1:0"]).env("SOCKETSHARD_ADMIN_KEY", "short");
    let exit = Process::run(command, PATIENCE);
    assert_eq!(exit.code(), 66, "{exit}");
}
