//! Offsets of kernel struct members on the running kernel, from the table that both sides share.

use std::borrow::Cow;
use std::collections::BTreeMap;

use monitor_common::layout::{ABSENT, Need};
use monitor_common::syscall::{CALLS, Call, Machine, OPERATIONS};

use super::btf::Btf;
use super::cast;

struct Row {
    need: Need,
    global: &'static str,
    structure: &'static str,
    members: &'static [&'static str],
}

macro_rules! rows {
    ($($need:ident $name:ident $structure:literal [$($member:literal),+];)*) => {
        const ROWS: &[Row] = &[$(Row {
            need: Need::$need,
            global: stringify!($name),
            structure: $structure,
            members: &[$($member),+],
        }),*];
    };
}
monitor_common::kernel_members!(rows);

/// Parameters that move between kernels: function, parameter, and the global that tells the
/// object its position. The result comes behind all parameters; it has no name.
const MOVING: &[(&str, &str, &str)] = &[
    ("vfs_symlink", "dentry", "VFS_SYMLINK_DENTRY"),
    ("vfs_symlink", "oldname", "VFS_SYMLINK_TARGET"),
    ("vfs_symlink", RESULT, "VFS_SYMLINK_RESULT"),
    ("vfs_link", "old_dentry", "VFS_LINK_OLD"),
    ("vfs_link", "new_dentry", "VFS_LINK_NEW"),
    ("vfs_link", RESULT, "VFS_LINK_RESULT"),
];

const RESULT: &str = "";

/// Helpers that make the current task and its registers typed.
const TASK_HELPERS: [&str; 2] = ["BPF_FUNC_get_current_task_btf", "BPF_FUNC_task_pt_regs"];

