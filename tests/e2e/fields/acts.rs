//! What a process of these cases does, as lines for `bin/calls.c` with labels before them.

use std::collections::BTreeMap;

use super::process::Facts;

/// Something that a process does, and the condition of the rule that tells it.
pub(super) struct Act {
    pub(super) name: &'static str,
    pub(super) condition: &'static str,
}

const fn act(name: &'static str, condition: &'static str) -> Act {
    Act { name, condition }
}

/// Its own start, told of every process that is not older than the daemon.
pub(super) const BEGIN: &str = "begin";
/// The start of another program in its place.
pub(super) const EXEC: &str = "exec";

pub(super) const ACTS: [Act; 21] = [
    act(
        BEGIN,
        "evt.type = execve and proc.exepath endswith /e2e-calls",
    ),
    act("open", "evt.type = open and fd.name endswith /f"),
    act("read", "evt.type = openat and fd.name endswith /f"),
    act("failed", "evt.type = openat and fd.name endswith /nothing"),
    act("folder", "evt.type = openat and fd.name endswith /sub"),
    act("symlink", "evt.type = symlink"),
    act("link", "evt.type = link"),
    act("chmod", "evt.type = chmod"),
    act("rename", "evt.type = rename"),
    act("mkdir", "evt.type = mkdir and evt.arg.path endswith /d"),
    act("unlinkat", "evt.type = unlinkat"),
    act("setuid", "evt.type = setuid"),
    act("setns", "evt.type = setns"),
    act("bpf", "evt.type = bpf"),
    act("ptrace", "evt.type = ptrace"),
    act("socket", "evt.type = socket"),
    act("connect", "evt.type = connect"),
    act("accept", "evt.type = accept"),
    act("sendto", "evt.type = sendto"),
    act("recvfrom", "evt.type = recvfrom"),
    act(
        EXEC,
        "evt.type = execve and proc.args endswith \"two words\"",
    ),
];

/// What only some processes do first: those with a terminal, the one that acts in a thread under
/// another name and user, and the one that runs from memory in the end.
const TERMINAL: &str = "
: 112
ptmx: 257 -100 '/dev/ptmx' 2
: 16 @ptmx 0x40045431 d[0]
tty: 16 @ptmx 0x5441 2
: 16 @tty 0x540e 0
";
const THREAD: &str = "
: 157 15 'e2e-worker'
: 119 $U $U $U
: 117 $U $U $U
";
const MEMORY: &str = "
: 109 0 0
program: 257 -100 '$last' 0
memory: 319 'e2e-memory' 0
: 40 @memory @program 0 0x100000
: 33 @memory 77
";

/// Ends where the process waits to be looked at. The alarm is for a process that hangs.
const BEFORE: &str = "
: 37 300
: 83 'sub' 0777
: 2 'go' 0
";

/// 2 is `AF_INET`, 127 0 0 1 the loopback. `$P` and `$C` are ports, the server's and the client's.
const ACTING: &str = "
open: 2 './sub/../f' 01101 0755
read: 257 -100 'f' 0
failed: 257 -100 'nothing' 02
folder: 257 -100 'sub' 0x10000
symlink: 88 'f' 's'
link: 86 'f' 'l'
chmod: 90 'l' 04755
rename: 82 'l' 'r'
mkdir: 83 'd' 0755
unlinkat: 263 -100 'r' 0
setuid: 105 $U
setns: 308 99 0
bpf: 321 5 0 0
ptrace: 101 16 0x7ffffffe 0 0
server: 41 2 1 0
client: 41 2 1 0
: 54 @server 1 2 d[1] 4
: 54 @client 1 2 d[1] 4
: 54 @client 1 13 d[1 0] 8
to: = b[2 0 $P 127 0 0 1 0 0 0 0 0 0 0 0]
from: = b[2 0 $C 127 0 0 1 0 0 0 0 0 0 0 0]
: 49 @server @to 16
: 49 @client @from 16
: 50 @server 5
connect: 42 @client @to 16
accept: 43 @server 0 0
receiver: 41 2 2 0
sender: 41 2 2 0
: 49 @receiver @to 16
: 49 @sender @from 16
sendto: 44 @sender 'hello' 5 0 @to 16
recvfrom: 45 @receiver b[0] 64 0x40 q[0 0] d[16]
exec: 59 '$exec' w['e2e-argv0' '64' 'two words' 0] w['E2E=after' 0]
";

/// The script of a process, and the numbers of the lines with labels.
pub(super) struct Script {
    pub(super) text: String,
    /// How many results there are when it waits to be looked at: its own two numbers, and of all
    /// lines but the last.
    pub(super) before: usize,
    labels: BTreeMap<String, usize>,
}

impl Script {
    pub(super) fn of(facts: &Facts) -> Self {
        let special = match facts.situation.name() {
            "thread" => THREAD,
            "short" => MEMORY,
            _ => TERMINAL,
        };
        let before = [special, BEFORE].concat();
        let count = |text: &str| text.lines().filter(|line| !line.is_empty()).count();
        let last = facts.place.last();
        let exec = match facts.situation.name() {
            "short" => "/proc/self/fd/77".to_owned(),
            _ => last.clone(),
        };
        let port = |port: u16| format!("{} {}", port >> 8, port & 0xff);
        let text = [&before, ACTING]
            .concat()
            .replace("$last", &last)
            .replace("$exec", &exec)
            .replace("$U", &facts.uid().to_string())
            .replace("$P", &port(facts.port()))
            .replace("$C", &port(facts.client_port()));
        let mut labels = BTreeMap::new();
        let mut lines = String::new();
        for (index, line) in text.lines().filter(|line| !line.is_empty()).enumerate() {
            let (label, line) = line.split_once(": ").unwrap_or(("", line));
            let mut line = line.to_owned();
            for (label, number) in &labels {
                line = line.replace(&format!("@{label}"), &format!("@{number}"));
            }
            lines.push_str(&line);
            lines.push('\n');
            if !label.is_empty() {
                labels.insert(label.to_owned(), index);
            }
        }
        Self {
            text: lines,
            before: 2 + count(&before) - 1,
            labels,
        }
    }

    /// What each line with a label gave; nothing of those that were not reached.
    pub(super) fn results(&self, printed: &str) -> BTreeMap<String, i64> {
        // The first two numbers are those of the process.
        let numbers: Vec<i64> = printed
            .lines()
            .skip(2)
            .filter_map(|line| line.parse().ok())
            .collect();
        let result = |(label, index): (&String, &usize)| {
            numbers.get(*index).map(|number| (label.clone(), *number))
        };
        self.labels.iter().filter_map(result).collect()
    }
}
