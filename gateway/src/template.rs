//! Renders prompt templates into calls.
//!
//! A call names a template, which is found in memory, its variables are laid beside what the template declares, it is
//! rendered, and its messages are put before the call's own. A template of text and variables only is rendered where
//! it is asked for; everything else goes to a worker, a process with a limit of memory ([`pool`]).
//! Dropped at an `await`, a render leaves nothing behind but a job that a worker passes over.

mod engine;
mod fault;
mod follow;
mod frame;
pub(crate) mod manage;
mod memory;
mod pool;
mod source;
mod splice;
mod store;
mod stored;
mod uses;
pub(crate) mod variables;
pub(crate) mod worker;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use config::{Config, section};
use database::Database;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use types::call::{Call, TemplateUse};
use types::id::Organization;
use types::{Caller, Id};

use self::engine::{Budget, Job, Outcome, Task};
use self::memory::Memory;
use self::pool::{Keepers, Pool};
use self::source::Section;
use self::splice::Rendered;
use self::uses::Uses;
use self::variables::Bound;
use crate::error::Error;
use crate::wire::fields::Fields;

pub(crate) use self::pool::Stopped;
pub(crate) use self::stored::OtherDefaults;

/// Begins a model's name that stands for a template.
pub(crate) const TEMPLATE_MODEL: &str = "template:";

/// Finds and renders templates.
#[derive(Debug)]
pub(crate) struct Templates {
    options: section::Templates,
    memory: Arc<Memory>,
    pool: Pool,
    uses: Arc<Uses>,
}

/// What has to run for templates to be rendered and to follow their changes.
#[derive(Debug)]
pub(crate) struct Running {
    keepers: Keepers,
    memory: Arc<Memory>,
    uses: Arc<Uses>,
}

/// Which template a call means, with what variables.
#[derive(Debug, PartialEq)]
struct Meant {
    slug: String,
    version: Option<u32>,
    variables: Map<String, Value>,
}

impl Templates {
    /// Templates over a database; nothing is read before it is asked for.
    pub(crate) fn new(options: section::Templates, database: Database) -> (Self, Running) {
        let budget = Budget {
            fuel: options.fuel,
            recursion_max: options.recursion_max,
            output_bytes_max: options.output_bytes_max,
        };
        let memory = Arc::new(Memory::new(&options, budget, database));
        let (pool, keepers) = Pool::new(&options);
        let uses = Arc::<Uses>::default();
        let running = Running {
            keepers,
            memory: Arc::clone(&memory),
            uses: Arc::clone(&uses),
        };
        let templates = Self {
            options,
            memory,
            pool,
            uses,
        };
        (templates, running)
    }

    /// Templates over a database, with what follows their changes and renders them, until told to stop.
    pub(crate) fn start(
        config: &Config,
        database: &Database,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) -> Arc<Self> {
        let (templates, running) = Self::new(config.templates.clone(), database.clone());
        running.start(tasks, stop);
        Arc::new(templates)
    }

    /// The limits.
    pub(crate) const fn options(&self) -> &section::Templates {
        &self.options
    }

    /// The call with its template's messages in place.
    pub(crate) async fn render(&self, caller: &Caller, mut call: Call) -> Result<Call, Error> {
        match meant(&mut call)? {
            None => Ok(call),
            // On the heap, so that a call without a template does not carry its size.
            Some(meant) => Box::pin(self.render_meant(caller, meant, call)).await,
        }
    }

    async fn render_meant(
        &self,
        caller: &Caller,
        meant: Meant,
        mut call: Call,
    ) -> Result<Call, Error> {
        let organization = caller.organization;
        let found = self.memory.find(organization, &meant.slug, meant.version);
        let found = found.await.map_err(|error| unreadable(&error))?;
        let stored = found.ok_or(Error::UnknownTemplate {
            slug: meant.slug,
            version: meant.version,
        })?;
        self.check_size(&meant.variables)?;
        let values = complete(variables::bind(&stored.variables, meant.variables))?;
        let texts = match &stored.plain {
            Some(plain) => plain.render(&values).map_err(Stopped::from),
            None => self.texts(organization, &stored.sections, &values).await,
        };
        let rendered = messages(&stored.sections, texts?);
        if call.model.is_empty() {
            call.model = stored.model.clone().ok_or_else(|| missing("model"))?;
        }
        splice::splice(&mut call, &rendered, &stored.defaults)?;
        if call.messages.is_empty() {
            return Err(Error::invalid(
                "the template renders to nothing",
                Some("prompt"),
            ));
        }
        self.uses.add(stored.id);
        Ok(call)
    }

