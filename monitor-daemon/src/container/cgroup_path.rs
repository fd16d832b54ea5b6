//! Container ids in cgroup paths.
//!
//! Pure: bytes in, ids out, any bytes allowed. Only names that a container runtime gives are
//! accepted, each delimited exactly, because everything else on a host is a host process: the
//! runtimes' own helpers (`libpod-conmon-…`, `crio-conmon-…`), pod slices, services, sessions.
//!
//! A name alone cannot prove who made a cgroup: a user may name a systemd scope as he likes. So
//! each id says whose it is ([`Owner`]), and the index joins it only with metadata of a runtime
//! of that owner.

/// Length of the ids of all runtimes but `BuildKit` and LXC.
pub(super) const ID_LEN: usize = 64;
/// How many bytes of a full id make the short one.
const SHORT_ID_LEN: usize = 12;
/// Longest name that a user may choose.
const NAME_MAX: usize = 255;
/// Length of the ids of `BuildKit`'s steps.
const BUILD_ID_LEN: usize = 25;

/// The program that runs a container.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Runtime {
    /// Docker.
    Docker,
    /// containerd, alone or under Kubernetes.
    Containerd,
    /// CRI-O.
    Crio,
    /// Podman.
    Podman,
    /// A step of an image build by `BuildKit`.
    BuildKit,
    /// LXC.
    Lxc,
    /// systemd-nspawn.
    Nspawn,
    /// Not known, see [`super::Container::unknown`].
    Unknown,
}

impl Runtime {
    /// Lower-case name, as the field `container.type` gives it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Containerd => "containerd",
            Self::Crio => "cri-o",
            Self::Podman => "podman",
            Self::BuildKit => "buildkit",
            Self::Lxc => "lxc",
            Self::Nspawn => "systemd-nspawn",
            Self::Unknown => "unknown",
        }
    }
}

/// Whose cgroup it is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Owner {
    /// The system's: only root can have made it.
    System,
    /// It lies below `user.slice`: a user, rootless runtimes among them, can have made it.
    User,
}

/// A container named in a cgroup path.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CgroupContainer<'a> {
    /// The runtime's full id: 64 hex digits for most (`BuildKit`: 25 letters and digits; LXC and
    /// systemd-nspawn: the name; containerd's `ctr`: what its user chose).
    pub id: &'a str,
    /// Who runs it, as far as the path tells. A bare id below `kubepods` is taken for
    /// containerd's, any other bare id for Docker's.
    pub runtime: Runtime,
    /// Who can have made the cgroup.
    pub owner: Owner,
}

impl CgroupContainer<'_> {
    /// Whether no other runtime gives this id to another container: a user did not choose it.
    pub fn is_unique(&self) -> bool {
        self.id.len() == ID_LEN
    }
}

/// All containers that `path` (below the root of the hierarchy) lies in, outermost first.
pub fn containers(path: &[u8]) -> impl Iterator<Item = CgroupContainer<'_>> {
    let mut above = Above::default();
    path.split(|byte| *byte == b'/')
        .filter(|component| !component.is_empty())
        .filter_map(move |component| {
            let found = above.container(component);
            above.enter(component);
            found
        })
}

/// The innermost container that `path` lies in; `None` for a host cgroup.
pub fn identify(path: &[u8]) -> Option<CgroupContainer<'_>> {
    containers(path).last()
}

/// The first 12 characters of a full id, as the field `container.id` gives it.
pub fn short_id(id: &str) -> &str {
    id.get(..SHORT_ID_LEN).unwrap_or(id)
}

/// What the components passed so far say about the next one.
#[derive(Default)]
struct Above<'a> {
    depth: usize,
    parent: Option<&'a [u8]>,
    grandparent: Option<&'a [u8]>,
    kubepods: bool,
    user: bool,
}

impl<'a> Above<'a> {
    fn enter(&mut self, component: &'a [u8]) {
        self.kubepods |= component.starts_with(b"kubepods");
        self.user |= self.parent.is_none() && component == b"user.slice";
        self.grandparent = self.parent.replace(component);
        self.depth += 1;
    }

