//! Choosing: for each kind, its providers are tried in order until the kernel takes one.

use std::borrow::Cow;

use monitor_common::Kind;
use monitor_common::layout::Need;
use monitor_common::syscall::{self, Call};

use super::again::Turns;
use super::ahead::{Outcomes, Wanted};
use super::layout::Layout;
use super::object::Object;
use super::parts;
use super::provider::{Hook, Part, Provider, Tier, own_function};
use super::served::{Needs, Served, URING_PROGRAMS};
use super::table::{failures, providers};
use super::{Coverage, Request, Tiers, standby};

/// Where requests of `io_uring` are handed in, by its names in kernels.
const SUBMIT_TRACEPOINTS: [&str; 2] = ["io_uring_submit_req", "io_uring_submit_sqe"];
const COMPLETE_TRACEPOINT: &str = "io_uring_complete";

/// The functions whose parameters are those of tracepoints that move between kernels.
pub(super) fn functions() -> impl Iterator<Item = Cow<'static, str>> {
    let tracepoints = SUBMIT_TRACEPOINTS.into_iter().chain([COMPLETE_TRACEPOINT]);
    tracepoints.map(|name| traced(name).into())
}

fn traced(tracepoint: &str) -> String {
    format!("__traceiter_{tracepoint}")
}

/// What choosing needs to know about the kernel and the wish.
pub(super) struct Chooser<'a> {
    pub(super) request: &'a Request,
    pub(super) layout: &'a Layout,
    pub(super) turns: Turns,
}

