//! What a render may do and what it may not, asked of the engine itself.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::template::fault::FaultKind;
use crate::template::source;

const BUDGET: Budget = Budget {
    fuel: 100_000,
    recursion_max: 64,
    output_bytes_max: 10_000,
};

fn job(source: &str, task: Task<'static>) -> Job<'static> {
    Job {
        sections: Cow::Owned(source::split(source).unwrap()),
        task,
        budget: BUDGET,
    }
}

fn rendered(source: &str, variables: Value) -> Result<String, Fault> {
    let variables = serde_json::from_value(variables).unwrap();
    match run(&job(source, Task::Render(Cow::Owned(variables)))) {
        Outcome::Rendered(texts) => Ok(texts.join("|")),
        Outcome::Failed(fault) => Err(fault),
        Outcome::Used(_) => panic!("it was to be rendered"),
    }
}

#[track_caller]
fn fails(source: &str, variables: Value, kind: FaultKind, text: &str) {
    let fault = rendered(source, variables).unwrap_err();
    assert_eq!(fault.kind, kind, "{source}: {fault}");
    assert!(fault.to_string().contains(text), "{source}: {fault}");
}

#[test]
fn conditions_loops_and_filters_work_and_nothing_is_escaped() {
    let source = "{% for one in list if one %}{{ loop.index }}. {{ one | upper }}\n{% endfor %}{{ data | tojson }}";
    let text = rendered(
        source,
        json!({ "list": ["a<b", ""], "data": { "k": [1, true] } }),
    )
    .unwrap();
    assert_eq!(text, "1. A<B\n{\"k\": [1, true]}");
}

#[test]
fn a_mistake_is_told_with_its_place_in_the_whole_source() {
    let source = "{# system #}\nBe brief.\n{# user #}\nHello\n  {{ customer.name }}\n";
    fails(
        source,
        json!({ "customer": {} }),
        FaultKind::Template,
        "undefined value: customer.name (line 5, column 6)",
    );
    fails(
        "a\n{% if %}",
        json!({}),
        FaultKind::Template,
        "syntax error",
    );
    fails(
        "a\n{% if %}",
        json!({}),
        FaultKind::Template,
        "(line 2, column",
    );
    fails(
        "{{ x | nosuch }}",
        json!({ "x": 1 }),
        FaultKind::Template,
        "unknown filter",
    );
}

#[test]
fn an_error_quotes_the_source_and_never_a_value() {
    let canary = "canary-4711";
    for source in [
        "{{ x | int }}",
        "{{ x + 1 }}",
        "{{ x.a.b }}",
        "{{ x() }}",
        "{{ x | dictsort }}",
        "{{ [1] | map(x) | list }}",
        "{{ x | format(1) }}",
        "{{ 1 | attr(x) + 1 }}",
    ] {
        if let Err(fault) = rendered(source, json!({ "x": canary })) {
            assert!(!fault.to_string().contains(canary), "{source}: {fault}");
        }
    }
}

#[test]
fn what_is_not_there_cannot_be_reached() {
    for source in [
        "{% include 'x' %}",
        "{% import 'x' as y %}",
        "{% extends 'x' %}",
        "{{ debug() }}",
        "{{ ''.__class__.__mro__ }}",
        "{{ self }}",
        "{{ undeclared }}",
    ] {
        assert!(rendered(source, json!({})).is_err(), "{source}");
    }
}

#[test]
fn work_depth_and_output_have_limits() {
    let kind = FaultKind::Limit;
    fails(
        "{% for a in range(10000) %}{% for b in range(10000) %}{% endfor %}{% endfor %}",
        json!({}),
        kind,
        "more work",
    );
    fails(
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        json!({}),
        kind,
        "too deeply",
    );
    fails(
        "{% for a in range(2000) %}1234567890{% endfor %}",
        json!({}),
        kind,
        "more than 10000 bytes",
    );
    fails(
        "{{ x }}{{ x }}",
        json!({ "x": "y".repeat(6000) }),
        kind,
        "more than 10000 bytes",
    );
    let halves = "{# system #}\n{{ x }}\n{# user #}\n{{ x }}";
    fails(
        halves,
        json!({ "x": "y".repeat(6000) }),
        kind,
        "more than 10000 bytes",
    );
}

#[test]
fn the_variables_of_a_source_are_those_it_does_not_make_itself() {
    let source = "{% set own = given %}{% for one in list %}{{ one }}{{ loop.index }}{% endfor %}\
                  {% macro m(x) %}{{ x }}{% endmacro %}{{ m(other) }}{{ range(3) }}";
    let Outcome::Used(names) = run(&job(source, Task::Inspect)) else {
        panic!("it can be read");
    };
    assert_eq!(
        names.into_iter().collect::<Vec<_>>(),
        ["given", "list", "other"]
    );
}

#[test]
fn the_examples_of_the_documentation_render_to_what_they_say() {
    let text = include_str!("../../../../docs/templates.md");
    let examples: Vec<_> = text
        .lines()
        .filter_map(|line| line.split_once("  →  "))
        .collect();
    assert!(examples.len() >= 7, "{examples:?}");
    let variables = json!({ "name": "Ada", "items": ["a", "b"], "n": 3, "order": { "id": 7 } });
    for (source, expected) in examples {
        assert_eq!(
            rendered(source, variables.clone()).unwrap(),
            expected,
            "{source}"
        );
    }
}

/// Sources out of pieces that a person, or an attacker, would put together.
fn sources() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "text ",
        "{{ x }}",
        "{{ x * 9 }}",
        "{{ x ~ x }}",
        "{{ list | join(x) }}",
        "{{ list * 9 }}",
        "{% for a in list %}",
        "{% for a in range(n) %}",
        "{% endfor %}",
        "{% set x = x ~ x %}",
        "{% set ns = namespace(s=x) %}",
        "{% set ns.s = ns.s ~ ns.s %}",
        "{{ x | replace('a', x) }}",
        "{{ x | indent(n) }}",
        "{{ '%9s' | format(x) }}",
        "{{ list | batch(n, x) }}",
        "{% if x %}",
        "{% else %}",
        "{% endif %}",
        "{% macro m(a) %}",
        "{% endmacro %}",
        "{{ m(x) }}",
        "{{ {'a': x} | tojson }}",
        "{{",
        "}}",
        "{%",
        "%}",
        "{#",
        "#}",
        "{# user #}\n",
        "\n",
        "é",
        "{{ x[::n] }}",
        "{{ x | pprint }}",
    ]);
    prop::collection::vec(pieces, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn any_source_is_rendered_within_its_limits_or_refused(source in sources(), n in 0_u32..100_000) {
        let variables = json!({ "x": "abc", "n": n, "list": ["a", "b"] });
        if let Ok(sections) = source::split(&source) {
            let job = Job {
                sections: Cow::Owned(sections),
                task: Task::Render(Cow::Owned(serde_json::from_value(variables).unwrap())),
                budget: BUDGET,
            };
            if let Outcome::Rendered(texts) = run(&job) {
                prop_assert!(texts.iter().map(String::len).sum::<usize>() <= BUDGET.output_bytes_max);
            }
        }
    }

    #[test]
    fn a_plain_source_is_rendered_the_same_here_as_by_a_worker(
        before in "[a-zé{} \n]{0,12}", after in "[a-z}\n ]{0,12}", x in any::<i64>(), y in "\\PC{0,8}",
    ) {
        let source = format!("{before}{{{{ x }}}}-{{{{ o.y }}}}{after}");
        prop_assume!(source::is_plain(&source));
        let sections = source::split(&source).unwrap();
        let values = json!({ "x": x, "o": { "y": y } });
        let values: Map<_, _> = serde_json::from_value(values).unwrap();
        let here = Plain::new(&sections, BUDGET).unwrap().render(&values).map(|texts| texts.join("|"));
        prop_assert_eq!(here, rendered(&source, Value::Object(values)));
    }
}