    /// The messages that a source renders to, for trying it out.
    pub(crate) async fn preview(
        &self,
        organization: Id<Organization>,
        source: &str,
        values: &Map<String, Value>,
    ) -> Result<Vec<Rendered>, Stopped> {
        let sections = source::split(source)?;
        let texts = self.texts(organization, &sections, values).await?;
        Ok(messages(&sections, texts))
    }

    /// The variables that a source uses; its mistakes, if it cannot be read.
    pub(crate) async fn inspect(
        &self,
        organization: Id<Organization>,
        source: &str,
    ) -> Result<BTreeSet<String>, Stopped> {
        let sections = source::split(source)?;
        match self.work(organization, &sections, Task::Inspect).await? {
            Outcome::Used(names) => Ok(names),
            Outcome::Failed(fault) => Err(fault.into()),
            Outcome::Rendered(_) => Err(Stopped::Broken),
        }
    }

    async fn texts(
        &self,
        organization: Id<Organization>,
        sections: &[Section],
        values: &Map<String, Value>,
    ) -> Result<Vec<String>, Stopped> {
        let task = Task::Render(Cow::Borrowed(values));
        match self.work(organization, sections, task).await? {
            Outcome::Rendered(texts) => Ok(texts),
            Outcome::Failed(fault) => Err(fault.into()),
            Outcome::Used(_) => Err(Stopped::Broken),
        }
    }

    async fn work(
        &self,
        organization: Id<Organization>,
        sections: &[Section],
        task: Task<'_>,
    ) -> Result<Outcome, Stopped> {
        let job = Job {
            sections: Cow::Borrowed(sections),
            task,
            budget: Budget {
                fuel: self.options.fuel,
                recursion_max: self.options.recursion_max,
                output_bytes_max: self.options.output_bytes_max,
            },
        };
        self.pool.run(organization, &job).await
    }

    fn check_size(&self, variables: &Map<String, Value>) -> Result<(), Error> {
        let max = self.options.variables_bytes_max;
        let mut size = Size { left: max };
        serde_json::to_writer(&mut size, variables).map_err(|_| {
            let message = format!("the variables have more than {max} bytes");
            Error::invalid(message, Some("prompt.variables"))
        })
    }
}

impl Running {
    /// Starts everything, until told to stop.
    fn start(self, tasks: &TaskTracker, stop: &CancellationToken) {
        let database = self.memory.database().clone();
        self.keepers.start(tasks, stop);
        tasks.spawn(follow::follow(self.memory, stop.clone()));
        tasks.spawn(uses::write_always(self.uses, database, stop.clone()));
    }
}

/// Which template a call means: by its field `prompt`, or by its model.
fn meant(call: &mut Call) -> Result<Option<Meant>, Error> {
    let named = call.model.strip_prefix(TEMPLATE_MODEL).map(str::to_owned);
    let given = call.template.take().map(|given| *given);
    let (slug, given) = match (named, given) {
        (None, None) => return Ok(None),
        (Some(slug), None) => {
            let variables = metadata(&call.body)?;
            let given = TemplateUse {
                variables,
                ..TemplateUse::default()
            };
            (slug, given)
        }
        (named, Some(mut given)) => match (named, given.slug.take()) {
            (Some(named), Some(slug)) if named != slug => {
                let message = "'model' and 'prompt.slug' name different templates";
                return Err(Error::invalid(message, Some("prompt.slug")));
            }
            (named, slug) => (named.or(slug).ok_or_else(|| missing("prompt.slug"))?, given),
        },
    };
    if call.model.starts_with(TEMPLATE_MODEL) {
        call.model.clear();
    }
    Ok(Some(Meant {
        slug,
        version: given.version,
        variables: given.variables,
    }))
}

