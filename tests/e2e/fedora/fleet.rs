//! The fleet's service and timer on that host, as `docs/fleet.md` says: the timer brings policies from a
//! server by HTTPS, the daemon takes them over, and what is not signed or wrong changes nothing.

use std::fs;

use anyhow::{Context as _, Result};
use monitor_tests::tree::Tree;
use monitor_tests::{paths, skip};

use crate::bundles;
use crate::service::RULES;

/// More often than shipped, from the guest's own server.
const TIMER: &str = "[Timer]\nOnActiveSec=1\nOnUnitActiveSec=2\nRandomizedDelaySec=0\n\
    AccuracySec=100ms\n";
const SERVICE: &str = "[Service]\nEnvironment=URL=https://127.0.0.1:8443/b.tar.gz\n\
    Environment=CURL_CA_BUNDLE=/www/web.pem\n";

pub(super) const SCRIPT: &str = r#"
fleet=/usr/share/monitor-daemon/fleet
mkdir -p /usr/local/bin
cp $fleet/monitor-policies /usr/local/bin || die 'no fleet'
cp $fleet/monitor-policies.service $fleet/monitor-policies.timer /etc/systemd/system
sed -i 's|^policies: .*|policies: [/var/lib/monitor-policies/current]|' /etc/monitor/conf.d/case.yaml
cp /offers/key.pub /etc/monitor/policies.pub
(cd /www && exec openssl s_server -WWW -cert web.pem -key web.key -accept 8443 </dev/null >/dev/null 2>&1) &
offer() { cp /offers/$1.sig /www/b.tar.gz.sig; cp /offers/$1 /www/b.tar.gz; }
by() { /bin/echo e2e-bundle; grep -q "\"rule\":\"bundle $1\"" /var/log/monitor/alerts.jsonl; }
said() { journalctl -u monitor-policies.service -o cat | grep -q "$1"; }

# Before there is a daemon: it takes what is there.
offer 1
systemctl daemon-reload
systemctl enable --now monitor-policies.timer || die 'no timer'
came() { test -e /var/lib/monitor-policies/current/own.yaml; }
until_true 'no policies came' came
systemctl enable --now $unit || die 'no start with the policies of a server'
pid=$(property MainPID)
until_true 'no rules of the server' by 1
offer 2
until_true 'no new rules of the server' by 2
offer foreign
until_true 'a foreign signature was not noticed' said 'the signature is not that of'
offer broken
until_true 'wrong rules were not noticed' said 'version 3 is wrong'
failed() { [ "$(systemctl show monitor-policies.service -P Result)" = exit-code ]; }
until_true 'who is refused does not fail' failed
echo '== fleet'; readlink /var/lib/monitor-policies/current
offer 4
until_true 'nothing comes after what was refused' by 4
[ "$(property MainPID)" = $pid ] || die 'new policies started it anew'
systemctl disable --now monitor-policies.timer
"#;

pub(super) fn obstacle() -> Option<String> {
    skip::without(&["openssl", "curl", "flock"])
}

/// The programs that the script needs, a server's certificate, and what it will offer.
pub(super) fn add(tree: &Tree) -> Result<()> {
    for name in ["openssl", "curl", "flock", "tar"] {
        let program = paths::program(name).context(name)?;
        tree.program(&format!("/usr/bin/{name}"), &program)?;
    }
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    bundles::certificate(folder)?;
    for name in ["web.pem", "web.key"] {
        tree.file(&format!("/www/{name}"), fs::read(folder.join(name))?)?;
    }
    let [key, other] = ["key.pem", "other.pem"].map(|name| folder.join(name));
    bundles::keys(&key)?;
    bundles::keys(&other)?;
    let public = fs::read(key.with_extension("pub"))?;
    tree.file("/offers/key.pub", public)?;
    for (name, version, rules, key) in [
        ("1", "1", rule("1"), &key),
        ("2", "2", rule("2"), &key),
        ("foreign", "3", rule("3"), &other),
        ("broken", "3", "- rule: broken\n".to_owned(), &key),
        ("4", "4", rule("4"), &key),
    ] {
        let bundle = folder.join("bundle");
        bundles::make(&bundle, version, &rules, key)?;
        tree.file(&format!("/offers/{name}"), fs::read(&bundle)?)?;
        let signature = fs::read(bundles::signature(&bundle))?;
        tree.file(&format!("/offers/{name}.sig"), signature)?;
    }
    let units = "/etc/systemd/system/monitor-policies";
    tree.file(&format!("{units}.timer.d/case.conf"), TIMER)?
        .file(&format!("{units}.service.d/case.conf"), SERVICE)?;
    Ok(())
}

/// Beside the own rule of the case, which would be the only one to tell of its needles: the first that
/// matches is.
fn rule(version: &str) -> String {
    format!(
        "{RULES}\n- rule: bundle {version}\n  desc: d\n  priority: NOTICE\n  output: by {version}\n  \
         condition: evt.type in (execve, execveat) and proc.args = e2e-bundle\n"
    )
}
