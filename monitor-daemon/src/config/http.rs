//! `alerts.http`: servers that get alerts by HTTP, by name; read and written down again.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use hyper::Uri;
use hyper::header::{HeaderName, HeaderValue};
use hyper::http::uri::{PathAndQuery, Scheme};
use serde::Deserialize;
use serde_yaml::{Mapping, Value};

use super::http_keys::HTTP_KEYS;
use super::outputs::{self, identity, selection};
use super::value::{Bounded, NewestFirst, PriorityName, optional, scalar};
use crate::output::{Format, Secret, Selection, TlsFiles};

const DEFAULT_REQUEST_BYTES: u64 = 1 << 20;
const DEFAULT_TIMEOUT_MS: u64 = 10_000;
const DEFAULT_RETRY_HOURS: u64 = 24;
const DEFAULT_SCHEME: &str = "Bearer";

/// A server that gets alerts by HTTP.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Http {
    /// `url`: where requests go.
    pub url: Uri,
    /// `api`: what the server understands.
    pub api: Api,
    /// `index`: where Elasticsearch or Splunk puts alerts.
    pub index: Option<String>,
    /// `sourcetype`: of Splunk.
    pub sourcetype: Option<String>,
    /// `labels`: of Loki, besides those that every alert has.
    pub labels: BTreeMap<String, String>,
    /// `format`: the shape of alerts.
    pub format: Format,
    /// `body`: what a request holds.
    pub body: HttpBody,
    /// `request_bytes`: longest body of several alerts. Default 1 MiB.
    pub request_bytes: usize,
    /// `headers`: of every request.
    pub headers: BTreeMap<String, String>,
    /// Who we are.
    pub login: Login,
    /// `timeout_ms`: longest time of a request with its answer. Default 10 s.
    pub timeout: Duration,
    /// `retry_hours`: how long a server may refuse the same alerts for the time being. Default 24.
    pub retry: Duration,
    /// `tls_ca`, `tls_certificate`, `tls_key`: for `https`.
    pub tls: TlsFiles,
    /// `priority`, `tags`, `rules`, `newest_first`: which alerts it gets, and in which order.
    pub selection: Selection,
}

/// What a server understands.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Api {
    /// Alerts as the body.
    #[default]
    Post,
    /// `_bulk` of Elasticsearch and `OpenSearch`.
    Elasticsearch,
    /// Splunk's HTTP Event Collector.
    Splunk,
    /// Loki's push.
    Loki,
    /// Logs of OTLP by HTTP, as JSON.
    Otlp,
    /// Logs of OTLP by gRPC.
    OtlpGrpc,
}

impl Api {
    const ALL: [Self; 6] = [
        Self::Post,
        Self::Elasticsearch,
        Self::Splunk,
        Self::Loki,
        Self::Otlp,
        Self::OtlpGrpc,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Post => "post",
            Self::Elasticsearch => "elasticsearch",
            Self::Splunk => "splunk",
            Self::Loki => "loki",
            Self::Otlp => "otlp",
            Self::OtlpGrpc => "otlp_grpc",
        }
    }

    /// The path of a URL without one.
    fn path(self) -> &'static str {
        match self {
            Self::Post => "/",
            Self::Elasticsearch => "/_bulk",
            Self::Splunk => "/services/collector/event",
            Self::Loki => "/loki/api/v1/push",
            Self::Otlp => "/v1/logs",
            Self::OtlpGrpc => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
        }
    }

    fn format(self) -> Format {
        match self {
            Self::Elasticsearch => Format::Ecs,
            Self::Otlp | Self::OtlpGrpc => Format::Otlp,
            _ => Format::Falco,
        }
    }

    fn scheme(self) -> &'static str {
        match self {
            Self::Splunk => "Splunk",
            _ => DEFAULT_SCHEME,
        }
    }
}

impl FromStr for Api {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|api| api.name() == text);
        found.ok_or_else(|| {
            format!(
                "expected `post`, `elasticsearch`, `splunk`, `loki`, `otlp` or `otlp_grpc`, not \
                 `{text}`"
            )
        })
    }
}

