//! The shell script of a run, the same on this host and in a guest: it prepares all cases, starts
//! the daemon on their rules, and does each case's twin and act between fences.
//!
//! A fence is an alert of its own: what comes behind it in the file of alerts came after it.

use std::fmt::Write as _;

use crate::case::{Case, Place};

/// How often things are done; an emulated processor has less time.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    /// Rounds of a race.
    pub(crate) rounds: u32,
    /// Needles in a flood.
    pub(crate) needles: u32,
    /// Processes that only come and go.
    pub(crate) spawns: u32,
    /// Short-lived programs, each of which has to be seen.
    pub(crate) short: u32,
}

/// Where a run takes place.
#[derive(Clone, Copy)]
pub(crate) struct Site<'p> {
    /// Folder of the run.
    pub(crate) root: &'p str,
    /// Folder of the programs.
    pub(crate) programs: &'p str,
    /// The daemon.
    pub(crate) daemon: &'p str,
    pub(crate) load: Load,
}

/// The first digits of the container's id, as alerts show it.
pub(crate) const BOX: &str = "e0e0e0e0e0e0";
/// Rule of the fences, and the word before what they mark.
pub(crate) const FENCE: &str = "evade-fence";

impl Site<'_> {
    /// A case's text with its places put in.
    pub(crate) fn expand(&self, case: &Case, text: &str) -> String {
        text.replace("$D", &format!("{}/{}", self.root, case.name))
            .replace("$P", self.programs)
            .replace("$BOX_", "$KEEP_")
            .replace("$BOX", BOX)
            .replace("$KEEP_", "$BOX_")
    }

    /// The rules of all cases; `@ino:PATH@` stands for an inode that is not known yet.
    fn rules(&self, cases: &[&Case]) -> String {
        let mut rules = String::from(PRELUDE_OF_RULES);
        for case in cases {
            let _ = writeln!(
                rules,
                "- rule: {}\n  desc: \"{}\"\n  condition: {}\n  output: {OUTPUT}\n  priority: NOTICE",
                case.name,
                case.technique,
                self.expand(case, case.condition),
            );
        }
        rules
    }

    /// The whole script.
    pub(crate) fn script(&self, cases: &[&Case]) -> String {
        let Load {
            rounds,
            needles,
            spawns,
            short,
        } = self.load;
        let mut text = format!(
            "R={} P={} DAEMON={} ROUNDS={rounds} NEEDLES={needles} SPAWNS={spawns} SHORT={short} \
             BOX={BOX}\n{PRELUDE}\ncat >$R/rules.yaml <<'RULES'\n{}RULES\n",
            self.root,
            self.programs,
            self.daemon,
            self.rules(cases)
        );
        for case in cases {
            let prepare = self.expand(case, case.prepare);
            let folder = self.expand(case, "$D");
            let _ = writeln!(
                text,
                "mkdir $R/{0}; echo secret >{folder}/secret; echo benign >{folder}/benign\n( :\n{prepare}\n)",
                case.name
            );
        }
        text.push_str(START);
        for case in cases.iter().filter(|case| case.place == Place::Shared) {
            self.steps(&mut text, case, "( ", " )");
        }
        // These start the daemon again, which a subshell could not wait for.
        for case in cases.iter().filter(|case| case.place == Place::Alone) {
            self.steps(&mut text, case, "{ ", "\n}");
        }
        text.push_str(END);
        text
    }

    /// What a case says is appended, each write whole: busybox's `cat` uses sendfile(2), which moves
    /// the position that it shares with other writers without their lock (`do_sendfile`, 6.1 to
    /// 6.18), so that a line of theirs may be written over. To appended files it does not send.
    fn steps(&self, text: &mut String, case: &Case, open: &str, close: &str) {
        let name = case.name;
        let twin = self.expand(case, case.twin);
        let act = self.expand(case, case.act);
        let _ = writeln!(
            text,
            "fence '{name} twin'\n: >$R/said\n( {twin}\n) >>$R/said 2>&1 || \
             echo \"twin of {name}: $(tail -n 1 $R/said)\"\n\
             fence '{name} act'\n: >$R/said\n{open}{act}\n{close} >>$R/said 2>&1\nstatus=$?\n\
             fence '{name} end'\necho '== {name}'; grep '^fact ' $R/said; tail -n 20 $R/said\n\
             echo \"status $status\"; \
             echo \"after $(cut -d ' ' -f 1 /proc/uptime) s\""
        );
    }
}

