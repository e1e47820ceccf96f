//! The whole state machine between bytes in and bytes out: echo, RPC, fan-out, and a batch from a peer shard.

use bench::{World, frame};
use codec::message::RawJson;
use codec::socketcluster::client;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use shard::{Batch, Envelope};

fn calls(criterion: &mut Criterion) {
    let data = format!("\"{}\"", "x".repeat(24));
    for (name, path, count) in [("echo", "/echo", 1), ("echo", "/echo", 16), ("rpc", "/", 1), ("rpc", "/", 16)] {
        let mut world = World::new(0, 1);
        let id = world.connect(path);
        let one = frame(|out| client::invoke(out, "app.echo", Some(RawJson::from_validated(&data)), Some(7)));
        let stream = one.repeat(count);
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(format!("P={count}"), |bencher| {
            bencher.iter_batched_ref(|| stream.clone(), |bytes| world.turn(id, bytes), BatchSize::SmallInput);
        });
        group.finish();
    }
}

fn fan_out(criterion: &mut Criterion) {
    for (subscribers, count) in [(1_000, 1), (1_000, 16)] {
        let mut world = World::new(0, 1);
        for _ in 0..subscribers {
            let id = world.connect("/");
            world.turn(id, &mut frame(|out| client::subscribe(out, "lobby", Some(2))));
        }
        let publisher = world.connect("/");
        let data = RawJson::from_validated(r#""0123456789012345678901234567890123456789""#);
        let stream = frame(|out| client::publish(out, "lobby", Some(data), None)).repeat(count);
        let mut group = criterion.benchmark_group("fan-out");
        group.throughput(Throughput::Elements((subscribers * count) as u64));
        group.bench_function(format!("{subscribers} subscribers W={count}"), |bencher| {
            bencher.iter_batched_ref(|| stream.clone(), |bytes| world.turn(publisher, bytes), BatchSize::SmallInput);
        });
        group.finish();
    }
}

fn mesh(criterion: &mut Criterion) {
    let mut world = World::new(0, 2);
    let id = world.connect("/");
    world.turn(id, &mut frame(|out| client::subscribe(out, "lobby", Some(2))));
    let mut batch = Batch::default();
    batch.push(Envelope::InterestAcknowledged { channel: "lobby", generation: 1 });
    world.batch(1, &batch);
    let mut batch = Batch::default();
    for _ in 0..32 {
        batch.push(Envelope::Publication { channel: "lobby", data: Some("\"0123456789012345678901234567890\"") });
    }
    assert!(world.batch(1, &batch) > 0, "the publications are delivered");
    let mut group = criterion.benchmark_group("mesh");
    group.throughput(Throughput::Elements(32));
    group.bench_function("batch of 32", |bencher| bencher.iter(|| world.batch(1, &batch)));
    group.finish();
}

criterion_group!(benches, calls, fan_out, mesh);
criterion_main!(benches);