/// The offsets, and what is missing.
pub(super) struct Layout {
    /// Global of the object and its value.
    pub(super) offsets: Vec<(&'static str, u32)>,
    /// Global of the object and position of the parameter it stands for.
    pub(super) parameters: Vec<(&'static str, u32)>,
    /// Number of the function that lets any pointer be read from, if the kernel has it.
    pub(super) cast: Option<u32>,
    /// Names of the parameters of functions.
    names: BTreeMap<String, Vec<String>>,
    /// What cannot be read on this kernel, and the first member that it lacks.
    missing: Vec<(Need, String)>,
}

impl Layout {
    /// Looks all members up, and the parameters of these functions; `controller` is that of the
    /// hierarchy of cgroup v1 that tells containers apart, if the unified one does not.
    pub(super) fn new(
        btf: &Btf<'_>,
        controller: Option<&str>,
        functions: impl Iterator<Item = Cow<'static, str>>,
    ) -> Self {
        let names = functions.filter_map(|function| {
            let names = btf.parameters(&function)?;
            Some((
                function.into_owned(),
                names.into_iter().map(str::to_owned).collect(),
            ))
        });
        let mut layout = Self {
            offsets: Vec::with_capacity(ROWS.len()),
            parameters: parameters(btf),
            cast: btf.function(cast::FUNCTION),
            names: names.collect(),
            missing: Vec::new(),
        };
        let state = controller.and_then(|controller| state(btf, controller));
        layout
            .offsets
            .push(("CGROUP_STATE", state.unwrap_or(ABSENT)));
        for row in ROWS {
            let found = row
                .members
                .iter()
                .find_map(|member| btf.offset(row.structure, member));
            layout.offsets.push((row.global, found.unwrap_or(ABSENT)));
            if found.is_none() && row.need != Need::Optional && layout.lacks(row.need).is_none() {
                let member = format!("{}.{}", row.structure, row.members.join(" or "));
                layout.missing.push((row.need, member));
            }
        }
        layout
    }

    /// Names of a function's parameters, in order; of those that were looked up, if the kernel has it.
    pub(super) fn names(&self, function: &str) -> Option<&[String]> {
        self.names.get(function).map(Vec::as_slice)
    }

    /// The member that keeps this need from being met.
    pub(super) fn lacks(&self, need: Need) -> Option<&str> {
        self.missing
            .iter()
            .find(|(missing, _)| *missing == need)
            .map(|(_, member)| member.as_str())
    }

    /// The parameter that a function of [`MOVING`] should have and has not.
    pub(super) fn lost_parameter(&self, function: &str) -> Option<&'static str> {
        let absent = |global| self.parameters.contains(&(global, ABSENT));
        let mut rows = MOVING.iter().filter(|row| row.0 == function);
        rows.find_map(|(_, parameter, global)| absent(*global).then_some(*parameter))
    }
}

/// Numbers of the calls with an operation of their own, in its order; [`ABSENT`] where a machine has
/// no such call.
pub(super) struct Numbers {
    /// In the machine's own ABI.
    pub(super) own: Vec<u32>,
    /// In its ABI for 32-bit programs.
    pub(super) compat: Vec<u32>,
}

impl Numbers {
    pub(super) fn new(machine: Machine) -> Self {
        let of = |number: fn(&Call, Machine) -> Option<u32>| {
            let calls = CALLS.iter().take(OPERATIONS);
            calls
                .map(|call| number(call, machine).unwrap_or(ABSENT))
                .collect()
        };
        Self {
            own: of(Call::number_on),
            compat: of(Call::number32_on),
        }
    }
}

/// What the programs need to know of a machine beyond its layouts.
fn facts(machine: Machine) -> [(&'static str, u32); 4] {
    let (compat, shares, large, directory) = match machine {
        // `TS_COMPAT` of `arch/x86/include/asm/thread_info.h`.
        Machine::X86 => (1 << 1, 0, 0o100_000, 16),
        // `TIF_32BIT` of `arch/arm64/include/asm/thread_info.h`.
        Machine::Arm => (1 << 22, 1, 0o400_000, 14),
    };
    [
        ("COMPAT_BITS", compat),
        ("COMPAT_SHARES_FUNCTIONS", shares),
        ("O_LARGEFILE", large),
        ("O_DIRECTORY_BIT", directory),
    ]
}

/// Where a `css_set` has the pointer to a controller's state.
fn state(btf: &Btf<'_>, controller: &str) -> Option<u32> {
    const POINTER: u32 = 8;
    let index = btf.enumerator(&format!("{controller}_cgrp_id"))?;
    Some(btf.offset("css_set", "subsys")? + POINTER * index)
}

fn parameters(btf: &Btf<'_>) -> Vec<(&'static str, u32)> {
    let position = |function, parameter| {
        let all = btf.parameters(function)?;
        if parameter == RESULT {
            return Some(all.len() as u32);
        }
        all.iter()
            .position(|name| *name == parameter)
            .map(|position| position as u32)
    };
    // The first parameter of this function is the registration's own.
    let group_dead = position("__traceiter_sched_process_exit", "group_dead") == Some(2);
    let result = position("__traceiter_io_uring_complete", "res");
    let bit = |name| btf.enumerator(name).unwrap_or(ABSENT);
    let typed = TASK_HELPERS
        .iter()
        .all(|helper| btf.enumerator(helper).is_some());
    let mut parameters = vec![
        ("EXIT_SAYS_GROUP_DEAD", u32::from(group_dead)),
        ("HAVE_TASK_BTF", u32::from(typed)),
        (
            "URING_RESULT",
            result.map_or(ABSENT, |position| position - 1),
        ),
        ("URING_FIXED_FILE", bit("REQ_F_FIXED_FILE_BIT")),
        ("URING_SKIP", bit("REQ_F_CQE_SKIP_BIT")),
        ("URING_STATE", bit("REQ_F_ASYNC_DATA_BIT")),
    ];
    parameters.extend(facts(Machine::OWN));
    parameters.extend(MOVING.iter().map(|(function, parameter, global)| {
        (*global, position(function, parameter).unwrap_or(ABSENT))
    }));
    parameters
}

#[cfg(test)]
mod tests {
    use super::super::btf::VMLINUX;
    use super::*;

    #[test]
    fn this_kernel_has_all_that_is_needed() {
        let Ok(bytes) = std::fs::read(VMLINUX) else {
            println!("SKIP: no {VMLINUX}");
            return;
        };
        let functions = ["vfs_link", "no_such"].map(Cow::Borrowed);
        let types = Btf::parse(&bytes).unwrap();
        let layout = Layout::new(&types, Some("cpu"), functions.into_iter());
        assert_eq!(
            layout.names("vfs_link").unwrap().first().unwrap(),
            "old_dentry"
        );
        assert_eq!(layout.names("no_such"), None);
        // 6.1 and later have no such tree.
        let missing = layout.missing.iter().map(|(need, _)| *need);
        let missing: Vec<Need> = missing.collect();
        assert!(
            missing.is_empty() || missing == [Need::MemoryTree],
            "{missing:?}"
        );
        let offset = |name| layout.offsets.iter().find(|row| row.0 == name).unwrap().1;
        // Facts that the C ABI fixes, whatever the configuration.
        assert_eq!((offset("UPID_SIZE"), offset("UPID_NS")), (16, 8));
        assert_eq!(offset("DENTRY_NAME"), offset("DENTRY_NAME_LEN") + 4);
        assert_eq!(offset("PATH_DENTRY"), offset("PATH_MNT") + 8);
        // Registers as `asm/ptrace.h` tells programs of them.
        let (number, argument) = match Machine::OWN {
            Machine::X86 => (120, 112),
            Machine::Arm => (280, 272),
        };
        assert_eq!(offset("CALL_NUMBER"), number);
        assert_eq!(offset("ARGUMENT_0"), argument);
        // `cpuset` comes first, then `cpu`.
        let subsys = offset("CGROUP_STATE") - 8;
        assert!(subsys.is_multiple_of(8) && subsys < 1024, "{subsys}");
    }
}
