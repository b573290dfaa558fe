//! A thread with a model of its own that embeds what waits, several texts at a time.

use std::sync::Arc;
use std::time::Instant;

use metrics::histogram;

use crate::queue::{Job, Queue};
use crate::{Error, Model, Unavailable, metric};

/// Takes batches until the queue is closed.
pub(crate) fn run(queue: &Queue, model: &mut dyn Model, batch_max: usize) {
    while let Some(jobs) = queue.take(batch_max) {
        answer(model, jobs);
    }
}

fn answer(model: &mut dyn Model, jobs: Vec<Job>) {
    let texts: Vec<Arc<str>> = jobs.iter().map(|job| Arc::clone(&job.text)).collect();
    let began = Instant::now();
    let vectors = model.embed(&texts);
    histogram!(metric::BATCH_SECONDS).record(began.elapsed());
    histogram!(metric::BATCH_TEXTS).record(count(texts.len()));
    let vectors = match vectors {
        Ok(vectors) => vectors,
        Err(error) => return fail(jobs, &error),
    };
    for (job, vector) in jobs.into_iter().zip(vectors) {
        // Nobody waits any more: the text was late.
        let _ = job.answer.send(vector.ok_or(Unavailable::TooLong));
    }
}

fn fail(jobs: Vec<Job>, error: &Error) {
    let error: &dyn std::error::Error = error;
    tracing::warn!(error, "the embedding model failed");
    for job in jobs {
        let _ = job.answer.send(Err(Unavailable::Failed));
    }
}

#[expect(clippy::cast_precision_loss, reason = "a histogram takes floats")]
fn count(texts: usize) -> f64 {
    texts as f64
}
