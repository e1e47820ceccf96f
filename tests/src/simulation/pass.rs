//! One pass of a simulated driver over one shard, in the order that the shard's contract prescribes, and what it does to
//! the sockets. Checks the contract's other half: events in order and once, one send per connection, owned bytes that
//! stay where they are.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use shard::{Batch, Door, Envelope, Event, Mode, ShardId};

use super::death::Mortal;
use super::mesh::Sent;
use super::network::End;
use super::station::Completion;
use super::world::{Happening, World};

impl World {
    /// One pass.
    pub(super) fn pass(&mut self, index: usize) {
        let now = self.now;
        self.stations[index].is_scheduled = false;
        if self.stations[index].tenure.is_dead {
            return;
        }
        self.stations[index].shard.begin_turn(now);
        for completion in self.completions(index) {
            self.complete(index, completion);
            self.stations[index].shard.check();
        }
        self.take_notices(index);
        self.receive_batches(index);
        let station = &mut self.stations[index];
        let due = if station.shard.is_joining() { Vec::new() } else { station.application.due(now) };
        for mut command in due {
            station.application.carry_out(&mut command);
            station.shard.command(now, command, &mut station.application);
        }
        if std::mem::take(&mut station.is_shutdown_due) {
            station.shard.handle_shutdown(now);
        }
        station.shard.settle(now, &mut station.application);
        station.shard.check();
        self.send_batches(index);
        self.transmit(index);
        self.carry_out_events(index);
        let station = &self.stations[index];
        station.shard.check();
        let needs_pass = station.shard.has_work() || !station.failures.is_empty();
        if let Some(at) = station.application.next_due().filter(|_| !station.shard.is_joining()) {
            self.at(at, Happening::Wake(index));
        }
        if needs_pass || self.has_input(index) {
            self.wake(index);
        }
    }

    /// Whether anything waits for the shard's next pass.
    pub(super) fn has_input(&self, index: usize) -> bool {
        let station = &self.stations[index];
        let has_landed =
            |client: usize| self.links[client].flight.as_ref().is_some_and(|flight| flight.outcome.is_some());
        station.is_tick_due
            || !station.tenure.notices.is_empty()
            || (!station.accepts.is_empty() && !station.shard.is_joining())
            || station.ports.values().any(|(_, client)| self.links[*client].has_arrived() || has_landed(*client))
    }

    /// What has happened since the last pass: of each connection in order, of several in any order.
    fn completions(&mut self, index: usize) -> Vec<Completion> {
        let station = &mut self.stations[index];
        let mut sources: Vec<VecDeque<Completion>> = Vec::new();
        for (token, sent) in station.failures.drain(..) {
            sources.push(VecDeque::from([Completion::Failed(token, sent)]));
        }
        if std::mem::take(&mut station.is_tick_due) {
            sources.push(VecDeque::from([Completion::Tick]));
        }
        if !station.shard.is_joining() {
            sources.push(station.accepts.drain(..).map(Completion::Accept).collect());
        }
        if !station.gone.is_empty() && self.random.u8(..30) == 0 {
            let stale = *self.random.choice(&station.gone).expect("there is one");
            sources.push(VecDeque::from([Completion::Stale(stale)]));
        }
        for (id, client) in station.ports.values().copied() {
            let link = &mut self.links[client];
            if link.flight.as_ref().is_some_and(|flight| flight.outcome.is_some()) {
                sources.push(VecDeque::from([Completion::Sent(id, client)]));
            }
            let mut received = VecDeque::new();
            for _ in 0..self.random.u8(1..4) {
                match link.receive(&mut self.random) {
                    None => break,
                    Some(bytes) if bytes.is_empty() => received.push_back(Completion::End(id)),
                    Some(bytes) => received.push_back(Completion::Receive(id, client, bytes)),
                }
            }
            sources.push(received);
        }
        let mut completions = Vec::new();
        while !sources.is_empty() {
            let chosen = self.random.usize(..sources.len());
            match sources[chosen].pop_front() {
                Some(completion) => completions.push(completion),
                None => drop(sources.swap_remove(chosen)),
            }
        }
        completions
    }

