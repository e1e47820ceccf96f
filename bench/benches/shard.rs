//! The whole state machine between bytes in and bytes out: raw echo, calls with the smallest application and with one
//! of the public API, and the sweep over idle connections.

use bench::{World, cases, frame};
use codec::socketcluster::client;
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use shard::{Host, Time};

fn calls(criterion: &mut Criterion) {
    for count in [1, 16] {
        bench_calls(criterion, "echo", World::new(0, 1), "/echo", count);
        bench_calls(criterion, "rpc", World::new(0, 1), "/", count);
        bench_calls(criterion, "rpc with actions", World::serving(), "/socketcluster/", count);
    }
}

fn bench_calls(criterion: &mut Criterion, name: &str, mut world: World<impl Host>, path: &str, count: usize) {
    let id = world.connect(path);
    let stream = frame(|out| client::invoke(out, "app.echo", Some(cases::argument()), Some(7))).repeat(count);
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Elements(count as u64));
    group.bench_function(format!("P={count}"), |bencher| {
        bencher.iter_batched_ref(|| stream.clone(), |bytes| world.turn(id, bytes), BatchSize::SmallInput);
    });
    group.finish();
}

/// A tick in which nothing is due: what idle connections cost beside their heartbeats.
fn sweep(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("tick without anything due");
    for connections in [1_000, 10_000, 100_000] {
        let mut world = World::new(0, 1);
        for _ in 0..connections {
            world.connect("/");
        }
        group.throughput(Throughput::Elements(connections));
        group.bench_function(BenchmarkId::from_parameter(connections), |bencher| {
            bencher.iter(|| world.tick(Time::ZERO));
        });
    }
    group.finish();
}

criterion_group!(benches, calls, sweep);
criterion_main!(benches);
