//! WebSocket frames: decode and unmask in place, encode.

use std::hint::black_box;

use codec::websocket::{Decoder, Limits, Opcode, Role, encode, unmask};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

fn frames(criterion: &mut Criterion) {
    for (size, count) in [(64, 1), (64, 16), (1024, 16), (65_536, 1)] {
        let mut stream = Vec::new();
        for _ in 0..count {
            encode::masked_frame(&mut stream, Opcode::Text, [1, 2, 3, 4], &vec![b'x'; size]);
        }
        let mut group = criterion.benchmark_group("decode");
        group.throughput(Throughput::Elements(count));
        group.bench_function(format!("{size} B x {count}"), |bencher| {
            let mut decoder = Decoder::new(Role::Server);
            bencher.iter_batched_ref(
                || stream.clone(),
                |stream| {
                    let mut messages = decoder.decode(stream, &Limits::default());
                    while let Some(message) = messages.next() {
                        black_box(message.is_ok());
                    }
                },
                BatchSize::SmallInput,
            );
        });
        group.finish();
    }
}

fn unmasking(criterion: &mut Criterion) {
    for size in [64, 1024, 65_536] {
        let mut bytes = vec![7; size];
        criterion.bench_function(&format!("unmask/{size} B"), |bencher| {
            bencher.iter(|| unmask(black_box(&mut bytes), [1, 2, 3, 4]));
        });
    }
}

fn encoding(criterion: &mut Criterion) {
    for size in [64, 1024, 65_536] {
        let (payload, mut out) = (vec![7; size], Vec::new());
        criterion.bench_function(&format!("encode/{size} B"), |bencher| {
            bencher.iter(|| {
                out.clear();
                encode::frame(&mut out, Opcode::Binary, black_box(&payload));
            });
        });
    }
}

criterion_group!(benches, frames, unmasking, encoding);
criterion_main!(benches);
