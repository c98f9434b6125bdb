//! What is wrong with a configuration file: one message with file, line, and the mend.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// The first thing that is wrong. Its text is ready to be shown:
///
/// ```text
/// /etc/farshare/farshare.toml:7:34: unknown key `sise`, expected one of `path`, `size`, `write`
///   7 | cache = { path = "/var/cache/farshare", sise = "5GiB" }
///     |                                         ^^^^
/// ```
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigError {
    file: PathBuf,
    /// What is wrong and how to mend it.
    message: String,
    place: Option<Place>,
}

/// A place in the file, counted from one.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    line: usize,
    column: usize,
    text: String,
    /// How many characters to underline.
    length: usize,
}

/// Longest line that is shown, characters; a longer one is not quoted.
const QUOTED_LINE_MAX: usize = 160;

impl ConfigError {
    /// About the file as a whole.
    pub fn whole(file: &Path, message: impl Into<String>) -> ConfigError {
        ConfigError { file: file.to_owned(), message: message.into(), place: None }
    }

    /// About the bytes `span` of `text`, the content of `file`.
    pub fn at(file: &Path, text: &str, span: Range<usize>, message: impl Into<String>) -> ConfigError {
        ConfigError { file: file.to_owned(), message: message.into(), place: Some(Place::of(text, span)) }
    }

    /// What the TOML parser or a value's type complained of.
    pub fn from_toml(file: &Path, text: &str, cause: &toml::de::Error) -> ConfigError {
        let message = reworded(cause.message());
        match cause.span() {
            Some(span) => ConfigError::at(file, text, span, message),
            None => ConfigError::whole(file, message),
        }
    }

    /// The line in the file, from one; `None` for the file as a whole.
    #[cfg(test)]
    pub fn line(&self) -> Option<usize> {
        self.place.as_ref().map(|place| place.line)
    }

    #[cfg(test)]
    pub fn message(&self) -> &str {
        &self.message
    }
}

/// Sections and keys of jobs that this version does not do yet.
const LATER: [&str; 6] = ["s3", "swift", "http", "mirror", "backend", "tier"];

/// serde speaks of fields; people who write TOML know keys.
fn reworded(message: &str) -> String {
    if let Some(rest) = message.strip_prefix("unknown field `")
        && let Some((key, known)) = rest.split_once("`, ")
        && LATER.contains(&key)
    {
        return format!("`{key}` is not in this version of farshare; take it out ({known})");
    }
    message.replace("unknown field", "unknown key").replace("missing field", "missing key")
}

impl Place {
    fn of(text: &str, span: Range<usize>) -> Place {
        let start = text.floor_char_boundary(span.start);
        let end = text.floor_char_boundary(span.end).max(start);
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
        Place {
            line: text[..start].matches('\n').count() + 1,
            column: text[line_start..start].chars().count() + 1,
            text: text[line_start..line_end].trim_end().to_owned(),
            length: text[start..end.min(line_end)].chars().count().max(1),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.display();
        let Some(place) = &self.place else { return write!(f, "{file}: {}", self.message) };
        write!(f, "{file}:{}:{}: {}", place.line, place.column, self.message)?;
        if place.text.chars().count() > QUOTED_LINE_MAX {
            return Ok(());
        }
        let number = place.line.to_string();
        let gutter = " ".repeat(number.len());
        let indent = " ".repeat(place.column - 1);
        write!(f, "\n  {number} | {}\n  {gutter} | {indent}{}", place.text, "^".repeat(place.length))
    }
}

impl std::error::Error for ConfigError {}