/// What a request says about who sends it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Login {
    /// Nothing.
    None,
    /// `token` behind `token_scheme`, which is `Bearer` by default.
    Token {
        /// The scheme.
        scheme: String,
        /// The token.
        token: Secret,
    },
    /// `token` as a header of its own, `token_header`.
    Header {
        /// The header's name.
        name: String,
        /// The token.
        token: Secret,
    },
    /// `user` with `password`.
    Basic {
        /// Who.
        user: String,
        /// The password.
        password: Secret,
    },
}

/// What a request holds.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum HttpBody {
    /// One alert.
    #[default]
    Single,
    /// Alerts in a JSON array.
    Array,
    /// Alerts as lines.
    Ndjson,
}

impl HttpBody {
    fn name(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::Array => "array",
            Self::Ndjson => "ndjson",
        }
    }
}

impl FromStr for HttpBody {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = [Self::Single, Self::Array, Self::Ndjson];
        let found = all.into_iter().find(|body| body.name() == text);
        found.ok_or_else(|| format!("expected `single`, `array` or `ndjson`, not `{text}`"))
    }
}

/// An output as written.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "keys with values")]
pub(super) struct RawHttp {
    #[serde(deserialize_with = "optional")]
    url: Option<Url>,
    #[serde(deserialize_with = "scalar")]
    api: Option<Api>,
    index: Option<String>,
    sourcetype: Option<String>,
    labels: BTreeMap<String, String>,
    #[serde(deserialize_with = "scalar")]
    format: Option<Format>,
    #[serde(deserialize_with = "scalar")]
    body: Option<HttpBody>,
    #[serde(deserialize_with = "scalar")]
    request_bytes: Option<Bounded<1024, 104_857_600>>,
    headers: BTreeMap<HeaderKey, HeaderText>,
    #[serde(deserialize_with = "optional")]
    token: Option<Secret>,
    token_scheme: Option<String>,
    token_header: Option<HeaderKey>,
    user: Option<String>,
    #[serde(deserialize_with = "optional")]
    password: Option<Secret>,
    #[serde(deserialize_with = "scalar")]
    timeout_ms: Option<Bounded<100, 600_000>>,
    #[serde(deserialize_with = "scalar")]
    retry_hours: Option<Bounded<1, 8760>>,
    tls_ca: Option<PathBuf>,
    tls_certificate: Option<PathBuf>,
    tls_key: Option<PathBuf>,
    #[serde(deserialize_with = "scalar")]
    priority: Option<PriorityName>,
    tags: Vec<String>,
    rules: Vec<String>,
    #[serde(deserialize_with = "scalar")]
    newest_first: Option<NewestFirst>,
}

/// A URL that requests can go to.
#[derive(Debug)]
struct Url(Uri);

impl FromStr for Url {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("expected a URL such as `https://siem.example.org/alerts`, not `{text}`");
        let url: Uri = text.parse().map_err(|_| wrong())?;
        let known = [Scheme::HTTP, Scheme::HTTPS];
        let authority = url.authority().ok_or_else(wrong)?;
        if !url.scheme().is_some_and(|scheme| known.contains(scheme)) {
            return Err(wrong());
        }
        if authority.as_str().contains('@') {
            return Err("expected a URL without user: give `user` and `password`".to_owned());
        }
        Ok(Self(url))
    }
}

#[derive(Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd)]
#[serde(try_from = "String")]
struct HeaderKey(String);

