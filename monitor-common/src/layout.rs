//! Which members of kernel structs the programs read: one table for both sides.
//!
//! The kernel side makes a `.rodata` global of each row, the loader fills it with the offset it
//! finds in the running kernel's BTF. A row whose member a kernel lacks disables what needs its
//! [`Need`], except for [`Need::Optional`], where [`ABSENT`] tells the program to do without.

/// Offset of a member that this kernel does not have.
pub const ABSENT: u32 = u32::MAX;

/// Number of a helper that no kernel has: where the object calls it, the loader puts the kernel's
/// `bpf_rdonly_cast`, or nothing where there is none.
pub const CAST: u32 = 0x00ca_fe01;

/// The same, in the middle of what reads kernel memory at any pointer.
pub const READ: u32 = 0x00ca_fe02;

/// The same, of pointers whose type the kernel can tell.
pub const READ_TYPED: u32 = 0x00ca_fe03;

/// What a member is read for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Need {
    /// Facts about the acting task, in every record.
    Task,
    /// Facts about files and walks of paths.
    File,
    /// Successful execs.
    Exec,
    /// Sockets behind descriptors.
    Socket,
    /// Cgroups.
    Cgroup,
    /// The path being looked up by the kernel.
    Lookup,
    /// The file behind memory.
    Memory,
    /// The tree of a process's memory, as it was before 6.1.
    MemoryTree,
    /// Operations of `io_uring`.
    Uring,
    /// Nothing fails without it.
    Optional,
}

