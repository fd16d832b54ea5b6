//! Policies from a server, as `packaging/fleet/monitor-policies` takes them by HTTPS: signed, checked,
//! in stages, and gone back from, under a daemon that runs.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use anyhow::{Context as _, Result, ensure};
use monitor_tests::daemon::{self, Daemon, is_from};
use monitor_tests::{http, paths, skip, skip_if, wait};
use tempfile::TempDir;

use crate::actions::{Programs, run, succeed};
use crate::world::{PATIENCE, configuration};

/// Channels that the server has: a folder each.
const CHANNELS: [&str; 2] = ["canary", "stable"];

/// The server's folder, its keys, the host's folder, and the web server.
struct Server {
    folder: TempDir,
    programs: Programs,
    port: u16,
    web: Child,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _gone = self.web.kill();
        let _status = self.web.wait();
    }
}

/// Makes the certificate of a web server, `web.pem`, and its key, `web.key`.
pub(crate) fn certificate(folder: &Path) -> Result<()> {
    let mut certificate = Command::new("openssl");
    certificate.args(["req", "-x509", "-newkey", "ed25519", "-nodes", "-subj"]);
    certificate.args(["/CN=policies", "-addext", "subjectAltName=IP:127.0.0.1"]);
    certificate.args(["-keyout", "web.key", "-out", "web.pem"]);
    succeed(certificate.current_dir(folder)).map(drop)
}

/// Makes a key by which bundles are signed, and its public part, with the ending `pub`.
pub(crate) fn keys(private: &Path) -> Result<()> {
    let mut make = Command::new("openssl");
    make.args(["genpkey", "-algorithm", "ed25519", "-out"]);
    succeed(make.arg(private))?;
    let mut public = Command::new("openssl");
    public.args(["pkey", "-pubout", "-in"]).arg(private);
    public.arg("-out").arg(private.with_extension("pub"));
    succeed(&mut public).map(drop)
}

/// Packs these rules into `bundle` and signs it, as who releases them does: the signature is in
/// [`signature`].
pub(crate) fn make(bundle: &Path, version: &str, rules: &str, key: &Path) -> Result<()> {
    let folder = tempfile::tempdir()?;
    fs::write(folder.path().join("VERSION"), version)?;
    fs::write(folder.path().join("own.yaml"), rules)?;
    let mut tar = Command::new("tar");
    tar.arg("-C").arg(folder.path()).arg("-czf").arg(bundle);
    succeed(tar.args(["VERSION", "own.yaml"]))?;
    let mut sign = Command::new("openssl");
    sign.args(["pkeyutl", "-sign", "-rawin", "-inkey"]).arg(key);
    sign.arg("-in").arg(bundle).arg("-out");
    succeed(sign.arg(signature(bundle))).map(drop)
}

/// The file with the signature of a bundle.
pub(crate) fn signature(bundle: &Path) -> PathBuf {
    bundle.with_added_extension("sig")
}

/// A web server that shows what is in `folder`, with a certificate of its own.
fn serve(folder: &Path, port: u16) -> Result<Child> {
    certificate(folder)?;
    let mut server = Command::new("openssl");
    server.args(["s_server", "-WWW", "-cert", "web.pem", "-key", "web.key"]);
    server.arg("-accept").arg(format!("127.0.0.1:{port}"));
    server.stdin(Stdio::null()).stdout(Stdio::null());
    Ok(server.current_dir(folder).stderr(Stdio::null()).spawn()?)
}

