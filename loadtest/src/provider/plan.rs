//! What the mock will answer: a function of the prompt alone, so that whole and streamed answers say the same.

use std::fmt::Write;

use anyhow::ensure;

use super::directive::{Directives, Finish};

/// Words an answer is made of; ASCII without anything JSON must escape.
const VOCABULARY: [&str; 16] = [
    "amber", "basin", "cedar", "delta", "ember", "fjord", "grove", "harbor", "island", "juniper",
    "kelp", "lagoon", "meadow", "north", "orchard", "pebble",
];
/// An answer without directives has this many words at least …
const WORDS_MIN: u64 = 8;
/// … and fewer than this many more.
const WORDS_SPREAD: u64 = 9;
/// Words written at most; `[[tokens=N]]` above it counts tokens without writing them.
const WORDS_MAX: u64 = 8_192;
/// Answers to one prompt at most, as OpenAI has it.
const CHOICES_MAX: u64 = 128;

/// A prompt, read from either dialect.
#[derive(Debug, Clone)]
pub struct Prompt {
    fingerprint: u64,
    bytes: u64,
    /// What it asks of the mock.
    pub directives: Directives,
    /// Names of the tools it offers.
    pub tools: Vec<String>,
    /// Whether its last turn is a tool's result: then no tool is called again.
    pub tool_answered: bool,
    /// Output tokens of each answer at most, reasoning included.
    output_tokens_max: Option<u64>,
    /// Answers asked for.
    choices: u64,
}

/// What the provider charges for, in tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Input, cache reads included.
    pub input: u64,
    /// The part of the input that was read from the provider's cache.
    pub cache_read: u64,
    /// The part of the input that was written to the provider's cache for five minutes.
    pub cache_write_5m: u64,
    /// The part of the input that was written to the provider's cache for an hour.
    pub cache_write_1h: u64,
    /// Output, reasoning included.
    pub output: u64,
    /// The part of the output that is reasoning.
    pub reasoning: u64,
}

impl Tokens {
    /// Output that the client sees.
    pub const fn visible(&self) -> u64 {
        self.output.saturating_sub(self.reasoning)
    }
}

/// An answer, not yet in any dialect.
#[derive(Debug, Clone)]
pub struct Plan {
    fingerprint: u64,
    words: u64,
    /// Content events of each choice.
    pub events: u64,
    /// How many choices.
    pub choices: u64,
    /// The name in a JSON object that the text is put into.
    json: Option<String>,
    /// Tools to call instead of text.
    pub tools: Vec<String>,
    /// Why every choice ends.
    pub finish: Finish,
    /// What the whole answer costs.
    pub tokens: Tokens,
}

impl Prompt {
    /// A prompt that says nothing yet, for this many answers of at most this many tokens each.
    pub fn new(choices: Option<u64>, output_tokens_max: Option<u64>) -> anyhow::Result<Self> {
        let choices = choices.unwrap_or(1);
        let allowed = (1..=CHOICES_MAX).contains(&choices);
        ensure!(
            allowed,
            "between 1 and {CHOICES_MAX} answers can be asked for"
        );
        Ok(Self {
            fingerprint: OFFSET,
            bytes: 0,
            directives: Directives::default(),
            tools: Vec::new(),
            tool_answered: false,
            output_tokens_max,
            choices,
        })
    }

    /// Takes more of the prompt's text.
    pub fn text(&mut self, text: &str) -> anyhow::Result<()> {
        self.bytes += text.len() as u64;
        self.data(text);
        self.directives.read(text)
    }

    /// Takes what tells prompts apart without being text: an image, a file.
    pub fn data(&mut self, data: &str) {
        self.fingerprint = hash(self.fingerprint, data);
    }

    /// What will be answered, or why the prompt contradicts itself.
    pub fn plan(&self) -> anyhow::Result<Plan> {
        let tools = self.tools_called()?;
        let directives = &self.directives;
        let natural = WORDS_MIN + mix(self.fingerprint) % WORDS_SPREAD;
        let wanted = match (directives.tokens, directives.events) {
            (Some(tokens), _) => tokens,
            (None, Some(events)) => events as u64,
            (None, None) => natural,
        };
        let limit = self.output_tokens_max.unwrap_or(u64::MAX);
        let reasoning = directives.thoughts.min(limit);
        let visible = wanted.min(limit - reasoning);
        let written = visible.min(WORDS_MAX);
        let events = match directives.events {
            Some(events) if visible > 0 => events as u64,
            _ => written,
        };
        let cut_short = visible < wanted || reasoning < directives.thoughts;
        Ok(Plan {
            fingerprint: self.fingerprint,
            words: written.max(events),
            events,
            choices: self.choices,
            json: directives.json.clone(),
            finish: self.finish(cut_short, &tools),
            tools,
            tokens: self.tokens(reasoning, visible),
        })
    }

    fn tools_called(&self) -> anyhow::Result<Vec<String>> {
        if self.tools.is_empty() || self.tool_answered {
            return Ok(Vec::new());
        }
        for name in &self.directives.tools {
            ensure!(
                self.tools.contains(name),
                "the prompt asks for the tool {name}, which is not offered"
            );
        }
        Ok(self.directives.tools.clone())
    }

