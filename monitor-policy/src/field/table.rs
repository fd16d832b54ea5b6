//! The one table of fields: name, type, flags and meaning.
//!
//! The parser, the checker, the output formatter and the documentation read it; nothing else says
//! which fields exist. Long because the language is: 307 rows, one a field, in the order of the
//! reference.

use super::FieldFlags as F;
use super::{FieldDefinition, FieldKind};

macro_rules! fields {
    ($($variant:ident = $name:literal, $kind:ident, [$($flag:ident),*], $meaning:literal;)*) => {
        /// A field of the rule language, named after its dotted name (`proc.name` is `ProcName`).
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        #[repr(u16)]
        pub enum Field {
            $(
                #[doc = concat!("`", $name, "`: `", $meaning, "`")]
                $variant,
            )*
        }

        /// One row a field, in the order of the enum.
        pub(super) static DEFINITIONS: &[FieldDefinition] = &[
            $(FieldDefinition {
                field: Field::$variant,
                name: $name,
                kind: FieldKind::$kind,
                flags: F::NONE$(.and(F::$flag))*,
                meaning: $meaning,
            },)*
        ];
    };
}

fields! {
    // evt (generic)
    EvtNum = "evt.num", Unsigned64, [], "Ordinal of the event since start";
    EvtTime = "evt.time", Text, [], "Local time HH:MM:SS.nnnnnnnnn";
    EvtTimeS = "evt.time.s", Text, [], "Local time, whole seconds";
    EvtTimeIso8601 = "evt.time.iso8601", Text, [], "UTC ISO 8601 with nanoseconds";
    EvtDatetime = "evt.datetime", Text, [], "Local date and time with nanoseconds";
    EvtDatetimeS = "evt.datetime.s", Text, [], "Local date and time, whole seconds";
    EvtRawtime = "evt.rawtime", Time, [], "Ns since epoch";
    EvtRawtimeS = "evt.rawtime.s", Time, [], "Seconds part of it";
    EvtRawtimeNs = "evt.rawtime.ns", Time, [], "Sub-second ns part";
    EvtReltime = "evt.reltime", Duration, [], "Ns since the first event";
    EvtReltimeS = "evt.reltime.s", Duration, [], "Seconds part";
    EvtReltimeNs = "evt.reltime.ns", Duration, [], "Ns part";
    EvtPluginname = "evt.pluginname", Text, [], "Plugin that produced the event (missing for syscalls)";
    EvtPlugininfo = "evt.plugininfo", Text, [], "That plugin's one-line summary";
    EvtSource = "evt.source", Text, [], "Event source name (syscall)";
    EvtIsAsync = "evt.is_async", Bool, [], "Event injected asynchronously?";
    EvtAsynctype = "evt.asynctype", Text, [], "Name of the async event";
    EvtHostname = "evt.hostname", Text, [], "Host name (env FALCO_HOSTNAME wins)";
    // evt (syscall)
    EvtLatency = "evt.latency", Duration, [DEPRECATED], "0 now (was enter→exit time)";
    EvtLatencyS = "evt.latency.s", Duration, [DEPRECATED], "Same, seconds";
    EvtLatencyNs = "evt.latency.ns", Duration, [DEPRECATED], "Same, ns";
    EvtLatencyQuantized = "evt.latency.quantized", Unsigned64, [HIDDEN, DEPRECATED], "Log10 bucket of latency (tables)";
    EvtLatencyHuman = "evt.latency.human", Text, [DEPRECATED], "Latency as text";
    EvtDeltatime = "evt.deltatime", Duration, [], "Ns since previous event";
    EvtDeltatimeS = "evt.deltatime.s", Duration, [], "Seconds part";
    EvtDeltatimeNs = "evt.deltatime.ns", Duration, [], "Ns part";
    EvtOutputtime = "evt.outputtime", Text, [HIDDEN], "Time in the tool's display format";
    EvtDir = "evt.dir", Text, [DEPRECATED], "Always <";
    EvtType = "evt.type", Text, [], "Event name; syscall name for generic events";
    EvtTypeIs = "evt.type.is", Unsigned32, [ARGUMENT_REQUIRED], "1 if the event has this code";
    SyscallType = "syscall.type", Text, [], "Syscall name; missing on non-syscall events";
    EvtCategory = "evt.category", Text, [], "File, net, process, memory, ipc, … or IO read/write classes";
    EvtCpu = "evt.cpu", Signed16, [], "CPU number";
    EvtArgs = "evt.args", Text, [], "All parameters as name=value list";
    EvtArg = "evt.arg", Text, [ARGUMENT_REQUIRED], "A parameter by name, or by position as `evt.arg[N]`, as text";
    EvtRawarg = "evt.rawarg", Dynamic, [ARGUMENT_REQUIRED, NOT_ON_RIGHT, NO_TRANSFORMER], "A parameter with its native type";
    EvtInfo = "evt.info", Text, [], "Same as evt.args";
    EvtBuffer = "evt.buffer", Bytes, [], "Captured I/O bytes (≤ snaplen)";
    EvtBuflen = "evt.buflen", Unsigned64, [], "True length of that I/O";
    EvtRes = "evt.res", Text, [], "SUCCESS or errno name";
    EvtRawres = "evt.rawres", Signed64, [], "Return value";
    EvtFailed = "evt.failed", Bool, [], "Return value < 0";
    EvtIsIo = "evt.is_io", Bool, [], "Reads or writes an fd";
    EvtIsIoRead = "evt.is_io_read", Bool, [], "Reads an fd";
    EvtIsIoWrite = "evt.is_io_write", Bool, [], "Writes an fd";
    EvtIoDir = "evt.io_dir", Text, [], "`r` for reads, `w` for writes";
    EvtIsWait = "evt.is_wait", Bool, [], "Blocking wait call";
    EvtWaitLatency = "evt.wait_latency", Duration, [DEPRECATED], "0 now";
    EvtIsSyslog = "evt.is_syslog", Bool, [], "Write to /dev/log";
    EvtCount = "evt.count", Unsigned32, [], "Always 1";
    EvtCountError = "evt.count.error", Unsigned32, [], "1 if failed";
    EvtCountErrorFile = "evt.count.error.file", Unsigned32, [], "1 if failed file call";
    EvtCountErrorNet = "evt.count.error.net", Unsigned32, [], "1 if failed network call";
    EvtCountErrorMemory = "evt.count.error.memory", Unsigned32, [], "1 if failed memory call";
    EvtCountErrorOther = "evt.count.error.other", Unsigned32, [], "1 if failed other call";
    EvtCountExit = "evt.count.exit", Unsigned32, [], "1 for exit events";
    EvtCountProcinfo = "evt.count.procinfo", Unsigned32, [HIDDEN], "1 for procinfo of main threads";
    EvtCountThreadinfo = "evt.count.threadinfo", Unsigned32, [HIDDEN], "1 for procinfo events";
    EvtAround = "evt.around", Unsigned64, [ARGUMENT_REQUIRED, FILTER_ONLY, NOT_ON_RIGHT, NO_TRANSFORMER], "Whether the event is within so many ms of this time";
    EvtAbspath = "evt.abspath", Text, [ARGUMENT_REQUIRED], "Absolute path of an *at call (.src/.dst)";
    EvtBuflenIn = "evt.buflen.in", Unsigned64, [HIDDEN], "I/O length, reads only";
    EvtBuflenOut = "evt.buflen.out", Unsigned64, [HIDDEN], "Writes only";
    EvtBuflenFile = "evt.buflen.file", Unsigned64, [HIDDEN], "File I/O only";
    EvtBuflenFileIn = "evt.buflen.file.in", Unsigned64, [HIDDEN], "File reads";
    EvtBuflenFileOut = "evt.buflen.file.out", Unsigned64, [HIDDEN], "File writes";
    EvtBuflenNet = "evt.buflen.net", Unsigned64, [HIDDEN], "Network I/O only";
    EvtBuflenNetIn = "evt.buflen.net.in", Unsigned64, [HIDDEN], "Network reads";
    EvtBuflenNetOut = "evt.buflen.net.out", Unsigned64, [HIDDEN], "Network writes";
    EvtIsOpenRead = "evt.is_open_read", Bool, [], "Open* asking for read access";
    EvtIsOpenWrite = "evt.is_open_write", Bool, [], "Open* asking for write access";
    EvtInfraDockerName = "evt.infra.docker.name", Text, [HIDDEN], "Docker infra event name";
    EvtInfraDockerContainerId = "evt.infra.docker.container.id", Text, [HIDDEN], "Id in it";
    EvtInfraDockerContainerName = "evt.infra.docker.container.name", Text, [HIDDEN], "Name in it";
    EvtInfraDockerContainerImage = "evt.infra.docker.container.image", Text, [HIDDEN], "Image in it";
    EvtIsOpenExec = "evt.is_open_exec", Bool, [], "Open*/creat creating a file with an x bit";
    EvtIsOpenCreate = "evt.is_open_create", Bool, [], "Open* that created the file";
    // process/thread
    ProcExe = "proc.exe", Text, [], "Argv[0]";
    ProcPexe = "proc.pexe", Text, [], "Parent's argv[0]";
    ProcAexe = "proc.aexe", Text, [ARGUMENT, NOT_ON_RIGHT, NO_TRANSFORMER], "Ancestor's argv[0]; without index any ancestor";
    ProcExepath = "proc.exepath", Text, [], "Resolved executable path";
    ProcPexepath = "proc.pexepath", Text, [], "Parent's";
    ProcAexepath = "proc.aexepath", Text, [ARGUMENT, NOT_ON_RIGHT, NO_TRANSFORMER], "Ancestor's";
    ProcName = "proc.name", Text, [], "Name that the kernel gave the process at its last exec or fork, at most 15 bytes";
    ProcPname = "proc.pname", Text, [], "Parent's comm";
    ProcAname = "proc.aname", Text, [ARGUMENT, NOT_ON_RIGHT, NO_TRANSFORMER], "Ancestor's comm";
    ProcArgs = "proc.args", Text, [ARGUMENT], "Argv[1..] joined by blanks; [n] = one argument";
    ProcAargs = "proc.aargs", Text, [ARGUMENT], "Ancestor's args; without index all ancestors' args in one string";
    ProcCmdline = "proc.cmdline", Text, [], "Comm + args";
    ProcPcmdline = "proc.pcmdline", Text, [], "Parent's";
    ProcAcmdline = "proc.acmdline", Text, [ARGUMENT, NOT_ON_RIGHT, NO_TRANSFORMER], "Ancestor's";
    ProcCmdnargs = "proc.cmdnargs", Unsigned64, [], "Number of args";
    ProcCmdlenargs = "proc.cmdlenargs", Unsigned64, [], "Total length of args";
    ProcExeline = "proc.exeline", Text, [], "Argv[0] + args";
    ProcEnv = "proc.env", Text, [ARGUMENT], "Environment joined by blanks; [NAME] = value (\"\" if unset)";
    ProcAenv = "proc.aenv", Text, [ARGUMENT, NOT_ON_RIGHT, NO_TRANSFORMER], "Ancestor's environment";
    ProcCwd = "proc.cwd", Text, [], "Working directory, ends with /";
    ProcLoginshellid = "proc.loginshellid", Signed64, [], "Pid of the oldest shell ancestor";
    ProcTty = "proc.tty", Unsigned32, [], "Controlling tty number, 0 none";
    ProcPid = "proc.pid", Signed64, [], "Pid (tgid)";
    ProcPpid = "proc.ppid", Signed64, [], "Parent pid";
    ProcApid = "proc.apid", Signed64, [ARGUMENT, NOT_ON_RIGHT, NO_TRANSFORMER], "Ancestor pid";
    ProcVpid = "proc.vpid", Signed64, [], "Pid in its namespace";
    ProcPvpid = "proc.pvpid", Signed64, [], "Parent's";
    ProcSid = "proc.sid", Signed64, [], "Session id (namespace)";
    ProcSname = "proc.sname", Text, [], "Session leader's comm";
    ProcSidExe = "proc.sid.exe", Text, [], "Its argv[0]";
    ProcSidExepath = "proc.sid.exepath", Text, [], "Its exe path";
    ProcVpgid = "proc.vpgid", Signed64, [], "Process group (namespace)";
    ProcVpgidName = "proc.vpgid.name", Text, [], "Group leader's comm";
    ProcVpgidExe = "proc.vpgid.exe", Text, [], "Its argv[0]";
    ProcVpgidExepath = "proc.vpgid.exepath", Text, [], "Its exe path";
    ProcPgid = "proc.pgid", Signed64, [], "Process group (host)";
    ProcPgidName = "proc.pgid.name", Text, [], "Group leader's comm";
    ProcPgidExe = "proc.pgid.exe", Text, [], "Its argv[0]";
    ProcPgidExepath = "proc.pgid.exepath", Text, [], "Its exe path";
    ProcDuration = "proc.duration", Duration, [], "Ns since clone of this process";
    ProcPpidDuration = "proc.ppid.duration", Duration, [], "Ns since clone of the parent";
    ProcPidTs = "proc.pid.ts", Duration, [], "Start time, ns epoch";
    ProcPpidTs = "proc.ppid.ts", Duration, [], "Parent's";
    ProcIsExeWritable = "proc.is_exe_writable", Bool, [], "Exe writable by the executing user";
    ProcIsExeUpperLayer = "proc.is_exe_upper_layer", Bool, [], "Exe in overlayfs upper layer";
    ProcIsExeLowerLayer = "proc.is_exe_lower_layer", Bool, [], "Exe in overlayfs lower layer";
    ProcIsExeFromMemfd = "proc.is_exe_from_memfd", Bool, [], "Exe is an anonymous memory file";
    ProcIsSidLeader = "proc.is_sid_leader", Bool, [], "Sid == vpid";
    ProcIsVpgidLeader = "proc.is_vpgid_leader", Bool, [], "Vpgid == vpid";
    ProcIsPgidLeader = "proc.is_pgid_leader", Bool, [], "Pgid == pid";
    ProcExeIno = "proc.exe_ino", Signed64, [], "Inode of the exe";
    ProcExeInoCtime = "proc.exe_ino.ctime", Time, [], "Its change time, ns";
    ProcExeInoMtime = "proc.exe_ino.mtime", Time, [], "Its modification time, ns";
    ProcExeInoCtimeDurationProcStart = "proc.exe_ino.ctime_duration_proc_start", Time, [], "Process start − ctime, ns";
    ProcExeInoCtimeDurationPidnsStart = "proc.exe_ino.ctime_duration_pidns_start", Time, [], "Ctime − pid namespace start, ns";
    ProcPidnsInitStartTs = "proc.pidns_init_start_ts", Unsigned64, [], "Start of the pid namespace, ns";
    ThreadCapPermitted = "thread.cap_permitted", Text, [], "Capability names, blank-separated";
    ThreadCapInheritable = "thread.cap_inheritable", Text, [], "Same";
    ThreadCapEffective = "thread.cap_effective", Text, [], "Same";
    ProcFdopencount = "proc.fdopencount", Unsigned64, [], "Open fds";
    ProcFdlimit = "proc.fdlimit", Signed64, [], "RLIMIT_NOFILE";
    ProcFdusage = "proc.fdusage", Float, [], "Open/limit";
    ProcVmsize = "proc.vmsize", Unsigned64, [], "In kB";
    ProcVmrss = "proc.vmrss", Unsigned64, [], "In kB";
    ProcVmswap = "proc.vmswap", Unsigned64, [], "In kB";
    ThreadPfmajor = "thread.pfmajor", Unsigned64, [], "Major faults";
    ThreadPfminor = "thread.pfminor", Unsigned64, [], "Minor faults";
    ThreadTid = "thread.tid", Signed64, [], "Tid";
    ThreadIsmain = "thread.ismain", Bool, [], "Tid == pid";
    ThreadVtid = "thread.vtid", Signed64, [], "Tid in its namespace";
    ThreadNametid = "thread.nametid", Text, [HIDDEN], "Comm + tid";
    ThreadExectime = "thread.exectime", Duration, [], "CPU time of last slice (switch events)";
    ThreadTotexectime = "thread.totexectime", Duration, [], "Sum of those";
    ThreadCgroups = "thread.cgroups", Text, [], "All subsys=path";
    ThreadCgroup = "thread.cgroup", Text, [ARGUMENT_REQUIRED], "Path in the hierarchy of one subsystem";
    ProcNthreads = "proc.nthreads", Unsigned64, [], "Live threads";
    ProcNchilds = "proc.nchilds", Unsigned64, [], "Live non-leader threads";
    ThreadCpu = "thread.cpu", Float, [], "CPU use last second";
    ThreadCpuUser = "thread.cpu.user", Float, [], "User part";
    ThreadCpuSystem = "thread.cpu.system", Float, [], "System part";
    ThreadVmsize = "thread.vmsize", Unsigned64, [], "In kB, main thread only";
    ThreadVmrss = "thread.vmrss", Unsigned64, [], "In kB, main thread only";
    ThreadVmsizeB = "thread.vmsize.b", Unsigned64, [HIDDEN], "Bytes";
    ThreadVmrssB = "thread.vmrss.b", Unsigned64, [HIDDEN], "Bytes";
    ProcStdinType = "proc.stdin.type", Text, [], "Type of fd 0";
    ProcStdoutType = "proc.stdout.type", Text, [], "Type of fd 1";
    ProcStderrType = "proc.stderr.type", Text, [], "Type of fd 2";
    ProcStdinName = "proc.stdin.name", Text, [], "Name of fd 0";
    ProcStdoutName = "proc.stdout.name", Text, [], "Name of fd 1";
    ProcStderrName = "proc.stderr.name", Text, [], "Name of fd 2";
    // user
    UserUid = "user.uid", Unsigned32, [], "Effective uid of the thread";
    UserName = "user.name", Text, [], "Its name, literal <NA> if unknown";
    UserHomedir = "user.homedir", Text, [], "Home directory";
    UserShell = "user.shell", Text, [], "Login shell";
    UserLoginuid = "user.loginuid", Signed64, [], "Audit uid, −1 unset";
    UserLoginname = "user.loginname", Text, [], "Its name";
    // group
    GroupGid = "group.gid", Unsigned32, [], "Gid";
    GroupName = "group.name", Text, [], "Group name";
    // fd
    FdNum = "fd.num", Signed64, [], "Fd number of the event";
    FdType = "fd.type", Text, [], "File, directory, ipv4, ipv6, unix, pipe, event, …";
    FdTypechar = "fd.typechar", Text, [], "One-character form (f d 4 6 u p e …)";
    FdName = "fd.name", Text, [], "Path or tuple text";
    FdDirectory = "fd.directory", Text, [], "Dirname (files)";
    FdFilename = "fd.filename", Text, [], "Basename (files)";
    FdIp = "fd.ip", Address, [FILTER_ONLY, NOT_ON_RIGHT, NO_TRANSFORMER], "Either end";
    FdCip = "fd.cip", Address, [], "Client address";
    FdSip = "fd.sip", Address, [], "Server address";
    FdLip = "fd.lip", Address, [], "Local address";
    FdRip = "fd.rip", Address, [], "Remote address";
    FdPort = "fd.port", Port, [FILTER_ONLY, NOT_ON_RIGHT, NO_TRANSFORMER], "Either end";
    FdCport = "fd.cport", Port, [], "Client port";
    FdSport = "fd.sport", Port, [], "Server port";
    FdLport = "fd.lport", Port, [], "Local port";
    FdRport = "fd.rport", Port, [], "Remote port";
    FdL4proto = "fd.l4proto", Text, [], "`tcp`, `udp`, `icmp`, `raw`; `<NA>` where none of these";
    FdSockfamily = "fd.sockfamily", Text, [], "`ip`, `unix`, `netlink`, `packet` or `vsock`";
    FdIsServer = "fd.is_server", Bool, [], "Owner is the server end";
    FdUid = "fd.uid", Text, [], "Tid and fd number concatenated";
    FdContainername = "fd.containername", Text, [], "Container id, a colon and the name";
    FdContainerdirectory = "fd.containerdirectory", Text, [], "Container id, a colon and the directory";
    FdProto = "fd.proto", Port, [FILTER_ONLY, NOT_ON_RIGHT, NO_TRANSFORMER], "Service name of either port";
    FdCproto = "fd.cproto", Text, [], "Of client port";
    FdSproto = "fd.sproto", Text, [], "Of server port";
    FdLproto = "fd.lproto", Text, [], "Of local port";
    FdRproto = "fd.rproto", Text, [], "Of remote port";
    FdNet = "fd.net", Network, [FILTER_ONLY, NOT_ON_RIGHT, NO_TRANSFORMER], "CIDR test, either end";
    FdCnet = "fd.cnet", Network, [FILTER_ONLY, NOT_ON_RIGHT, NO_TRANSFORMER], "Client";
    FdSnet = "fd.snet", Network, [FILTER_ONLY, NOT_ON_RIGHT, NO_TRANSFORMER], "Server";
    FdLnet = "fd.lnet", Network, [FILTER_ONLY, NOT_ON_RIGHT, NO_TRANSFORMER], "Local";
    FdRnet = "fd.rnet", Network, [FILTER_ONLY, NOT_ON_RIGHT, NO_TRANSFORMER], "Remote";
    FdConnected = "fd.connected", Bool, [], "Socket connected";
    FdNameChanged = "fd.name_changed", Bool, [], "This event changed the fd's name (UDP tuple)";
    FdCipName = "fd.cip.name", Text, [NOT_ON_RIGHT, NO_TRANSFORMER], "Domain name of client ip (see DNS)";
    FdSipName = "fd.sip.name", Text, [NOT_ON_RIGHT, NO_TRANSFORMER], "Server";
    FdLipName = "fd.lip.name", Text, [NOT_ON_RIGHT, NO_TRANSFORMER], "Local";
    FdRipName = "fd.rip.name", Text, [NOT_ON_RIGHT, NO_TRANSFORMER], "Remote";
    FdDev = "fd.dev", Signed32, [], "Device number";
    FdDevMajor = "fd.dev.major", Signed32, [], "Major";
    FdDevMinor = "fd.dev.minor", Signed32, [], "Minor";
    FdIno = "fd.ino", Signed64, [], "Inode";
    FdNameraw = "fd.nameraw", Text, [], "Path as passed by the program";
    FdTypes = "fd.types", Text, [ARGUMENT, NOT_ON_RIGHT, LIST], "Types of all open fds, or of fd [n]";
    FdIsUpperLayer = "fd.is_upper_layer", Bool, [], "File in overlay upper";
    FdIsLowerLayer = "fd.is_lower_layer", Bool, [], "File in overlay lower";
    // dns
    DnsType = "dns.type", Text, [EXTENSION], "What a DNS message is: query or answer";
    DnsQuestionName = "dns.question.name", Text, [EXTENSION], "Name asked for, in lower case, without the dot at its end";
    DnsQuestionType = "dns.question.type", Text, [EXTENSION], "Type of record asked for: A, AAAA, TXT, …; TYPE and its number for one without a name";
    DnsRcode = "dns.rcode", Text, [EXTENSION], "How an answer ends: NOERROR, NXDOMAIN, SERVFAIL, …";
    DnsAnswers = "dns.answers", Text, [EXTENSION, NOT_ON_RIGHT, LIST], "Addresses, names and texts that an answer gives";
    // fs.path
    FsPathName = "fs.path.name", Text, [], "Absolute path the call acts on";
    FsPathNameraw = "fs.path.nameraw", Text, [], "As passed";
    FsPathSource = "fs.path.source", Text, [], "Absolute source path";
    FsPathSourceraw = "fs.path.sourceraw", Text, [], "As passed";
    FsPathTarget = "fs.path.target", Text, [], "Absolute target path";
    FsPathTargetraw = "fs.path.targetraw", Text, [], "As passed";
    // fdlist
    FdlistNums = "fdlist.nums", Text, [], "Poll/select: fd numbers";
    FdlistNames = "fdlist.names", Text, [], "Their names";
    FdlistCips = "fdlist.cips", Text, [], "Client ips";
    FdlistSips = "fdlist.sips", Text, [], "Server ips";
    FdlistCports = "fdlist.cports", Text, [], "Client ports";
    FdlistSports = "fdlist.sports", Text, [], "Server ports";
    // util (hidden)
    UtilCnt = "util.cnt", Unsigned64, [], "Counter incremented at each evaluation";
    // container (plugin)
    ContainerId = "container.id", Text, [], "12 hex digits, or host";
    ContainerFullId = "container.full_id", Text, [], "Full id";
    ContainerName = "container.name", Text, [], "Name";
    ContainerImage = "container.image", Text, [], "Image reference";
    ContainerImageId = "container.image.id", Text, [], "Image id";
    ContainerType = "container.type", Text, [], "Docker, containerd, cri-o, podman, lxc, …; host";
    ContainerPrivileged = "container.privileged", Bool, [], "Privileged flag";
    ContainerMounts = "container.mounts", Text, [], "All mounts src:dst:mode:rw:prop";
    ContainerMount = "container.mount", Text, [ARGUMENT_REQUIRED], "One mount by index or source";
    ContainerMountSource = "container.mount.source", Text, [ARGUMENT_REQUIRED], "Source, by index or by destination";
    ContainerMountDest = "container.mount.dest", Text, [ARGUMENT_REQUIRED], "Destination, by index or by source";
    ContainerMountMode = "container.mount.mode", Text, [ARGUMENT_REQUIRED], "Mode";
    ContainerMountRdwr = "container.mount.rdwr", Text, [ARGUMENT_REQUIRED], "True/false";
    ContainerMountPropagation = "container.mount.propagation", Text, [ARGUMENT_REQUIRED], "Propagation";
    ContainerImageRepository = "container.image.repository", Text, [], "Repository without tag";
    ContainerImageTag = "container.image.tag", Text, [], "Tag";
    ContainerImageDigest = "container.image.digest", Text, [], "Digest";
    ContainerStartTs = "container.start_ts", Time, [], "Start, ns epoch (pid namespace init)";
    ContainerDuration = "container.duration", Duration, [], "Ns since start";
    ContainerIp = "container.ip", Text, [], "Primary IPv4";
    ContainerCniJson = "container.cni.json", Text, [], "CNI result";
    ContainerHostPid = "container.host_pid", Bool, [], "Host pid namespace";
    ContainerHostNetwork = "container.host_network", Bool, [], "Host net namespace";
    ContainerHostIpc = "container.host_ipc", Bool, [], "Host ipc namespace";
    ContainerLabel = "container.label", Text, [ARGUMENT_REQUIRED], "One label, its name in brackets";
    ContainerLabels = "container.labels", Text, [], "All labels";
    ContainerUser = "container.user", Text, [EXTENSION], "User as configured, NAME or UID, :GROUP behind it if given; empty for the image's root";
    ContainerNetworks = "container.networks", Text, [EXTENSION], "Names of its networks, a comma between them";
    ContainerCapAdd = "container.cap_add", Text, [EXTENSION], "Capabilities added to the runtime's default, a blank between them; ALL for all";
    ContainerCapDrop = "container.cap_drop", Text, [EXTENSION], "Capabilities taken out of the runtime's default, a blank between them; ALL for all";
    ContainerMemoryLimit = "container.memory_limit", Unsigned64, [EXTENSION], "Memory limit in bytes; 0 for none";
    ContainerCpuLimit = "container.cpu_limit", Unsigned64, [EXTENSION], "CPU limit in thousandths of a CPU; 0 for none";
    ContainerPidsLimit = "container.pids_limit", Unsigned64, [EXTENSION], "Most processes and threads; 0 for no limit";
    ContainerCgroupParent = "container.cgroup_parent", Text, [EXTENSION], "Parent cgroup as configured; empty for the runtime's default";
    ContainerHealthcheck = "container.healthcheck", Text, [NEVER], "Accepted for old rules; never has a value";
    ContainerLivenessProbe = "container.liveness_probe", Text, [NEVER], "Accepted for old rules; never has a value";
    ContainerReadinessProbe = "container.readiness_probe", Text, [NEVER], "Accepted for old rules; never has a value";
    ProcIsContainerHealthcheck = "proc.is_container_healthcheck", Bool, [NEVER], "Accepted for old rules; never has a value";
    ProcIsContainerLivenessProbe = "proc.is_container_liveness_probe", Bool, [NEVER], "Accepted for old rules; never has a value";
    ProcIsContainerReadinessProbe = "proc.is_container_readiness_probe", Bool, [NEVER], "Accepted for old rules; never has a value";
    // k8s (container plugin)
    K8sPodName = "k8s.pod.name", Text, [], "Pod name";
    K8sNsName = "k8s.ns.name", Text, [], "Namespace";
    K8sPodId = "k8s.pod.id", Text, [], "= k8s.pod.uid";
    K8sPodUid = "k8s.pod.uid", Text, [], "Pod uid";
    K8sPodSandboxId = "k8s.pod.sandbox_id", Text, [], "Sandbox id, 12 digits";
    K8sPodFullSandboxId = "k8s.pod.full_sandbox_id", Text, [], "Sandbox id";
    K8sPodLabel = "k8s.pod.label", Text, [ARGUMENT_REQUIRED], "One pod label, its name in brackets";
    K8sPodLabels = "k8s.pod.labels", Text, [], "All";
    K8sPodIp = "k8s.pod.ip", Text, [], "Pod IPv4";
    K8sPodCniJson = "k8s.pod.cni.json", Text, [], "CNI result";
    K8sRcName = "k8s.rc.name", Text, [NEVER], "Accepted for old rules; never has a value";
    K8sRcId = "k8s.rc.id", Text, [NEVER], "Accepted for old rules; never has a value";
    K8sRcLabel = "k8s.rc.label", Text, [ARGUMENT_REQUIRED, NEVER], "Accepted for old rules; never has a value";
    K8sRcLabels = "k8s.rc.labels", Text, [NEVER], "Accepted for old rules; never has a value";
    K8sSvcName = "k8s.svc.name", Text, [NEVER], "Accepted for old rules; never has a value";
    K8sSvcId = "k8s.svc.id", Text, [NEVER], "Accepted for old rules; never has a value";
    K8sSvcLabel = "k8s.svc.label", Text, [ARGUMENT_REQUIRED, NEVER], "Accepted for old rules; never has a value";
    K8sSvcLabels = "k8s.svc.labels", Text, [NEVER], "Accepted for old rules; never has a value";
    K8sNsId = "k8s.ns.id", Text, [NEVER], "Accepted for old rules; never has a value";
    K8sNsLabel = "k8s.ns.label", Text, [ARGUMENT_REQUIRED, NEVER], "Accepted for old rules; never has a value";
    K8sNsLabels = "k8s.ns.labels", Text, [NEVER], "Accepted for old rules; never has a value";
    K8sRsName = "k8s.rs.name", Text, [NEVER], "Accepted for old rules; never has a value";
    K8sRsId = "k8s.rs.id", Text, [NEVER], "Accepted for old rules; never has a value";
    K8sRsLabel = "k8s.rs.label", Text, [ARGUMENT_REQUIRED, NEVER], "Accepted for old rules; never has a value";
    K8sRsLabels = "k8s.rs.labels", Text, [NEVER], "Accepted for old rules; never has a value";
    K8sDeploymentName = "k8s.deployment.name", Text, [NEVER], "Accepted for old rules; never has a value";
    K8sDeploymentId = "k8s.deployment.id", Text, [NEVER], "Accepted for old rules; never has a value";
    K8sDeploymentLabel = "k8s.deployment.label", Text, [ARGUMENT_REQUIRED, NEVER], "Accepted for old rules; never has a value";
    K8sDeploymentLabels = "k8s.deployment.labels", Text, [NEVER], "Accepted for old rules; never has a value";
}