impl TryFrom<String> for HeaderKey {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match HeaderName::from_bytes(text.as_bytes()) {
            Ok(_) => Ok(Self(text)),
            Err(_) => Err(format!("`{text}` cannot be the name of a header")),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct HeaderText(String);

impl TryFrom<String> for HeaderText {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match HeaderValue::from_str(&text) {
            Ok(_) => Ok(Self(text)),
            Err(_) => Err("a header's text has to be one line".to_owned()),
        }
    }
}

/// The outputs, or what is wrong with one of them.
pub(super) fn check(raw: BTreeMap<String, RawHttp>) -> Result<BTreeMap<String, Http>, String> {
    outputs::check("alerts.http", raw, RawHttp::into_http)
}

impl RawHttp {
    fn into_http(self) -> Result<Http, &'static str> {
        let milliseconds = self.timeout_ms.map_or(DEFAULT_TIMEOUT_MS, |given| given.0);
        let hours = self
            .retry_hours
            .map_or(DEFAULT_RETRY_HOURS, |given| given.0);
        let bytes = self
            .request_bytes
            .map_or(DEFAULT_REQUEST_BYTES, |given| given.0);
        let api = self.api.unwrap_or_default();
        let format = self.format.unwrap_or(api.format());
        self.check_api(api, format)?;
        let body = self.body.unwrap_or_default();
        let url = with_path(self.url.ok_or("has no `url`")?.0, api)?;
        let tls = TlsFiles {
            ca: self.tls_ca,
            identity: identity(self.tls_certificate, self.tls_key)?,
        };
        if tls != TlsFiles::default() && url.scheme() != Some(&Scheme::HTTPS) {
            return Err("has keys that begin with `tls_`, which are for a `url` with `https://`");
        }
        Ok(Http {
            url,
            api,
            index: self.index,
            sourcetype: self.sourcetype,
            labels: self.labels,
            format,
            body,
            request_bytes: usize::try_from(bytes).unwrap_or(usize::MAX),
            headers: self
                .headers
                .into_iter()
                .map(|(name, text)| (name.0, text.0))
                .collect(),
            login: match (self.token_header, self.token, self.token_scheme) {
                (None, token, scheme) => {
                    let scheme = scheme.as_deref().unwrap_or(api.scheme());
                    login(token, scheme, self.user, self.password)?
                }
                (Some(HeaderKey(name)), Some(token), None) => {
                    if self.user.is_some() || self.password.is_some() {
                        return Err(TOKEN_AND_USER);
                    }
                    Login::Header { name, token }
                }
                (Some(_), None, _) => return Err("has a `token_header` and no `token`"),
                (Some(_), ..) => {
                    return Err("has a `token_scheme`, which a `token_header` has not");
                }
            },
            timeout: Duration::from_millis(milliseconds),
            retry: Duration::from_secs(hours * 3600),
            tls,
            selection: selection(self.priority, self.tags, self.rules, self.newest_first),
        })
    }
}

impl RawHttp {
    /// Whether the keys go together.
    fn check_api(&self, api: Api, format: Format) -> Result<(), &'static str> {
        let is_post = api == Api::Post;
        if self.body.is_some_and(|body| body != HttpBody::Single) && !is_post {
            return Err("has a `body`, which only `api: post` leaves open");
        }
        if !format.is_json() && self.body == Some(HttpBody::Array) {
            return Err("has a `format` that is no JSON: use another `body` than `array`");
        }
        if !format.is_json() && api == Api::Elasticsearch {
            return Err("has a `format` that is no JSON, as Elasticsearch wants it");
        }
        if matches!(api, Api::Otlp | Api::OtlpGrpc) && format != Format::Otlp {
            return Err("has a `format`, which OTLP leaves no choice of");
        }
        if api == Api::Elasticsearch && self.index.is_none() {
            return Err("has no `index`, which Elasticsearch needs");
        }
        if self.index.is_some() && !matches!(api, Api::Elasticsearch | Api::Splunk) {
            return Err("has an `index`, which is for Elasticsearch and Splunk");
        }
        if self.sourcetype.is_some() && api != Api::Splunk {
            return Err("has a `sourcetype`, which is for Splunk");
        }
        if !self.labels.is_empty() && api != Api::Loki {
            return Err("has `labels`, which are for Loki");
        }
        let fixed = ["job", "host", "priority", "source"];
        if self
            .labels
            .keys()
            .any(|name| !is_label(name) || fixed.contains(&&**name))
        {
            return Err("has `labels` that Loki does not take, or that every alert has");
        }
        Ok(())
    }
}