    fn complete(&mut self, index: usize, completion: Completion) {
        let now = self.now;
        let detail = || format!("shard {index}: {completion:.120?}");
        self.oracle.borrow_mut().note(&[2, index as u64, completion.kind()], detail);
        if let Completion::Accept(client) = completion {
            return self.accept(index, client);
        }
        if let Completion::Sent(id, client) = completion {
            return self.landed(index, id, client);
        }
        let station = &mut self.stations[index];
        let (shard, host) = (&mut station.shard, &mut station.application);
        match completion {
            Completion::Receive(id, client, mut bytes) => {
                let mut oracle = self.oracle.borrow_mut();
                oracle.trace.note_bytes(&bytes);
                oracle.heard_from(client);
                drop(oracle);
                shard.handle_receive(now, id, &mut bytes, host);
            }
            Completion::End(id) => shard.handle_end(now, id, host),
            Completion::Failed(token, sent) => shard.handle_send_failed(now, token, sent, host),
            Completion::Stale(id) => {
                shard.handle_receive(now, id, &mut b"GET / HTTP/1.1\r\nHost: late\r\n\r\n".to_vec(), host);
                shard.handle_sent(now, id, Ok(1), host);
                shard.handle_end(now, id, host);
            }
            Completion::Tick => shard.handle_tick(now, host),
            Completion::Accept(_) | Completion::Sent(..) => unreachable!("done above"),
        }
    }