    fn container(&self, component: &'a [u8]) -> Option<CgroupContainer<'a>> {
        let (id, runtime) = self
            .bare(component)
            .or_else(|| prefixed(component))
            .or_else(|| colon_separated(component))
            .or_else(|| self.build(component))
            .or_else(|| self.lxc(component))
            .or_else(|| self.nspawn(component))
            .or_else(|| self.named(component))?;
        let id = std::str::from_utf8(id).ok()?;
        let owner = if self.user {
            Owner::User
        } else {
            Owner::System
        };
        Some(CgroupContainer { id, runtime, owner })
    }

    /// `/docker/ID`, `/kubepods/…/ID`, `/any-cgroup-parent/ID`. Below `user.slice` anybody can
    /// make a directory, so there only a runtime's own parent counts.
    fn bare(&self, component: &'a [u8]) -> Option<(&'a [u8], Runtime)> {
        let id = hex_id(component)?;
        match self.parent {
            _ if self.kubepods => Some((id, Runtime::Containerd)),
            Some(b"docker") => Some((id, Runtime::Docker)),
            Some(b"libpod_parent") => Some((id, Runtime::Podman)),
            Some(b"default" | b"k8s.io") if !self.user => Some((id, Runtime::Containerd)),
            _ => (!self.user).then_some((id, Runtime::Docker)),
        }
    }

    /// `/docker/buildkit/ID`, `buildkit-ID.scope`.
    fn build(&self, component: &'a [u8]) -> Option<(&'a [u8], Runtime)> {
        let id = match self.parent {
            Some(b"buildkit") => component,
            _ => component
                .strip_prefix(b"buildkit-")?
                .strip_suffix(b".scope")?,
        };
        let exact = id.len() == BUILD_ID_LEN
            && id
                .iter()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        exact.then_some((id, Runtime::BuildKit))
    }

    /// `/lxc/NAME`, `/lxc.payload/NAME`, `/lxc.payload.NAME`, at the top only; a user's own
    /// `lxc.payload.NAME` lies in his session. (`lxc.monitor.NAME` is a host process.)
    fn lxc(&self, component: &'a [u8]) -> Option<(&'a [u8], Runtime)> {
        let name = match (self.depth, self.parent) {
            (0, _) => component.strip_prefix(b"lxc.payload.")?,
            (1, Some(b"lxc" | b"lxc.payload")) => component,
            _ if self.user => component.strip_prefix(b"lxc.payload.")?,
            _ => return None,
        };
        is_name(name).then_some((name, Runtime::Lxc))
    }

    /// `/machine.slice/systemd-nspawn@NAME.service/payload`, or `machine-NAME.scope/payload` when
    /// started by hand, with the name as systemd escapes it. (`supervisor` beside it is
    /// systemd-nspawn itself, and virtual machines have no `payload`.)
    fn nspawn(&self, component: &'a [u8]) -> Option<(&'a [u8], Runtime)> {
        let (unit, b"payload", b"machine.slice", 2) =
            (self.parent?, component, self.grandparent?, self.depth)
        else {
            return None;
        };
        let service = |unit: &'a [u8]| {
            let instance = unit.strip_prefix(b"systemd-nspawn@")?;
            instance.strip_suffix(b".service")
        };
        let scope = |unit: &'a [u8]| unit.strip_prefix(b"machine-")?.strip_suffix(b".scope");
        let name = service(unit).or_else(|| scope(unit))?;
        is_name(name).then_some((name, Runtime::Nspawn))
    }

    /// `/default/NAME`: containerd's default namespace, in which `ctr` leaves the name to its
    /// user. Other namespaces cannot be told from any other directory.
    fn named(&self, component: &'a [u8]) -> Option<(&'a [u8], Runtime)> {
        let here = self.depth == 1 && self.parent == Some(b"default");
        (here && is_name(component)).then_some((component, Runtime::Containerd))
    }
}

/// A name that a user chose; a backslash comes from systemd's escapes.
fn is_name(name: &[u8]) -> bool {
    let fits = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.\\".contains(byte);
    !name.is_empty() && name.len() <= NAME_MAX && name.iter().all(fits)
}

/// `PREFIX-ID.scope` of the systemd drivers; CRI-O and Podman also without `.scope`.
fn prefixed(component: &[u8]) -> Option<(&[u8], Runtime)> {
    const SCOPES: [(&[u8], Runtime); 5] = [
        (b"docker-", Runtime::Docker),
        (b"cri-containerd-", Runtime::Containerd),
        (b"nerdctl-", Runtime::Containerd),
        (b"crio-", Runtime::Crio),
        (b"libpod-", Runtime::Podman),
    ];
    const PLAIN: [(&[u8], Runtime); 3] = [
        (b"crio-", Runtime::Crio),
        (b"libpod-", Runtime::Podman),
        (b"libpod-payload-", Runtime::Podman),
    ];
    let (name, table) = match component.strip_suffix(b".scope") {
        Some(name) => (name, SCOPES.as_slice()),
        None => (component, PLAIN.as_slice()),
    };
    table
        .iter()
        .find_map(|(prefix, runtime)| Some((hex_id(name.strip_prefix(*prefix)?)?, *runtime)))
}

/// `SLICE:cri-containerd:ID`: what a runtime makes of a systemd cgroup path when it uses the
/// cgroupfs driver itself.
fn colon_separated(component: &[u8]) -> Option<(&[u8], Runtime)> {
    let mut parts = component.rsplit(|byte| *byte == b':');
    let id = hex_id(parts.next()?)?;
    let runtime = match parts.next()? {
        b"cri-containerd" | b"nerdctl" => Runtime::Containerd,
        b"crio" => Runtime::Crio,
        b"docker" => Runtime::Docker,
        b"libpod" => Runtime::Podman,
        _ => return None,
    };
    parts.next()?.ends_with(b".slice").then_some((id, runtime))
}

fn hex_id(name: &[u8]) -> Option<&[u8]> {
    let exact = name.len() == ID_LEN
        && name
            .iter()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    exact.then_some(name)
}

#[cfg(test)]
mod tests;
