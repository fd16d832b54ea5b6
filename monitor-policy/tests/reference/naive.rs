//! The language, read literally.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use serde_json::{Map, Value};

/// A condition.
#[derive(Clone, Debug)]
pub(crate) enum Condition {
    And(Vec<Condition>),
    Or(Vec<Condition>),
    Not(Box<Condition>),
    Test(Test),
}

/// A test of a field or of a transformer on one.
#[derive(Clone, Debug)]
pub(crate) struct Test {
    pub(crate) field: &'static str,
    /// With its modifier, if it has one.
    pub(crate) operator: &'static str,
    /// One value, unless the operator takes a list.
    pub(crate) values: Vec<String>,
}

/// An event: each field with its values; single ones have one.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    fields: BTreeMap<&'static str, Vec<String>>,
}

impl Event {
    pub(crate) fn new(kind: &str) -> Self {
        let fields = BTreeMap::from([
            ("evt.type", vec![kind.to_owned()]),
            ("evt.num", vec!["5".to_owned()]),
        ]);
        Self { fields }
    }

    pub(crate) fn set(&mut self, field: &'static str, value: Option<&str>) {
        if let Some(value) = value {
            self.fields.insert(field, vec![value.to_owned()]);
        }
    }

    /// An empty list is no value.
    pub(crate) fn set_list(&mut self, field: &'static str, values: Vec<&str>) {
        if !values.is_empty() {
            let values = values.into_iter().map(str::to_owned).collect();
            self.fields.insert(field, values);
        }
    }

    pub(crate) fn to_json(&self) -> Map<String, Value> {
        let json = |(field, values): (&&str, &Vec<String>)| {
            let value = match (*field, values.as_slice()) {
                ("fd.types" | "proc.aname", _) => values.clone().into(),
                (_, [single]) => single.clone().into(),
                _ => Value::Null,
            };
            ((*field).to_owned(), value)
        };
        self.fields.iter().map(json).collect()
    }

    /// The values of a field, of both ends, of an ancestor or of what a transformer makes of one.
    fn values(&self, name: &str) -> Vec<String> {
        if let Some((transformer, rest)) = name.split_once('(') {
            let inner = self.values(rest.trim_end_matches(')'));
            return inner
                .iter()
                .map(|value| transformed(transformer, value))
                .collect();
        }
        match name {
            "fd.ip" | "fd.net" => [self.values("fd.cip"), self.values("fd.sip")].concat(),
            "fd.snet" => self.values("fd.sip"),
            "proc.aname[0]" => self.values("proc.name"),
            "proc.aname[1]" | "proc.aname[2]" => self.ancestor(name),
            "proc.aname" if !self.fields.contains_key(name) => self.values("proc.pname"),
            _ => self.fields.get(name).cloned().unwrap_or_default(),
        }
    }

    fn ancestor(&self, name: &str) -> Vec<String> {
        let index = usize::from(name == "proc.aname[2]");
        match self.fields.get("proc.aname") {
            Some(all) => all.get(index).cloned().into_iter().collect(),
            None if index == 0 => self.values("proc.pname"),
            None => Vec::new(),
        }
    }
}

fn transformed(transformer: &str, value: &str) -> String {
    match transformer {
        "tolower" => value.to_ascii_lowercase(),
        "toupper" => value.to_ascii_uppercase(),
        "basename" => value.rsplit('/').next().unwrap_or_default().to_owned(),
        "len" => value.len().to_string(),
        _ => value.to_owned(),
    }
}

impl Condition {
    /// Whether an event fulfils it.
    pub(crate) fn holds(&self, event: &Event) -> bool {
        match self {
            Self::And(parts) => parts.iter().all(|part| part.holds(event)),
            Self::Or(parts) => parts.iter().any(|part| part.holds(event)),
            Self::Not(inner) => !inner.holds(event),
            Self::Test(test) => test.holds(event),
        }
    }
}

impl Test {
    fn holds(&self, event: &Event) -> bool {
        let left = event.values(self.field);
        if left.is_empty() {
            return false;
        }
        let mut words = self.operator.split(' ');
        let (operator, modifier) = (words.next().unwrap_or_default(), words.next());
        let right: Vec<String> = self
            .values
            .iter()
            .flat_map(|value| Self::right(value, event))
            .collect();
        let passes = |left: &String, right: &String| self.compare(operator, left, right);
        let member = |value: &String| right.iter().any(|one| passes(value, one));
        match (self.field, operator, modifier) {
            (_, "exists", _) => true,
            (_, _, Some(modifier)) => {
                let count = right
                    .iter()
                    .filter(|one| left.iter().any(|value| passes(value, one)))
                    .count();
                match modifier {
                    "anyof" => count > 0,
                    "oneof" => count == 1,
                    _ => count > 0 && count == right.len(),
                }
            }
            ("fd.types", "in", _) | ("fd.ip" | "fd.net", "!=", _) => left.iter().all(member),
            _ => left.iter().any(member),
        }
    }

