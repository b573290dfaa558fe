//! Renders the texts of a template within a budget of fuel, depth and output; knows nothing of where it runs.
//!
//! Nothing can be included or loaded, what is not defined is an error, and nothing is escaped: a prompt is no HTML.
//! The budget bounds work; memory is bounded by where this runs (see [`super::worker`]).

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::io;

use minijinja::value::Serde;
use minijinja::{Environment, ErrorKind, UndefinedBehavior, Value};
use serde::{Deserialize, Serialize};
use serde_json::Map;

use super::fault::{Fault, Place};
use super::source::Section;

/// The source shown in a message at most, in characters.
const EXCERPT_CHARS_MAX: usize = 60;

/// What is to be done.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Job<'a> {
    /// The texts.
    pub(crate) sections: Cow<'a, [Section]>,
    /// What to do with them.
    pub(crate) task: Task<'a>,
    /// How much of it.
    pub(crate) budget: Budget,
}

/// What to do with a template.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Task<'a> {
    /// Render it with these variables.
    Render(Cow<'a, Map<String, serde_json::Value>>),
    /// Say which variables it uses.
    Inspect,
}

/// How much work one job may make.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Budget {
    /// Steps.
    pub(crate) fuel: u64,
    /// Depth of calls.
    pub(crate) recursion_max: usize,
    /// What all texts render to at most, in bytes.
    pub(crate) output_bytes_max: usize,
}

/// What became of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Outcome {
    /// The texts, one for each section.
    Rendered(Vec<String>),
    /// The names of the variables that are used.
    Used(BTreeSet<String>),
    /// Neither.
    Failed(Fault),
}

/// Does the job.
pub(crate) fn run(job: &Job<'_>) -> Outcome {
    let done = match &job.task {
        Task::Render(variables) => {
            let variables = Value::from(Serde(variables));
            render(&job.sections, &variables, job.budget).map(Outcome::Rendered)
        }
        Task::Inspect => inspect(&job.sections, job.budget).map(Outcome::Used),
    };
    done.unwrap_or_else(Outcome::Failed)
}

fn render(sections: &[Section], variables: &Value, budget: Budget) -> Result<Vec<String>, Fault> {
    let environment = environment(budget);
    let mut left = budget.output_bytes_max;
    let texts = sections.iter().map(|section| {
        let template = environment
            .template_from_str(&section.text)
            .map_err(|error| fault(&error, section))?;
        let text = write(&template, variables, (section, left, budget))?;
        left -= text.len();
        Ok(text)
    });
    texts.collect()
}

fn inspect(sections: &[Section], budget: Budget) -> Result<BTreeSet<String>, Fault> {
    let environment = environment(budget);
    let globals: BTreeSet<_> = environment.globals().map(|(name, _)| name).collect();
    let mut used = BTreeSet::new();
    for section in sections {
        let template = environment
            .template_from_str(&section.text)
            .map_err(|error| fault(&error, section))?;
        let names = template.undeclared_variables(false);
        used.extend(
            names
                .into_iter()
                .filter(|name| !globals.contains(name.as_str())),
        );
    }
    Ok(used)
}

fn environment<'a>(budget: Budget) -> Environment<'a> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    // Shows all variables at once, whatever they are.
    environment.remove_global("debug");
    configure(&mut environment, budget);
    environment
}

fn configure(environment: &mut Environment<'_>, budget: Budget) {
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(budget.fuel));
    environment.set_recursion_limit(budget.recursion_max);
    // For the place of a mistake.
    environment.set_debug(true);
}

/// Writes one text, up to what is left of the output.
fn write(
    template: &minijinja::Template<'_, '_>,
    variables: &Value,
    (section, left, budget): (&Section, usize, Budget),
) -> Result<String, Fault> {
    let mut out = Bounded {
        bytes: Vec::new(),
        left,
        is_full: false,
    };
    let written = template
        .render_captured_to(variables.clone(), &mut out)
        .map(drop);
    match written {
        Err(_) if out.is_full => {
            let limit = budget.output_bytes_max;
            Err(Fault::limit(format!(
                "the template renders to more than {limit} bytes"
            )))
        }
        Err(error) => Err(fault(&error, section)),
        Ok(()) => String::from_utf8(out.bytes)
            .map_err(|_| Fault::template("the template does not render to text")),
    }
}

