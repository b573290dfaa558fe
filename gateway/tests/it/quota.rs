//! Quotas hold: over two gateways and many callers at once, never more is used than was allowed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::Method;
use serde_json::{Value, json};
use tokio_util::task::TaskTracker;

use crate::harness::{Answer, Client, Ledger, OPENAI, Stack, Tenant, ask, eventually};

const CALLERS: usize = 16;
/// Answers that no caller can get, because all together cannot.
const ANSWERS_MAX: usize = 100;
const TOKENS: i64 = 3_000;
const CALLS: i64 = 25;

/// Slices go back quickly, so that the last of a quota can be used by whichever gateway is asked.
const SETTINGS: &str = "quota.lease_idle_return_ms = 100";

#[tokio::test]
async fn sixteen_callers_on_two_gateways_never_use_more_tokens_than_allowed() {
    let stack = Stack::with(SETTINGS).await;
    let tenant = stack.tenant("mine").await;
    put_quota(&stack, &tenant, "ai_tokens", TOKENS).await;
    let (_kept, other) = stack.another().await;

    let watch = Watch::start(&stack.ledger);
    let clients = [stack.gateway.client(), other.client()];
    let refused = until_refused(clients, &tenant, |caller, number| {
        let text = format!("{caller}, question {number} [[tokens=40]]");
        let mut body = ask(OPENAI, &text);
        body["max_completion_tokens"] = 60.into();
        body
    });
    let (answered, refusals) = refused.await;

    for refusal in &refusals {
        is_quota_error(refusal);
    }
    assert!(answered > CALLERS, "only {answered} were answered");
    assert_eq!(
        stack.calls().len(),
        answered,
        "a refused call reached the provider"
    );
    stack.ledger.booked(answered).await;
    let sums = stack.ledger.balanced().await;
    assert!(sums.tokens <= TOKENS, "{} were used", sums.tokens);
    eventually(
        "the books of the quota are those of the ledger",
        async || used(&stack.ledger, "ai_tokens").await == sums.tokens,
    )
    .await;
    watch.stop().await;
}

#[tokio::test]
async fn every_call_of_a_quota_can_be_used_and_not_one_more() {
    let stack = Stack::with(SETTINGS).await;
    let tenant = stack.tenant("mine").await;
    put_quota(&stack, &tenant, "api_calls", CALLS).await;
    let (_kept, other) = stack.another().await;
    let clients = [stack.gateway.client(), other.client()];

    let watch = Watch::start(&stack.ledger);
    let (mut answered, refusals) = until_refused(clients, &tenant, |caller, number| {
        ask(OPENAI, &format!("{caller}, question {number}"))
    })
    .await;
    for refusal in &refusals {
        is_quota_error(refusal);
    }
    let limit = usize::try_from(CALLS).unwrap();
    eventually("the last call is used", async || {
        for client in clients {
            let text = format!("question {answered}");
            let answer = client.chat(&tenant.key, &ask(OPENAI, &text)).await;
            answered += usize::from(answer.status == 200);
        }
        assert!(answered <= limit);
        answered == limit
    })
    .await;

    stack.ledger.booked(limit).await;
    assert_eq!(stack.calls().len(), limit);
    eventually("all calls are used", async || {
        used(&stack.ledger, "api_calls").await == CALLS
    })
    .await;
    watch.stop().await;
}

pub(crate) async fn put_quota(stack: &Stack, tenant: &Tenant, resource: &str, limit: i64) {
    let path = format!(
        "/api/v1/quotas/{resource}?organization_id={}",
        tenant.organization
    );
    let body = json!({ "limit": limit, "period": "monthly" });
    let client = stack.gateway.client();
    let put = client.send(Method::PUT, &path, Some(&stack.operator), Some(&body));
    put.await.expect(200);
}

async fn used(ledger: &Ledger, resource: &str) -> i64 {
    sqlx::query_scalar("SELECT quota_used FROM usage_quotas WHERE resource_type = $1")
        .bind(resource)
        .fetch_one(&ledger.0)
        .await
        .unwrap()
}

/// Lets every caller ask until it is refused, on alternating gateways: how many were answered, and the refusals.
async fn until_refused(
    clients: [&Client; 2],
    tenant: &Tenant,
    body: impl Fn(usize, usize) -> Value + Copy + Send + 'static,
) -> (usize, Vec<Answer>) {
    let tasks = TaskTracker::new();
    let callers = (0..CALLERS).map(|caller| {
        let client = clients[caller % 2].clone();
        let key = tenant.key.clone();
        tasks.spawn(async move {
            for answered in 0..ANSWERS_MAX {
                let answer = client.chat(&key, &body(caller, answered)).await;
                if answer.status != 200 {
                    return (answered, answer);
                }
            }
            panic!("{caller} was never refused");
        })
    });
    let callers: Vec<_> = callers.collect();
    let mut all = (0, Vec::new());
    for caller in callers {
        let (answered, refusal) = caller.await.unwrap();
        all.0 += answered;
        all.1.push(refusal);
    }
    all
}

#[track_caller]
fn is_quota_error(answer: &Answer) {
    assert_eq!(answer.status, 429, "{answer:?}");
    assert_eq!(answer.header("x-should-retry"), "false");
    assert_eq!(answer.json()["error"]["code"], "insufficient_quota");
    assert_eq!(answer.json()["error"]["type"], "insufficient_quota");
}

/// Looks all the time whether more is used and reserved than allowed.
struct Watch {
    stop: Arc<AtomicBool>,
    looking: tokio::task::JoinHandle<()>,
}

impl Watch {
    fn start(ledger: &Ledger) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (ledger, stopped) = (ledger.clone(), Arc::clone(&stop));
        let looking = TaskTracker::new().spawn(async move {
            while !stopped.load(Ordering::Relaxed) {
                let over = "SELECT count(*) FROM usage_quotas WHERE quota_used + quota_reserved > quota_limit";
                assert_eq!(ledger.count(over).await, 0, "more is used and reserved than allowed");
            }
        });
        Self { stop, looking }
    }

    async fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.looking.await.unwrap();
    }
}
