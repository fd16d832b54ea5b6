//! The real Prometheus and its checker.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::thread;
use std::time::Duration;

use anyhow::Result;
use monitor_tests::prometheus::{self, Prometheus};
use monitor_tests::skip_if;

const WITHIN: Duration = Duration::from_mins(1);
const GOOD: &str = "# HELP cakes_eaten_total Cakes that were eaten.\n\
                    # TYPE cakes_eaten_total counter\n\
                    cakes_eaten_total{kind=\"sponge\"} 3\n";

/// Serves `GOOD` to whoever asks, until the test's process ends.
fn serve() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = listener.local_addr()?.port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream?;
            let _ = stream.read(&mut [0; 4096])?;
            write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\n\
                 Content-Length: {}\r\nConnection: close\r\n\r\n{GOOD}",
                GOOD.len()
            )?;
        }
        std::io::Result::Ok(())
    });
    Ok(port)
}

#[test]
fn scrapes_and_answers_queries() -> Result<()> {
    skip_if!(prometheus::obstacle());
    let prometheus = Prometheus::start(serve()?)?;
    prometheus.wait_until_up(WITHIN)?;
    let eaten = prometheus.wait_for("cakes_eaten_total", WITHIN, |sample| sample.value > 2.0)?;
    assert_eq!(eaten.label("kind"), Some("sponge"));
    assert!(prometheus.query("sum(").is_err());
    Ok(())
}

#[test]
fn the_checker_accepts_good_names_and_refuses_others() -> Result<()> {
    skip_if!(prometheus::obstacle());
    prometheus::check_metrics(GOOD)?;
    let error = prometheus::check_metrics("# TYPE cakes counter\ncakes 3\n").unwrap_err();
    assert!(error.to_string().contains("_total"), "{error}");
    Ok(())
}
