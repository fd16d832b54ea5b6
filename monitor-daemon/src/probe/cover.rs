//! Choosing: for each kind, its providers are tried in order until the kernel takes one.

use monitor_common::Kind;
use monitor_common::layout::Need;
use monitor_common::syscall::{self, Call, Machine};

use super::btf::Btf;
use super::layout::Layout;
use super::object::Object;
use super::provider::{Hook, Part, Provider, Tier, own_function};
use super::table::{failures, providers};
use super::{Coverage, Request, Tiers};

/// What choosing needs to know about the kernel and the wish.
pub(super) struct Chooser<'a> {
    pub(super) request: &'a Request,
    pub(super) layout: &'a Layout,
    pub(super) types: &'a Btf<'a>,
}

impl Chooser<'_> {
    /// Starts what serves a kind, of its providers from number `from` on; and the number of the one
    /// that does.
    pub(super) fn cover(
        &self,
        object: &mut Object,
        kind: Kind,
        from: usize,
    ) -> (Coverage, Option<usize>) {
        let mut coverage = Coverage {
            kind,
            provider: None,
            tier: None,
            refused: Vec::new(),
            blind: Vec::new(),
        };
        let left = providers(kind).get(from..).unwrap_or_default();
        let chosen = self.first(object, left, &mut coverage);
        if let Some((failures, lost)) = failures(kind)
            && self.request.kinds.contains(&kind)
            && self.first(object, failures, &mut coverage).is_none()
        {
            coverage.blind.push(lost);
        }
        (coverage, chosen.map(|number| from + number))
    }

    /// Starts the first provider that works; its number.
    fn first(
        &self,
        object: &mut Object,
        all: &[Provider],
        coverage: &mut Coverage,
    ) -> Option<usize> {
        for (number, provider) in all.iter().enumerate() {
            if let Err(reason) = self.possible(provider) {
                coverage.refused.push((provider.name(), reason));
                continue;
            }
            let Some(names) = self.start(object, provider, coverage) else {
                continue;
            };
            let name = coverage.provider.get_or_insert_default();
            for part in names {
                if name.split(" + ").any(|known| known == part) {
                    continue;
                }
                if !name.is_empty() {
                    name.push_str(" + ");
                }
                name.push_str(&part);
            }
            coverage.tier.get_or_insert(provider.tier);
            coverage.blind.extend(provider.blind);
            return Some(number);
        }
        None
    }

    /// Why a provider need not be tried.
    fn possible(&self, provider: &Provider) -> Result<(), String> {
        match (self.request.tiers, provider.tier) {
            (Tiers::SyscallOnly, Tier::Object) | (Tiers::ObjectOnly, Tier::Syscall) => {
                return Err("not allowed by the configuration".to_owned());
            }
            _ => {}
        }
        match provider
            .needs
            .iter()
            .find_map(|need| self.layout.lacks(*need))
        {
            Some(member) => Err(format!("this kernel has no {member}")),
            None => Ok(()),
        }
    }

    /// Starts the parts of a provider; the names of those that work, or none if one that it
    /// cannot do without does not.
    fn start(
        &self,
        object: &mut Object,
        provider: &Provider,
        coverage: &mut Coverage,
    ) -> Option<Vec<String>> {
        let mut names = Vec::new();
        let mut blind = Vec::new();
        let wanted = |part: &&Part| {
            if !part.exists_on(Machine::OWN) {
                return false;
            }
            if let Hook::Uring(kind) | Hook::UringFailures(kind) = part.hook {
                return self.request.rows(kind).any(|call| call.uring().count() > 0);
            }
            if let Hook::Start(number) = part.hook {
                let named = self.request.calls.iter().flatten();
                return named.into_iter().any(|named| *named == number);
            }
            let call = part.call.map(|operation| operation.call().number);
            call.is_none_or(|number| self.request.wants(number))
        };
        for part in provider.parts.iter().filter(wanted) {
            match (self.attach(object, part), part.spare) {
                (Ok(()), _) => names.push(part.name()),
                (Err(reason), spare) => {
                    coverage.refused.push((part.name(), reason));
                    let Some(spare) = spare else {
                        for part in provider.parts.iter().filter(|part| !part.is_shared()) {
                            object.detach(part.program);
                        }
                        return None;
                    };
                    blind.push(spare);
                }
            }
        }
        blind.dedup();
        coverage.blind.append(&mut blind);
        Some(names)
    }

    /// Takes a provider out of the kernel, but for the program that serves other kinds too.
    pub(super) fn stop(object: &mut Object, provider: &Provider) {
        for part in provider.parts {
            if !matches!(part.hook, Hook::Calls(_) | Hook::Failures(_)) {
                object.detach(part.program);
            }
        }
    }

    fn attach(&self, object: &mut Object, part: &Part) -> Result<(), String> {
        match part.hook {
            Hook::Entry(function, expected) | Hook::Exit(function, expected) => {
                let function = own_function(function);
                let found = self.parameters(&function)?;
                if !found.starts_with(expected) {
                    return Err(format!(
                        "`{function}` has the parameters ({})",
                        found.join(", ")
                    ));
                }
            }
            Hook::ExitAnywhere(function) => {
                let found = self.parameters(function)?;
                if let Some(name) = self.layout.lost_parameter(function) {
                    let found = found.join(", ");
                    return Err(format!("`{function}` has no parameter `{name}`: ({found})"));
                }
            }
            Hook::Uring(kind) => return self.attach_uring(object, kind, 0),
            Hook::UringFailures(kind) => {
                return self.attach_uring(object, kind, Call::FAILURES);
            }
            Hook::Tracepoint(_)
            | Hook::Calls(_)
            | Hook::CallsApart(_)
            | Hook::Start(_)
            | Hook::Failures(_)
            | Hook::Cgroup(_) => {}
        }
        object.attach(part.program, part.hook)?;
        match part.hook {
            Hook::Calls(kind) => object.serve(self.request.rows(kind), 0),
            Hook::CallsApart(kind) => object.serve(self.request.rows(kind), Call::APART),
            Hook::Start(number) => object.serve(syscall::call(number).into_iter(), Call::APART),
            // Where all are served, so are those that fail.
            Hook::Failures(kind) => object.serve(self.request.rows(kind), Call::FAILURES),
            _ => Ok(()),
        }
    }

    /// Starts the programs for operations of `io_uring`, under the names and with the parameters
    /// that the tracepoints have in this kernel, and turns those of a kind on.
    fn attach_uring(&self, object: &mut Object, kind: Kind, bits: u64) -> Result<(), String> {
        if let Some(member) = self.layout.lacks(Need::Uring) {
            return Err(format!("this kernel has no {member}"));
        }
        // The first parameter of these functions is the registration's own.
        let has_request = |tracepoint: &str, position: usize| {
            let parameters = self.types.parameters(&format!("__traceiter_{tracepoint}"));
            parameters.is_some_and(|names| names.get(position) == Some(&"req"))
        };
        let submit = ["io_uring_submit_req", "io_uring_submit_sqe"]
            .into_iter()
            .find(|name| has_request(name, 1))
            .ok_or("this kernel does not show which requests are handed in")?;
        if !has_request("io_uring_complete", 2) {
            return Err("this kernel does not show which requests are complete".to_owned());
        }
        object.attach("uring_submit", Hook::Tracepoint(submit))?;
        object.attach("uring_complete", Hook::Tracepoint("io_uring_complete"))?;
        object.serve_uring(self.request.rows(kind), bits)
    }

    fn parameters(&self, function: &str) -> Result<Vec<&str>, String> {
        self.types
            .parameters(function)
            .ok_or_else(|| format!("this kernel has no function `{function}`"))
    }
}