impl Chooser<'_> {
    /// Starts what serves a kind, of its providers from number `from` on. What of it runs already
    /// goes on.
    pub(super) fn cover(&self, object: &mut Object, kind: Kind, from: usize) -> (Coverage, Served) {
        let mut coverage = Coverage {
            kind,
            provider: None,
            tier: None,
            refused: Vec::new(),
            blind: Vec::new(),
        };
        let left = providers(kind).get(from..).unwrap_or_default();
        let mut served = Served {
            kind,
            number: None,
            parts: Vec::new(),
            failures: Vec::new(),
        };
        if let Some((number, parts)) = self.first(object, left, &mut coverage) {
            served.number = Some(from + number);
            served.parts = parts;
        }
        if let Some((failures, lost)) = failures(kind)
            && self.request.kinds.contains(&kind)
        {
            match self.first(object, failures, &mut coverage) {
                Some((_, parts)) => served.failures = parts,
                None => coverage.blind.push(lost),
            }
        }
        coverage.provider = served.name(self.turns);
        (coverage, served)
    }

    /// The programs that are going to be attached for these kinds (each with the number of its first
    /// provider to try), as far as that is known from what came of others.
    pub(super) fn wanted(&self, kinds: &[(Kind, usize)], outcomes: &Outcomes) -> Vec<Wanted> {
        let mut wanted = Vec::new();
        for (kind, from) in kinds {
            let left = providers(*kind).get(*from..).unwrap_or_default();
            wanted.extend(self.wanted_of(left, outcomes));
            if let Some((failures, _)) = failures(*kind)
                && self.request.kinds.contains(kind)
            {
                wanted.extend(self.wanted_of(failures, outcomes));
            }
        }
        if wanted.iter().any(|(_, hook)| hook.is_function()) {
            let kinds = kinds.iter().map(|(kind, _)| *kind);
            wanted.extend(standby::ahead(kinds, self.request));
        }
        wanted
    }

    /// Those of the first provider that nothing speaks against.
    fn wanted_of(&self, all: &[Provider], outcomes: &Outcomes) -> Vec<Wanted> {
        let mut possible = all.iter().filter(|one| self.possible(one).is_ok());
        let of_provider = |provider: &Provider| {
            let mut wanted = Vec::new();
            let parts = provider.parts.iter();
            for part in parts.filter(|part| self.wants(part)) {
                let programs = self.programs(part);
                let refused = |(name, _): &Wanted| matches!(outcomes.get(name), Some(Err(_)));
                let works = programs.as_ref().is_ok_and(|all| !all.iter().any(refused));
                if !works && part.spare.is_none() {
                    return None;
                }
                wanted.extend(programs.into_iter().flatten());
            }
            Some(wanted)
        };
        possible.find_map(of_provider).unwrap_or_default()
    }

    /// Starts the first provider that works; its number, and which of its parts do.
    fn first(
        &self,
        object: &mut Object,
        all: &[Provider],
        coverage: &mut Coverage,
    ) -> Option<(usize, Vec<Part>)> {
        for (number, provider) in all.iter().enumerate() {
            if let Err(reason) = self.possible(provider) {
                coverage.refused.push((provider.name(), reason));
                continue;
            }
            let Some(parts) = self.start(object, provider, coverage) else {
                continue;
            };
            coverage.tier.get_or_insert(provider.tier);
            coverage.blind.extend(provider.blind);
            return Some((number, parts));
        }
        None
    }

    fn wants(&self, part: &Part) -> bool {
        self.turns.has(part) && self.request.wants_part(part)
    }

    /// Why a provider need not be tried.
    fn possible(&self, provider: &Provider) -> Result<(), String> {
        match (self.request.tiers, provider.tier) {
            (Tiers::SyscallOnly, Tier::Object) | (Tiers::ObjectOnly, Tier::Syscall) => {
                return Err("not allowed by the configuration".to_owned());
            }
            (Tiers::WithoutFunctions, Tier::Object) => {
                return Err("kernel.ftrace_enabled was set to 0".to_owned());
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

    /// Starts the parts of a provider; those that work, or none if one that it cannot do without
    /// does not.
    fn start(
        &self,
        object: &mut Object,
        provider: &Provider,
        coverage: &mut Coverage,
    ) -> Option<Vec<Part>> {
        let mut working = Vec::new();
        let mut started = Vec::new();
        let mut blind = Vec::new();
        let parts = in_order(provider, self.request).into_iter();
        for (place, part) in parts.filter(|(_, part)| self.turns.has(part)) {
            let ran = object.is_attached(part.program);
            match (self.attach(object, &part, &working), part.spare) {
                (Ok(()), _) => {
                    working.push((place, part));
                    started.extend((!ran && !part.is_shared()).then_some(part.program));
                }
                (Err(reason), spare) => {
                    coverage.refused.push((part.name(), reason));
                    let Some(spare) = spare else {
                        for program in started {
                            object.detach(program);
                        }
                        return None;
                    };
                    blind.push(spare);
                }
            }
        }
        blind.dedup();
        coverage.blind.append(&mut blind);
        working.sort_by_key(|(place, _)| *place);
        Some(working.into_iter().map(|(_, part)| part).collect())
    }

    /// Starts a part of a provider of which these work already.
    fn attach(
        &self,
        object: &mut Object,
        part: &Part,
        working: &[(usize, Part)],
    ) -> Result<(), String> {
        for (program, hook) in self.programs(part)? {
            object.attach(program, hook)?;
        }
        let bits = part.hook.bits();
        match part.hook {
            Hook::Calls(kind) => object.serve(at_end(self.request, kind, working), bits),
            // Where all are served, so are those that fail.
            Hook::CallsApart(kind) | Hook::Failures(kind) | Hook::Untold(kind) => {
                object.serve(self.request.rows(kind), bits)
            }
            Hook::Start(number) => object.serve(syscall::call(number).into_iter(), bits),
            Hook::Passed => object.serve_passed(),
            Hook::Uring(kind) | Hook::UringFailures(kind) => {
                object.serve_uring(self.request.rows(kind), bits)
            }
            _ => Ok(()),
        }
    }

    /// The programs of a part, as they are loaded; an error says what this kernel lacks for them.
    fn programs(&self, part: &Part) -> Result<Vec<Wanted>, String> {
        match part.hook {
            Hook::Entry(function, expected) | Hook::Exit(function, expected) => {
                let function = own_function(function);
                let found = self.parameters(&function)?;
                let mut begin = found.iter().zip(expected);
                if found.len() < expected.len() || !begin.all(|(name, expected)| name == expected) {
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
            Hook::Uring(_) | Hook::UringFailures(_) => return self.uring_programs(),
            Hook::Tracepoint(_)
            | Hook::Bare(_)
            | Hook::Calls(_)
            | Hook::CallsApart(_)
            | Hook::Start(_)
            | Hook::Failures(_)
            | Hook::Untold(_)
            | Hook::Passed
            | Hook::Cgroup(_) => {}
        }
        // What calls go on in is there before what they come from.
        let parts = parts::programs(
            Needs::tables([part].into_iter(), self.request)
                .calls
                .into_values(),
        );
        let parts = parts.into_iter().map(|program| (program, part.hook));
        Ok(parts.chain([(part.program, part.hook)]).collect())
    }

    /// The programs for operations of `io_uring`, under the names and with the parameters that the
    /// tracepoints have in this kernel.
    fn uring_programs(&self) -> Result<Vec<Wanted>, String> {
        if let Some(member) = self.layout.lacks(Need::Uring) {
            return Err(format!("this kernel has no {member}"));
        }
        // The first parameter of these functions is the registration's own.
        let has_request = |tracepoint: &str, position: usize| {
            let names = self.layout.names(&traced(tracepoint));
            names.is_some_and(|names| names.get(position).is_some_and(|name| name == "req"))
        };
        let submit = SUBMIT_TRACEPOINTS
            .into_iter()
            .find(|name| has_request(name, 1))
            .ok_or("this kernel does not show which requests are handed in")?;
        if !has_request(COMPLETE_TRACEPOINT, 2) {
            return Err("this kernel does not show which requests are complete".to_owned());
        }
        let tracepoints = [submit, COMPLETE_TRACEPOINT].map(Hook::Tracepoint);
        Ok(URING_PROGRAMS.into_iter().zip(tracepoints).collect())
    }

    fn parameters(&self, function: &str) -> Result<&[String], String> {
        self.layout
            .names(function)
            .ok_or_else(|| format!("this kernel has no function `{function}`"))
    }
}

/// The parts of a provider that are wanted, each with its place, in the order in which they start: a
/// call that its start tells of is not told at its end, not even while programs change.
fn in_order(provider: &Provider, request: &Request) -> Vec<(usize, Part)> {
    let parts = provider.parts.iter().copied();
    let wanted = parts.filter(|part| request.wants_part(part));
    let mut parts: Vec<(usize, Part)> = wanted.enumerate().collect();
    parts.sort_by_key(|(_, part)| !matches!(part.hook, Hook::Start(_)));
    parts
}

/// The calls of a kind that their end tells of, where these parts work.
fn at_end<'a>(
    request: &'a Request,
    kind: Kind,
    working: &'a [(usize, Part)],
) -> impl Iterator<Item = Call> + 'a {
    let begun = |call: &Call| {
        let mut hooks = working.iter().map(|(_, part)| part.hook);
        hooks.any(|hook| matches!(hook, Hook::Start(number) if number == call.number))
    };
    request.rows(kind).filter(move |call| !begun(call))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Closes and flocks: when programs for more calls are started, what tells of closes runs.
    #[test]
    fn the_end_of_a_call_that_its_start_tells_is_not_told() {
        let request = Request {
            kinds: vec![Kind::Call],
            calls: Some(vec![3, 73]),
            ..Request::default()
        };
        for provider in providers(Kind::Call) {
            let (mut working, mut told) = (Vec::new(), Vec::new());
            for (place, part) in in_order(provider, &request) {
                if let Hook::Calls(kind) = part.hook {
                    let rows = at_end(&request, kind, &working);
                    told.extend(rows.map(|call| call.number));
                }
                working.push((place, part));
            }
            assert_eq!(told, [73]);
            let alone = at_end(&request, Kind::Call, &[]);
            assert_eq!(alone.map(|call| call.number).collect::<Vec<_>>(), [3, 73]);
        }
    }
}