impl Server {
    fn new() -> Result<Self> {
        let folder = TempDir::with_prefix("bundles-")?;
        for channel in CHANNELS {
            fs::create_dir(folder.path().join(channel))?;
        }
        let port = http::free_port()?;
        let server = Self {
            web: serve(folder.path(), port)?,
            port,
            folder,
            programs: Programs::new()?,
        };
        wait::until("the web server", PATIENCE, || {
            Ok(TcpStream::connect(("127.0.0.1", port)).ok())
        })?;
        for name in ["key.pem", "other.pem"] {
            keys(&server.path(name))?;
        }
        Ok(server)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Puts a bundle of these rules into both channels, signed by a key.
    fn offer(&self, version: &str, rules: &str, key: &str) -> Result<()> {
        self.offer_to_few(version, rules, key)?;
        self.promote()
    }

    /// Puts it into the one that few hosts follow.
    fn offer_to_few(&self, version: &str, rules: &str, key: &str) -> Result<()> {
        let bundle = self.path("canary/b.tar.gz");
        make(&bundle, version, rules, &self.path(key))
    }

    /// What few hosts have is for all, as it is.
    fn promote(&self) -> Result<()> {
        for file in ["b.tar.gz", "b.tar.gz.sig"] {
            let [few, all] = CHANNELS.map(|channel| self.path(channel).join(file));
            fs::copy(few, all)?;
        }
        Ok(())
    }

    /// Runs the script on the host.
    fn host(&self, arguments: &[&str]) -> Result<Output> {
        let mut script = Command::new(paths::root().join("packaging/fleet/monitor-policies"));
        script.env("MONITOR_POLICIES", self.path("host"));
        script.env("MONITOR_DAEMON", paths::daemon()?);
        script.env("CURL_CA_BUNDLE", self.path("web.pem"));
        script.env(
            "MONITOR_CONFIG",
            self.programs.folder().join("monitor.yaml"),
        );
        run(script.args(arguments))
    }

    fn fetch(&self) -> Result<Output> {
        let url = format!("https://127.0.0.1:{}/stable/b.tar.gz", self.port);
        self.host(&["fetch", &url, &self.path("key.pub").display().to_string()])
    }

    /// What is offered is refused for a reason, and `version` stays.
    fn is_refused(&self, reason: &str, version: &str) -> Result<()> {
        let output = self.fetch()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(
            !output.status.success() && said.contains(reason),
            "{reason}: {output:?}"
        );
        let current = fs::read_link(self.path("host/current"))?;
        ensure!(
            current == Path::new("versions").join(version),
            "{}",
            current.display()
        );
        Ok(())
    }
}

fn rule(name: &str) -> String {
    format!(
        "- rule: {name}\n  desc: d\n  priority: NOTICE\n  output: opened %fd.name\n  \
         condition: evt.type in (open, openat, openat2) and fd.name endswith /e2e-bundle\n"
    )
}

/// An open matches the rule of the version in force.
fn is_in_force(daemon: &mut Daemon, programs: &Programs, rule: &str) -> Result<()> {
    let mark = daemon.mark()?;
    run(Command::new("cat").arg(programs.folder().join("e2e-bundle")))?;
    let found = daemon.wait_for_since(mark, "an alert", PATIENCE, |alert| {
        alert["output_fields"]["fd.name"].is_string()
    })?;
    ensure!(is_from(&found, rule), "{rule}: {found}");
    Ok(())
}

#[test]
fn what_is_signed_and_right_is_taken_and_gone_back_from() -> Result<()> {
    skip_if!(daemon::obstacle());
    skip_if!(skip::without(&["openssl", "curl", "tar", "flock"]));
    let server = Server::new()?;
    let ok = |output: Output| -> Result<()> {
        ensure!(output.status.success(), "{output:?}");
        Ok(())
    };
    // Before there is a daemon: it takes what is there.
    let socket = server.path("control.sock");
    let settings = format!(
        "control: {{socket: {}}}\nreload_on_change: false\n",
        socket.display()
    );
    let config = configuration(&server.programs, &settings)?;
    server.offer("1", &rule("first"), "key.pem")?;
    ok(server.fetch()?)?;
    let current = server.path("host/current");
    let arguments = ["--config".into(), config, "--policy".into(), current];
    let mut daemon = Daemon::start(&arguments)?;
    is_in_force(&mut daemon, &server.programs, "first")?;

    // This host is one of the many, which get what the few have had.
    server.offer_to_few("2", &rule("second"), "key.pem")?;
    ok(server.fetch()?)?;
    is_in_force(&mut daemon, &server.programs, "first")?;
    server.promote()?;
    ok(server.fetch()?)?;
    is_in_force(&mut daemon, &server.programs, "second")?;

    server.offer("3", &rule("third"), "other.pem")?;
    server.is_refused("signature", "2")?;
    server.offer("3", "- rule: broken\n", "key.pem")?;
    server.is_refused("version 3 is wrong", "2")?;
    server.offer("1", &rule("first"), "key.pem")?;
    server.is_refused("not newer", "2")?;
    fs::write(server.path("stable/b.tar.gz"), "changed on the way")?;
    server.is_refused("signature", "2")?;
    is_in_force(&mut daemon, &server.programs, "second")?;

    ok(server.host(&["back"])?)?;
    is_in_force(&mut daemon, &server.programs, "first")?;
    let listed = String::from_utf8(server.host(&["list"])?.stdout)?;
    ensure!(listed == "1 in force\n2\n", "{listed}");
    server.offer("3", &rule("third"), "key.pem")?;
    ok(server.fetch()?)?;
    is_in_force(&mut daemon, &server.programs, "third")?;
    daemon.stop().map(drop).context("the daemon's end")
}
