//! Time to load rules, and to evaluate events against them.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a benchmark may panic"
)]

mod common;

use std::hint::black_box;
use std::time::Duration;

use common::{Upstream, event};
use criterion::{Criterion, criterion_group, criterion_main};
use monitor_policy::Scratch;

/// How many rules the policies have.
const SIZES: [usize; 3] = [25, 93, 1000];
/// The events that are evaluated.
const EVENTS: [&str; 3] = ["open", "matching open", "exec"];

fn load(criterion: &mut Criterion) {
    let Some(upstream) = upstream() else { return };
    let mut group = criterion.benchmark_group("load");
    group.sample_size(10);
    for size in SIZES {
        group.bench_function(size.to_string(), |bench| bench.iter(|| upstream.load(size)));
    }
}

fn evaluate(criterion: &mut Criterion) {
    let Some(upstream) = upstream() else { return };
    let policies = SIZES.map(|size| (size, upstream.policy(size)));
    for name in EVENTS {
        let mut group = criterion.benchmark_group(name);
        for (size, policy) in &policies {
            let event = event(name, policy);
            let mut scratch = Scratch::default();
            group.bench_function(size.to_string(), |bench| {
                bench.iter(|| policy.evaluate(black_box(&event), &mut scratch).len());
            });
        }
    }
}

fn upstream() -> Option<Upstream> {
    Upstream::read()
        .inspect_err(|reason| println!("skipped: {reason}"))
        .ok()
}

fn short() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
}

criterion_group! { name = benches; config = short(); targets = load, evaluate }
criterion_main!(benches);
