//! Bytes that a loaded policy keeps: one line a size, `RULES BYTES`.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a benchmark may panic"
)]

mod common;

use common::{Upstream, event};
use monitor_policy::Scratch;

fn main() {
    let upstream = Upstream::read().expect("upstream's rules");
    for rules in [25, 93, 1000] {
        let mut policy = None;
        let loading = allocation_counter::measure(|| policy = Some(upstream.policy(rules)));
        let policy = policy.expect("a policy");
        let event = event("open", &policy);
        let mut scratch = Scratch::default();
        let evaluating = allocation_counter::measure(|| {
            policy.evaluate(&event, &mut scratch);
        });
        println!(
            "{rules} {}",
            loading.bytes_current + evaluating.bytes_current
        );
    }
}
