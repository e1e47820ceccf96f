//! A26, A35, A36 and A53: more of what is allowed than anybody needs.

use std::io;
use std::time::Instant;

use serde_json::{Value, json};

use super::super::case::{Case, Door, Seen, Wanted};
use super::super::member::Member;
use super::super::socket::{Socket, frame};
use super::super::stage::Stage;

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("A26", "20,000 pings", Door::Echo, Wanted::Served, |stage| frames(stage, 0x89)),
        Case::new("A26", "20,000 pongs", Door::Echo, Wanted::Served, |stage| frames(stage, 0x8a)),
        Case::new("A35", "1,001 subscriptions", Door::SocketCluster, Wanted::Error, |stage| {
            let mut member = Member::open(stage)?;
            let packets = Vec::from_iter((0..=1_000).map(|index| {
                json!({ "event": "#subscribe", "data": { "channel": format!("attack.{index}") }, "cid": format!("s{index}") })
            }));
            for half in packets.chunks(500) {
                member.socket().text(&json!(half).to_string())?;
            }
            Ok(match member.reply_to(&json!("s1000"))? {
                Ok(_) => Seen::Served,
                Err(seen @ Seen::Refused(_)) if member.served()? == Seen::Served => seen,
                Err(seen) => seen,
            })
        }),
        Case::new("A35", "10,000 channels that are left at once", Door::SocketCluster, Wanted::Served, churn),
        Case::new("A36", "5,000 publications to 20 subscribers", Door::SocketCluster, Wanted::Served, publications),
        Case::new("A53", "300 connections at one moment", Door::Http, Wanted::Served, storm),
    ]
}

/// All are there before the first asks for something, and each is answered.
fn storm(stage: &Stage) -> io::Result<Seen> {
    const COUNT: usize = 300;
    let mut wires = (0..COUNT).map(|_| stage.connect()).collect::<io::Result<Vec<_>>>()?;
    let request = format!("GET {} HTTP/1.1\r\nHost: {}\r\n\r\n", stage.page_path(), stage.host());
    for wire in &mut wires {
        // Who was shed meanwhile is not answered either.
        let _ = wire.send(request.as_bytes());
    }
    let mut answered = 0;
    for wire in &mut wires {
        answered += usize::from(wire.answer()?.is_ok_and(|answer| answer.status == 200));
    }
    drop(wires);
    if answered != COUNT {
        return Ok(Seen::Wrong(format!("{answered} of {COUNT} were answered")));
    }
    stage.newcomer()
}

/// Control frames of 125 bytes, 100 at a time; after each hundred the echo has to answer. Of a hundred pings one is answered
/// at least (RFC 6455, section 5.5.3), and never more than have come; pongs are not.
fn frames(stage: &Stage, first: u8) -> io::Result<Seen> {
    let mut socket = Socket::echo(stage)?;
    let hundred = frame(first, &[b'p'; 125]).repeat(100);
    let due = if first == 0x89 { 1..=100 } else { 0..=0 };
    for _ in 0..200 {
        socket.send(&hundred)?;
        let before = socket.pongs();
        match socket.served()? {
            Seen::Served => {}
            seen => return Ok(seen),
        }
        let pongs = socket.pongs() - before;
        if !due.contains(&pongs) {
            return Ok(Seen::Wrong(format!("{pongs} pongs to a hundred frames")));
        }
    }
    Ok(Seen::Served)
}

/// Subscribes to names that nobody has, and leaves them again.
fn churn(stage: &Stage) -> io::Result<Seen> {
    let mut member = Member::open(stage)?;
    for round in 0..20 {
        let names = Vec::from_iter((0..500).map(|index| format!("{}/{round}/{index}", "long".repeat(20))));
        for event in ["#subscribe", "#unsubscribe"] {
            for half in names.chunks(250) {
                let packets = half.iter().enumerate().map(|(index, name)| {
                    let data = if event == "#subscribe" { json!({ "channel": name }) } else { json!(name) };
                    json!({ "event": event, "data": data, "cid": format!("{event}{index}") })
                });
                member.socket().text(&Value::from_iter(packets).to_string())?;
                if let Err(seen) = member.reply_to(&json!(format!("{event}{}", half.len() - 1)))? {
                    return Ok(seen);
                }
            }
        }
    }
    member.served()
}

/// One publishes faster than anybody would; all subscribers read, and miss nothing.
fn publications(stage: &Stage) -> io::Result<Seen> {
    const CHANNEL: &str = "attack.loud";
    const COUNT: usize = 5_000;
    let mut readers = Vec::new();
    for _ in 0..20 {
        let mut reader = Member::open(stage)?;
        if let Err(seen) = reader.call("#subscribe", &json!({ "channel": CHANNEL }))? {
            return Ok(seen);
        }
        readers.push(reader);
    }
    let mut publisher = Member::open(stage)?;
    for hundred in 0..COUNT / 100 {
        let packets = (0..100)
            .map(|index| json!({ "event": "#publish", "data": { "channel": CHANNEL, "data": hundred * 100 + index } }));
        publisher.socket().text(&Value::from_iter(packets).to_string())?;
        if publisher.served()? != Seen::Served {
            return Ok(Seen::Wrong("the publisher was hurt".to_owned()));
        }
    }
    for reader in &mut readers {
        // Its call is answered behind what was published before, or is at the latest then read.
        let end = Instant::now() + stage.patience();
        let mut heard = 0;
        while heard < COUNT && Instant::now() < end {
            match reader.served()? {
                Seen::Served => heard += reader.take_publications().len(),
                seen => return Ok(seen),
            }
        }
        if heard != COUNT {
            return Ok(Seen::Wrong(format!("a subscriber heard {heard} of {COUNT}")));
        }
    }
    Ok(Seen::Served)
}