    /// A value on the right: a literal, or that of a field.
    fn right(value: &str, event: &Event) -> Vec<String> {
        if value.contains('(') {
            event.values(value)
        } else {
            vec![value.to_owned()]
        }
    }

    fn compare(&self, operator: &str, left: &str, right: &str) -> bool {
        match self.field {
            "fd.num" | "proc.pid" | "evt.num" | "len(proc.name)" => number(left)
                .zip(number(right))
                .is_some_and(|(left, right)| ordered(operator, &left, &right)),
            "fd.cip" | "fd.sip" | "fd.ip" => (left == right) == (operator != "!="),
            "fd.snet" | "fd.net" => within(left, right) == (operator != "!="),
            _ => text(operator, left, right),
        }
    }
}

fn number(text: &str) -> Option<i64> {
    text.parse().ok()
}

fn ordered<T: PartialOrd>(operator: &str, left: &T, right: &T) -> bool {
    match operator {
        "!=" => left != right,
        "<" => left < right,
        "<=" => left <= right,
        ">" => left > right,
        ">=" => left >= right,
        _ => left == right,
    }
}

fn text(operator: &str, left: &str, right: &str) -> bool {
    let lower = |text: &str| text.to_ascii_lowercase();
    match operator {
        "contains" => left.contains(right),
        "icontains" => lower(left).contains(&lower(right)),
        "startswith" => left.starts_with(right),
        "endswith" => left.ends_with(right),
        "glob" => glob(right, left),
        "iglob" => glob(&lower(right), &lower(left)),
        "pmatch" => below(right, left),
        other => ordered(other, &left, &right),
    }
}

/// A shell pattern of stars and plain characters.
fn glob(pattern: &str, text: &str) -> bool {
    match pattern.strip_prefix('*') {
        Some(rest) => (0..=text.len()).any(|from| glob(rest, text.get(from..).unwrap_or_default())),
        None => match (pattern.chars().next(), text.chars().next()) {
            (None, None) => true,
            (Some(one), Some(other)) if one == other => {
                let rest = |text: &str| text.chars().skip(1).collect::<String>();
                glob(&rest(pattern), &rest(text))
            }
            _ => false,
        },
    }
}

/// Whether a path is that of a pattern or below it, component by component.
fn below(pattern: &str, path: &str) -> bool {
    let parts = |path: &str| -> Vec<String> {
        path.split('/')
            .filter(|part| !part.is_empty())
            .map(str::to_owned)
            .collect()
    };
    let (patterns, components) = (parts(pattern), parts(path));
    pattern.starts_with('/') == path.starts_with('/')
        && patterns.len() <= components.len()
        && patterns
            .iter()
            .zip(&components)
            .all(|(pattern, component)| glob(pattern, component))
}

/// Whether an address is in a network of whole bytes, or is an address itself.
fn within(address: &str, network: &str) -> bool {
    let bytes = |text: &str| -> Vec<u8> {
        match text.parse() {
            Ok(IpAddr::V4(address)) => address.octets().to_vec(),
            Ok(IpAddr::V6(address)) => address.octets().to_vec(),
            Err(_) => Vec::new(),
        }
    };
    let (base, bits) = network.split_once('/').unwrap_or((network, ""));
    let (address, base) = (bytes(address), bytes(base));
    let whole = bits.parse().unwrap_or(base.len() * 8);
    // `fe80::/10` is the only one with a broken byte, and no address here is near it.
    let same = address
        .iter()
        .zip(&base)
        .take(whole.div_ceil(8))
        .all(|(one, other)| one == other);
    address.len() == base.len() && same
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let joined = |parts: &[Self], word: &str| {
            let parts: Vec<_> = parts.iter().map(|part| format!("({part})")).collect();
            parts.join(word)
        };
        match self {
            Self::And(parts) => f.write_str(&joined(parts, " and ")),
            Self::Or(parts) => f.write_str(&joined(parts, " or ")),
            Self::Not(inner) => write!(f, "not ({inner})"),
            Self::Test(test) => test.fmt(f),
        }
    }
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.field, self.operator)?;
        let list =
            matches!(self.operator, "in" | "intersects" | "pmatch") || self.operator.contains(' ');
        match self.operator {
            "exists" => Ok(()),
            _ if list => write!(f, " ({})", self.values.join(", ")),
            _ => write!(f, " {}", self.values.concat()),
        }
    }
}
