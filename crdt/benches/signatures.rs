//! Signatures: making and checking one, and what a run of changes under one signature saves.
//!
//! `cargo bench --bench signatures`. There is no batch verification of several signatures at once: its
//! verdicts differ from the strict ones on odd keys. A batch here is a delta, 64 changes under one signature.

mod support;

use std::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use starling_crdt::codec::Signable;
use starling_crdt::delta::{Delta, VerifiedDelta};
use starling_crdt::document::{Commit, Document};
use starling_crdt::gossip::Frame;
use starling_crdt::id::SpaceId;
use starling_crdt::identity::verify;
use starling_crdt::incarnation::VerifiedIncarnation;
use support::{Clock, epoch_key, founder, identity, name, put, topic};

/// Changes checked in each measurement of deltas.
const CHANGES: u64 = 64;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    alone(&mut criterion);
    deltas(&mut criterion);
    criterion.final_summary();
}

fn alone(criterion: &mut Criterion) {
    let author = identity(1);
    let signable =
        Signable::new("starling/delta").bytes(&[1; 32]).bytes(b"config/web").bytes(&[2; 16]).number(7);
    let signature = author.sign(&signable);
    let mut group = criterion.benchmark_group("signature");
    group.bench_function("sign", |bencher| bencher.iter(|| author.sign(black_box(&signable))));
    group.bench_function("verify", |bencher| {
        bencher.iter(|| verify(author.key(), black_box(&signable), &signature));
    });
    group.finish();
}

/// The same changes under one signature, under eight, and each under its own.
fn deltas(criterion: &mut Criterion) {
    let (founder, space) = founder(&Clock::new()).expect("a space in memory");
    let incarnation = VerifiedIncarnation::sign(&identity(1), space, [7; 16], Vec::new());
    let screener = founder.replica.screener();
    let mut group = criterion.benchmark_group("64 changes");
    group.throughput(Throughput::Elements(CHANGES));
    for length in [64, 8, 1] {
        let deltas = signed(space, &incarnation, length);
        let id = |what| BenchmarkId::new(what, format!("{length} to a signature"));
        group.bench_function(id("verified"), |bencher| {
            bencher.iter_batched(
                || deltas.clone(),
                |deltas| {
                    for delta in deltas {
                        black_box(VerifiedDelta::verify(delta, &incarnation)).expect("well signed");
                    }
                },
                BatchSize::SmallInput,
            );
        });
        let certificate = Some(incarnation.certificate().clone());
        let frames = deltas.iter().map(|delta| {
            Frame::Delta { incarnation: certificate.clone(), delta: delta.clone() }.seal(&epoch_key())
        });
        let frames: Vec<_> = frames.collect();
        group.bench_function(id("gossip opened and screened"), |bencher| {
            bencher.iter(|| {
                for frame in &frames {
                    black_box(screener.screen_gossip(topic(space), frame));
                }
            });
        });
    }
    group.finish();
}

/// Consecutive changes of one document, so many to a delta.
fn signed(space: SpaceId, incarnation: &VerifiedIncarnation, length: usize) -> Vec<Delta> {
    let mut document = Document::new();
    let mut changes = Vec::new();
    for number in 0..CHANGES {
        let commit = Commit { actor: incarnation.actor(), time_seconds: 0, message: None };
        let edited = document.edit(commit, &put(number)).expect("a small edit");
        changes.extend(edited.changes.into_iter().map(|change| change.bytes));
    }
    let runs = changes.chunks(length).map(|run| {
        let delta = VerifiedDelta::sign(&identity(1), space, name(1), incarnation.actor(), run.to_vec());
        delta.expect("an own run").delta().clone()
    });
    runs.collect()
}
