//! POSIX regular expressions as RE2 reads them, rewritten in the syntax of the `regex` crate.
//!
//! The two differ: here `a*?` is a star and then a question mark (nothing is lazy), `a{,2}` is
//! literal, `&&` in a class is two characters, `\<` is a character, `^` and `$` stand at the ends
//! of lines. Everything that is not special is written as an escape, so that nothing else is.

use std::fmt::Write as _;
use std::iter::Peekable;
use std::str::Chars;

/// Greatest count of a repetition.
const MAX_COUNT: u32 = 1000;

/// Most groups in each other, and most repetitions of one part: the other syntax takes no more, and
/// each moves what is written already.
const MAX_NESTING: usize = 250;

/// The expression in the other syntax, for multi-line mode; the error says what is wrong with it.
pub(super) fn translate(source: &str) -> Result<String, String> {
    let mut translation = Translation {
        source: source.chars().peekable(),
        result: String::new(),
        atom: None,
        repeated: 0,
        groups: Vec::new(),
    };
    while let Some(character) = translation.source.next() {
        translation.character(character)?;
    }
    if translation.groups.is_empty() {
        Ok(translation.result)
    } else {
        Err("a `(` is not closed".to_owned())
    }
}

struct Translation<'a> {
    source: Peekable<Chars<'a>>,
    result: String,
    /// Where the part begins that a repetition would repeat.
    atom: Option<usize>,
    /// How often that part is repeated already.
    repeated: usize,
    /// Where the open groups begin.
    groups: Vec<usize>,
}

impl Translation<'_> {
    fn character(&mut self, character: char) -> Result<(), String> {
        match character {
            '*' | '+' | '?' => return self.repeat(&character.to_string()),
            '{' => {
                if let Some(count) = self.count()? {
                    return self.repeat(&count);
                }
                self.begin();
                literal(&mut self.result, '{');
            }
            '(' => {
                if self.groups.len() >= MAX_NESTING {
                    return Err(format!("more than {MAX_NESTING} groups in each other"));
                }
                self.groups.push(self.result.len());
                self.result.push_str("(?:");
                self.atom = None;
            }
            ')' => {
                let start = self.groups.pop().ok_or("a `)` closes nothing")?;
                self.result.push(')');
                self.begin_at(start);
            }
            '|' => {
                self.result.push('|');
                self.atom = None;
            }
            '^' | '$' | '.' => {
                self.begin();
                self.result.push(character);
            }
            '[' => {
                self.begin();
                self.class()?;
            }
            '\\' => {
                self.begin();
                let escaped = escape(&mut self.source)?;
                literal(&mut self.result, escaped);
            }
            other => {
                self.begin();
                literal(&mut self.result, other);
            }
        }
        Ok(())
    }

    fn begin(&mut self) {
        self.begin_at(self.result.len());
    }

    fn begin_at(&mut self, start: usize) {
        self.atom = Some(start);
        self.repeated = 0;
    }

    fn repeat(&mut self, operator: &str) -> Result<(), String> {
        let start = self
            .atom
            .ok_or_else(|| format!("there is nothing to repeat before `{operator}`"))?;
        self.repeated += 1;
        if self.repeated > MAX_NESTING {
            return Err(format!("more than {MAX_NESTING} repetitions of one part"));
        }
        self.result.insert_str(start, "(?:");
        self.result.push(')');
        self.result.push_str(operator);
        // What follows must not make it lazy.
        self.result.insert_str(start, "(?:");
        self.result.push(')');
        Ok(())
    }

    /// A count in braces, the first of which is read; anything else in braces is literal.
    fn count(&mut self) -> Result<Option<String>, String> {
        let mut ahead = self.source.clone();
        let mut inside = String::new();
        while let Some(next) = ahead.next_if(|next| next.is_ascii_digit() || *next == ',') {
            inside.push(next);
        }
        let closed = ahead.next() == Some('}');
        let (low, high) = match inside.split_once(',') {
            Some((low, high)) => (low, Some(high)),
            None => (inside.as_str(), None),
        };
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if !closed || low.is_empty() || !digits(low) || !high.is_none_or(digits) {
            return Ok(None);
        }
        let limit = |text: &str| text.parse::<u32>().ok().filter(|count| *count <= MAX_COUNT);
        let least = limit(low);
        let most = high.filter(|high| !high.is_empty()).map(limit);
        if least.is_none() || most.is_some_and(|most| most.is_none() || most < least) {
            return Err(format!("bad repetition `{{{inside}}}`"));
        }
        self.source = ahead;
        Ok(Some(format!("{{{inside}}}")))
    }

    /// A class, `[` already read.
    fn class(&mut self) -> Result<(), String> {
        self.result.push('[');
        if self.source.next_if_eq(&'^').is_some() {
            self.result.push('^');
        }
        let mut first = true;
        loop {
            let unclosed = || "a `[` is not closed".to_owned();
            let next = self.source.next().ok_or_else(unclosed)?;
            if next == ']' && !first {
                self.result.push(']');
                return Ok(());
            }
            if next == '[' && self.source.peek() == Some(&':') && self.named_class()? {
                first = false;
                continue;
            }
            let last = self.source.peek() == Some(&']');
            if next == '-' && !first && !last {
                return Err("a `-` in a class stands first, last or in a range".to_owned());
            }
            first = false;
            let low = self.member(next)?;
            literal(&mut self.result, low);
            let mut ahead = self.source.clone();
            let range = ahead.next() == Some('-') && ahead.peek().is_some_and(|end| *end != ']');
            if range {
                self.source = ahead;
                let next = self.source.next().ok_or_else(unclosed)?;
                let high = self.member(next)?;
                if high < low {
                    return Err(format!("bad range `{low}-{high}`"));
                }
                self.result.push('-');
                literal(&mut self.result, high);
            }
        }
    }

    fn member(&mut self, character: char) -> Result<char, String> {
        match character {
            '\\' => escape(&mut self.source),
            other => Ok(other),
        }
    }

    /// `[:alpha:]`, `[:^alpha:]`, the first bracket already read; false when it is none.
    fn named_class(&mut self) -> Result<bool, String> {
        let mut ahead = self.source.clone();
        ahead.next();
        let name: String = ahead.by_ref().take_while(|next| *next != ':').collect();
        if ahead.next() != Some(']') {
            return Ok(false);
        }
        let known = [
            "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print",
            "punct", "space", "upper", "word", "xdigit",
        ];
        if !known.contains(&name.trim_start_matches('^')) {
            return Err(format!("there is no class `[:{name}:]`"));
        }
        let _ = write!(self.result, "[:{name}:]");
        self.source = ahead;
        Ok(true)
    }
}

