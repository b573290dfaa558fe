//! Reads an `--env-file`: `NAME=value` lines, with comments, quotes and `export`.
//!
//! Nothing is expanded: a `$` in a password stays one.

use std::path::{Path, PathBuf};

use thiserror::Error;

/// Why an `--env-file` could not be read. The line itself is never shown, as it may hold a key.
#[derive(Debug, Error)]
pub enum Error {
    /// The file is not there, or not readable.
    #[error("read the environment file")]
    Unreadable(#[source] std::io::Error),
    /// A line is neither empty, nor a comment, nor `NAME=value`.
    #[error("{}:{line}: expected NAME=value", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
}

/// The variables of a file, in its order.
pub(crate) fn read(path: &Path) -> Result<Vec<(String, String)>, Error> {
    let text = fs_err::read_to_string(path).map_err(Error::Unreadable)?;
    parse(&text).map_err(|line| Error::Malformed {
        path: path.to_owned(),
        line,
    })
}

/// The variables of a text, or the number of the line that is malformed.
fn parse(text: &str) -> Result<Vec<(String, String)>, usize> {
    let mut variables = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        variables.push(variable(line).ok_or(index.saturating_add(1))?);
    }
    Ok(variables)
}

fn variable(line: &str) -> Option<(String, String)> {
    let line = line.strip_prefix("export ").unwrap_or(line);
    let (name, value) = line.split_once('=')?;
    let name = name.trim();
    let valid = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) || !name.chars().all(valid)
    {
        return None;
    }
    Some((name.to_owned(), unquote(value.trim())?))
}

/// The value without its quotes, or without the comment behind it.
fn unquote(value: &str) -> Option<String> {
    if let Some(quoted) = value.strip_prefix('\'') {
        let (inner, rest) = quoted.split_once('\'')?;
        return is_comment(rest).then(|| inner.to_owned());
    }
    if let Some(quoted) = value.strip_prefix('"') {
        return unescape(quoted);
    }
    let end = value.find(" #").unwrap_or(value.len());
    Some(value.get(..end)?.trim_end().to_owned())
}

/// What stands between double quotes, with `\n`, `\t`, `\"` and `\\` replaced.
fn unescape(quoted: &str) -> Option<String> {
    let mut value = String::new();
    let mut characters = quoted.chars();
    loop {
        match characters.next()? {
            '"' => return is_comment(characters.as_str()).then_some(value),
            '\\' => value.push(match characters.next()? {
                'n' => '\n',
                't' => '\t',
                other => other,
            }),
            other => value.push(other),
        }
    }
}

fn is_comment(rest: &str) -> bool {
    let rest = rest.trim_start();
    rest.is_empty() || rest.starts_with('#')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_comments_and_export_are_understood_and_nothing_is_expanded() {
        let text = "# keys\n\nexport A=1\nB = two words # why\nC='$x # y' # z\nD=\"a\\n\\\"b\\\"\"\nE=p#q\nF=\n";
        let expected = [
            ("A", "1"),
            ("B", "two words"),
            ("C", "$x # y"),
            ("D", "a\n\"b\""),
            ("E", "p#q"),
            ("F", ""),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(parse(text).unwrap(), expected);
    }

    #[test]
    fn a_malformed_line_is_told_by_its_number_alone() {
        assert_eq!(parse("A=1\nsk-canary\n"), Err(2));
        assert_eq!(parse("A='open"), Err(1));
    }
}
