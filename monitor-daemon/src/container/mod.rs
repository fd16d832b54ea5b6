//! Which container a cgroup belongs to, and what the container runtime says about it.
//!
//! [`cgroup_path`] reads an id out of a cgroup path, [`index`] joins cgroup ids with metadata,
//! [`scan`] walks the cgroups that exist already, [`docker`] keeps the metadata current. The first
//! two are pure; the last two do the I/O.

pub mod cgroup_path;
pub mod docker;
pub mod index;
mod metadata;
pub mod scan;

pub use metadata::{
    Container, Image, Limits, Metadata, Mount, Network, Pod, State, Unknown, Update,
};
