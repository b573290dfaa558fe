//! No template takes more memory, time or places than it may, whatever its fuel.

use std::fs;

use super::*;

/// Fuel, output and time that stop nothing: what is left is the limit of memory.
const ONLY_MEMORY: &str = r"
[templates]
fuel = 1000000000000000
output_bytes_max = 1000000000000
deadline_ms = 60000
memory_bytes_max = 33554432
workers = 1
";

/// Expressions that make much out of little.
const GREEDY: &[&str] = &[
    // One instruction, 100 MB: the case that fuel alone let pass.
    "{{ ('x' * (10 ** 8)) | length }}",
    // Ten thousand million bytes by doubling.
    "{% set ns = namespace(s='x' * 1024) %}{% for i in range(24) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}{{ ns.s | length }}",
    "{{ ([1] * (10 ** 8)) | list | length }}",
    "{{ range(20000) | map('string') | join('x' * 10000) | length }}",
    "{{ ('x' * 1000000) | replace('x', 'y' * 1000) | length }}",
    "{{ '%099999999d' | format(1) | length }}",
    "{{ ['x'] | batch(10 ** 8, 'y') | list | length }}",
    "{{ 'x' | indent(10 ** 8, true) | length }}",
    "{% set big %}{% for i in range(100000) %}{{ 'y' * 10000 }}{% endfor %}{% endset %}{{ big | length }}",
];

#[tokio::test]
async fn one_expression_cannot_take_a_hundred_megabytes_however_much_fuel_it_has() {
    let stack = Stack::with(ONLY_MEMORY).await;
    let tenant = stack.tenant("mine").await;
    let client = stack.gateway.client();
    let ask = |slug: &str, variables: Value| json!({ "model": OPENAI, "prompt": prompt(slug, &variables) });
    made(
        client,
        &tenant,
        "modest",
        "{% for i in range(3) %}{{ n }}{% endfor %}",
    )
    .await
    .expect(201);
    client
        .post(CHAT, &tenant.key, &ask("modest", json!({ "n": 1 })))
        .await
        .expect(200);
    let before = peak_bytes(stack.gateway.id().as_raw());
    assert_eq!(
        data_limits(&stack),
        [33_554_432],
        "the worker's memory is not limited"
    );

    for (number, greedy) in GREEDY.iter().enumerate() {
        let slug = format!("greedy-{number}");
        made(client, &tenant, &slug, greedy).await.expect(201);
        let refused = client.post(CHAT, &tenant.key, &ask(&slug, json!({}))).await;
        assert_eq!(refused.status, 400, "{greedy}: {refused:?}");
        let text = refused.json()["error"]["message"]
            .as_str()
            .unwrap()
            .to_owned();
        eprint_case(greedy, &text);
        client
            .post(CHAT, &tenant.key, &ask("modest", json!({ "n": number })))
            .await
            .expect(200);
        for worker in workers(&stack) {
            assert!(
                peak_bytes(worker) < 2 * 33_554_432,
                "{greedy}: {}",
                peak_bytes(worker)
            );
        }
    }
    let grown = peak_bytes(stack.gateway.id().as_raw()) - before;
    assert!(
        grown < 33_554_432,
        "the gateway itself grew by {grown} bytes"
    );
}

#[tokio::test]
async fn a_render_that_runs_away_is_ended_at_its_deadline_and_others_are_served() {
    let settings = "
[templates]
fuel = 1000000000000000
deadline_ms = 300
workers = 1
";
    let stack = Stack::with(settings).await;
    let tenant = stack.tenant("mine").await;
    let client = stack.gateway.client();
    let endless = "{% for a in range(10000) %}{% for b in range(10000) %}{% for c in range(10000) %}{% endfor %}{% endfor %}{% endfor %}x";
    made(client, &tenant, "endless", endless).await.expect(201);
    made(
        client,
        &tenant,
        "modest",
        "{% for i in range(3) %}{{ i }}{% endfor %}",
    )
    .await
    .expect(201);
    for round in 0..3 {
        let body = json!({ "model": OPENAI, "prompt": prompt("endless", &json!({})) });
        let refused = client.post(CHAT, &tenant.key, &body).await.expect(400);
        let text = refused.json()["error"]["message"]
            .as_str()
            .unwrap()
            .to_owned();
        assert!(text.contains("longer than 300 ms"), "{text}");
        let body =
            json!({ "model": OPENAI, "prompt": prompt("modest", &json!({})), "seed": round });
        client.post(CHAT, &tenant.key, &body).await.expect(200);
    }
    eventually("no worker runs on", async || workers(&stack).len() <= 1).await;
}

#[tokio::test]
async fn one_organization_cannot_take_all_places_of_the_queue() {
    let settings = "
[templates]
fuel = 1000000000000000
deadline_ms = 3000
workers = 2
queue_per_organization_max = 1
";
    let stack = Stack::with(settings).await;
    let (greedy, modest) = (stack.tenant("greedy").await, stack.tenant("modest").await);
    let client = stack.gateway.client();
    let endless = "{% for a in range(10000) %}{% for b in range(10000) %}{% for c in range(10000) %}{% endfor %}{% endfor %}{% endfor %}x";
    made(client, &greedy, "endless", endless).await.expect(201);
    made(
        client,
        &modest,
        "modest",
        "{% for i in range(3) %}{{ i }}{% endfor %}",
    )
    .await
    .expect(201);
    let body = json!({ "model": OPENAI, "prompt": prompt("endless", &json!({})) });
    let two = futures_util::future::join(
        client.post(CHAT, &greedy.key, &body),
        client.post(CHAT, &greedy.key, &body),
    );
    let other = async {
        let body = json!({ "model": OPENAI, "prompt": prompt("modest", &json!({})) });
        client.post(CHAT, &modest.key, &body).await.status
    };
    let ((one, two), other) = futures_util::future::join(two, other).await;
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [400, 503]);
    assert_eq!(other, 200);
}

/// The processes of a gateway that render.
fn workers(stack: &Stack) -> Vec<i32> {
    let gateway = stack.gateway.id();
    let tasks = fs::read_dir(format!("/proc/{gateway}/task")).unwrap();
    let mut workers = Vec::new();
    for task in tasks.flatten() {
        let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
        let children = children
            .split_whitespace()
            .filter_map(|id| id.parse::<i32>().ok());
        workers.extend(children.filter(|id| {
            fs::read_to_string(format!("/proc/{id}/cmdline"))
                .is_ok_and(|line| line.contains("__render"))
        }));
    }
    workers
}

/// The limit of data of each worker, in bytes.
fn data_limits(stack: &Stack) -> Vec<u64> {
    let limits = workers(stack).into_iter().filter_map(|id| {
        let limits = fs::read_to_string(format!("/proc/{id}/limits")).ok()?;
        let line = limits
            .lines()
            .find(|line| line.starts_with("Max data size"))?;
        line.split_whitespace().nth(3)?.parse().ok()
    });
    limits.collect()
}

/// The most memory that a process has had, in bytes; 0 if it is gone.
fn peak_bytes(id: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}

#[expect(
    clippy::print_stderr,
    reason = "shows which limit stopped what, when the test is asked to"
)]
fn eprint_case(source: &str, message: &str) {
    eprintln!("{source}\n    {message}");
}