/// Calls `$then!` with all rows: `Need GLOBAL "struct" ["member", "name in other kernels", …];`.
/// A member is a dotted path through nested and anonymous structs, with numbers for elements of arrays;
/// the empty one stands for the struct's end, that is its size.
#[macro_export]
macro_rules! kernel_members {
    ($then:ident) => {
        $then! {
            Task TASK_PID "task_struct" ["pid"];
            Task TASK_TGID "task_struct" ["tgid"];
            Task TASK_FLAGS "task_struct" ["flags"];
            // What tells calls of 32-bit programs: of x86-64; of aarch64.
            Task TASK_STATUS "task_struct" ["thread_info.status", "thread_info.flags"];
            Task TASK_COMM "task_struct" ["comm"];
            Task TASK_STACK "task_struct" ["stack"];
            // A call's number, its result, its arguments, and those of 32-bit programs: of x86-64; of aarch64.
            Task REGISTERS_SIZE "pt_regs" [""];
            Task CALL_NUMBER "pt_regs" ["orig_ax", "syscallno"];
            Task CALL_RESULT "pt_regs" ["ax", "regs.0"];
            Task ARGUMENT_0 "pt_regs" ["di", "orig_x0"];
            Task ARGUMENT_1 "pt_regs" ["si", "regs.1"];
            Task ARGUMENT_2 "pt_regs" ["dx", "regs.2"];
            Task ARGUMENT_3 "pt_regs" ["r10", "regs.3"];
            Task ARGUMENT_4 "pt_regs" ["r8", "regs.4"];
            Task ARGUMENT_5 "pt_regs" ["r9", "regs.5"];
            Task COMPAT_ARGUMENT_0 "pt_regs" ["bx", "orig_x0"];
            Task COMPAT_ARGUMENT_1 "pt_regs" ["cx", "regs.1"];
            Task COMPAT_ARGUMENT_2 "pt_regs" ["dx", "regs.2"];
            Task COMPAT_ARGUMENT_3 "pt_regs" ["si", "regs.3"];
            Task COMPAT_ARGUMENT_4 "pt_regs" ["di", "regs.4"];
            Task COMPAT_ARGUMENT_5 "pt_regs" ["bp", "regs.5"];
            Task TASK_LEADER "task_struct" ["group_leader"];
            Task TASK_PARENT "task_struct" ["real_parent"];
            Task TASK_START "task_struct" ["start_boottime"];
            Task TASK_CRED "task_struct" ["cred"];
            Task TASK_NSPROXY "task_struct" ["nsproxy"];
            Task TASK_CGROUPS "task_struct" ["cgroups"];
            Task TASK_SIGNAL "task_struct" ["signal"];
            Task TASK_THREAD_PID "task_struct" ["thread_pid"];
            Task TASK_EXIT_CODE "task_struct" ["exit_code"];
            Optional TASK_LOGINUID "task_struct" ["loginuid"];
            Optional TASK_STAYS "task_struct" ["migration_disabled"];
            Optional TASK_SESSIONID "task_struct" ["sessionid"];
            Task CRED_UID "cred" ["uid"];
            Task CRED_GID "cred" ["gid"];
            Task CRED_EUID "cred" ["euid"];
            Task CRED_EGID "cred" ["egid"];
            Task CRED_CAP_PERMITTED "cred" ["cap_permitted"];
            Task CRED_CAP_EFFECTIVE "cred" ["cap_effective"];
            Task CRED_CAP_INHERITABLE "cred" ["cap_inheritable"];
            Task CRED_USER_NS "cred" ["user_ns"];
            Task SIGNAL_LIVE "signal_struct" ["live"];
            Task SIGNAL_PIDS "signal_struct" ["pids"];
            Task SIGNAL_TTY "signal_struct" ["tty"];
            Task SIGNAL_FLAGS "signal_struct" ["flags"];
            Task SIGNAL_GROUP_EXIT_CODE "signal_struct" ["group_exit_code"];
            Task PID_LEVEL "pid" ["level"];
            Task PID_NUMBERS "pid" ["numbers"];
            Task UPID_NS "upid" ["ns"];
            Task UPID_SIZE "upid" [""];
            Task PID_NS_REAPER "pid_namespace" ["child_reaper"];
            Task PID_NS_INUM "pid_namespace" ["ns.inum"];
            Task NSPROXY_MNT "nsproxy" ["mnt_ns"];
            Task NSPROXY_NET "nsproxy" ["net_ns"];
            Task MNT_NS_INUM "mnt_namespace" ["ns.inum"];
            Task NET_NS_INUM "net" ["ns.inum"];
            Task USER_NS_INUM "user_namespace" ["ns.inum"];
            Task CSS_SET_CGROUP "css_set" ["dfl_cgrp"];
            Task CSS_CGROUP "cgroup_subsys_state" ["cgroup"];
            Task CGROUP_KN "cgroup" ["kn"];
            Task KERNFS_ID "kernfs_node" ["id"];
            Optional TTY_DRIVER "tty_struct" ["driver"];
            Optional TTY_INDEX "tty_struct" ["index"];
            Optional TTY_DRIVER_MAJOR "tty_driver" ["major"];
            Optional TTY_DRIVER_MINOR "tty_driver" ["minor_start"];

            File TASK_FS "task_struct" ["fs"];
            File TASK_FILES "task_struct" ["files"];
            File FS_PWD "fs_struct" ["pwd"];
            File FS_ROOT "fs_struct" ["root"];
            File FILES_TABLE "files_struct" ["fdt"];
            File TABLE_FILES "fdtable" ["fd"];
            File TABLE_SIZE "fdtable" ["max_fds"];
            File FILE_PATH "file" ["f_path"];
            File FILE_INODE "file" ["f_inode"];
            File FILE_FLAGS "file" ["f_flags"];
            File FILE_MODE "file" ["f_mode"];
            File PATH_MNT "path" ["mnt"];
            File PATH_DENTRY "path" ["dentry"];
            File DENTRY_PARENT "dentry" ["d_parent"];
            File DENTRY_NAME "dentry" ["d_name.name"];
            File DENTRY_NAME_LEN "dentry" ["d_name.len"];
            File MOUNT_MNT "mount" ["mnt"];
            File MOUNT_PARENT "mount" ["mnt_parent"];
            File MOUNT_POINT "mount" ["mnt_mountpoint"];
            File MOUNT_NS "mount" ["mnt_ns"];
            File VFSMOUNT_ROOT "vfsmount" ["mnt_root"];
            File VFSMOUNT_SB "vfsmount" ["mnt_sb"];
            File INODE_INO "inode" ["i_ino"];
            File INODE_MODE "inode" ["i_mode"];
            File INODE_NLINK "inode" ["i_nlink"];
            File INODE_SB "inode" ["i_sb"];
            File INODE_SIZE "inode" [""];
            File SB_DEV "super_block" ["s_dev"];
            File SB_MAGIC "super_block" ["s_magic"];

            Lookup TASK_NAMEIDATA "task_struct" ["nameidata"];
            Lookup NAMEIDATA_NAME "nameidata" ["name"];
            Lookup NAMEIDATA_DFD "nameidata" ["dfd"];
            Lookup FILENAME_NAME "filename" ["name"];
            Lookup DENTRY_INODE "dentry" ["d_inode"];

            Exec TASK_MM "task_struct" ["mm"];
            Exec MM_ARG_START "mm_struct" ["arg_start"];
            Exec MM_ARG_END "mm_struct" ["arg_end"];
            Exec MM_ENV_START "mm_struct" ["env_start"];
            Exec MM_ENV_END "mm_struct" ["env_end"];
            Exec BPRM_FILE "linux_binprm" ["file"];
            Exec BPRM_FILENAME "linux_binprm" ["filename"];
            Optional BPRM_FDPATH "linux_binprm" ["fdpath"];
            Optional MM_EXE_FILE "mm_struct" ["exe_file"];
            Optional EXEC_NAME_PLACE "trace_event_raw_sched_process_exec" ["__data_loc_filename"];
            Exec CRED_FSUID "cred" ["fsuid"];
            Exec CRED_FSGID "cred" ["fsgid"];
            Exec MNT_NS_USER_NS "mnt_namespace" ["user_ns"];
            Exec SB_ROOT "super_block" ["s_root"];
            Exec INODE_UID "inode" ["i_uid"];
            Exec INODE_GID "inode" ["i_gid"];
            Exec INODE_FLAGS "inode" ["i_flags"];
            // 6.11; 6.6; before.
            Exec INODE_CTIME_SEC "inode" ["i_ctime_sec", "__i_ctime.tv_sec", "i_ctime.tv_sec"];
            Exec INODE_CTIME_NSEC "inode" ["i_ctime_nsec", "__i_ctime.tv_nsec", "i_ctime.tv_nsec"];
            Exec INODE_MTIME_SEC "inode" ["i_mtime_sec", "__i_mtime.tv_sec", "i_mtime.tv_sec"];
            Exec INODE_MTIME_NSEC "inode" ["i_mtime_nsec", "__i_mtime.tv_nsec", "i_mtime.tv_nsec"];

            Socket FILE_PRIVATE "file" ["private_data"];
            Socket SOCKET_SK "socket" ["sk"];
            Socket SOCKET_FILE "socket" ["file"];
            Socket SOCKET_TYPE "socket" ["type"];
            Socket SK_PROTOCOL "sock" ["sk_protocol"];
            Optional TCP_FAST_OPEN "tcp_sock" ["fastopen_req"];
            Socket SK_FAMILY "sock_common" ["skc_family"];
            Socket SK_PORT "sock_common" ["skc_dport"];
            Socket SK_LOCAL_PORT "sock_common" ["skc_num"];
            Socket SK_ADDRESS "sock_common" ["skc_daddr"];
            Socket SK_LOCAL_ADDRESS "sock_common" ["skc_rcv_saddr"];
            Socket MESSAGE_NAME "msghdr" ["msg_name"];
            Socket MESSAGE_NAME_LEN "msghdr" ["msg_namelen"];
            Optional SK_QUEUE "sock" ["sk_ack_backlog"];
            Optional SK_QUEUE_MAX "sock" ["sk_max_ack_backlog"];
            Optional UNIX_ADDRESS "unix_sock" ["addr"];
            Optional UNIX_PEER "unix_sock" ["peer"];
            Optional UNIX_PATH "unix_sock" ["path"];
            Optional UNIX_ADDRESS_LEN "unix_address" ["len"];
            Optional UNIX_ADDRESS_NAME "unix_address" ["name"];
            Optional DENTRY_SB "dentry" ["d_sb"];
            // 6.14; before.
            Optional DENTRY_SHORT_NAME "dentry" ["d_shortname", "d_iname"];
            Memory VMA_FILE "vm_area_struct" ["vm_file"];
            MemoryTree MM_TREE "mm_struct" ["mm_rb.rb_node"];
            MemoryTree VMA_NODE "vm_area_struct" ["vm_rb"];
            MemoryTree VMA_START "vm_area_struct" ["vm_start"];
            MemoryTree VMA_END "vm_area_struct" ["vm_end"];
            MemoryTree NODE_LEFT "rb_node" ["rb_left"];
            MemoryTree NODE_RIGHT "rb_node" ["rb_right"];
            // 6.7; before, the path of the file itself is what the program sees.
            Optional BACKING_PATH "backing_file" ["user_path"];
            Optional SOCK_SIZE "sock" [""];
            Optional NETLINK_PORT "netlink_sock" ["portid"];
            Optional NETLINK_GROUPS "netlink_sock" ["groups"];
            Optional NETLINK_PEER "netlink_sock" ["dst_portid"];
            Optional PACKET_INTERFACE "packet_sock" ["ifindex"];
            Optional PACKET_PROTOCOL "packet_sock" ["num"];
            Optional SK_ADDRESS6 "sock_common" ["skc_v6_daddr"];
            Optional SK_LOCAL_ADDRESS6 "sock_common" ["skc_v6_rcv_saddr"];

            Optional BPF_MAP_ID "bpf_map" ["id"];
            Optional BPF_PROG_AUX "bpf_prog" ["aux"];
            Optional BPF_AUX_ID "bpf_prog_aux" ["id"];

            Uring REQUEST_FILE "io_kiocb" ["file"];
            Uring REQUEST_OPERATION "io_kiocb" ["opcode"];
            Uring REQUEST_FLAGS "io_kiocb" ["flags"];
            // Until the result is in its place.
            Uring REQUEST_FD "io_kiocb" ["cqe.fd"];
            Uring REQUEST_RING "io_kiocb" ["ctx"];
            Uring REQUEST_STATE "io_kiocb" ["async_data"];
            Uring IO_OPEN_DIRFD "io_open" ["dfd"];
            Uring IO_OPEN_SLOT "io_open" ["file_slot"];
            Uring IO_OPEN_NAME "io_open" ["filename"];
            Uring IO_OPEN_FLAGS "io_open" ["how.flags"];
            Uring IO_OPEN_MODE "io_open" ["how.mode"];
            Uring IO_UNLINK_DIRFD "io_unlink" ["dfd"];
            Uring IO_UNLINK_FLAGS "io_unlink" ["flags"];
            Uring IO_UNLINK_NAME "io_unlink" ["filename"];
            Uring IO_RENAME_OLD_DIRFD "io_rename" ["old_dfd"];
            Uring IO_RENAME_NEW_DIRFD "io_rename" ["new_dfd"];
            Uring IO_RENAME_OLD "io_rename" ["oldpath"];
            Uring IO_RENAME_NEW "io_rename" ["newpath"];
            Uring IO_RENAME_FLAGS "io_rename" ["flags"];
            Uring IO_MKDIR_DIRFD "io_mkdir" ["dfd"];
            Uring IO_MKDIR_MODE "io_mkdir" ["mode"];
            Uring IO_MKDIR_NAME "io_mkdir" ["filename"];
            // Of symbolic links too.
            Uring IO_LINK_OLD_DIRFD "io_link" ["old_dfd"];
            Uring IO_LINK_NEW_DIRFD "io_link" ["new_dfd"];
            Uring IO_LINK_OLD "io_link" ["oldpath"];
            Uring IO_LINK_NEW "io_link" ["newpath"];
            Uring IO_LINK_FLAGS "io_link" ["flags"];
            Uring IO_CONNECT_ADDRESS "io_connect" ["addr"];
            Uring IO_CONNECT_LEN "io_connect" ["addr_len"];
            Uring IO_ACCEPT_FLAGS "io_accept" ["flags"];
            Uring IO_ACCEPT_SLOT "io_accept" ["file_slot"];
            Uring IO_SOCKET_DOMAIN "io_socket" ["domain"];
            Uring IO_SOCKET_TYPE "io_socket" ["type"];
            Uring IO_SOCKET_PROTOCOL "io_socket" ["protocol"];
            Uring IO_SEND_FLAGS "io_sr_msg" ["msg_flags"];
            Uring IO_SEND_MESSAGE "io_sr_msg" ["umsg"];
            // Until 6.9; later the kernel has read them by then.
            Optional IO_SEND_ADDRESS "io_sr_msg" ["addr"];
            Optional IO_SEND_LEN "io_sr_msg" ["addr_len"];
            Optional IO_STATE_NAME "io_async_msghdr" ["msg.msg_name"];
            Optional IO_STATE_NAME_LEN "io_async_msghdr" ["msg.msg_namelen"];
            Optional IO_STATE_ADDRESS "io_async_msghdr" ["addr"];
            Optional IO_BIND_LEN "io_bind" ["addr_len"];
            Optional IO_LISTEN_BACKLOG "io_listen" ["backlog"];
            Optional IO_TRUNCATE_LEN "io_ftrunc" ["len"];
            Optional IO_XATTR_PATH "io_xattr" ["filename"];
            Optional IO_XATTR_NAME "io_xattr" ["ctx.kname"];
            Optional IO_XATTR_SIZE "io_xattr" ["ctx.size"];
            Optional IO_XATTR_FLAGS "io_xattr" ["ctx.flags"];
            Optional REQUEST_WORK "io_kiocb" ["work"];
            Optional TASK_WORKER "task_struct" ["worker_private"];
            Optional WORKER_WORK "io_worker" ["cur_work"];
            Optional RING_FILES "io_ring_ctx" ["file_table.data.nodes"];
            Optional RING_FILE "io_rsrc_node" ["file_ptr"];
            // Until 6.12.
            Optional RING_PLAIN_FILES "io_ring_ctx" ["file_table.files"];

            Cgroup CGROUP_LEVEL "cgroup" ["level"];
            Cgroup CGROUP_ROOT "cgroup" ["root"];
            Cgroup CGROUP_ROOT_ID "cgroup_root" ["hierarchy_id"];
        }
    };
}
