//! Rows 27, 28, 37 and 38: the daemon itself is stopped, tampered with, or made to wait.

use crate::case::{Case, Count, Place, Seen, exactly, own, some};

/// The daemon's own rules.
const GAP: &str = "Monitor internal: nothing was watched";
const TAMPERED: &str = "Monitor tampered with";

pub(super) const CASES: &[Case] = &[
    Case {
        row: 38,
        name: "blocked-output",
        technique: "an output of the daemon blocks while the attack goes on",
        condition: "started and proc.exepath = $D/payload",
        prepare: "cp $P/payload $D/payload",
        twin: "$P/payload",
        // Alerts go to a pipe that nobody reads, more than it holds, and to the file.
        act: "daemon_stop; mkfifo $D/pipe; exec 8<>$D/pipe
              DAEMON_OUTPUT=$D/pipe daemon_start; echo fact number 300
              box spawn 300 $D/payload evade-cover; box $D/payload evade-needle
              await 'evade-needle'
              (timeout 20 cat $D/pipe >$D/text & until grep -q evade-needle $D/text; do sleep 1; done)
              daemon_stop; exec 8>&-; daemon_start; grep -q evade-needle $D/text",
        seen: &[
            exactly("number", &[("proc.args", "evade-cover"), ("container.id", "$BOX")]),
            some(&[("proc.args", "evade-needle"), ("container.id", "$BOX")]),
        ],
        place: Place::Alone,
    },
    Case {
        row: 27,
        name: "daemon-stopped",
        technique: "SIGSTOP to the daemon for five seconds, with load",
        condition: "started and proc.exepath = $D/payload or \
                    evt.type = kill and evt.arg.sig = SIGSTOP and proc.args contains STOP",
        prepare: "cp $P/payload $D/payload",
        twin: "$P/payload",
        act: "echo fact number $NEEDLES; box sh -c 'exec busybox kill -STOP $1' sh $(cat $R/pid)
              box flood $D/benign 4; box spawn $NEEDLES $D/payload; sleep 1; kill -CONT $(cat $R/pid)",
        seen: &[
            exactly("number", &[("proc.exepath", "$D/payload"), ("container.id", "$BOX")]),
            some(&[("evt.type", "kill"), ("container.id", "$BOX")]),
        ],
        place: Place::Alone,
    },
    Case {
        row: 27,
        name: "daemon-frozen",
        technique: "the daemon is put into a cgroup that is frozen for a while",
        condition: "started and proc.exepath = $D/payload",
        prepare: "cp $P/payload $D/payload",
        twin: "$P/payload",
        act: "echo fact number $NEEDLES; frozen=$CGROUPS/evade-frozen
              box sh -c 'mkdir $1 && echo $2 >$1/cgroup.procs && echo 1 >$1/cgroup.freeze' \
                  sh $frozen $(cat $R/pid) || exit 1
              box spawn $NEEDLES $D/payload; sleep 1
              echo 0 >$frozen/cgroup.freeze; cat $R/pid >$CGROUPS/cgroup.procs; rmdir $frozen",
        seen: &[exactly("number", &[("container.id", "$BOX")])],
        place: Place::Alone,
    },
    Case {
        row: 27,
        name: "daemon-traced",
        technique: "ptrace holds the daemon",
        condition: "evt.type = ptrace and evt.arg.request = PTRACE_ATTACH and proc.args startswith attach",
        twin: "inject ptrace",
        act: "box inject attach $(cat $R/pid)",
        seen: &[some(&[
            ("evt.rawarg.pid", "{target}"),
            ("proc.exepath", "$P/inject"),
            ("container.id", "$BOX"),
        ])],
        place: Place::Alone,
        ..Case::BASE
    },
    Case {
        row: 27,
        name: "daemon-killed",
        technique: "SIGKILL to the daemon, then the act; started again, it tells for how long \
                    nobody watched (the act itself is not recorded)",
        condition: "opened and fd.name = $D/secret",
        twin: "cat $D/benign",
        act: "kill -KILL $(cat $R/pid); wait $(cat $R/pid)
              echo fact acted $(date +%s); box cat $D/secret; daemon_start",
        seen: &[Seen {
            rule: GAP,
            fields: &[("gap.why", "killed")],
            count: Count::Gap("acted"),
        }],
        place: Place::Alone,
        ..Case::BASE
    },
    Case {
        row: 37,
        name: "reload",
        technique: "acts in the middle of reloads, each with other rules",
        condition: "opened and fd.name = $D/secret",
        twin: "cat $D/benign",
        // Every other set of rules has this case's only, so that programs come and go.
        act: "cp $R/rules.yaml $D/all.yaml
              awk '/^- / { keep = $2 == \"macro:\" || $3 == \"evade-fence\" || $3 == \"reload\" } keep' \
                  $D/all.yaml >$D/few.yaml
              printf '%s\\n' '- rule: more' '  desc: d' '  output: o' '  priority: NOTICE' \
                  '  condition: evt.type in (connect, symlinkat, dup3) and proc.name = nobody' \
                  >>$D/all.yaml
              reloads() {
                  for round in $(seq $((NEEDLES / 100 + 2))); do for set in few all; do
                      cp $D/$set.yaml $D/next; mv $D/next $R/rules.yaml
                      ${DAEMON} reload --config $R/monitor.yaml || touch $D/failed
                  done; done
              }
              reloads & reloads=$!; number=0
              while kill -0 $reloads 2>$D/none; do number=$((number + 1)); box cat $D/secret; done
              echo fact number $number; [ ! -e $D/failed ]",
        seen: &[exactly("number", &[("container.id", "$BOX")])],
        place: Place::Alone,
        ..Case::BASE
    },
    Case {
        row: 37,
        name: "older-container",
        technique: "a process that was there before the daemon acts",
        condition: "opened and fd.name = $D/secret",
        twin: "cat $D/benign",
        act: "daemon_stop
              box sh -c 'until [ -e $1/go ]; do sleep 1; done; read x <$1/secret' elder $D & elder=$!
              daemon_start; : >$D/go; wait $elder",
        seen: &[some(&[("proc.name", "sh"), ("proc.exe", "sh"), ("container.id", "$BOX")])],
        place: Place::Alone,
        ..Case::BASE
    },
    Case {
        row: 28,
        name: "map-changed",
        technique: "the daemon's table of calls is emptied through bpf(2)",
        condition: "evt.type = bpf and proc.exepath = $P/bpf",
        twin: "$P/payload",
        act: "box bpf clear OPERATIONS; await 'Monitor tampered with'",
        seen: &[
            some(&[("evt.arg.cmd", "BPF_MAP_GET_FD_BY_ID"), ("container.id", "$BOX")]),
            some(&[("evt.arg.cmd", "BPF_MAP_UPDATE_ELEM"), ("container.id", "$BOX")]),
            own(TAMPERED, &[("proc.exepath", "$P/bpf"), ("container.id", "$BOX")]),
        ],
        place: Place::Alone,
        ..Case::BASE
    },
];
