//! SocketCluster packets: validate and take apart, put together.

use std::hint::black_box;

use codec::message::{CallId, RawJson};
use codec::socketcluster::{Decoder, Limits, encode};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

fn decoding(criterion: &mut Criterion) {
    let text = "x".repeat(1024);
    let packets = [
        ("invoke 64 B", format!(r#"{{"event":"app.echo","data":"{}","cid":7}}"#, &text[..24])),
        ("publish 64 B", format!(r##"{{"event":"#publish","data":{{"channel":"c","data":"{}"}}}}"##, &text[..10])),
        ("invoke 1 KiB", format!(r#"{{"event":"app.echo","data":"{text}","cid":7}}"#)),
        ("invoke nested", format!(r#"{{"event":"app.echo","data":{:?},"cid":7}}"#, vec![[1, 2, 3, 4]; 100])),
    ];
    let mut decoder = Decoder::new(Limits::default());
    let mut group = criterion.benchmark_group("packet");
    for (name, packet) in &packets {
        group.throughput(Throughput::Bytes(packet.len() as u64));
        group.bench_function(*name, |bencher| {
            bencher.iter(|| decoder.decode(black_box(packet)).map(|messages| messages.map(drop).count()));
        });
    }
    group.finish();
}

fn encoding(criterion: &mut Criterion) {
    let (mut out, data) = (Vec::new(), RawJson::from_validated(r#"{"hello":"world","n":12345}"#));
    criterion.bench_function("reply", |bencher| {
        bencher.iter(|| {
            out.clear();
            encode::reply(&mut out, CallId::new(RawJson::from_validated("17")), Some(black_box(data)));
        });
    });
    criterion.bench_function("publication", |bencher| {
        bencher.iter(|| {
            out.clear();
            encode::publication(&mut out, black_box("lobby"), Some(black_box(data)));
        });
    });
}

criterion_group!(benches, decoding, encoding);
criterion_main!(benches);
