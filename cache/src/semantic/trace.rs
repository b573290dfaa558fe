//! What a look-up by meaning found out, kept until the fresh answer is there to be compared.

use embedding::Vector;

use super::question::Question;
use super::shard::Verdict;

/// A look-up that was answered by the provider after all.
#[derive(Debug, Clone)]
pub struct Trace {
    pub(crate) question: Question,
    /// Absent where there was no embedder, or not in time.
    pub(crate) vector: Option<Vector>,
    /// What would have been given, or nearly.
    pub(crate) verdict: Option<Verdict>,
    /// Whether it would have been given, and the provider is asked only to check it.
    pub(crate) audited: bool,
    /// Whether the finding is turned round: for evaluation with wrong labels.
    pub(crate) turned: bool,
}

impl Trace {
    pub(crate) const fn new(question: Question) -> Self {
        Self {
            question,
            vector: None,
            verdict: None,
            audited: false,
            turned: false,
        }
    }

    /// Whether the provider is asked only to check the cache.
    pub const fn is_audit(&self) -> bool {
        self.audited
    }

    /// Makes the audit find the opposite, to evaluate what wrong findings do.
    pub const fn turn_finding_round(&mut self) {
        self.turned = true;
    }

    /// The score of what would have been given, its cosine, and what spoke against it; for evaluation.
    pub fn would_be(&self) -> Option<WouldBe> {
        let verdict = self.verdict.as_ref()?;
        Some(WouldBe {
            call: verdict.hash.to_string(),
            score: verdict.score,
            cosine: verdict.cosine,
            obstacle: verdict.obstacle.map(super::shard::Obstacle::as_str),
            features: verdict.features.0.to_vec(),
        })
    }
}

/// What would have been given.
#[derive(Debug, Clone)]
pub struct WouldBe {
    /// The key of the call whose answer it is: [`crate::Key::hash`] as text.
    pub call: String,
    /// The log odds that it is right.
    pub score: f32,
    /// The cosine to its question.
    pub cosine: f32,
    /// What keeps it from being given whatever the score.
    pub obstacle: Option<&'static str>,
    /// What the score was computed from.
    pub features: Vec<f32>,
}
