//! Reading and writing a session on its home, without anybody to wait for: what an action pays beside its call. Reading
//! takes no lock and allocates nothing (`shard/src/session/copy.rs`); writing makes one text.

use criterion::{Criterion, criterion_group, criterion_main};
use shard::{Config, Limits, Operation, Session, SessionConfig, Shard, ShardId, Time};
use std::hint::black_box;

fn session(values: usize) -> (Shard, Session) {
    let config = Config { id: ShardId(0), shards: 1, limits: Limits::default(), seed: 1 };
    let mut shard = Shard::new(config, Time::ZERO);
    let sessions = shard.open_sessions(SessionConfig { has_store: false, epoch: 1 });
    let session = sessions.make_for_tests().expect("there is room");
    for index in 0..values {
        let (key, text) = (format!("key{index}").into(), "\"a value\"".into());
        session.write(Operation::Set { key, text, expires: 0 }).expect("there is room");
    }
    (shard, session)
}

fn reads(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("session.get");
    for (values, key) in [(1, "key0"), (16, "key15"), (64, "key63"), (16, "nothing")] {
        let (_shard, session) = session(values);
        group.bench_function(format!("{key} of {values}"), |bencher| bencher.iter(|| session.get(black_box(key))));
    }
    group.finish();
}

fn writes(criterion: &mut Criterion) {
    let (_shard, session) = session(16);
    criterion.bench_function("session.set", |bencher| {
        bencher.iter(|| {
            let operation = Operation::Set { key: "key7".into(), text: black_box("\"other\"").into(), expires: 0 };
            session.write(operation)
        });
    });
    criterion.bench_function("session.increment", |bencher| {
        bencher.iter(|| session.write(Operation::Increment { key: "sum".into(), by: black_box(1) }));
    });
}

criterion_group!(benches, reads, writes);
criterion_main!(benches);
