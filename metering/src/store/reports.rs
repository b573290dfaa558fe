//! Reads the roll-ups for reports.

use sqlx::PgConnection;
use types::id::Organization;
use types::{Id, Usd};

use crate::report::{Dimensions, Line, Question, UsageRow};

/// One row more than asked for, to see whether more follow.
pub(crate) async fn lines(
    connection: &mut PgConnection,
    organization: Option<Id<Organization>>,
    question: &Question<'_>,
) -> Result<Vec<Line>, database::Error> {
    let (filter, paging) = (question.filter, question.paging);
    let query = sqlx::query_file!(
        "sql/report.sql",
        filter.from,
        filter.until,
        organization.map(|id| id.uuid()),
        question.sheet.as_str(),
        &filter.words(),
        filter.tag(),
        filter.provider,
        filter.model,
        filter.api_key.map(|id| id.uuid()),
        filter.department.map(|id| id.uuid()),
        filter.user.map(|id| id.uuid()),
        filter.workflow.map(|id| id.uuid()),
        filter.price,
        filter.service,
        filter.usage_source,
        filter.outcome,
        filter.token_class,
        paging.rows_to_fetch(),
        paging.rows_before(),
    );
    let rows = query.fetch_all(connection).await?;
    let lines = rows.into_iter().map(|row| Line {
        token_class: row.token_class,
        unit_price_usd: row.unit_price_usd,
        quantity: row.quantity,
        usage: UsageRow {
            by: Dimensions {
                organization_id: row.organization_id,
                organization: row.organization,
                parent_id: row.parent_id,
                parent: row.parent,
                period: row.period,
                provider: row.provider,
                model: row.model,
                price_id: row.price_id,
                service: row.service,
                usage_source: row.usage_source,
                outcome: row.outcome,
            },
            department_id: row.department_id,
            department: row.department,
            user_id: row.user_id,
            api_key_id: row.api_key_id,
            api_key: row.api_key,
            workflow_id: row.workflow_id,
            workflow: row.workflow,
            tag: row.tag,
            unallocated: row.unallocated,
            requests: row.requests,
            hits: row.hits,
            failed_requests: row.failed_requests,
            unknown_requests: row.unknown_requests,
            estimated_requests: row.estimated_requests,
            input_tokens: row.input_tokens,
            cache_read_tokens: row.cache_read_tokens,
            output_tokens: row.output_tokens,
            reasoning_tokens: row.reasoning_tokens,
            cost_usd: Usd::new(row.cost_usd),
            saved_cost_usd: Usd::new(row.saved_cost_usd),
            failed_cost_usd: Usd::new(row.failed_cost_usd),
            estimated_cost_usd: Usd::new(row.estimated_cost_usd),
            unknown_cost_usd: Usd::new(row.unknown_cost_usd),
        },
    });
    Ok(lines.collect())
}
