//! A model that is slow, broken, absent or overrun costs its callers their vectors and nothing else.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use embedding::fixed::Fixed;
use embedding::{Embedder, Error, Model, Options, Unavailable, Vector};
use parking_lot::Mutex;

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_mins(1);

/// A model that works when it is told to, and tells what it was given.
struct Gated {
    go: Receiver<()>,
    given: Sender<usize>,
}

impl Model for Gated {
    fn id(&self) -> &'static str {
        "gated"
    }

    fn embed(&mut self, texts: &[Arc<str>]) -> Result<Vec<Option<Vector>>, Error> {
        let _ = self.given.send(texts.len());
        let _ = self.go.recv();
        Fixed.embed(texts)
    }
}

struct Broken;

impl Model for Broken {
    fn id(&self) -> &'static str {
        "broken"
    }

    fn embed(&mut self, _: &[Arc<str>]) -> Result<Vec<Option<Vector>>, Error> {
        Err(Error::Dimensions(0))
    }
}

fn patient() -> Options {
    Options {
        budget: PATIENCE,
        ..Options::default()
    }
}

fn gated(options: Options) -> (Embedder, Sender<()>, Receiver<usize>) {
    let ((go, wait), (given, told)) = (channel(), channel());
    let model = Mutex::new(Some(Gated { go: wait, given }));
    let embedder = Embedder::start(options, move || {
        let model = model.lock().take().ok_or(Error::Dimensions(0))?;
        Ok(Box::new(model) as Box<dyn Model>)
    });
    (embedder, go, told)
}

#[tokio::test]
async fn a_text_has_always_the_same_vector_and_no_model_has_none() {
    let embedder = Embedder::start(patient(), || Ok(Box::new(Fixed)));
    assert!(embedder.ready().await);
    let first = embedder.embed("How are you?").await.unwrap();
    assert_eq!(embedder.embed("How are you?").await, Ok(first));
    assert_eq!(embedder.id().as_deref(), Some("fixed-1"));
    let long = "word ".repeat(1000);
    assert_eq!(embedder.embed(&long).await, Err(Unavailable::TooLong));

    let absent = Embedder::start(patient(), || Err(Error::Dimensions(0)));
    assert!(!absent.ready().await);
    assert_eq!(absent.embed("Hi").await, Err(Unavailable::Absent));
    let never = Embedder::absent().embed("Hi").await;
    assert_eq!(never, Err(Unavailable::Absent));
}

#[tokio::test]
async fn what_waits_is_embedded_together_and_what_is_too_much_is_refused() {
    let options = Options {
        queue_texts_max: 2,
        ..patient()
    };
    let (embedder, go, given) = gated(options);
    assert!(embedder.ready().await);
    let ask = |text: &'static str| {
        let embedder = embedder.clone();
        async move { embedder.embed(text).await }
    };
    let mut first = Box::pin(ask("first"));
    assert!(futures_util::poll!(&mut first).is_pending());
    let taken = tokio::task::spawn_blocking(move || (given.recv(), given));
    let (count, given) = taken.await.unwrap();
    assert_eq!(count, Ok(1));

    let (mut second, mut third) = (Box::pin(ask("second")), Box::pin(ask("third")));
    assert!(futures_util::poll!(&mut second).is_pending());
    assert!(futures_util::poll!(&mut third).is_pending());
    assert_eq!(ask("fourth").await, Err(Unavailable::Full));

    go.send(()).unwrap();
    go.send(()).unwrap();
    assert!(first.await.is_ok() && second.await.is_ok() && third.await.is_ok());
    assert_eq!(given.recv(), Ok(2), "both that waited in one batch");
}

#[tokio::test]
async fn a_stalled_model_costs_its_budget_until_nobody_asks_it_any_more() {
    let options = Options {
        budget: Duration::from_millis(1),
        ..Options::default()
    };
    let (embedder, _never, _given) = gated(options);
    assert!(embedder.ready().await);
    let mut last = Unavailable::Absent;
    for number in 0..20 {
        last = embedder.embed(&format!("text {number}")).await.unwrap_err();
    }
    assert_eq!(last, Unavailable::Paused);
}

#[tokio::test]
async fn a_model_that_fails_is_left_alone() {
    let embedder = Embedder::start(patient(), || Ok(Box::new(Broken)));
    assert!(embedder.ready().await);
    assert_eq!(embedder.embed("Hi").await, Err(Unavailable::Failed));
    for _ in 0..10 {
        let _ = embedder.embed("Hi").await;
    }
    assert_eq!(embedder.embed("Hi").await, Err(Unavailable::Paused));
}