/// Takes bytes up to a limit.
struct Bounded {
    bytes: Vec<u8>,
    left: usize,
    is_full: bool,
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(left) = self.left.checked_sub(bytes.len()) else {
            self.is_full = true;
            return Err(io::ErrorKind::StorageFull.into());
        };
        self.left = left;
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A template that is only text and variables, read once and rendered where it is asked for.
#[derive(Debug)]
pub(crate) struct Plain {
    environment: Environment<'static>,
    sections: Vec<Section>,
    budget: Budget,
}

impl Plain {
    /// Reads it. The caller has looked that every text [`super::source::is_plain`].
    pub(crate) fn new(sections: &[Section], budget: Budget) -> Result<Self, Fault> {
        let mut environment = Environment::empty();
        configure(&mut environment, budget);
        for (number, section) in sections.iter().enumerate() {
            environment
                .add_template_owned(number.to_string(), section.text.clone())
                .map_err(|error| fault(&error, section))?;
        }
        Ok(Self {
            environment,
            sections: sections.to_vec(),
            budget,
        })
    }

    /// Renders it.
    pub(crate) fn render(
        &self,
        variables: &Map<String, serde_json::Value>,
    ) -> Result<Vec<String>, Fault> {
        let variables = Value::from(Serde(variables));
        let mut left = self.budget.output_bytes_max;
        let texts = self.sections.iter().enumerate().map(|(number, section)| {
            let template = self
                .environment
                .get_template(&number.to_string())
                .map_err(|error| fault(&error, section))?;
            let text = write(&template, &variables, (section, left, self.budget))?;
            left -= text.len();
            Ok(text)
        });
        texts.collect()
    }
}

/// What the engine says, in our words: its own may quote a variable's value.
fn fault(error: &minijinja::Error, section: &Section) -> Fault {
    let excerpt = excerpt(error, &section.text);
    let detail = error.detail().unwrap_or_default();
    let about = |what: &str| match &excerpt {
        Some(excerpt) => Fault::template(format!("{what}: {excerpt}")),
        None => Fault::template(what),
    };
    let fault = match error.kind() {
        ErrorKind::OutOfFuel => Fault::limit("the template does more work than is allowed"),
        ErrorKind::SyntaxError => Fault::template(format!("syntax error: {detail}")),
        ErrorKind::UndefinedError => about("undefined value"),
        ErrorKind::UnknownFilter => about("unknown filter"),
        ErrorKind::UnknownTest => about("unknown test"),
        ErrorKind::UnknownFunction | ErrorKind::UnknownMethod => about("unknown function"),
        ErrorKind::InvalidOperation if detail.contains("recursion limit") => {
            Fault::limit("the template calls itself too deeply")
        }
        kind => about(&kind.to_string()),
    };
    match place(error, section) {
        Some(place) => fault.at(place),
        None => fault,
    }
}

/// The source of what failed.
fn excerpt(error: &minijinja::Error, text: &str) -> Option<String> {
    let excerpt = text.get(error.range()?)?;
    let line = excerpt.lines().next()?;
    (!line.is_empty()).then(|| line.chars().take(EXCERPT_CHARS_MAX).collect())
}

fn place(error: &minijinja::Error, section: &Section) -> Option<Place> {
    let before = error
        .range()
        .and_then(|range| section.text.get(..range.start));
    let (line, column) = match before {
        Some(before) => {
            let start = before.rfind('\n').map_or(0, |at| at + 1);
            let column = before.get(start..).unwrap_or_default().chars().count() + 1;
            (before.matches('\n').count() + 1, column)
        }
        None => (error.line()?, 1),
    };
    Some(Place {
        line: section.line + line - 1,
        column,
    })
}

#[cfg(test)]
mod tests;
