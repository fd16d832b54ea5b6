//! The Debian package on a host with systemd: `dpkg` installs it in a guest whose first process is a
//! real systemd, and its scripts start, upgrade, stop and remove the service. Beside that, a secret
//! from systemd on its way to a server.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use monitor_tests::tree::Tree;
use monitor_tests::{paths, skip, skip_if, systemd, vm};

use crate::guest::section;
use crate::package;
use crate::service::{
    CONFIGURATION, RULES, exposure, hardened, has_lines, own_user, sees_everything,
};

const WITHIN: Duration = Duration::from_mins(12);

const OUTPUT: &str =
    "  http:\n    siem: {url: 'http://127.0.0.1:8080/', token: 'credential:siem'}\n";
const CREDENTIAL: &str = "[Service]\nLoadCredential=siem:/etc/siem-token\n";
const SECRET: &str = "of systemd alone";

/// A server that writes down what it is asked.
const SERVER: &str = r#"
use strict; use warnings; use IO::Socket::INET;
my $server = IO::Socket::INET->new(LocalAddr => '127.0.0.1:8080', Listen => 5, ReuseAddr => 1) or die;
open(my $log, '>>', '/requests') or die; $log->autoflush(1);
while (my $client = $server->accept) {
    while (defined(my $line = <$client>)) {
        my $length = 0;
        while ($line =~ /\S/) {
            print $log $line;
            $length = $1 if $line =~ /^content-length: (\d+)/i;
            $line = <$client> // '';
        }
        read($client, my $body, $length);
        print $log "$body\n";
        print $client "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    }
}
"#;

const SCRIPT: &str = r#"
export PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive LC_ALL=C
alerted() { grep -q "\"proc.args\":\"$1\"" /var/log/monitor/alerts.jsonl; }
# Busybox has a `dpkg` of its own.
dpkg() { /usr/bin/dpkg "$@"; }
state() { systemctl is-enabled $unit; systemctl is-active $unit; }

perl /server.pl &
dpkg --install /monitor-daemon.deb || die install
echo '== installed'; state
needle e2e-needle-1
pid=$(property MainPID)
echo '== process'; cat /proc/$pid/status
echo '== mounts'; cat /proc/$pid/mountinfo
echo '== security'; systemd-analyze security $unit
delivers() { wget -q -O - http://127.0.0.1:9464/metrics | grep -q ^monitor_provider_delivers; }
until_true 'no self-check' delivers
echo '== metrics'; wget -q -O - http://127.0.0.1:9464/metrics
until_true 'nothing was sent' grep -q e2e-needle-1 /requests
echo '== secret'; grep -i '^authorization' /requests | sort -u; cat /proc/$pid/environ | tr '\0' '\n'

sed -i 's/startswith e2e-needle/startswith e2e-need/' /etc/monitor/rules/own.yaml
systemctl reload $unit || die reload
echo '- rule: broken' >/etc/monitor/rules/broken.yaml
systemctl reload $unit && die 'broken rules were taken'
rm /etc/monitor/rules/broken.yaml
[ "$(property MainPID)" = $pid ] || die 'a reload started it anew'

dpkg --install /newer.deb || die upgrade
echo '== upgraded'; state; /usr/bin/dpkg-query --show --showformat '${Version} ${Status}\n' monitor-daemon
[ "$(property MainPID)" != $pid ] || die 'the old program still runs'
grep -q needle /etc/monitor/rules/own.yaml || die 'the configuration is gone'
needle e2e-needle-2

pid=$(property MainPID)
dpkg --remove monitor-daemon || die remove
echo '== removed'; systemctl is-active $unit; ls -d /usr/bin/monitor-daemon
[ -e /proc/$pid ] && die 'it runs without its package'
systemctl start $unit && die 'it starts without its package'
[ -s /etc/monitor/rules/own.yaml ] || die 'a removal took the configuration'

dpkg --install /monitor-daemon.deb || die 'install again'
echo '== again'; state
needle e2e-needle-3
monitor-daemon alerts verify || die 'the log was changed'

# Who switched it off finds it off.
systemctl disable --now $unit
dpkg --install /newer.deb || die 'upgrade of what is off'
echo '== off'; state

dpkg --purge monitor-daemon || die purge
echo '== purged'; systemctl is-active $unit; systemctl is-enabled $unit
echo '== left'
find / -xdev \( -path /proc -o -path /sys -o -path /var/lib/dpkg \) -prune -o \
    -path '*monitor*' -not -type d -not -path '/*.deb' \
    -not -path '/etc/systemd/system/monitor-daemon.service.d/*' -print
echo '== end'
"#;

fn obstacle() -> Option<String> {
    let missing = || paths::debian_package().err().map(|error| error.to_string());
    systemd::obstacle()
        .or_else(|| skip::without(&["dpkg", "dpkg-deb", "deb-systemd-helper", "ldconfig"]))
        .or_else(missing)
}

/// A Debian with a systemd and `dpkg`, and two versions of the package to install.
fn host() -> Result<Tree> {
    let tree = systemd::tree(SCRIPT)?;
    for package in ["dpkg", "perl-base", "init-system-helpers"] {
        tree.package(package, &systemd::LEFT_OUT)?;
    }
    for tool in ["tar", "ldconfig"] {
        let program = paths::program(tool).context(tool)?;
        tree.program(&format!("/usr/sbin/{tool}"), &program)?;
    }
    for folder in ["info", "updates", "triggers", "parts"] {
        tree.folder(&format!("/var/lib/dpkg/{folder}"))?;
    }
    let temporary = tempfile::tempdir()?;
    let newer = package::newer(temporary.path())?;
    tree.file("/var/lib/dpkg/status", "")?
        .file(
            "/monitor-daemon.deb",
            std::fs::read(paths::debian_package()?)?,
        )?
        .file("/newer.deb", std::fs::read(newer)?)?
        .file("/server.pl", SERVER)?
        .file("/etc/siem-token", SECRET)?
        .mode("/etc/siem-token", 0o600)?
        .file("/etc/monitor/rules/own.yaml", RULES)?
        .file(
            "/etc/monitor/conf.d/case.yaml",
            format!("{CONFIGURATION}{OUTPUT}"),
        )?
        .file(
            "/etc/systemd/system/monitor-daemon.service.d/case.conf",
            CREDENTIAL,
        )?
        .symlink("/var/run", "/run")?;
    Ok(tree)
}

#[test]
fn the_package_runs_the_service_and_takes_it_away() -> Result<()> {
    skip_if!(obstacle());
    let output = systemd::boot(vm::DEBIAN_12, &host()?, WITHIN)?;
    let part = |name| section(&output.text, name);
    for name in ["installed", "upgraded", "again"] {
        has_lines(part(name)?, &["enabled", "active"]).context(name)?;
    }
    own_user(part("process")?)?;
    hardened(part("process")?, part("mounts")?)?;
    exposure(part("security")?)?;
    sees_everything(part("metrics")?)?;
    let secret = part("secret")?;
    ensure!(
        secret
            .to_lowercase()
            .starts_with(&format!("authorization: bearer {SECRET}")),
        "{secret}"
    );
    ensure!(
        secret.matches(SECRET).count() == 1,
        "it is passed on: {secret}"
    );
    has_lines(part("upgraded")?, &["99.0 install ok installed"])?;
    has_lines(part("off")?, &["disabled", "inactive"])?;
    has_lines(part("removed")?, &["inactive"])?;
    ensure!(
        !part("removed")?.contains("\n/usr/bin"),
        "{}",
        part("removed")?
    );
    has_lines(part("purged")?, &["inactive"])?;
    ensure!(!part("purged")?.contains("enabled"), "{}", part("purged")?);
    // The alert log is evidence, and what an administrator wrote is no package's.
    let left: Vec<&str> = part("left")?
        .lines()
        .filter(|line| !line.is_empty())
        .collect();
    let is_log = |line: &&str| line.starts_with("/var/lib/monitor/alerts.db");
    ensure!(!left.is_empty() && left.iter().all(is_log), "{left:?}");
    Ok(())
}
