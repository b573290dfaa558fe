//! What speaks against giving one question's answer to another one, whatever their vectors say.

use super::lists::{ANTONYMS, CLASSES};
use super::{Lexicon, Sketch};

/// Why an answer is not given to a similar question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Veto {
    /// Other numbers, or in another order.
    Numbers,
    /// One says the opposite by a "not".
    Negation,
    /// One has a word, and the other one its opposite.
    Antonym,
    /// Other months, days, currencies, languages …, or in another order.
    Class,
    /// Each has a name that the other one has not.
    Names,
    /// Other quotations, addresses or code.
    Literals,
    /// The same words in another order: who does what to whom.
    Roles,
    /// One asks when, the other one where.
    Question,
}

impl Veto {
    /// The word in metrics.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Numbers => "numbers",
            Self::Negation => "negation",
            Self::Antonym => "antonym",
            Self::Class => "class",
            Self::Names => "names",
            Self::Literals => "literals",
            Self::Roles => "roles",
            Self::Question => "question",
        }
    }
}

/// Questions that have different answers even where every other word is the same. "How" and "what" are left out:
/// people use them for the same question.
const DISTINCT_QUESTIONS: &[&str] = &["who", "whom", "whose", "when", "where", "why"];

/// What speaks against it, if anything does.
pub(crate) fn veto(one: &Sketch, other: &Sketch) -> Option<Veto> {
    if one.numbers != other.numbers {
        return Some(Veto::Numbers);
    }
    if one.negated != other.negated {
        return Some(Veto::Negation);
    }
    if has_antonyms(one, other) {
        return Some(Veto::Antonym);
    }
    if one.literals != other.literals {
        return Some(Veto::Literals);
    }
    if classes_conflict(one, other) {
        return Some(Veto::Class);
    }
    if names_conflict(one, other) {
        return Some(Veto::Names);
    }
    if questions_conflict(one, other) {
        return Some(Veto::Question);
    }
    roles_conflict(one, other).then_some(Veto::Roles)
}

/// Whether one is the other one word by word, but for spelling and for words of the same meaning.
pub(crate) fn is_same(one: &Sketch, other: &Sketch, lexicon: &Lexicon) -> bool {
    let mut pairs = one.words.iter().zip(&other.words);
    one.words.len() == other.words.len()
        && one.literals == other.literals
        && pairs.all(|(a, b)| a == b || lexicon.is_misspelling(a, b))
}

fn has_antonyms(one: &Sketch, other: &Sketch) -> bool {
    ANTONYMS.iter().any(|(a, b)| {
        let (one_a, one_b) = (one.has(a), one.has(b));
        let (other_a, other_b) = (other.has(a), other.has(b));
        (one_a && !one_b && other_b && !other_a) || (one_b && !one_a && other_a && !other_b)
    })
}

/// A class that only one of them mentions is no conflict: it may have gone without saying.
fn classes_conflict(one: &Sketch, other: &Sketch) -> bool {
    (0..CLASSES.len()).any(|class| {
        let of = |sketch: &Sketch| {
            let members = sketch.members.iter().filter(move |(own, _)| *own == class);
            members.map(|(_, word)| word.clone()).collect::<Vec<_>>()
        };
        let (one, other) = (of(one), of(other));
        !one.is_empty() && !other.is_empty() && one != other
    })
}

/// Only where each has one that the other one does not even write small.
fn names_conflict(one: &Sketch, other: &Sketch) -> bool {
    let lacks = |a: &Sketch, b: &Sketch| {
        a.names
            .iter()
            .any(|name| !b.has(name) && !b.names.contains(name))
    };
    lacks(one, other) && lacks(other, one)
}

fn questions_conflict(one: &Sketch, other: &Sketch) -> bool {
    let (Some(one), Some(other)) = (&one.question, &other.question) else {
        return false;
    };
    let distinct = |word: &str| DISTINCT_QUESTIONS.contains(&word);
    one != other && distinct(one) && distinct(other)
}

fn roles_conflict(one: &Sketch, other: &Sketch) -> bool {
    if one.words.len() != other.words.len() || one.words == other.words {
        return false;
    }
    let sorted = |sketch: &Sketch| {
        let mut words: Vec<_> = sketch.words.to_vec();
        words.sort_unstable();
        words
    };
    sorted(one) == sorted(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(one: &str, other: &str, expected: Option<Veto>) {
        let (a, b) = (Sketch::of(one), Sketch::of(other));
        assert_eq!(veto(&a, &b), expected, "{one} / {other}");
        assert_eq!(veto(&b, &a), expected, "{other} / {one}");
    }

    #[test]
    fn what_changes_the_answer_is_seen() {
        check(
            "Revenue in Q1 2024",
            "Revenue in Q2 2024",
            Some(Veto::Numbers),
        );
        check("Twenty degrees", "Thirty degrees", Some(Veto::Numbers));
        check("Is it safe?", "Is it not safe?", Some(Veto::Negation));
        check("Can I swim?", "Can't I swim?", Some(Veto::Negation));
        check(
            "Take it before food",
            "Take it after food",
            Some(Veto::Antonym),
        );
        check(
            "Book it for Monday",
            "Book it for Friday",
            Some(Veto::Class),
        );
        check("100 USD in EUR", "100 EUR in USD", Some(Veto::Class));
        check("from march to may", "from may to march", Some(Veto::Class));
        check("Pay £5 now", "Pay $5 now", Some(Veto::Class));
        check("The CEO of Acme", "The CEO of Globex", Some(Veto::Names));
        check(
            "When does it open",
            "Where does it open",
            Some(Veto::Question),
        );
        check(
            "the dog bites the man",
            "the man bites the dog",
            Some(Veto::Roles),
        );
        check("What does `a` do", "What does `b` do", Some(Veto::Literals));
    }

    #[test]
    fn other_words_for_the_same_question_pass() {
        check("Where is my parcel?", "my parcel, where is it", None);
        check("I got 20 dollars", "i got twenty $", None);
        check("How do I reset it?", "What is the way to reset it?", None);
    }

    #[test]
    fn only_what_every_word_accounts_for_is_the_same() {
        let same = |one: &str, other: &str| {
            is_same(&Sketch::of(one), &Sketch::of(other), &Lexicon::default())
        };
        assert!(same("hi, What's my limit?", "what is my LIMIT please"));
        assert!(same("my icnome this year", "my income this year"));
        assert!(!same("a trip to spain", "a trip to italy"));
        assert!(!same("is it safe", "is it not safe"));
        assert!(!same("the limit", "the limit of what"));
    }
}
