//! Publications through a shard: fan-out to local subscribers, the interest of peers looked up in tables of any size,
//! and the mesh's batches.

use std::hint::black_box;

use bench::{World, cases, frame};
use codec::socketcluster::client;
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use shard::{Batch, Envelope};

fn fan_out(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("fan-out");
    group.sample_size(20);
    for (subscribers, count) in [(1, 1), (100, 1), (1_000, 1), (1_000, 16), (10_000, 1)] {
        let mut world = World::new(0, 1);
        for _ in 0..subscribers {
            world.subscriber(&["lobby"]);
        }
        let publisher = world.connect("/");
        let stream = frame(|out| client::publish(out, "lobby", Some(cases::argument()), None)).repeat(count);
        group.throughput(Throughput::Elements((subscribers * count) as u64));
        group.bench_function(format!("{subscribers} subscribers W={count}"), |bencher| {
            bencher.iter_batched_ref(|| stream.clone(), |bytes| world.turn(publisher, bytes), BatchSize::SmallInput);
        });
    }
    group.finish();
}

/// A publisher whose publications only peer 1 wants, each to another of so many channels.
fn interest(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("interest");
    for channels in [1_usize, 1_000, 100_000] {
        let names: Vec<_> = (0..channels).map(|number| format!("channel/{number}")).collect();
        let mut world = World::new(0, 2);
        let mut wanted = Batch::default();
        for channel in &names {
            wanted.push(Envelope::Interest { channel, generation: 1, wanted: true });
        }
        world.batch(1, &wanted);
        assert_eq!(world.shard.channels(), channels);
        let publisher = world.connect("/");
        // A stride that is coprime to the number: neighbours in time are strangers in the table.
        let streams: Vec<_> = (0..channels)
            .map(|number| &names[number * 7_919 % channels])
            .map(|channel| frame(|out| client::publish(out, channel, Some(cases::argument()), None)))
            .collect();
        let mut next = streams.iter().cycle();
        group.bench_function(BenchmarkId::new("publish to one peer", channels), |bencher| {
            bencher.iter_batched_ref(
                || next.next().expect("a cycle has no end").clone(),
                |bytes| world.turn(publisher, bytes),
                BatchSize::SmallInput,
            );
        });
        assert!(world.shard.metrics().publications > 0);
    }
    group.finish();
}

fn mesh(criterion: &mut Criterion) {
    let envelope = Envelope::Publication { channel: "lobby", data: Some(cases::argument().as_str()) };
    let filled = || {
        let mut batch = Batch::default();
        (0..32).for_each(|_| batch.push(black_box(envelope)));
        batch
    };
    let mut group = criterion.benchmark_group("mesh");
    group.throughput(Throughput::Elements(32));
    group.bench_function("push 32", |bencher| bencher.iter(filled));
    let batch = filled();
    group.bench_function("iterate 32", |bencher| bencher.iter(|| black_box(&batch).iter().map(black_box).count()));
    let mut world = World::new(0, 2);
    world.subscriber(&["lobby"]);
    let mut acknowledged = Batch::default();
    acknowledged.push(Envelope::InterestAcknowledged { channel: "lobby", generation: 1 });
    world.batch(1, &acknowledged);
    assert!(world.batch(1, &batch) > 0, "the publications are delivered");
    group.bench_function("deliver 32 to one subscriber", |bencher| bencher.iter(|| world.batch(1, &batch)));
    group.finish();
}

criterion_group!(benches, fan_out, interest, mesh);
criterion_main!(benches);
