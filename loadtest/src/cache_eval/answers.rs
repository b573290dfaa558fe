//! The simulated provider: an answer for each class, in several wordings that say the same.
//!
//! What an answer says is drawn from the class's name: what it is about, where to go, what to choose, what to
//! have at hand, and for half of the classes how long it takes. Two classes may share any of these.

use std::hash::{DefaultHasher, Hash, Hasher};

/// Wordings of each answer.
pub(super) const WORDINGS: u64 = 6;

const PLACES: &[&str] = &[
    "settings page",
    "help centre",
    "main menu",
    "profile tab",
    "front desk",
    "order overview",
    "mobile app",
    "member portal",
    "service hotline",
    "web dashboard",
    "local branch",
    "control panel",
    "account page",
    "start screen",
];

const CHOICES: &[&str] = &[
    "the first entry",
    "new request",
    "edit details",
    "show history",
    "contact an adviser",
    "security",
    "preferences",
    "payments",
    "delivery options",
    "documents",
    "notifications",
    "connected devices",
    "language and region",
    "personal data",
    "subscriptions",
    "support tickets",
    "advanced options",
    "calendar",
    "billing",
    "travel notices",
];

const OBJECTS: &[&str] = &[
    "your passport",
    "the confirmation email",
    "your password",
    "the reference number",
    "a recent statement",
    "the original receipt",
    "your phone",
    "the one-time code",
    "your membership card",
    "a photo of the label",
    "the serial number",
    "your postal address",
];

const UNITS: &[&str] = &["minutes", "hours", "days", "weeks"];

/// The answer to a class, worded in one of its ways.
pub(super) fn answer(class: &str, wording: u64) -> String {
    let facts = Facts::of(class);
    let time = facts.time(wording);
    let Facts {
        topic,
        place,
        choice,
        object,
        ..
    } = facts;
    match wording % WORDINGS {
        0 => format!(
            "About {topic}: open the {place} and choose {choice}. Keep {object} ready to confirm. {time}"
        ),
        1 => format!(
            "You can sort out {topic} yourself. Go to the {place}, pick {choice}, and have {object} at hand. {time}"
        ),
        2 => format!(
            "{time} To deal with {topic}, select {choice} in the {place}; you will be asked for {object}."
        ),
        3 => format!(
            "Regarding {topic}, the {place} is the place to go. Under \u{201c}{choice}\u{201d} you will find everything, and {object} is needed. {time}"
        ),
        4 => format!(
            "Sure, here is how {topic} works. First visit the {place}. Then tap on {choice}. Finally, confirm with {object}. {time}"
        ),
        _ => format!(
            "For questions on {topic} please use {choice}, which is found in the {place}. {time} Make sure that {object} is available."
        ),
    }
}

struct Facts {
    topic: String,
    place: &'static str,
    choice: &'static str,
    object: &'static str,
    time: Option<(u64, &'static str)>,
}

impl Facts {
    fn of(class: &str) -> Self {
        let timed = draw(class, "timed").is_multiple_of(2);
        Self {
            topic: topic(class),
            place: pick(PLACES, class, "place"),
            choice: pick(CHOICES, class, "choice"),
            object: pick(OBJECTS, class, "object"),
            time: timed.then(|| (2 + draw(class, "time") % 8, pick(UNITS, class, "unit"))),
        }
    }

    fn time(&self, wording: u64) -> String {
        match (self.time, wording % 3) {
            (Some((count, unit)), 0) => format!("It takes {count} {unit}."),
            (Some((count, unit)), 1) => format!("Allow {count} {unit} for it."),
            (Some((count, unit)), _) => format!("This is usually done within {count} {unit}."),
            (None, 0) => "It is done at once.".to_owned(),
            (None, 1) => "There is no waiting time.".replace("no waiting", "hardly any waiting"),
            (None, _) => "This happens immediately.".to_owned(),
        }
    }
}

/// A class's name in words; a name that is a number says nothing, and gets words of its own.
fn topic(class: &str) -> String {
    let words: Vec<String> = class
        .split(|c: char| !c.is_alphabetic())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect();
    if words.is_empty() {
        return format!(
            "{} and {}",
            pick(CHOICES, class, "topic"),
            pick(PLACES, class, "topic")
        );
    }
    words.join(" ")
}

fn pick(list: &[&'static str], class: &str, what: &str) -> &'static str {
    let count = u64::try_from(list.len()).unwrap_or(1);
    let at = usize::try_from(draw(class, what) % count).unwrap_or(0);
    list.get(at).copied().unwrap_or_default()
}

fn draw(class: &str, what: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (class, what).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_wordings_are_the_same_and_all_have_the_facts() {
        let wordings: Vec<_> = (0..WORDINGS)
            .map(|wording| answer("card_arrival", wording))
            .collect();
        for (number, one) in wordings.iter().enumerate() {
            assert!(one.contains("card arrival"), "{one}");
            assert!(wordings.iter().skip(number + 1).all(|other| other != one));
        }
        assert_ne!(answer("17", 0), answer("18", 0));
    }
}