    fn finish(&self, cut_short: bool, tools: &[String]) -> Finish {
        match self.directives.finish {
            Some(finish) => finish,
            None if cut_short => Finish::Length,
            None if !tools.is_empty() => Finish::Tools,
            None => Finish::Stop,
        }
    }

    fn tokens(&self, reasoning: u64, visible: u64) -> Tokens {
        let (cached, written) = (self.directives.cached, self.directives.written);
        let written_1h = self.directives.written_1h;
        let reasoning = reasoning * self.choices;
        Tokens {
            input: self
                .bytes
                .div_ceil(BYTES_PER_TOKEN)
                .max(1)
                .max(cached + written + written_1h),
            cache_read: cached,
            cache_write_5m: written,
            cache_write_1h: written_1h,
            output: reasoning + visible * self.choices,
            reasoning,
        }
    }
}

/// A rule of thumb for English text; all that matters is that everyone can compute it.
const BYTES_PER_TOKEN: u64 = 4;

impl Plan {
    /// The text of one content event.
    pub fn piece(&self, choice: u64, event: u64) -> String {
        let start = event * self.words / self.events.max(1);
        let end = (event + 1) * self.words / self.events.max(1);
        let mut piece = String::with_capacity(24);
        if let (Some(name), 0) = (&self.json, event) {
            let _ = write!(piece, r#"{{"{name}":""#);
        }
        for word in start..end {
            if word > 0 {
                piece.push(' ');
            }
            self.word(choice, word, &mut piece);
        }
        if self.json.is_some() && event + 1 == self.events {
            piece.push_str(r#""}"#);
        }
        piece
    }

    /// The whole text of one choice.
    pub fn text(&self, choice: u64) -> String {
        (0..self.events)
            .map(|event| self.piece(choice, event))
            .collect()
    }

    /// The arguments with which a tool is called, as JSON text.
    pub fn arguments(&self) -> String {
        format!(r#"{{"input":"{:016x}"}}"#, self.fingerprint)
    }

    /// Output tokens generated when this many content events of all are out.
    pub fn generated(&self, events: u64, events_all: u64) -> u64 {
        let share = self.tokens.visible() * events.min(events_all);
        self.tokens.reasoning + share.checked_div(events_all).unwrap_or_default()
    }

    fn word(&self, choice: u64, word: u64, piece: &mut String) {
        if word == 0 {
            let _ = write!(piece, "{:016x}", self.fingerprint ^ choice);
            return;
        }
        let place = mix(self.fingerprint ^ (choice << 32) ^ word) % VOCABULARY.len() as u64;
        let word = usize::try_from(place)
            .ok()
            .and_then(|at| VOCABULARY.get(at));
        piece.push_str(word.copied().unwrap_or_default());
    }
}

/// What the first choice of an answer to these texts begins with; how a client knows that the answer is its own.
pub fn fingerprint(texts: &[&str]) -> String {
    let hash = texts.iter().fold(OFFSET, |state, text| hash(state, text));
    format!("{hash:016x}")
}

/// FNV-1a's start.
const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;

/// FNV-1a over the text and a byte that no text contains, so that where one text ends matters.
fn hash(state: u64, text: &str) -> u64 {
    let bytes = text.bytes().chain([0xff]);
    bytes.fold(state, |state, byte| {
        (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// The finalizer of splitmix64: neighbouring numbers become unlike ones.
fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(text: &str) -> Plan {
        let mut prompt = Prompt::new(None, None).unwrap();
        prompt.text(text).unwrap();
        prompt.plan().unwrap()
    }

    #[test]
    fn different_prompts_get_different_answers_and_the_same_one_the_same() {
        assert_eq!(plan("a question").text(0), plan("a question").text(0));
        assert_ne!(plan("a question").text(0), plan("another question").text(0));
        assert!(
            plan("a question")
                .text(0)
                .starts_with(&fingerprint(&["a question"]))
        );
    }

    #[test]
    fn asked_for_events_and_tokens_are_met_exactly() {
        let plan = plan("[[events=34]] [[tokens=5]] [[thoughts=7]] [[cached=100]]");
        let expected = Tokens {
            input: 100,
            cache_read: 100,
            output: 12,
            reasoning: 7,
            ..Tokens::default()
        };
        assert_eq!((plan.events, plan.tokens), (34, expected));
        assert!((0..34).all(|event| !plan.piece(0, event).is_empty()));
        assert_eq!(plan.generated(34, 34), 12);
    }

    #[test]
    fn a_text_is_put_into_an_object_when_one_is_asked_for() {
        let text = plan("[[json=city]] [[events=3]]").text(0);
        let object: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert!(object["city"].as_str().is_some_and(|city| !city.is_empty()));
    }

    #[test]
    fn the_token_limit_counts_reasoning_and_ends_with_length() {
        let mut prompt = Prompt::new(None, Some(6)).unwrap();
        prompt.text("[[tokens=10]] [[thoughts=6]]").unwrap();
        let plan = prompt.plan().unwrap();
        assert_eq!((plan.tokens.output, plan.text(0).as_str()), (6, ""));
        assert_eq!(plan.finish, Finish::Length);
    }
}