    fn accept(&mut self, index: usize, client: usize) {
        let station = &mut self.stations[index];
        let [_, _, high, low] = u32::try_from(client).expect("few clients").to_be_bytes();
        let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, high, low)), 1_234);
        let accepted = station.shard.handle_accept(self.now, address, Door::Plain);
        let mut oracle = self.oracle.borrow_mut();
        let record = &mut oracle.records[client];
        record.last_arrival = self.now;
        let Some(id) = accepted else {
            let is_full = station.ports.len() >= self.plan.limits.connections_max;
            record.may_vanish = true;
            assert!(is_full || oracle.is_shutting_down, "refused without need");
            drop(oracle);
            return self.end_down(client);
        };
        record.id = Some(id);
        let before = station.ports.insert(id.slot, (id, client));
        assert!(before.is_none(), "slot {} is given away before it was closed", id.slot);
        assert!(!station.gone.contains(&id), "{id:?} is used again");
    }

    /// An owned send is over: its bytes must lie where they lay, unchanged.
    fn landed(&mut self, index: usize, id: shard::ConnectionId, client: usize) {
        let station = &mut self.stations[index];
        let flight = self.links[client].flight.take().expect("it has an outcome");
        let kept = station.shard.flying(id).expect("the bytes of an owned send are kept until it is over");
        assert_eq!(kept.as_ptr() as usize, flight.address, "the bytes of an owned send were moved");
        assert!(kept == flight.bytes, "the bytes of an owned send were changed");
        self.oracle.borrow_mut().records[client].flies(self.now, false);
        let outcome = flight.outcome.expect("it is over");
        station.shard.handle_sent(self.now, id, outcome, &mut station.application);
    }

    fn receive_batches(&mut self, index: usize) {
        let now = self.now;
        for peer in 0..self.plan.shards {
            while let Some(batch) = self.mesh.receive(now, peer, index) {
                self.receive_batch(index, peer, &batch);
                self.wake(peer);
                if self.random.u8(..8) == 0 {
                    break;
                }
            }
        }
    }

    pub(super) fn receive_batch(&mut self, index: usize, peer: usize, batch: &Batch) {
        for envelope in batch.iter() {
            let mut oracle = self.oracle.borrow_mut();
            match envelope {
                Envelope::Publication { channel, data } => oracle.reach(index, channel, data),
                Envelope::Addressed { audience, names, act } => {
                    oracle.addressed(peer, index, audience, names, act);
                }
                _ => {}
            }
        }
        let detail = || format!("shard {index}: {} envelopes from {peer}", batch.len());
        self.oracle.borrow_mut().note(&[3, index as u64, peer as u64, batch.len() as u64], detail);
        let from = ShardId(u8::try_from(peer).expect("few shards"));
        self.stations[index].shard.handle_batch(self.now, from, batch);
        self.stations[index].shard.check();
    }

    fn send_batches(&mut self, index: usize) {
        for peer in (0..self.plan.shards).filter(|peer| *peer != index) {
            let to = ShardId(u8::try_from(peer).expect("few shards"));
            while let Some(batch) = self.stations[index].shard.poll_batch(to) {
                assert!(!batch.is_empty(), "an empty batch");
                match self.mesh.send(self.now, (index, peer), batch, &self.faults, &mut self.random) {
                    Sent::Arrives(at) => self.at(at, Happening::Wake(peer)),
                    Sent::Full(batch, retry) => {
                        self.stations[index].shard.return_batch(to, batch);
                        if let Some(at) = retry {
                            self.at(at, Happening::Wake(index));
                        }
                        break;
                    }
                }
            }
        }
    }

    /// Takes every send of the turn.
    fn transmit(&mut self, index: usize) {
        let mut seen = Vec::new();
        while let Some(transmit) = self.stations[index].shard.poll_transmit() {
            let (id, token, mode) = (transmit.connection, transmit.token, transmit.mode);
            let (address, bytes) = (transmit.bytes.as_ptr() as usize, transmit.bytes.to_vec());
            let client = self.stations[index].client(id);
            let link = &mut self.links[client];
            assert!(!seen.contains(&id), "two sends to {id:?} in one turn");
            assert!(!bytes.is_empty(), "a send of nothing to {id:?}");
            assert!(link.flight.is_none() && !link.is_shut_down, "a send to {id:?} out of turn");
            seen.push(id);
            let detail = || format!("shard {index}: {mode:?} {} bytes to client {client}", bytes.len());
            self.oracle.borrow_mut().note(&[4, client as u64, bytes.len() as u64], detail);
            if mode == Mode::Owned {
                link.take_off(address, bytes);
                self.flight_begins(client);
                continue;
            }
            let sent = link.send_down(&bytes, &self.faults, &mut self.random);
            if sent != Ok(bytes.len()) {
                self.stations[index].failures.push((token, sent));
                self.oracle.borrow_mut().records[client].went_short = true;
            }
            if sent.is_err() {
                self.oracle.borrow_mut().records[client].may_vanish = true;
                self.end_down(client);
            }
            self.push_down(client, &bytes[..sent.unwrap_or(0)]);
        }
    }

    fn flight_begins(&mut self, client: usize) {
        let mut oracle = self.oracle.borrow_mut();
        let record = &mut oracle.records[client];
        record.flies(self.now, true);
        drop(oracle);
        let at = self.now + self.faults.delay(self.faults.network_micros / 4, &mut self.random);
        self.at(at, Happening::Fly(client));
    }

    fn carry_out_events(&mut self, index: usize) {
        while let Some(event) = self.stations[index].shard.poll_event() {
            self.oracle.borrow_mut().note(&[5, index as u64], || format!("shard {index}: {event:?}"));
            let station = &mut self.stations[index];
            match event {
                Event::PauseReceive(id) => {
                    let client = station.client(id);
                    let record = &mut self.oracle.borrow_mut().records[client];
                    record.is_paused = true;
                    // Who has logged in has said something to its user's home.
                    let has_spoken = record.is_open || record.login.is_some();
                    let may_pause = record.dialect.is_none() || has_spoken || record.may_vanish_unopened;
                    assert!(may_pause, "client {client} has to wait, though it has caused nothing yet");
                    let link = &mut self.links[client];
                    if std::mem::replace(&mut link.is_reading, false) {
                        link.late_receives = self.random.u8(..3);
                    }
                }
                Event::ResumeReceive(id) => {
                    let client = station.client(id);
                    self.links[client].is_reading = true;
                    let record = &mut self.oracle.borrow_mut().records[client];
                    record.last_resumed = self.now;
                    record.is_paused = false;
                }
                Event::Shutdown(id) => {
                    let client = station.client(id);
                    let link = &mut self.links[client];
                    assert!(link.flight.is_none(), "shut down with a send in flight");
                    assert!(!std::mem::replace(&mut link.is_shut_down, true), "shut down twice");
                    self.end_down(client);
                }
                Event::Abort(id) => {
                    let client = station.client(id);
                    let link = &mut self.links[client];
                    assert!(!std::mem::replace(&mut link.is_aborted, true), "aborted twice");
                    assert!(link.flight.is_some(), "aborted with nothing in flight");
                    self.end_down(client);
                    let at = self.now + self.faults.delay(2_000, &mut self.random);
                    self.at(at, Happening::Fly(client));
                }
                Event::Close(id) => {
                    let client = station.client(id);
                    assert!(self.links[client].flight.is_none(), "closed with a send in flight");
                    station.ports.remove(&id.slot);
                    station.gone.push(id);
                    self.oracle.borrow_mut().records[client].is_released = true;
                    self.end_down(client);
                    self.links[client].end_up(self.now, End::Reset);
                }
            }
        }
    }
}

impl Completion {
    const fn kind(&self) -> u64 {
        match self {
            Self::Accept(_) => 0,
            Self::Receive(..) => 1,
            Self::End(..) => 2,
            Self::Sent(..) => 3,
            Self::Failed(..) => 4,
            Self::Stale(_) => 5,
            Self::Tick => 6,
        }
    }
}
