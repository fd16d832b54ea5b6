//! The daemon from outside: upstream's stable rules on real actions, on this host and in
//! containers of a real dockerd that the suite starts.
//!
//! Each case does a thing and expects its alert with the right fields, then does the same thing
//! innocently and expects none. "None" is proved by a fence: an action whose alert must come, and
//! alerts come in order.

#![expect(
    clippy::indexing_slicing,
    reason = "indexing a JSON value gives null, it never panics"
)]

mod actions;
mod arm;
mod blocked;
mod bugreport;
mod bundles;
mod calls;
mod canary;
mod cgroups;
mod chaos;
mod command;
mod confined;
mod containers;
mod crowd;
mod defaults;
mod descriptors;
mod digest;
mod dist;
mod dns;
mod fedora;
mod fields;
mod filter;
mod filtered;
mod first;
mod flood;
mod gap;
mod guard;
mod guest;
mod host;
mod hung;
mod idle;
mod installed;
mod kernels;
mod kinds;
mod kubernetes;
mod loss;
mod mappings;
mod maps;
mod metrics;
mod names;
mod namespaces;
mod older;
mod package;
mod protect;
mod records;
mod reload;
mod reuse;
mod robust;
mod rollup;
mod rotate;
mod rpm;
mod rule_tests;
mod sandbox;
mod selftest;
mod service;
mod short;
mod silent;
mod socketcall;
mod sockets;
mod tamper;
mod top;
mod unread;
mod uring;
mod world;