const PRELUDE_OF_RULES: &str = "\
- macro: opened
  condition: (evt.type in (open, openat, openat2, open_by_handle_at, creat) and fd.num >= 0)
- macro: started
  condition: (evt.type in (execve, execveat) and evt.failed = false)
- rule: evade-fence
  desc: tells one step from the next
  condition: started and proc.exe = evade-fence
  output: \"%proc.args\"
  priority: NOTICE
";

const OUTPUT: &str = "\"%evt.type %evt.args %fd.name %fd.ino %fd.sport %evt.failed %evt.arg.oldpath \
                      %evt.arg.newpath %evt.arg.cmd %evt.rawarg.pid %proc.name %proc.exe %proc.exepath \
                      %proc.args %proc.pid %proc.pname %container.id\"";

const PRELUDE: &str = r#"
PATH=$P:$PATH
export PATH
cd $R
CGROUPS=/sys/fs/cgroup/unified
[ -e $CGROUPS/cgroup.controllers ] || CGROUPS=/sys/fs/cgroup
BOX_CGROUP=$CGROUPS/docker/$BOX$(printf '%052x' $$)
KEEP_DOCKER=; [ ! -e $CGROUPS/docker ] || KEEP_DOCKER=yes
mkdir -p $BOX_CGROUP
export CGROUPS BOX_CGROUP

# Runs a command in the container: the process joins its cgroup first.
box() { (echo 0 >$BOX_CGROUP/cgroup.procs; exec "$@"); }

daemon_start() {
    [ ! -e $R/log ] || { cat $R/log >>$R/logs; rm $R/log; }
    $DAEMON run --every-alert --config $R/monitor.yaml --policy $R/rules.yaml --alerts $R/alerts \
        >${DAEMON_OUTPUT:-/dev/null} 2>$R/log &
    echo $! >$R/pid
    tries=0
    until grep -qs '^ready' $R/log; do
        tries=$((tries + 1)); [ $tries -lt 600 ] && kill -0 $(cat $R/pid) || { cat $R/log; exit 1; }
        sleep 0.1
    done
}
daemon_stop() { kill -TERM $(cat $R/pid); wait $(cat $R/pid) || echo "the daemon ended with $?"; }

# Waits for a text in the last alerts.
await() {
    tries=0
    until tail -c 400000 $R/alerts | grep -q "$1"; do
        tries=$((tries + 1)); [ $tries -lt 600 ] || { echo "no alert with $1"; return 1; }
        sleep 0.1
    done
}
fence() { called evade-fence $P/payload "$1"; await "\"proc.args\":\"$1\""; }
printf 'metrics:\n  listen: off\ndocker:\n  socket: /nonexistent\njson:\n  include_tags_property: false\n  include_output_property: false\nalerts:\n  queue_bytes: 268435456\n  log:\n    path: %s\nrings:\n  bulk_bytes: 67108864\nrule_matching: all\nappend_suggested_output: false\nstate_file: %s\ncontrol:\n  socket: %s\n' $R/alerts.db $R/state $R/control.sock >$R/monitor.yaml
"#;

const START: &str = r#"
trap 'kill -KILL $(cat $R/pid)' EXIT
for token in $(grep -o '@ino:[^@]*@' $R/rules.yaml | sort -u); do
    file=${token#@ino:}; file=${file%@}
    sed -i "s|$token|$(stat -c %i $file)|g" $R/rules.yaml
done
daemon_start
"#;

const END: &str = r#"
daemon_stop
trap - EXIT
echo '== log'; cat $R/logs $R/log 2>&1
find $BOX_CGROUP -depth -type d -exec rmdir {} \;
[ -n "$KEEP_DOCKER" ] || rmdir $CGROUPS/docker
echo '== alerts'; [ -z "$SHOW_ALERTS" ] || cat $R/alerts
echo '== doctor'; $DAEMON doctor --format json
echo '== end'
"#;
