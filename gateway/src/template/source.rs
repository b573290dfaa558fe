//! The source of a template, taken apart into the messages it writes before anything of it is rendered.
//!
//! A line that holds nothing but `{# system #}`, `{# user #}` or `{# assistant #}` begins a message. It is a comment
//! of the template language, so any tool for it reads our sources. Because the cut is made in the source, a variable's
//! value can never begin a message of its own.

use serde::{Deserialize, Serialize};
use types::call::Role;

use super::fault::{Fault, Place};

/// Messages of one template at most: a conversation to learn from has dozens.
const SECTIONS_MAX: usize = 256;

/// The source of one message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Section {
    /// Who speaks.
    pub(crate) role: Role,
    /// What is rendered.
    pub(crate) text: String,
    /// The line of the whole source in which the text begins, from 1.
    pub(crate) line: usize,
}

/// The messages of a source, in order; a source without any mark is one message of the user.
pub(crate) fn split(source: &str) -> Result<Vec<Section>, Fault> {
    let mut sections: Vec<Section> = Vec::new();
    let mut before = String::new();
    for (number, line) in (1..).zip(source.split_inclusive('\n')) {
        match (mark(line), sections.last_mut()) {
            (Some(role), _) => sections.push(Section {
                role,
                text: String::new(),
                line: number + 1,
            }),
            (None, Some(section)) => section.text.push_str(line),
            (None, None) => before.push_str(line),
        }
    }
    if sections.is_empty() {
        sections.push(Section {
            role: Role::User,
            text: before,
            line: 1,
        });
    } else if !before.trim().is_empty() {
        let message =
            "there is text before the first message; begin with {# system #} or {# user #}";
        return Err(Fault::template(message).at(Place { line: 1, column: 1 }));
    }
    if sections.len() > SECTIONS_MAX {
        let message = format!("there are more than {SECTIONS_MAX} messages");
        return Err(Fault::template(message));
    }
    Ok(sections)
}

/// The role that a line names, if it does nothing else.
fn mark(line: &str) -> Option<Role> {
    let inner = line.trim().strip_prefix("{#")?.strip_suffix("#}")?;
    let inner = inner.trim_start_matches('-').trim_end_matches('-');
    match inner.trim() {
        "system" => Some(Role::System),
        "user" => Some(Role::User),
        "assistant" => Some(Role::Assistant),
        _ => None,
    }
}

/// Whether a text only puts variables in their places: no statement, no filter, no operator.
///
/// Such a text cannot make more than its variables and itself are, and is rendered where it is asked for.
pub(crate) fn is_plain(text: &str) -> bool {
    let mut rest = text;
    loop {
        let Some(at) = rest.find('{') else {
            return true;
        };
        let (_, from) = rest.split_at(at);
        let Some(inside) = from.strip_prefix("{{") else {
            if from.starts_with("{%") || from.starts_with("{#") {
                return false;
            }
            rest = from.get(1..).unwrap_or_default();
            continue;
        };
        let Some((expression, after)) = inside.split_once("}}") else {
            return false;
        };
        if !is_path(
            expression
                .trim_start_matches('-')
                .trim_end_matches('-')
                .trim(),
        ) {
            return false;
        }
        rest = after;
    }
}

/// `name` or `name.field.field`.
fn is_path(text: &str) -> bool {
    text.split('.').all(|name| {
        let mut characters = name.chars();
        let begins = |c: char| c.is_ascii_alphabetic() || c == '_';
        let goes_on = |c: char| c.is_ascii_alphanumeric() || c == '_';
        characters.next().is_some_and(begins) && characters.all(goes_on)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_without_marks_is_one_message_of_the_user() {
        let sections = split("Translate {{ text }}.\n").unwrap();
        assert_eq!(sections.len(), 1);
        assert_eq!(sections[0].role, Role::User);
        assert_eq!(sections[0].line, 1);
    }

    #[test]
    fn marks_begin_messages_and_lines_are_counted_in_the_whole_source() {
        let source = "\n{# system #}\nBe brief.\n\n{#- user -#}\n{{ question }}\n{# a note #}\n";
        let sections = split(source).unwrap();
        let found: Vec<_> = sections.iter().map(|one| (one.role, one.line)).collect();
        assert_eq!(found, [(Role::System, 3), (Role::User, 6)]);
        assert_eq!(sections[1].text, "{{ question }}\n{# a note #}\n");
    }

    #[test]
    fn text_before_the_first_mark_belongs_to_nobody_and_is_refused() {
        let fault = split("hello\n{# user #}\nx").unwrap_err();
        assert_eq!(fault.place, Some(Place { line: 1, column: 1 }));
    }

    #[test]
    fn only_variables_in_their_places_are_plain() {
        for text in [
            "",
            "no braces",
            "{ and } alone { {x} }",
            "{{ name }} and {{customer.address.city}} {{- x -}}",
        ] {
            assert!(is_plain(text), "{text}");
        }
        for text in [
            "{{ a * 9 }}",
            "{{ a | upper }}",
            "{{ f() }}",
            "{{ a[0] }}",
            "{{ 'x' }}",
            "{{ a.0 }}",
            "{% if a %}{% endif %}",
            "{# note #}",
            "{{ open",
            "{{ }}",
        ] {
            assert!(!is_plain(text), "{text}");
        }
    }
}