/// A character that stands for itself.
fn literal(result: &mut String, character: char) {
    let _ = write!(result, "\\x{{{:x}}}", u32::from(character));
}

/// What an escape stands for, the backslash already read.
fn escape(source: &mut Peekable<Chars<'_>>) -> Result<char, String> {
    let escaped = source.next().ok_or("it ends in a backslash")?;
    Ok(match escaped {
        'a' => '\u{7}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\u{b}',
        'x' => return hexadecimal(source),
        '0'..='7' => return octal(escaped, source),
        other if other.is_ascii() && !other.is_ascii_alphanumeric() => other,
        other => {
            return Err(format!(
                "`\\{other}` is not known; write a class such as [[:digit:]]"
            ));
        }
    })
}

/// `\x41` or `\x{41}`.
fn hexadecimal(source: &mut Peekable<Chars<'_>>) -> Result<char, String> {
    let digits: String = if source.next_if_eq(&'{').is_some() {
        source.by_ref().take_while(|next| *next != '}').collect()
    } else {
        source.by_ref().take(2).collect()
    };
    let valid = digits.len() > 1 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let code = u32::from_str_radix(&digits, 16).ok().filter(|_| valid);
    code.and_then(char::from_u32)
        .ok_or_else(|| "`\\x` needs two hexadecimal digits".to_owned())
}

/// `\012`. A single digit other than zero would refer back, which is not known.
fn octal(first: char, source: &mut Peekable<Chars<'_>>) -> Result<char, String> {
    let mut code = u32::from(first) - u32::from('0');
    let mut count = 1;
    while count < 3
        && let Some(digit) = source.next_if(|next| ('0'..='7').contains(next))
    {
        code = code * 8 + u32::from(digit) - u32::from('0');
        count += 1;
    }
    if first != '0' && count == 1 {
        return Err(format!("`\\{first}` is not known: nothing refers back"));
    }
    char::from_u32(code).ok_or_else(|| "a bad octal number".to_owned())
}
