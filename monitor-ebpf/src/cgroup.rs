//! Cgroups made, removed and entered, in the hierarchy that tells containers apart: the unified
//! one, or one of cgroup v1.

use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;
use monitor_common::cgroup::Cgroup;
use monitor_common::{Kind, Slot};

use crate::emit::{Outcome, settle};
use crate::layout::*;
use crate::read::{Pointer, Probed, Read, Typed};
use crate::record::{self, Origin};
use crate::scope;
use crate::task;

/// `cgroup_mkdir(struct cgroup *cgrp, const char *path)`, 5.10 and later.
#[btf_tracepoint(function = "cgroup_mkdir")]
pub fn cgroup_mkdir(ctx: BtfTracePointContext) -> i32 {
    settle(
        Kind::CgroupMkdir,
        report(Kind::CgroupMkdir, ctx.arg(0), ctx.arg(1), None),
    )
}

/// `cgroup_rmdir(struct cgroup *cgrp, const char *path)`, 5.10 and later.
#[btf_tracepoint(function = "cgroup_rmdir")]
pub fn cgroup_rmdir(ctx: BtfTracePointContext) -> i32 {
    settle(
        Kind::CgroupRmdir,
        report(Kind::CgroupRmdir, ctx.arg(0), ctx.arg(1), None),
    )
}

/// `cgroup_attach_task(struct cgroup *dst_cgrp, const char *path, struct task_struct *task, bool
/// threadgroup)`, 5.10 and later.
#[btf_tracepoint(function = "cgroup_attach_task")]
pub fn cgroup_attach(ctx: BtfTracePointContext) -> i32 {
    let kind = Kind::CgroupAttach;
    settle(kind, report(kind, ctx.arg(0), ctx.arg(1), Some(ctx.arg(2))))
}

#[inline(always)]
fn report(kind: Kind, cgroup: Pointer, path: Pointer, target: Option<Pointer>) -> Outcome {
    // SAFETY: arguments of the hooks are typed.
    unsafe {
        // One event for each hierarchy of cgroup v1.
        let root: Pointer = Typed::get(cgroup, &CGROUP_ROOT);
        if Typed::get::<u32>(root, &CGROUP_ROOT_ID) != CGROUP_HIERARCHY.load() {
            return Ok(());
        }
        if let Some(target) = target {
            let node: Pointer = Typed::get(cgroup, &CGROUP_KN);
            scope::attached(target, Typed::get(node, &KERNFS_ID));
        }
    }
    record::with::<Probed>(kind as u32, 0, |record| {
        let body = record.body::<Cgroup>();
        // SAFETY: memory of the record; probed.
        unsafe {
            (*body).id = Probed::get(Probed::get(cgroup, &CGROUP_KN), &KERNFS_ID);
            (*body).level = Probed::get(cgroup, &CGROUP_LEVEL);
            (*body).reserved = 0;
            (*body).target_start = 0;
            (*body).target_pid = 0;
            (*body).target_tid = 0;
            if let Some(target) = target {
                (*body).target_start = task::process_start::<Probed>(target);
                (*body).target_pid = Probed::get(target, &TASK_TGID);
                (*body).target_tid = Probed::get(target, &TASK_PID);
            }
        }
        record.string(Slot::Resolved, Origin::Kernel, path);
        record.emit(kind)
    })
}
