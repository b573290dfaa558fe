//! A key has one request that runs its call, until that has answered, given it up, or died.

use database::Database;
use database::testing::TestDatabase;
use metering::idempotency::{Answer, Calls, Claim, Claimed};
use types::{Id, SystemClock};

fn claim_of(call: &str) -> Claim {
    Claim {
        key: "key".to_owned(),
        request_hash: call.to_owned(),
        request: Id::new(&SystemClock),
    }
}

#[tokio::test]
async fn a_claim_holds_until_it_is_answered_given_up_or_not_renewed() {
    let test = TestDatabase::new().await;
    let admin = test.admin();
    let mine = test.seed_organization("one").await.organization;
    let theirs = test.seed_organization("two").await.organization;
    let calls = Calls::new(Database::connect(&test.options()).await.unwrap());
    let (first, second) = (claim_of("a call"), claim_of("a call"));
    let claimed =
        async |organization, claim: &Claim| calls.claim(organization, claim).await.unwrap();

    assert_eq!(claimed(mine, &first).await, Claimed::Mine);
    assert_eq!(claimed(mine, &second).await, Claimed::Running);
    assert_eq!(
        claimed(mine, &claim_of("another")).await,
        Claimed::OtherCall
    );
    assert_eq!(claimed(theirs, &second).await, Claimed::Mine);

    // A request that failed.
    calls.release(mine, &first).await.unwrap();
    assert_eq!(claimed(mine, &second).await, Claimed::Mine);
    // One whose gateway died: it did not say in time that it runs.
    let over = "UPDATE metering.idempotent_calls SET claimed_until = now() - interval '1 second'";
    sqlx::query(over).execute(&admin).await.unwrap();
    assert!(
        calls.renew(mine, &second).await.unwrap(),
        "a late renewal is one"
    );
    sqlx::query(over).execute(&admin).await.unwrap();
    assert_eq!(
        claimed(mine, &claim_of("another")).await,
        Claimed::OtherCall
    );
    assert_eq!(claimed(mine, &first).await, Claimed::Mine);
    assert!(
        !calls.renew(mine, &second).await.unwrap(),
        "it is another's by now"
    );

    let answer = Answer {
        is_stream: false,
        provider: "p".to_owned(),
        model: "m".to_owned(),
        body: "the answer".into(),
    };
    // Whoever lost the claim keeps nothing.
    calls
        .keep(
            mine,
            &second,
            &Answer {
                body: "late".into(),
                ..answer.clone()
            },
        )
        .await
        .unwrap();
    assert_eq!(claimed(mine, &second).await, Claimed::Running);
    calls.keep(mine, &first, &answer).await.unwrap();
    assert_eq!(claimed(mine, &second).await, Claimed::Answered(answer));
    calls.release(mine, &first).await.unwrap();
    assert!(matches!(claimed(mine, &second).await, Claimed::Answered(_)));

    let expired = "UPDATE metering.idempotent_calls SET created_at = now() - interval '2 days', expires_at = now() - interval '1 second'";
    sqlx::query(expired).execute(&admin).await.unwrap();
    assert_eq!(claimed(mine, &claim_of("another")).await, Claimed::Mine);
}
