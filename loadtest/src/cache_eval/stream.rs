//! Questions with classes, one after the other, from an empty cache.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::{BufWriter, Write};

use cache::{Hit, Trace, WouldBe};
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};

use super::Options;
use super::answers::{WORDINGS, answer};
use super::data::Question;
use super::report::{Report, Tally};
use super::setting::{Said, Setting};
use crate::output;

/// One replay.
struct Replay<'a> {
    setting: &'a Setting,
    options: &'a Options,
    random: StdRng,
    tally: Tally,
    /// The class of each answer that was given, by its text: no two classes have the same.
    by_answer: HashMap<String, &'a str>,
    /// The class of each stored call.
    by_call: HashMap<String, &'a str>,
    features: Option<BufWriter<File>>,
}

pub(super) async fn replay(
    setting: &Setting,
    options: &Options,
    questions: &[Question],
) -> anyhow::Result<Report> {
    let mut random = StdRng::seed_from_u64(options.seed);
    let order = order(options, questions, &mut random);
    let mut replay = Replay {
        setting,
        options,
        random,
        tally: Tally::default(),
        by_answer: HashMap::new(),
        by_call: HashMap::new(),
        features: options
            .features
            .as_ref()
            .map(File::create)
            .transpose()?
            .map(BufWriter::new),
    };
    for question in order {
        replay.step(question).await?;
    }
    Ok(replay.tally.report(options.seed, options.delta))
}

impl<'a> Replay<'a> {
    async fn step(&mut self, question: &'a Question) -> anyhow::Result<()> {
        self.tally.requests += 1;
        match self.setting.ask("", &question.text).await {
            Said::Hit(hit) => self.hit(question, &hit),
            Said::Miss(key, trace) => {
                let trace = trace
                    .map(|trace| self.look_at(question, trace))
                    .transpose()?;
                let fresh = answer(&question.class, self.random.random_range(0..WORDINGS));
                self.by_call.insert(key.hash().to_string(), &question.class);
                self.by_answer.insert(fresh.clone(), &question.class);
                self.setting
                    .answer(key, trace, &question.text, &fresh)
                    .await;
                Ok(())
            }
        }
    }

    fn hit(&mut self, question: &Question, hit: &Hit) -> anyhow::Result<()> {
        let Some(class) = self.by_answer.get(hit.answer.first_text()) else {
            anyhow::bail!("the cache gave an answer that nobody stored");
        };
        let right = *class == question.class;
        self.tally.hit(hit.tier, right);
        if self.options.explain && !right {
            output::note(&format!(
                "{:?} {:?} is {}, not {class}",
                hit.tier, question.text, question.class
            ));
        }
        Ok(())
    }

    /// Counts an audit, writes the features, and turns the finding round where it is wanted.
    fn look_at(
        &mut self,
        question: &Question,
        mut trace: Box<Trace>,
    ) -> anyhow::Result<Box<Trace>> {
        let audit = trace.is_audit();
        self.tally.audits += u64::from(audit);
        if let Some(would_be) = trace.would_be() {
            let right = self
                .by_call
                .get(&would_be.call)
                .is_some_and(|class| *class == question.class);
            if audit {
                self.tally.scored.push((would_be.score, right));
            }
            self.write_features(right, &would_be)?;
        }
        if audit && self.random.random_bool(self.options.flip) {
            trace.turn_finding_round();
        }
        Ok(trace)
    }

    fn write_features(&mut self, right: bool, would_be: &WouldBe) -> anyhow::Result<()> {
        let Some(file) = &mut self.features else {
            return Ok(());
        };
        let obstacle = would_be.obstacle.unwrap_or("none");
        write!(file, "{},{obstacle},{}", u8::from(right), would_be.score)?;
        for feature in &would_be.features {
            write!(file, ",{feature}")?;
        }
        Ok(writeln!(file)?)
    }
}

/// A random order; with a drift, one half of the classes comes before the other one.
fn order<'a>(
    options: &Options,
    questions: &'a [Question],
    random: &mut StdRng,
) -> Vec<&'a Question> {
    let mut order: Vec<&Question> = questions.iter().collect();
    order.shuffle(random);
    if options.drift {
        let classes: BTreeSet<&str> = questions
            .iter()
            .map(|question| question.class.as_str())
            .collect();
        let mut classes: Vec<&str> = classes.into_iter().collect();
        classes.shuffle(random);
        let late: BTreeSet<&str> = classes.iter().skip(classes.len() / 2).copied().collect();
        order.sort_by_key(|question| late.contains(question.class.as_str()));
    }
    order.truncate(options.limit.unwrap_or(usize::MAX));
    order
}
