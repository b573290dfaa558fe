//! Which questions have the same answer: classes that grow together when answers are found equal.

use std::collections::HashMap;
use std::sync::Arc;

use types::Id;
use types::id::CacheAnswer;

use super::equality::Wording;

/// Wordings of one answer that a fresh one is compared with. More of them find more equal ones, and cost memory.
const WORDINGS_MAX: usize = 6;

/// The number of a class; a class that has joined another one keeps its number and is not used any more.
pub(crate) type Class = u32;

/// The classes of one partition.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    nodes: Vec<Node>,
    numbers: HashMap<Id<CacheAnswer>, Class>,
}

#[derive(Debug)]
struct Node {
    /// The class it has joined; itself where it stands for itself.
    parent: Class,
    id: Id<CacheAnswer>,
    /// The sum of its questions' vectors.
    sum: Vec<f32>,
    questions: u32,
    wordings: Vec<Arc<Wording>>,
}

impl Answers {
    /// The class of an id, new if it was not known.
    pub(crate) fn class_of(&mut self, id: Id<CacheAnswer>) -> Class {
        if let Some(class) = self.numbers.get(&id) {
            return self.root(*class);
        }
        let class = Class::try_from(self.nodes.len()).unwrap_or(Class::MAX);
        self.nodes.push(Node {
            parent: class,
            id,
            sum: Vec::new(),
            questions: 0,
            wordings: Vec::new(),
        });
        self.numbers.insert(id, class);
        class
    }

    /// The class of an id that is known.
    pub(crate) fn find(&self, id: Id<CacheAnswer>) -> Option<Class> {
        Some(self.root(*self.numbers.get(&id)?))
    }

    /// The class that stands for it now.
    pub(crate) fn root(&self, mut class: Class) -> Class {
        while let Some(node) = self.node(class)
            && node.parent != class
        {
            class = node.parent;
        }
        class
    }

    pub(crate) fn id(&self, class: Class) -> Option<Id<CacheAnswer>> {
        Some(self.node(self.root(class))?.id)
    }

    /// Counts a question and its answer into a class.
    pub(crate) fn add(&mut self, class: Class, vector: &[f32], wording: &Arc<Wording>) {
        let class = self.root(class);
        let Some(node) = self.node_mut(class) else {
            return;
        };
        node.questions += 1;
        add(&mut node.sum, vector);
        let known = node
            .wordings
            .iter()
            .any(|other| other.is_word_for_word(wording));
        if !known && node.wordings.len() < WORDINGS_MAX {
            node.wordings.push(Arc::clone(wording));
        }
    }

    /// Whether an answer says what a class says.
    pub(crate) fn says(&self, class: Class, wording: &Wording) -> bool {
        let node = self.node(self.root(class));
        node.is_some_and(|node| {
            node.wordings
                .iter()
                .any(|own| own.says_the_same_as(wording))
        })
    }

    /// Makes one class of two; the older one stands for both.
    pub(crate) fn join(&mut self, one: Class, other: Class) -> Class {
        let (one, other) = (self.root(one), self.root(other));
        let (older, younger) = (one.min(other), one.max(other));
        if older == younger {
            return older;
        }
        let Some(node) = self.node_mut(younger) else {
            return older;
        };
        node.parent = older;
        let (sum, questions) = (
            std::mem::take(&mut node.sum),
            std::mem::take(&mut node.questions),
        );
        let wordings = std::mem::take(&mut node.wordings);
        if let Some(node) = self.node_mut(older) {
            add(&mut node.sum, &sum);
            node.questions += questions;
            node.wordings.extend(wordings);
            node.wordings.truncate(WORDINGS_MAX);
        }
        older
    }

    /// The classes that have questions: their number, the sum of their vectors, and how many they are.
    pub(crate) fn sums(&self) -> impl Iterator<Item = (Class, &[f32], u32)> {
        let numbered = (0..).zip(&self.nodes);
        numbered
            .filter(|(_, node)| node.questions > 0)
            .map(|(class, node)| (class, node.sum.as_slice(), node.questions))
    }

    fn node(&self, class: Class) -> Option<&Node> {
        self.nodes.get(usize::try_from(class).ok()?)
    }

    fn node_mut(&mut self, class: Class) -> Option<&mut Node> {
        self.nodes.get_mut(usize::try_from(class).ok()?)
    }
}

fn add(sum: &mut Vec<f32>, vector: &[f32]) {
    if sum.len() < vector.len() {
        sum.resize(vector.len(), 0.0);
    }
    for (total, value) in sum.iter_mut().zip(vector) {
        *total += value;
    }
}

#[cfg(test)]
mod tests {
    use types::TestClock;

    use super::*;

    #[test]
    fn classes_that_were_joined_are_one_whatever_they_are_called_by() {
        let clock = TestClock::at("2026-11-22T10:00:00Z");
        let ids = [(); 3].map(|()| Id::new(&clock));
        let mut answers = Answers::default();
        let [a, b, c] = ids.map(|id| answers.class_of(id));
        let wording = |text| Arc::new(Wording::of(text, None));
        answers.add(a, &[1.0, 0.0], &wording("yes"));
        answers.add(b, &[0.0, 1.0], &wording("no"));
        assert!(!answers.says(a, &wording("no")));

        let joined = answers.join(b, a);
        assert_eq!(
            (joined, answers.root(b), answers.class_of(ids[1])),
            (a, a, a)
        );
        assert!(answers.says(b, &wording("yes")) && answers.says(a, &wording("no")));
        let sums: Vec<_> = answers
            .sums()
            .map(|(class, sum, count)| (class, sum.to_vec(), count))
            .collect();
        assert_eq!(sums, [(a, vec![1.0, 1.0], 2)]);

        assert_eq!(answers.root(c), c);
    }
}