/// The variables of a call that only names a model: clients that cannot send fields of ours can send `metadata`.
fn metadata(body: &[u8]) -> Result<Map<String, Value>, Error> {
    let fields = Fields::parse(body).map_err(Error::internal)?;
    match fields.get("metadata").map(RawValue::get) {
        None | Some("null") => Ok(Map::new()),
        Some(text) => serde_json::from_str(text)
            .map_err(|_| Error::invalid("'metadata' is not an object", Some("metadata"))),
    }
}

/// The values, if nothing is missing, unknown or of another type.
fn complete(bound: Bound) -> Result<Map<String, Value>, Error> {
    let about = |name: &str, what: String| {
        let message = format!("the template's variable `{name}` {what}");
        Err(Error::invalid(
            message,
            Some(&format!("prompt.variables.{name}")),
        ))
    };
    if let Some(name) = bound.missing.first() {
        return about(name, "is missing".to_owned());
    }
    if let Some((name, kind)) = bound.wrong.first() {
        return about(name, format!("must be {}", kind.phrase()));
    }
    if let Some(name) = bound.unknown.first() {
        let name: String = name.chars().take(NAME_CHARS_MAX).collect();
        return about(&name, "is not declared".to_owned());
    }
    Ok(bound.values)
}

/// How much of an unknown name is repeated: it may be anything.
const NAME_CHARS_MAX: usize = 64;

/// The texts with their roles, those that say nothing left out.
fn messages(sections: &[Section], texts: Vec<String>) -> Vec<Rendered> {
    let pairs = sections.iter().zip(texts);
    let rendered = pairs.map(|(section, text)| Rendered {
        role: section.role,
        text: text.trim().to_owned(),
    });
    rendered.filter(|one| !one.text.is_empty()).collect()
}

fn missing(name: &str) -> Error {
    Error::invalid(format!("'{name}' is missing"), Some(name))
}

fn unreadable(error: &database::Error) -> Error {
    tracing::warn!(
        error = error as &dyn std::error::Error,
        "a template cannot be read"
    );
    Error::Unavailable {
        reason: "the template cannot be read",
    }
}

impl From<Stopped> for Error {
    fn from(stopped: Stopped) -> Self {
        match stopped {
            Stopped::Fault(fault) => Self::invalid(
                format!("the template cannot be rendered: {fault}"),
                Some("prompt"),
            ),
            Stopped::Busy => Self::Unavailable {
                reason: "too many templates are being rendered",
            },
            Stopped::Broken => Self::Unavailable {
                reason: "templates cannot be rendered",
            },
        }
    }
}

/// Does everything with a source that can be done with one, and compares what must be equal.
#[cfg(feature = "fuzzing")]
pub(crate) fn try_everything(source: &str) {
    let Ok(sections) = source::split(source) else {
        return;
    };
    let budget = Budget {
        fuel: 10_000,
        recursion_max: 32,
        output_bytes_max: 10_000,
    };
    let values = serde_json::json!({ "x": "abc", "n": 7, "list": [1, "two"], "o": { "y": null } });
    let values: Map<_, _> = serde_json::from_value(values).unwrap_or_default();
    let job = |task| Job {
        sections: Cow::Borrowed(&sections),
        task,
        budget,
    };
    engine::run(&job(Task::Inspect));
    let outcome = engine::run(&job(Task::Render(Cow::Borrowed(&values))));
    if let Outcome::Rendered(texts) = &outcome {
        assert!(texts.iter().map(String::len).sum::<usize>() <= budget.output_bytes_max);
    }
    if sections.iter().all(|one| source::is_plain(&one.text)) {
        let here = engine::Plain::new(&sections, budget).and_then(|plain| plain.render(&values));
        let here = here.map_or_else(Outcome::Failed, Outcome::Rendered);
        assert_eq!(here, outcome, "rendered here and by a worker");
    }
}

/// Counts bytes that are written nowhere.
struct Size {
    left: usize,
}

impl std::io::Write for Size {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let left = self.left.checked_sub(bytes.len());
        self.left = left.ok_or(std::io::ErrorKind::StorageFull)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
