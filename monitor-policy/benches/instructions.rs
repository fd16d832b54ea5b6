//! One load and so many evaluations, to be counted by callgrind:
//! `instructions RULES EVENT EVALUATIONS`.
//!
//! Two runs that differ in the last argument tell what an evaluation costs, one run with 0 what
//! loading does. Prints the bytes that the policy keeps allocated.
//!
//! `instructions generated COUNT` prints so many of the generated rules instead.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a benchmark may panic"
)]

mod common;

use std::hint::black_box;

use common::{Upstream, event};
use monitor_policy::Scratch;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [rules, name, evaluations] = match arguments.as_slice() {
        [rules, name, evaluations] => [rules, name, evaluations],
        [word, count] if word == "generated" => {
            let count = count.parse().expect("a number of rules");
            return print!("{}", common::generated(count));
        }
        _ => return println!("usage: instructions RULES EVENT EVALUATIONS"),
    };
    let upstream = Upstream::read().expect("upstream's rules");
    let rules = rules.parse().expect("a number of rules");
    let mut policy = None;
    let loading = allocation_counter::measure(|| policy = Some(upstream.policy(rules)));
    println!("{}", loading.bytes_current);
    let policy = policy.expect("a policy");
    let event = event(name, &policy);
    let mut scratch = Scratch::default();
    for _ in 0..evaluations.parse().expect("a number of evaluations") {
        black_box(policy.evaluate(black_box(&event), &mut scratch).len());
    }
}
