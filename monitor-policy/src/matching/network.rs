//! Tests of addresses.

use std::net::IpAddr;

use ipnet::IpNet;

/// A test of an address.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum NetworkTest {
    /// One of these networks contains it.
    Within(Box<[IpNet]>),
    /// This network does not contain it.
    Outside(IpNet),
}

impl NetworkTest {
    /// Whether an address passes.
    pub(crate) fn matches(&self, address: IpAddr) -> bool {
        match self {
            Self::Within(networks) => networks.iter().any(|network| network.contains(&address)),
            Self::Outside(network) => !network.contains(&address),
        }
    }
}
