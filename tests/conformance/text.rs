//! Values of the kernel and the texts that rules compare them as.

use std::borrow::Cow;

use anyhow::{Context as _, Result, bail, ensure};
use monitor_policy::text;
use serde::Deserialize;
use serde_json::Value;

/// A value and its text.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KernelValue {
    /// What kind of value it is.
    kind: String,
    number: Option<i64>,
    /// Text, or `{"$hex": …}`.
    bytes: Option<Value>,
    /// The folder that a path is relative to.
    base: Option<String>,
    /// How it is printed.
    printed: String,
}

impl KernelValue {
    /// Tries the case; the error says in what the result differs.
    pub(crate) fn check(&self) -> Result<()> {
        let found = self.text()?;
        let expected = &self.printed;
        ensure!(found == *expected, "expected {expected:?}, found {found:?}");
        Ok(())
    }

    fn text(&self) -> Result<Cow<'static, str>> {
        let number = self.number.unwrap_or_default();
        Ok(match self.kind.as_str() {
            "open_flags" => text::open_flags(number.try_into()?).into(),
            "mode" => text::mode(number.try_into()?).into(),
            "errno" => text::errno(number),
            "result" => text::result(number),
            "signal" => text::signal(number.try_into()?),
            "ptrace_request" => text::ptrace_request(number.try_into()?),
            "socket_domain" => text::socket_domain(number.try_into()?),
            "capabilities" => text::capabilities(number.try_into()?).into(),
            "path" => {
                let base = self.base.as_deref().unwrap_or("/");
                let path = text::clean_path(base.as_bytes(), &self.bytes()?);
                String::from_utf8(path)?.into()
            }
            "escaped" => text::escape_json(&self.bytes()?).into(),
            "printable" => text::printable(&self.bytes()?).into(),
            other => bail!("there is no kind `{other}`"),
        })
    }

    fn bytes(&self) -> Result<Vec<u8>> {
        let bytes = self.bytes.as_ref().context("the case has no bytes")?;
        if let Some(text) = bytes.as_str() {
            return Ok(text.as_bytes().to_vec());
        }
        let digits = bytes.get("$hex").and_then(Value::as_str);
        let digits = digits.context("neither text nor $hex")?;
        let pair = |at| u8::from_str_radix(digits.get(at..at + 2).unwrap_or_default(), 16);
        let bytes: Result<_, _> = (0..digits.len()).step_by(2).map(pair).collect();
        Ok(bytes?)
    }
}
