//! An rsyslog of the test's own.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::{PATIENCE, PROGRAM, until};

pub(crate) struct Server {
    folder: PathBuf,
    pub(crate) port: u16,
    child: Child,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    /// With `tls`, which is of the configuration, only streams are listened to.
    pub(crate) fn start(folder: &Path, tls: &str) -> Self {
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let inputs = if tls.is_empty() {
            format!(
                "module(load=\"imudp\")\nmodule(load=\"imtcp\")\n\
                 input(type=\"imudp\" address=\"127.0.0.1\" port=\"{port}\")"
            )
        } else {
            tls.to_owned()
        };
        let config = format!(
            "global(workDirectory=\"{0}\" maxMessageSize=\"64k\")\n\
             {inputs}\n\
             input(type=\"imtcp\" address=\"127.0.0.1\" port=\"{port}\")\n\
             template(name=\"t\" type=\"string\" string=\"%syslogfacility-text%|\
             %syslogseverity-text%|%hostname%|%app-name%|%structured-data%|%msg%\\n\")\n\
             action(type=\"omfile\" file=\"{0}/out\" template=\"t\")\n",
            folder.display()
        );
        fs::write(folder.join("rsyslog.conf"), config).unwrap();
        let child = spawn(folder, port);
        Self {
            folder: folder.to_owned(),
            port,
            child,
        }
    }

    pub(crate) fn stop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn start_again(&mut self) {
        self.child = spawn(&self.folder, self.port);
    }

    /// What has arrived, as soon as it is `count` messages.
    pub(crate) fn messages(&self, count: usize) -> Vec<String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let text = fs::read_to_string(self.folder.join("out")).unwrap_or_default();
            if text.lines().count() >= count && text.ends_with('\n') {
                return text.lines().map(str::to_owned).collect();
            }
            assert!(
                Instant::now() < deadline,
                "not {count} messages in:\n{text}"
            );
            thread::sleep(Duration::from_millis(20));
        }
    }
}

fn spawn(folder: &Path, port: u16) -> Child {
    let child = Command::new(PROGRAM)
        .args(["-n", "-f"])
        .arg(folder.join("rsyslog.conf"))
        .arg("-i")
        .arg(folder.join("pid"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    until("rsyslog listens", || {
        TcpStream::connect(("127.0.0.1", port)).is_ok()
    });
    child
}