/// Letters, digits and `_`, no digit first.
fn is_label(name: &str) -> bool {
    let letter = |letter: char| letter.is_ascii_alphabetic() || letter == '_';
    name.starts_with(letter) && name.chars().all(|c| letter(c) || c.is_ascii_digit())
}

/// The URL, with the path that servers have for `api` if it has none.
fn with_path(url: Uri, api: Api) -> Result<Uri, &'static str> {
    if url.path() != "/" || url.query().is_some() {
        return Ok(url);
    }
    let mut parts = url.into_parts();
    parts.path_and_query = Some(PathAndQuery::from_static(api.path()));
    Uri::from_parts(parts).map_err(|_| "has a `url` that cannot be used")
}

const TOKEN_AND_USER: &str = "has a `token` and a `user` or `password`: leave one out";

fn login(
    token: Option<Secret>,
    scheme: &str,
    user: Option<String>,
    password: Option<Secret>,
) -> Result<Login, &'static str> {
    match (token, user, password) {
        (None, None, None) => Ok(Login::None),
        (Some(token), None, None) => {
            if scheme.is_empty() || !scheme.chars().all(|letter| letter.is_ascii_graphic()) {
                return Err("has a `token_scheme` that is not one word");
            }
            Ok(Login::Token {
                scheme: scheme.to_owned(),
                token,
            })
        }
        (None, Some(user), Some(password)) => Ok(Login::Basic { user, password }),
        (None, ..) => Err("has one of `user` and `password`: give both, or none"),
        (Some(_), ..) => Err(TOKEN_AND_USER),
    }
}

/// The outputs as they are written in a configuration.
pub(super) fn to_yaml(outputs: &BTreeMap<String, Http>) -> Value {
    outputs::to_yaml(outputs, &HTTP_KEYS.iter().map(|key| key.name), value)
}

fn value(http: &Http, key: &str) -> Value {
    match key {
        "url" => http.url.to_string().into(),
        "api" => http.api.name().into(),
        "index" => http.index.as_deref().map_or(Value::Null, Value::from),
        "sourcetype" => http.sourcetype.as_deref().map_or(Value::Null, Value::from),
        "labels" => map(&http.labels),
        "format" => http.format.name().into(),
        "body" => http.body.name().into(),
        "request_bytes" => http.request_bytes.into(),
        "headers" => map(&http.headers),
        "timeout_ms" => (http.timeout.as_millis() as u64).into(),
        "retry_hours" => (http.retry.as_secs() / 3600).into(),
        _ => outputs::value(&http.tls, &http.selection, key)
            .unwrap_or_else(|| login_value(&http.login, key)),
    }
}

fn map(texts: &BTreeMap<String, String>) -> Value {
    let texts = texts.iter();
    let texts = texts.map(|(name, text)| (name.as_str().into(), text.as_str().into()));
    texts.collect::<Mapping>().into()
}

fn login_value(login: &Login, key: &str) -> Value {
    match (login, key) {
        (Login::Header { name, .. }, "token_header") => name.as_str().into(),
        (Login::Token { token, .. } | Login::Header { token, .. }, "token") => {
            token.to_string().into()
        }
        (Login::Token { scheme, .. }, "token_scheme") => scheme.as_str().into(),
        (Login::Basic { user, .. }, "user") => user.as_str().into(),
        (Login::Basic { password, .. }, "password") => password.to_string().into(),
        _ => Value::Null,
    }
}

/// The default of a key; null where there is none.
pub(super) fn default(key: &str) -> Value {
    match key {
        "url" => Value::Null,
        "token_scheme" => DEFAULT_SCHEME.into(),
        _ => {
            let raw = RawHttp {
                url: Some(Url(Uri::from_static("http://localhost/"))),
                ..RawHttp::default()
            };
            raw.into_http()
                .map_or(Value::Null, |http| value(&http, key))
        }
    }
}
